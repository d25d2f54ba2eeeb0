"""The typed schema of a study's configuration, and the faults found in one.

Hydra composes ``conf/`` into plain values; this module checks them. pydantic reports every
fault of a configuration at once, where Hydra's own structured configs stop at the first.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from pydantic import (
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from popsearch import postgres, sqlite
from popsearch.errors import ConfigError
from popsearch.family import ModelConfig
from popsearch.faults import hide_secrets, tell
from popsearch.section import Count, Name, Section, Seed
from popsearch.source import Data
from popsearch.splitting import SplitConfig


class FeaturesConfig(Section):
    """Which columns of the table the model sees, in order; null is all that can be features.

    A categorical column with more than ``one_hot_up_to`` values is target-encoded.
    """

    name: str
    columns: Annotated[list[Name], Field(min_length=1)] | None
    one_hot_up_to: Annotated[int, Field(ge=0)]


class TpeSampler(Section):
    """Tree-structured Parzen estimator."""

    name: Literal["tpe"]
    n_startup_trials: Annotated[int, Field(ge=0)]
    multivariate: bool


class CmaesSampler(Section):
    """Covariance matrix adaptation."""

    name: Literal["cmaes"]
    n_startup_trials: Annotated[int, Field(ge=0)]


class GpSampler(Section):
    """Gaussian process; needs PyTorch."""

    name: Literal["gp"]
    n_startup_trials: Annotated[int, Field(ge=0)]


class QmcSampler(Section):
    """Quasi-Monte Carlo sequence."""

    name: Literal["qmc"]
    qmc_type: Literal["sobol", "halton"]


class RandomSampler(Section):
    """Independent uniform draws."""

    name: Literal["random"]


class GridSampler(Section):
    """Every combination, ranges cut into ``n_points`` values."""

    name: Literal["grid"]
    n_points: Annotated[int, Field(ge=2)]


class NoPruner(Section):
    """Every trial runs to its end."""

    name: Literal["none"]


class MedianPruner(Section):
    """Stops a trial that is worse than the median of the earlier ones at the same step.

    ``warmup`` is the share of a trial's steps in which nothing is pruned: a low learning rate
    starts slowly and may win.
    """

    name: Literal["median"]
    n_startup_trials: Annotated[int, Field(ge=0)]
    warmup: Annotated[float, Field(ge=0, le=1)]


class CurvePruner(Section):
    """Stops a trial whose curve, drawn on to its end, stays above the best.

    Nothing is pruned before ``first`` steps; ``factor`` times the fall that the curve promises may
    come. Of ``n_begun`` trials that are proposed at random the most promising is brought to its end
    first. That is for stages. Rungs of rows, folds, and epochs after a share of ``warmup`` are
    compared with the median of earlier trials, when ``n_startup_trials`` of them are complete.
    """

    name: Literal["curve"]
    first: Annotated[int, Field(ge=3)]
    factor: Annotated[float, Field(gt=0)]
    n_begun: Count
    n_startup_trials: Annotated[int, Field(ge=0)]
    warmup: Annotated[float, Field(ge=0, le=1)]


class HalvingPruner(Section):
    """Keeps one in ``reduction_factor`` trials at each rung."""

    name: Literal["successive_halving"]
    min_resource: Count
    reduction_factor: Annotated[int, Field(ge=2)]


class HyperbandPruner(Section):
    """Successive halving in several brackets."""

    name: Literal["hyperband"]
    min_resource: Count
    reduction_factor: Annotated[int, Field(ge=2)]


def _postgres_url(url: Any) -> Any:
    if isinstance(url, str) and url.startswith(postgres.PREFIX):
        return url
    came = "nothing" if url is None else repr(hide_secrets(str(url)))
    raise ValueError(
        f"must be a database, as in postgresql://USER:PASSWORD@HOST/DATABASE, but got {came}; "
        "set the environment variable POPSEARCH_STORAGE_URL to its address"
    )


class SqliteStorage(Section):
    """The study lives in a file."""

    name: Literal["sqlite"]
    url: str

    @field_validator("url")
    @classmethod
    def _file(cls, url: str) -> str:
        if not url.startswith(sqlite.PREFIX) or url == sqlite.PREFIX:
            raise ValueError(
                f"must be a file, as in sqlite:///optuna.db, but got {hide_secrets(url)!r}"
                + ("; give storage=postgres" if url.startswith("postgres") else "")
            )
        return url


class PostgresStorage(Section):
    """The study lives in a PostgreSQL database, which several computers may share.

    A worker says every ``heartbeat_s`` seconds that it lives; after ``grace_s`` without that its
    trials are tried again. Workers wait ``wait_s`` seconds for a database that does not answer.
    """

    name: Literal["postgres"]
    url: Annotated[str, PlainValidator(_postgres_url)]
    heartbeat_s: Count
    grace_s: Count
    wait_s: Annotated[float, Field(ge=0)]


class LocalExecutor(Section):
    """Workers are processes of this computer."""

    name: Literal["local"]


class RayExecutor(Section):
    """Workers are tasks on a Ray cluster, which plans with what each needs."""

    name: Literal["ray"]
    address: Name
    num_cpus: Annotated[float, Field(gt=0)]
    num_gpus: Annotated[float, Field(ge=0)]


class MlflowTracking(Section):
    """Runs and curves go to MLflow: a file here, unless another address is given.

    With ``system_metrics`` a study's run shows what the computer does meanwhile.
    """

    name: Literal["mlflow"]
    uri: str
    system_metrics: bool = True


class ServerTracking(Section):
    """Runs and curves go to an MLflow server."""

    name: Literal["server"]
    uri: str
    system_metrics: bool = True

    @field_validator("uri", mode="before")
    @classmethod
    def _http(cls, uri: Any) -> Any:
        if not str(uri).startswith(("http://", "https://")):
            raise ValueError(
                "must be the address of a server, http://HOST:PORT or https://HOST, but got "
                f"{'none' if uri is None else repr(hide_secrets(str(uri)))}; give tracking.uri=... "
                "or set the environment variable MLFLOW_TRACKING_URI"
            )
        return uri


class NoTracking(Section):
    """Nothing is tracked."""

    name: Literal["none"]


StorageConfig = Annotated[Union[SqliteStorage, PostgresStorage], Field(discriminator="name")]
Sampler = Annotated[
    Union[TpeSampler, CmaesSampler, GpSampler, QmcSampler, RandomSampler, GridSampler],
    Field(discriminator="name"),
]
Pruner = Annotated[
    Union[NoPruner, CurvePruner, MedianPruner, HalvingPruner, HyperbandPruner],
    Field(discriminator="name"),
]
Executor = Annotated[Union[LocalExecutor, RayExecutor], Field(discriminator="name")]
Tracking = Annotated[Union[MlflowTracking, ServerTracking, NoTracking], Field(discriminator="name")]


class DeckConfig(Section):
    """The notebook that the project began with is done again after a sweep, as a comparison.

    Its two networks are trained for ``max_epochs`` epochs at most.
    """

    max_epochs: Count | None


Objective = Literal["val_mse", "predict_s"]


class Config(Section):
    """All that defines one study."""

    n_trials: Count
    workers: Count
    timeout: Annotated[float, Field(gt=0)] | None
    objectives: Annotated[list[Objective], Field(min_length=1)]
    patience: Count | None
    min_improvement: Annotated[float, Field(ge=0, lt=1)]
    trial_timeout: Annotated[float, Field(gt=0)] | None
    max_failures: Count | None
    warm_start: str | None
    seed: Seed
    ensemble: bool
    leak_r2: Annotated[float, Field(gt=0, le=1)]
    report: bool
    data: Data
    split: SplitConfig
    features: FeaturesConfig
    model: ModelConfig
    sampler: Sampler
    pruner: Pruner
    storage: StorageConfig
    executor: Executor
    tracking: Tracking
    deck: DeckConfig | None

    @field_validator("objectives")
    @classmethod
    def _val_mse_first(cls, objectives: list[str]) -> list[str]:
        if objectives[0] != "val_mse" or len(set(objectives)) < len(objectives):
            raise ValueError(
                f"must be [val_mse] or [val_mse,predict_s], but got {objectives}".replace("'", "")
            )
        return objectives


def read(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Give the sections that hold, whatever the others do, and what is wrong with those.

    Returns
    -------
    The checked sections by name, and one line for every key that does not hold.
    """
    try:
        return dict(Config.model_validate(dict(values))), {}
    except ValidationError as error:
        faults = tell(error.errors(), values, Config)
    wrong = {where.partition(".")[0] for where in faults}
    sections = {}
    for name, field in Config.model_fields.items():
        if name not in wrong:
            section: Any = Annotated[field.annotation, field]
            sections[name] = TypeAdapter(section).validate_python(values[name])
    return sections, faults


def parse(values: Mapping[str, Any]) -> Config:
    """Give the checked configuration.

    Raises
    ------
    ConfigError
        With one line for every value that does not hold.
    """
    sections, faults = read(values)
    if faults:
        raise ConfigError(*faults.values())
    return Config(**sections)
