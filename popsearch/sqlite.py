"""How SQLite files are opened here, for Optuna's database and MLflow's alike."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

PREFIX = "sqlite:///"


def configure() -> None:
    """Set every SQLite connection of this process to a write-ahead log.

    A commit then costs no wait for the disk, and readers (``mlflow ui``) do not block writers.
    A killed process loses nothing; a power cut can lose the last moments, never the file
    (https://www.sqlite.org/pragma.html#pragma_synchronous). Calling it again changes nothing.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _on_connect):
        event.listen(Engine, "connect", _on_connect)


def absolute(url: str) -> str:
    """Give a SQLite address that means the same file from every folder; others as they are."""
    if not url.startswith(PREFIX):
        return url
    return PREFIX + str(Path(url.removeprefix(PREFIX)).absolute())


def faults(url: str, setting: str) -> list[str]:
    """Give what keeps a SQLite address from being opened; creates nothing."""
    where, file = f"{setting}={url}", Path(url.removeprefix(PREFIX).partition("?")[0])
    if file.is_dir():
        return [f"{where}: must be a file, but it is a folder; add a name, as in {file}/optuna.db"]
    if not file.parent.is_dir():
        return [f"{where}: the folder {file.parent} does not exist; create it first"]
    if file.is_file():
        with file.open("rb") as start:
            if start.read(16) not in (b"", b"SQLite format 3\0"):
                return [f"{where}: the file is there and is no SQLite database; name another"]
    return []


def holds(url: str, table: str) -> bool:
    """Tell whether a database is there and has this table; of a server that is believed."""
    file = Path(url.removeprefix(PREFIX).partition("?")[0])
    if not url.startswith(PREFIX) or not file.is_file():
        return not url.startswith(PREFIX)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return connection.execute(query, [table]).fetchone() is not None


def tidy(url: str) -> None:
    """Bring what the log holds into the file, so that the file by itself is whole."""
    file = Path(url.removeprefix(PREFIX))
    if url.startswith(PREFIX) and file.is_file():
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _on_connect(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 60000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
