"""Runs and curves in MLflow."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from popsearch import process, sqlite
from popsearch.outcome import Outcome, State
from popsearch.space import Params
from popsearch.tracking import model
from popsearch.tracking.tracker import StudyRecord, Tracker

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

BATCH = 1000  # MLflow takes no more metrics at once
FLUSH_S = 2.0  # how old the picture of a running trial may be


@dataclass
class _Sent:
    """What MLflow has of an open run: not these parameters yet, so many points, since when."""

    params: list[Any]
    n_points: int
    at: float


class MlflowTracker(Tracker):
    """Writes through ``MlflowClient`` with explicit run ids, in few large batches.

    Parameters
    ----------
    uri
        MLflow's tracking address.
    experiment
        Made if it is not there.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self._client = connect(uri)
        self._uri: str = self._client.tracking_uri
        found = self._client.get_experiment_by_name(experiment)
        # The kind and the page's parameter open MLflow's pages for training, not for chatbots.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        self._experiment_id: str = (
            found.experiment_id if found else self._client.create_experiment(experiment, tags=kind)
        )
        self.page = f"#/experiments/{self._experiment_id}?workflowType=machine_learning"
        self._worker = process.identity()
        self._open: dict[str, _Sent] = {}

    def open_study(self, study: StudyRecord) -> str:
        from mlflow.entities import Dataset, DatasetInput

        found = self._client.search_runs(
            [self._experiment_id],
            f"tags.`popsearch.study` = '{study.name}' and tags.`popsearch.kind` = 'study'",
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        self._study = study.name
        if found:
            self._parent: str = found[0].info.run_id
            self._client.update_run(self._parent, status="RUNNING")
        else:
            own = {"popsearch.study": study.name, "popsearch.kind": "study"}
            self._parent = self._client.create_run(
                self._experiment_id, run_name=study.name, tags={**own, **study.tags}
            ).info.run_id
            data = Dataset(study.data_name, study.data_digest[:8], "local", study.data_source)
            self._client.log_inputs(self._parent, [DatasetInput(data)])
            for file, text in study.texts.items():
                self._client.log_text(self._parent, text, file)
        self._client.set_tag(self._parent, "popsearch.worker", self._worker)
        return self._parent

    def start(self, number: int, params: Params) -> str:
        from mlflow.entities import Param

        run_id: str = self._client.create_run(
            self._experiment_id,
            run_name=f"trial {number:04d}",
            tags={
                "mlflow.parentRunId": self._parent,
                "popsearch.study": self._study,
                "popsearch.kind": "trial",
                "popsearch.trial": str(number),
                "popsearch.worker": self._worker,
            },
        ).info.run_id
        unsent = [Param(key, str(value)) for key, value in params.items()]
        self._open[run_id] = _Sent(unsent, 0, time.monotonic())
        return run_id

    def step(self, run_id: str, outcome: Outcome) -> None:
        if time.monotonic() - self._open[run_id].at > FLUSH_S:
            self._send(run_id, outcome, {}, [])

    def finish(self, run_id: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag("popsearch.state", outcome.state)]
        if outcome.copy_of is not None:
            tags.append(RunTag("popsearch.copy_of", str(outcome.copy_of)))
        if outcome.reason:
            tags.append(RunTag("popsearch.reason", outcome.reason[:5000]))
        if outcome.warnings:
            tags.append(RunTag("popsearch.warnings", "\n".join(outcome.warnings)[:5000]))
        if outcome.trace:
            self._client.log_text(run_id, outcome.trace, "traceback.txt")
        self._send(run_id, outcome, scores, tags)
        self._client.set_terminated(run_id, "FAILED" if outcome.state == "failed" else "FINISHED")
        del self._open[run_id]

    def _send(
        self, run_id: str, outcome: Outcome, scores: Mapping[str, float], tags: list[Any]
    ) -> None:
        """Write what was not sent yet; the tags go with the last batch."""
        from mlflow.entities import Metric

        sent = self._open[run_id]
        now = int(time.time() * 1000)
        metrics = [
            Metric(f"curve/{key}", getattr(point, key), now, point.resource)
            for point in outcome.curve[sent.n_points :]
            for key in ("train_mse", "train_mae", "val_mse", "val_mae")
        ]
        metrics += [Metric(key, value, now, 0) for key, value in scores.items()]
        params, sent.params = sent.params, []
        for i in range(0, max(len(metrics), 1), BATCH):
            last = i + BATCH >= len(metrics)
            self._client.log_batch(
                run_id, metrics[i : i + BATCH], [] if i else params, tags if last else []
            )
        sent.n_points, sent.at = len(outcome.curve), time.monotonic()

    def close(self, run_id: str, reason: str) -> None:
        self._client.set_tag(run_id, "popsearch.state", "given back")
        self._client.set_tag(run_id, "popsearch.reason", reason)
        self._client.set_terminated(run_id, "KILLED")
        self._open.pop(run_id, None)

    def finished(self, run_id: str) -> tuple[State, dict[str, float]] | None:
        run = self._client.get_run(run_id)
        states: dict[str, State] = {name: name for name in get_args(State)}
        state = states.get(run.data.tags.get("popsearch.state", ""))
        if run.info.status not in ("FINISHED", "FAILED") or state is None:
            return None
        own = {k: v for k, v in run.data.metrics.items() if not k.startswith("curve/")}
        return state, own

    def close_left_behind(self) -> None:
        for run in self._open_runs():
            if not process.lives(run.data.tags["popsearch.worker"]):
                self.close(run.info.run_id, "the process died")

    def close_study(self, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        self._client.log_batch(
            self._parent,
            [Metric(key, value, now, 0) for key, value in metrics.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        self._client.set_terminated(self._parent)

    def log_model(self, pipeline: Any, example: "pd.DataFrame", packages: list[str]) -> None:
        import mlflow

        with _tracking_uri(self._uri), mlflow.start_run(run_id=self._parent), _quiet():
            model.log(pipeline, example, packages)

    def _open_runs(self) -> Iterator[Any]:
        token = None
        query = (
            f"tags.`popsearch.study` = '{self._study}' and tags.`popsearch.kind` = 'trial' "
            "and attributes.status = 'RUNNING'"
        )
        while True:
            page = self._client.search_runs([self._experiment_id], query, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def connect(uri: str) -> "MlflowClient":
    """Give MLflow's client, with its reports off."""
    sqlite.configure()
    # MLflow reports its use to its makers unless told not to; whoever wants that can say so.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    from mlflow import MlflowClient

    # MLflow keeps what it opened by address, whatever folder it is called from later.
    return MlflowClient(sqlite.absolute(uri))


@contextlib.contextmanager
def _tracking_uri(uri: str) -> Iterator[None]:
    """Set MLflow's address for what has no client; leave the environment as it was."""
    import mlflow

    name = "MLFLOW_TRACKING_URI"  # set_tracking_uri writes it, the next study would read it
    old = os.environ.get(name)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if old is not None:
            os.environ[name] = old


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's advice on models off the terminal."""
    names = ("mlflow.models", "mlflow.pyfunc", "mlflow.sklearn", "mlflow.utils")
    loggers = [logging.getLogger(name) for name in names]
    old = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, old, strict=True):
            logger.setLevel(level)
