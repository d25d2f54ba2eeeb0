"""Workers as tasks on a Ray cluster, which starts them again where a node dies."""

import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from popsearch import process
from popsearch.config import RayExecutor
from popsearch.errors import WorkerError
from popsearch.interrupt import Interrupted, Interrupts
from popsearch.plan import Plan
from popsearch.stopping import Stopping
from popsearch.study import Study
from popsearch.tracking import Tracker
from popsearch.workers import local, worker
from popsearch.workers.batch import Watcher, outcome_of
from popsearch.workers.worker import Order

STOP_S = 15.0  # how long tasks may take to give their trials back
MAX_FAILURES = 5  # of tasks in a row, without a trial's end between them


def search(
    plan: Plan,
    order: Order,
    study: Study,
    tracker: Tracker,
    interrupts: Interrupts,
    watcher: Watcher,
    stopping: Stopping,
) -> str:
    """Let tasks run trials until the study has all, and say why it stopped.

    Returns
    -------
    As ``local.search``.

    Raises
    ------
    WorkerError
        If there is no such cluster, or the tasks cannot go on.
    """
    assert isinstance(order.cfg.executor, RayExecutor)
    stopping.replay(ended.ending for ended in study.news())
    tasks = Tasks(plan, order, order.cfg.executor)
    reason = None
    try:
        while reason is None:
            interrupts.pause(local.POLL_S)
            local.recover(study, tracker)
            for ended in study.news():
                tasks.n_failures = 0
                stopping.hear(*ended.ending)
                watcher.trial_ended(ended.number, outcome_of(ended))
            reason = "n_trials" if study.n_done() >= order.n_trials else stopping.reason
            if reason is None:
                tasks.replace_ended(interrupts.left_s())
    except Interrupted as stop:
        reason = stop.reason
    finally:
        tasks.stop(at_once=reason != "n_trials")
    local.recover(study, tracker)
    return reason


class Tasks:
    """The tasks of a search.

    Parameters
    ----------
    plan
        Is put into the cluster's object store once; tasks of one node share its arrays.
    """

    def __init__(self, plan: Plan, order: Order, executor: RayExecutor) -> None:
        import ray

        self._ray, self._order, self._n_started, self.n_failures = ray, order, 0, 0
        try:
            ray.init(executor.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise WorkerError(
                f"executor.address={executor.address}: there is no Ray cluster: "
                f"{str(error).partition('.')[0]}; start one with: ray start --head"
            ) from error
        self._plan = ray.put(plan)
        # Ray repeats a task whose process or node died, as often as that happens. A process is
        # for one task: while it lives, the trials that it ran are taken for running.
        own: Any = {"num_cpus": executor.num_cpus, "num_gpus": executor.num_gpus}
        own |= {"max_retries": -1, "max_calls": 1}
        self._task = ray.remote(**own)(_work)
        self._running = [self._start(order.left_s) for _ in range(order.cfg.workers)]

    def replace_ended(self, left_s: float | None) -> None:
        """Start another task for each that is over."""
        ended, self._running = self._ray.wait(
            self._running, num_returns=len(self._running), timeout=0
        )
        for task in ended:
            try:
                faults = self._ray.get(task)
            except self._ray.exceptions.RayError as error:
                self.n_failures += 1
                if self.n_failures >= MAX_FAILURES:
                    why = str(error).strip().splitlines()[-1]
                    raise WorkerError(f"{MAX_FAILURES} tasks in a row failed: {why}") from error
            else:
                if faults:
                    raise WorkerError(*faults)
            self._running.append(self._start(left_s))

    def stop(self, at_once: bool) -> None:
        """Wait for the end of all; ``at_once`` lets them give back the trials they are at."""
        for force in (False, True):
            for task in self._running:
                if at_once or force:
                    self._ray.cancel(task, force=force)
            _, self._running = self._ray.wait(
                self._running, num_returns=len(self._running), timeout=STOP_S
            )
            if not self._running:
                break
        self._ray.shutdown()

    def _start(self, left_s: float | None) -> Any:
        self._n_started += 1
        name = f"/{process.identity()}/{self._n_started}"
        order = replace(self._order, name=name, left_s=left_s)
        return self._task.remote(order, self._plan, str(Path.cwd()), time.time())


def _work(order: Order, plan: Plan, folder: str, asked_at: float) -> tuple[str, ...]:
    """Run trials in a process of the cluster; gives what keeps all from going on."""
    if Path(folder).is_dir():  # where computers share their files
        os.chdir(folder)
    if order.left_s is not None:  # a task may wait for a free node, or be repeated
        order = replace(order, left_s=max(order.left_s - (time.time() - asked_at), 0.0))
    return worker.attempt(order, plan)
