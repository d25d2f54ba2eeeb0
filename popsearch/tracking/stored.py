"""The runs of trials as they stand in MLflow: read, and corrected where they are wrong."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from popsearch import config, sqlite
from popsearch.space import Params
from popsearch.tracking import trial_run
from popsearch.tracking.client import connect
from popsearch.tracking.runs import BATCH

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 1000
"""Runs that are asked for at once."""

CURVE = "curve/val_mse"
LONGEST = 5000
"""Characters of a reason that MLflow is given."""


@dataclass(frozen=True)
class StoredRun:
    """What MLflow holds of one run of a trial.

    Parameters
    ----------
    number
        Of its trial; none where the run does not say.
    status
        MLflow's own: ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``.
    state
        How the trial ended, as its tag says: empty before that.
    scores
        Its metrics but those of curves.
    last_step
        Of the curve; none where there is none.
    """

    run_id: str
    number: int | None
    status: str
    state: str
    reason: str
    worker: str | None
    params: Mapping[str, str]
    scores: Mapping[str, float]
    last_step: int | None
    began: int


def status(state: str) -> str:
    """Give the status of a run whose trial ended so: MLflow has fewer words for it."""
    return {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}.get(state, "KILLED")


def faults(cfg: config.Tracking) -> list[str]:
    """Give what keeps runs from being read; creates nothing."""
    if isinstance(cfg, config.NoTracking):
        return ["tracking=none: must be tracking=mlflow, for there are no runs to compare with"]
    if not sqlite.holds(cfg.uri, "experiments"):
        return [f"tracking.uri={cfg.uri}: must be a database of runs, but there is none yet"]
    return []


class StoredRuns:
    """Reads runs a page at a time, and changes of them what MLflow lets be changed.

    Parameters
    ----------
    uri
        MLflow's tracking address.
    """

    def __init__(self, uri: str) -> None:
        self._client = connect(sqlite.absolute(uri))
        self._parents: dict[str, tuple[str, str]] = {}  # by study: experiment and run

    def of(self, study: str) -> list[StoredRun]:
        """Give all runs of a study's trials, those that were opened first before the others."""
        found = {run.info.run_id: _stored(run) for run in self._search(study, "trial")}
        return sorted(found.values(), key=lambda run: run.began)

    def steps(self, run_id: str) -> list[int]:
        """Give the steps at which a run's curve has points."""
        return sorted({metric.step for metric in self._client.get_metric_history(run_id, CURVE)})

    def make(self, study: str, number: int, worker: str | None, began: datetime | None) -> str:
        """Open a run for a trial that has none, below the study's, and give its id."""
        experiment_id, parent = self._parent(study)
        own = {"popsearch.trial": str(number)} | ({"popsearch.worker": worker} if worker else {})
        run = self._client.create_run(
            experiment_id,
            start_time=_ms(began),
            run_name=trial_run.name(number, study),
            tags={**_tags(study, "trial"), "mlflow.parentRunId": parent, **own},
        )
        run_id: str = run.info.run_id
        return run_id

    def add(
        self,
        run_id: str,
        params: Params,
        scores: Mapping[str, float],
        curve: Mapping[int, float],
        at: datetime | None,
    ) -> None:
        """Write parameters that a run does not have, scores, and points of its curve by step."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)  # of two scores MLflow shows the later one
        metrics = [Metric(CURVE, value, _ms(at) or now, step) for step, value in curve.items()]
        metrics += [Metric(name, value, now, 0) for name, value in scores.items()]
        unsent = [Param(name, str(value)) for name, value in params.items()]
        for i in range(0, max(len(metrics), 1), BATCH):
            self._client.log_batch(run_id, metrics[i : i + BATCH], [] if i else unsent)

    def close(
        self, run_id: str, state: str, reason: str, ended: datetime | None, repaired: str
    ) -> None:
        """Write how a trial ended, and what of its run was repaired."""
        tags = {"popsearch.state": state, "popsearch.reason": reason[:LONGEST]}
        for name, value in {**tags, "popsearch.repaired": repaired}.items():
            self._client.set_tag(run_id, name, value)
        self._client.set_terminated(run_id, status(state), _ms(ended))

    def _parent(self, study: str) -> tuple[str, str]:
        """Give the study's experiment and run; made where they are not there."""
        if study not in self._parents:
            first = min(self._search(study, "study"), key=_began, default=None)
            self._parents[study] = (
                (first.info.experiment_id, first.info.run_id) if first else self._new_parent(study)
            )
        return self._parents[study]

    def _new_parent(self, study: str) -> tuple[str, str]:
        data = study.rsplit("-", 2)[0]
        found = self._client.get_experiment_by_name(data)
        experiment_id: str = found.experiment_id if found else self._client.create_experiment(data)
        tags = {**_tags(study, "study"), "popsearch.repaired": "made from the study"}
        run_id: str = self._client.create_run(experiment_id, run_name=study, tags=tags).info.run_id
        self._client.set_terminated(run_id)
        return experiment_id, run_id

    def _search(self, study: str, kind: str) -> Iterator[Any]:
        experiments = [e.experiment_id for e in every(self._client.search_experiments)]
        quote = '"' if "'" in study else "'"
        query = (
            f"tags.`popsearch.study` = {quote}{study}{quote} and tags.`popsearch.kind` = '{kind}'"
        )
        if experiments:
            yield from search(self._client, experiments, query)


def search(client: "MlflowClient", experiments: list[str], query: str) -> Iterator[Any]:
    """Give all runs of these experiments for which a query holds."""
    yield from every(lambda **page: client.search_runs(experiments, query, **page))


def every(request: Callable[..., Any]) -> Iterator[Any]:
    """Give what is on all pages."""
    token = None
    while True:
        page = request(max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _stored(run: Any) -> StoredRun:
    tags, metrics = run.data.tags, run.data._metric_objs
    number = tags.get("popsearch.trial", "")
    return StoredRun(
        run_id=run.info.run_id,
        number=int(number) if number.isdecimal() else None,
        status=run.info.status,
        state=tags.get("popsearch.state", ""),
        reason=tags.get("popsearch.reason", ""),
        worker=tags.get("popsearch.worker"),
        params=run.data.params,
        scores={m.key: m.value for m in metrics if not m.key.startswith("curve/")},
        last_step=next((m.step for m in metrics if m.key == CURVE), None),
        began=_began(run),
    )


def _began(run: Any) -> int:
    began: int = run.info.start_time
    return began


def _tags(study: str, kind: str) -> dict[str, str]:
    return {"popsearch.study": study, "popsearch.kind": kind}


def _ms(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at else None
