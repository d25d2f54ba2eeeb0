"""Model families: the training contract and the ways of training behind it."""

from popsearch.family import ModelConfig
from popsearch.models import estimator
from popsearch.models.training import (
    Machine,
    Rows,
    Scores,
    Training,
    TrainingDied,
    WayOfTraining,
)

__all__ = [
    "Machine",
    "Rows",
    "Scores",
    "Training",
    "TrainingDied",
    "WayOfTraining",
    "estimator",
    "way_of_training",
]


def way_of_training(model: ModelConfig) -> type[WayOfTraining]:
    """Give the class that trains this family.

    Raises
    ------
    ConfigError
        If there is no such class.
    """
    found: type[WayOfTraining] = estimator.find(model.training, "model.training")
    return found
