"""Two objectives: a small error against quick predictions."""

import json
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import pytest
from sklearn.linear_model import Ridge

from popsearch.models import Rows
from popsearch.models.training import predict_s
from popsearch.plan import prepare
from popsearch.run import Result, run

TWO = "objectives=[val_mse,predict_s]"
TREE = ("model=decision_tree", "data.rows=600", "n_trials=12", TWO)


def stored(study: str) -> list[optuna.trial.FrozenTrial]:
    """Give the trials as a reader from outside finds them."""
    return optuna.load_study(study_name=study, storage="sqlite:///optuna.db").trials


def searched(compose: Any, folder: Path, *more: str) -> Result:
    """Search small trees for both."""
    return run(compose(*TREE, *more), folder, "")


def test_the_front_is_what_nothing_beats(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its definition, from the stored trials; the winner is the one with the lowest error."""
    result = searched(compose, workdir)
    trials = stored(result.study)
    assert len(trials) == 12
    values = np.array([trial.values for trial in trials])
    no_worse = (values[:, None] <= values[None]).all(axis=2)
    better = (values[:, None] < values[None]).any(axis=2)
    beaten = (no_worse & better).any(axis=0)
    expected = sorted((*values[i], i) for i in np.flatnonzero(~beaten))
    found = [(point["val_mse"], point["predict_s"], point["trial"]) for point in result.front]
    assert found == expected
    assert result.best_trial == found[0][2]
    assert found[0][0] == values[:, 0].min()
    assert result.test_mse is not None
    assert json.loads((workdir / "result.json").read_text())["front"] == result.front
    assert "no other trial is better in both" in capsys.readouterr().out
    runs = mlflow.search_runs(
        search_all_experiments=True, filter_string="tags.mlflow.parentRunId LIKE '%'"
    )
    assert sorted(runs["metrics.predict_s"]) == sorted(values[:, 1])


def test_nothing_is_pruned(compose: Any, workdir: Path) -> None:
    """What is weak in one objective may be best in the other; all trials are trained to the end."""
    result = searched(compose, workdir, "tracking=none")
    assert result.n_trials == {"complete": 12, "pruned": 0, "failed": 0}
    plan = prepare(compose(*TREE))
    assert list(plan.training([plan.space.known_good[0]]).resources) == [plan.n_train_rows]


def test_other_objectives_are_another_study(compose: Any, workdir: Path) -> None:
    """A study of one objective goes on as before, beside that of two."""
    one = compose("model=decision_tree", "data.rows=600")
    assert prepare(one).study_name != prepare(compose(*TREE)).study_name
    first = searched(compose, workdir, "tracking=none")
    again = searched(compose, workdir, "tracking=none", "n_trials=14")
    assert (again.study, sum(again.n_trials.values())) == (first.study, 14)


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "grid"])
def test_samplers_take_two_objectives(sampler: str, compose: Any, workdir: Path) -> None:
    """Each proposes until the end, beyond its first random trials."""
    if sampler == "gp":
        pytest.importorskip("torch")
    more = [f"sampler={sampler}", "data.rows=200", "tracking=none", "n_trials=13"]
    result = searched(compose, workdir, *more)
    assert result.n_trials["complete"] == 13


def test_folds_predict_all_their_rows(compose: Any, workdir: Path) -> None:
    """With k folds the time is that for the validation rows of all of them."""
    result = searched(compose, workdir, "split=kfold", "split.n_splits=3", "tracking=none")
    assert all(point["predict_s"] > 0 for point in result.front)


def test_the_time_is_that_of_one_prediction() -> None:
    """The least of several: a disturbance in one of them does not count."""

    class Slow(Ridge):
        n = 0

        def predict(self, X: Any) -> Any:
            self.n += 1
            time.sleep(0.5 if self.n == 2 else 0.02)
            return np.zeros(len(X))

    X, y = np.zeros((9, 2)), np.zeros(9)
    assert 0.02 <= predict_s(Rows(X, y, X, y), Slow()) < 0.4


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("objectives=[predict_s]", "must be [val_mse] or [val_mse,predict_s], but got [predict_s]"),
        ("objectives=[val_mse,val_mse]", "but got [val_mse, val_mse]"),
        ("objectives=[]", "objectives must have at least 1 entry, but has none"),
        ("objectives=[val_mse,speed]", "objectives.1 must be 'val_mse' or 'predict_s', but got"),
        (f"{TWO} sampler=cmaes", "sampler=cmaes can make only one score small, but objectives has"),
    ],
)
def test_objectives_that_cannot_be_are_told(typed: str, fault: str, faults_of: Any) -> None:
    """In one line."""
    (found,) = faults_of("model=ridge", "data.rows=500", *typed.split())
    assert fault in found
