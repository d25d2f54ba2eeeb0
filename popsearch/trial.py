"""Runs one set of trials through a training: knows neither Optuna nor MLflow."""

import time
import traceback
import warnings
from collections.abc import Callable

import numpy as np

from popsearch.models import Scores, Training, TrainingDied
from popsearch.outcome import Outcome, Point

Watch = Callable[[int, Outcome], bool]
"""Hears (member, how it went so far) after every step; true means: prune it."""

Ended = Callable[[int, Outcome], None]
"""Hears (member, how it went) as soon as a member has come to its end."""


def run(
    training: Training, n_members: int, watch: Watch, ended: Ended, patience: int | None
) -> None:
    """Train every member to its end: the last step, pruned, out of patience, or failed.

    Parameters
    ----------
    watch
        Is called for every live member after each step.
    ended
        Is called once for every member.
    patience
        Steps without a better validation score that end a member.

    Raises
    ------
    TrainingDied
        If the process that trains ended; members that have not ended can be tried again.
    """
    outcomes = [Outcome() for _ in range(n_members)]
    live = set(range(n_members))
    n_steps = len(training.resources)
    for step, resource in enumerate(training.resources, start=1):
        started = time.perf_counter()
        try:
            # Told with the trial, not on the terminal, where they would hide the search.
            with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
                scores = training.advance()
        except TrainingDied:
            raise
        except Exception as error:
            # Whatever a library raises in training ends these trials and not the search.
            for member in sorted(live):
                outcome = outcomes[member]
                outcome.fit_s += (time.perf_counter() - started) / len(live)
                _fail(outcome, f"{type(error).__name__}: {error}", traceback.format_exc())
                ended(member, outcome)
            return
        share_s = (time.perf_counter() - started) / len(live)
        gone = set()
        for member in sorted(live):
            outcome = outcomes[member]
            outcome.fit_s += share_s
            outcome.warnings += sorted({str(w.message) for w in caught} - {*outcome.warnings})
            _append(outcome, scores, member, resource, training.keeps_best)
            if outcome.state != "failed":
                if watch(member, outcome):
                    outcome.state = "pruned"
                elif step < n_steps and (patience is None or step - outcome.best_step < patience):
                    continue
            gone.add(member)
            ended(member, outcome)
        training.drop(gone)
        live -= gone
        if not live:
            return


def _append(outcome: Outcome, scores: Scores, member: int, resource: int, keeps_best: bool) -> None:
    refit, *errors = (values[member] for values in scores)
    point = Point(resource, int(refit), *map(float, errors))
    if not np.isfinite([point.train_mse, point.val_mse]).all():
        _fail(outcome, f"diverged: validation MSE is {point.val_mse} after {resource}", "")
        return
    outcome.curve.append(point)
    best = outcome.best
    if best is None or not keeps_best or point.val_mse < best.val_mse:
        outcome.best_step = len(outcome.curve)


def _fail(outcome: Outcome, reason: str, trace: str) -> None:
    outcome.state, outcome.reason, outcome.trace = "failed", reason, trace
