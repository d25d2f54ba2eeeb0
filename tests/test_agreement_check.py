"""Study and tracking made to differ by hand, in real databases: found, repaired, agreed."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from agreement import assert_agree
from popsearch import __main__, agreement, command, provenance, sqlite
from popsearch.config import Config
from popsearch.outcome import Outcome
from popsearch.plan import prepare
from popsearch.run import run
from popsearch.study import Study, stored
from popsearch.tracking import StoredRuns, open_tracker
from spoiling import (
    DEAD,
    SPOILT,
    URI,
    URL,
    Place,
    lost_when_pruned,
    twice,
    twice_and_the_linked_one_is_wrong,
    wrong_reason,
    wrong_score,
)

STUDY = (
    "model=gbr", "data.rows=600", "n_trials=8", "model.steps.budget=12", "pruner=median",
    "pruner.n_startup_trials=2", "pruner.warmup=0", "split.seed=1",
)  # fmt: skip
N_COUNTED = 9
"""Trials that count: those of the search, and one that failed."""


def configured(*words: str) -> Config:
    """Give the configuration of what was typed."""
    (job,) = command.jobs(words)
    assert not job.faults
    return Config(**job.sections)


def opened(cfg: Config) -> Study:
    """Open the study of a configuration, as a new process would."""
    plan = prepare(cfg)
    return Study(cfg, plan.study_name, plan.space, plan.fidelities[-1])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, cache_folder: None) -> Path:
    """A folder with a study whose trials ended in every way there is."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        cfg = configured(*STUDY)
        found = run(cfg, folder, "")
        assert found.n_trials["complete"] >= 2
        assert found.n_trials["pruned"] >= 1
        study, tracker = opened(cfg), open_tracker(cfg.tracking, "demo")
        tracker.open_study(provenance.record(prepare(cfg), ""))
        for end in (fail, give_back):
            (asked,) = study.ask()
            run_id = tracker.start(asked.number, asked.params)
            study.link(asked, run_id)
            end(study, tracker, asked, run_id)
        tracker.close_study({}, {})
        sqlite.tidy(URL)
        sqlite.tidy(URI)
    return folder


def fail(study: Study, tracker: Any, asked: Any, run_id: str) -> None:
    """End a trial as one that failed."""
    outcome = Outcome("failed", fit_s=0.25, reason="no solution")
    tracker.finish(run_id, outcome, outcome.scores(1.0))
    study.tell(asked, "failed", outcome.scores(1.0), outcome.reason)


def give_back(study: Study, tracker: Any, asked: Any, run_id: str) -> None:
    """Take a trial out and queue it again."""
    study.give_back(asked, "stopped: Ctrl-C", died=False)
    tracker.close(run_id, "stopped: Ctrl-C")


@pytest.fixture
def place(template: Path, workdir: Path) -> Place:
    """Work in a copy of the template."""
    for name in ("optuna.db", "mlflow.db"):
        shutil.copy(template / name, workdir)
    return Place(workdir)


def test_a_study_agrees_as_it_is(place: Place) -> None:
    """Complete, pruned, failed and given-back trials, and one that waits, are as their runs are."""
    found = place.compare()
    assert (found.n_trials, found.n_at_work, found.n_untracked) == (N_COUNTED + 2, 0, 0)
    assert found.disagreements == []
    assert_agree(place.folder, place.study, N_COUNTED)


@pytest.mark.parametrize(("spoil", "in_study", "in_run"), SPOILT)
def test_what_differs_is_found_and_repaired(
    spoil: Callable[[Place], object], in_study: str, in_run: str, place: Place
) -> None:
    """One trial is named, with what both sides say; afterwards all is as it was told."""
    spoil(place)
    (found,) = place.compare().disagreements
    assert in_study in found.in_study
    assert in_run in found.in_run
    repaired = place.settle()
    assert [d.number for d in repaired.repaired] == [found.number]
    assert repaired.disagreements == place.compare().disagreements == []
    assert_agree(place.folder, place.study, N_COUNTED)


