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
    and the step that is best on the average counts, as in the boosters' own ``cv`` functions: one
    number of stages for all folds, which the refit can use (Stone, 1974,
    doi:10.1111/j.2517-6161.1974.tb00994.x).

    Parameters
    ----------
    way
        Trains the members on one fold.
    patience
        Steps within a fold without a better score that end a member there.
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
        self._curves: list[list[NDArray[np.float64]]] = [[] for _ in members]

    def advance(self) -> Scores:
        """Train every live member on the next fold to its end."""
        params = [self._members[member] for member in self._live]
        fold = len(next(curves for m, curves in enumerate(self._curves) if m in self._live))
        training = self._way(self._model, params, self._folds[fold], prunable=False)
        for place, curve in enumerate(self._train(training, len(params))):
            self._curves[self._live[place]].append(curve)
        rows = [len(fold.y_val) for fold in self._folds[: fold + 1]]
        means = np.full((len(Scores._fields), len(self._members)), np.nan)
        for member in self._live:
            means[:, member] = self._mean(self._curves[member], rows)
        refit, *errors = means
        return Scores(np.rint(np.nan_to_num(refit)).astype(np.intp), *errors)

    def drop(self, members: Iterable[int]) -> None:
        """Leave these out of the folds that follow."""
        self._live = [member for member in self._live if member not in {*members}]

    def _train(self, training: Training, n_members: int) -> list[NDArray[np.float64]]:
        """Give the curve of every member on one fold, each of shape (n_steps, n_figures)."""
        curves: list[list[list[float]]] = [[] for _ in range(n_members)]
        best = [(np.inf, 0)] * n_members
        live = {*range(n_members)}
        for step in range(len(training.resources)):
            scores = training.advance()
            for member in live:
                curves[member].append([float(values[member]) for values in scores])
                if scores.val_mse[member] < best[member][0]:
                    best[member] = float(scores.val_mse[member]), step
            patience = self._patience or len(training.resources)
            done = {member for member in live if step - best[member][1] >= patience}
            training.drop(done)
            live -= done
            if not live:
                break
        training.drop(live)
        return [np.array(curve) for curve in curves]

    def _mean(self, curves: list[NDArray[np.float64]], rows: list[int]) -> NDArray[np.float64]:
        """Give the figures at the step that is best on average, (n_figures,)."""
        n_steps = min(len(curve) for curve in curves)
        mean = np.average([curve[:n_steps] for curve in curves], axis=0, weights=rows)
        val_mse = mean[:, Scores._fields.index("val_mse")]
        chosen: NDArray[np.float64] = mean[int(np.argmin(val_mse)) if self._way.keeps_best else -1]
        return chosen
