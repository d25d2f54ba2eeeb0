"""A process that runs trials of a search which another process opened."""

import contextlib
import os
import pickle
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import psutil

from popsearch import plan as plans
from popsearch import threads
from popsearch.config import Config, PostgresStorage, StorageConfig
from popsearch.errors import PopsearchError, disk_error
from popsearch.interrupt import Interrupts
from popsearch.outcome import Outcome
from popsearch.plan import Plan
from popsearch.residuals import N_KEPT, kept_here
from popsearch.study import Patience, Study, storage_errors
from popsearch.tracking import Ticket, join_tracker, tracking_errors
from popsearch.workers import local

MAX_TRIALS = 1000
MAX_GROWTH_MIB = 1024


@dataclass(frozen=True)
class Order:
    """What a worker is to do.

    Parameters
    ----------
    name
        Tells it from all others of the study: they propose different points.
    ticket
        Of the study's run.
    n_trials
        As many as are wanted of the study in all.
    left_s
        Seconds until the search must stop; none is no limit.
    """

    cfg: Config
    name: str
    ticket: Ticket
    n_trials: float
    left_s: float | None


class Wire:
    """Tells the process that opened the search how it goes.

    Parameters
    ----------
    pipe
        What it reads: pairs of a method's name, of ``batch.Watcher`` or ``warn``, and arguments.
        None where nobody does.
    """

    def __init__(self, pipe: Connection | None) -> None:
        self._pipe = pipe

    def trial_started(self, number: int) -> None:
        """Tell that a trial begins."""
        self._send("trial_started", number)

    def step_done(self, number: int, step: int, n_steps: int, val_mse: float) -> None:
        """Tell that a running trial took a step."""
        self._send("step_done", number, step, n_steps, val_mse)

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Tell that a trial ended."""
        self._send("trial_ended", number, outcome)

    def trials_lost(self, n: int, reason: str) -> None:
        """Tell that so many trials were lost with the process that trained them."""
        self._send("trials_lost", n, reason)

    def warn(self, line: str) -> None:
        """Tell what should be known."""
        self._send("warn", line)

    def fail(self, faults: tuple[str, ...]) -> None:
        """Tell why no worker can go on."""
        self._send("fail", *faults)

    def _send(self, what: str, *arguments: Any) -> None:
        if self._pipe is None:
            return
        with contextlib.suppress(OSError):  # the reader is gone: then _follow ends this process
            self._pipe.send((what, arguments))


SILENT = Wire(None)


class Wear:
    """Tells when a worker has run many trials, or holds much more memory than at first."""

    def __init__(self) -> None:
        self._process, self._first_mib = psutil.Process(), 0.0

    def __call__(self, n_trials: int) -> bool:
        """Look at the process after it has run so many trials."""
        if not n_trials:
            return False
        mib = self._process.memory_info().rss / 2**20
        self._first_mib = self._first_mib or mib  # what the first trial needed, all do
        return n_trials >= MAX_TRIALS or mib - self._first_mib > MAX_GROWTH_MIB


def search(order: Order, wire: Wire, plan: Plan | None = None) -> str:
    """Run trials until the study has all, and say why it stopped, as ``local.search`` does."""
    cfg = order.cfg
    plan = plan or plans.build(cfg)
    with (
        Interrupts(order.left_s) as interrupts,
        threads.limited(plan.n_train_rows),
        storage_errors(cfg.storage.url),
        tracking_errors(cfg.tracking),
    ):
        patience = Patience(waiting_time(cfg.storage), interrupts.pause, wire.warn)
        study = Study(cfg, plan.study_name, plan.space, plan.fidelities[-1], order.name, patience)
        tracker = join_tracker(cfg.tracking, order.ticket, wire.warn)
        best = [(trial.number, trial.scores["val_mse"]) for trial in study.top(N_KEPT)]
        residuals = kept_here(cfg.storage.url, study.name, best)
        reason = local.search(
            plan,
            study,
            tracker,
            interrupts,
            wire,
            order.n_trials,
            residuals=residuals,
            is_worn=Wear(),
        )
        tracker.send_rest()
        study.close()
        return reason


def waiting_time(storage: StorageConfig) -> float:
    """Give the seconds to wait for a database that does not answer; a file is there or is not."""
    return storage.wait_s if isinstance(storage, PostgresStorage) else 0.0


def serve(descriptor: int) -> None:
    """Read the order from a pipe, follow it and exit."""
    pipe = Connection(descriptor)
    order: Order = pickle.loads(pipe.recv_bytes())
    threading.Thread(target=_follow, args=[pipe], daemon=True).start()
    if faults := attempt(order, wire=Wire(pipe)):
        Wire(pipe).fail(faults)
        sys.exit(2)


def attempt(order: Order, plan: Plan | None = None, wire: Wire = SILENT) -> tuple[str, ...]:
    """Follow an order, and give what keeps all workers from going on."""
    try:
        search(order, wire, plan)
    except PopsearchError as error:
        return error.faults
    except OSError as error:
        return disk_error(error).faults
    except KeyboardInterrupt:  # a second Ctrl-C
        os._exit(130)
    return ()


def _follow(pipe: Connection) -> None:
    """End this process as soon as the one that started it is gone."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)
