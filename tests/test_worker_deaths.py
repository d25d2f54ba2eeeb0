"""Workers that die, are asked to stop, lose the process that started them or cannot start."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from crews import SLOW, agreed, all_trials, workers_of
from popsearch.errors import WorkerError
from popsearch.run import run
from popsearch.workers import worker
from programs import popsearch, wait_for


def test_a_killed_worker_is_replaced_and_its_trial_tried_again(workdir: Path) -> None:
    """The trial is marked failed, its run closed with the reason, and another takes its place."""
    process = popsearch(*SLOW)
    wait_for(process, " 1/6")
    time.sleep(0.2)
    workers_of(process)[0].kill()
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "a worker ended (exit code -9); another takes its place" in out
    trials = agreed(workdir, 6)
    dead = [trial for trial in all_trials(workdir) if trial.user_attrs.get("given_back")]
    retries = {trial.user_attrs.get("retry_of"): trial for trial in trials}
    assert [trial.user_attrs["reason"] for trial in dead] == ["its process died"] * len(dead)
    assert all(retries[trial.number].params == trial.params for trial in dead)


def test_a_worker_that_is_asked_to_stop_is_replaced(workdir: Path) -> None:
    """It gives its trial back, which is not counted as a death of it."""
    process = popsearch(*SLOW)
    wait_for(process, " 1/6")
    workers_of(process)[0].terminate()
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    agreed(workdir, 6)
    assert not [trial for trial in all_trials(workdir) if trial.user_attrs.get("retries")]


def test_workers_end_with_the_process_that_started_them(workdir: Path) -> None:
    """Killed, it leaves no process behind, and the same command goes on."""
    process = popsearch(*SLOW)
    wait_for(process, " 1/6")
    orphans = workers_of(process)
    process.kill()
    gone, alive = psutil.wait_procs(orphans, timeout=20)
    assert (len(gone), alive) == (2, [])
    again = popsearch(*SLOW)
    out, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert "continued after" in out
    agreed(workdir, 6)


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_stops_all(whole_group: bool, workdir: Path) -> None:
    """Typed in a terminal it reaches every process, sent by a program only the first."""
    process = popsearch(*SLOW)
    wait_for(process, " 1/6")
    workers, sent = workers_of(process), time.monotonic()
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 15
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "stopped by Ctrl-C" in out
    assert not [worker for worker in workers if worker.is_running()]
    done = [trial for trial in all_trials(workdir) if trial.state.name == "COMPLETE"]
    agreed(workdir, len(done))
    trials = all_trials(workdir)
    back = {trial.number for trial in trials if trial.user_attrs.get("given_back")}
    queued = {t.user_attrs.get("retry_of") for t in trials if t.state.name == "WAITING"}
    assert queued - {None} == back


def test_workers_that_cannot_start_end_the_search(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some of them, with what is known of why."""
    cfg = compose("model=ridge", "data.rows=400", "workers=2", "tracking=none")
    monkeypatch.setattr(worker.Order, "__reduce__", lambda order: (eval, ("1 / 0",)))
    with pytest.raises(WorkerError, match="5 workers ended before a single trial did"):
        run(cfg, workdir, "")
