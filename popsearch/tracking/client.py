"""MLflow's client, with what it does unasked turned off; what the environment says stays."""

import logging
import os
from typing import TYPE_CHECKING

from popsearch import sqlite
from popsearch.tracking import server

if TYPE_CHECKING:
    from mlflow import MlflowClient


def connect(uri: str) -> "MlflowClient":
    """Give a client for an address; a server is asked nothing yet."""
    settle(uri)
    sqlite.configure()
    from mlflow import MlflowClient

    return MlflowClient(uri)


def experiment(client: "MlflowClient", name: str) -> str:
    """Give the id of an experiment, made where it is not there."""
    found = client.get_experiment_by_name(name)
    # The kind and the page's parameter open MLflow's pages for training, not for chatbots.
    kind = {"mlflow.experimentKind": "custom_model_development"}
    made: str = found.experiment_id if found else client.create_experiment(name, tags=kind)
    return made


def settle(uri: str) -> None:
    """Set what MLflow reads from the environment, some of it when it is imported."""
    # MLflow reports its use to its makers unless told not to; whoever wants that can say so.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if server.is_server(uri):
        # It sends what failed seven times again, for minutes: also what creates a run, which then
        # may be there twice. And it asks for each run that ends, to print its address.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(server.REQUEST_S))
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
