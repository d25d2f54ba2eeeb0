"""A search on a real Ray cluster of several nodes, one of which dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import FrozenTrial, TrialState
from ray.cluster_utils import Cluster

from databases import postgres_server
from popsearch import postgres

SLOW = ("model=random_forest", "data.rows=12000", "model.steps.patience=100", "pruner=none")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Give a cluster whose head runs no tasks, with two nodes of one core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        made.add_node(num_cpus=1)
        made.add_node(num_cpus=1)
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the address of a database on a server."""
    with postgres_server() as server:
        yield server.get_uri()


def trials_in(url: str) -> list[FrozenTrial]:
    """Give the trials of the only study, none before there is one."""
    address = postgres.address(url)
    names = optuna.get_all_study_names(address)
    return optuna.load_study(study_name=names[0], storage=address).trials if names else []


def popsearch(cluster: Cluster, url: str, *more: str) -> "subprocess.Popen[str]":
    """Start a search with two tasks."""
    command = [sys.executable, "-m", "popsearch", *SLOW, *more, "workers=2", "executor=ray"]
    command += [f"executor.address={cluster.address}", "storage=postgres", "tracking=none"]
    env = {**os.environ, "POPSEARCH_STORAGE_URL": url}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True)


def test_ctrl_c_gives_trials_back(cluster: Cluster, url: str, workdir: Path) -> None:
    """The tasks hear of it, and end within seconds; the test after this one goes on with them."""
    process = popsearch(cluster, url, "n_trials=8")
    _with_a_trial(cluster, url)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped by Ctrl-C" in out
    trials = trials_in(url)
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING]
    back = {trial.number for trial in trials if trial.user_attrs.get("given_back")}
    queued = {t.user_attrs.get("retry_of") for t in trials if t.state == TrialState.WAITING}
    assert back
    assert queued - {None} == back


def test_a_node_that_dies_loses_nothing(cluster: Cluster, url: str, workdir: Path) -> None:
    """Its trial is tried again, Ray repeats its task elsewhere, and all trials are there."""
    process = popsearch(cluster, url, "n_trials=8")
    victim = _with_a_trial(cluster, url)
    cluster.remove_node(victim, allow_graceful=False)
    cluster.add_node(num_cpus=1)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    trials = trials_in(url)
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(done) == 8
    assert "8 complete" in out
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING]
    back = [trial for trial in trials if trial.user_attrs.get("given_back")]
    (lost,) = [trial for trial in back if trial.user_attrs["reason"] == "its process died"]
    (again,) = [trial for trial in done if trial.user_attrs.get("retry_of") == lost.number]
    assert again.params == lost.params


def _with_a_trial(cluster: Cluster, url: str) -> object:
    """Wait until both nodes run a trial, and give one of them."""
    for _ in range(600):
        running = [t for t in trials_in(url) if t.state == TrialState.RUNNING]
        if len({trial.user_attrs["worker"] for trial in running}) == 2:
            worker = psutil.Process(int(running[0].user_attrs["worker"].split("/")[1]))
            ancestors = {parent.pid for parent in worker.parents()}
            for node in cluster.worker_nodes:
                raylet = node.all_processes["raylet"][0].process
                if raylet.pid in ancestors:
                    return node
        time.sleep(0.1)
    pytest.fail("no two nodes ran a trial at once")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "storage.url is a file; give storage=postgres"),
        (("storage=postgres",), "tracking.uri is a file; give the address of a server"),
    ],
)
def test_files_that_nodes_do_not_reach_are_refused(
    more: tuple[str, ...],
    words: str,
    url: str,
    faults_of: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything is created."""
    monkeypatch.setenv("POPSEARCH_STORAGE_URL", url)
    faults = faults_of("model=ridge", "data.rows=400", "executor=ray", *more)
    assert words in faults[0]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "there is no Ray cluster: [Errno 111] Connection refused; start one with"),
        ("127.0.0.1", "must be auto or the address of a Ray cluster"),
        ("host:port", "must be auto or the address of a Ray cluster"),
        ("ray://127.0.0.1:10001", "must be auto or the address of a Ray cluster"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_line(
    address: str,
    words: str,
    url: str,
    faults_of: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With what to type, before the study opens."""
    monkeypatch.setenv("POPSEARCH_STORAGE_URL", url)
    more = ("executor=ray", f"executor.address={address}", "storage=postgres", "tracking=none")
    (fault,) = faults_of("model=ridge", "data.rows=400", *more)
    assert fault.startswith(f"executor.address={address}: ")
    assert words in fault
