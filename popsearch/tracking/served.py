"""Stored models found by what a person calls them, and loaded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from popsearch import sqlite
from popsearch.errors import ConfigError, DataError, did_you_mean
from popsearch.faults import hide_secrets
from popsearch.tracking import model, server
from popsearch.tracking.client import connect
from popsearch.tracking.registry import ALIAS, PREFIX, champions
from popsearch.tracking.stored import every, search

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_ID = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True)
class Address:
    """Where MLflow finds a model, and what it is called."""

    uri: str
    name: str


class LoadedModel:
    """A model in memory.

    Attributes
    ----------
    needs, optional
        The columns that rows must have, and those among them that may be absent.
    """

    def __init__(self, python_model: Any) -> None:
        self._model = python_model
        self.needs: list[str] = python_model.intake.needs
        self.optional: Sequence[str] = python_model.intake.optional

    def predict(self, rows: "pd.DataFrame") -> "NDArray[np.float64]":
        """Give the predictions for rows with the user's own columns, (n_rows,).

        Raises
        ------
        DataError
            If a cell cannot be read, with its row.
        """
        from mlflow.exceptions import MlflowException

        try:
            # Not through MLflow's schema, which goes through rows one cell at a time.
            found: NDArray[np.float64] = self._model.predict(None, rows)
        except MlflowException as error:
            raise DataError(*str(error.message).splitlines()) from None
        return found


class StoredModels:
    """Finds and loads models.

    Parameters
    ----------
    uri
        MLflow's tracking address.
    """

    def __init__(self, uri: str) -> None:
        self._uri = sqlite.absolute(uri)
        self._client = connect(self._uri)
        self._where = hide_secrets(uri)

    def find(self, word: str, data: str | None = None) -> Address:
        """Give the address of a model.

        Parameters
        ----------
        word
            ``champion``, NAME/VERSION or NAME@ALIAS of the registry, the name of a study, or an
            address of MLflow's own.
        data
            Which champion, where there are several.

        Raises
        ------
        ConfigError
            If there is no such model.
        """
        if word == ALIAS:
            return self._champion(data)
        if word.startswith(("models:/", "runs:/")) or _ID.fullmatch(word):
            uri = f"models:/{word}" if _ID.fullmatch(word) else word
            return Address(uri, word)
        registered = [each.name for each in every(self._client.search_registered_models)]
        if re.split("[/@]", word)[0] in registered:
            if word in registered:
                raise ConfigError(f"model={word}: add a version or an alias, as in {word}@{ALIAS}")
            return Address(f"models:/{word}", word)
        return self._of_study(word, registered)

    def load(self, address: Address) -> LoadedModel:
        """Load a model; its code comes with it.

        Raises
        ------
        ConfigError
            If it is not there, is none of ours, or needs a library that is not installed.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        where = f"model={address.name}"
        try:
            with model.tracking_uri(self._uri), model.quiet(), server.time_for_a_model():
                loaded = mlflow.pyfunc.load_model(address.uri)
        except (ImportError, OSError) as error:
            raise ConfigError(f"{where}: cannot be loaded: {error}") from None
        except MlflowException as error:
            if server.is_server(self._uri) and server.away(error):
                raise
            why = str(error.message).partition("\n")[0]
            raise ConfigError(f"{where}: cannot be loaded from {self._where}: {why}") from None
        try:
            return LoadedModel(loaded.unwrap_python_model())
        except (MlflowException, AttributeError):
            raise ConfigError(
                f"{where}: must be a model that popsearch stored; others are loaded with MLflow"
            ) from None

    def _champion(self, data: str | None) -> Address:
        found = champions(self._uri)
        if not found:
            raise ConfigError(
                f"model={ALIAS}: there is no champion yet in {self._where}; search first, or name "
                "a study"
            )
        if data is None and len(found) > 1:
            raise ConfigError(
                f"model={ALIAS}: there are several; say which: data={' or data='.join(found)}"
            )
        chosen = next(iter(found)) if data is None else data
        if chosen not in found:
            raise ConfigError(f"data={data}: has no champion{did_you_mean(chosen, found)}")
        name = f"{PREFIX}{chosen}"
        return Address(f"models:/{name}@{ALIAS}", f"{name} version {found[chosen].number}")

    def _of_study(self, name: str, registered: Sequence[str]) -> Address:
        experiments = [each.experiment_id for each in every(self._client.search_experiments)]
        runs = {
            run.info.run_id: run.data.tags.get("popsearch.study", "")
            for run in search(self._client, experiments, "tags.`popsearch.kind` = 'study'")
        }
        own = [run_id for run_id, study in runs.items() if study == name]
        if not own:
            known = [ALIAS, *registered, *runs.values()]
            raise ConfigError(
                f"model={name}: must be {ALIAS}, a registered NAME/VERSION, a study or an address "
                f"of MLflow{did_you_mean(name, known)}"
            )
        stored = self._client.search_logged_models(
            experiments,
            f"source_run_id IN ({', '.join(map(repr, own))}) AND name = 'model'",
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
            max_results=1,
        )
        if not stored:
            raise ConfigError(f"model={name}: this study has stored no model yet; search on")
        return Address(str(stored[0].model_uri), name)
