"""The residuals of the best trials on the validation rows, kept in the user's cache folder."""

import contextlib
import hashlib
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from popsearch import sqlite
from popsearch.data import cache
from popsearch.models.training import TrainingDied, mse

N_KEPT = 5
TOLERANCE = 1e-4
_FILE = re.compile(r"([0-9a-f]{32})-(\d+)\.npy")
_LEFTOVER = re.compile(r"[0-9a-f]{32}-[\w-]+\.tmp")
_log = logging.getLogger("popsearch")


class Residuals:
    """Those of the ``N_KEPT`` trials with the lowest MSE, from one process to the next.

    Only advice hangs on them: what cannot be kept, on a full disk say, is left out.

    Parameters
    ----------
    study
        Where it is stored, and its name.
    best
        Numbers and validation MSE of the study's best trials.
    """

    def __init__(self, study: str, best: Iterable[tuple[int, float]]) -> None:
        self._key = hashlib.sha256(study.encode()).hexdigest()[:32]
        _tidy()
        self._kept = {n: val_mse for n, val_mse in best if self.of(n, val_mse) is not None}

    def remove_others(self) -> None:
        """Remove the files of trials that are not among the best, while no worker writes any."""
        for path in _ours(_FILE):
            key, number = path.stem.split("-")
            if key == self._key and int(number) not in self._kept:
                _remove(path)

    def offer(
        self, number: int, val_mse: float, residuals: Callable[[], NDArray[np.float32]]
    ) -> None:
        """Keep the residuals of a trial that is among the best; others are not asked for.

        Raises
        ------
        TrainingDied
            If the process that trains ended.
        """
        if len(self._kept) == N_KEPT and val_mse >= max(self._kept.values()):
            return
        try:
            _write(self._path(number), residuals())
        except TrainingDied:
            raise
        except Exception as error:  # of a library, or of the disk
            _log.debug("the residuals of trial %d are not kept: %s", number, error)
            return
        self._kept[number] = val_mse
        if len(self._kept) > N_KEPT:
            worst = max(self._kept, key=lambda kept: self._kept[kept])
            del self._kept[worst]
            _remove(self._path(worst))

    def of(self, number: int, val_mse: float) -> NDArray[np.float32] | None:
        """Give the residuals of a trial, (n_rows,); none where they are not kept.

        Parameters
        ----------
        val_mse
            Its own: a file that gives another one is damaged, or of a study that was deleted.
        """
        path = self._path(number)
        try:
            found: NDArray[np.float32] = np.load(path, allow_pickle=False)
            os.utime(path)
        except (OSError, ValueError, EOFError):
            return None
        own = mse(found.astype(np.float64)) if found.size else np.nan
        return found if abs(own - val_mse) <= TOLERANCE * val_mse else None

    def _path(self, number: int) -> Path:
        return _folder() / f"{self._key}-{number}.npy"


def kept_here(url: str, study: str, best: Iterable[tuple[int, float]]) -> Residuals:
    """Give what is kept on this computer of a study's residuals on the validation rows.

    Parameters
    ----------
    url
        The database that holds the study.
    best
        Numbers and validation MSE of its best trials.
    """
    return Residuals(f"{sqlite.absolute(url)}/{study}", best)


def clear() -> int:
    """Remove the residuals of all studies and give the bytes that were freed.

    Raises
    ------
    OSError
        If a file cannot be removed.
    """
    n_bytes = 0
    for path in [*_ours(_FILE), *_ours(_LEFTOVER)]:
        with contextlib.suppress(FileNotFoundError):  # removed by another process
            size = path.stat().st_size
            path.unlink()
            n_bytes += size
    return n_bytes


def _folder() -> Path:
    return cache.folder() / "residuals"


def _ours(name: re.Pattern[str]) -> list[Path]:
    return [path for path in sorted(_folder().glob("*")) if name.fullmatch(path.name)]


def _write(path: Path, residuals: NDArray[np.float32]) -> None:
    """Write a file under its final name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(".tmp", f"{path.stem}-", path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            np.save(stream, residuals.astype(np.float32), allow_pickle=False)
        Path(name).replace(path)
    except BaseException:
        _remove(Path(name))
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _tidy() -> None:
    """Remove what a killed process left, and what was not used for long."""
    for name, age in ((_LEFTOVER, cache.LEFTOVER_S), (_FILE, cache.UNUSED_S)):
        for path in _ours(name):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > age:
                    path.unlink()
