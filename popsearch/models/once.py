"""Models that are fitted once: their steps are rungs of rows."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from popsearch.family import ModelConfig, RowSteps
from popsearch.models import estimator
from popsearch.models.training import OneByOne, Rows, Scores, StepsKind, score
from popsearch.space import Params


class FittedOnce(OneByOne):
    """A set of one, fitted anew at each step on a larger share of the training rows.

    The training rows are in random order, so the first n are a random sample. A rung on fewer
    rows tells early that a member is weak (successive halving over rows: Jamieson and
    Talwalkar, 2016, arXiv:1502.07943); the model is always that of the last step.
    """

    keeps_best: ClassVar[bool] = False
    steps_kind: ClassVar[StepsKind] = "rows"

    def __init__(
        self, model: ModelConfig, members: Sequence[Params], rows: Rows, prunable: bool = True
    ) -> None:
        assert isinstance(model.steps, RowSteps)
        (self._params,) = members
        self._model, self._rows = model, rows
        fractions = model.steps.fractions if prunable else [1.0]
        n = len(rows.y_train)
        self.resources: Sequence[int] = sorted(
            {max(2, round(fraction * n)) for fraction in fractions}
        )
        self._fitted: list[Any] = []

    def advance(self) -> Scores:
        """Fit on the next rung of rows; all of its training rows are scored."""
        n, rows = self.resources[len(self._fitted)], self._rows
        fitted = estimator.build(self._model, self._params)
        fitted.fit(rows.X_train[:n], rows.y_train[:n])
        self._fitted.append(fitted)
        seen = Rows(rows.X_train[:n], rows.y_train[:n], rows.X_val, rows.y_val)
        return score(seen, n, fitted.predict(seen.X_train), fitted.predict(seen.X_val))

    def drop(self, members: Iterable[int]) -> None:
        """Do nothing: a step that is not taken costs nothing."""

    def model(self, member: int, step: int) -> Any:
        """Give the estimator fitted at a step."""
        return self._fitted[step]

    @classmethod
    def refit(
        cls,
        model: ModelConfig,
        params: Params,
        resource: int,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> Any:
        """Fit on all of these rows: the resource was only how many were looked at."""
        return estimator.build(model, params).fit(X, y)
