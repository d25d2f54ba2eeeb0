"""The study's database, in a file or on a server: whether it can be used, and how it is opened."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from popsearch import postgres, sqlite

if TYPE_CHECKING:
    from filelock import FileLock


def is_server(url: str) -> bool:
    """Tell whether a database is reached over a connection, which may break."""
    return url.startswith(postgres.PREFIX)


def faults(url: str, setting: str) -> list[str]:
    """Give what keeps a database from being used; creates nothing."""
    return postgres.faults(url, setting) if is_server(url) else sqlite.faults(url, setting)


def holds(url: str, table: str) -> bool:
    """Tell whether a database is there and has this table; creates nothing."""
    return postgres.holds(url, table) if is_server(url) else sqlite.holds(url, table)


@contextlib.contextmanager
def alone(url: str, what: str = "") -> Iterator[None]:
    """Let one process at a time in, of all that use this database for the same thing.

    Making tables, a study and its first trials: all of that looks first whether it is there, which
    two processes may do at once.

    Parameters
    ----------
    what
        What they do; without it they open a study. Who is in must not come in again.

    Raises
    ------
    StorageError
        If the database does not answer.
    """
    with postgres.alone(url, what) if is_server(url) else _file_lock(url, what):
        yield


def _file_lock(url: str, what: str) -> "FileLock":
    from filelock import FileLock

    from popsearch.data import cache

    # Not beside the file, where it would be left lying.
    key = hashlib.sha256(f"{sqlite.absolute(url)} {what}".encode()).hexdigest()[:32]
    folder = cache.folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{key}.lock")
