"""All that cannot be in a configuration, found before the study opens."""

import importlib.util
from collections.abc import Mapping
from typing import Any

from popsearch import data, database, features, models, space, sqlite, study, tracking
from popsearch.config import FeaturesConfig, MlflowTracking, RayExecutor, Sampler
from popsearch.errors import ConfigError, PopsearchError
from popsearch.family import ModelConfig
from popsearch.source import Data
from popsearch.splitting import SplitConfig


def faults(sections: Mapping[str, Any]) -> list[str]:
    """Give all that cannot be, by itself or beside the others.

    Parameters
    ----------
    sections
        Parts of a ``Config`` by name; those whose values do not hold may be missing.
    """
    found: list[str] = []
    if "model" in sections:
        found += _model_faults(
            sections["model"], sections.get("sampler"), len(sections.get("objectives", "1"))
        )
    if "data" in sections:
        found += _data_faults(sections["data"], sections.get("split"), sections.get("features"))
    if "storage" in sections:
        url = sections["storage"].url
        unusable = database.faults(url, "storage.url")
        if "model" in sections and sections.get("warm_start") and not unusable:
            family = sections["model"].name
            found += study.warm_start.faults(url, sections["warm_start"], family)
        found += unusable
    if "executor" in sections:
        found += _executor_faults(sections)
    if "tracking" in sections:
        found += tracking.faults(sections["tracking"])
    return found


def _executor_faults(sections: Mapping[str, Any]) -> list[str]:
    if not isinstance(sections["executor"], RayExecutor):
        return []
    if importlib.util.find_spec("ray") is None:
        return ["executor=ray needs Ray, which is not installed; pip install 'popsearch[ray]'"]
    found = []
    storage, runs = sections.get("storage"), sections.get("tracking")
    if storage and not database.is_server(storage.url):
        found.append(
            "executor=ray: must have a study that all nodes reach, but storage.url is a file; "
            "give storage=postgres"
        )
    if isinstance(runs, MlflowTracking) and runs.uri.startswith(sqlite.PREFIX):
        found.append(
            "executor=ray: must have runs that all nodes reach, but tracking.uri is a file; give "
            "the address of a server, tracking.uri=http://..., or tracking=none"
        )
    return found


def _model_faults(model: ModelConfig, sampler: Sampler | None, n_objectives: int) -> list[str]:
    found = models.estimator.faults(model)
    try:
        defaults = models.estimator.defaults(model)
    except ConfigError:  # told above
        defaults = {}
    searched, wrong = space.read(model.space, model.known_good, defaults)
    if not wrong and sampler:
        wrong = study.faults(sampler, searched, n_objectives)
    return found + wrong


def _data_faults(
    source: Data, split: SplitConfig | None, columns: FeaturesConfig | None
) -> list[str]:
    try:
        table = data.load(source)
    except PopsearchError as error:
        return list(error.faults)
    found = features.faults(columns, table) if columns else []
    return found + (data.split_faults(table, split) if split else [])
