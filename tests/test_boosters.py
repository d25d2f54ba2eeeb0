"""LightGBM, XGBoost and CatBoost: what goes beyond the contract that all families hold."""

import gc
import sys
import threading
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from fresh import WITHOUT_POPSEARCH, start
from popsearch import __main__, threads, trial
from popsearch.interrupt import Interrupted, Interrupts
from popsearch.models import boosters, estimator
from popsearch.models.aside import Aside, Inside
from popsearch.outcome import Outcome
from popsearch.plan import Plan, prepare
from popsearch.run import run

FAMILIES = {"lightgbm": "n_jobs", "xgboost": "n_jobs", "catboost": "thread_count"}
SMALL = ("data.rows=600", "model.steps.budget=20")


@pytest.fixture(params=FAMILIES)
def family(request: Any) -> str:
    """One of the three."""
    return str(request.param)


@pytest.fixture
def plan(family: str, compose: Any) -> Plan:
    """One of the three on a small demo table."""
    return prepare(compose(f"model={family}", *SMALL))


def test_a_library_that_is_not_there_is_one_line(
    family: str, workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the library the command says what installs it, ends with 2 and leaves nothing."""
    monkeypatch.setitem(sys.modules, family, None)
    monkeypatch.setattr(sys, "argv", ["popsearch", f"model={family}"])
    with pytest.raises(SystemExit) as end:
        __main__.main()
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"needs {family}, which is not installed" in line
    assert line.endswith("install it (pip install 'popsearch[boosters]')")
    assert list(workdir.iterdir()) == []


def test_the_stored_model_needs_the_library_and_not_popsearch(
    family: str, compose: Any, workdir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The winner's model names its library, is no pickle, and predicts the same by itself."""
    cfg = compose(f"model={family}", *SMALL, "n_trials=1", "data.rows=300")
    run(cfg, workdir, "")
    assert not (workdir / "catboost_info").exists()
    assert not {"Warning", "bestTest", "[LightGBM]"} & {*capfd.readouterr().err.split()}
    mlflow.set_tracking_uri(f"sqlite:///{workdir}/mlflow.db")
    (model,) = mlflow.search_logged_models(experiment_ids=["1"], output_format="list")
    files = list(Path(model.artifact_location).rglob("*"))
    assert not [file for file in files if file.suffix == ".pkl"]
    (requirements,) = (file for file in files if file.name == "requirements.txt")
    assert family in {line.partition("==")[0] for line in requirements.read_text().splitlines()}
    X, y = prepare(cfg).open_test()
    X.to_parquet(workdir / "X.parquet")
    code = WITHOUT_POPSEARCH + (
        "import mlflow, pandas\n"
        "X = pandas.read_parquet(sys.argv[2])\n"
        "print(*mlflow.pyfunc.load_model(sys.argv[1]).predict(X))"
    )
    done = start(code, model.artifact_location, str(workdir / "X.parquet"))
    assert done.returncode == 0, done.stderr
    here = mlflow.pyfunc.load_model(model.model_uri).predict(X)
    there = np.array(done.stdout.splitlines()[-1].split(), dtype=float)
    np.testing.assert_allclose(there, here, rtol=1e-6)
    assert len(there) == len(y)


def test_a_library_takes_the_threads_that_openmp_has(plan: Plan, family: str) -> None:
    """Few rows get one thread, as in every family; a number of the user's own stands."""
    name = FAMILIES[family]
    with threads.limited(plan.n_train_rows):
        assert boosters.n_openmp() == 1
        training: Any = plan.training([plan.space.known_good[0]])
    assert training._estimator.get_params()[name] == 1
    own = plan.cfg.model.model_copy(update={"fixed": {**plan.cfg.model.fixed, name: 3}})
    of_user: Any = plan.way(own, [plan.space.known_good[0]], plan.rows)
    assert of_user._estimator.get_params()[name] == 3


def test_many_rows_get_many_threads(monkeypatch: pytest.MonkeyPatch, compose: Any) -> None:
    """A thread for so many rows each, and never more than OpenMP has."""
    monkeypatch.setattr(boosters, "n_openmp", lambda: 4)
    model = compose("model=lightgbm", "data.rows=600").model
    given = [boosters.LightGBM._threads(model, n)["n_jobs"] for n in (10, 499_999, 500_000, 9**9)]
    assert given == [1, 1, 2, 4]


@pytest.mark.parametrize("family", ["lightgbm", "xgboost"], indirect=True)
def test_the_refitted_model_has_no_number_of_threads(plan: Plan, family: str) -> None:
    """Where the stored model is loaded there may be more threads, or fewer.

    CatBoost predicts with all threads, whatever it was fitted with.
    """
    rows = plan.rows
    fitted = plan.way.refit(plan.cfg.model, plan.space.known_good[0], 5, rows.X_train, rows.y_train)
    assert fitted.get_params()["n_jobs"] is None


@pytest.mark.parametrize("more", [{"tree_method": "exact"}, {"max_bin": 16}])
def test_xgboost_has_the_same_table_as_its_own_fit(more: dict[str, Any], compose: Any) -> None:
    """Whatever the way to split, the steps are those of XGBoost's own fit."""
    plan = prepare(compose("model=xgboost", *SMALL))
    model = plan.cfg.model.model_copy(update={"fixed": {**plan.cfg.model.fixed, **more}})
    training = plan.way(model, [plan.space.known_good[1]], plan.rows)
    for _ in training.resources:
        training.advance()
    fitted = estimator.build(model, plan.space.known_good[1], n_estimators=20)
    expected = fitted.fit(plan.rows.X_train, plan.rows.y_train).predict(plan.rows.X_val)
    np.testing.assert_array_equal(training.model(0, 1).predict(plan.rows.X_val), expected)


def test_parameters_that_lightgbm_does_not_name_can_be_set(faults_of: Any) -> None:
    """LightGBM's settings beside those of its estimator are known, and others refused."""
    command = ("model=lightgbm", "data.rows=600")
    assert faults_of(*command, "+model.fixed.max_bin=63", "+model.fixed.path_smooth=1") == []
    assert faults_of(*command, "+model.fixed.max_bins=63") == [
        "model.fixed.max_bins is not a parameter of LGBMRegressor; did you mean max_bin?"
    ]


def test_catboost_must_be_told_the_learning_rate(faults_of: Any) -> None:
    """Else it would take another for the search than for the refit."""
    command = ("model=catboost", "data.rows=600", "~model.space.learning_rate")
    (fault,) = faults_of(*command)
    assert fault.startswith("model.space.learning_rate must be there")
    assert faults_of(*command, "+model.fixed.learning_rate=0.1") == []


def test_known_good_sets_of_catboost_are_left_out_when_the_space_is_narrowed(compose: Any) -> None:
    """A set that names what is no longer searched is left out, and is no fault."""
    plan = prepare(compose("model=catboost", *SMALL, "~model.space.rsm"))
    assert [line.partition(":")[0] for line in plan.space.left_out] == [
        "model.known_good[0] is left out",
        "model.known_good[1] is left out",
    ]


def test_what_learns_nothing_more_still_has_all_steps(compose: Any) -> None:
    """A boosting that finds no split goes on with the same scores to the last step."""
    for name, more in (("lightgbm", "min_child_samples"), ("xgboost", "min_child_weight")):
        plan = prepare(compose(f"model={name}", *SMALL))
        params = {**plan.space.known_good[0], more: 100_000}
        training = plan.training([params])
        first, second = training.advance(), training.advance()
        assert first.val_mse == second.val_mse


@pytest.mark.parametrize("refit", [False, True])
def test_a_time_limit_ends_a_fit_in_a_thread(refit: bool, compose: Any) -> None:
    """It stops the search, and is no failure of CatBoost's fit; the thread ends."""
    plan = prepare(compose("model=catboost", "data.rows=3000", "model.steps.budget=100000"))
    params, rows, n_threads = plan.space.known_good[0], plan.rows, threading.active_count()

    def train() -> None:
        with Interrupts(0.3) as interrupts, interrupts.allowed():
            if refit:
                plan.way.refit(plan.cfg.model, params, 100_000, rows.X_train, rows.y_train)
            training = plan.training([params])
            for _ in training.resources:
                training.advance()

    with pytest.raises(Interrupted):
        train()
    assert threading.active_count() == n_threads


def test_what_a_fit_raises_is_raised_where_it_is_resumed() -> None:
    """The error comes with the step in which it happened; after the end there is nothing."""

    def fit(inside: Inside) -> None:
        assert inside.hand_out(1)
        raise ValueError("no")

    aside = Aside(fit)
    assert aside.resume() == 1
    with pytest.raises(ValueError, match="no"):
        aside.resume()
    assert aside.resume() is None


def test_a_fit_that_nobody_waits_for_ends() -> None:
    """Where the training vanishes in the middle, its thread does too."""
    ended = threading.Event()

    def fit(inside: Inside) -> None:
        while inside.hand_out(1):
            pass
        ended.set()

    aside = Aside(fit)
    assert aside.resume() == aside.resume() == 1
    del aside
    gc.collect()
    assert ended.wait(10)


def test_nothing_is_warned_about(plan: Plan) -> None:
    """A trial trains without a warning, which would be told with it."""
    outcomes: list[Outcome] = []
    training = plan.training([plan.space.known_good[1]])
    trial.Steps(training, 1, lambda _, outcome: False, lambda _, o: outcomes.append(o), None).run()
    assert outcomes[0].state == "complete"
    assert outcomes[0].warnings == []
