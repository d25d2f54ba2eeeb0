"""The connection to the database of studies, and what is told when it cannot be used."""

import contextlib
import warnings
from collections.abc import Iterator

import optuna
import sqlalchemy.exc
from optuna.storages import RDBStorage

from popsearch import database, postgres, sqlite
from popsearch.errors import StorageError


def connect(url: str, heartbeat_s: int = 10, grace_s: int = 120) -> RDBStorage:
    """Give Optuna's storage on this database, with its tables; see ``database.alone``.

    Parameters
    ----------
    heartbeat_s, grace_s
        How often a worker says that it lives, and after what silence it does not.
    """
    sqlite.configure()
    # A connection that the server has closed is noticed before it is used.
    # One is kept; another, for a sign of life in the middle of something, is closed after use.
    more = {"pool_pre_ping": True, "pool_size": 1, "connect_args": postgres.CONNECTION}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return RDBStorage(
            postgres.address(url),
            engine_kwargs=more if database.is_server(url) else None,
            heartbeat_interval=heartbeat_s,
            grace_period=grace_s,
        )


@contextlib.contextmanager
def opened(url: str) -> Iterator[RDBStorage]:
    """Give the storage for a look at it; its connections are closed after that."""
    storage = connect(url)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn a database that cannot be used into one clear message.

    Raises
    ------
    StorageError
        Where, why, and what to do; a password in the address is not shown.
    """
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        shown = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        why = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        in_file = url.startswith(sqlite.PREFIX)
        mend = "free the disk or mend the file" if in_file else "see to the server"
        raise StorageError(
            f"storage.url={shown}: the study's database cannot be used: {why}; {mend}, then give "
            "the same command again: finished trials are kept"
        ) from error
