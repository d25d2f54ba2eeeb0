"""PostgreSQL as the database of studies: how it is addressed, and whether it can be used."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from popsearch.errors import StorageError
from popsearch.faults import hide_secrets

PREFIX = "postgresql://"
OWN = 2  # connections of the process that opens the study
CONNECTION: dict[str, Any] = {
    "connect_timeout": 10,
    # Of a computer that vanished without a word both ends learn within a minute.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "options": "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
    # Whoever stops in the middle of a transaction must not hold up the others for long.
    " -c idle_in_transaction_session_timeout=60s",
}


def address(url: str) -> str:
    """Give an address as SQLAlchemy takes it; others than PostgreSQL's as they are."""
    return url.replace(PREFIX, "postgresql+psycopg://", 1) if url.startswith(PREFIX) else url


def faults(url: str, setting: str) -> list[str]:
    """Give what keeps a database from being used; creates nothing."""
    try:
        import psycopg
    except ImportError:
        install = "pip install 'popsearch[postgres]'"
        return [f"{setting}: PostgreSQL needs psycopg, which is not installed; {install}"]
    where = f"{setting}={hide_secrets(url)}"
    try:
        with psycopg.connect(url, **CONNECTION) as connection:
            asked = connection.execute(
                "SELECT has_schema_privilege(current_schema(), 'CREATE'), to_regclass('trials')"
            )
            may_create, trials = asked.fetchone() or (False, None)
    except psycopg.Error as error:
        return [_silent(where, error)]
    if not may_create and trials is None:
        return [f"{where}: must be a database in which tables may be made; grant CREATE on it"]
    return []


def room_faults(url: str, n_workers: int) -> list[str]:
    """Give why a database that answers has no room for so many workers at once."""
    import psycopg

    with psycopg.connect(url, **CONNECTION) as connection:
        asked = connection.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        (room,) = asked.fetchone() or (0,)
    if n_workers + OWN <= room:
        return []
    where = hide_secrets(url)
    return [
        f"workers={n_workers}: each keeps a connection to the database, and {where} has {room}; "
        f"give {max(1, room - OWN)} or fewer, or raise max_connections of the server"
    ]


def holds(url: str, table: str) -> bool:
    """Tell whether a database that answers has this table."""
    import psycopg

    with psycopg.connect(url, **CONNECTION) as connection:
        found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    return bool(found and found[0])


@contextlib.contextmanager
def alone(url: str, what: str) -> Iterator[None]:
    """Let one process at a time in, of all that do this with this database.

    Raises
    ------
    StorageError
        If the database does not answer.
    """
    import psycopg

    # The lock is the connection's: it ends with the process, whatever becomes of that.
    try:
        connection = psycopg.connect(url, **CONNECTION, autocommit=True)
    except psycopg.Error as error:
        raise StorageError(_silent(f"storage.url={hide_secrets(url)}", error)) from error
    with contextlib.closing(connection):
        connection.execute("SELECT pg_advisory_lock(%s)", [key(what)])
        yield


def key(what: str) -> int:
    """Give the number under which processes agree on a lock, of 64 bits with a sign."""
    digest = hashlib.sha256(f"popsearch {what}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _silent(where: str, error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{where}: the database does not answer: {hide_secrets(lines[0])}"
