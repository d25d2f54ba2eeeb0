"""What the computer does while a study runs: CPU, memory and GPU, on the study's run."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from popsearch.errors import StorageError
from popsearch.tracking import operations
from popsearch.tracking.operations import Operation

FIRST_S, LONGEST_S = 1.0, 10.0  # between two looks: short searches want a curve too
SHARE = 0.05  # of the time so far, within these bounds
STOP_S = 5.0  # how long the end of a search waits for a look that is being written


class SystemMetrics:
    """Looks at the computer from a thread of its own, by MLflow's names and means.

    MLflow has such a thread too, but that asks the store before each look whether the run still
    goes on, and ends with a warning where a server is away.

    Parameters
    ----------
    write
        Writes an operation; called from the thread.
    run_id
        The study's run.
    began
        When that began (ms): the step of a look is the seconds since, so that a study which is
        continued goes on and nothing has to be looked up.
    node
        The computer's name, where several may write on the same run.
    """

    def __init__(
        self, write: Callable[[Operation], object], run_id: str, began: int, node: str = ""
    ) -> None:
        self._write, self._run_id, self._began = write, run_id, began
        self._prefix = f"system/{node}/" if node else "system/"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="system metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take a last look and end the thread; a second time it does nothing."""
        self._stopped.set()
        self._thread.join(STOP_S)

    def _watch(self) -> None:
        monitors = _monitors()
        began = looked = time.monotonic()
        _look(monitors)  # the CPU's load is measured from one look to the next
        while True:
            so_far = time.monotonic() - began
            ended = self._stopped.wait(min(max(FIRST_S, SHARE * so_far), LONGEST_S))
            if not ended or time.monotonic() - looked >= FIRST_S:
                looked = time.monotonic()
                self._write_down(_look(monitors))
            if ended:
                return

    def _write_down(self, found: dict[str, float]) -> None:
        import requests
        from mlflow.exceptions import MlflowException

        step = int(time.time() - self._began / 1000)
        metrics = [(self._prefix + name, value, step) for name, value in found.items()]
        try:
            self._write(operations.batch(self._run_id, metrics))
        except (MlflowException, requests.exceptions.RequestException, StorageError, OSError):
            # A search must not end for the sake of these. What keeps it from writing its trials
            # too, it says itself.
            return


def _monitors() -> list[Any]:
    """Give MLflow's collectors of what there is to look at here."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    # It would warn at each look of what a GPU does not tell.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)
    monitors: list[Any] = []
    kinds: tuple[Any, ...] = (CPUMonitor, GPUMonitor, ROCMMonitor)
    for kind in kinds:
        try:
            monitors.append(kind())
        except Exception:  # no such GPU, or not the package that reads it: each says it otherwise
            continue
    return monitors


def _look(monitors: list[Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for monitor in monitors:
        monitor.collect_metrics()
        found |= monitor.aggregate_metrics()
        monitor.clear_metrics()
    return found