def test_a_run_is_made_with_all_that_the_study_knows(place: Place) -> None:
    """Name, parent, worker, times and the steps of the curve are those of the run that was lost."""
    number = place.number("complete")
    (old,) = place.run_ids(number)
    before = place.client.get_run(old)
    steps = [m.step for m in place.client.get_metric_history(old, "curve/val_mse")]
    place.client.delete_run(old)
    place.settle()
    (new,) = place.run_ids(number)
    after = place.client.get_run(new)
    for tag in ("mlflow.parentRunId", "mlflow.runName", "popsearch.worker"):
        assert after.data.tags[tag] == before.data.tags[tag]
    assert after.info.experiment_id == before.info.experiment_id
    assert abs(after.info.start_time - before.info.start_time) < 2000
    assert abs(after.info.end_time - before.info.end_time) < 2000
    history = place.client.get_metric_history(new, "curve/val_mse")
    assert [m.step for m in history] == steps
    trial = optuna.load_study(study_name=place.study, storage=URL).trials[number]
    assert [m.value for m in history] == list(trial.intermediate_values.values())
    assert after.data.tags["popsearch.repaired"] == "made from the study"


def test_of_two_runs_the_other_is_set_aside(place: Place) -> None:
    """Nothing is deleted: the other one is closed as killed and says which one stands."""
    kept, number = place.run_id("complete"), place.number("complete")
    other = twice(place)
    place.settle()
    assert set(place.run_ids(number)) == {kept, other}
    run = place.client.get_run(other)
    assert (run.info.status, run.data.tags["popsearch.state"]) == ("KILLED", "set aside")
    assert kept in run.data.tags["popsearch.reason"]
    assert place.client.get_run(kept).info.status == "FINISHED"


def test_of_two_runs_the_one_that_agrees_is_kept(place: Place) -> None:
    """Also where it is the other one that the trial was linked with."""
    linked, number = place.run_id("complete"), place.number("complete")
    twice_and_the_linked_one_is_wrong(place)
    place.settle()
    (kept,) = {*place.run_ids(number)} - {linked}
    assert place.client.get_run(kept).info.status == "FINISHED"
    assert place.client.get_run(linked).info.status == "KILLED"


def test_a_trial_with_three_deaths_has_failed_in_both(place: Place) -> None:
    """Its run was closed as given back before the study called it a failure for good."""
    study = opened(configured(*STUDY))
    for _ in range(3):
        (asked,) = study.ask()
        tracker = open_tracker(configured().tracking, "demo")
        tracker.open_study(provenance.record(prepare(configured(*STUDY)), ""))
        run_id = tracker.start(asked.number, asked.params)
        study.link(asked, run_id)
        study.give_back(asked, "its process died", died=True)
        tracker.close(run_id, "the process died")
    # The parameters are sent with the first step, which none of them took.
    (found,) = place.compare().disagreements
    assert found.number == asked.number
    assert found.in_run.startswith("given back (KILLED)")
    assert place.settle().disagreements == []
    run = place.client.get_run(run_id)
    assert (run.info.status, run.data.tags["popsearch.state"]) == ("FAILED", "failed")
    assert run.data.tags["popsearch.reason"] == "its process died"


def test_other_parameters_remain(place: Place) -> None:
    """MLflow lets no parameter be changed, so they are told again and again."""
    run_id = place.run_id("complete")
    place.sql("UPDATE params SET value = '99' WHERE run_uuid = ? AND key = 'max_depth'", run_id)
    for found in (place.compare(), place.settle(), place.compare()):
        (left,) = found.disagreements
        assert left.in_run == "max_depth 99"
        assert left.in_study.startswith("max_depth ")


def test_a_run_of_no_trial_remains(place: Place) -> None:
    """It may be of an earlier database; it is told and left as it is."""
    run = place.client.get_run(place.run_id("complete"))
    tags = {**run.data.tags, "popsearch.trial": "99"}
    stray = place.client.create_run(run.info.experiment_id, tags=tags).info.run_id
    (left,) = place.settle().disagreements
    assert (left.number, left.in_study, left.in_run) == (99, "no such trial", f"run {stray}")
    assert place.client.get_run(stray).info.status == "RUNNING"


def test_a_trial_whose_process_died_remains(place: Place) -> None:
    """The study's own command queues it again; until then nothing is changed."""
    study = opened(configured(*STUDY))
    (asked,) = study.ask()
    tags = {"popsearch.study": place.study, "popsearch.kind": "trial"}
    tags |= {"popsearch.trial": str(asked.number), "popsearch.worker": DEAD}
    run_id = place.client.create_run("1", tags=tags).info.run_id
    study.link(asked, run_id)
    study._storage.set_trial_user_attr(asked.id, "worker", DEAD)
    (left,) = place.settle().disagreements
    assert (left.number, left.in_run) == (asked.number, "RUNNING")
    assert left.in_study.startswith("running, but its process is gone")
    assert place.client.get_run(run_id).info.status == "RUNNING"


