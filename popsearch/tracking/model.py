"""Fitted pipelines as MLflow models, in formats without pickle."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from popsearch.tracking import server

if TYPE_CHECKING:
    import pandas as pd


def log(uri: str, run_id: str, pipeline: Any, example: "pd.DataFrame", packages: list[str]) -> None:
    """Store a pipeline as a model of a run.

    A network is stored as Keras' own file, with the features before it and the code that joins
    them; all else is scikit-learn's, in the format of skops.

    Parameters
    ----------
    example
        Some rows of the table's own columns.
    packages
        What the model needs to be loaded.
    """
    import mlflow

    with (
        _tracking_uri(uri),
        server.time_for_a_model(),
        mlflow.start_run(run_id=run_id),
        _quiet(),
    ):
        _log(pipeline, example, packages)


def _log(pipeline: Any, example: "pd.DataFrame", packages: list[str]) -> None:
    import mlflow
    import skops.io
    from mlflow.models import infer_signature

    own: dict[str, Any] = {
        "name": "model",
        "signature": infer_signature(example, pipeline.predict(example)),
        "input_example": example,
        "pip_requirements": packages,
    }
    if hasattr(pipeline[-1], "model_"):
        _log_network(pipeline, own)
        return
    # All of it was made here, from the user's own configuration; skops asks for the names.
    trusted = skops.io.get_untrusted_types(data=skops.io.dumps(pipeline))
    mlflow.sklearn.log_model(
        pipeline, serialization_format="skops", skops_trusted_types=trusted, **own
    )


def _log_network(pipeline: Any, own: dict[str, Any]) -> None:
    import keras
    import mlflow
    import skops.io

    from popsearch.networks import backend

    features = pipeline[:-1]
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / name) for name in ("network.keras", "features.skops")}
        with backend.quiet():  # Keras loads TensorFlow to save a model, on any backend
            pipeline[-1].model_.save(files["network.keras"])
        skops.io.dump(features, files["features.skops"])
        mlflow.pyfunc.log_model(
            python_model=str(Path(__file__).with_name("stored_network.py")),
            artifacts={name.partition(".")[0]: file for name, file in files.items()},
            model_config={
                "backend": keras.config.backend(),
                "skops_trusted_types": skops.io.get_untrusted_types(file=files["features.skops"]),
            },
            **own,
        )


@contextlib.contextmanager
def _tracking_uri(uri: str) -> Iterator[None]:
    """Set MLflow's address for what has no client; leave the environment as it was."""
    import mlflow

    name = "MLFLOW_TRACKING_URI"  # set_tracking_uri writes it, the next study would read it
    old = os.environ.get(name)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if old is not None:
            os.environ[name] = old


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's advice on models off the terminal."""
    names = ("mlflow.models", "mlflow.pyfunc", "mlflow.sklearn", "mlflow.utils")
    loggers = [logging.getLogger(name) for name in names]
    old = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, old, strict=True):
            logger.setLevel(level)
