"""The MLflow side, against MLflow's own default store in a folder."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from popsearch import sqlite, tracking
from popsearch.config import MlflowTracking
from popsearch.errors import StorageError
from popsearch.outcome import Outcome, Point
from popsearch.tracking import StudyRecord, open_tracker, runs
from popsearch.tracking.runs import MlflowTracker

URI = "sqlite:///mlflow.db"


def record(name: str) -> StudyRecord:
    """Give what is known of a study when it is opened."""
    return StudyRecord(
        name, {"popsearch.model": "ridge"}, {"config.yaml": "a: 1"}, "demo", 64 * "a", "made up"
    )


def outcome(n_steps: int, **more: Any) -> Outcome:
    """Give how a trial went that got better with every step."""
    curve = [
        Point(10 * i, 10 * i, 1.0 / i, 2.0 / i, 3.0 / i, 4.0 / i) for i in range(1, n_steps + 1)
    ]
    return Outcome(curve=curve, best_step=n_steps, fit_s=0.5, **more)


@pytest.fixture
def tracker(workdir: Path) -> MlflowTracker:
    """A tracker with an open study, in an empty folder."""
    tracker = open_tracker(MlflowTracking(name="mlflow", uri=URI), "demo")
    assert isinstance(tracker, MlflowTracker)
    tracker.open_study(record("demo-ridge-1"))
    return tracker


@pytest.fixture
def client(workdir: Path) -> MlflowClient:
    """MLflow's own client, to see what is there."""
    return MlflowClient(sqlite.absolute(URI))


@pytest.mark.parametrize("n_steps", [1, 3, 250, 251, 700])
def test_a_run_holds_scores_and_the_whole_curve(
    n_steps: int, tracker: MlflowTracker, client: MlflowClient
) -> None:
    """Every point of every curve is there once, at its resource, whatever the batch size."""
    done = outcome(n_steps)
    run_id = tracker.start(7, {"alpha": 0.5, "kind": None})
    tracker.finish(run_id, done, done.scores(val_variance=4.0))
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "ridge 0007"
    assert run.data.params == {"alpha": "0.5", "kind": "None"}
    assert run.data.tags["popsearch.trial"] == "7"
    own = {k: v for k, v in run.data.metrics.items() if "/" not in k}
    assert own == done.scores(4.0)
    for key in ("train_mse", "train_mae", "val_mse", "val_mae"):
        history = client.get_metric_history(run_id, f"curve/{key}")
        assert sorted((m.step, m.value) for m in history) == [
            (p.resource, getattr(p, key)) for p in done.curve
        ]


