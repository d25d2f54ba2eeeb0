"""Sends what waits in files: a process's own, or those of processes that died."""

import math
import socket
import time
from typing import TYPE_CHECKING

from popsearch import process
from popsearch.tracking import server
from popsearch.tracking.operations import carry_out
from popsearch.tracking.spool import Spool, files

if TYPE_CHECKING:
    from mlflow import MlflowClient


def send(client: "MlflowClient", spool: Spool, limit_s: float = math.inf) -> str:
    """Send a file's operations in order, and remove it when none is left.

    What the server will never take is put aside, for nothing after it would ever be sent.

    Parameters
    ----------
    limit_s
        Seconds after which the rest is left for another time.

    Returns
    -------
    Why the server took no more; nothing if it took all it was sent.
    """
    import requests
    from mlflow.exceptions import MlflowException

    until, again = time.monotonic() + limit_s, True
    for end, operation in spool.pending():
        run: str = operation["run"]
        known = spool.runs.get(run, run)
        try:
            # Only the first can have been sent before: each is acknowledged before the next.
            run_id = carry_out(client, {**operation, "run": known}, again)
        except (MlflowException, requests.exceptions.RequestException) as error:
            if not (why := server.refused(error)):
                return server.reason(error)
            spool.refuse(operation, why)
            run_id = known
        spool.acknowledge(end, run, run_id)
        again = False
        if time.monotonic() > until:
            return ""
    spool.remove()
    return ""


def send_left_behind(client: "MlflowClient", spool: Spool) -> tuple[int, str]:
    """Send the file of a process that died.

    Returns
    -------
    Of how many runs all was sent, and why the rest was not.
    """
    with spool.alone():
        n_runs = spool.n_runs()
        why = send(client, spool)
        return n_runs - spool.n_runs(), why


def left_behind(everyones: bool = False) -> list[Spool]:
    """Give the files that their processes will not send any more.

    Parameters
    ----------
    everyones
        Those of other hosts too, of which nobody here knows whether they still run.
    """
    here, me = socket.gethostname(), process.identity()

    def is_left(worker: str) -> bool:
        elsewhere = worker.partition("/")[0] != here
        return worker == me or not process.lives(worker) or (everyones and elsewhere)

    return [spool for spool in waiting() if is_left(spool.worker)]


def n_runs_of(n: int) -> str:
    """Give a number of runs in words."""
    return f"{n} {'run' if n == 1 else 'runs'}"


def waiting() -> list[Spool]:
    """Give all files below the folder that popsearch was started in, the oldest process first."""
    found = [Spool(file) for file in files()]
    for spool in found:
        if not spool.address and not process.lives(spool.worker):
            spool.remove()  # killed before it had written down anything
    return sorted(
        (spool for spool in found if spool.address),
        key=lambda spool: float(spool.worker.rpartition("/")[2]),
    )
