"""Processes that die in the middle of their work."""

import itertools
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


def in_a_process(work: Callable[[], object]) -> bool:
    """Work in a process of its own, and tell whether it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def killed_at(write: int, work: Callable[[], object]) -> bool:
    """Work in a process that kills itself before a database write; tell whether it did."""
    count = itertools.count(1)

    def on_commit(_connection: Any) -> None:
        if next(count) == write:
            os.kill(os.getpid(), signal.SIGKILL)

    def listening() -> None:
        event.listen(Engine, "commit", on_commit)
        work()

    return in_a_process(listening)