def test_long_trials_are_written_while_they_run(
    tracker: MlflowTracker, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps appear during the trial, and none of them twice at its end."""
    monkeypatch.setattr(runs, "FLUSH_S", 0.0)
    run_id, done = tracker.start(0, {"alpha": 1.0}), outcome(5)
    for n in (1, 2, 4):
        tracker.step(run_id, Outcome(curve=done.curve[:n], best_step=n))
    assert client.get_run(run_id).info.status == "RUNNING"
    assert client.get_run(run_id).data.params == {"alpha": "1.0"}
    assert len(client.get_metric_history(run_id, "curve/val_mse")) == 4
    tracker.finish(run_id, done, done.scores(4.0))
    assert len(client.get_metric_history(run_id, "curve/val_mse")) == 5


def test_trials_stand_below_their_study(tracker: MlflowTracker, client: MlflowClient) -> None:
    """One experiment for the data, one parent for the study, one child for each trial."""
    run_id = tracker.start(0, {})
    parent = client.get_run(run_id).data.tags["mlflow.parentRunId"]
    tags = client.get_run(parent).data.tags
    assert tags["popsearch.study"] == "demo-ridge-1"
    assert client.get_experiment(client.get_run(run_id).info.experiment_id).name == "demo"
    assert [f.path for f in client.list_artifacts(parent)] == ["config.yaml"]
    (data,) = client.get_run(parent).inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("demo", "aaaaaaaa")


def test_a_study_has_one_parent_run_however_often_it_is_opened(
    tracker: MlflowTracker, client: MlflowClient
) -> None:
    """Continuing a study opens its run again; another study gets its own."""
    again = MlflowTracker(URI, "demo")
    first = tracker.open_study(record("demo-ridge-1"))
    assert again.open_study(record("demo-ridge-1")) == first
    again.close_study({"val_mse": 1.0}, {"best.alpha": "5"})
    assert client.get_run(first).info.status == "FINISHED"
    assert client.get_run(first).data.metrics["val_mse"] == 1.0
    assert again.open_study(record("demo-ridge-2")) != first


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"state": "pruned"}, "FINISHED"),
        ({"state": "failed", "reason": "no solution", "trace": "Traceback"}, "FAILED"),
        ({"copy_of": 3}, "FINISHED"),
    ],
)
def test_how_a_trial_ended_is_on_its_run(
    more: dict[str, Any], status: str, tracker: MlflowTracker, client: MlflowClient
) -> None:
    """State, reason and origin are tags; a traceback is a file of the run."""
    done = outcome(2, **more)
    run_id = tracker.start(0, {})
    tracker.finish(run_id, done, done.scores(4.0))
    run = client.get_run(run_id)
    assert run.info.status == status
    assert run.data.tags["popsearch.state"] == done.state
    assert run.data.tags.get("popsearch.reason", "") == done.reason
    assert run.data.tags.get("popsearch.copy_of") == (str(done.copy_of) if done.copy_of else None)
    files = [f.path for f in client.list_artifacts(run_id)]
    assert files == (["traceback.txt"] if done.trace else [])
    assert tracker.finished(run_id) == (done.state, done.scores(4.0))


def test_a_run_that_did_not_end_is_not_finished(tracker: MlflowTracker) -> None:
    """Neither an open run nor one that was given back counts as finished."""
    open_run, closed = tracker.start(0, {}), tracker.start(1, {})
    tracker.close(closed, "stopped: Ctrl-C")
    assert tracker.finished(open_run) is None
    assert tracker.finished(closed) is None


def test_runs_of_dead_processes_are_closed(tracker: MlflowTracker, client: MlflowClient) -> None:
    """Open runs of a process that is gone are closed with the reason, others stay open."""
    mine = tracker.start(0, {})
    tracker._worker = f"{tracker._worker.split('/')[0]}/999999/0.00"
    dead = tracker.start(1, {})
    tracker.close_left_behind()
    assert client.get_run(mine).info.status == "RUNNING"
    assert client.get_run(dead).info.status == "KILLED"
    assert client.get_run(dead).data.tags["popsearch.reason"] == "the process died"


def test_a_broken_database_is_told_at_once(workdir: Path) -> None:
    """A tracking database that is no database is told with its address, and left as it was."""
    (workdir / "broken.db").write_text("this is not a database, but long enough to be read")
    (fault,) = tracking.faults(MlflowTracking(name="mlflow", uri="sqlite:///broken.db"))
    assert "tracking.uri=sqlite:///broken.db: the file is there and is no SQLite" in fault
    (fault,) = tracking.faults(MlflowTracking(name="mlflow", uri="sqlite:///no/such.db"))
    assert "the folder no does not exist" in fault


def test_a_store_that_breaks_on_the_way_is_one_line(tracker: MlflowTracker) -> None:
    """What MLflow raises is told in one line with the address and what to do."""
    cfg = MlflowTracking(name="mlflow", uri=URI)
    expected = pytest.raises(StorageError, match=f"tracking.uri={URI}: cannot be written to")
    tracker.join(tracking.Ticket("study", "0", "no-such-run"))
    with expected, tracking.tracking_errors(cfg):
        tracker.close_study({}, {})


def test_the_old_file_store_is_refused_with_the_way_out(workdir: Path) -> None:
    """A folder in the format of older MLflows is told before anything is written."""
    (workdir / "mlruns" / "0").mkdir(parents=True)
    (workdir / "mlruns" / "0" / "meta.yaml").write_text("name: Default")
    (fault,) = tracking.faults(MlflowTracking(name="mlflow", uri=URI))
    assert "mlflow migrate-filestore --source mlruns" in fault


def test_a_folder_is_no_tracking_store(workdir: Path) -> None:
    """A file path as address is refused, with the address to use."""
    for uri in ("mlruns", "file:./mlruns"):
        (fault,) = tracking.faults(MlflowTracking(name="mlflow", uri=uri))
        assert "sqlite:///mlflow.db" in fault
