"""An ensemble from a sweep to the leaderboard: made once, repeated for nothing, and refused."""

import contextlib
import io
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error

from popsearch import data, sqlite
from popsearch.config import NoTracking
from popsearch.ensemble import members, verdict
from popsearch.leaderboard.gathered import Place, find
from popsearch.plan import Plan, prepare
from popsearch.study import stored
from programs import typed

FAMILIES = ("ridge", "knn", "decision_tree")
DATA = ("data.rows=2500", "split.val_size=0.5")
SWEEP = ("-m", f"model={','.join(FAMILIES)}", *DATA, "n_trials=2")
URL = "sqlite:///optuna.db"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cache_folder: None) -> tuple[Path, str]:
    """A folder with a sweep of three families, whose mix is better, and what it printed."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as told:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert typed(*SWEEP) == 0
    return folder, told.getvalue()


@pytest.fixture
def out(swept: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Be in that folder; what the sweep printed."""
    monkeypatch.chdir(swept[0])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return swept[1]


def own_study() -> str:
    """The ensemble's study, the only one here."""
    (name,) = [name for name in stored.names(URL) if "-ensemble-" in name]
    return name


def weights() -> dict[str, float]:
    """Those of the best mix."""
    trials = [t for t in stored.trials(URL, own_study()) if t.state == "complete"]
    best = min(trials, key=lambda t: t.scores["val_mse"])
    return {name: float(value or 0) for name, value in best.params.items()}


def note(key: str) -> Any:
    """What the ensemble's study stores."""
    return find(Place(URL, NoTracking(name="none"))).notes[own_study()][key]


def plans(compose: Any) -> dict[str, Plan]:
    """The plan of each family's study, made from what was typed."""
    return {family: prepare(compose(f"model={family}", *DATA)) for family in FAMILIES}


def board(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, Any]]:
    """The rows of the one board."""
    capsys.readouterr()
    assert typed("leaderboard", "format=json", *argv) == 0
    (found,) = json.loads(capsys.readouterr().out)
    rows: list[dict[str, Any]] = found["rows"]
    return rows


# ---- what a sweep ends with ---------------------------------------------------------------------


