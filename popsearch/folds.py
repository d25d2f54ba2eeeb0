"""Training scored by k folds: each step is a fold, trained from its beginning to its end."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from popsearch.family import ModelConfig
from popsearch.models import Rows, Scores, Training, WayOfTraining
from popsearch.space import Params


class Folds:
    """The members of a training, once for each fold; scores are means over the folds so far.

    Where every step of the training is a model of its own, the curves of the folds are averaged
    and the step that is best on the average counts: one number of stages for all folds, which the
    refit can use (Stone, 1974, doi:10.1111/j.2517-6161.1974.tb00994.x). A fold in which no step
    is better for a while waits; where a later one goes on longer, it follows, so that the average
    is over all of them at every step.

    Parameters
    ----------
    way
        Trains the members on one fold.
    patience
        Steps within a fold without a better score of any member that end it.
    """

    keeps_best: ClassVar[bool] = False

    def __init__(
        self,
        way: type[WayOfTraining],
        model: ModelConfig,
        members: Sequence[Params],
        folds: Sequence[Rows],
        patience: int | None,
    ) -> None:
        self.resources: Sequence[int] = range(1, len(folds) + 1)
        self._way, self._model, self._members = way, model, members
        self._folds, self._patience = folds, patience
        self._live = [*range(len(members))]
        self._begun: list[_Fold] = []

    def advance(self) -> Scores:
        """Train every live member on the next fold to its end, and on the others as far."""
        rows = self._folds[len(self._begun)]
        training = self._way(
            self._model, [self._members[m] for m in self._live], rows, prunable=False
        )
        self._begun.append(_Fold(training, [*self._live], len(rows.y_val)))
        self._begun[-1].train(self._patience)
        n_steps = max(fold.n_steps for fold in self._begun)
        for fold in self._begun:
            fold.follow(n_steps)
        means = np.full((len(Scores._fields), len(self._members)), np.nan)
        for member in self._live:
            means[:, member] = self._mean(member)
        refit, *errors = means
        return Scores(np.rint(np.nan_to_num(refit)).astype(np.intp), *errors)

    def drop(self, members: Iterable[int]) -> None:
        """Leave these out of the folds that follow."""
        dropped = {*members}
        self._live = [member for member in self._live if member not in dropped]
        for fold in self._begun:
            fold.drop(dropped)

    def val_residuals(self, member: int, step: int) -> NDArray[np.float32]:
        """Give those of all folds so far one after the other, each at the step that counts."""
        chosen = self._chosen(self._means(member))
        return np.concatenate([fold.val_residuals(member, chosen) for fold in self._begun])

    def predict_s(self, member: int, step: int) -> float:
        """Give the seconds for the validation rows of all folds so far."""
        chosen = self._chosen(self._means(member))
        return sum(fold.predict_s(member, chosen) for fold in self._begun)

    def _mean(self, member: int) -> NDArray[np.float64]:
        """Give the figures at the step that counts, (n_figures,)."""
        means = self._means(member)
        figures: NDArray[np.float64] = means[self._chosen(means)]
        return figures

    def _means(self, member: int) -> NDArray[np.float64]:
        """Give the means over the folds after every step, (n_steps, n_figures)."""
        curves = [fold.curve(member) for fold in self._begun]
        means: NDArray[np.float64] = np.average(
            curves, axis=0, weights=[fold.n_val for fold in self._begun]
        )
        return means

    def _chosen(self, means: NDArray[np.float64]) -> int:
        """Give the step that is best on average; the last where a step is only a cheaper look."""
        val_mse = means[:, Scores._fields.index("val_mse")]
        return int(np.argmin(val_mse)) if self._way.keeps_best else len(val_mse) - 1


class _Fold:
    """The training on one fold, and its curves so far; ``members`` are those that began it."""

    def __init__(self, training: Training, members: list[int], n_val: int) -> None:
        self.n_val = n_val
        self._training, self._members = training, members
        self._scores: list[Scores] = []

    @property
    def n_steps(self) -> int:
        return len(self._scores)

    def train(self, patience: int | None) -> None:
        """Train until no member has become better for a while, or to the last step."""
        best = np.full(len(self._members), np.inf)
        since = np.zeros(len(self._members))
        for _ in self._training.resources:
            self._scores.append(self._training.advance())
            better = self._scores[-1].val_mse < best
            best = np.where(better, self._scores[-1].val_mse, best)
            since = np.where(better, 0, since + 1)
            if patience is not None and since.min() >= patience:
                return

    def follow(self, n_steps: int) -> None:
        """Train on to this step."""
        while self.n_steps < n_steps:
            self._scores.append(self._training.advance())

    def curve(self, member: int) -> NDArray[np.float64]:
        """Give the figures of a member after every step, (n_steps, n_figures)."""
        place = self._members.index(member)
        return np.array([[values[place] for values in scores] for scores in self._scores])

    def val_residuals(self, member: int, step: int) -> NDArray[np.float32]:
        """Give target less prediction of every validation row of the fold, after a step."""
        return self._training.val_residuals(self._members.index(member), step)

    def predict_s(self, member: int, step: int) -> float:
        """Give the seconds in which a member predicts the validation rows of the fold."""
        return self._training.predict_s(self._members.index(member), step)

    def drop(self, members: set[int]) -> None:
        """Stop training these."""
        self._training.drop([i for i, member in enumerate(self._members) if member in members])
