"""Writes to a server, and while that is away to a file, from which all is sent in order later."""

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from popsearch.tracking import sending, server
from popsearch.tracking.operations import Operation, carry_out
from popsearch.tracking.spool import FOLDER, Spool

if TYPE_CHECKING:
    from mlflow import MlflowClient

SHORTEST_S, LONGEST_S = 1.0, 30.0  # between two tries to reach the server
SENDING_S = 2.0  # how long a trial may wait while earlier ones are sent

Notify = Callable[[str], None]
"""Hears a line that the user should read."""


class Outbox:
    """What one process writes to a server, from its threads one after the other.

    Parameters
    ----------
    uri
        The server's address.
    spool
        Where operations wait; those that are there already go first.
    notify
        Is told once when the server goes away, and once when it is back.
    """

    def __init__(self, client: "MlflowClient", uri: str, spool: Spool, notify: Notify) -> None:
        self._client, self._spool, self._notify = client, spool, notify
        self._address = server.address(uri)
        self.path = spool.path
        self._next, self._pause_s, self._why = 0.0, SHORTEST_S, ""
        self._is_away = self._refusals_told = False
        self._turn = threading.RLock()

    def write(self, operation: Operation) -> str:
        """Carry an operation out, now or later, and give the best name its run has so far.

        Raises
        ------
        MlflowException
            If the server refuses it.
        StorageError
            If it cannot be written to the disk either.
        """
        with self._turn:
            return self._write(operation)

    def _write(self, operation: Operation) -> str:
        import requests
        from mlflow.exceptions import MlflowException

        run: str = operation["run"]
        known = self._spool.runs.get(run, run)
        if not self._spool.waits:
            try:
                return carry_out(self._client, {**operation, "run": known})
            except (MlflowException, requests.exceptions.RequestException) as error:
                if not server.away(error):
                    raise
                # A connection that was idle for too long is opened anew at once. Where time was
                # over, the server may be at work on it still.
                late = server.timed_out(error)
                self._next = time.monotonic() + (SHORTEST_S if late else 0.0)
        self._spool.append(operation, self._address)
        if time.monotonic() >= self._next:
            self._send(SENDING_S)
        return self._spool.runs.get(run, run)

    def try_now(self) -> str:
        """Send all that waits, however short ago the last try was; tell why that cannot be."""
        with self._turn:
            if self._spool.waits:
                self._send(math.inf)
            return self._why if self._spool.waits else ""

    def send_rest(self) -> None:
        """Try once more to send what waits; say what to do if it still does."""
        with self._turn:
            if why := self.try_now():
                n_runs = sending.n_runs_of(self._spool.n_runs())
                self._notify(
                    f"{self._address} still does not answer ({why}): {n_runs} not sent, but kept "
                    f"in {FOLDER}; when it is back, type: python -m popsearch sync"
                )

    def _send(self, limit_s: float) -> None:
        why = server.silence(self._address, server.PROBE_S)
        why = why or sending.send(self._client, self._spool, limit_s)
        if why:
            self._next = time.monotonic() + self._pause_s
            self._pause_s, self._why = min(2 * self._pause_s, LONGEST_S), why
            if not self._is_away:
                self._is_away = True
                self._notify(
                    f"{self._address} does not answer ({why}): the search goes on, runs are kept "
                    f"in {FOLDER} and sent when it is back"
                )
        elif not self._spool.waits:
            self._pause_s = SHORTEST_S
            if self._is_away:
                self._is_away = False
                self._notify(f"{self._address} answers again: what waited was sent")
            if self._spool.refused.exists() and not self._refusals_told:
                self._refusals_told = True
                self._notify(f"{self._address} refused some of it: see {self._spool.refused}")
