"""What is typed: python -m popsearch leaderboard, and what a sweep ends with."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from popsearch import command, provenance, tracking
from popsearch.comparison import is_of_a_search, refuse
from popsearch.config import Config, NoTracking
from popsearch.errors import StorageError, did_you_mean, disk_error
from popsearch.faults import hide_secrets
from popsearch.leaderboard import shown, standings
from popsearch.leaderboard.gathered import Found, Place, boards, find, write
from popsearch.plan import prepare
from popsearch.study import stored
from popsearch.wholefile import replacing

if TYPE_CHECKING:
    from rich.console import Console

SUFFIXES = {".csv": "csv", ".json": "json", ".md": "markdown"}
OWN = ("format", "output")


def leaderboard(words: Sequence[str], console: "Console") -> None:
    """Show, write and store the boards that were asked for.

    Parameters
    ----------
    words
        Names of data sets; ``format=`` and ``output=``; settings: those of storage and tracking
        say where to look, others name the board that such a search would be on.

    Raises
    ------
    ConfigError
        With all that is wrong; nothing was created.
    StorageError
        If a database does not answer, or the file cannot be written.
    """
    own = {key: value for key, _, value in (w.partition("=") for w in words) if key in OWN}
    form, faults = _form(own)
    wanted_boards = asked([word for word in words if word.partition("=")[0] not in OWN], faults)
    found, keys = wanted_boards.found.values(), wanted_boards.keys
    made = [(each.place, boards(each, _fingerprints(each, keys))) for each in found]
    wanted = [board for _, some in made for board in some if board.key in keys]
    if file := own.get("output"):
        _write(Path(file), shown.FORMATS[form](wanted))
        console.print(f"wrote {file}")
    elif form == "table":
        shown.show(console, wanted)
        if n_old := sum(each.n_old for each in found):
            which = "1 study is" if n_old == 1 else f"{n_old} studies are"
            console.print(f"{which} of an earlier version: its command, given again, adds it")
    else:
        console.file.write(shown.FORMATS[form](wanted))  # as it is, whatever the width
    for place, some in made:
        write(place, some)


@dataclass(frozen=True)
class Asked:
    """Which boards were asked for, and where they are.

    Parameters
    ----------
    found
        The studies there are.
    configs
        Of each place one that names it.
    keys
        Of the boards.
    searches
        Of each board the search that named it; none where boards were not named so.
    """

    found: Mapping[Place, Found]
    configs: Mapping[Place, Config]
    keys: Collection[str]
    searches: Mapping[str, Config]


def asked(words: Sequence[str], faults: Sequence[str] = ()) -> Asked:
    """Give the boards that names of data sets and settings ask for.

    Parameters
    ----------
    faults
        What is wrong already.

    Raises
    ------
    ConfigError
        With all that is wrong; nothing was created.
    """
    names = [word for word in words if "=" not in word and not word.startswith("-")]
    settings = [word for word in words if word not in names]
    jobs = command.jobs(settings)
    refuse([*faults, *(fault for job in jobs for fault in job.faults)])
    configs = [Config(**job.sections) for job in jobs]
    places = {Place(cfg.storage.url, cfg.tracking): cfg for cfg in configs}
    refuse(
        fault
        for place in places
        for fault in stored.faults(place.url) or tracking.faults(place.tracking)
    )
    found = {place: find(place) for place in places}
    about: list[Mapping[str, str]] = [
        note["about"] for each in found.values() for note in each.notes.values()
    ]
    refuse(_unknown(names, {each["data"] for each in about}, list(places)))
    keys = {standings.key(each) for each in about if not names or each["data"] in names}
    searches: dict[str, Config] = {}
    if any(map(is_of_a_search, settings)):
        searches = {standings.key(provenance.about(prepare(cfg))): cfg for cfg in configs}
        keys &= searches.keys()
        none = "no study yet on these data, features and split; search on them, or leave them out"
        refuse([] if keys else [none])
    return Asked(found, places, keys, searches)


def after_sweep(console: "Console", configs: Sequence[Config], studies: Collection[str]) -> None:
    """Show where the studies of a sweep stand, and store that where they are tracked."""
    for place in dict.fromkeys(Place(cfg.storage.url, cfg.tracking) for cfg in configs):
        found = find(place)
        keys = {standings.key(n["about"]) for name, n in found.notes.items() if name in studies}
        fingerprints, why = _fingerprints(found, keys), ""
        try:
            made = boards(found, fingerprints)
        except StorageError as error:  # of the tracking: what is kept here is shown all the same
            untracked = Place(place.url, NoTracking(name="none"))
            why, made = error.faults[0], boards(replace(found, place=untracked), fingerprints)
        shown.show(console, [board for board in made if board.key in keys], studies)
        try:
            if not why:
                write(place, made)
        except StorageError as error:
            why = error.faults[0]
        if why:
            line = f"the leaderboard is not stored: {why}"
            console.print(line, style="yellow", markup=False, soft_wrap=True)


def _form(own: Mapping[str, str]) -> tuple[str, list[str]]:
    """Give how boards are to be written, and what is wrong with that."""
    known = ["table", *shown.FORMATS]
    form, file = own.get("format"), own.get("output")
    if form is not None and form not in known:
        return "", [f"format={form}: there is no such format{did_you_mean(form, known)}"]
    if file is None:
        return form or "table", []
    form = form or SUFFIXES.get(Path(file).suffix)
    if form in (None, "table"):
        return "", [
            f"output={file}: must end in {', '.join(SUFFIXES)}, or format must be one of "
            f"{', '.join(shown.FORMATS)}"
        ]
    if Path(file).is_dir() or not Path(file).parent.is_dir():
        return "", [f"output={file}: must be a file in a folder that is there; create that first"]
    return str(form), []


def _unknown(names: Sequence[str], known: Collection[str], places: Sequence[Place]) -> list[str]:
    where = ", ".join(hide_secrets(place.url) for place in places)
    if not known:
        return [f"storage.url={where}: must hold a study, but there is none yet; search first"]
    return [
        f"{name}: must be a data set with studies in {where}{did_you_mean(name, sorted(known))}"
        for name in names
        if name not in known
    ]


def _fingerprints(found: Found, keys: Collection[str]) -> set[str]:
    """Give the data of these boards."""
    about = (note["about"] for note in found.notes.values())
    return {each["data_fingerprint"] for each in about if standings.key(each) in keys}


def _write(path: Path, text: str) -> None:
    """Write a file under its name only when it is whole.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise disk_error(error) from None
