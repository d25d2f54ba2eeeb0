"""Model families: the training contract and the ways of training behind it."""

from popsearch.family import ModelConfig
from popsearch.models import estimator
from popsearch.models.training import Rows, Scores, Training

__all__ = ["Rows", "Scores", "Training", "estimator", "way_of_training"]


def way_of_training(model: ModelConfig) -> type[Training]:
    """Give the class that trains this family.

    Raises
    ------
    ConfigError
        If there is no such class.
    """
    return estimator.find(model.training, "model.training")
