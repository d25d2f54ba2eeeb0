"""Leaderboards in MLflow: what is read for them, and the run that shows them."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch import sqlite
from popsearch.tracking import residual_file
from popsearch.tracking.client import connect
from popsearch.tracking.registry import Registry
from popsearch.tracking.runs import BATCH
from popsearch.tracking.stored import search

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

KIND = "leaderboard"


@dataclass(frozen=True)
class BoardPage:
    """What the run of a data set's leaderboard shows.

    Parameters
    ----------
    name
        Of the run.
    fingerprint
        Of the data: there is one run for each.
    markdown
        Its description.
    tables
        Records of each board, by the name of its file.
    plots
        A picture of each board, by the name of its file.
    metrics
        What MLflow draws and sorts by.
    """

    name: str
    fingerprint: str
    markdown: str
    tables: Mapping[str, list[dict[str, Any]]]
    plots: "Mapping[str, Figure]"
    metrics: Mapping[str, float]

    @property
    def digest(self) -> str:
        """Hash of all that is told, but the pictures, which show the same."""
        told = [self.name, self.markdown, self.tables, self.metrics]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


class StoredBoards:
    """Reads what leaderboards need of one experiment, and writes them there.

    Parameters
    ----------
    uri
        MLflow's tracking address.
    data
        The name of the data set, which is the experiment's.
    """

    def __init__(self, uri: str, data: str) -> None:
        self._client = connect(sqlite.absolute(uri))
        self._data = data
        self._registry = Registry(uri, data)

    def residuals(
        self, study: str, number: int, of: residual_file.Of = "test"
    ) -> NDArray[np.float32] | None:
        """Give the residuals of a study's trial on these rows, where they are stored."""
        for run_id in self._runs.get(study, []):
            found = residual_file.read(self._client, run_id, number, of)
            if found is not None:
                return found
        return None

    def champion(self) -> str:
        """Give the study whose model is the champion of the data set; nothing without one."""
        found = self._registry.champion()
        if found is None:
            return ""
        by_run = (study for study, own in self._runs.items() if found.run_id in own)
        return found.tags.get("popsearch.study") or next(by_run, "")

    def write(self, page: BoardPage) -> bool:
        """Write a page on its run, made where it is not there, if anything on it is new.

        Returns
        -------
        Whether it was written: not where no study on these data is tracked.
        """
        if (experiment := self._client.get_experiment_by_name(self._data)) is None:
            return False
        own = experiment.experiment_id, KIND, page.fingerprint, page.name, page.digest
        if (run_id := renewed(self._client, *own)) is None:
            return False
        for file, records in page.tables.items():
            columns = list(records[0])
            rows = [list(record.values()) for record in records]
            # As MLflow's log_table writes it, which would add the rows to those of the last time.
            self._client.log_dict(run_id, {"columns": columns, "data": rows}, file)
        for file, plot in page.plots.items():
            self._client.log_figure(run_id, plot, file)
        self._log_metrics(run_id, page.metrics)
        shown = json.dumps([{"path": file, "type": "table"} for file in page.tables])
        told = {"mlflow.loggedArtifacts": shown, "mlflow.note.content": page.markdown}
        complete(self._client, run_id, told, page.digest)
        return True

    def _log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)  # of two values MLflow shows the later one
        found = [Metric(key, value, now, 0) for key, value in metrics.items()]
        for i in range(0, len(found), BATCH):
            self._client.log_batch(run_id, found[i : i + BATCH])

    @cached_property
    def _runs(self) -> dict[str, list[str]]:
        """The runs of each study: one, unless a study was tracked twice."""
        experiment = self._client.get_experiment_by_name(self._data)
        runs: dict[str, list[str]] = {}
        if experiment:
            query = "tags.`popsearch.kind` = 'study'"
            for run in search(self._client, [experiment.experiment_id], query):
                study = run.data.tags.get("popsearch.study", "")
                runs.setdefault(study, []).append(run.info.run_id)
        return runs


def renewed(
    client: "MlflowClient", experiment_id: str, kind: str, fingerprint: str, name: str, digest: str
) -> str | None:
    """Give the one run of this kind on these data, made where it is not there.

    Returns
    -------
    None where it tells the same already.
    """
    tags = {"popsearch.kind": kind, "popsearch.data_fingerprint": fingerprint}
    query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
    found = [*search(client, [experiment_id], query)]
    if any(run.data.tags.get("popsearch.digest") == digest for run in found):
        return None
    if not found:
        run_id: str = client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
        return run_id
    run_id = min(found, key=lambda run: int(run.info.start_time)).info.run_id
    client.update_run(run_id, name=name)
    return run_id


def complete(client: "MlflowClient", run_id: str, tags: Mapping[str, str], digest: str) -> None:
    """Close a run that is renewed; its digest comes last, so that a half one is written again."""
    for name, value in {**tags, "popsearch.digest": digest}.items():
        client.set_tag(run_id, name, value)
    client.set_terminated(run_id)
