"""The straight line as a whole, on small demo tables."""

import json
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from agreement import assert_agree
from killing import in_a_process
from popsearch import finish
from popsearch.interrupt import Interrupted, Interrupts
from popsearch.plan import Plan, prepare
from popsearch.run import Result, run
from popsearch.tracking.runs import MlflowTracker
from popsearch.usage import CONF

SMALL = ("model=ridge", "data.rows=600", "n_trials=4")


class Fragile(Ridge):  # type: ignore[misc]
    """A ridge regression that cannot be fitted with a small penalty."""

    def fit(self, X: Any, y: Any) -> Any:
        """Fit, or fail as a library does."""
        if self.alpha < 10:
            raise ArithmeticError(f"singular matrix at alpha={self.alpha:g}")
        return super().fit(X, y)


def test_the_result_is_that_of_scikit_learn_by_hand(compose: Any, workdir: Path) -> None:
    """Validation and test errors are those of the pipeline one would write oneself."""
    cfg = compose(*SMALL)
    result, plan = run(cfg, workdir, ""), prepare(cfg)
    X, y, (rows,) = plan.table.X.to_numpy(), plan.table.y, plan.split.folds
    known, sealed = plan.split.known, plan.split.test
    assert result.best_params is not None
    pipeline = make_pipeline(MinMaxScaler(), Ridge(alpha=result.best_params["alpha"]))
    val = pipeline.fit(X[rows.train], y[rows.train]).predict(X[rows.val])
    assert result.val_mse == pytest.approx(mean_squared_error(y[rows.val], val), rel=1e-9)
    assert result.val_mae == pytest.approx(mean_absolute_error(y[rows.val], val), rel=1e-9)
    test = pipeline.fit(X[known], y[known]).predict(X[sealed])
    assert result.test_mse == pytest.approx(mean_squared_error(y[sealed], test), rel=1e-9)
    assert result.test_mae == pytest.approx(mean_absolute_error(y[sealed], test), rel=1e-9)
    assert result.test_r2 == pytest.approx(r2_score(y[sealed], test), rel=1e-9)
    mean = np.full(len(sealed), y[known].mean())
    assert result.mean_mse == pytest.approx(mean_squared_error(y[sealed], mean), rel=1e-9)
    assert plan.table.true_mean is not None
    floor = mean_squared_error(y[sealed], plan.table.true_mean[sealed])
    assert result.floor_mse == pytest.approx(floor, rel=1e-9)


def test_result_json_says_what_the_search_came_to(compose: Any, workdir: Path) -> None:
    """The file for scripts holds every promised field, with the values of the result."""
    result = run(compose(*SMALL), workdir, "")
    assert "MLFLOW_TRACKING_URI" not in os.environ  # the next study of a sweep would take it
    found = json.loads((workdir / "result.json").read_text())
    promised = {"study", "model", "data", "fingerprint", "n_trials", "best_params", "best_step"}
    promised |= {"val_mse", "val_mae", "test_mse", "test_mae", "mlflow_run_id", "duration_s"}
    assert promised <= set(found)
    assert found == {**asdict(result), "n_trials": dict(result.n_trials)}
    assert sum(found["n_trials"].values()) == 4


