"""What the deck says: its eight models with their figures, and the two that are wrong."""

from dataclasses import dataclass

N_ROWS = 586_672
SEED = 777


@dataclass(frozen=True)
class Figure:
    """One line of the deck.

    Parameters
    ----------
    name
        Of the corrected setting: ``conf/model/deck/NAME.yaml``, whose studies are of the family
        ``deck_NAME``.
    family
        That which is tuned beside it.
    mse, mae
        As the deck gives them, the errors of networks as read from a curve.
    seconds
        On the author's computer, the networks' on an RTX 2060.
    """

    name: str
    family: str
    model: str
    setting: str
    mse: float
    mae: float | None
    seconds: float

    @property
    def corrected(self) -> str:
        """The family of the corrected setting."""
        return f"deck_{self.name}"


_TREE = (451.4306, 14.3561)

DECK = (
    Figure("linear", "linear", "linear regression", "defaults", 212.3151, 11.2159, 0.1),
    Figure("lasso", "lasso", "lasso", "alpha 0.01", 212.4067, 11.2174, 0.2),
    Figure("ridge", "ridge", "ridge", "alpha 5", 212.3139, 11.2166, 0.7),
    Figure("decision_tree", "decision_tree", "decision tree", "entropy, depth 3", *_TREE, 2.1),
    Figure("random_forest", "random_forest", "random forest", "5 trees", *_TREE, 10.9),
    Figure("gbr", "gbr", "gradient boosting", "defaults", 185.0498, 10.3441, 55.5),
    Figure("network", "mlp", "network 128-64-32", "batch 128, 500 epochs", 183.96, None, 1776.1),
    Figure(
        "network_batch_norm", "mlp", "network 64-64 BatchNorm", "batch 128, 300 epochs",
        175.61, None, 2109.7,
    ),
)  # fmt: skip
"""In the deck's order; numbered from 1."""

MISTAKES = (
    "4 is a classifier: to it each popularity is a class by itself, a miss by 1 as bad as one by "
    "50, and it answers with a frequent one.",
    "5 is 4 scored again: the notebook asked the tree for the forest's predictions, and never "
    "scored the forest.",
)
"""A sentence for each of the two figures that are wrong."""
