"""The mean of the best trials, scored on the test rows beside the winner."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from popsearch import finish
from popsearch.config import Config
from popsearch.interrupt import Interrupts
from popsearch.plan import Plan, prepare
from popsearch.run import Result, run
from popsearch.space import Params
from popsearch.study import Study
from popsearch.tracking import Tracker

SMALL = ("model=ridge", "data.rows=400", "n_trials=6", "sampler=random")
SETS = [{"alpha": alpha} for alpha in (1.0, 0.5, 1.0, 2.0, 0.5, 900.0)]
ERRORS = [3.0, 2.0, 1.0, 4.0, 2.5, 0.5]  # as told; the last trial is pruned


@pytest.fixture
def finished(compose: Any, workdir: Path) -> Any:
    """Give the function that finishes a study of known trials, with the mean of so many."""
    cfg: Config = compose(*SMALL, "tracking=none")
    plan = prepare(cfg)
    study = Study(cfg, "study", plan.space, plan.n_steps)
    for params in SETS:
        study._study.enqueue_trial(params)
    asked = [trial for trial in study.ask(8) if trial.number >= 2]  # after the known-good sets
    for trial, val_mse in zip(asked, ERRORS, strict=True):
        state: Any = "pruned" if val_mse == 0.5 else "complete"
        study.tell(trial, state, {"val_mse": val_mse, "best_resource": 9, "best_step": 1})

    def finished(mean_of: int, complain: Any = pytest.fail) -> tuple[Plan, finish.TestScores]:
        own = cfg.model.model_copy(update={"mean_of": mean_of})
        mine = replace(plan, cfg=cfg.model_copy(update={"model": own}))
        with Interrupts(None) as interrupts:
            scores = finish.finish(mine, study, Tracker(), interrupts, complain)
        assert scores is not None
        return mine, scores

    return finished


@pytest.mark.parametrize(
    ("mean_of", "alphas"), [(2, [1.0, 0.5]), (3, [1.0, 0.5, 2.0]), (9, [1.0, 0.5, 2.0])]
)
def test_the_mean_of_the_best_is_scored_beside_the_winner(
    mean_of: int, alphas: list[float], finished: Any
) -> None:
    """Its errors are those of the mean of what each different set predicts, refitted."""
    plan, scores = finished(mean_of)
    X, y = plan.open_test()
    sets: list[Params] = [{"alpha": alpha} for alpha in alphas]
    refitted = [plan.refit(params, 9).predict(X) for params in sets]
    mean = np.mean(refitted, axis=0)
    assert scores.ensemble_n == len(alphas)
    assert scores.ensemble_mse == pytest.approx(mean_squared_error(y, mean), rel=1e-12)
    assert scores.ensemble_mae == pytest.approx(mean_absolute_error(y, mean), rel=1e-12)
    assert scores.test_mse == pytest.approx(mean_squared_error(y, refitted[0]), rel=1e-12)
    assert scores.trials[0] == 4  # alpha 1, the lower of the two


@pytest.mark.parametrize("when", ["refit", "predict"])
def test_one_that_cannot_be_refitted_costs_the_winner_nothing(
    when: str, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean is that of the others, and what failed is told by its own number."""

    class Refuses:
        def predict(self, X: Any) -> Any:
            raise ArithmeticError("singular matrix")

    def refit(plan: Plan, params: Params, resource: int) -> Any:
        if params["alpha"] != 0.5:
            return real(plan, params, resource)
        return Refuses() if when == "predict" else Refuses().predict(None)

    real = Plan.refit
    monkeypatch.setattr(Plan, "refit", refit)
    told: list[Any] = []
    plan, scores = finished(3, told.append)
    assert [str(error) for error in told] == [
        "trial 3 cannot be refitted and tested: ArithmeticError: singular matrix; the mean of the "
        "best is without it"
    ]
    X, y = plan.open_test()
    left = [real(plan, {"alpha": alpha}, 9).predict(X) for alpha in (1.0, 2.0)]
    assert scores.test_mse == pytest.approx(mean_squared_error(y, left[0]), rel=1e-12)
    expected = mean_squared_error(y, np.mean(left, axis=0))
    assert (scores.ensemble_n, scores.ensemble_mse) == (2, pytest.approx(expected, rel=1e-12))


@pytest.mark.parametrize("mean_of", [0, 1])
def test_without_a_mean_the_winner_stands_alone(mean_of: int, finished: Any) -> None:
    """A family that asks for none, or for that of one, has no scores of a mean."""
    _, scores = finished(mean_of)
    assert (scores.ensemble_n, scores.ensemble_mse, scores.ensemble_mae) == (None, None, None)
    assert scores.test_mse > 0


def run_with(compose: Any, folder: Path, *more: str) -> Result:
    """Run a small study."""
    return run(compose(*SMALL, *more), folder, "")


def test_result_report_and_run_carry_the_mean(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """result.json, the last table and the study's run tell what scikit-learn finds by hand."""
    result = run_with(compose, workdir, "+model.mean_of=2")
    plan = prepare(compose(*SMALL))
    trials = optuna.load_study(study_name=result.study, storage="sqlite:///optuna.db").trials
    done = sorted((t for t in trials if t.state == TrialState.COMPLETE), key=lambda t: t.value)
    X, y, known, sealed = plan.table.X, plan.table.y, plan.split.known, plan.split.test
    predictions = [
        make_pipeline(MinMaxScaler(), Ridge(alpha=trial.params["alpha"]))
        .fit(X.iloc[known], y[known])
        .predict(X.iloc[sealed])
        for trial in done[:2]
    ]
    mean = (predictions[0] + predictions[1]) / 2
    assert result.ensemble_n == 2
    assert result.ensemble_mse == pytest.approx(mean_squared_error(y[sealed], mean), rel=1e-9)
    assert result.ensemble_mae == pytest.approx(mean_absolute_error(y[sealed], mean), rel=1e-9)
    expected = mean_squared_error(y[sealed], predictions[0])
    assert result.test_mse == pytest.approx(expected, rel=1e-9)
    stored = json.loads((workdir / "result.json").read_text())
    names = ("ensemble_n", "ensemble_mse", "ensemble_mae")
    assert [stored[name] for name in names] == [getattr(result, name) for name in names]
    client = mlflow.MlflowClient(f"sqlite:///{workdir}/mlflow.db")
    metrics = client.get_run(str(result.mlflow_run_id)).data.metrics
    assert [metrics[name] for name in names[1:]] == [result.ensemble_mse, result.ensemble_mae]
    shown = f"MSE {result.ensemble_mse:.2f}   MAE {result.ensemble_mae:.3f} (test)"
    assert f"mean of best 2  {shown}" in capsys.readouterr().out


def test_the_test_rows_are_opened_once_for_winner_and_mean(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command again gives the same scores from the record."""
    more = ("+model.mean_of=3", "tracking=none")
    opened = []
    real = Plan.open_test
    monkeypatch.setattr(Plan, "open_test", lambda plan: opened.append(1) or real(plan))
    first = run_with(compose, workdir, *more)
    again = run_with(compose, workdir, *more)
    assert len(opened) == 1
    assert {**vars(again), "duration_s": 0} == {**vars(first), "duration_s": 0}
