"""Ctrl-C, SIGTERM and the time limit, heard only where it is safe to stop."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Self

EXIT_CODES = {"Ctrl-C": 130, "SIGTERM": 143}
"""As a shell reports a process that a signal ended."""


class Interrupted(BaseException):
    """The search must stop now; not an ``Exception``, so that no library swallows it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Overdue(BaseException):
    """What trains has taken longer than it may."""


class Interrupts:
    """Turns signals and the time limit into ``Interrupted``, at once while a model trains.

    Between two trainings, where databases are written, they wait for the next ``check``, so
    that no record is left half written. A second Ctrl-C stops the process where it stands.

    Parameters
    ----------
    timeout
        Seconds until the search must stop; none is no limit.
    """

    def __init__(self, timeout: float | None) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._reason: str | None = None
        self._open, self._limit = False, math.inf

    def __enter__(self) -> Self:
        self._old = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
                self._old[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._old:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def left_s(self) -> float | None:
        """Give the seconds until the time limit, none without one."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def lift_time_limit(self) -> None:
        """Forget the time limit: the search is over, and what follows is short."""
        self._deadline = None
        if self._reason == "timeout":
            self._reason = None

    def check(self) -> None:
        """Stop if asked to.

        Raises
        ------
        Interrupted
            If a signal came or the time is over.
        """
        left = self.left_s()
        if self._reason is None and left is not None and left <= 0:
            self._reason = "timeout"
        if self._reason is not None:
            raise Interrupted(self._reason)
        if time.monotonic() >= self._limit:
            raise Overdue

    def pause(self, seconds: float) -> None:
        """Wait so long, or less.

        Raises
        ------
        Interrupted
            If a signal came or the time is over.
        """
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            self.check()

    def limit(self, timeout: float | None) -> None:
        """Stop after so many seconds from now, if that is earlier."""
        if timeout is not None:
            ends = time.monotonic() + timeout
            self._deadline = ends if self._deadline is None else min(ends, self._deadline)

    @contextlib.contextmanager
    def allowed(self, limit_s: float | None = None) -> Iterator[None]:
        """Let the block be interrupted at any moment; it must not write what others read.

        Parameters
        ----------
        limit_s
            Seconds that the block may take.

        Raises
        ------
        Interrupted
            If the search must stop.
        Overdue
            If the block takes longer than its own limit.
        """
        self.check()
        limits = [limit for limit in (self.left_s(), limit_s) if limit is not None]
        self._limit = math.inf if limit_s is None else time.monotonic() + limit_s
        if limits and self._old:
            signal.setitimer(signal.ITIMER_REAL, max(min(limits), 1e-6))
        self._open = True
        try:
            self.check()
            yield
        finally:
            self._open, self._limit = False, math.inf
            if self._old:
                signal.setitimer(signal.ITIMER_REAL, 0)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep interruptions out of a part of an ``allowed`` block; they come at its end."""
        was_open, self._open = self._open, False
        try:
            yield
        finally:
            self._open = was_open
        if was_open:
            self.check()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # An alarm comes a little early or late; where both limits are over, the next check tells.
        if number == signal.SIGALRM and time.monotonic() > self._limit - 0.01:
            if self._open:
                self._open = False
                raise Overdue
            return
        again = self._reason is not None and number != signal.SIGALRM
        self._reason = self._reason or {
            signal.SIGINT: "Ctrl-C",
            signal.SIGTERM: "SIGTERM",
        }.get(signal.Signals(number), "timeout")
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._open:
            self._open = False
            raise Interrupted(self._reason)
