"""CatBoost's gradient boosting, whose fit runs in a thread of its own."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from popsearch.family import ModelConfig, StageSteps
from popsearch.models.aside import Aside, Inside
from popsearch.models.boosters import Booster
from popsearch.models.training import Rows, Scores, score
from popsearch.space import Params

MEAN_HALF = "Quantile:alpha=0.5;delta=0"  # of the absolute errors; CatBoost's MAE is off by 1e-6


class CatBoost(Booster):
    """CatBoost's CatBoostRegressor (Prokhorenkova et al., 2018, arXiv:1706.09516).

    It calls back from the middle of its own machine code, so its fit runs in a thread: there
    neither Ctrl-C nor a time limit can raise in it, which it would take for a failure.
    """

    package: ClassVar[str] = "catboost"
    threads: ClassVar[str] = "thread_count"
    rows_per_thread: ClassVar[int] = 1  # its threads sleep while they wait

    def __init__(
        self, model: ModelConfig, members: Sequence[Params], rows: Rows, prunable: bool = True
    ) -> None:
        super().__init__(model, members, rows, prunable)
        assert isinstance(model.steps, StageSteps)
        every, budget = model.steps.every, model.steps.budget
        # It measures after stages 1, 11, 21, ...; at every stage that would cost a sixth more.
        self.resources = [*range(every + 1, budget, every), budget]
        self._estimator.set_params(metric_period=every, custom_metric=[MEAN_HALF])
        self._n_done = 0
        stages = frozenset(self.resources)

        def fit(inside: Inside, fitted: Any = self._estimator) -> None:
            data, watch = (rows.X_val, rows.y_val), _Watch(inside, stages)
            fitted.fit(
                rows.X_train, rows.y_train, eval_set=data, use_best_model=False, callbacks=[watch]
            )

        self._aside = Aside(fit)

    def advance(self) -> Scores:
        """Resume the fit until the next block of stages is done."""
        n_stages, rows = self.resources[self._n_done], self._rows
        errors = self._aside.resume()
        self._n_done += 1
        if errors is not None:
            return Scores(np.array([n_stages]), *(np.array([error]) for error in errors))
        # It found nothing more to learn and ended by itself.
        X_train, X_val = (self._estimator.predict(X) for X in (rows.X_train, rows.X_val))
        return score(rows, n_stages, X_train, X_val)

    def drop(self, members: Iterable[int]) -> None:
        """End the fit where it stands; the stages so far are a fitted model."""
        if list(members):
            self._aside.stop()

    @classmethod
    def faults(cls, model: ModelConfig) -> list[str]:
        """Give what of the configuration this way of training cannot do."""
        found = super().faults(model)
        if not {"learning_rate", "eta"} & {*model.fixed, *model.space}:
            found.append(
                "model.space.learning_rate must be there, or model.fixed.learning_rate: else "
                "CatBoost takes another one for every number of stages"
            )
        return found

    @classmethod
    def _fit_alone(
        cls, model: ModelConfig, unfitted: Any, X: NDArray[np.float64], y: NDArray[np.float64]
    ) -> Any:
        unfitted.set_params(**cls._threads(model, len(y)))
        Aside(lambda inside: unfitted.fit(X, y, callbacks=[_Watch(inside, frozenset())])).resume()
        return unfitted

    def _cut(self, n_stages: int) -> Any:
        model = self._estimator.copy()
        model.shrink(min(n_stages, model.tree_count_))
        return model


class _Watch:
    """What CatBoost calls after every stage; it goes on where the answer is true."""

    def __init__(self, inside: Inside, stages: frozenset[int]) -> None:
        self._inside, self._stages = inside, stages

    def after_iteration(self, info: Any) -> bool:
        if info.iteration not in self._stages:
            return not self._inside.stopped
        metrics = [info.metrics[rows] for rows in ("learn", "validation")]
        errors = [(rows["RMSE"][-1] ** 2, 2 * rows[MEAN_HALF][-1]) for rows in metrics]
        return self._inside.hand_out([figure for pair in errors for figure in pair])
