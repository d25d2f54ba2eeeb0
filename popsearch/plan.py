"""All parts of a study, built from the configuration and checked before the study opens."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from popsearch import data, features, models, space, study, tracking
from popsearch.config import Config, NoPruner, RowSteps, StageSteps
from popsearch.data import Split, Table
from popsearch.errors import ConfigError, PopsearchError
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
    faults: list[str] = []
    faults += models.estimator.faults(cfg.model)
    found_space = Space({}, ())
    if not faults:
        defaults = models.estimator.defaults(cfg.model)
        found_space, found = space.read(cfg.model.space, cfg.model.known_good, defaults)
        faults += found
        faults += study.faults(cfg.sampler, found_space)
    faults += tracking.faults(cfg.tracking) + _storage_faults(cfg.storage.url)
    try:
        table = data.load(cfg.data)
        split = data.split(table.n_rows, cfg.split.test_size, cfg.split.val_size, cfg.split.seed)
    except PopsearchError as error:
        raise ConfigError(*faults, *error.faults) from None
    faults += features.faults(cfg.features, table)
    if faults:
        raise ConfigError(*faults)
    return Plan(cfg, table, split, found_space, models.way_of_training(cfg.model))


def _storage_faults(url: str) -> list[str]:
    folder = Path(url.removeprefix("sqlite:///")).parent
    if folder.is_dir():
        return []
    return [f"storage.url={url}: the folder {folder} does not exist; create it first"]
