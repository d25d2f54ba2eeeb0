"""The connection to the database of studies."""

import warnings

import optuna
from optuna.storages import RDBStorage

from popsearch import database, postgres, sqlite


def connect(url: str, heartbeat_s: int = 10, grace_s: int = 120) -> RDBStorage:
    """Give Optuna's storage on this database, with its tables; see ``database.alone``.

    Parameters
    ----------
    heartbeat_s, grace_s
        How often a worker on a server says that it lives, and after what silence it does not.
    """
    sqlite.configure()
    if not database.is_server(url):
        return RDBStorage(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return RDBStorage(
            postgres.address(url),
            # A connection that the server has closed is noticed before it is used.
            engine_kwargs={"pool_pre_ping": True, "connect_args": postgres.CONNECTION},
            heartbeat_interval=heartbeat_s,
            grace_period=grace_s,
        )