def test_the_stored_model_predicts_the_test_rows(compose: Any, workdir: Path) -> None:
    """The MLflow model loads by itself, takes the table's columns, and has the test score."""
    cfg = compose("model=hist_gbr", "data.rows=600", "n_trials=2")
    result = run(cfg, workdir, "")
    mlflow.set_tracking_uri(f"sqlite:///{workdir}/mlflow.db")
    (model,) = mlflow.search_logged_models(experiment_ids=["1"], output_format="list")
    assert model.source_run_id == result.mlflow_run_id
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    plan = prepare(cfg)
    X, y = plan.open_test()
    assert mean_squared_error(y, loaded.predict(X)) == pytest.approx(result.test_mse)
    assert loaded.metadata.signature.inputs.input_names() == list(plan.table.X.columns)
    files = [p.suffix for p in Path(model.artifact_location).rglob("*")]
    assert ".skops" in files
    assert ".pkl" not in files


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONF / "split").glob("*.yaml")))
def test_a_study_runs_on_every_split(
    name: str, compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each way to split is searched, pruned between its steps, scored and tracked to the end."""
    group = "split.group_by=[key,mode]" if name == "grouped" else "timeout=null"
    size = ["data.rows=900", "n_trials=12", "model.space.alpha.high=1e6"]
    cfg = compose("model=ridge", f"split={name}", group, *size)
    result = run(cfg, workdir, "")
    assert sum(result.n_trials.values()) == 12
    assert result.n_trials["pruned"] > 0
    assert result.test_mse is not None
    assert result.mean_mse is not None
    assert result.test_mse < result.mean_mse
    assert (" of 5 folds  " in capsys.readouterr().out) == (name == "kfold")
    assert_agree(workdir, result.study, 12)


@pytest.mark.parametrize("family", ["ridge", "hist_gbr"])
def test_a_table_of_any_kind_runs_from_file_to_stored_model(
    family: str, compose: Any, workdir: Path
) -> None:
    """Categories, dates, labels of yes and no, and missing values are searched, stored, loaded."""
    rng = np.random.default_rng(7)
    n = 400
    frame = pd.DataFrame(
        {
            "shop": rng.integers(0, 60, n).astype(str),
            "colour": rng.choice(["red", "green", None], n),
            "opened": pd.date_range("2019-01-05", periods=n, freq="D").astype(str),
            "outlet": rng.random(n) > 0.5,
            "area": np.where(rng.random(n) < 0.2, np.nan, rng.random(n)),
            "remark": [f"no. {i}" for i in range(n)],
        }
    )
    frame["sales"] = frame["shop"].astype(int) + 9 * frame["outlet"] + rng.normal(0, 3, n)
    frame["shop"] = "s" + frame["shop"]
    frame.to_csv("shops.csv", index=False)
    few = ["model.steps.budget=60"] if family == "hist_gbr" else []
    cfg = compose(
        f"model={family}",
        "data=csv",
        "data.path=shops.csv",
        "data.target=sales",
        "n_trials=4",
        *few,
    )
    result, plan = run(cfg, workdir, ""), prepare(cfg)
    assert result.study.startswith(f"shops-{family}-")
    assert result.test_r2 is not None
    assert result.test_r2 > 0.8  # of what is not noise
    mlflow.set_tracking_uri(f"sqlite:///{workdir}/mlflow.db")
    (model,) = mlflow.search_logged_models(experiment_ids=["1"], output_format="list")
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    X, y = plan.open_test()
    assert "remark" not in X
    assert mean_squared_error(y, loaded.predict(X)) == pytest.approx(result.test_mse)


def test_what_makes_scores_too_good_is_told_and_stored(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of the target and repeated rows are named before the search, and stored."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"a": rng.random(300), "b": rng.random(300), "y": rng.random(300)})
    frame["copied"] = frame["y"] * 3
    pd.concat([frame, frame[:50]]).to_csv("leaky.csv", index=False)
    cfg = compose("model=ridge", "data=csv", "data.path=leaky.csv", "data.target=y", "n_trials=1")
    result = run(cfg, workdir, "")
    out = capsys.readouterr().out
    before = out[: out.index("study leaky-ridge-")]
    assert len(result.warnings) == 2
    for line in result.warnings:
        assert f"warning: {line}" in before
    assert "copied" in result.warnings[1]
    assert "repeat" in result.warnings[0]
    client = mlflow.MlflowClient(f"sqlite:///{workdir}/mlflow.db")
    tags = client.get_run(str(result.mlflow_run_id)).data.tags
    assert tags["popsearch.warnings"].splitlines() == result.warnings
    choices = ("model", "features", "split")
    assert [tags[f"popsearch.{name}"] for name in choices] == ["ridge", "all", "holdout"]


def test_the_same_command_again_adds_nothing(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished study is reported again: no new trial, and the test rows stay closed."""
    cfg = compose(*SMALL)
    first = run(cfg, workdir, "")
    monkeypatch.setattr(finish, "mse", lambda residuals: pytest.fail("opened the test rows"))
    again = run(cfg, workdir, "")
    assert first.champion.endswith(", the first")
    assert again.champion.endswith(", as before")
    other = {"duration_s": 0, "champion": ""}
    assert {**vars(again), **other} == {**vars(first), **other}
    assert_agree(workdir, first.study, 4)


def test_n_trials_is_the_total_wanted(compose: Any, workdir: Path) -> None:
    """More trials continue the study; fewer than there are run nothing."""
    sizes = [
        sum(run(compose(*SMALL, f"n_trials={n}"), workdir, "").n_trials.values()) for n in (2, 5, 3)
    ]
    assert sizes == [2, 5, 5]


def test_a_better_winner_is_scored_anew(compose: Any, workdir: Path) -> None:
    """When more trials find a better one, that one is refitted and scored on the test rows."""
    cfg = "model=ridge", "data.rows=600", "model.known_good=[{alpha: 10000.0}, {alpha: 1.0}]"
    first = run(compose(*cfg, "n_trials=1"), workdir, "")
    second = run(compose(*cfg, "n_trials=2"), workdir, "")
    assert (first.best_trial, second.best_trial) == (0, 1)
    assert first.test_mse != second.test_mse


TWO = ("model=ridge", "data.rows=600", "model.known_good=[{alpha: 10000.0}, {alpha: 1.0}]")


def tags_of(result: Result) -> dict[str, str]:
    """Give the tags of a study's run."""
    tags: dict[str, str] = (
        mlflow.MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
        .get_run(str(result.mlflow_run_id))
        .data.tags
    )
    return tags


def test_intervals_are_told_and_stored(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SciPy finds the same from the kept residuals; terminal, result.json and run have them."""
    cfg = compose(*SMALL)
    result, plan = run(cfg, workdir, ""), prepare(cfg)
    (file,) = (workdir / "mlruns").rglob("test_residuals/trial_*.npy")
    kept = np.load(file)
    assert file.stem == f"trial_{result.best_trial:04d}"
    assert (kept.dtype, kept.shape) == (np.float32, plan.split.test.shape)
    squares = np.square(kept.astype(float))
    assert squares.mean() == pytest.approx(result.test_mse, rel=1e-5)
    expected = stats.bootstrap([squares], np.mean, method="percentile", rng=1).confidence_interval
    found = json.loads((workdir / "result.json").read_text())
    metrics = (
        mlflow.MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
        .get_run(found["mlflow_run_id"])
        .data.metrics
    )
    width = expected.high - expected.low
    for end, bound in (("low", expected.low), ("high", expected.high)):
        assert found[f"test_mse_{end}"] == pytest.approx(bound, abs=0.08 * width)
        for score in ("mse", "mae", "r2"):
            assert metrics[f"test_{score}_{end}"] == found[f"test_{score}_{end}"]
    for score in ("mse", "mae", "r2"):
        low, value, high = (found[f"test_{score}{end}"] for end in ("_low", "", "_high"))
        assert low < value < high
    out = capsys.readouterr().out
    assert f"MSE {found['test_mse_low']:.4g} to {found['test_mse_high']:.4g}, MAE " in out
    assert metrics["predict_million_s"] == found["predict_million_s"] > 0


def test_every_opening_of_the_test_rows_is_told(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once is no news, the same command adds none; another winner makes two, told everywhere."""
    for n_trials in (1, 1):
        first = run(compose(*TWO, f"n_trials={n_trials}"), workdir, "")
        assert [opening["trials"] for opening in first.test_openings] == [[0]]
        assert tags_of(first)["popsearch.test_openings"] == "1"
    assert "opened its test rows" not in capsys.readouterr().out
    for _ in range(2):
        second = run(compose(*TWO, "n_trials=2"), workdir, "")
        assert [opening["trials"] for opening in second.test_openings] == [[0], [1]]
        assert second.test_openings[0] == first.test_openings[0]
        assert json.loads((workdir / "result.json").read_text())["test_openings"] == [
            *second.test_openings
        ]
        tags = tags_of(second)
        assert tags["popsearch.test_openings"] == "2"
        assert f"for trial 1 at {second.test_openings[1]['at']}" in tags["popsearch.test_opened"]
        told = " ".join(capsys.readouterr().out.split())
        assert told.count("this study opened its test rows 2 times (for trial 0 at ") == 1


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (Plan, "open_test", False),
        (Plan, "open_test", True),
        (MlflowTracker, "log_model", True),
        (MlflowTracker, "log_test_residuals", True),
        (MlflowTracker, "close_study", False),
    ],
)
def test_a_kill_while_the_winner_is_scored_counts_nothing_twice(
    owner: type, name: str, after: bool, compose: Any, workdir: Path, monkeypatch: Any
) -> None:
    """The same command scores it; the rows were opened for one trial, once, whenever it died."""
    cfg = compose(*TWO, "n_trials=2")
    real = getattr(owner, name)

    def fatal(*args: Any) -> None:
        if after:
            real(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fatal)
        assert in_a_process(lambda: run(cfg, workdir, ""))
    result = run(cfg, workdir, "")
    assert [opening["trials"] for opening in result.test_openings] == [[1]]
    assert result.test_mse is not None
    assert tags_of(result)["popsearch.test_openings"] == "1"
    assert len([*(workdir / "mlruns").rglob("test_residuals/*.npy")]) == 1
    assert_agree(workdir, result.study, 2)


