"""The champion of a data set in MLflow's model registry."""

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from popsearch import sqlite
from popsearch.tracking import server
from popsearch.tracking.client import connect
from popsearch.tracking.model import CARD
from popsearch.tracking.stored import every

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"
PREFIX = "popsearch-"
RESIDUALS = "test_residuals.npy"
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the latter: no such alias


@dataclass(frozen=True)
class Version:
    """A registered version of a data set's model.

    Parameters
    ----------
    model
        The address of the stored model.
    tags
        What was known of it when it was registered.
    """

    number: int
    model: str
    run_id: str
    tags: Mapping[str, str]


class Registry:
    """The versions that are, or were, champion of one data set: each was when it was registered.

    Parameters
    ----------
    uri
        MLflow's tracking address.
    data
        The name of the data set.
    """

    def __init__(self, uri: str, data: str) -> None:
        self._uri = sqlite.absolute(uri)
        self._client = connect(self._uri)
        self.name = f"{PREFIX}{data}"

    def champion(self) -> Version | None:
        """Give the champion, none before there is one."""
        from mlflow.exceptions import MlflowException

        try:
            return _version(self._client.get_model_version_by_alias(self.name, ALIAS))
        except MlflowException as error:
            if error.error_code not in GONE:
                raise
            return None

    def residuals(self, version: Version) -> NDArray[np.float32] | None:
        """Give a version's residuals on the test rows, none where they are not whole."""
        try:
            found: NDArray[np.float32] = np.load(io.BytesIO(self._read(version.model, RESIDUALS)))
        except (ValueError, EOFError):
            return None
        return found

    def register(
        self, model: str, residuals: NDArray[np.float32] | None, tags: Mapping[str, str]
    ) -> Version:
        """Give the version of a stored model, made where there is none.

        Its description is the model's card; residuals are stored beside the model.
        """
        from mlflow.exceptions import MlflowException

        model_id = model.rpartition("/")[2]
        try:
            self._client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        query = f"name='{self.name}'"
        for known in every(lambda **page: self._client.search_model_versions(query, **page)):
            if model in (known.source, _version(known).model):
                return _version(known)  # its process was killed before it was the champion
        if residuals is not None:
            with tempfile.TemporaryDirectory() as folder, server.time_for_a_model():
                file = Path(folder) / RESIDUALS
                np.save(file, residuals.astype(np.float32), allow_pickle=False)
                self._client.log_model_artifact(model_id, str(file))
        made = self._client.create_model_version(
            self.name,
            model,
            run_id=self._client.get_logged_model(model_id).source_run_id,
            tags=dict(tags),
            description=self._read(model, CARD).decode(),
            model_id=model_id,
        )
        return _version(made)

    def crown(self, version: Version) -> None:
        """Make a version the champion."""
        self._client.set_registered_model_alias(self.name, ALIAS, str(version.number))

    def _read(self, model: str, name: str) -> bytes:
        """Give a stored model's file, nothing where it does not have it."""
        from mlflow.artifacts import download_artifacts

        model_id = model.rpartition("/")[2]
        if name not in {file.path for file in self._client.list_logged_model_artifacts(model_id)}:
            return b""
        where = self._client.get_logged_model(model_id).artifact_location
        with tempfile.TemporaryDirectory() as folder:
            path = download_artifacts(f"{where}/{name}", dst_path=folder, tracking_uri=self._uri)
            return Path(path).read_bytes()


def champions(uri: str) -> dict[str, Version]:
    """Give the champion of every data set that has one."""
    client, query = connect(sqlite.absolute(uri)), f"name LIKE '{PREFIX}%'"
    found = {}
    for each in every(lambda **page: client.search_registered_models(query, **page)):
        data = each.name.removeprefix(PREFIX)
        if ALIAS in each.aliases and (version := Registry(uri, data).champion()):
            found[data] = version
    return dict(sorted(found.items()))


def _version(found: "ModelVersion") -> Version:
    model = f"models:/{found.model_id}" if found.model_id else str(found.source)
    return Version(int(found.version), model, found.run_id or "", dict(found.tags))
