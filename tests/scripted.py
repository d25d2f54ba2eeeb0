"""Trainings whose validation errors are written down beforehand, and how their members end."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np

from popsearch import trial
from popsearch.models import Scores, Training
from popsearch.outcome import Outcome


class Scripted:
    """A training whose validation errors are written down beforehand, a row per step."""

    keeps_best: ClassVar[bool] = True

    def __init__(self, val_mse: Sequence[Sequence[float]], raises_at: int | None = None) -> None:
        self.resources = [10 * (i + 1) for i in range(len(val_mse))]
        self._val, self._raises_at, self.step = val_mse, raises_at, 0
        self.dropped: list[int] = []

    def advance(self) -> Scores:
        if self.step == self._raises_at:
            raise ValueError("no solution")
        val = np.array(self._val[self.step])
        self.step += 1
        stages = np.full(len(val), 10 * self.step)
        return Scores(stages, val / 2, val / 4, val, val / 8)

    def drop(self, members: Iterable[int]) -> None:
        self.dropped += list(members)


class Rungs(Scripted):
    """The same, where earlier steps are only a cheaper look."""

    keeps_best = False


def go_on(member: int, outcome: Outcome) -> bool:
    """Never prune."""
    return False


def train(
    training: Training,
    n_members: int,
    watch: trial.Watch = go_on,
    patience: int | None = None,
) -> list[Outcome]:
    """Train all members and give how each went, in their order; each is told to end once."""
    ended: dict[int, Outcome] = {}

    def hear(member: int, outcome: Outcome) -> None:
        assert member not in ended
        ended[member] = outcome

    trial.Steps(training, n_members, watch, hear, patience).run()
    assert sorted(ended) == [*range(n_members)]
    return [ended[member] for member in range(n_members)]
