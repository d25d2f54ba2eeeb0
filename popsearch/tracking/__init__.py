"""The MLflow side of a search: the only package that imports MLflow."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from popsearch import config, sqlite
from popsearch.errors import StorageError
from popsearch.faults import hide_secrets
from popsearch.tracking import server, stored
from popsearch.tracking.boards import BoardPage, StoredBoards
from popsearch.tracking.client import connect, settle
from popsearch.tracking.looks import LookPage, log_look
from popsearch.tracking.outbox import Notify
from popsearch.tracking.registry import Registry, Version, champions
from popsearch.tracking.served import LoadedModel, StoredModels
from popsearch.tracking.stored import StoredRun, StoredRuns
from popsearch.tracking.tracker import Given, StudyRecord, Ticket, Tracker

__all__ = [
    "BoardPage",
    "Given",
    "LoadedModel",
    "LookPage",
    "Registry",
    "StoredBoards",
    "StoredModels",
    "StoredRun",
    "StoredRuns",
    "StudyRecord",
    "Ticket",
    "Tracker",
    "Version",
    "champions",
    "faults",
    "join_tracker",
    "log_look",
    "open_tracker",
    "stored",
    "tracking_errors",
]


def open_tracker(
    cfg: config.Tracking, experiment: str, notify: Notify = lambda line: None
) -> Tracker:
    """Give the tracker that a configuration names, for the process that opens the study.

    Parameters
    ----------
    notify
        Hears what the user should know of a server that goes away.

    Raises
    ------
    StorageError
        If the tracking store does not answer.
    """
    if isinstance(cfg, config.NoTracking):
        return Tracker()
    with tracking_errors(cfg):
        from popsearch.tracking.runs import MlflowTracker

        return MlflowTracker(cfg.uri, experiment, notify, cfg.system_metrics)


def join_tracker(
    cfg: config.Tracking, ticket: Ticket, notify: Notify = lambda line: None
) -> Tracker:
    """Give a tracker for a study that another process has opened; a server is asked nothing."""
    tracker = open_tracker(cfg, "", notify)
    tracker.join(ticket)
    return tracker


def faults(cfg: config.Tracking) -> list[str]:
    """Give what keeps runs from being written; asks a server, and creates nothing."""
    if isinstance(cfg, config.NoTracking):
        return []
    if server.is_server(cfg.uri):
        return _server_faults(cfg.uri)
    if cfg.uri.startswith("file:") or "://" not in cfg.uri:
        return [
            f"tracking.uri={cfg.uri}: must be a database or a server, but it is a folder, which "
            "MLflow no longer writes to; use tracking.uri=sqlite:///mlflow.db"
        ]
    if not cfg.uri.startswith(sqlite.PREFIX):
        return []
    old = sorted(Path("mlruns").glob("*/meta.yaml"))
    if old:
        return [
            f"mlruns/ holds runs in the old file format ({old[0]}), which plain `mlflow ui` would "
            "show instead of the new ones; move them once (mlflow migrate-filestore --source "
            "mlruns --target sqlite:///mlflow.db, then rename mlruns), or rename mlruns"
        ]
    return sqlite.faults(cfg.uri, "tracking.uri")


@contextlib.contextmanager
def tracking_errors(cfg: config.Tracking) -> Iterator[None]:
    """Turn a tracking store that cannot be used into one clear message.

    Raises
    ------
    StorageError
        Where, why, and what to do.
    """
    if isinstance(cfg, config.NoTracking):
        yield
        return
    settle(cfg.uri)
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, requests.exceptions.RequestException) as error:
        why = hide_secrets(str(error).partition("\n")[0])
        raise StorageError(
            f"tracking.uri={hide_secrets(cfg.uri)}: cannot be written to: {why}; give the same "
            "command again when it can be: finished trials are kept (or go on without: "
            "tracking=none)"
        ) from error


def _server_faults(uri: str) -> list[str]:
    where, instead = f"tracking.uri={hide_secrets(uri)}", "or go on without: tracking=none"
    if not server.is_whole(uri):
        return [f"{where}: must be http://HOST:PORT or https://HOST; mend it, {instead}"]
    if why := server.silence(uri, server.FIRST_S):
        return [f"{where}: the server does not answer ({why}); start it, {instead}"]
    client = connect(uri)
    from mlflow.exceptions import MlflowException

    try:
        client.search_experiments(max_results=1)
    except MlflowException as error:
        why = hide_secrets(server.reason(error))
        return [f"{where}: the server cannot be used: {why}; mend the address, {instead}"]
    return []
