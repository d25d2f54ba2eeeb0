"""Trials in several processes of this computer, which live as long as the search."""

import contextlib
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Pipe, wait
from typing import Any, Protocol

from popsearch import process
from popsearch.errors import WorkerError
from popsearch.interrupt import Interrupted, Interrupts
from popsearch.stopping import Stopping
from popsearch.study import Study
from popsearch.tracking import Tracker
from popsearch.workers import local
from popsearch.workers.batch import Watcher
from popsearch.workers.share import Share
from popsearch.workers.worker import Order

STOP_S = 10.0  # how long workers may take to give their trials back
RECOVER_S = 5.0  # between two looks for workers elsewhere that died
MAX_DEATHS = 5  # in a row, without a trial's end between them


class Listener(Watcher, Protocol):
    """Who is told how the search goes, and what else a worker has to say."""

    def warn(self, line: str) -> None:
        """Hear what should be known."""


def search(
    order: Order,
    study: Study,
    tracker: Tracker,
    interrupts: Interrupts,
    listener: Listener,
    stopping: Stopping,
) -> str:
    """Let workers run trials until the study has all, and say why it stopped.

    Returns
    -------
    As ``local.search``.

    Raises
    ------
    WorkerError
        If the workers cannot go on.
    """
    stopping.replay(ended.ending for ended in study.news())
    crew = Crew(order, study, listener)
    recovered_at = time.monotonic()
    try:
        reason = None
        while reason is None:
            died = crew.listen(interrupts)
            study.refresh()
            if died or time.monotonic() - recovered_at > RECOVER_S:
                local.recover(study, tracker)
                recovered_at = time.monotonic()
            for ended in study.news():
                stopping.hear(*ended.ending)
            reason = "n_trials" if study.n_done() >= order.n_trials else stopping.reason
            interrupts.check()
    except Interrupted as stop:
        reason = stop.reason
    except WorkerError:
        crew.stop(at_once=True)
        raise
    except BaseException:
        crew.kill()
        raise
    crew.stop(at_once=reason != "n_trials")
    local.recover(study, tracker)
    return reason


class Worker:
    """A process that runs trials.

    Parameters
    ----------
    order
        What it is to do.
    share
        The cores and the GPU that are its own.
    """

    def __init__(self, order: Order, share: Share) -> None:
        self.share, self.is_open = share, True
        self.pipe, theirs = Pipe()
        # Not by multiprocessing, which runs the program's own file again in each new process, and
        # not forked: threads and locks of the libraries do not survive that.
        # Ctrl-C reaches it as well; until it listens for that, it is told by its parent only.
        code = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        code += f"sys.path[:] = {sys.path}; from popsearch.workers import worker; "
        code += f"worker.serve({theirs.fileno()})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=share.environment,
        )
        theirs.close()
        with contextlib.suppress(OSError):  # it died already, which is found out
            share.bind(self._process.pid)
            self.pipe.send_bytes(pickle.dumps(order))

    def messages(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Give what it has said since; at its end ``is_open`` becomes false."""
        try:
            while self.is_open and self.pipe.poll():
                yield self.pipe.recv()
        except (EOFError, OSError):
            self.is_open = False

    def ask_to_stop(self) -> None:
        """Let it give back its trials and end."""
        self._process.terminate()

    def end(self, timeout_s: float) -> int:
        """Wait for its end, or end it; gives its exit code."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.pipe.close()
        self.is_open = False
        return int(self._process.returncode)


class Crew:
    """The workers of a search.

    Parameters
    ----------
    order
        What each is to do.
    study
        Read again before the end of a trial is told.
    """

    def __init__(self, order: Order, study: Study, listener: Listener) -> None:
        self._order, self._study, self._listener = order, study, listener
        self._n_started = self._n_deaths = 0
        self._warned: tuple[Any, ...] = ()
        self._workers: list[Worker] = []
        for i in range(order.cfg.workers):
            self._start(Share.of(i, order.cfg.workers), order.left_s)

    def listen(self, interrupts: Interrupts) -> bool:
        """Hear what the workers say, and replace those that ended; tells whether one died."""
        wait([worker.pipe for worker in self._workers], local.POLL_S)
        died = False
        for worker in list(self._workers):
            self._hear(worker)
            if worker.is_open:
                continue
            self._workers.remove(worker)
            if code := worker.end(STOP_S):
                died = True
                self._bury(code)
            self._study.refresh()
            interrupts.check()  # before another is started in vain
            if self._study.n_done() < self._order.n_trials:
                self._start(worker.share, interrupts.left_s())
        return died

    def stop(self, at_once: bool) -> None:
        """Wait for the end of all; ``at_once`` lets them give back the trials they are at."""
        until = time.monotonic() + STOP_S
        if at_once:
            for worker in self._workers:
                worker.ask_to_stop()
        while (live := [w for w in self._workers if w.is_open]) and time.monotonic() < until:
            wait([worker.pipe for worker in live], 0.1)
            for worker in live:
                with contextlib.suppress(WorkerError):  # all are ending
                    self._hear(worker)
        for worker in self._workers:
            worker.end(max(0.0, until - time.monotonic()))

    def kill(self) -> None:
        """End all where they stand."""
        for worker in self._workers:
            worker.end(0.0)

    def _start(self, share: Share, left_s: float | None) -> None:
        self._n_started += 1
        name = f"/{process.identity()}/{self._n_started}"
        self._workers.append(Worker(replace(self._order, name=name, left_s=left_s), share))

    def _hear(self, worker: Worker) -> None:
        for what, arguments in worker.messages():
            if what == "fail":
                raise WorkerError(*arguments)
            if what == "trial_ended":
                self._n_deaths = 0
                self._study.refresh()
            if what == "warn" and arguments == self._warned:
                continue  # all say it when a server goes away
            if what == "warn":
                self._warned = arguments
            getattr(self._listener, what)(*arguments)

    def _bury(self, code: int) -> None:
        self._n_deaths += 1
        if self._n_deaths >= MAX_DEATHS:
            raise WorkerError(
                f"{MAX_DEATHS} workers ended before a single trial did (the last with exit code "
                f"{code}); -9 is what the system does when memory is full: give fewer workers"
            )
        self._listener.warn(f"a worker ended (exit code {code}); another takes its place")
