"""Databases of a study and its runs, and ways in which they come to differ."""

import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient

from popsearch import agreement, sqlite
from popsearch.agreement import Agreement
from popsearch.study import stored
from popsearch.tracking import StoredRuns

URL, URI = "sqlite:///optuna.db", "sqlite:///mlflow.db"
DEAD = f"{socket.gethostname()}/999999/0.00"


class Place:
    """A copy of the template's databases, with what is needed to spoil them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.study,) = stored.names(URL)
        self.runs, self.client = StoredRuns(URI), MlflowClient(sqlite.absolute(URI))

    def number(self, state: str) -> int:
        """Give the last trial in a state: a curve of its own is not the longest one."""
        return [t.number for t in stored.trials(URL, self.study) if t.state == state][-1]

    def run_ids(self, number: int) -> list[str]:
        """Give the runs of a trial."""
        return [run.run_id for run in self.runs.of(self.study) if run.number == number]

    def run_id(self, state: str) -> str:
        """Give the run of the last trial in a state."""
        (run_id,) = self.run_ids(self.number(state))
        return run_id

    def sql(self, statement: str, *values: object) -> None:
        """Change MLflow's database past MLflow."""
        with sqlite3.connect(self.folder / "mlflow.db") as connection:
            assert connection.execute(statement, values).rowcount
        connection.close()

    def compare(self) -> Agreement:
        """Compare, and change nothing."""
        return agreement.compare(self.study, stored.trials(URL, self.study), self.runs)

    def settle(self) -> Agreement:
        """Compare and repair."""
        return agreement.settle(self.study, stored.trials(URL, self.study), self.runs)


def lost(place: Place) -> None:
    """Delete the run of a complete trial."""
    place.client.delete_run(place.run_id("complete"))


def lost_when_pruned(place: Place) -> None:
    """Delete the run of a pruned trial."""
    place.client.delete_run(place.run_id("pruned"))


def lost_when_failed(place: Place) -> None:
    """Delete the run of a failed trial."""
    place.client.delete_run(place.run_id("failed"))


def wrong_state(place: Place) -> None:
    """Call a complete trial pruned."""
    place.client.set_tag(place.run_id("complete"), "popsearch.state", "pruned")


def wrong_status(place: Place) -> None:
    """Call the run of a complete trial failed."""
    place.client.set_terminated(place.run_id("complete"), "FAILED")


def killed(place: Place) -> None:
    """Close the run of a failed trial as if it had been given back."""
    place.client.set_tag(place.run_id("failed"), "popsearch.state", "given back")
    place.client.set_terminated(place.run_id("failed"), "KILLED")


def wrong_reason(place: Place) -> None:
    """Forget why a trial failed."""
    place.client.set_tag(place.run_id("failed"), "popsearch.reason", "")


def wrong_score(place: Place) -> None:
    """Write another score after the trial's own."""
    place.client.log_metric(place.run_id("complete"), "val_mse", 1e9)


def lost_score(place: Place) -> None:
    """Delete a score."""
    for table in ("metrics", "latest_metrics"):
        run_id = place.run_id("pruned")
        place.sql(f"DELETE FROM {table} WHERE run_uuid = ? AND key = 'val_mae'", run_id)


def lost_param(place: Place) -> None:
    """Delete a parameter."""
    run_id = place.run_id("complete")
    place.sql("DELETE FROM params WHERE run_uuid = ? AND key = 'max_depth'", run_id)


def left_open(place: Place) -> None:
    """Leave the run of a complete trial as a process that died would."""
    run_id = place.run_id("complete")
    place.client.set_tag(run_id, "popsearch.worker", DEAD)
    place.client.delete_tag(run_id, "popsearch.state")
    place.client.update_run(run_id, status="RUNNING")


def left_open_by_us(place: Place) -> None:
    """Leave the run of a complete trial open in this process."""
    place.client.update_run(place.run_id("complete"), status="RUNNING")


def left_open_when_given_back(place: Place) -> None:
    """Leave the run of a trial that was given back open."""
    run_id = place.run_id("given back")
    place.client.set_tag(run_id, "popsearch.worker", DEAD)
    place.client.delete_tag(run_id, "popsearch.state")
    place.client.update_run(run_id, status="RUNNING")


def finished_when_given_back(place: Place) -> None:
    """Call a trial complete that was given back."""
    run_id = place.run_id("given back")
    place.client.set_tag(run_id, "popsearch.state", "complete")
    place.client.set_terminated(run_id)


def short_curve(place: Place) -> None:
    """Delete the last point of every curve of a trial."""
    run_id = place.run_id("complete")
    steps = sorted(m.step for m in place.client.get_metric_history(run_id, "curve/val_mse"))
    *_, last, gone = steps
    place.sql("DELETE FROM metrics WHERE run_uuid = ? AND step = ?", run_id, gone)
    latest = "UPDATE latest_metrics SET step = ? WHERE run_uuid = ? AND step = ?"
    place.sql(latest, last, run_id, gone)


def no_curve(place: Place) -> None:
    """Delete the curves of a trial."""
    for table in ("metrics", "latest_metrics"):
        run_id = place.run_id("pruned")
        place.sql(f"DELETE FROM {table} WHERE run_uuid = ? AND key LIKE 'curve/%'", run_id)


def begun_twice(place: Place) -> None:
    """Open a second run of a trial, as a process that died would."""
    run = place.client.get_run(place.run_id("complete"))
    tags = {**run.data.tags, "popsearch.worker": DEAD}
    del tags["popsearch.state"]
    place.client.create_run(run.info.experiment_id, tags=tags)


def twice(place: Place) -> str:
    """Make a second run of a trial that is equal to the first."""
    run_id = place.run_id("complete")
    run = place.client.get_run(run_id)
    copy = place.client.create_run(run.info.experiment_id, tags=run.data.tags).info.run_id
    for name, value in run.data.params.items():
        place.client.log_param(copy, name, value)
    for name in run.data.metrics:
        for metric in place.client.get_metric_history(run_id, name):
            place.client.log_metric(copy, name, metric.value, metric.timestamp, metric.step)
    place.client.set_terminated(copy)
    return str(copy)


def twice_and_the_linked_one_is_wrong(place: Place) -> None:
    """Make a second run that agrees, and spoil the first."""
    linked = place.run_id("complete")
    twice(place)
    place.client.log_metric(linked, "val_mse", 1e9)


SPOILT: list[tuple[Callable[[Place], object], str, str]] = [
    (lost, "complete", "no run"),
    (lost_when_pruned, "pruned", "no run"),
    (lost_when_failed, "failed", "no run"),
    (wrong_state, "complete", "pruned (FINISHED)"),
    (wrong_status, "complete", "complete (FAILED)"),
    (killed, "failed", "given back (KILLED)"),
    (wrong_reason, "reason 'no solution'", "reason ''"),
    (wrong_score, "val_mse ", "val_mse 1000000000.0"),
    (lost_score, "val_mae ", "val_mae not there"),
    (lost_param, "max_depth ", "max_depth not there"),
    (left_open, "complete", "RUNNING"),
    (left_open_by_us, "complete", "complete (RUNNING)"),
    (left_open_when_given_back, "given back", "RUNNING"),
    (finished_when_given_back, "given back", "complete (FINISHED)"),
    (short_curve, "points of the curve ", "points of the curve "),
    (no_curve, "points of the curve ", "points of the curve 0"),
    (begun_twice, "one run", "2 runs: "),
    (twice, "one run", "2 runs: "),
    (twice_and_the_linked_one_is_wrong, "one run", "2 runs: "),
]
