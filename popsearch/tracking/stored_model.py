"""Predicts with a stored model. MLflow copies this file into the model, as its code.

So it must not need popsearch, only what the model's requirements name: what it needs of
popsearch's own code lies in the model's files, as a package under a name of its own.
"""

import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

CHUNK = 65_536  # rows that a network predicts at once


class Member:
    """Features and model of one fitted pipeline, read from a folder."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        import skops.io

        self.weight, self.kind = float(about["weight"]), about["kind"]
        trusted = about["skops_trusted_types"]
        self.features = skops.io.load(folder / "features.skops", trusted=trusted)
        file = folder / about["file"]
        match self.kind:
            case "keras":
                os.environ.setdefault("KERAS_BACKEND", about["backend"])
                os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
                import keras

                self.model = keras.saving.load_model(file, compile=False)
            case "lightgbm":
                import lightgbm

                self.model = lightgbm.Booster(model_file=file)
            case "xgboost":
                import xgboost

                self.model = xgboost.XGBRegressor()
                self.model.load_model(file)
            case "catboost":
                import catboost

                self.model = catboost.CatBoostRegressor()
                self.model.load_model(str(file))
            case _:
                self.model = skops.io.load(file, trusted=trusted)

    def predict(self, columns: pd.DataFrame) -> Any:
        """Give the predictions, (n_rows,)."""
        X = self.features.transform(columns)
        if self.kind != "keras":
            return np.asarray(self.model.predict(X), dtype=np.float64)
        X = np.asarray(X, dtype=np.float32)
        parts = [
            np.asarray(self.model(X[i : i + CHUNK], training=False))[:, 0]
            for i in range(0, len(X), CHUNK)
        ]
        return np.concatenate(parts).astype(np.float64)


class StoredModel(PythonModel):
    """The weighted mean of its members' predictions; most often there is one."""

    def load_context(self, context: Any) -> None:
        """Read the members from the model's files."""
        folder = Path(context.artifacts["members"])
        about = json.loads((folder / "members.json").read_text(encoding="utf-8"))
        code = importlib.import_module(f"{about['package']}.data.intake")
        self.refused = importlib.import_module(f"{about['package']}.errors").DataError
        self.intake = code.Intake(**about["intake"])
        self.members = [Member(folder / each["folder"], each) for each in about["members"]]

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        """Give the predictions for rows with the user's own columns, (n_rows,)."""
        try:
            columns = self.intake.columns(model_input, "input")
        except self.refused as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        if not len(columns):
            return np.zeros(0)
        each = [member.predict(columns) for member in self.members]
        return np.average(each, axis=0, weights=[member.weight for member in self.members])


set_model(StoredModel())
