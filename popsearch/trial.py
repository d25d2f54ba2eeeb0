"""Runs one set of trials through a training: knows neither Optuna nor MLflow."""

import time
import traceback
import warnings
from collections.abc import Callable, Iterable

import numpy as np

from popsearch.models import Scores, Training, TrainingDied
from popsearch.outcome import Outcome, Point

Watch = Callable[[int, Outcome], bool]
"""Hears (member, how it went so far) after every step; true means: prune it."""

Ended = Callable[[int, Outcome], None]
"""Hears (member, how it went) as soon as a member has come to its end."""


class Steps:
    """A training on its way: takes one step after another, and sees what ends its members.

    A member ends at the last step, pruned, out of patience, or failed.

    Parameters
    ----------
    watch
        Is called for every live member after each step.
    ended
        Is called once for every member.
    patience
        Steps without a better validation score that end a member.
    """

    def __init__(
        self, training: Training, n_members: int, watch: Watch, ended: Ended, patience: int | None
    ) -> None:
        self._training, self._watch, self._ended = training, watch, ended
        self._patience = patience
        self.n_taken = 0
        self.outcomes = [Outcome() for _ in range(n_members)]
        self.live = set(range(n_members))

    def run(self) -> None:
        """Bring every member to its end.

        Raises
        ------
        TrainingDied
            As ``take``.
        """
        while self.live:
            self.take()

    def take(self) -> None:
        """Train every live member by one step.

        Raises
        ------
        TrainingDied
            If the process that trains ended; members that have not ended can be tried again.
        """
        started = time.perf_counter()
        try:
            # Told with the trial, not on the terminal, where they would hide the search.
            with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
                scores = self._training.advance()
        except TrainingDied:
            raise
        except Exception as error:
            # Whatever a library raises in training ends these trials and not the search.
            reason, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
            self._fail_all((time.perf_counter() - started) / len(self.live), reason, trace)
            return
        self.n_taken += 1
        share_s = (time.perf_counter() - started) / len(self.live)
        told = {str(warning.message) for warning in caught}
        self.drop([m for m in sorted(self.live) if self._ends(m, scores, share_s, told)])

    def drop(self, members: Iterable[int]) -> None:
        """Train these no longer."""
        dropped = set(members)
        self._training.drop(dropped)
        self.live -= dropped

    def _ends(self, member: int, scores: Scores, share_s: float, told: set[str]) -> bool:
        """Take up what a member came to by a step, and tell whether that was its last."""
        outcome, n_steps = self.outcomes[member], len(self._training.resources)
        outcome.fit_s += share_s
        outcome.warnings += sorted(told - {*outcome.warnings})
        resource = self._training.resources[self.n_taken - 1]
        _append(outcome, scores, member, resource, self._training.keeps_best)
        if outcome.state != "failed":
            without_better = self.n_taken - outcome.best_step
            if self._watch(member, outcome):
                outcome.state = "pruned"
            elif self.n_taken < n_steps and (
                self._patience is None or without_better < self._patience
            ):
                return False
        self._ended(member, outcome)
        return True

    def _fail_all(self, share_s: float, reason: str, trace: str) -> None:
        for member in sorted(self.live):
            outcome = self.outcomes[member]
            outcome.fit_s += share_s
            _fail(outcome, reason, trace)
            self._ended(member, outcome)
        self.live.clear()


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