@pytest.fixture
def worker() -> Iterator[str]:
    """Give the identity of another process that lives."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield f"{socket.gethostname()}/{child.pid}/{psutil.Process(child.pid).create_time():.2f}"
    child.kill()
    child.wait()


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.COMPLETE])
@pytest.mark.parametrize("begun", [False, True])
def test_what_a_living_process_writes_is_left_alone(
    state: TrialState, begun: bool, place: Place, worker: str
) -> None:
    """A trial in training, and one that ended whose run has not, or is not there yet."""
    study = opened(configured(*STUDY))
    (asked,) = study.ask()
    tags = {"popsearch.study": place.study, "popsearch.kind": "trial", "popsearch.worker": worker}
    if begun:
        tags["popsearch.trial"] = str(asked.number)
        run_id = place.client.create_run("1", tags=tags).info.run_id
    study.link(asked, "not known to MLflow yet")
    study._storage.set_trial_user_attr(asked.id, "worker", worker)
    if state == TrialState.COMPLETE:
        study.tell(asked, "complete", {"val_mse": 1.0, "best_resource": 2})
    found = place.settle()
    assert (found.n_at_work, found.disagreements, found.repaired) == (1, [], [])
    if begun:
        assert place.client.get_run(run_id).info.status == "RUNNING"


def test_a_trial_without_tracking_needs_no_run(workdir: Path, place: Place) -> None:
    """What was searched with tracking=none is counted, and not asked of MLflow."""
    study = opened(configured(*STUDY, "tracking=none"))
    (asked,) = study.ask()
    study.tell(asked, "complete", {"val_mse": 1.0, "best_resource": 2})
    found = place.settle()
    assert (found.n_untracked, found.disagreements, found.repaired) == (1, [], [])


def test_a_lost_database_of_runs_is_made_anew(place: Place) -> None:
    """Every trial that counts gets a run, below one new run of the study."""
    place.client, place.runs = MlflowClient("sqlite:///new.db"), StoredRuns("sqlite:///new.db")
    assert len(place.compare().disagreements) == N_COUNTED
    found = place.settle()
    assert (len(found.repaired), found.disagreements) == (N_COUNTED, [])
    uri = f"sqlite:///{place.folder}/new.db"
    assert_agree(place.folder, place.study, N_COUNTED, tracking=uri)
    (experiment,) = [e for e in place.client.search_experiments() if e.name == "demo"]
    (parent,) = place.client.search_runs(
        [experiment.experiment_id], "tags.`popsearch.kind` = 'study'"
    )
    assert (parent.info.run_name, parent.info.status) == (place.study, "FINISHED")
    runs = place.client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    assert len(runs) == N_COUNTED


FAMILIES = [
    ("model=ridge", "n_trials=5", "pruner=successive_halving"),
    ("model=ridge", "n_trials=3", "pruner=none"),
    ("model=hist_gbr", "n_trials=4", "model.steps.budget=40", "model.steps.patience=2"),
    ("model=ridge", "n_trials=4", "split=kfold", "split.n_splits=3"),
    ("model=decision_tree", "n_trials=3", "objectives=[val_mse,predict_s]"),
    ("model=gbr", "n_trials=2", "model.steps.budget=4", "trial_timeout=0.001"),
    ("model=knn", "n_trials=6", "sampler=random", "model.space.n_neighbors.high=3"),
]


@pytest.mark.parametrize("words", FAMILIES, ids=" ".join)
def test_every_kind_of_study_agrees_as_it_is(
    words: tuple[str, ...], workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Rungs of rows, stages, folds, two objectives, failures and copies: silent at the end."""
    asked: list[str] = []
    steps = StoredRuns.steps
    monkeypatch.setattr(
        StoredRuns, "steps", lambda runs, run_id: asked.append(run_id) or steps(runs, run_id)
    )
    found = run(configured("data.rows=400", *words), workdir, "")
    assert "the study says" not in capsys.readouterr().out
    assert len(asked) <= 1  # one curve tells how long the others must be
    result = agreement.compare(found.study, stored.trials(URL, found.study), StoredRuns(URI))
    assert (result.n_trials, result.n_at_work) == (sum(found.n_trials.values()), 0)
    assert (result.n_untracked, result.disagreements) == (0, [])


