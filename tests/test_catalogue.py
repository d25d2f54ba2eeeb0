"""What the catalogue's features are worth on the real tracks, and that nothing leaks into them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from popsearch.plan import Plan, prepare

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tracks.csv.gz"

pytestmark = pytest.mark.skipif(
    not SHARED.exists(), reason="the shared file of real tracks is not here"
)


def plan_of(compose: Any, features: str, *more: str) -> Plan:
    """Give the plan of histogram boosting on the real tracks."""
    where = f"data.path={SHARED}"
    return prepare(compose("model=hist_gbr", "data=tracks", where, f"features={features}", *more))


def test_mse(plan: Plan) -> float:
    """Give the test MSE of scikit-learn's defaults, refitted as a winner is."""
    model = plan.refit({}, 100)
    assert isinstance(model[-1], HistGradientBoostingRegressor)
    X, y = plan.open_test()
    return float(np.square(y - model.predict(X)).mean())


test_mse.__test__ = False  # type: ignore[attr-defined]  # a figure, not a test


def test_the_catalogue_cuts_the_error_by_a_quarter(compose: Any) -> None:
    """With the library's defaults the test MSE falls from about 89 by a quarter or more."""
    audio, catalogue = (test_mse(plan_of(compose, name)) for name in ("audio", "catalogue"))
    assert audio == pytest.approx(89, abs=1.5)
    assert catalogue < 0.75 * audio


@pytest.mark.parametrize("split", ["holdout", "grouped"])
def test_a_shuffled_target_leaves_nothing_to_learn(compose: Any, split: str) -> None:
    """Training rows with each other's popularity: on validation no better than the mean."""
    plan = plan_of(compose, "catalogue", f"split={split}")
    (fold,) = plan.split.folds
    y = plan.table.y.copy()
    y[fold.train] = np.random.default_rng(1).permutation(y[fold.train])
    rows = replace(plan, table=replace(plan.table, y=y)).rows
    fitted = HistGradientBoostingRegressor(random_state=0).fit(rows.X_train, rows.y_train)
    mean_mse = float(np.square(rows.y_val - rows.y_train.mean()).mean())
    val_mse = float(np.square(rows.y_val - fitted.predict(rows.X_val)).mean())
    assert val_mse == pytest.approx(mean_mse, rel=0.02)
    # Nor can the training rows be told apart by an encoding that has seen their own targets.
    correlations = [abs(np.corrcoef(column, rows.y_train)[0, 1]) for column in rows.X_train.T[-2:]]
    assert max(correlations) < 0.02


def test_nothing_is_fitted_on_validation_and_test_rows(compose: Any) -> None:
    """Other targets in validation and test rows change no feature of any row."""
    plan = plan_of(compose, "catalogue")
    y = plan.table.y.copy()
    (fold,) = plan.split.folds
    unseen = np.concatenate([fold.val, plan.split.test])
    y[unseen] = np.random.default_rng(1).permutation(y[unseen]) + 50
    other = replace(plan, table=replace(plan.table, y=y))
    np.testing.assert_array_equal(plan.rows.X_train, other.rows.X_train)
    np.testing.assert_array_equal(plan.rows.X_val, other.rows.X_val)
