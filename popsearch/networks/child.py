"""The process that networks are trained in.

A backend's compiler keeps some 20 MiB of each program, TensorFlow's until the process ends. So
training has a process of its own, which is replaced by a new one when it has compiled many. That
also keeps TensorFlow out of the search, and a crash in it from ending the search.
"""

import contextlib
import itertools
import signal
import subprocess
import sys
import traceback
import weakref
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch.models.training import Rows, Scores, TrainingDied
from popsearch.networks import backend
from popsearch.networks.backend import Backend, Device

if TYPE_CHECKING:
    from popsearch.networks.regressor import NetworkRegressor

N_PROGRAMS = 64  # that a process compiles before another takes its place


class Child:
    """A process that trains populations of networks with one backend; started when needed."""

    def __init__(self, name: Backend) -> None:
        self.backend: Backend = name
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection
        self._numbers = itertools.count()
        self._living: set[int] = set()  # populations that are still of use
        self._device: Device | None = None
        self._n_compiled, self._compile_s, self._earlier_s = 0, 0.0, 0.0

    def device(self) -> Device:
        """Give the device that the backend computes on."""
        if self._device is None:
            self._device = self.call("device")
        assert self._device is not None
        return self._device

    def compile_s(self) -> float:
        """Give the seconds that were spent on compiling, in this process and those before it."""
        return self._earlier_s + self._compile_s

    def population(
        self, regressors: "Sequence[NetworkRegressor]", rows: Rows, resources: Sequence[int]
    ) -> "RemotePopulation":
        """Give a population in the process; in a new one where this has compiled enough."""
        if not self._living and self._n_compiled >= N_PROGRAMS:
            self.stop()
        number = next(self._numbers)
        self.call("start", number, set(self._living), regressors, rows, list(resources))
        self._living.add(number)
        return RemotePopulation(self, number)

    def fit(
        self, regressor: "NetworkRegressor", X: NDArray[np.float64], y: NDArray[np.float64]
    ) -> "NetworkRegressor":
        """Give the regressor fitted on these rows."""
        backend.load(self.backend)  # what comes back holds a Keras model
        fitted: NetworkRegressor = self.call("fit", regressor, X, y)
        return fitted

    def call(self, what: str, *arguments: Any) -> Any:
        """Give what the process answers.

        Raises
        ------
        RuntimeError
            If what it was asked for failed: with its own words and traceback.
        TrainingDied
            If it ended.
        """
        process = self._process or self._start()
        try:
            self._pipe.send((what, arguments))
            ok, answer, self._n_compiled, self._compile_s = self._pipe.recv()
        except (EOFError, OSError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            code = process.returncode
            self.stop()
            raise TrainingDied(
                f"the process that trains networks ended (exit code {code}); -9 is what the "
                "system does when memory is full"
            ) from error
        except BaseException:  # interrupted: the answer that comes would be taken for the next
            self.stop()
            raise
        if not ok:
            reason, trace = answer
            failed = RuntimeError(reason)
            failed.add_note(f"In the process that trains networks:\n{trace}")
            raise failed
        return answer

    def forget(self, number: int) -> None:
        """Let a population go; the process hears of it with the next call."""
        self._living.discard(number)

    def stop(self) -> None:
        """End the process; the next call starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._pipe.close()
        self._process = None
        self._living.clear()
        self._earlier_s += self._compile_s
        self._n_compiled, self._compile_s = 0, 0.0

    def _start(self) -> "subprocess.Popen[bytes]":
        # Not by multiprocessing, which runs the program's own file again in each new process: a
        # script that fits a network in its first line would do so there too.
        self._pipe, theirs = Pipe()
        code = f"import sys; sys.path[:] = {sys.path}; from popsearch.networks import child; "
        code += f"child.serve({theirs.fileno()}, {self.backend!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        return self._process


class RemotePopulation:
    """A population of networks in a child process."""

    def __init__(self, host: Child, number: int) -> None:
        self._host, self._number = host, number
        weakref.finalize(self, host.forget, number)

    def advance(self) -> Scores:
        """Train every live member to the next step and score it."""
        scores: Scores = self._host.call("advance", self._number)
        return scores

    def drop(self, members: Iterable[int]) -> None:
        """Train these no further; what they were at their best is kept."""
        if dropped := list(members):
            self._host.call("drop", self._number, dropped)

    def model(self, member: int, step: int) -> "NetworkRegressor":
        """Give the fitted network of a member at its best step so far."""
        backend.load(self._host.backend)
        fitted: NetworkRegressor = self._host.call("model", self._number, member, step)
        return fitted

    def val_residuals(self, member: int, step: int) -> NDArray[np.float32]:
        """Give target less prediction of every validation row, of a member at its best step."""
        found: NDArray[np.float32] = self._host.call("val_residuals", self._number, member, step)
        return found

    def predict_s(self, member: int, step: int) -> float:
        """Give the seconds in which a member at its best step predicts the validation rows."""
        found: float = self._host.call("predict_s", self._number, member, step)
        return found


_children: dict[Backend, Child] = {}


def of(name: Backend) -> Child:
    """Give this process' child for a backend, the same each time."""
    return _children.setdefault(name, Child(name))


def serve(descriptor: int, name: Backend) -> None:
    """Answer the calls that come through a pipe until the parent is gone."""
    pipe = Connection(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    from popsearch.networks.population import Population
    from popsearch.networks.program import compiled

    backend.use(name)
    populations: dict[int, Population] = {}

    def answer(what: str, *arguments: Any) -> Any:
        if what == "device":
            return backend.device()
        if what == "fit":
            regressor, X, y = arguments
            return regressor.fit(X, y)
        number, *more = arguments
        if what == "start":
            living, *more = more
            for gone in populations.keys() - living:
                del populations[gone]
            populations[number] = Population(*more)
            return None
        return getattr(populations[number], what)(*more)

    while True:
        try:
            what, arguments = pipe.recv()
        except EOFError:
            return
        try:
            found, ok = answer(what, *arguments), True
        except Exception as error:
            found, ok = (f"{type(error).__name__}: {error}", traceback.format_exc()), False
        pipe.send((ok, found, compiled.n, compiled.seconds))