def test_other_rows_by_the_same_settings_are_another_study(compose: Any) -> None:
    """Another version of a library may draw other rows with the same seed."""
    plan = prepare(compose(*SMALL))
    (fold,) = plan.split.folds
    other = replace(plan.split, folds=(replace(fold, train=fold.val, val=fold.train),))
    assert replace(plan, split=other).study_name != plan.study_name
    assert replace(plan, split=replace(plan.split)).study_name == plan.study_name


def test_another_encoding_is_another_study(compose: Any, workdir: Path) -> None:
    """Of a category, of missing numbers, and of a kind that is given; the same one is not."""
    frame = pd.DataFrame({"y": np.random.default_rng(7).random(120), "flag": [0, 1, None] * 40})
    frame["town"] = [f"t{i}" for i in range(12)] * 10
    frame.to_csv("towns.csv", index=False)
    cfg = ["model=decision_tree", "data=csv", "data.path=towns.csv", "data.target=y"]

    def name(*more: str) -> str:
        return prepare(compose(*cfg, *more)).study_name

    others = ["features.one_hot_up_to=5", "data.columns.boolean=[flag]"]
    others += ["data.columns.categorical=[flag]", "model.missing=impute"]
    assert len({name(), *map(name, others)}) == 5
    assert name("features.one_hot_up_to=50") == name()


