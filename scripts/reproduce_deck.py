"""The deck's eight models as they were, repeated, corrected and tuned, in one table.

usage: python scripts/reproduce_deck.py [KEY=VALUE ...]

Tunes the deck's families (experiment=families), then sets the eight models beside them
(experiment=deck). What is done is not done again. Settings are those of a search, as in

    python scripts/reproduce_deck.py data.path=tracks.csv
"""

import subprocess
import sys

TUNED = "linear,lasso,ridge,decision_tree,random_forest,gbr,mlp"


def main() -> None:
    """Run both sweeps with what was typed; the second one ends with the table."""
    words = sys.argv[1:]
    if {"-h", "--help"} & {*words}:
        print(__doc__)
        return
    own = [word for word in words if not word.startswith("deck.")]
    for recipe in (
        ["experiment=families", f"model={TUNED}", "data=tracks", "ensemble=false", *own],
        ["experiment=deck", *words],
    ):
        done = subprocess.run([sys.executable, "-m", "popsearch", "-m", *recipe], check=False)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