def test_the_end_of_a_run_repairs_and_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again makes the runs agree, with a line for each that did not."""
    wrong_score(place)
    run(configured(*STUDY), place.folder, "")
    lines = [line for line in capsys.readouterr().out.splitlines() if "the study says" in line]
    (line,) = lines
    assert line.startswith(f"warning: trial {place.number('complete')}: the study says val_mse ")
    assert line.endswith("its run val_mse 1000000000.0: repaired")
    assert place.compare().disagreements == []


def typed(*argv: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run what was typed, and give its exit code."""
    monkeypatch.setattr("sys.argv", ["popsearch", *argv])
    try:
        __main__.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command_finds_and_repairs(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code 1 and a line for each trial while something differs, else code 0 and one line."""
    files = {path.name for path in place.folder.iterdir()}
    assert typed("check", monkeypatch=monkeypatch) == 0
    agreed = f"1 study, {N_COUNTED + 2} trials: study and tracking agree\n"
    assert capsys.readouterr().out == agreed
    wrong_score(place)
    lost_when_pruned(place)
    assert typed("check", monkeypatch=monkeypatch) == 1
    head, *rows, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["study", "trial", "the", "study", "says", "its", "run", "says"]
    assert last == f"1 study, {N_COUNTED + 2} trials: 2 trials not in agreement"
    assert {int(row.split()[1]) for row in rows} == {
        place.number("complete"), place.number("pruned")
    }  # fmt: skip
    assert typed("check", "repair", monkeypatch=monkeypatch) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"1 study, {N_COUNTED + 2} trials: 2 trials repaired, study and tracking agree"
    assert typed("check", place.study, *STUDY, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == agreed
    made = {path.name.partition("-")[0] for path in place.folder.iterdir()}  # with SQLite's logs
    assert made - files <= {"mlruns"}  # MLflow's own


def test_what_cannot_be_repaired_ends_with_code_one(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table says of every trial whether it remains."""
    run_id = place.run_id("complete")
    place.sql("UPDATE params SET value = '99' WHERE run_uuid = ? AND key = 'max_depth'", run_id)
    wrong_reason(place)
    assert typed("check", place.study, "repair", monkeypatch=monkeypatch) == 1
    _, first, second, last = capsys.readouterr().out.splitlines()
    assert first.split()[-1] == "remains"
    assert second.split()[-1] == "repaired"
    assert last.endswith("1 trial repaired, 1 trial not in agreement")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "storage.url=sqlite:///optuna.db: must be a database of studies, but there is none"),
        ([], "tracking.uri=sqlite:///mlflow.db: must be a database of runs, but there is none"),
        (["storage.url=sqlite:///no/x.db"], "the folder no does not exist"),
        (["storage.url=sqlite:///text.db"], "the file is there and is no SQLite database"),
        (["storage.url=sqlite:///empty.db"], "must be a database of studies, but there is none"),
        (["tracking.uri=sqlite:///empty.db"], "must be a database of runs, but there is none yet"),
        (["tracking=none"], "tracking=none: must be tracking=mlflow"),
        (["tracking=mlfow"], "there is no such tracking; did you mean mlflow?"),
        (["--repair"], "--repair is not an option; see --help"),
        (["storage.ulr=x"], "storage.ulr is not a setting; did you mean url?"),
    ],
)
def test_nothing_is_created_where_nothing_can_be_compared(
    argv: list[str],
    expected: str,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Clear lines, code 2, and the folder as it was."""
    (workdir / "text.db").write_text("this is not a database, but long enough to be read")
    (workdir / "empty.db").touch()
    assert typed("check", *argv, monkeypatch=monkeypatch) == 2
    assert expected in capsys.readouterr().err
    assert {path.name for path in workdir.iterdir()} == {"text.db", "empty.db"}
    assert (workdir / "empty.db").stat().st_size == 0


@pytest.mark.parametrize("words", [["demo-gbr-0"], ["model=ridge", "data.rows=600"]])
def test_a_study_that_is_not_there_is_told(
    words: list[str],
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By name, or by the settings that would search it."""
    assert typed("check", *words, monkeypatch=monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be a study in sqlite:///optuna.db" in line
    assert place.study in line
