"""Fitted pipelines as MLflow models, in formats without pickle."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def log(pipeline: Any, example: "pd.DataFrame", packages: list[str]) -> None:
    """Store a pipeline as a model of the active run.

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
