"""scikit-learn's models that grow in stages: gradient boosting and forests."""

import copy
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from popsearch.family import ModelConfig, StageSteps
from popsearch.models import estimator
from popsearch.models.growing import GrowingInPlace
from popsearch.models.training import Rows, free_mib
from popsearch.space import Params

NODE_BYTES = 72  # of a tree of scikit-learn, with the value that it predicts


class GradientBoosting(GrowingInPlace):
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


class HistGradientBoosting(GrowingInPlace):
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


class Forest(GrowingInPlace):
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
