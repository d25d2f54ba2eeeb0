"""The scaler as a parameter of the search, for any family."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer

from popsearch.models import Scores
from popsearch.models.once import FittedOnce
from popsearch.plan import Plan, prepare
from popsearch.run import run
from popsearch.space import Params
from scripted import train

SEARCHED = "+model.space.scaler={type:categorical,choices:[minmax,quantile]}"
RIDGE = ("model=ridge", "data.rows=400", "tracking=none")
FOUR: list[Params] = [
    {"alpha": 1.0, "scaler": "quantile"},
    {"alpha": 1.0, "scaler": "minmax"},
    {"alpha": 50.0, "scaler": "quantile"},
    {"alpha": 50.0, "scaler": "minmax"},
]


class Several(FittedOnce):
    """A set of any size, each member by itself."""

    def __init__(
        self, model: Any, members: Sequence[Params], rows: Any, prunable: bool = True
    ) -> None:
        self._each = [FittedOnce(model, [member], rows, prunable) for member in members]
        self.resources = self._each[0].resources

    def advance(self) -> Scores:
        scores = [training.advance() for training in self._each]
        return Scores(*map(np.concatenate, zip(*scores, strict=True)))

    def drop(self, members: Iterable[int]) -> None:
        """Train them on: nothing hangs on it here."""


def plan_of(compose: Any, *more: str) -> Plan:
    """Give a plan of ridge whose members are trained in sets."""
    return replace(prepare(compose(*RIDGE, *more)), way=Several)


@pytest.mark.parametrize("split", ["holdout", "kfold"])
def test_each_member_sees_the_rows_of_its_own_scaler(split: str, compose: Any) -> None:
    """Its curve is the one it has in a plan whose only scaler is that one."""
    outcomes = train(plan_of(compose, SEARCHED, f"split={split}").training(FOUR), 4)
    for outcome, params in zip(outcomes, FOUR, strict=True):
        plan = plan_of(compose, f"model.scaler={params['scaler']}", f"split={split}")
        (alone,) = train(plan.training([{"alpha": params["alpha"]}]), 1)
        assert outcome.curve == alone.curve
        assert outcome.best_step == alone.best_step
    assert len({outcome.curve[-1].val_mse for outcome in outcomes}) == 4


def test_a_refit_uses_the_members_scaler(compose: Any) -> None:
    """The winner's pipeline is that of a plan with its scaler, whatever the family's own is."""
    plan = prepare(compose(*RIDGE, SEARCHED))
    X, _ = plan.open_test()
    predictions = []
    for params in FOUR[:2]:
        other = prepare(compose(*RIDGE, f"model.scaler={params['scaler']}"))
        ours = plan.refit(params, 100).predict(X)
        np.testing.assert_array_equal(ours, other.refit({"alpha": 1.0}, 100).predict(X))
        predictions.append(ours)
    assert not np.allclose(*predictions)


def test_known_good_sets_have_the_familys_own_scaler(compose: Any) -> None:
    """A set that says nothing of it is tried with what it was good with."""
    for own in ("minmax", "quantile"):
        plan = prepare(compose(*RIDGE, SEARCHED, f"model.scaler={own}"))
        assert plan.space.known_good == tuple(
            {"alpha": alpha, "scaler": own} for alpha in (1.0, 5.0)
        )
    narrow = SEARCHED.replace("minmax", "standard")
    plan = prepare(compose(*RIDGE, narrow))
    assert plan.space.known_good == ()
    assert len(plan.space.left_out) == 2
    why = "scaler must be one of ['standard', 'quantile'], but got the family's own, 'minmax'"
    assert all(why in told for told in plan.space.left_out)
    given = "model.known_good=[{alpha: 2.0, scaler: quantile}]"
    assert prepare(compose(*RIDGE, narrow, given)).space.known_good == (
        {"alpha": 2.0, "scaler": "quantile"},
    )


def test_a_study_searches_the_scaler(compose: Any, workdir: Path) -> None:
    """Both are tried; every trial's error is that of scikit-learn's pipeline with its scaler."""
    cfg = compose(*RIDGE, SEARCHED, "n_trials=8", "sampler=random", "pruner=none")
    result, plan = run(cfg, workdir, ""), prepare(cfg)
    trials = optuna.load_study(study_name=result.study, storage="sqlite:///optuna.db").trials
    assert {trial.params["scaler"] for trial in trials} == {"minmax", "quantile"}
    X, y, (rows,) = plan.table.X, plan.table.y, plan.split.folds

    def pipeline(params: Any, n_rows: int) -> Any:
        n = min(1000, n_rows)
        normal = QuantileTransformer(n_quantiles=n, output_distribution="normal")
        scaler = normal if params["scaler"] == "quantile" else MinMaxScaler()
        return make_pipeline(scaler, Ridge(alpha=params["alpha"]))

    for trial in trials:
        fitted = pipeline(trial.params, len(rows.train)).fit(X.iloc[rows.train], y[rows.train])
        expected = mean_squared_error(y[rows.val], fitted.predict(X.iloc[rows.val]))
        assert trial.value == pytest.approx(expected, rel=1e-9)
    known, sealed = plan.split.known, plan.split.test
    winner = pipeline(result.best_params, len(known)).fit(X.iloc[known], y[known])
    expected = mean_squared_error(y[sealed], winner.predict(X.iloc[sealed]))
    assert result.test_mse == pytest.approx(expected, rel=1e-9)


def test_other_scalers_to_choose_from_are_another_study(compose: Any) -> None:
    """A score found with one set of scalers is not taken for one of another space."""
    names = {
        prepare(compose(*RIDGE, *more)).study_name
        for more in ([], [SEARCHED], [SEARCHED.replace("minmax", "standard")])
    }
    assert len(names) == 3
