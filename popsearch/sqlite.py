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


def faults(url: str, where: str) -> list[str]:
    """Give what keeps a SQLite address from being opened; creates nothing.

    Parameters
    ----------
    where
        The setting that holds the address, for the message.
    """
    file = Path(url.removeprefix(PREFIX))
    if not file.parent.is_dir():
        return [f"{where}={url}: the folder {file.parent} does not exist; create it first"]
    if not file.exists():
        return []
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True)
        ) as db:
            db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return [
            f"{where}={url}: must be a SQLite database that can be written to, but: {error}; "
            "move the file away or choose another"
        ]
    return []


def _on_connect(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 60000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
