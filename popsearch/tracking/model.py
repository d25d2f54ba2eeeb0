"""Fitted pipelines, one or several, as one MLflow model, in formats without pickle."""

import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from popsearch.blend import Blend
from popsearch.tracking import server
from popsearch.tracking.carried import Carried

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

    from popsearch.data.intake import Intake

CARD = "model_card.md"
FILES = {"lightgbm": "model.txt", "xgboost": "model.ubj", "catboost": "model.cbm"}
"""The files of boosters, each in its library's own format, by the library."""


def log(
    uri: str,
    run_id: str,
    name: str,
    fitted: Any,
    intake: "Intake",
    example: "pd.DataFrame",
    packages: Sequence[str],
    card: str,
) -> str:
    """Store a fitted pipeline, or a blend of several, as a model of a run, and give its address.

    Each pipeline has a folder: its features and scikit-learn's models as skops writes them, a
    booster and a network in the format of their own library. Code joins them, which MLflow copies
    into the model, with what they need of popsearch.

    Parameters
    ----------
    name
        Of the model in its run.
    example
        Some rows with the user's own columns.
    packages
        What the model needs to be loaded.
    card
        Stored beside it, for people.
    """
    import mlflow

    with (
        tracking_uri(uri),
        server.time_for_a_model(),
        mlflow.start_run(run_id=run_id),
        quiet(),
        _without_traces(),
        tempfile.TemporaryDirectory() as folder,
    ):
        members, carried = Path(folder) / "members", Carried()
        members.mkdir()
        _write(fitted, intake, members, carried)
        stored = mlflow.pyfunc.log_model(
            python_model=str(Path(__file__).with_name("stored_model.py")),
            artifacts={"members": str(members)},
            code_paths=[str(carried.write(Path(folder)))],
            name=name,
            signature=_signature(intake),
            input_example=example,
            pip_requirements=[*packages],
        )
        (Path(folder) / CARD).write_text(card, encoding="utf-8")
        mlflow.MlflowClient(uri).log_model_artifact(stored.model_id, str(Path(folder) / CARD))
    address: str = stored.model_uri
    return address


def _write(fitted: Any, intake: "Intake", folder: Path, carried: Carried) -> None:
    blend = fitted if isinstance(fitted, Blend) else Blend([fitted], [1.0])
    members = []
    for i, (pipeline, weight) in enumerate(zip(blend.members, blend.weights, strict=True)):
        own = folder / f"member_{i:02d}"
        own.mkdir()
        trusted = carried.dump(pipeline[:-1], own / "features.skops")
        about = _write_model(pipeline[-1], own, carried)
        trusted += about.pop("skops_trusted_types", [])
        about |= {"folder": own.name, "weight": float(weight)}
        members.append({**about, "skops_trusted_types": sorted(set(trusted))})
    about = {"package": carried.name, "intake": asdict(intake), "members": members}
    (folder / "members.json").write_text(json.dumps(about, indent=2), encoding="utf-8")


def _write_model(model: Any, folder: Path, carried: Carried) -> dict[str, Any]:
    """Write what follows the features, and tell as what; a user's own class as skops does."""
    kind = type(model).__module__.partition(".")[0]
    if type(model).__module__.startswith("popsearch.networks."):
        import keras

        from popsearch.networks import backend

        with backend.quiet():  # Keras loads TensorFlow to save a model, on any backend
            model.model_.save(folder / "network.keras")
        return {"kind": "keras", "file": "network.keras", "backend": keras.config.backend()}
    if kind in FILES:
        own = model.booster_ if kind == "lightgbm" else model
        own.save_model(str(folder / FILES[kind]))
        return {"kind": kind, "file": FILES[kind]}
    trusted = carried.dump(model, folder / "model.skops")
    return {"kind": "skops", "file": "model.skops", "skops_trusted_types": trusted}


def _signature(intake: "Intake") -> "ModelSignature":
    """Give the user's own columns, of any type: MLflow takes no whole number for a double.

    The model reads numbers, truth values and dates itself, as text too, and says what it cannot.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

    anything: Any = AnyType
    columns: list[Any] = [
        ColSpec(anything(), name, required=name not in intake.optional) for name in intake.needs
    ]
    return ModelSignature(Schema(columns), Schema([TensorSpec(np.dtype(np.float64), (-1,))]))


@contextlib.contextmanager
def tracking_uri(uri: str) -> Iterator[None]:
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
def quiet() -> Iterator[None]:
    """Keep MLflow's advice on models off the terminal."""
    names = ("mlflow.models", "mlflow.pyfunc", "mlflow.utils")
    loggers = [logging.getLogger(name) for name in names]
    old = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, old, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _without_traces() -> Iterator[None]:
    """Undo what MLflow leaves when it tries a new model: code on the path, compiled code in it."""
    path, writes = sys.path, sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path, sys.dont_write_bytecode = path, writes
