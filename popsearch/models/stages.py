"""Models that grow in stages: boosting and forests, advanced a block of stages at a time.

A library's ``fit`` runs to its end once called. Here it runs inside a greenlet that hands the
scores out at every block and waits to be resumed, so that a search can look, prune and stop
without refitting: one ``fit`` per trial, whatever the number of steps.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from greenlet import greenlet
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from popsearch.family import ModelConfig, StageSteps
from popsearch.models import estimator
from popsearch.models.training import OneByOne, Rows, Scores, StepsKind, free_mib, score
from popsearch.space import Params

NODE_BYTES = 72  # of a tree of scikit-learn, with the value that it predicts


class Stages(OneByOne, ABC):
    """A set of one, grown by ``every`` stages a step up to ``budget``.

    A family of this kind is a subclass with ``_fit`` and ``_cut``.
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
        self._rows, self._dropped, self._param = rows, False, steps.param
        own = {**self.settings, steps.param: steps.budget}
        self._estimator = estimator.build(model, params, **own)
        self._run = greenlet(self._fit)

    def advance(self) -> Scores:
        """Resume the fit until the next block of stages is done."""
        scores: Scores = self._run.switch()
        return scores

    def drop(self, members: Iterable[int]) -> None:
        """End the fit where it stands; the stages so far are a fitted model."""
        if not self._dropped and self._run and list(members):
            self._dropped = True
            self._run.switch()

    def model(self, member: int, step: int) -> Any:
        """Give the model with the stages of the first steps only."""
        if not self._run.dead:
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
        return estimator.build(model, params, **own).fit(X, y)

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

    @abstractmethod
    def _cut(self, n_stages: int) -> Any:
        """Give the fitted model with only its first stages."""


class GradientBoosting(Stages):
    """scikit-learn's GradientBoostingRegressor (Friedman, 2001, doi:10.1214/aos/1013203451)."""

    def _fit(self) -> None:
        rows = self._rows
        X_val = rows.X_val.astype(np.float32)  # what its trees work on
        val: NDArray[np.float64] | None = None

        def monitor(i: int, fitted: Any, state: dict[str, Any]) -> bool:
            nonlocal val
            if val is None:
                val = np.asarray(fitted.init_.predict(rows.X_val), dtype=np.float64)
            val += fitted.learning_rate * fitted.estimators_[i, 0].predict(X_val)
            return self._reached(i + 1, state["raw_predictions"][:, 0], val)

        self._estimator.fit(rows.X_train, rows.y_train, monitor=monitor)

    def _cut(self, n_stages: int) -> Any:
        model = copy.copy(self._estimator)
        model.estimators_ = model.estimators_[:n_stages]
        model.n_estimators = model.n_estimators_ = n_stages
        return model


class HistGradientBoosting(Stages):
    """scikit-learn's HistGradientBoostingRegressor, after LightGBM (Ke et al., 2017)."""

    # Its default would hold back a tenth of more than 10,000 rows and stop by itself.
    settings: ClassVar[Params] = {"early_stopping": False}

    def _fit(self) -> None:
        rows = self._rows
        self._estimator = _Watched(
            **{**self._estimator.get_params(), "early_stopping": True, "scoring": "loss"}
        )
        self._estimator.reached = self._reached
        self._estimator.fit(rows.X_train, rows.y_train, X_val=rows.X_val, y_val=rows.y_val)

    def _cut(self, n_stages: int) -> Any:
        own = {**self.settings, self._param: n_stages}
        model = HistGradientBoostingRegressor(**{**self._estimator.get_params(), **own})
        state = {k: v for k, v in vars(self._estimator).items() if k not in vars(model)}
        del state["reached"]
        vars(model).update(state)
        model._predictors = self._estimator._predictors[:n_stages]
        return model


class _Watched(HistGradientBoostingRegressor):  # type: ignore[misc]
    """Tells its predictions after every iteration, where its own early stopping would look.

    The library offers no callback; this method is where it holds the running predictions of
    all rows, so that a score costs no pass over the trees.
    """

    reached: Any

    def _check_early_stopping_loss(
        self, raw_predictions: Any, raw_predictions_val: Any, **_: Any
    ) -> bool:
        inverse = self._loss.link.inverse
        stop: bool = self.reached(
            len(self._predictors),
            inverse(raw_predictions[:, 0]),
            inverse(raw_predictions_val[:, 0]),
        )
        return stop


class Forest(Stages):
    """scikit-learn's forests (Breiman, 2001, doi:10.1023/A:1010933404324), tree by tree."""

    @classmethod
    def memory_mib(cls, model: ModelConfig, params: Params, rows: Rows) -> tuple[float, float]:
        """Give what the nodes of all trees take at least, and what is free.

        A leaf that could be split has been, so it has fewer than two times the fewest rows.
        Nothing is told of trees with a limit of another kind.
        """
        assert isinstance(model.steps, StageSteps)
        own = estimator.build(model, params).get_params()
        smallest, share = own["min_samples_leaf"], own["max_samples"] or 1.0
        limits = (own["max_leaf_nodes"], own["min_impurity_decrease"], own["min_samples_split"])
        if limits != (None, 0.0, 2) or not isinstance(smallest, int) or isinstance(share, int):
            return 0.0, free_mib()
        # Of rows that are drawn with repetition two thirds are different.
        n_rows = len(rows.y_train) * (0.6 * share if own["bootstrap"] else 1.0)
        n_leaves = min(n_rows / (2 * smallest), 2.0 ** (own["max_depth"] or 99))
        return model.steps.budget * 2 * n_leaves * NODE_BYTES / 2**20, free_mib()

    def _fit(self) -> None:
        rows = self._rows
        fitted = self._estimator.set_params(warm_start=True)
        X_train, X_val = rows.X_train.astype(np.float32), rows.X_val.astype(np.float32)
        train, val, done = np.zeros(len(X_train)), np.zeros(len(X_val)), 0
        for n in self.resources:
            fitted.set_params(**{self._param: n}).fit(X_train, rows.y_train)
            for tree in fitted.estimators_[done:]:
                train += tree.predict(X_train)
                val += tree.predict(X_val)
            done = n
            if self._reached(n, train / n, val / n):
                return

    def _cut(self, n_stages: int) -> Any:
        model = copy.copy(self._estimator).set_params(**{self._param: n_stages})
        model.estimators_ = model.estimators_[:n_stages]
        return model
