"""What is typed: python -m popsearch ensemble, and what a sweep makes before its leaderboard."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from popsearch.ensemble.made import Made, make
from popsearch.ensemble.members import KIND
from popsearch.ensemble.shown import Progress, show
from popsearch.errors import PopsearchError
from popsearch.leaderboard import standings, typed
from popsearch.leaderboard.gathered import Found, Place, find

if TYPE_CHECKING:
    from rich.console import Console

    from popsearch.config import Config


def ensemble(words: Sequence[str], command: str, console: "Console") -> str:
    """Make an ensemble on each of the boards that were asked for.

    Parameters
    ----------
    words
        As the leaderboard takes them: names of data sets, and settings.
    command
        What was typed, to be stored.

    Returns
    -------
    The signal that ended it, nothing where none did.

    Raises
    ------
    ConfigError
        With all that is wrong; nothing was created.
    StorageError
        If a database does not answer.
    """
    asked = typed.asked(words)
    for place, found in asked.found.items():
        for key in sorted(asked.keys):
            search, names = asked.searches.get(key), _on(found, key)
            cfg = search or asked.configs[place]
            if names:
                made = _make(found, names, cfg, search is not None, command, console)
                if made.stopped_by:
                    return made.stopped_by
    return ""


def after_sweep(
    console: "Console", configs: Sequence["Config"], studies: Collection[str], command: str
) -> tuple[set[str], str]:
    """Make an ensemble on each board on which a sweep has put several studies.

    What keeps one from being made is told; it costs no more than the ensemble.

    Returns
    -------
    The ensembles' studies, and the signal that ended it, nothing where none did.
    """
    own: set[str] = set()
    by_place = {Place(cfg.storage.url, cfg.tracking): cfg for cfg in configs if cfg.ensemble}
    for place, cfg in by_place.items():
        found = find(place)
        keys = [standings.key(note["about"]) for n, note in found.notes.items() if n in studies]
        for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
            try:
                made = _make(found, _on(found, key), cfg, False, command, console)
            except PopsearchError as error:
                line = f"no ensemble: {error.faults[0]}"
                console.print(line, style="yellow", markup=False, soft_wrap=True)
                continue
            own |= {made.entered.study} if made.entered else set()
            if made.stopped_by:
                return own, made.stopped_by
    return own, ""


def _make(
    found: Found,
    names: Sequence[str],
    cfg: "Config",
    is_given: bool,
    command: str,
    console: "Console",
) -> Made:
    progress = Progress(console)
    with progress.shown():
        made = make(found, names, cfg, is_given, command, progress)
    show(console, made)
    return made


def _on(found: Found, key: str) -> list[str]:
    """Give the studies on a board, without its ensemble."""
    return [
        name
        for name, note in found.notes.items()
        if standings.key(note["about"]) == key and KIND not in note
    ]
