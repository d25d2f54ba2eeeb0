"""The training contract: what every way of training a model offers to the search."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from popsearch.family import ModelConfig
from popsearch.space import Params

N_PREDICTED = 5  # times; a machine is disturbed now and then

StepsKind = Literal["rows", "stages", "epochs"]


class TrainingDied(RuntimeError):
    """The process that trains ended without a word; what it trained can be tried again."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What a trial may see: matrices (n_rows, n_features) and targets (n_rows,)."""

    X_train: NDArray[np.float64]
    y_train: NDArray[np.float64]
    X_val: NDArray[np.float64]
    y_val: NDArray[np.float64]


class Scores(NamedTuple):
    """Errors of every member after a step, each of shape (n_members,).

    Parameters
    ----------
    refit
        How much of the resource a refit of the member as it is now takes.
    """

    refit: NDArray[np.intp]
    train_mse: NDArray[np.float64]
    train_mae: NDArray[np.float64]
    val_mse: NDArray[np.float64]
    val_mae: NDArray[np.float64]


class Training(Protocol):
    """A set of members (parameter sets) advanced together, one step at a time.

    What trains does not know that it is being searched: whether a member is worth going on
    with is decided outside.
    """

    @property
    def keeps_best(self) -> bool:
        """Whether every step is a model of its own, so that the best one is kept.

        It is not where an earlier step is only a cheaper look at the last.
        """
        ...

    resources: Sequence[int]
    """What a member has used after each step: stages, trees, epochs, rows or folds."""

    def advance(self) -> Scores:
        """Train every live member by one step and score it."""
        ...

    def drop(self, members: Iterable[int]) -> None:
        """Stop training these: pruned, or done."""
        ...

    def val_residuals(self, member: int, step: int) -> NDArray[np.float32]:
        """Give the target of every validation row less what a member that ended predicts for it.

        As it was after a step (counted from 0); where all steps are too large to be kept, only the
        best so far is there.
        """
        ...

    def predict_s(self, member: int, step: int) -> float:
        """Give the seconds in which a member that ended predicts the validation rows."""
        ...


@dataclass(frozen=True)
class Machine:
    """What a family trains on.

    Parameters
    ----------
    device
        For people; empty where it is nothing but this computer's processor.
    n_siblings
        How many members it trains at the cost of little more than one, if they share a program.
    compile_s
        Seconds that this process has spent on compiling so far.
    packages
        What a stored model needs beside scikit-learn.
    """

    device: str = ""
    n_siblings: int = 1
    compile_s: float = 0.0
    packages: tuple[str, ...] = ()


class WayOfTraining(Training, Protocol):
    """How a family trains on one set of rows, and how its winner is fitted again.

    Parameters
    ----------
    model
        The family: estimator, fixed values and steps.
    members
        One parameter set each.
    rows
        Training and validation rows.
    prunable
        False where no member will be dropped for being weak, so that steps which only serve
        that decision can be left out.
    """

    keeps_best: ClassVar[bool]

    steps_kind: ClassVar[StepsKind]
    """The kind of steps, as ``model.steps.kind`` names it."""

    def __init__(
        self, model: ModelConfig, members: Sequence[Params], rows: Rows, prunable: bool = True
    ) -> None: ...

    structure: ClassVar[frozenset[str]]
    """Parameters in which members must agree to be trained by one program."""

    def model(self, member: int, step: int) -> Any:
        """Give the fitted model of a member as it was after a step (counted from 0).

        Where all steps are too large to be kept, only the best so far is there.
        """
        ...

    @classmethod
    def faults(cls, model: ModelConfig) -> list[str]:
        """Give what of the configuration this way of training cannot do."""
        ...

    @classmethod
    def machine(cls, model: ModelConfig) -> Machine:
        """Give what this family trains on."""
        ...

    @classmethod
    def n_side_by_side(cls, model: ModelConfig, n_features: int) -> int:
        """Give how many members are best trained at once."""
        ...

    @classmethod
    def memory_mib(cls, model: ModelConfig, params: Params, rows: Rows) -> tuple[float, float]:
        """Give the least that one member takes, as far as that can be told, and what is free."""
        ...

    @classmethod
    def refit(
        cls,
        model: ModelConfig,
        params: Params,
        resource: int,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> Any:
        """Give an ordinary estimator, fitted on all of these rows with this much resource."""
        ...


def score(
    rows: Rows,
    refit: int,
    train_prediction: NDArray[np.float64],
    val_prediction: NDArray[np.float64],
) -> Scores:
    """Give the errors of one member from its predictions, each of shape (1,)."""
    train, val = rows.y_train - train_prediction, rows.y_val - val_prediction
    return Scores(
        refit=np.array([refit]),
        train_mse=np.array([mse(train)]),
        train_mae=np.array([np.abs(train).mean()]),
        val_mse=np.array([mse(val)]),
        val_mae=np.array([np.abs(val).mean()]),
    )


def residuals(rows: Rows, fitted: Any) -> NDArray[np.float32]:
    """Give the validation targets less what a fitted model predicts, (n_rows,)."""
    prediction = np.asarray(fitted.predict(rows.X_val), dtype=np.float64)
    return (rows.y_val - prediction).astype(np.float32)


def mse(residuals: ArrayLike) -> float:
    """Give the mean of the squares."""
    # Not a dot product: that wakes BLAS's threads, which then spin beside the model's own.
    return float(np.square(residuals).mean())


def predict_s(rows: Rows, fitted: Any) -> float:
    """Give the seconds in which a fitted model predicts the validation rows, the least of some."""
    taken = []
    for _ in range(N_PREDICTED):
        started = time.perf_counter()
        fitted.predict(rows.X_val)
        taken.append(time.perf_counter() - started)
    return min(taken)


def free_mib() -> float:
    """Give the memory that is free on this computer."""
    import psutil

    return float(psutil.virtual_memory().available) / 2**20


class OneByOne:
    """What the ways have in common that train a set of one, on this computer's processor.

    They have their rows as ``_rows``.
    """

    structure: ClassVar[frozenset[str]] = frozenset()

    _rows: Rows

    if TYPE_CHECKING:

        def model(self, member: int, step: int) -> Any:
            """Give the fitted model."""

    def val_residuals(self, member: int, step: int) -> NDArray[np.float32]:
        """Give target less prediction of every validation row, after a step (counted from 0)."""
        return residuals(self._rows, self.model(member, step))

    def predict_s(self, member: int, step: int) -> float:
        """Give the seconds in which the model after a step predicts the validation rows."""
        return predict_s(self._rows, self.model(member, step))

    @classmethod
    def faults(cls, model: ModelConfig) -> list[str]:
        """Give what of the configuration this way of training cannot do."""
        if model.population in (1, "auto"):
            return []
        return [
            f"model.population must be 1 for {cls.__name__}, which trains one member at a time, "
            f"but got {model.population}"
        ]

    @classmethod
    def machine(cls, model: ModelConfig) -> Machine:
        """Give what this family trains on."""
        return Machine()

    @classmethod
    def n_side_by_side(cls, model: ModelConfig, n_features: int) -> int:
        """Give 1."""
        return 1

    @classmethod
    def memory_mib(cls, model: ModelConfig, params: Params, rows: Rows) -> tuple[float, float]:
        """Give 0 and what is free: most families take little beside their rows."""
        return 0.0, free_mib()
