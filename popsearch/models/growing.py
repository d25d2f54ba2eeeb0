"""What models that grow in stages have in common: boosting and forests, a block of stages a step.

A library's ``fit`` runs to its end once called. Here it runs where it can wait: it hands the
scores out at every block and is resumed, so that a search can look, prune and stop without
refitting: one ``fit`` per trial, whatever the number of steps.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import sklearn
from greenlet import greenlet
from numpy.typing import NDArray

from popsearch.family import ModelConfig, StageSteps
from popsearch.models import estimator
from popsearch.models.training import OneByOne, Rows, Scores, StepsKind, score
from popsearch.space import Params


class Growing(OneByOne, ABC):
    """A set of one, grown by ``every`` stages a step up to ``budget``.

    ``GrowingInPlace`` is for libraries that call back in Python; ``CatBoost`` runs in a thread.
    """

    keeps_best: ClassVar[bool] = True
    steps_kind: ClassVar[StepsKind] = "stages"

    settings: ClassVar[Params] = {}
    """What the estimator must be told so that it takes all stages that it is asked for."""

    def __init__(
        self, model: ModelConfig, members: Sequence[Params], rows: Rows, prunable: bool = True
    ) -> None:
        assert isinstance(model.steps, StageSteps)
        (params,) = members
        steps = model.steps
        self.resources = [*range(steps.every, steps.budget, steps.every), steps.budget]
        self._rows, self._param = rows, steps.param
        own = {**self.settings, steps.param: steps.budget}
        self._estimator = estimator.build(model, params, **own)

    def model(self, member: int, step: int) -> Any:
        """Give the model with the stages of the first steps only."""
        self.drop([member])
        return self._cut(self.resources[step])

    @classmethod
    def refit(
        cls,
        model: ModelConfig,
        params: Params,
        resource: int,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> Any:
        """Fit with the number of stages that was best."""
        assert isinstance(model.steps, StageSteps)
        own = {**cls.settings, model.steps.param: resource}
        return cls._fit_alone(model, estimator.build(model, params, **own), X, y)

    @classmethod
    def _fit_alone(
        cls, model: ModelConfig, unfitted: Any, X: NDArray[np.float64], y: NDArray[np.float64]
    ) -> Any:
        """Fit to the end, with nobody looking."""
        return unfitted.fit(X, y)

    @abstractmethod
    def advance(self) -> Scores:
        """Resume the fit until the next block of stages is done."""

    @abstractmethod
    def drop(self, members: Iterable[int]) -> None:
        """End the fit where it stands, if it has not ended; the stages so far are a model."""

    @abstractmethod
    def _cut(self, n_stages: int) -> Any:
        """Give the fitted model with only its first stages."""


class GrowingInPlace(Growing):
    """Its fit is a greenlet: it waits in the middle of a callback, in the same thread.

    A family of this kind is a subclass with ``_fit`` and ``_cut``.
    """

    def __init__(
        self, model: ModelConfig, members: Sequence[Params], rows: Rows, prunable: bool = True
    ) -> None:
        super().__init__(model, members, rows, prunable)
        self._dropped = False
        self._settings_inside: dict[str, Any] = {}
        self._run = greenlet(self._fit)

    def advance(self) -> Scores:
        """Resume the fit until the next block of stages is done."""
        scores: Scores = self._resume()
        return scores

    def drop(self, members: Iterable[int]) -> None:
        """End the fit where it stands, if it has not ended; the stages so far are a model."""
        if not self._dropped and self._run and list(members):
            self._dropped = True
            self._resume()

    def _resume(self) -> Any:
        # A fit of scikit-learn changes its global settings until it ends. Of several that wait the
        # first to end would set them back for all, and the last one leave them changed.
        outside = sklearn.get_config()
        sklearn.set_config(**self._settings_inside or outside)
        try:
            return self._run.switch()
        finally:
            self._settings_inside = sklearn.get_config()
            sklearn.set_config(**outside)

    def _reached(
        self,
        n_stages: int,
        train_prediction: NDArray[np.float64],
        val_prediction: NDArray[np.float64],
    ) -> bool:
        """Hand out the scores where a step ends here; true means: stop the fit."""
        if n_stages in self.resources:
            scores = score(self._rows, n_stages, train_prediction, val_prediction)
            search = self._run.parent
            assert search is not None
            search.switch(scores)
        return self._dropped

    @abstractmethod
    def _fit(self) -> None:
        """Fit ``self._estimator``, calling ``_reached`` after every stage."""
