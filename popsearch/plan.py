"""All parts of a study, built from the configuration and checked before the study opens."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from popsearch import data, features, models, space, sqlite, study, tracking
from popsearch.config import Config, Data, FeaturesConfig, NoPruner, Sampler, SplitConfig
from popsearch.data import Split, Table
from popsearch.errors import ConfigError, PopsearchError
from popsearch.family import ModelConfig, RowSteps, StageSteps
from popsearch.models import Rows, Training
from popsearch.space import Params, Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

METRIC = "val_mse"


@dataclass(frozen=True, eq=False)
class Plan:
    """What a study searches, on which rows; the same configuration gives the same plan."""

    cfg: Config
    table: Table
    split: Split
    space: Space
    way: type[Training]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that makes two trials comparable."""
        model = self.cfg.model.model_dump(exclude={"known_good"})
        content = {
            "model": model,
            "data": self.table.fingerprint,
            "features": self.cfg.features.columns,
            "split": self.cfg.split.model_dump(),
            "metric": METRIC,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def study_name(self) -> str:
        """Data, family and fingerprint, so that unlike trials never meet in one study."""
        return f"{self.table.name}-{self.cfg.model.name}-{self.fingerprint[:8]}"

    @cached_property
    def rows(self) -> Rows:
        """Training and validation rows as the models see them; fitted on training rows only."""
        X, y, split = self.table.X, self.table.y, self.split
        transformer = features.build(self.cfg.features, self.cfg.model.scaler)
        return Rows(
            X_train=transformer.fit_transform(X.iloc[split.train]),
            y_train=y[split.train],
            X_val=transformer.transform(X.iloc[split.val]),
            y_val=y[split.val],
        )

    @property
    def n_train_rows(self) -> int:
        """Number of training rows."""
        return len(self.split.train)

    @cached_property
    def val_variance(self) -> float:
        """Variance of the validation targets."""
        return float(self.rows.y_val.var())

    @property
    def patience(self) -> int | None:
        """Steps without a better score that end a trial."""
        steps = self.cfg.model.steps
        return steps.patience if isinstance(steps, StageSteps) else None

    @property
    def resource(self) -> str:
        """What a step uses more of: rows, or a parameter that counts stages."""
        steps = self.cfg.model.steps
        return steps.param if isinstance(steps, StageSteps) else "rows"

    @property
    def n_steps(self) -> int:
        """The most steps that a trial takes."""
        steps = self.cfg.model.steps
        if isinstance(steps, RowSteps):
            return len(steps.fractions)
        return -(-steps.budget // steps.every)

    def training(self, members: list[Params]) -> Training:
        """Give the training of these parameter sets."""
        prunable = not isinstance(self.cfg.pruner, NoPruner)
        return self.way(self.cfg.model, members, self.rows, prunable)

    def refit(self, params: Params, resource: int) -> "Pipeline":
        """Give features and model as one pipeline, fitted on training and validation rows."""
        import numpy as np
        from sklearn.pipeline import make_pipeline

        known = np.sort(np.concatenate([self.split.train, self.split.val]))
        X, y = self.table.X.iloc[known], self.table.y[known]
        transformer = features.build(self.cfg.features, self.cfg.model.scaler)
        estimator = self.way.refit(
            self.cfg.model, params, resource, transformer.fit_transform(X), y
        )
        return make_pipeline(transformer, estimator)

    def open_test(self) -> "tuple[Any, NDArray[np.float64]]":
        """Give the columns and targets of the test rows: once, for the refitted winner."""
        return self.table.X.iloc[self.split.test], self.table.y[self.split.test]


def prepare(cfg: Config) -> Plan:
    """Give the checked plan.

    Raises
    ------
    ConfigError
        With all faults of configuration and data at once; nothing was created.
    """
    if found := faults(dict(cfg)):
        raise ConfigError(*found)
    table = data.load(cfg.data)
    split = data.split(table.n_rows, cfg.split.test_size, cfg.split.val_size, cfg.split.seed)
    defaults = models.estimator.defaults(cfg.model)
    searched, _ = space.read(cfg.model.space, cfg.model.known_good, defaults)
    return Plan(cfg, table, split, searched, models.way_of_training(cfg.model))


def faults(sections: Mapping[str, Any]) -> list[str]:
    """Give all that cannot be, by itself or beside the others.

    Parameters
    ----------
    sections
        Parts of a ``Config`` by name; those whose values do not hold may be missing.
    """
    found: list[str] = []
    if "model" in sections:
        found += _model_faults(sections["model"], sections.get("sampler"))
    if "data" in sections:
        found += _data_faults(sections["data"], sections.get("split"), sections.get("features"))
    if "storage" in sections:
        found += sqlite.faults(sections["storage"].url, "storage.url")
    if "tracking" in sections:
        found += tracking.faults(sections["tracking"])
    return found


def _model_faults(model: ModelConfig, sampler: Sampler | None) -> list[str]:
    found = models.estimator.faults(model)
    try:
        defaults = models.estimator.defaults(model)
    except ConfigError:  # told above
        defaults = {}
    searched, wrong = space.read(model.space, model.known_good, defaults)
    if not wrong and sampler:
        wrong = study.faults(sampler, searched)
    return found + wrong


def _data_faults(
    source: Data, shares: SplitConfig | None, columns: FeaturesConfig | None
) -> list[str]:
    try:
        table = data.load(source)
    except PopsearchError as error:
        return list(error.faults)
    found = features.faults(columns, table) if columns else []
    if shares:
        try:
            data.split(table.n_rows, shares.test_size, shares.val_size, shares.seed)
        except PopsearchError as error:
            found += error.faults
    return found