@pytest.mark.parametrize("half", ["validation", "test"])
def test_targets_that_do_not_vary_have_no_r2(half: str, compose: Any, workdir: Path) -> None:
    """The search goes on and ends; errors are errors without any variance to explain."""
    y = np.random.default_rng(7).random(100)
    y[slice(49, 70) if half == "validation" else slice(70, None)] = 3
    pd.DataFrame({"t": np.arange(100) * 2.0, "x": y**2, "y": y}).to_csv(f"{half}.csv", index=False)
    data = ["data=csv", f"data.path={half}.csv", "data.target=y", "split=time", "split.order_by=t"]
    result = run(compose("model=ridge", *data, "n_trials=2"), workdir, "")
    assert result.n_trials["complete"] == 2
    assert result.test_mse is not None
    assert (result.test_r2 is None) == (half == "test")


def test_a_winner_that_cannot_be_tested_is_told_in_a_line(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What only the test rows hold ends in no traceback; the search's result stands."""
    x = np.random.default_rng(7).random(100)
    frame = pd.DataFrame({"t": np.arange(100) * 2.0, "x": x, "y": x})
    frame.loc[99, "x"] = 1e39  # beyond single precision, in which trees compare
    frame.to_csv("great.csv", index=False)
    data = ["data=csv", "data.path=great.csv", "data.target=y", "split=time", "split.order_by=t"]
    result = run(compose("model=decision_tree", *data, "n_trials=2"), workdir, "")
    assert result.val_mse is not None
    assert result.test_mse is None
    out = capsys.readouterr().out
    assert "cannot be refitted and tested: ValueError" in out
    assert "its validation score stands" in out
    runs = mlflow.MlflowClient(f"sqlite:///{workdir}/mlflow.db").search_runs(["1"])
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.parametrize(
    "other",
    [
        "data.rows=601",
        "data.seed=1",
        "split.seed=1",
        "split.val_size=0.2",
        "split=time",
        "split=kfold",
        "features.columns=[year,tempo]",
        "model.space.alpha.high=10",
        "model.scaler=none",
        "+model.fixed.fit_intercept=false",
        "seed=1",
        "model=lasso",
    ],
)
def test_what_cannot_be_compared_is_another_study(other: str, compose: Any) -> None:
    """Data, split, features, space and fixed values each change the study's name."""
    name = prepare(compose(*SMALL)).study_name
    overrides = [o for o in SMALL if not other.startswith(o.split("=")[0] + "=")]
    assert prepare(compose(*overrides, other)).study_name != name


@pytest.mark.parametrize(
    "other",
    ["n_trials=9", "timeout=5", "sampler=random", "pruner=none", "tracking=none",
     "storage.url=sqlite:///other.db", "model.known_good=[]", "+model.mean_of=3",
     "+model.population=auto"],
)  # fmt: skip
def test_what_only_steers_the_search_is_the_same_study(
    other: str, compose: Any, workdir: Path
) -> None:
    """How long, by whom and in which order points are tried does not change the name."""
    assert prepare(compose(*SMALL, other)).study_name == prepare(compose(*SMALL)).study_name


def test_a_rung_has_the_same_number_whether_others_are_left_out(
    compose: Any, workdir: Path
) -> None:
    """A study begun without pruning compares equal rungs when it goes on with it."""
    cfg = "model=decision_tree", "data.rows=600"
    name = run(compose(*cfg, "n_trials=8", "pruner=none"), workdir, "").study
    result = run(compose(*cfg, "n_trials=20", "pruner=median"), workdir, "")
    trials = optuna.load_study(study_name=name, storage="sqlite:///optuna.db").trials
    assert [sorted(t.intermediate_values) for t in trials[:8]] == [[9]] * 8
    assert {step for t in trials[8:] for step in t.intermediate_values} == {1, 3, 9}
    assert result.n_trials["complete"] > 8


def test_failed_trials_do_not_stop_the_search(compose: Any, workdir: Path) -> None:
    """A trial that raises is recorded with its reason; the others decide."""
    cfg = compose(*SMALL, f"model.estimator={__name__}.Fragile", "n_trials=6", "sampler=grid")
    result = run(cfg, workdir, "")
    assert result.n_trials["failed"] >= 2
    assert result.n_trials["complete"] >= 1
    assert result.best_params is not None
    assert result.best_params["alpha"] >= 10
    client = mlflow.MlflowClient(f"sqlite:///{workdir}/mlflow.db")
    failed = client.search_runs(["1"], "tags.`popsearch.state` = 'failed'")
    assert len(failed) == result.n_trials["failed"]
    assert failed[0].data.tags["popsearch.reason"].startswith("ArithmeticError: singular matrix")
    assert [f.path for f in client.list_artifacts(failed[0].info.run_id)] == ["traceback.txt"]


def test_a_search_without_a_winner_says_so(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where every trial fails there is no score, no model, and no traceback."""
    cfg = compose(*SMALL, f"model.estimator={__name__}.Fragile", "model.space.alpha.high=5")
    result = run(cfg, workdir, "")
    assert result.n_trials == {"complete": 0, "pruned": 0, "failed": 4}
    assert result.best_params is None
    assert result.test_mse is None
    assert "no complete trial yet (4 failed)" in capsys.readouterr().out


def test_a_space_with_one_point_is_tried_once(compose: Any, workdir: Path) -> None:
    """Where nothing can be varied one trial is all there is."""
    result = run(compose("model=linear", "data.rows=600", "n_trials=9"), workdir, "")
    assert result.n_trials == {"complete": 1, "pruned": 0, "failed": 0}


def test_the_same_seed_gives_the_same_result(compose: Any, tmp_path: Path, workdir: Path) -> None:
    """Two searches from nothing with one seed have the same trials, scores and winner."""

    def search(name: str) -> Result:
        cfg = compose("model=gbr", "data.rows=600", "n_trials=6", "tracking=none",
                      "model.steps.budget=30", f"storage.url=sqlite:///{name}.db")  # fmt: skip
        return run(cfg, workdir, "")

    clocks: dict[str, Any] = {"duration_s": 0, "predict_million_s": 0, "test_openings": []}
    a, b = search("a"), search("b")
    assert {**vars(a), **clocks} == {**vars(b), **clocks}


def test_a_score_below_the_floor_is_called_a_leak(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test error that no honest model can reach is pointed out."""
    monkeypatch.setattr(finish, "_floor", lambda plan: 1e9)
    run(compose(*SMALL), workdir, "")
    assert "look for a leak" in capsys.readouterr().out


def test_the_time_limit_does_not_cut_the_end(compose: Any, workdir: Path) -> None:
    """When the time is over the winner so far is still refitted and scored."""
    result = run(compose(*SMALL, "n_trials=100000", "timeout=2", "tracking=none"), workdir, "")
    assert result.stopped_by == "timeout"
    assert result.test_mse is not None


def test_an_interrupt_waits_for_a_safe_moment() -> None:
    """A signal between trainings is kept until the next check; in a training it comes at once."""
    with Interrupts(None) as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)  # a database is being written: nothing happens
        with pytest.raises(Interrupted, match="SIGTERM"):
            interrupts.check()
    reached = []

    def train() -> None:
        with interrupts.allowed():
            with interrupts.held():
                os.kill(os.getpid(), signal.SIGINT)
                reached.append("held")
            reached.append("after")

    with Interrupts(None) as interrupts, pytest.raises(Interrupted, match="Ctrl-C"):
        train()
    assert reached == ["held"]


NARROW = (
    "model=gbr",
    "data.rows=1500",
    "n_trials=12",
    "sampler=random",
    "pruner=none",
    "model.steps.budget=20",
    "model.space.learning_rate.high=0.05",
    "model.known_good=[]",
)


def test_the_advice_is_told(compose: Any, workdir: Path, capsys: Any) -> None:
    """A low learning rate and few stages: more are worth a try, also in the next process."""
    cfg = compose(*NARROW)
    result = run(cfg, workdir, "")
    line = (
        "the best trial's curve was still falling at the last step (n_estimators=20): "
        "try model.steps.budget=40"
    )
    assert line in result.advice
    assert sum("noise of the 315 validation rows" in line for line in result.advice) == 1
    assert line in capsys.readouterr().out.replace("\n", " ")
    assert json.loads((workdir / "result.json").read_text())["advice"] == result.advice
    assert run(cfg, workdir, "").advice == result.advice
