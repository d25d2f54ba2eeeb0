"""python -m popsearch check: studies compared with their runs, and what is shown of that."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from popsearch import agreement, command, tracking
from popsearch.agreement import Agreement
from popsearch.config import Config, MlflowTracking, NoTracking, ServerTracking
from popsearch.errors import ConfigError
from popsearch.plan import prepare
from popsearch.study import storage_errors, stored
from popsearch.tracking import StoredRuns, tracking_errors

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 200
"""Characters of a line where the output is no terminal."""


@dataclass(frozen=True)
class Place:
    """Studies of one database, and where their runs are; no names are all of them."""

    url: str
    tracking: MlflowTracking | ServerTracking
    names: Sequence[str]


def places(words: Sequence[str]) -> list[Place]:
    """Give what is to be compared.

    Parameters
    ----------
    words
        Names of studies, and settings: those of storage and tracking say where to look, others
        name the study that a search with them would continue.

    Raises
    ------
    ConfigError
        If it cannot be read, or is not there; nothing was created.
    """
    given = [word for word in words if "=" not in word and not word.startswith("-")]
    settings = [word for word in words if word not in given]
    jobs = command.jobs(settings)
    refuse(fault for job in jobs for fault in job.faults)
    found: list[Place] = []
    faults: list[str] = []
    for job in jobs:
        cfg = Config(**job.sections)
        own = [prepare(cfg).study_name] if any(map(is_of_a_search, settings)) else []
        names = [*dict.fromkeys([*given, *own])]
        with storage_errors(cfg.storage.url):
            faults += stored.faults(cfg.storage.url, names)
        faults += tracking.faults(cfg.tracking) or tracking.stored.faults(cfg.tracking)
        if not isinstance(cfg.tracking, NoTracking):
            found.append(Place(cfg.storage.url, cfg.tracking, names))
    refuse(faults)
    return found


def show(console: "Console", places: Sequence[Place], repairs: bool) -> bool:
    """Compare, repair where that is wanted, and tell whether all agrees then."""
    from rich.table import Table

    if not console.is_terminal:  # a file has no width
        console.width = WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("study", "trial", "the study says", "its run says", *["then"] * repairs):
        table.add_column(name, overflow="fold")
    found = [compared for place in places for compared in _compared(place, repairs)]
    for study, result in found:
        left = [(d, "remains") for d in result.disagreements]
        for d, then in [*left, *((d, "repaired") for d in result.repaired)]:
            number = "?" if d.number is None else str(d.number)
            table.add_row(study, number, d.in_study, d.in_run, *[then] * repairs)
    if table.row_count:
        console.print(table)
    results = [result for _, result in found]
    console.print(_summary(results))
    return not any(result.disagreements for result in results)


def _compared(place: Place, repairs: bool) -> Iterator[tuple[str, Agreement]]:
    with storage_errors(place.url), tracking_errors(place.tracking):
        runs = StoredRuns(place.tracking.uri)
        for name in place.names or stored.names(place.url):
            trials = stored.trials(place.url, name)
            yield name, (agreement.settle if repairs else agreement.compare)(name, trials, runs)


def _summary(results: Sequence[Agreement]) -> str:
    n_left = sum(len(result.disagreements) for result in results)
    n_repaired = sum(len(result.repaired) for result in results)
    n_untracked = sum(result.n_untracked for result in results)
    n_at_work = sum(result.n_at_work for result in results)
    told = [f"{_count(n_repaired, 'trial')} repaired"] if n_repaired else []
    told += [f"{_count(n_left, 'trial')} not in agreement"] if n_left else []
    told += ["study and tracking agree"] if not n_left else []
    told += [f"{_count(n_untracked, 'trial')} without tracking"] if n_untracked else []
    told += [f"{_count(n_at_work, 'trial')} left to processes at work"] if n_at_work else []
    n_trials = _count(sum(result.n_trials for result in results), "trial")
    return f"{_count(len(results), 'study', 'studies')}, {n_trials}: {', '.join(told)}"


def _count(n: int, one: str, several: str = "") -> str:
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def is_of_a_search(word: str) -> bool:
    """Tell whether a setting is of another part than storage and tracking."""
    part = word.lstrip("+~").partition("=")[0].partition(".")[0]
    return not word.startswith("-") and part not in ("storage", "tracking", "hydra")


def refuse(faults: Iterable[str]) -> None:
    """Raise a ``ConfigError`` if there is any fault, with each of them once."""
    if found := dict.fromkeys(faults):  # in their order, what several jobs share once
        raise ConfigError(*found)
