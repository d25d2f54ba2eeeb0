"""The MLflow side of a search: the only package that imports MLflow."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from popsearch import config, sqlite
from popsearch.errors import StorageError
from popsearch.tracking import stored
from popsearch.tracking.stored import StoredRun, StoredRuns
from popsearch.tracking.tracker import StudyRecord, Tracker

__all__ = [
    "StoredRun",
    "StoredRuns",
    "StudyRecord",
    "Tracker",
    "faults",
    "open_tracker",
    "stored",
    "tracking_errors",
]


def open_tracker(cfg: config.Tracking, experiment: str) -> Tracker:
    """Give the tracker that a configuration names.

    Raises
    ------
    StorageError
        If the tracking store does not answer.
    """
    if isinstance(cfg, config.NoTracking):
        return Tracker()
    with tracking_errors(cfg):
        from popsearch.tracking.runs import MlflowTracker

        return MlflowTracker(cfg.uri, experiment)


def faults(cfg: config.Tracking) -> list[str]:
    """Give what keeps runs from being written; imports nothing of MLflow."""
    if isinstance(cfg, config.NoTracking):
        return []
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
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        why = str(error).splitlines()[0]
        raise StorageError(
            f"tracking.uri={_shown(cfg.uri)}: cannot be written to: {why}; give the same command "
            "again when it can be: finished trials are kept (or go on without: tracking=none)"
        ) from error


def _shown(uri: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(uri).render_as_string(hide_password=True)
