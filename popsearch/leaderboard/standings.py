"""Who stands where: studies that may be compared, in order, with ranks that noise does not make."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from popsearch import intervals
from popsearch.study import StoredTrial

KEY = ("data_fingerprint", "features_digest", "split_digest")
COUNTED = ("complete", "pruned", "failed")

ResidualsOf = Callable[["Row"], NDArray[np.float32] | None]
"""Gives the residuals of a row's winner on the test rows, (n_rows,), where they are kept."""


@dataclass(frozen=True)
class Row:
    """What a study came to.

    Parameters
    ----------
    rank
        Shared by rows that differ by no more than noise; none without a test score.
    trial
        The winner that was tested, or the best so far.
    test_mse_low, test_mse_high
        A 95 % bootstrap interval over the test rows.
    n_openings
        How often the study opened its test rows.
    time_s
        Seconds in which trials ran, and of the refit.
    predict_million_s
        Seconds in which the winner predicts a million rows.
    """

    study: str
    family: str
    rank: int | None
    trial: int | None
    val_mse: float | None
    val_mae: float | None
    val_r2: float | None
    test_mse: float | None
    test_mse_low: float | None
    test_mse_high: float | None
    test_mae: float | None
    test_r2: float | None
    n_openings: int
    n_complete: int
    n_pruned: int
    n_failed: int
    time_s: float
    predict_million_s: float | None
    champion: bool = False


@dataclass(frozen=True)
class Board:
    """The studies on the same data, features and split.

    Parameters
    ----------
    about
        Which data, features and split, as a study stores it.
    mean_mse, floor_mse
        On the test rows: of the mean of the other targets, and what no model can beat.
    unpaired
        Studies whose residuals are not kept: nothing shares their rank.
    """

    about: Mapping[str, str]
    mean_mse: float | None
    floor_mse: float | None
    rows: Sequence[Row]
    unpaired: Sequence[str] = ()

    @property
    def key(self) -> str:
        """What the studies of this board, and no others, agree in."""
        return key(self.about)


def key(about: Mapping[str, str]) -> str:
    """Give what two studies must agree in to be compared."""
    return hashlib.sha256(" ".join(about[name] for name in KEY).encode()).hexdigest()[:8]


def row(study: str, notes: Mapping[str, Any], trials: Sequence[StoredTrial]) -> Row:
    """Give what a study came to, without a rank.

    Parameters
    ----------
    notes
        What is stored about it.
    """
    test: Mapping[str, Any] = notes.get("test") or {}
    complete = [t for t in trials if t.state == "complete"]
    best = min(complete, key=lambda t: (t.scores["val_mse"], t.number), default=None)
    tested = next((t for t in complete if t.number in test.get("trials", [])[:1]), best)
    scores = tested.scores if tested else {}
    counts = {state: sum(t.state == state for t in trials) for state in COUNTED}
    return Row(
        study=study,
        family=notes["about"]["family"],
        rank=None,
        trial=tested.number if tested else None,
        val_mse=scores.get("val_mse"),
        val_mae=scores.get("val_mae"),
        val_r2=scores.get("val_r2"),
        test_mse=test.get("test_mse"),
        test_mse_low=test.get("test_mse_low"),
        test_mse_high=test.get("test_mse_high"),
        test_mae=test.get("test_mae"),
        test_r2=test.get("test_r2"),
        n_openings=len(notes.get("test_openings") or []),
        n_complete=counts["complete"],
        n_pruned=counts["pruned"],
        n_failed=counts["failed"],
        time_s=_covered_s(trials) + (test.get("refit_s") or 0.0),
        predict_million_s=test.get("predict_million_s"),
    )


def board(
    about: Mapping[str, str],
    tests: Iterable[Mapping[str, Any]],
    rows: Iterable[Row],
    residuals_of: ResidualsOf,
) -> Board:
    """Give the rows in order of their test MSE, those without one last, by validation.

    A row shares the rank of the ones before it if a paired bootstrap on the test rows does not tell
    it from the first of them.

    Parameters
    ----------
    tests
        What studies stored of their test scores; the references are the same in all.
    """
    known: Mapping[str, Any] = next((test for test in tests if test), {})
    ordered = sorted(rows, key=_order)
    ranked: list[Row] = []
    unpaired: list[str] = []
    first: NDArray[np.float32] | None = None
    for place, each in enumerate(ordered, start=1):
        if each.test_mse is None:
            ranked.append(each)
            continue
        own = residuals_of(each)
        if own is None:
            unpaired.append(each.study)
        if place > 1 and first is not None and own is not None and _alike(first, own):
            ranked.append(replace(each, rank=ranked[-1].rank))
        else:
            first = own
            ranked.append(replace(each, rank=place))
    return Board(about, known.get("mean_mse"), known.get("floor_mse"), ranked, unpaired)


def _order(row: Row) -> tuple[bool, float, bool, float, str]:
    known = [np.inf if value is None else value for value in (row.test_mse, row.val_mse)]
    return row.test_mse is None, known[0], row.val_mse is None, known[1], row.study


def _alike(first: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    if first.shape != other.shape:
        return False
    low, high = intervals.of_difference(first, other)
    return low <= 0 <= high


def _covered_s(trials: Iterable[StoredTrial]) -> float:
    """Give the seconds in which at least one trial ran, of those that ended by themselves."""
    spans = sorted((t.began, t.ended) for t in trials if t.state in COUNTED and t.began and t.ended)
    seconds, until = 0.0, datetime.min
    for began, ended in spans:
        seconds += max(0.0, (ended - max(began, until)).total_seconds())
        until = max(until, ended)
    return seconds
