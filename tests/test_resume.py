"""Killed at any moment and started again by the same command: nothing lost, nothing twice."""

import itertools
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import mlflow.sklearn  # noqa: F401  imported here, so that the killed processes need not
import pytest
import sklearn.linear_model  # noqa: F401
import skops.io  # noqa: F401

from agreement import assert_agree
from killing import killed_at
from popsearch import data, run, sqlite
from popsearch.plan import prepare
from programs import popsearch, wait_for

OVERRIDES = ("model=ridge", "data.rows=400", "n_trials=3", "pruner=none")
STRIDE = 6  # every sixth write; all of them are killed with POPSEARCH_KILL_ALL=1


def run_killed_at(write: int, cfg: Any, folder: Path) -> bool:
    """Run a study in a process that dies before a database write; tell whether it did."""
    return killed_at(write, lambda: run.run(cfg, folder, ""))


def test_killed_before_any_write(compose: Any, workdir: Path) -> None:
    """Whichever database write a process dies before, the next one ends the same study."""
    cfg = compose(*OVERRIDES)
    name = prepare(cfg).study_name
    template = workdir / "template"  # databases with their tables, which take seconds to make
    template.mkdir()
    os.chdir(template)
    assert not run_killed_at(0, compose("model=linear", "data.rows=400"), template)
    stride = 1 if os.environ.get("POPSEARCH_KILL_ALL") else STRIDE
    for write in itertools.count(1, stride):
        folder = workdir / str(write)
        folder.mkdir()
        for file in template.glob("*.db*"):
            shutil.copy(file, folder)
        os.chdir(folder)
        died = run_killed_at(write, cfg, folder)
        assert not run_killed_at(0, cfg, folder)
        assert_agree(folder, name, 3)
        if not died:
            break
    assert write > 60  # the study has at least twenty writes a trial: they were all tried


SLOW = ("model=random_forest", "data.rows=3000", "n_trials=4", "model.steps.patience=100")


def result(folder: Path) -> dict[str, Any]:
    """Give the newest result.json below a folder."""
    newest = max(folder.glob("outputs/*/*/result.json"), key=lambda p: p.stat().st_mtime)
    loaded: dict[str, Any] = json.loads(newest.read_text())
    return loaded


def test_sigkill_and_the_same_command(workdir: Path) -> None:
    """A program killed in its third trial is continued by the same command."""
    process = popsearch(*SLOW)
    wait_for(process, " 2/4")
    process.kill()
    process.wait()
    again = popsearch(*SLOW)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert "continued after 2 of 4 trials" in out
    found = result(workdir)
    assert sum(found["n_trials"].values()) == 4
    assert found["test_mse"] > found["floor_mse"]
    assert_agree(workdir, found["study"], 4)


@pytest.mark.parametrize(
    ("signal_number", "reason", "code"),
    [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)],
)
def test_a_signal_stops_cleanly(signal_number: int, reason: str, code: int, workdir: Path) -> None:
    """Ctrl-C and SIGTERM end within seconds, close all runs, and say how to go on."""
    process = popsearch(*SLOW)
    wait_for(process, " 1/4")
    sent = time.monotonic()
    process.send_signal(signal_number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 15
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert f"stopped by {reason}" in out
    assert "go on" in out
    found = result(workdir)
    assert found["stopped_by"] == reason
    assert found["test_mse"] is None
    done = sum(found["n_trials"].values())
    assert done in (1, 2)
    assert_agree(workdir, found["study"], done)


def test_the_time_limit_is_kept(compose: Any, workdir: Path) -> None:
    """A search stops within a second of its time limit, in the middle of a trial."""
    cfg = compose(
        "model=gbr", "data.rows=20000", "timeout=4", "n_trials=1000", "tracking=none",
        "model.steps.budget=5000", "model.steps.every=5000", "model.known_good=[]",
        "+model.fixed.max_leaf_nodes=200",
    )  # fmt: skip
    sqlite.configure()
    data.load(cfg.data)
    found = run.run(cfg, workdir, "")
    assert found.stopped_by == "timeout"
    assert found.duration_s < 15  # the one trial would take minutes; start-up is not search
    assert found.n_trials["complete"] == 0
