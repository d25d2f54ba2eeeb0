"""Scoring by k folds: what each step reports is what scikit-learn finds fold by fold."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from popsearch.folds import Folds
from popsearch.models import Rows, Scores
from popsearch.plan import prepare
from popsearch.space import Params
from scripted import train

GBR = ["model.steps.budget=40", "model.steps.every=10", "model.steps.patience=null"]


class Written:
    """A way of training whose validation errors are the parameters of its members."""

    keeps_best: ClassVar[bool] = True

    def __init__(self, _: Any, members: Sequence[Params], rows: Rows, prunable: bool) -> None:
        assert not prunable
        offset = rows.y_val[0]
        self._curves = [np.array(m["curve"].split(), float) + offset for m in members]  # type: ignore[union-attr]
        self.resources = [10 * (i + 1) for i in range(len(self._curves[0]))]
        self._step = 0
        self.trained.append(len(members))

    trained: ClassVar[list[int]] = []

    def advance(self) -> Scores:
        self._step += 1
        val = np.array([curve[self._step - 1] for curve in self._curves])
        stages = np.full(len(val), 10 * self._step)
        return Scores(stages, val / 2, val / 4, val, val / 8)

    def drop(self, members: Iterable[int]) -> None:
        """Nothing to stop."""


def written(*curves: str, patience: int | None = None) -> Folds:
    """Give a training over three folds whose curves lie apart by one."""
    Written.trained.clear()
    one = np.zeros((1, 1))
    folds = [Rows(one, one[0], one, np.array([offset])) for offset in (0.0, 1.0, 2.0)]
    members: list[Params] = [{"curve": curve} for curve in curves]
    way: Any = Written
    return Folds(way, None, members, folds, patience)  # type: ignore[arg-type]


def test_patience_counts_the_steps_without_a_better_score() -> None:
    """With two, the third worse step is not taken, whatever would come after it."""
    assert written("5 4 6 6 1", patience=2).advance().val_mse[0] == 4
    assert written("5 4 6 6 1", patience=3).advance().val_mse[0] == 1


def test_a_model_fitted_once_is_scored_as_scikit_learn_scores_it(compose: Any) -> None:
    """After each fold the errors are the means over the folds so far, by their rows."""
    plan = prepare(compose("model=ridge", "split=kfold", "split.n_splits=3", "data.rows=500"))
    (outcome,) = train(plan.training([{"alpha": 2.0}]), 1, patience=plan.patience)
    X, y = plan.table.X, plan.table.y
    errors, sizes = [], []
    for point, fold in zip(outcome.curve, plan.split.folds, strict=True):
        model = make_pipeline(MinMaxScaler(), Ridge(alpha=2.0)).fit(
            X.iloc[fold.train], y[fold.train]
        )
        errors.append(mean_squared_error(y[fold.val], model.predict(X.iloc[fold.val])))
        sizes.append(len(fold.val))
        assert point.val_mse == pytest.approx(np.average(errors, weights=sizes), rel=1e-9)
    assert outcome.best_step == len(outcome.curve) == plan.n_steps == 3


def test_stages_are_counted_on_the_mean_of_the_folds(compose: Any) -> None:
    """The number of stages for the refit is where the folds' curves are lowest on average."""
    plan = prepare(compose("model=gbr", "split=kfold", "split.n_splits=3", "data.rows=600", *GBR))
    params: Params = {"learning_rate": 0.4, "max_depth": 5}
    (outcome,) = train(plan.training([params]), 1, patience=plan.patience)
    plain = GradientBoostingRegressor(n_estimators=40, random_state=777, **params)
    curves = []
    for fold, rows in zip(plan.split.folds, plan.folds, strict=True):
        fitted = clone(plain).fit(rows.X_train, rows.y_train)
        assert len(rows.y_val) == len(fold.val) == 140
        staged = [*fitted.staged_predict(rows.X_val)][9::10]
        curves.append([mean_squared_error(rows.y_val, prediction) for prediction in staged])
        mean = np.mean(curves, axis=0)
        point = outcome.curve[len(curves) - 1]
        assert point.val_mse == pytest.approx(mean.min(), rel=1e-9)
        assert point.refit == 10 * (1 + int(mean.argmin()))
    assert outcome.scores(1.0)["best_resource"] == outcome.curve[-1].refit


