"""CPU, memory and GPU on a study's run; while a server is away, see test_tracking_spool.py."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from popsearch import sqlite
from popsearch.config import MlflowTracking
from popsearch.errors import StorageError
from popsearch.tracking import StudyRecord, Tracker, open_tracker, system

URI = "sqlite:///mlflow.db"
NAMES = {"cpu_utilization_percentage", "system_memory_usage_megabytes"}
NAMES |= {"system_memory_usage_percentage"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for one database, which takes seconds to make."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def open_study(
    folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Tracker]:
    """Give what opens the study of a test, whose computer is looked at ten times a second."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(system, "FIRST_S", 0.1)

    def open_study(**settings: Any) -> Tracker:
        cfg = MlflowTracking(name="mlflow", uri=URI, **settings)
        tracker = open_tracker(cfg, "demo")
        tracker.open_study(StudyRecord(request.node.name, {}, {}, "demo", 64 * "a", "made up"))
        return tracker

    return open_study


def system_metrics(tracker: Tracker) -> dict[str, list[Any]]:
    """Give all values of the study's run by name, without the prefix that MLflow's pages want."""
    client, run_id = MlflowClient(sqlite.absolute(URI)), tracker.ticket().run_id
    return {
        key.removeprefix("system/"): client.get_metric_history(run_id, key)
        for key in client.get_run(run_id).data.metrics
        if key.startswith("system/")
    }


def n_looks(tracker: Tracker) -> int:
    """Give how often the computer was looked at."""
    return len(system_metrics(tracker).get("cpu_utilization_percentage", []))


def threads() -> list[str]:
    """Give the threads that look at the computer."""
    return [thread.name for thread in threading.enumerate() if thread.name == "system metrics"]


def wait_until(holds: Callable[[], Any]) -> None:
    """Wait until something holds, or fail after a minute."""
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_study_shows_what_the_computer_does(open_study: Callable[..., Tracker]) -> None:
    """Each look has a place of its own in time; memory is what psutil says; one thread, no more."""
    tracker = open_study()
    with tracker.watching():
        assert threads() == ["system metrics"]
        wait_until(lambda: n_looks(tracker) > 2)
        tracker.close_study({}, {})
        assert threads() == []
    found = system_metrics(tracker)
    assert {*found} == NAMES
    for history in found.values():
        assert len({metric.timestamp for metric in history}) == len(history)
    assert all(0 <= metric.value <= 100 for metric in found["cpu_utilization_percentage"])
    memory = found["system_memory_usage_megabytes"][-1].value / 1000
    assert memory == pytest.approx(psutil.virtual_memory().used / 1e9, abs=2)


def test_a_study_that_is_continued_goes_on(open_study: Callable[..., Tracker]) -> None:
    """The steps of the second search are later than those of the first."""
    before: list[int] = []
    for _ in range(2):
        tracker = open_study()
        before.append(n_looks(tracker))
        with tracker.watching():
            wait_until(lambda: n_looks(tracker) > before[-1])  # noqa: B023  # called in this turn
        time.sleep(1)
    history = system_metrics(tracker)["cpu_utilization_percentage"]
    steps = [metric.step for metric in sorted(history, key=lambda metric: metric.timestamp)]
    assert steps == sorted(steps)
    assert steps[before[1]] > steps[before[1] - 1]


def test_the_name_of_a_computer_is_told_where_several_write(
    open_study: Callable[..., Tracker],
) -> None:
    """Each has curves of its own."""
    tracker = open_study()
    with tracker.watching("node-7"):
        wait_until(lambda: system_metrics(tracker))
    assert {*system_metrics(tracker)} == {f"node-7/{name}" for name in NAMES}


def test_they_can_be_switched_off(open_study: Callable[..., Tracker]) -> None:
    """No thread, no figures."""
    tracker = open_study(system_metrics=False)
    with tracker.watching():
        assert threads() == []
    tracker.close_study({}, {})
    assert system_metrics(tracker) == {}


def test_an_error_ends_them_too(open_study: Callable[..., Tracker]) -> None:
    """The thread is gone when the search is left, whatever ended it."""
    tracker = open_study()
    with contextlib.suppress(KeyboardInterrupt), tracker.watching():
        assert threads()
        raise KeyboardInterrupt
    assert threads() == []


def test_what_cannot_be_written_does_not_end_a_search(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is raised or printed; the next look is tried again."""
    monkeypatch.setattr(system, "FIRST_S", 0.1)
    tried: list[Any] = []

    def write(operation: Any) -> None:
        tried.append(operation)
        raise StorageError("the disk is full")

    watched = system.SystemMetrics(write, "1", int(time.time() * 1000))
    wait_until(lambda: len(tried) > 2)
    watched.stop()
    watched.stop()
    assert threads() == []
    assert "".join(capfd.readouterr()) == ""


def test_a_gpu_is_looked_at_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What NVIDIA's library tells stands beside the rest; what it refuses is not complained of."""
    nvml: Any = ModuleType("pynvml")
    nvml.NVMLError = type("NVMLError", (Exception,), {})
    nvml.nvmlInit, nvml.nvmlDeviceGetCount = (lambda: None), (lambda: 1)
    nvml.nvmlDeviceGetHandleByIndex = lambda index: index
    nvml.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(used=2e9, total=8e9)
    nvml.nvmlDeviceGetUtilizationRates = lambda handle: SimpleNamespace(gpu=75)

    def refuse(handle: int) -> int:
        raise nvml.NVMLError("not supported")

    nvml.nvmlDeviceGetPowerUsage = refuse
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr("mlflow.system_metrics.metrics.gpu_monitor.pynvml", nvml, raising=False)
    found = system._look(system._monitors())
    assert found["gpu_0_utilization_percentage"] == 75
    assert found["gpu_0_memory_usage_percentage"] == 25
    assert {*found} > NAMES
