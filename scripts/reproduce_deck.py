"""The deck's eight models as they were, repeated, corrected and tuned, in one table.

usage: python scripts/reproduce_deck.py [KEY=VALUE ...]

Tunes the deck's families (experiment=families), then sets the eight models beside them
(experiment=deck). What is done is not done again. Settings are those of a search, as in

    python scripts/reproduce_deck.py data.path=tracks.csv
"""

import subprocess
import sys

from popsearch.deck.figures import DECK


def main() -> None:
    """Run both sweeps with what was typed; the second one ends with the table."""
    words = sys.argv[1:]
    if {"-h", "--help"} & {*words}:
        print(__doc__)
        return
    tuned = ",".join(dict.fromkeys(figure.family for figure in DECK))
    own = [word for word in words if not word.startswith("deck.")]
    for recipe in (
        ["experiment=families", f"model={tuned}", "data=tracks", "ensemble=false", *own],
        ["experiment=deck", *words],
    ):
        done = subprocess.run([sys.executable, "-m", "popsearch", "-m", *recipe], check=False)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
