"""All parts of a study, built from the configuration and checked before the study opens."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from popsearch import check, data, features, leaks, models, space
from popsearch.config import Config, CurvePruner, NoPruner
from popsearch.data import Fold, Split, Table
from popsearch.errors import ConfigError
from popsearch.family import RowSteps, StageSteps
from popsearch.folds import Folds
from popsearch.models import Machine, Rows, Training, WayOfTraining
from popsearch.models.side_by_side import SideBySide
from popsearch.source import CsvData, TracksData
from popsearch.space import SCALER, Params, Space
from popsearch.splitting import grouping
from popsearch.study import warm_start

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    from popsearch.data.intake import Intake

METRIC = "val_mse"
_NO_MATTER = {"known_good", "backend", "population", "mean_of"}  # to what a trial's score means
SHARE = 0.5  # of the free memory that trials which are begun together may take
GENERATIONS = 4  # of a population, at least: the later ones know how the earlier went


@dataclass(frozen=True, eq=False)
class Plan:
    """What a study searches, on which rows; the same configuration gives the same plan."""

    cfg: Config
    table: Table
    split: Split
    space: Space
    way: type[WayOfTraining]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that makes two trials comparable."""
        model = self.cfg.model.model_dump(exclude=_NO_MATTER)
        content = {
            "model": model,
            "data": self.table.fingerprint,
            "features": [self.feature_names, features.groups_of(self.cfg.features, self.table)],
            "split": [self.cfg.split.model_dump(), self.split.digest],
            "metric": METRIC if self.n_objectives == 1 else self.cfg.objectives,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @cached_property
    def test_digest(self) -> str:
        """Hash of data and test rows: models with the same were tested on the same rows."""
        rows = hashlib.sha256(self.table.fingerprint.encode())
        rows.update(self.split.test.astype("int64").tobytes())
        return rows.hexdigest()

    @property
    def n_objectives(self) -> int:
        """How many scores a trial is to make small."""
        return len(self.cfg.objectives)

    @property
    def study_name(self) -> str:
        """Data, family and fingerprint, so that unlike trials never meet in one study."""
        return f"{self.table.name}-{self.cfg.model.name}-{self.fingerprint[:8]}"

    @property
    def feature_names(self) -> list[str]:
        """The columns of the table that the models see."""
        return features.columns(self.cfg.features, self.table)

    @cached_property
    def folds(self) -> tuple[Rows, ...]:
        """Training and validation rows as the models see them: one fold, or several."""
        return self._folds(self.cfg.model.scaler)

    @property
    def rows(self) -> Rows:
        """Training and validation rows of the first fold."""
        return self.folds[0]

    @cached_property
    def warnings(self) -> list[str]:
        """What may make the scores other than they should be, one line each."""
        transformer, rows = self._encoded(self.cfg.model.scaler)[0]
        remedy = grouping(self.cfg.split, self.cfg.data.group_by)
        return [
            *data.uneven(self.split, self.cfg.split),
            *leaks.duplicates(self.table, self.split, self.feature_names, remedy),
            *leaks.giveaways(
                rows.X_train,
                rows.y_train,
                rows.X_val,
                rows.y_val,
                features.origins(transformer),
                self.cfg.leak_r2,
            ),
        ]

    @property
    def n_train_rows(self) -> int:
        """Number of training rows, of one fold where there are several."""
        return len(self.split.folds[0].train)

    @property
    def about_rows(self) -> str:
        """How many rows are for what, for people."""
        folds, n_test = self.split.folds, len(self.split.test)
        if len(folds) > 1:
            known = f"{len(self.split.known):,} rows in {len(folds)} folds"
        else:
            known = f"{len(folds[0].train):,} training, {len(folds[0].val):,} validation"
        return f"{known}, {n_test:,} test rows"

    @cached_property
    def val_variance(self) -> float:
        """Variance of the validation targets, within the folds where there are several."""
        n_rows = sum(len(rows.y_val) for rows in self.folds)
        return sum(float(rows.y_val.var()) * len(rows.y_val) for rows in self.folds) / n_rows

    @property
    def patience(self) -> int | None:
        """Steps without a better score that end a trial; within a fold where there are several."""
        steps = self.cfg.model.steps
        return steps.patience if isinstance(steps, StageSteps) else None

    @property
    def trial_timeout(self) -> float | None:
        """Seconds that a trial may train; of those side by side each its share."""
        return self.cfg.trial_timeout

    def too_large(self, params: Params) -> str:
        """Tell why a trial would not fit into memory; nothing where it does, or may."""
        rows = max(self.folds, key=lambda rows: len(rows.y_train))
        needed, free = self.way.memory_mib(self.cfg.model, params, rows)
        if needed <= free:
            return ""
        return f"would need at least {needed:,.0f} MiB of memory, and {free:,.0f} MiB are free"

    @property
    def resource(self) -> str:
        """What a step uses more of: rows, or a parameter that counts stages."""
        steps = self.cfg.model.steps
        return steps.param if isinstance(steps, StageSteps) else "rows"

    @property
    def n_steps(self) -> int:
        """The most steps that a trial takes."""
        if len(self.split.folds) > 1:
            return len(self.split.folds)
        steps = self.cfg.model.steps
        if isinstance(steps, RowSteps):
            return len(steps.fractions)
        return -(-steps.budget // steps.every)

    @property
    def fidelities(self) -> list[int]:
        """How much of the resource a step uses, in units of what the first one does.

        Folds and blocks of stages or epochs count by one; rungs of rows by their share.
        """
        steps = self.cfg.model.steps
        if len(self.split.folds) > 1 or not isinstance(steps, RowSteps):
            return [*range(1, self.n_steps + 1)]
        return [round(share / steps.fractions[0]) for share in steps.fractions]

    @cached_property
    def machine(self) -> Machine:
        """What the family trains on."""
        return self.way.machine(self.cfg.model)

    @property
    def compile_s(self) -> float:
        """Seconds that this study has spent on compiling."""
        return self.way.machine(self.cfg.model).compile_s - self.machine.compile_s

    @cached_property
    def population(self) -> int:
        """How many trials are asked for and trained at once."""
        asked = self.cfg.model.population
        if asked != "auto":
            return asked
        at_once = self.way.n_side_by_side(self.cfg.model, self.rows.X_train.shape[1])
        return max(1, min(at_once, self.cfg.n_trials // GENERATIONS))

    @cached_property
    def most_begun(self) -> int:
        """How many trials may be begun together, to bring the most promising to its end first.

        Only curves of stages promise something; and those that wait hold their rows and stages.
        """
        pruner, steps = self.cfg.pruner, self.cfg.model.steps
        if not isinstance(pruner, CurvePruner) or self.n_objectives > 1 or len(self.folds) > 1:
            return 1
        if steps.kind != "stages" or self.population > 1:
            return 1
        needed, free = self.way.memory_mib(self.cfg.model, {}, self.rows)
        needed += self.rows.X_train.nbytes / 2**20
        return max(1, min(pruner.n_begun, int(SHARE * free / needed)))

    @property
    def first_look(self) -> int:
        """Steps that each of those takes before any goes on."""
        pruner = self.cfg.pruner
        return pruner.first if isinstance(pruner, CurvePruner) else 0

    @property
    def n_workers(self) -> int:
        """How many processes share the trials that are begun together."""
        return self.cfg.workers

    def training(self, members: list[Params]) -> Training:
        """Give the training of these parameter sets."""
        alike: dict[str, list[int]] = {}
        for member, params in enumerate(members):
            alike.setdefault(self._scaler(params), []).append(member)
        trainings = [
            (self._train_on(scaler, [members[place] for place in places]), places)
            for scaler, places in alike.items()
        ]
        return trainings[0][0] if len(trainings) == 1 else SideBySide(trainings)

    def _train_on(self, scaler: str, members: list[Params]) -> Training:
        folds = self._folds(scaler)
        if len(folds) > 1:
            return Folds(self.way, self.cfg.model, members, folds, self.patience)
        prunable = not isinstance(self.cfg.pruner, NoPruner) and self.n_objectives == 1
        return self.way(self.cfg.model, members, folds[0], prunable)

    def refit(self, params: Params, resource: int) -> "Pipeline":
        """Give features and model as one pipeline, fitted on training and validation rows."""
        from sklearn.pipeline import make_pipeline

        known = self.split.known
        X, y = self.seen.iloc[known], self.table.y[known]
        transformer = self._transformer(self._scaler(params), len(known))
        estimator = self.way.refit(
            self.cfg.model, params, resource, transformer.fit_transform(X, y), y
        )
        return make_pipeline(transformer, estimator)

    def open_test(self) -> "tuple[Any, NDArray[np.float64]]":
        """Give the columns and targets of the test rows: once, for the refitted winner."""
        return self.seen.iloc[self.split.test], self.table.y[self.split.test]

    @property
    def intake(self) -> "Intake":
        """What makes a user's own rows those that the models see."""
        from popsearch.data import track_columns
        from popsearch.data.intake import Intake

        columns, source = self.table.columns, self.cfg.data
        tracks = isinstance(source, TracksData)
        gaps = [name for name in self.feature_names if columns[name].n_missing]
        if tracks:  # a date without a month is no missing date
            gaps = [c for c in map(track_columns.MADE_OF.get, gaps) if c in track_columns.TEXTS]
        comma = isinstance(source, CsvData) and source.decimal == "comma"
        return Intake(
            kinds={name: columns[name].kind for name in self.feature_names},
            forms={name: columns[name].form for name in self.feature_names if columns[name].form},
            optional=[*dict.fromkeys(gaps)],
            tracks=tracks,
            decimal="," if comma else ".",
        )

    @property
    def example(self) -> "pd.DataFrame":
        """The table's first rows, with the columns that the models need, as the user has them."""
        import pandas as pd

        first = self.table.first
        return pd.DataFrame({name: first[name] for name in self.intake.needs})

    @property
    def seen(self) -> Any:
        """The columns of the table that the models see, (n_rows, n_columns)."""
        return self.table.X[self.feature_names]

    def _folds(self, scaler: str) -> tuple[Rows, ...]:
        return tuple(rows for _, rows in self._encoded(scaler))

    def _encoded(self, scaler: str) -> "tuple[tuple[ColumnTransformer, Rows], ...]":
        if scaler not in self._by_scaler:
            self._by_scaler[scaler] = tuple(self._encode(f, scaler) for f in self.split.folds)
        return self._by_scaler[scaler]

    @cached_property
    def _by_scaler(self) -> "dict[str, tuple[tuple[ColumnTransformer, Rows], ...]]":
        return {}

    def _encode(self, fold: Fold, scaler: str) -> "tuple[ColumnTransformer, Rows]":
        """Give the rows of a fold as the models see them; fitted on its training rows only."""
        X, y = self.seen, self.table.y
        transformer = self._transformer(scaler, len(fold.train))
        rows = Rows(
            X_train=transformer.fit_transform(X.iloc[fold.train], y[fold.train]),
            y_train=y[fold.train],
            X_val=transformer.transform(X.iloc[fold.val]),
            y_val=y[fold.val],
        )
        for shared in (rows.X_train, rows.y_train, rows.X_val, rows.y_val):
            shared.flags.writeable = False  # no trial may change what the next one sees
        return transformer, rows

    def _transformer(self, scaler: str, n_train: int) -> "ColumnTransformer":
        missing, seed = self.cfg.model.missing, self.cfg.split.seed
        return features.build(self.cfg.features, self.table, scaler, missing, seed, n_train)

    def _scaler(self, params: Params) -> str:
        return str(params.get(SCALER, self.cfg.model.scaler))


def prepare(cfg: Config) -> Plan:
    """Give the checked plan.

    Raises
    ------
    ConfigError
        With all faults of configuration and data at once; nothing was created.
    """
    if found := check.faults(dict(cfg)):
        raise ConfigError(*found)
    return build(cfg)


def build(cfg: Config) -> Plan:
    """Give the plan of a configuration that was checked."""
    table = data.load(cfg.data)
    split = data.split(table, cfg.split)
    defaults = models.estimator.defaults(cfg.model)
    searched, _ = space.read(cfg.model.space, cfg.model.known_good, defaults)
    if cfg.warm_start:
        earlier = warm_start.best(cfg.storage.url, cfg.warm_start)
        searched = space.begin_with(searched, earlier, defaults)
    return Plan(cfg, table, split, searched, models.way_of_training(cfg.model))
