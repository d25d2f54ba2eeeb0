"""After the search: refit the winner, open the sealed test rows once, store the model."""

import contextlib
import importlib.metadata
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch import card, intervals, openings, sqlite
from popsearch.errors import RefitError
from popsearch.interrupt import Interrupted, Interrupts
from popsearch.models.training import mse
from popsearch.plan import Plan
from popsearch.residuals import Residuals
from popsearch.study import Asked, Study
from popsearch.tracking import Tracker

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

Look = Callable[[int, "Pipeline", Any, "NDArray[np.float64]"], None]
"""Sees the winner, its number, what it sees of the test rows and what it predicts of them."""

MILLION = 1_000_000
N_TIMED, TIMED_S = 3, 2.0  # predictions that are timed, and seconds after which none is begun


@dataclass(frozen=True)
class TestScores:
    """Errors on the test rows, with what they are to be compared with.

    Parameters
    ----------
    trials
        The winner, and those whose mean was scored beside it.
    mean_mse
        Of the mean of the training and validation targets.
    ensemble_n, ensemble_mse, ensemble_mae
        Of the mean prediction of so many of the best trials, where the family asks for that.
    floor_mse
        Of what a perfect model would predict, where that is known.
    test_mse_low, test_mse_high, ...
        Bounds of 95 % bootstrap intervals over the test rows.
    refit_s
        Seconds of fitting the winner once more.
    predict_million_s
        Seconds in which it predicts a million rows, measured on the test rows.
    stored
        Whether the model and its residuals could be stored; else the same command does it.
    model
        The address of the stored model; empty without tracking.
    """

    __test__ = False  # not a test, whatever its name begins with

    trials: list[int]
    test_mse: float
    test_mae: float
    test_r2: float | None
    mean_mse: float
    floor_mse: float | None
    ensemble_n: int | None = None
    ensemble_mse: float | None = None
    ensemble_mae: float | None = None
    test_mse_low: float | None = None
    test_mse_high: float | None = None
    test_mae_low: float | None = None
    test_mae_high: float | None = None
    test_r2_low: float | None = None
    test_r2_high: float | None = None
    refit_s: float | None = None
    predict_million_s: float | None = None
    stored: bool = True
    model: str | None = None


def finish(
    plan: Plan,
    study: Study,
    tracker: Tracker,
    interrupts: Interrupts,
    complain: Callable[[RefitError], None],
    look: Look = lambda *opened: None,
) -> TestScores | None:
    """Score the winner on the test rows: none where no trial is complete.

    Where the family asks for it, the mean of the best trials is scored beside it: of those that
    can be refitted, and ``complain`` hears of the others. ``look`` draws while the rows are open,
    before the scores are stored: where it is broken off, the same command does all of it again.

    What was scored before is not scored again, so that the same command given twice
    opens the test rows once, unless the model could not be stored the first time. Every
    opening is stored before it is done.

    Raises
    ------
    Interrupted
        If the user stops it while the winner is fitted; nothing was scored then.
    RefitError
        If a library refuses what only the test rows hold, or all rows together.
    """
    best = study.best()
    if best is None:
        return None
    known: dict[str, Any] | None = study.note("test")
    top = study.top(max(1, plan.cfg.model.mean_of))  # the first one is the best
    numbers = [trial.number for trial in top]
    if known is not None and known["trials"] == numbers and known.get("stored", True):
        return TestScores(**known)
    fitted, began, refit_s = [], time.monotonic(), 0.0
    for trial in top:
        with _told(trial, best, complain), np.errstate(all="ignore"), interrupts.allowed():
            fitted.append((trial, plan.refit(trial.params, int(trial.scores["best_resource"]))))
            refit_s = refit_s or time.monotonic() - began  # of the first one
    tracker.describe(openings.tags(openings.note(study, numbers)))
    X, y = plan.open_test()
    predictions: list[NDArray[np.float64]] = []
    predict_s = 0.0
    for trial, pipeline in fitted:
        with _told(trial, best, complain), np.errstate(all="ignore"):
            n_timed = 1 if predictions else N_TIMED  # the winner is the first
            predicted, took_s = _timed(pipeline, X, n_timed)
            predictions.append(predicted)
            predict_s = predict_s or took_s
    residuals, variance = y - predictions[0], float(y.var())
    of_all = y - np.mean(predictions, axis=0)
    several = len(predictions) > 1
    by_chance = intervals.of_scores(residuals, y)
    scores = TestScores(
        trials=numbers,
        test_mse=mse(residuals),
        test_mae=float(np.abs(residuals).mean()),
        test_r2=1 - mse(residuals) / variance if variance else None,
        mean_mse=mse(y - plan.table.y[plan.split.known].mean()),
        floor_mse=_floor(plan),
        ensemble_n=len(predictions) if several else None,
        ensemble_mse=mse(of_all) if several else None,
        ensemble_mae=float(np.abs(of_all).mean()) if several else None,
        test_mse_low=by_chance.mse.low,
        test_mse_high=by_chance.mse.high,
        test_mae_low=by_chance.mae.low,
        test_mae_high=by_chance.mae.high,
        test_r2_low=by_chance.r2.low if by_chance.r2 else None,
        test_r2_high=by_chance.r2.high if by_chance.r2 else None,
        refit_s=refit_s,
        predict_million_s=predict_s / len(X) * MILLION,
    )
    winner, kept = fitted[0][1], residuals.astype(np.float32)
    look(best.number, winner, X, predictions[0])
    kept_here(plan.cfg.storage.url, study.name).offer(best.number, scores.test_mse, lambda: kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's advice on models, not the user's concern
        packages = requirements(plan.machine.packages)
        told = card.of_winner(plan, study, scores)
        address = tracker.log_model(winner, plan.intake, plan.example, packages, told)
    stored = address is not None and tracker.log_test_residuals(best.number, kept)
    # What could not be stored is by the same command: it fits the winner once more.
    study.note("test", asdict(scores := replace(scores, stored=stored, model=address)))
    return scores


@contextlib.contextmanager
def _told(trial: Asked, best: Asked, complain: Callable[[RefitError], None]) -> Iterator[None]:
    """Raise what a library raises of the best trial; of another one only complain."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:  # whatever a library raises; the search itself is done
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        where, rest = f"trial {trial.number}", "the mean of the best is without it"
        if trial.number == best.number:
            where, rest = f"{where}, the best,", "its validation score stands"
        told = RefitError(f"{where} cannot be refitted and tested: {reason}; {rest}")
        if trial.number == best.number:
            raise told from error
        complain(told)


def requirements(more: Sequence[str] = ()) -> list[str]:
    """Give what the stored model needs to be loaded, at the versions it was made with."""
    names = ("scikit-learn", "skops", "numpy", "pandas", "pyarrow", "scipy", *more)
    return [f"{name}=={importlib.metadata.version(name)}" for name in names]


def kept_here(url: str, study: str) -> Residuals:
    """Give what is kept on this computer of a study's residuals on the test rows."""
    return Residuals(f"{sqlite.absolute(url)}/{study}/test", [])


def _timed(pipeline: "Pipeline", X: Any, n: int) -> "tuple[NDArray[np.float64], float]":
    """Give predictions and their seconds: the least of n, of fewer where they take long."""
    took: list[float] = []
    while len(took) < n and sum(took) < TIMED_S:
        began = time.perf_counter()
        predicted = pipeline.predict(X)
        took.append(time.perf_counter() - began)
    return predicted, min(took)


def _floor(plan: Plan) -> float | None:
    if plan.table.true_mean is None:
        return None
    test = plan.split.test
    return mse(plan.table.y[test] - plan.table.true_mean[test])
