"""What a worker needs to train trials: made from the configuration, without a study."""

from typing import Protocol

from popsearch.models import Machine, Training, WayOfTraining
from popsearch.space import Params


class Trainer(Protocol):
    """What is needed to train a trial: made from the configuration, without a study."""

    @property
    def patience(self) -> int | None:
        """Steps without a better score that end a trial."""

    @property
    def fidelities(self) -> list[int]:
        """How much of the resource each step uses, in units of what the first one does."""

    @property
    def population(self) -> int:
        """How many trials are asked for and trained at once."""

    @property
    def most_begun(self) -> int:
        """How many trials may be begun together, to bring the most promising to its end first."""

    @property
    def first_look(self) -> int:
        """Steps that each of those takes before any goes on."""

    @property
    def n_workers(self) -> int:
        """How many processes share the trials that are begun together."""

    @property
    def machine(self) -> Machine:
        """What they train on."""

    @property
    def way(self) -> type[WayOfTraining]:
        """How they train."""

    @property
    def val_variance(self) -> float:
        """Variance of the validation targets."""

    @property
    def n_objectives(self) -> int:
        """How many scores a trial is to make small: the second is the time to predict."""

    @property
    def trial_timeout(self) -> float | None:
        """Seconds that a trial may train; of those side by side each its share."""

    def training(self, members: list[Params]) -> Training:
        """Give the training of these parameter sets."""
        ...

    def too_large(self, params: Params) -> str:
        """Tell why a trial would not fit into memory; nothing where it does or may."""
        ...
