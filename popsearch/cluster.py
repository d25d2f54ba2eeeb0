"""Whether a Ray cluster can be used for a search."""

import importlib.util
import socket

from popsearch import database, sqlite
from popsearch.config import MlflowTracking, RayExecutor, StorageConfig, Tracking

CONNECT_S = 5.0


def faults(
    executor: RayExecutor, storage: StorageConfig | None, tracking: Tracking | None
) -> list[str]:
    """Give what keeps workers on a cluster from running; imports nothing of Ray.

    Parameters
    ----------
    storage, tracking
        Where their trials and runs go, if that much is known.
    """
    if importlib.util.find_spec("ray") is None:
        return ["executor=ray needs Ray, which is not installed; pip install 'popsearch[ray]'"]
    found = _silent(executor.address)
    if storage and not database.is_server(storage.url):
        found.append(
            "executor=ray: must have a study that all nodes reach, but storage.url is a file; "
            "give storage=postgres"
        )
    if isinstance(tracking, MlflowTracking) and tracking.uri.startswith(sqlite.PREFIX):
        found.append(
            "executor=ray: must have runs that all nodes reach, but tracking.uri is a file; give "
            "the address of a server, tracking.uri=http://..., or tracking=none"
        )
    return found


def _silent(address: str) -> list[str]:
    """Tell that nobody listens there, which Ray itself would try for minutes."""
    where = f"executor.address={address}"
    if address == "auto":
        return []
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return [f"{where}: must be auto or the address of a Ray cluster, as in 10.0.0.1:6379"]
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        return [
            f"{where}: there is no Ray cluster: {error}; start one with: ray start --head, or "
            "name another"
        ]
    return []
