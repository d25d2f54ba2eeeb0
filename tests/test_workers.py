"""A search in several processes: the same study, whatever becomes of any of them."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial

from agreement import assert_agree
from popsearch.errors import WorkerError
from popsearch.run import run
from popsearch.workers import share, worker
from popsearch.workers.share import Share
from programs import popsearch, wait_for

# Trials of a second: two of three processes always have one.
SLOW = ("model=random_forest", "data.rows=3000", "n_trials=6", "model.steps.patience=100")
SLOW += ("workers=2", "pruner=none")


def workers_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Give the workers that a program has started."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "worker.serve" in " ".join(child.cmdline())]


def agreed(folder: Path, n_trials: int) -> list[FrozenTrial]:
    """Give the trials that count of the one study, when study and tracking agree."""
    (name,) = optuna.get_all_study_names(f"sqlite:///{folder}/optuna.db")
    return assert_agree(folder, name, n_trials)


def all_trials(folder: Path) -> list[FrozenTrial]:
    """Give every trial of the one study, those given back as well."""
    url = f"sqlite:///{folder}/optuna.db"
    (name,) = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url).trials


def test_workers_share_one_study(workdir: Path) -> None:
    """Each runs trials, no more than are wanted in all, and each with its own parameters."""
    process = popsearch(*SLOW)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    trials = agreed(workdir, 6)
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2
    assert len({str(trial.params) for trial in trials}) == 6
    assert "6 complete" in out


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


def test_the_time_limit_holds_for_workers(workdir: Path) -> None:
    """They stop in the middle of their trials."""
    slow = [word for word in SLOW if not word.startswith("n_trials")]
    process = popsearch(*slow, "n_trials=500", "timeout=12")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "stopped by timeout" in out
    assert all(trial.state.is_finished() or trial.state.name == "WAITING" for trial in
               all_trials(workdir))  # fmt: skip


def test_every_point_of_a_grid_is_tried_once(compose: Any, workdir: Path) -> None:
    """However many processes take them."""
    cfg = compose(
        "model=ridge", "data.rows=400", "sampler=grid", "sampler.n_points=9", "n_trials=50",
        "model.known_good=[]", "workers=3", "pruner=none",
    )  # fmt: skip
    run(cfg, workdir, "")
    points = [trial.params["alpha"] for trial in agreed(workdir, 9)]
    assert len(set(points)) == 9


def test_patience_ends_a_search_of_workers(compose: Any, workdir: Path) -> None:
    """All of them are heard, and all of them stop."""
    cfg = compose(
        "model=ridge", "data.rows=400", "n_trials=500", "workers=2", "patience=6",
        "min_improvement=0.5", "tracking=none",
    )  # fmt: skip
    result = run(cfg, workdir, "")
    assert result.stopped_by == "patience"
    assert sum(result.n_trials.values()) < 100
    assert not [trial for trial in all_trials(workdir) if trial.state.name == "RUNNING"]


def test_workers_that_cannot_start_end_the_search(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some of them, with what is known of why."""
    cfg = compose("model=ridge", "data.rows=400", "workers=2", "tracking=none")
    monkeypatch.setattr(worker.Order, "__reduce__", lambda order: (eval, ("1 / 0",)))
    with pytest.raises(WorkerError, match="5 workers ended before a single trial did"):
        run(cfg, workdir, "")


def test_a_worker_is_worn_by_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many it is replaced."""
    monkeypatch.setattr(worker, "MAX_TRIALS", 3)
    wear = worker.Wear()
    assert [wear(n) for n in (0, 1, 2, 3)] == [False, False, False, True]


def test_a_worker_is_worn_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it holds so much more than after its first trial."""
    monkeypatch.setattr(worker, "MAX_GROWTH_MIB", 64)
    wear = worker.Wear()
    assert [wear(n) for n in (0, 1, 2)] == [False, False, False]
    held = bytearray(os.urandom(1)) * (128 * 2**20)
    assert wear(3)
    assert len(held)


@given(
    cores=st.lists(st.integers(0, 63), min_size=1, max_size=16, unique=True),
    n_workers=st.integers(1, 20),
)
def test_cores_are_shared_out(cores: list[int], n_workers: int) -> None:
    """Each worker has one at least, none has another's while there are enough, none is idle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share, "_cores", lambda: sorted(cores))
        shares = [Share.of(i, n_workers).cores for i in range(n_workers)]
    given_out = [core for own in shares for core in own]
    assert all(shares)
    if n_workers <= len(cores):
        assert sorted(given_out) == sorted(cores)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    else:
        assert set(given_out) == set(cores)


def test_gpus_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker sees one, in turn; without any the variable is left alone."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    seen = [Share.of(i, 3).environment["CUDA_VISIBLE_DEVICES"] for i in range(3)]
    assert seen == ["4", "7", "4"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(share, "_GPUS", Path("/nowhere"))
    assert "CUDA_VISIBLE_DEVICES" not in Share.of(0, 2).environment
