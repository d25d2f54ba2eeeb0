"""The typed schema of ``conf/model``: a family, its search space and its steps."""

from typing import Annotated, Any, Literal, Union

from pydantic import Field, PlainValidator, model_validator

from popsearch.section import Count, Scalar, Section


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
    """Steps of a model that grows: ``every`` more stages or epochs each, up to ``budget``.

    ``param`` is the estimator's name for their number; ``patience`` is how many steps
    without a better validation score end the training.
    """

    kind: Literal["stages", "epochs"]
    param: str
    budget: Count
    every: Count
    patience: Count | None


Steps = Annotated[Union[RowSteps, StageSteps], Field(discriminator="kind")]


def _fixed(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    if all(part is None or isinstance(part, bool | int | float | str) for part in parts):
        return value
    raise ValueError(
        "must be a single value: a number, text, true, false or null; or a list of them, "
        f"but got {value!r}"
    )


def _population(value: Any) -> Any:
    if value == "auto" or (type(value) is int and value > 0):
        return value
    came = "null" if value is None else repr(value)
    raise ValueError(f"must be auto or a whole number above 0, but got {came}")


Scaler = Literal["none", "minmax", "standard", "quantile"]


class ModelConfig(Section):
    """A model family: the estimator, how it trains, and what is searched.

    ``missing`` says whether missing numbers are imputed, or passed on to a model that takes them.
    ``population`` is how many trials are trained side by side, and ``mean_of`` of how many of the
    best the mean is reported beside the winner. ``backend`` is Keras'.
    """

    name: Annotated[str, Field(pattern=r"^\w+$")]
    estimator: str
    training: str
    steps: Steps
    scaler: Scaler
    missing: Literal["impute", "pass"] = "impute"
    backend: Literal["tensorflow", "jax"] | None = None
    population: Annotated[int | Literal["auto"], PlainValidator(_population)] = 1
    mean_of: Annotated[int, Field(ge=0)] = 0
    fixed: dict[str, Annotated[Scalar | list[Scalar], PlainValidator(_fixed)]] = Field(
        default_factory=dict
    )
    space: dict[str, Param] = Field(default_factory=dict)
    known_good: list[dict[str, Scalar]] = Field(default_factory=list)
