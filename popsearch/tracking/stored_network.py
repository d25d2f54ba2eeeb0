"""Predicts with a stored network. MLflow copies this file into the model, as its code.

So it must not need popsearch, only what the model's requirements name.
"""

import os
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

CHUNK = 65_536  # rows that are predicted at once


class StoredNetwork(PythonModel):
    """Features as scikit-learn fitted them, then a Keras model."""

    def load_context(self, context: Any) -> None:
        """Read both from the model's files."""
        os.environ.setdefault("KERAS_BACKEND", context.model_config["backend"])
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras
        import skops.io

        trusted = context.model_config["skops_trusted_types"]
        self.features = skops.io.load(context.artifacts["features"], trusted=trusted)
        self.network = keras.saving.load_model(context.artifacts["network"], compile=False)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        """Give the predictions for the table's own columns, (n_rows,)."""
        X = np.asarray(self.features.transform(model_input), dtype=np.float32)
        parts = [
            np.asarray(self.network(X[i : i + CHUNK], training=False))[:, 0]
            for i in range(0, len(X), CHUNK)
        ]
        return np.concatenate(parts).astype(np.float64)


set_model(StoredNetwork())