def test_it_enters_the_leaderboard(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """First, as a family of its own, ranked before the best single model beyond noise."""
    first, second, *_ = board(capsys)
    assert (first["family"], first["rank"], second["rank"]) == ("ensemble", 1, 2)
    assert first["val_mse"] < second["val_mse"]
    assert first["n_openings"] == 1
    assert first["test_mse_low"] < first["test_mse"] < first["test_mse_high"]
    shown = out.partition("rank  family")[2].splitlines()[1]
    assert shown.split()[:2] == ["1", "ensemble"]
    assert f"{first['test_mse']:.2f}" in shown
    assert "dimmed: of earlier commands" not in out


def test_its_test_score_is_that_of_the_refitted_members(
    out: str, compose: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each fitted on training and validation rows at its best step, the mean by the weights."""
    own, studies = weights(), plans(compose)
    assert sum(own.values()) == pytest.approx(1)
    assert len(own) > 1
    predictions = []
    for key in own:
        study, _, number = key.rpartition("/")
        plan = studies[study.partition("-")[0]]
        assert plan.study_name == f"demo-{study}"
        trial = stored.trials(URL, plan.study_name)[int(number)]
        pipeline = plan.refit(dict(trial.params), int(trial.scores["best_resource"]))
        predictions.append(pipeline.predict(plan.open_test()[0]))
    expected = np.average(predictions, axis=0, weights=[*own.values()])
    y = studies["ridge"].table.y[studies["ridge"].split.test]
    assert board(capsys)[0]["test_mse"] == pytest.approx(mean_squared_error(y, expected))


def test_what_it_says_of_its_members_holds(out: str) -> None:
    """Weights and trials as stored; the test score as on the leaderboard."""
    _, _, told = out.partition("ensemble of ")
    lines = told.splitlines()
    assert lines[0].startswith("2,500 synthetic tracks, seed 777: 875 training, 875 validation")
    table = [line.split() for line in lines[3 : 3 + len(weights())]]
    shown = {f"{family} {number}": float(weight) for weight, _, family, _, number in table}
    known = {
        f"{key.partition('-')[0]} {key.rpartition('/')[2]}": round(weight, 2)
        for key, weight in weights().items()
    }
    assert shown == known
    assert [float(row[0]) for row in table] == sorted(shown.values(), reverse=True)
    test = note("test")
    assert f"test            MSE {test['test_mse']:.2f}" in told


def test_mlflow_has_a_run_of_it(out: str) -> None:
    """With a description, the scores, residuals, the model, and the mix as a trial below it."""
    client = mlflow.MlflowClient(sqlite.absolute("sqlite:///mlflow.db"))
    query = f"tags.`popsearch.study` = '{own_study()}'"
    runs = {run.data.tags["popsearch.kind"]: run for run in client.search_runs(["1"], query)}
    study, trial = runs["study"], runs["trial"]
    test = note("test")
    assert study.info.status == "FINISHED"
    assert study.data.metrics["test_mse"] == test["test_mse"]
    assert study.data.metrics["held_out_mse"] < study.data.metrics["held_out_single_mse"]
    page = study.data.tags["mlflow.note.content"]
    for key in weights():
        assert f"{key.partition('-')[0]} trial {key.rpartition('/')[2]}" in page
    assert "python -m popsearch -m model=ridge,knn,decision_tree" in page
    assert study.data.tags["popsearch.test_openings"] == "1"
    files = client.list_artifacts(study.info.run_id, "test_residuals")
    assert [file.path for file in files] == ["test_residuals/trial_0000.npy"]
    assert trial.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert {k: float(v) for k, v in trial.data.params.items()} == weights()


def test_study_and_tracking_agree(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The check knows the mix as a trial like any other."""
    assert typed("check") == 0
    assert "4 studies" in capsys.readouterr().out


# ---- again --------------------------------------------------------------------------------------


def test_again_costs_and_opens_nothing(
    out: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same is told, nothing is fitted, the test rows stay closed."""

    def fail(*_: Any) -> None:
        raise AssertionError("nothing is to be fitted or opened")

    monkeypatch.setattr(Plan, "refit", fail)
    monkeypatch.setattr(Plan, "open_test", fail)
    assert typed("ensemble", "demo") == 0
    again = capsys.readouterr().out.partition("ensemble of ")[2]
    told, _, champion = again.partition("champion of ")
    assert out.partition("ensemble of ")[2].startswith(told)
    assert len(told.splitlines()) > len(weights()) + 3
    assert champion.endswith("as before\n")
    assert board(capsys)[0]["n_openings"] == 1
    assert len(stored.trials(URL, own_study())) == 1


def test_on_another_computer_residuals_come_from_the_runs(
    out: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With an empty cache folder; without the runs each trial is trained again, to the same."""
    monkeypatch.setenv("POPSEARCH_CACHE_DIR", str(tmp_path / "one"))
    known = weights()

    def fail(*_: Any) -> None:
        raise AssertionError("the runs have them")

    with monkeypatch.context() as patch:
        patch.setattr(members, "_train_again", fail)
        assert typed("ensemble", "demo") == 0
    assert weights() == known
    monkeypatch.setenv("POPSEARCH_CACHE_DIR", str(tmp_path / "other"))
    trained: list[str] = []
    train_again = members._train_again

    def count(plan: Plan, *rest: Any) -> None:
        trained.append(plan.study_name)
        train_again(plan, *rest)

    monkeypatch.setattr(members, "_train_again", count)
    assert typed("ensemble", "demo", "tracking=none") == 0
    assert len(trained) == 6
    assert len(stored.trials(URL, own_study())) == 1  # the same weights


def test_stopped_and_killed_it_goes_on(
    out: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal during the refit, and a death between opening and scores: in the end the same."""
    study = optuna.load_study(study_name=own_study(), storage=URL)
    before = study.user_attrs["test"]
    study.set_user_attr("test", None)  # the opening is stored, the scores are not

    def refit(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    with monkeypatch.context() as patch:
        patch.setattr(members.Part, "refit", refit)
        assert typed("ensemble") == 143
    assert "stopped by SIGTERM" in capsys.readouterr().out
    assert typed("ensemble") == 0
    after = optuna.load_study(study_name=own_study(), storage=URL).user_attrs
    assert after["test"]["test_mse"] == pytest.approx(before["test_mse"])
    assert len(after["test_openings"]) == 1
    assert typed("check") == 0


# ---- none ---------------------------------------------------------------------------------------

FEW = ("data.rows=400", "n_trials=1", "tracking=none")


def test_without_a_better_mix_there_is_none(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models that are nearly the same one: nothing is stored or opened, and it is said why."""
    assert typed("-m", "model=ridge,linear", *FEW) == 0
    told = capsys.readouterr().out
    assert "no ensemble of 400 synthetic tracks" in told
    assert "the best single model, " in told
    assert "is as good on held-out validation rows: MSE " in told
    assert told.rpartition("rank  family")[2]
    names = stored.names(URL)
    assert len(names) == 2
    assert not (workdir / "mlflow.db").exists()
    assert typed("-m", "model=ridge,linear", *FEW, "ensemble=false") == 0
    assert "ensemble of " not in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(verdict, "MIN_UNITS", 85)
        assert typed("ensemble", "tracking=none") == 0
    assert "84 validation rows are too few to tell" in capsys.readouterr().out
    # A study of an earlier version did not store what it was trained with.
    (ridge,) = [name for name in names if "-ridge-" in name]
    with optuna.storages.RDBStorage(URL).engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM study_user_attributes WHERE key = 'config'")
    assert typed("ensemble", "tracking=none") == 0
    told = capsys.readouterr().out
    assert f"{ridge} is left out: it is of an earlier version: its command, given again, " in told
    assert "it takes two complete trials, and there is none" in told


def test_folds_and_two_objectives_have_members_too(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Residuals of all folds, in one order for all families: those of a model refitted per fold."""
    more = ("split=kfold", "split.n_splits=3", "objectives=[val_mse,predict_s]")
    assert typed("-m", "model=linear,decision_tree", *FEW, *more) == 0
    assert "held-out validation rows" in capsys.readouterr().out
    cfg = compose("tracking=none")
    found = find(Place(cfg.storage.url, cfg.tracking))
    pool = members.pool(found, found.notes, cfg, False, print)
    assert not pool.left_out
    linear, tree = sorted(pool.members, key=lambda member: -len(member.family))[::-1]
    assert (linear.family, tree.family) == ("linear", "decision_tree")
    plan = linear.plan
    expected = []
    for fold in plan.split.folds:
        X, y = plan.seen.to_numpy(), plan.table.y
        fitted = LinearRegression().fit(X[fold.train], y[fold.train])
        expected.append(y[fold.val] - fitted.predict(X[fold.val]))
    np.testing.assert_allclose(linear.residuals, np.concatenate(expected), atol=1e-3)
    np.testing.assert_array_equal(members.y_val(linear.plan), members.y_val(tree.plan))


def test_a_member_whose_data_changed_is_left_out(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with another row is other data; one that is gone is named."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "target"])
    frame.to_csv("own.csv", index=False)
    own = ("data=csv", "data.path=own.csv", "data.target=target", "features=all")
    assert typed("-m", "model=ridge,linear", *own, "n_trials=1", "tracking=none") == 0
    frame.iloc[:-1].to_csv("own.csv", index=False)
    monkeypatch.setattr(data, "_last", None)  # as in another process
    capsys.readouterr()
    assert typed("ensemble", "tracking=none") == 0
    told = capsys.readouterr().out
    assert told.count("is left out: its data, or what is made of them, are no longer") == 2
    Path("own.csv").unlink()
    monkeypatch.setattr(data, "_last", None)
    assert typed("ensemble", "tracking=none") == 0
    assert capsys.readouterr().out.count("is left out: data.path=own.csv") == 2


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "must be a database of studies, but there is none yet"),
        (["format=csv"], "format is not a setting"),
        (["n_trials=0", "data.rows=x"], "n_trials must be at least 1"),
    ],
)
def test_a_mistake_creates_nothing(
    argv: list[str], expected: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clear lines and code 2."""
    assert typed("ensemble", *argv) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.out == ""
    assert not [*workdir.iterdir()]
