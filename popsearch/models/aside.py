"""A library's fit in a thread of its own, which waits whenever it has handed something out."""

import weakref
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any


class Inside:
    """The thread's end: what the fit hands out, and whether it is to stop."""

    def __init__(self) -> None:
        self.stopped = False
        self.out: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self.go: SimpleQueue[None] = SimpleQueue()

    def hand_out(self, found: Any) -> bool:
        """Hand this out and wait; tells whether to go on."""
        self.out.put((found, None))
        self.go.get()
        return not self.stopped

    def run(self, fit: Callable[["Inside"], Any]) -> None:
        """Run the fit to its end, whatever that is."""
        error = None
        try:
            fit(self)
        except BaseException as raised:
            error = raised
        self.out.put((None, error))

    def stop(self) -> None:
        """Ask for the end."""
        self.stopped = True
        self.go.put(None)


class Aside:
    """A fit that is resumed step by step.

    It is a thread and no greenlet where a library calls back from the middle of its machine code.
    Signals are heard by the main thread, which only waits here: so Ctrl-C and a time limit raise
    at once, and never inside the library, which would take them for a failure of its own.

    Parameters
    ----------
    fit
        Gets its end of the thread. It must not refer to what holds this object, so that both
        vanish when that does.
    """

    def __init__(self, fit: Callable[[Inside], Any]) -> None:
        self._inside = Inside()
        # Daemon: a fit that waits must not keep the process from ending.
        self._thread = Thread(target=self._inside.run, args=[fit], daemon=True)
        self._begun = self._ended = False
        weakref.finalize(self, self._inside.stop)

    def resume(self) -> Any:
        """Give what the fit hands out next, None at its end; raises what it raised."""
        if self._ended:
            return None
        if self._begun:
            self._inside.go.put(None)
        else:
            self._begun = True
            self._thread.start()
        try:
            found, error = self._inside.out.get()
        except BaseException:  # a signal
            self.stop()
            raise
        if found is None:
            self._ended = True
            self._thread.join()
        if error is not None:
            raise error
        return found

    def stop(self) -> None:
        """End the fit where it stands."""
        self._inside.stop()
        if self._begun:
            self._thread.join()
        self._ended = True
