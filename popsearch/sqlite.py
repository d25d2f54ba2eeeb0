"""How SQLite files are opened here, for Optuna's database and MLflow's alike."""

import sqlite3
from typing import Any


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


def _on_connect(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 60000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
