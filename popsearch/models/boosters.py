"""Gradient boosting of three other libraries: LightGBM, XGBoost and, in ``cat_boost.py``, CatBoost.

They come with ``pip install 'popsearch[boosters]'``. Each library keeps the running predictions
of all rows itself, so that a score costs no pass over the trees.
"""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from popsearch.family import ModelConfig
from popsearch.models.growing import Growing, GrowingInPlace
from popsearch.models.training import Machine, Rows
from popsearch.space import Params

LIGHTGBM_MORE = frozenset(
    [
        *("alpha", "bin_construct_sample_cnt", "cat_l2", "cat_smooth", "data_sample_strategy"),
        *("deterministic", "enable_bundle", "extra_trees", "feature_fraction_bynode"),
        *("force_col_wise", "force_row_wise", "linear_lambda", "linear_tree", "max_bin"),
        *("max_cat_threshold", "max_delta_step", "min_data_in_bin", "other_rate", "path_smooth"),
        *("top_rate", "use_quantized_grad", "verbose"),
    ]
)


def n_openmp() -> int:
    """Give the threads that OpenMP may use here, which are as many as there are for this work."""
    from threadpoolctl import threadpool_info

    libraries = threadpool_info()
    return min(int(lib["num_threads"]) for lib in libraries if lib["user_api"] == "openmp")


class Booster(Growing):
    """What the three have in common: each is told how many threads there are for it.

    Parameters
    ----------
    more
        What the estimator takes beside the parameters that it names.
    """

    more: ClassVar[frozenset[str]] = frozenset()
    package: ClassVar[str]
    threads: ClassVar[str] = "n_jobs"
    """The estimator's parameter for the number of threads."""

    # With 71,000 rows a second thread gains nothing, with 284,000 a tenth at best; and beside
    # other work on the machine the two wait for each other five times as long as they work.
    rows_per_thread: ClassVar[int] = 250_000

    def __init__(
        self, model: ModelConfig, members: Sequence[Params], rows: Rows, prunable: bool = True
    ) -> None:
        super().__init__(model, members, rows, prunable)
        self._estimator.set_params(**self._threads(model, len(rows.y_train)))

    @classmethod
    def machine(cls, model: ModelConfig) -> Machine:
        """Give the processor, and the library that a stored model needs."""
        return Machine(packages=(cls.package,))

    @classmethod
    def _fit_alone(
        cls, model: ModelConfig, unfitted: Any, X: NDArray[np.float64], y: NDArray[np.float64]
    ) -> Any:
        n_threads = cls._threads(model, len(y))
        own = {name: unfitted.get_params()[name] for name in n_threads}
        fitted = unfitted.set_params(**n_threads).fit(X, y)
        return fitted.set_params(**own)  # where it is loaded there may be other threads

    @classmethod
    def _threads(cls, model: ModelConfig, n_rows: int) -> Params:
        """Give the setting for the number of threads, where the user has none."""
        if cls.threads in model.fixed:
            return {}
        return {cls.threads: max(1, min(n_openmp(), n_rows // cls.rows_per_thread))}


class LightGBM(Booster, GrowingInPlace):
    """LightGBM's LGBMRegressor (Ke et al., 2017)."""

    package: ClassVar[str] = "lightgbm"
    more: ClassVar[frozenset[str]] = LIGHTGBM_MORE

    def _fit(self) -> None:
        from lightgbm.callback import CallbackEnv, EarlyStopException

        rows = self._rows
        predictions: list[NDArray[np.float64]] = []

        def keep(prediction: NDArray[np.float64], _: Any) -> tuple[str, float, bool]:
            predictions.append(prediction)
            return "", 0.0, False

        def watch(env: CallbackEnv) -> None:
            booster: Any = env.model
            if env.iteration == 0:
                train = booster.train_set
                # With its settings: others would change the number of threads for all.
                val = train.create_valid(rows.X_val, rows.y_val, params=train.params)
                booster.add_valid(val, "validation")
            if env.iteration + 1 in self.resources:
                booster.eval_train(keep)  # hands out what it has, computes nothing
                booster.eval_valid(keep)
                val_prediction, train_prediction = predictions.pop(), predictions.pop()
                if self._reached(env.iteration + 1, train_prediction, val_prediction):
                    raise EarlyStopException(env.iteration, [])

        # Else it would measure its own metric at every stage.
        self._estimator.set_params(metric="None").fit(rows.X_train, rows.y_train, callbacks=[watch])

    def _cut(self, n_stages: int) -> Any:
        from lightgbm import Booster as Fitted

        text = self._estimator.booster_.model_to_string(num_iteration=n_stages)
        model = copy.copy(self._estimator).set_params(**{self._param: n_stages})
        model._Booster = Fitted(model_str=text)
        return model


class XGBoost(Booster, GrowingInPlace):
    """XGBoost's XGBRegressor (Chen and Guestrin, 2016, doi:10.1145/2939672.2939785)."""

    package: ClassVar[str] = "xgboost"

    def _fit(self) -> None:
        from xgboost import Booster as Fitted
        from xgboost import DMatrix, QuantileDMatrix

        rows, params = self._rows, self._estimator.get_xgb_params()
        n = params["n_jobs"]
        # What its own fit takes; the bins are those of the training rows.
        binned = params.get("tree_method") in (None, "auto", "hist")
        kind: Any = QuantileDMatrix if binned else DMatrix
        bins = {"max_bin": params.get("max_bin") or 256} if binned else {}
        train = kind(rows.X_train, rows.y_train, nthread=n, **bins)
        bins |= {"ref": train} if binned else {}
        val = kind(rows.X_val, rows.y_val, nthread=n, **bins)
        self._booster = Fitted(params, cache=[train, val])
        for i in range(self.resources[-1]):
            self._booster.update(train, i)
            if i + 1 in self.resources:
                predictions = self._booster.predict(train), self._booster.predict(val)
                if self._reached(i + 1, *predictions):
                    return

    def _cut(self, n_stages: int) -> Any:
        model = copy.copy(self._estimator).set_params(**{self._param: n_stages})
        model.load_model(self._booster[:n_stages].save_raw())
        return model
