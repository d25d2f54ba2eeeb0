"""Trainings on different rows, advanced together as one."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from popsearch.models.training import Scores, Training


class SideBySide:
    """Several trainings with members of their own, as one training of all of them.

    Parameters
    ----------
    trainings
        Each with the numbers that its members have here. They take the same steps.
    """

    def __init__(self, trainings: Sequence[tuple[Training, Sequence[int]]]) -> None:
        self._trainings = trainings
        first, _ = trainings[0]
        self.keeps_best, self.resources = first.keeps_best, first.resources
        self._live = [{*members} for _, members in trainings]

    def advance(self) -> Scores:
        """Advance each training that has a live member."""
        n_members = sum(len(members) for _, members in self._trainings)
        errors = np.full((len(Scores._fields), n_members), np.nan)
        for (training, members), live in zip(self._trainings, self._live, strict=True):
            if live:
                errors[:, members] = training.advance()
        refit, *others = errors
        return Scores(np.nan_to_num(refit).astype(np.intp), *others)

    def drop(self, members: Iterable[int]) -> None:
        """Tell each training which of its members are dropped."""
        dropped = {*members}
        for (training, own), live in zip(self._trainings, self._live, strict=True):
            live -= dropped
            training.drop([place for place, member in enumerate(own) if member in dropped])

    def val_residuals(self, member: int, step: int) -> NDArray[np.float32]:
        """Ask the training that has this member."""
        training, own = next(found for found in self._trainings if member in found[1])
        return training.val_residuals(list(own).index(member), step)

    def predict_s(self, member: int, step: int) -> float:
        """Ask the training that has this member."""
        training, own = next(found for found in self._trainings if member in found[1])
        return training.predict_s(list(own).index(member), step)
