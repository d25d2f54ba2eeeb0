"""Tracking to a real MLflow server, as a team has one."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from agreement import assert_agree
from popsearch import agreement
from popsearch.run import run
from popsearch.study import stored
from popsearch.tracking import StoredRuns


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of an MLflow server of its own."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    store += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, *store], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/health", (folder / "log").read_text)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=30)


def _wait(url: str, log: Any) -> None:
    """Wait until the server answers."""
    for _ in range(120):
        try:
            urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"the server did not start: {log()}")


def test_a_study_is_tracked_on_a_server(server: str, compose: Any, workdir: Path) -> None:
    """Runs, curves and the model go to the server; nothing of MLflow is left in the folder."""
    cfg = compose("model=ridge", "data.rows=600", "n_trials=3", f"tracking.uri={server}")
    result = run(cfg, workdir, "")
    assert_agree(workdir, result.study, 3, tracking=server)
    assert not (workdir / "mlflow.db").exists()
    assert not (workdir / "mlruns").exists()
    again = run(cfg, workdir, "")
    assert again.mlflow_run_id == result.mlflow_run_id


def test_a_study_is_compared_with_a_server(server: str, compose: Any, workdir: Path) -> None:
    """A run that was deleted there is made again, and a score that was changed is written again."""
    cfg = compose("model=ridge", "data.rows=600", "n_trials=3", f"tracking.uri={server}")
    name = run(cfg, workdir, "").study
    client, runs = MlflowClient(server), StoredRuns(server)
    first, second, _ = runs.of(name)
    client.delete_run(first.run_id)
    client.log_metric(second.run_id, "val_mse", 1e9)
    found = agreement.settle(name, stored.trials("sqlite:///optuna.db", name), runs)
    assert sorted(d.number for d in found.repaired) == [first.number, second.number]
    assert found.disagreements == []
    assert_agree(workdir, name, 3, tracking=server)