def test_a_fold_that_stands_still_follows_the_others(compose: Any) -> None:
    """The mean goes as far as the fold that became better for longest, patience after that."""
    few = ["model.steps.budget=200", "model.steps.every=5", "model.steps.patience=3"]
    plan = prepare(compose("model=gbr", "split=kfold", "data.rows=300", *few))
    params: Params = {"learning_rate": 0.1, "max_depth": 4}
    (outcome,) = train(plan.training([params]), 1, patience=plan.patience)
    plain = GradientBoostingRegressor(n_estimators=200, random_state=777, **params)
    curves, lengths = [], []
    for rows in plan.folds:
        staged = clone(plain).fit(rows.X_train, rows.y_train).staged_predict(rows.X_val)
        curve = [mean_squared_error(rows.y_val, found) for found in staged][4::5]
        lasting = [i for i in range(3, 40) if min(curve[i - 2 : i + 1]) >= min(curve[: i - 2])]
        curves.append(curve)
        lengths.append(min(lasting) + 1 if lasting else 40)
    assert len(set(lengths)) > 1
    assert len(outcome.curve) == len(curves) == 5
    for k, point in enumerate(outcome.curve, start=1):
        mean = np.mean(curves[:k], axis=0)[: max(lengths[:k])]
        assert point.val_mse == pytest.approx(mean.min(), rel=1e-9)
        assert point.refit == 5 * (1 + int(mean.argmin()))


def test_patience_ends_a_fold_and_not_the_trial(compose: Any) -> None:
    """Within a fold a member stops after steps without a better score; all folds are trained."""
    few = ["model.steps.budget=200", "model.steps.every=10", "model.steps.patience=1"]
    plan = prepare(compose("model=gbr", "split=kfold", "data.rows=300", *few))
    params: Params = {"learning_rate": 0.5, "max_depth": 8}
    (outcome,) = train(plan.training([params]), 1, patience=plan.patience)
    assert [point.resource for point in outcome.curve] == [1, 2, 3, 4, 5]
    assert max(point.refit for point in outcome.curve) < 100


def test_members_do_not_know_of_each_other() -> None:
    """A member's scores are the same beside others, and after another was left out."""
    alone = written("5 3 4")
    expected = [float(alone.advance().val_mse[0]) for _ in range(3)]
    assert expected == [3, 3.5, 4]  # the lowest of the mean curve, plus the mean of 0, 1 and 2
    beside = written("9 9 9", "5 3 4", "7 8 9")
    found = [float(beside.advance().val_mse[1])]
    beside.drop([0])
    second = beside.advance()
    assert np.isnan(second.val_mse[0])
    found.append(float(second.val_mse[1]))
    beside.drop([2])
    found.append(float(beside.advance().val_mse[1]))
    assert found == expected
    assert Written.trained == [3, 2, 1]


def test_a_member_that_diverges_in_a_fold_fails() -> None:
    """An error that is no number in one fold is not averaged away."""
    outcomes = train(written("3 2 nan", "3 2 1"), 2)
    assert [outcome.state for outcome in outcomes] == ["failed", "complete"]
    assert "diverged" in outcomes[0].reason


def test_test_rows_are_those_of_holdout(compose: Any) -> None:
    """Scores under kfold and holdout are of the same sealed rows, so they can be compared."""
    parts = [
        prepare(compose(f"split={name}", "data.rows=400")).split for name in ("kfold", "holdout")
    ]
    np.testing.assert_array_equal(parts[0].test, parts[1].test)


def test_no_trial_can_change_the_rows_of_the_next(compose: Any) -> None:
    """Estimators that would work in place (``copy_X=False``) are refused the shared arrays."""
    plan = prepare(compose("data.rows=300", "model=linear", "split=kfold", "features=audio"))
    for rows in plan.folds:
        for shared in (rows.X_train, rows.y_train, rows.X_val, rows.y_val):
            with pytest.raises(ValueError, match="read-only"):
                shared[0] = 0.0
