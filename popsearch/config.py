"""The typed schema of a study's configuration, and the faults found in one.

Hydra composes ``conf/`` into plain values; this module checks them. pydantic reports every
fault of a configuration at once, where Hydra's own structured configs stop at the first.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from popsearch.errors import ConfigError
from popsearch.faults import hide_secrets, tell

Scalar = bool | int | float | str | None
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: frozen, no unknown keys, no silent conversion."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class When(Section):
    """The condition under which a conditional parameter exists."""

    param: str
    equals: Scalar


class _Range(Section):
    log: bool = False
    when: When | None = None

    @model_validator(mode="after")
    def _bounds(self) -> "_Range":
        low, high, step = (getattr(self, name) for name in ("low", "high", "step"))
        if low > high:
            raise ValueError(f"low must not be above high, but got low={low}, high={high}")
        if self.log and low <= 0:
            raise ValueError(f"low must be above 0 where log is true, but got low={low}")
        if self.log and step not in (None, 1):
            raise ValueError(f"step cannot be combined with log, but got step={step}")
        if step is not None and step <= 0:
            raise ValueError(f"step must be above 0, but got step={step}")
        return self


class FloatParam(_Range):
    """A real number between low and high, both included."""

    type: Literal["float"]
    low: float
    high: float
    step: float | None = None


class IntParam(_Range):
    """A whole number between low and high, both included."""

    type: Literal["int"]
    low: int
    high: int
    step: int = 1


class CategoricalParam(Section):
    """One of a list of values."""

    type: Literal["categorical"]
    choices: Annotated[list[Scalar], Field(min_length=1)]
    when: When | None = None

    @model_validator(mode="after")
    def _different(self) -> "CategoricalParam":
        # Equal values of two types (1 and true) would be one choice to Optuna.
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(f"choices must differ from one another, but got {self.choices}")
        return self


Param = Annotated[Union[FloatParam, IntParam, CategoricalParam], Field(discriminator="type")]


class RowSteps(Section):
    """Steps of a model that is fitted once: each on a larger share of the training rows."""

    kind: Literal["rows"]
    fractions: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _rising(self) -> "RowSteps":
        if sorted(set(self.fractions)) != self.fractions or self.fractions[-1] != 1:
            raise ValueError(f"fractions must rise and end with 1, but got {self.fractions}")
        return self


class StageSteps(Section):
    """Steps of a model that grows: ``every`` more stages each, up to ``budget``.

    ``param`` is the estimator's name for their number; ``patience`` is how many steps
    without a better validation score end the training.
    """

    kind: Literal["stages"]
    param: str
    budget: Count
    every: Count
    patience: Count | None


Steps = Annotated[Union[RowSteps, StageSteps], Field(discriminator="kind")]


class ModelConfig(Section):
    """A model family: the estimator, how it trains, and what is searched."""

    name: Annotated[str, Field(pattern=r"^\w+$")]
    estimator: str
    training: str
    steps: Steps
    scaler: Literal["none", "minmax"]
    fixed: dict[str, Scalar] = {}
    space: dict[str, Param] = {}
    known_good: list[dict[str, Scalar]] = []


class DemoData(Section):
    """The embedded synthetic table."""

    source: Literal["demo"]
    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    rows: Annotated[int, Field(ge=100, le=10_000_000)]
    seed: Annotated[int, Field(ge=0)]


class TracksData(Section):
    """The Kaggle table of Spotify tracks, from a file."""

    source: Literal["tracks"]
    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    path: str | None


class SplitConfig(Section):
    """Shares of the rows: test of all, validation of what is left."""

    test_size: Share
    val_size: Share
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class FeaturesConfig(Section):
    """Which columns of the table the model sees, in order."""

    # scikit-learn takes no name with two underscores in a row.
    name: Annotated[str, Field(pattern=r"^[^\W_]+(_[^\W_]+)*$")]
    columns: Annotated[list[str], Field(min_length=1)]


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


class StorageConfig(Section):
    """Where the study lives."""

    name: str
    url: str

    @field_validator("url")
    @classmethod
    def _sqlite(cls, url: str) -> str:
        if not url.startswith("sqlite:///") or url == "sqlite:///":
            raise ValueError(
                f"must be a file, as in sqlite:///optuna.db, but got {hide_secrets(url)!r}"
            )
        return url


class MlflowTracking(Section):
    """Runs and curves go to MLflow."""

    name: Literal["mlflow"]
    uri: str


class NoTracking(Section):
    """Nothing is tracked."""

    name: Literal["none"]


Data = Annotated[Union[DemoData, TracksData], Field(discriminator="source")]
Sampler = Annotated[
    Union[TpeSampler, CmaesSampler, GpSampler, QmcSampler, RandomSampler, GridSampler],
    Field(discriminator="name"),
]
Pruner = Annotated[
    Union[NoPruner, MedianPruner, HalvingPruner, HyperbandPruner], Field(discriminator="name")
]
Tracking = Annotated[Union[MlflowTracking, NoTracking], Field(discriminator="name")]


class Config(Section):
    """All that defines one study."""

    n_trials: Count
    timeout: Annotated[float, Field(gt=0)] | None
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: Data
    split: SplitConfig
    features: FeaturesConfig
    model: ModelConfig
    sampler: Sampler
    pruner: Pruner
    storage: StorageConfig
    tracking: Tracking


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
