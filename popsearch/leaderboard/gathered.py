"""Boards put together from where studies and their runs are stored."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from popsearch import database, tracking
from popsearch.config import MlflowTracking, NoTracking, ServerTracking, Tracking
from popsearch.finish import kept_here
from popsearch.leaderboard import shown, standings
from popsearch.leaderboard.plot import plot
from popsearch.leaderboard.standings import Board, Row
from popsearch.models.training import mse
from popsearch.residuals import TOLERANCE
from popsearch.study import storage_errors, stored
from popsearch.tracking import BoardPage, StoredBoards, tracking_errors

NOTEBOOK = "notebook"
"""Noted of a study that repeats the deck's notebook: on no board, for it is not honest."""


@dataclass(frozen=True)
class Place:
    """Studies of one database, and where their runs are."""

    url: str
    tracking: Tracking

    @property
    def runs(self) -> MlflowTracking | ServerTracking | None:
        """Where runs are, none where nothing was tracked: then nothing is made there."""
        if isinstance(self.tracking, NoTracking) or tracking.stored.faults(self.tracking):
            return None
        return self.tracking


@dataclass(frozen=True)
class Found:
    """The studies of a place that can be on a board, and those that are too old for it.

    Parameters
    ----------
    notes
        What is stored about each, by its name.
    """

    place: Place
    notes: Mapping[str, Mapping[str, Any]]
    n_old: int


def find(place: Place) -> Found:
    """Give the studies of a database."""
    with storage_errors(place.url):
        notes = stored.notes(place.url)
    notes = {name: note for name, note in notes.items() if NOTEBOOK not in note}
    known = {name: note for name, note in notes.items() if "about" in note}
    return Found(place, known, len(notes) - len(known))


def boards(found: Found, fingerprints: Collection[str]) -> list[Board]:
    """Give all boards of these data.

    Raises
    ------
    StorageError
        If a database does not answer.
    """
    place, groups = found.place, dict[str, dict[str, Mapping[str, Any]]]()
    for name, note in found.notes.items():
        if note["about"]["data_fingerprint"] in fingerprints:
            groups.setdefault(standings.key(note["about"]), {})[name] = note
    made = []
    with storage_errors(place.url), tracking_errors(place.tracking):
        for notes in groups.values():
            about = next(iter(notes.values()))["about"]
            runs = StoredBoards(place.runs.uri, about["data"]) if place.runs else None
            champion = runs.champion() if runs else ""
            rows = [
                standings.row(n, note, stored.trials(place.url, n)) for n, note in notes.items()
            ]
            rows = [replace(row, champion=row.study == champion) for row in rows]
            tests = [note.get("test") or {} for note in notes.values()]
            made.append(standings.board(about, tests, rows, _residuals_of(place.url, notes, runs)))
    return sorted(
        made, key=lambda b: (b.about["data"], b.about["rows"], b.about["features"], b.key)
    )


def write(place: Place, all_boards: Sequence[Board]) -> None:
    """Show boards in MLflow, on one run for each data set; nothing where nothing is tracked.

    Parameters
    ----------
    all_boards
        Every board of the data sets that are among them.

    Raises
    ------
    StorageError
        If the store does not answer.
    """
    by_data: dict[tuple[str, str], list[Board]] = {}
    for board in all_boards:
        about = board.about
        by_data.setdefault((about["data"], about["data_fingerprint"]), []).append(board)
    if not place.runs:
        return
    with database.alone(place.url, "leaderboard"), tracking_errors(place.runs):
        for (data, fingerprint), same in by_data.items():
            StoredBoards(place.runs.uri, data).write(_page(data, fingerprint, same))


def _residuals_of(
    url: str, notes: Mapping[str, Mapping[str, Any]], runs: StoredBoards | None
) -> standings.ResidualsOf:
    """Give what finds residuals: on this computer, else in the study's run."""

    def residuals_of(row: Row) -> NDArray[np.float32] | None:
        assert row.test_mse is not None
        number = notes[row.study]["test"]["trials"][0]
        found = kept_here(url, row.study).of(number, row.test_mse)
        if found is None and runs and (found := runs.residuals(row.study, number)) is not None:
            own = mse(found.astype(np.float64))
            found = found if abs(own - row.test_mse) <= TOLERANCE * row.test_mse else None
        return found

    return residuals_of


def _page(data: str, fingerprint: str, same: Sequence[Board]) -> BoardPage:
    names = {b.key: f"{b.about['features']}-{b.about['split']}-{b.key}" for b in same}
    plots = {f"leaderboard-{names[board.key]}.png": plot(board) for board in same}
    metrics = {
        # Without the name of the data, which may have letters that MLflow does not take here.
        f"{score}/{'-'.join(row.study.rsplit('-', 2)[1:])}": value
        for board in same
        for row in board.rows
        for score in ("test_mse", "val_mse")
        if (value := getattr(row, score)) is not None
    }
    return BoardPage(
        name=f"leaderboard {data} {fingerprint[:8]}",
        fingerprint=fingerprint,
        markdown=shown.as_markdown(same),
        tables={f"leaderboard-{names[b.key]}.json": shown.records([b]) for b in same},
        plots={file: figure for file, figure in plots.items() if figure},
        metrics=metrics,
    )
