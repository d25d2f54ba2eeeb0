"""All that cannot be in a configuration, found before the study opens."""

from collections.abc import Mapping
from typing import Any

from popsearch import (
    cluster,
    data,
    database,
    features,
    models,
    postgres,
    space,
    study,
    tracking,
)
from popsearch.config import FeaturesConfig, PostgresStorage, RayExecutor, Sampler
from popsearch.data.demo import FEATURES
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
    if sections.get("deck") and "data" in sections and "features" in sections:
        found += _deck_faults(sections["data"], sections["features"])
    if "storage" in sections:
        url = sections["storage"].url
        unusable = database.faults(url, "storage.url")
        if "model" in sections and sections.get("warm_start") and not unusable:
            family = sections["model"].name
            found += study.warm_start.faults(url, sections["warm_start"], family)
        if isinstance(sections["storage"], PostgresStorage) and not unusable:
            found += postgres.room_faults(url, sections.get("workers", 1))
        found += unusable
    if isinstance(executor := sections.get("executor"), RayExecutor):
        found += cluster.faults(executor, sections.get("storage"), sections.get("tracking"))
    if "tracking" in sections:
        found += tracking.faults(sections["tracking"])
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


def _deck_faults(source: Data, columns: FeaturesConfig) -> list[str]:
    """Give why the deck's notebook cannot stand beside a search on these data."""
    if source.source != "csv" and columns.columns == [*FEATURES]:
        return []
    return [
        "deck: the notebook is done again on data=tracks (or demo) with features=audio, but got "
        f"data={source.source} features={columns.name}; give those, or deck=null"
    ]


def _data_faults(
    source: Data, split: SplitConfig | None, columns: FeaturesConfig | None
) -> list[str]:
    try:
        table = data.load(source)
    except PopsearchError as error:
        return list(error.faults)
    found = features.faults(columns, table) if columns else []
    return found + (data.split_faults(table, split) if split else [])
