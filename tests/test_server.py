"""Tracking to a real MLflow server, as a team has one."""

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
from servers import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of an MLflow server of its own."""
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server.address
    server.stop()


@pytest.mark.parametrize(("name", "n_rows"), [("mlflow", 600), ("server", 700)])
def test_a_study_is_tracked_on_a_server(
    name: str,
    n_rows: int,
    server: str,
    compose: Any,
    workdir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Runs, curves and the model go to the server; nothing of MLflow is left or printed here."""
    where = f"tracking={name}", f"tracking.uri={server}"
    cfg = compose("model=ridge", f"data.rows={n_rows}", "n_trials=3", *where)
    result = run(cfg, workdir, "")
    assert_agree(workdir, result.study, 3, tracking=server)
    assert not (workdir / "mlflow.db").exists()
    assert not (workdir / "mlruns").exists()
    assert "View run" not in capsys.readouterr().out
    again = run(cfg, workdir, "")
    assert again.mlflow_run_id == result.mlflow_run_id


def test_a_study_is_compared_with_a_server(server: str, compose: Any, workdir: Path) -> None:
    """A run that was deleted there is made again, and a score that was changed is written again."""
    cfg = compose("model=ridge", "data.rows=800", "n_trials=3", f"tracking.uri={server}")
    name = run(cfg, workdir, "").study
    client, runs = MlflowClient(server), StoredRuns(server)
    first, second, _ = runs.of(name)
    client.delete_run(first.run_id)
    client.log_metric(second.run_id, "val_mse", 1e9)
    found = agreement.settle(name, stored.trials("sqlite:///optuna.db", name), runs)
    assert sorted(d.number for d in found.repaired) == [first.number, second.number]
    assert found.disagreements == []
    assert_agree(workdir, name, 3, tracking=server)
