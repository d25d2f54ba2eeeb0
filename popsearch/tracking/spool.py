"""A file of operations that a server has yet to hear of.

One JSON value a line, only ever appended: the address first, then operations, and between them
what was acknowledged. The file's name says which process it is of.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from popsearch.errors import StorageError
from popsearch.tracking.operations import Operation

FOLDER = Path("mlruns/unsent")


def file_of(study: str, worker: str) -> Path:
    """Give the file of a process, below the folder that the search was started in."""
    name = re.sub(r"[^\w.-]+", "_", study)[:80]
    return FOLDER.absolute() / f"{name}~{worker.replace('/', '~')}.jsonl"


def files() -> list[Path]:
    """Give the files of all processes there."""
    return list(FOLDER.absolute().glob("*~*~*~*.jsonl"))


class Spool:
    """What one process could not send of one study.

    Parameters
    ----------
    path
        As ``file_of`` gives it; what stands there is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read()

    @property
    def worker(self) -> str:
        """The process that wrote it, as ``process.identity`` names it."""
        return "/".join(self.path.stem.rsplit("~", 3)[1:])

    @property
    def refused(self) -> Path:
        """Where is kept what the server will never take."""
        return self.path.with_suffix(".refused")

    @property
    def waits(self) -> bool:
        """Whether there is a file: it is removed when all of it was acknowledged."""
        return self.path.exists()

    def append(self, operation: Operation, address: str) -> None:
        """Write an operation down, so that a killed process does not lose it.

        Raises
        ------
        StorageError
            If it cannot be written; the file is as it was before.
        """
        if self.waits:
            _append(self.path, operation)
            return
        opening = {"address": address, "sent": 0, "runs": self.runs}
        _append(self.path, opening, operation)
        self.address, self._sent = address, 0

    def pending(self) -> Iterator[tuple[int, Operation]]:
        """Give what was not acknowledged, each with the place in the file where it ends."""
        return ((end, entry) for end, entry in self._entries(self._sent) if "do" in entry)

    def n_runs(self) -> int:
        """Give how many runs the pending operations are about."""
        return len({self._known(operation["run"]) for _, operation in self.pending()})

    def acknowledge(self, end: int, run: str, run_id: str) -> None:
        """Note that all up to a place is done, and by what id the server knows the run."""
        entry = {"sent": end, "runs": {run: run_id} if run != run_id else {}}
        _append(self.path, entry)
        self._hear(entry)

    def refuse(self, operation: Operation, why: str) -> None:
        """Keep what the server will never take, in a file beside this one."""
        _append(self.refused, {"why": why, **operation})

    def ending(self, run: str) -> Operation | None:
        """Give the operation that closes a run, whether it was sent or not."""
        for _, entry in self._entries(0):
            if entry.get("do") == "end" and self._known(entry["run"]) == self._known(run):
                return entry
        return None

    def remove(self) -> None:
        """Remove the file, of which all was acknowledged."""
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process sends this file, and read what it has left."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):
                file = stack.enter_context(self.path.open("r+b"))
                fcntl.flock(file, fcntl.LOCK_EX)
                self._read()
                file.truncate(self._end)  # a line without its end was never answered for
            yield

    def _read(self) -> None:
        self.runs: dict[str, str] = {}  # by the name that we gave: the server's id
        self.address, self._sent, self._end = "", 0, 0
        for end, entry in self._entries(0):
            self._end = end
            self.address = entry.get("address", self.address)
            if "do" not in entry:
                self._hear(entry)

    def _known(self, run: str) -> str:
        return self.runs.get(run, run)

    def _hear(self, entry: dict[str, Any]) -> None:
        self._sent = entry["sent"]
        self.runs |= entry["runs"]

    def _entries(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Give each whole line after a place, with where it ends."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(start)
            while (line := file.readline()).endswith(b"\n"):
                yield file.tell(), json.loads(line)


def _append(path: Path, *entries: dict[str, Any]) -> None:
    """Write whole lines at the end of a file, or none."""
    lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(lines) < len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(size)
                raise
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written to: {error.strerror}; it keeps what the tracking server "
            "has yet to hear of; give the same command again when it can be: finished trials are "
            "kept"
        ) from error
