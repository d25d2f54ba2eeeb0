"""Runs and curves in MLflow."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from popsearch import process, sqlite
from popsearch.outcome import Outcome, State
from popsearch.space import Params
from popsearch.tracking import model, operations, residual_file, sending, server, trial_run, views
from popsearch.tracking.client import connect, experiment
from popsearch.tracking.operations import Operation
from popsearch.tracking.outbox import Notify, Outbox
from popsearch.tracking.spool import FOLDER, Spool, file_of
from popsearch.tracking.system import SystemMetrics
from popsearch.tracking.tracker import Given, StudyRecord, Ticket, Tracker

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from popsearch.data.intake import Intake

BATCH = 1000  # MLflow takes no more metrics at once
FLUSH_S = 2.0  # how old the picture of a running trial may be


@dataclass
class _Sent:
    """What MLflow has of an open run: not these parameters yet, so many points, since when."""

    params: dict[str, str]
    n_points: int
    at: float


class MlflowTracker(Tracker):
    """Writes through ``MlflowClient`` with explicit run ids, in few large batches.

    Parameters
    ----------
    uri
        MLflow's tracking address. While a server is away, what is for it waits in a file.
    experiment
        Made if it is not there; of no use to a tracker that joins a study.
    notify
        Is told when a server goes away, and when it is back.
    system_metrics
        Whether the study's run shows what the computer does.
    """

    def __init__(
        self,
        uri: str,
        experiment: str = "",
        notify: Notify = lambda line: None,
        system_metrics: bool = True,
    ) -> None:
        sqlite.configure()
        # MLflow keeps what it opened by address, whatever folder it is called from later.
        self._uri = sqlite.absolute(uri)
        self._client = connect(self._uri)
        self._experiment, self._notify = experiment, notify
        self._ticket = Ticket()
        self._outbox: Outbox | None = None
        self._worker = process.identity()
        self._open: dict[str, _Sent] = {}
        self._watches, self._began = system_metrics, 0
        self._system: SystemMetrics | None = None

    def open_study(self, study: StudyRecord) -> str:
        from mlflow.entities import Dataset, DatasetInput

        experiment_id = experiment(self._client, self._experiment)
        tags = self._client.get_experiment(experiment_id).tags
        for tag, value in views.missing(tags, study.params).items():
            self._client.set_experiment_tag(experiment_id, tag, value)
        self._send_left_behind()
        runs = self._client.search_runs(
            [experiment_id],
            f"tags.`popsearch.study` = '{study.name}' and tags.`popsearch.kind` = 'study'",
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        if runs:
            run = runs[0]
            self._client.update_run(run.info.run_id, status="RUNNING")
        else:
            own = {"popsearch.study": study.name, "popsearch.kind": "study"}
            run = self._client.create_run(
                experiment_id, run_name=study.name, tags={**own, **study.tags}
            )
            data = Dataset(study.data_name, study.data_digest[:8], "local", study.data_source)
            self._client.log_inputs(run.info.run_id, [DatasetInput(data)])
            for file, text in study.texts.items():
                self._client.log_text(run.info.run_id, text, file)
        parent: str = run.info.run_id
        self._began = run.info.start_time
        self._client.set_tag(parent, "popsearch.worker", self._worker)
        self.join(Ticket(study.name, experiment_id, parent))
        return parent

    def ticket(self) -> Ticket:
        return self._ticket

    def join(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self.page = views.page(ticket.experiment_id)
        if server.is_server(self._uri):
            spool = Spool(file_of(ticket.study, self._worker))
            self._outbox = Outbox(self._client, self._uri, spool, self._notify)

    def page_of(self, run_id: str) -> str:
        known = run_id and not operations.read_own_id(run_id)
        return views.page_of(self._ticket.experiment_id, run_id) if known else ""

    def start(self, number: int, params: Params) -> str:
        tags = {
            "mlflow.parentRunId": self._ticket.run_id,
            "popsearch.study": self._ticket.study,
            "popsearch.kind": "trial",
            "popsearch.trial": str(number),
            "popsearch.worker": self._worker,
            "mlflow.note.content": trial_run.description(number, self._ticket.study, params),
        }
        name = operations.own_id(number, self._worker)
        run_id = self._write(
            operations.create(
                name, self._ticket.experiment_id, trial_run.name(number, self._ticket.study), tags
            )
        )
        unsent = {key: str(value) for key, value in params.items()}
        self._open[run_id] = _Sent(unsent, 0, time.monotonic())
        return run_id

    def step(self, run_id: str, outcome: Outcome) -> None:
        if time.monotonic() - self._open[run_id].at > FLUSH_S:
            self._write_points(run_id, outcome, {}, {})

    def finish(self, run_id: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        tags: dict[str, str] = {"popsearch.state": outcome.state}
        if outcome.copy_of is not None:
            tags["popsearch.copy_of"] = str(outcome.copy_of)
        if outcome.reason:
            tags["popsearch.reason"] = outcome.reason[:5000]
        if outcome.warnings:
            tags["popsearch.warnings"] = "\n".join(outcome.warnings)[:5000]
        if outcome.trace:
            self._write(operations.text(run_id, "traceback.txt", outcome.trace))
        self._write_points(run_id, outcome, scores, tags)
        status = "FAILED" if outcome.state == "failed" else "FINISHED"
        self._write(operations.end(run_id, status, outcome.state, scores))
        del self._open[run_id]

    def _write_points(
        self, run_id: str, outcome: Outcome, scores: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        """Write what was not written yet; the tags go with the last batch."""
        sent = self._open[run_id]
        metrics = [
            (f"curve/{key}", getattr(point, key), point.resource)
            for point in outcome.curve[sent.n_points :]
            for key in ("train_mse", "train_mae", "val_mse", "val_mae")
        ]
        metrics += [(key, value, 0) for key, value in scores.items()]
        params, sent.params = sent.params, {}
        for i in range(0, max(len(metrics), 1), BATCH):
            last = i + BATCH >= len(metrics)
            part = metrics[i : i + BATCH]
            self._write(operations.batch(run_id, part, {} if i else params, tags if last else {}))
        sent.n_points, sent.at = len(outcome.curve), time.monotonic()

    def _write(self, operation: Operation) -> str:
        if self._outbox:
            return self._outbox.write(operation)
        return operations.carry_out(self._client, operation)

    def close(
        self,
        run_id: str,
        reason: str,
        state: Given = "given back",
        params: Params | None = None,
    ) -> None:
        if run_id not in self._open:  # of another process, whose name for it may be its own
            if (run := self._look_up(run_id)) is None:
                return
            run_id = run.info.run_id
        tags = {"popsearch.state": state, "popsearch.reason": reason}
        own = {key: str(value) for key, value in (params or {}).items()}
        self._write(operations.batch(run_id, params=own, tags=tags))
        self._write(operations.end(run_id, "FAILED" if state == "failed" else "KILLED"))
        self._open.pop(run_id, None)

    def finished(self, run_id: str) -> tuple[State, dict[str, float]] | None:
        states: dict[str, State] = {name: name for name in get_args(State)}
        # First the files: what is in none of them the server has heard of.
        for spool in sending.waiting():
            mine = spool.path == file_of(self._ticket.study, spool.worker)
            if mine and (ending := spool.ending(run_id)):
                state = states.get(ending["state"])
                return (state, ending["scores"]) if state else None
        run = self._look_up(run_id)
        state = states.get(run.data.tags.get("popsearch.state", "")) if run else None
        if run is None or state is None or run.info.status not in ("FINISHED", "FAILED"):
            return None
        own = {k: v for k, v in run.data.metrics.items() if not k.startswith("curve/")}
        return state, own

    def _look_up(self, run_id: str) -> Any:
        """Give a run as the store has it, none where it does not know it or is away."""
        from mlflow.exceptions import MlflowException

        try:
            if not (own := operations.read_own_id(run_id)):
                return self._client.get_run(run_id)
            number, worker = own
            query = self._of_trials(
                f"tags.`popsearch.trial` = '{number}'", f"tags.`popsearch.worker` = '{worker}'"
            )
            found = self._client.search_runs([self._ticket.experiment_id], query, max_results=1)
            return found[0] if found else None
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST" or self._is_away(error):
                return None
            raise

    def _of_trials(self, *more: str) -> str:
        """Give a query for runs of the study's trials."""
        of = f"tags.`popsearch.study` = '{self._ticket.study}'"
        return " and ".join([of, "tags.`popsearch.kind` = 'trial'", *more])

    def close_left_behind(self) -> bool:
        from mlflow.exceptions import MlflowException

        if not self._send_left_behind() or (self._outbox and self._outbox.try_now()):
            return False  # what ended may look open; the next start closes what is
        try:
            for run in self._open_runs():
                if not process.lives(run.data.tags["popsearch.worker"]):
                    self.close(run.info.run_id, "the process died")
        except MlflowException as error:
            if not self._is_away(error):
                raise
            return False
        return True

    def _send_left_behind(self) -> bool:
        """Send what processes that died could not send to this server; tell whether all went."""
        if not server.is_server(self._uri):
            return True
        n_sent, why = 0, ""
        for spool in sending.left_behind():
            mine = self._outbox is not None and spool.path == self._outbox.path
            if why or mine or spool.address != server.address(self._uri):
                continue
            n_runs, why = sending.send_left_behind(self._client, spool)
            n_sent += n_runs
        if n_sent:
            self._notify(f"sent what waited in {FOLDER}: {sending.n_runs_of(n_sent)}")
        return not why

    def _is_away(self, error: Exception) -> bool:
        return server.is_server(self._uri) and bool(server.away(error))

    @contextlib.contextmanager
    def watching(self, computer: str = "") -> Iterator[None]:
        if self._watches:
            self._system = SystemMetrics(self._write, self._ticket.run_id, self._began, computer)
        try:
            yield
        finally:
            self._stop_watching()

    def _stop_watching(self) -> None:
        if self._system:
            self._system.stop()
            self._system = None

    def describe(self, tags: Mapping[str, str]) -> None:
        self._write(operations.batch(self._ticket.run_id, tags=tags))

    def close_study(self, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        self._stop_watching()
        at_end = [(key, value, 0) for key, value in metrics.items()]
        self._write(operations.batch(self._ticket.run_id, at_end, tags=tags))
        self._write(operations.end(self._ticket.run_id, "FINISHED"))
        self.send_rest()

    def send_rest(self) -> None:
        if self._outbox:
            self._outbox.send_rest()

    def log_model(
        self,
        fitted: Any,
        intake: "Intake",
        example: "pd.DataFrame",
        packages: Sequence[str],
        card: str,
        name: str = "model",
    ) -> str | None:
        address: list[str] = []

        def store() -> None:
            of = (self._uri, self._ticket.run_id, name)
            address.append(model.log(*of, fitted, intake, example, packages, card))

        return address[0] if self._store_now("the fitted model is", store) else None

    def log_val_residuals(self, residuals: "Mapping[int, NDArray[np.float32]]") -> bool:
        run_id = self._ticket.run_id
        return self._store_now(
            "the residuals on the validation rows are",
            lambda: residual_file.log_new(self._client, run_id, residuals),
        )

    def log_test_residuals(self, number: int, residuals: "NDArray[np.float32]") -> bool:
        run_id = self._ticket.run_id
        return self._store_now(
            "the residuals on the test rows are",
            lambda: residual_file.log(self._client, run_id, number, residuals),
        )

    def log_files(self, folder: Path, what: str) -> bool:
        def store() -> None:
            with server.time_for_a_model():
                self._client.log_artifacts(self._ticket.run_id, str(folder))

        return self._store_now(what, store)

    def read(self, path: str) -> bytes | None:
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            try:
                file = self._client.download_artifacts(self._ticket.run_id, path, folder)
                return Path(file).read_bytes()
            except (MlflowException, OSError):  # only a picture hangs on it
                return None

    def curves(self, run_id: str) -> dict[str, dict[float, float]]:
        from mlflow.exceptions import MlflowException

        if (run := self._look_up(run_id)) is None:
            return {}
        try:
            return {
                name: {
                    float(point.step): point.value
                    for point in self._client.get_metric_history(run.info.run_id, f"curve/{name}")
                }
                for name in ("train_mse", "val_mse")
            }
        except MlflowException as error:
            if not self._is_away(error):
                raise
            return {}

    def _store_now(self, what: str, store: Callable[[], None]) -> bool:
        """Store what cannot wait for a server; tell whether that was possible."""
        import requests
        from mlflow.exceptions import MlflowException

        why = "" if self._outbox is None else self._outbox.try_now()
        if not why:
            try:
                store()
            except (MlflowException, requests.exceptions.RequestException) as error:
                if not self._is_away(error):
                    raise
                why = server.away(error)
        if why:
            self._notify(
                f"{what} not stored, for {server.address(self._uri)} does not answer "
                f"({why}); the same command stores it when it does"
            )
        return not why

    def _open_runs(self) -> Iterator[Any]:
        token = None
        query = self._of_trials("attributes.status = 'RUNNING'")
        while True:
            page = self._client.search_runs([self._ticket.experiment_id], query, page_token=token)
            yield from page
            token = page.token
            if not token:
                return
