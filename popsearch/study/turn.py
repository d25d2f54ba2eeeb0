"""One process at a time begins a trial: a lock, and what is read and written under it."""

import contextlib
from collections.abc import Iterator

import sqlalchemy
from optuna.storages import RDBStorage

from popsearch import database, postgres

IDLE = "60s"  # then the turn of a process that was stopped in it is over: others wait
IDLE_SINCE = (14,)  # of PostgreSQL; an older one waits until the connection breaks


@contextlib.contextmanager
def turn(storage: RDBStorage, what: str) -> Iterator[None]:
    """Let one process at a time in, as ``database.alone`` does, over a connection that is kept.

    On a server what this thread asks of the storage meanwhile goes over the same connection: a
    server takes a hundred or so, and there may be as many workers.
    """
    engine = storage.engine
    if engine.dialect.name != "postgresql":
        with database.alone(storage.url, what):
            yield
        return
    connection, session = engine.connect(), storage.scoped_session()
    try:
        # Not a lock that ends with the transaction: there are several in a turn.
        _ask(connection, "pg_advisory_lock", what, IDLE)
        session.bind = connection
        yield
    finally:
        session.bind = engine
        try:
            connection.rollback()
            _ask(connection, "pg_advisory_unlock", what, "0")
        except sqlalchemy.exc.SQLAlchemyError:
            connection.invalidate()  # and the server frees the lock with it
        connection.close()


def _ask(connection: sqlalchemy.Connection, function: str, what: str, idle: str) -> None:
    query = f"SELECT {function}(:key)"
    if (connection.dialect.server_version_info or ()) >= IDLE_SINCE:
        query += f", set_config('idle_session_timeout', '{idle}', false)"
    connection.execute(sqlalchemy.text(query), {"key": postgres.key(what)})
    connection.commit()
