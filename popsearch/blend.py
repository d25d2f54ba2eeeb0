"""Several fitted models that predict as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Blend:
    """The weighted mean of fitted pipelines, each of which takes the table's own columns.

    Parameters
    ----------
    members
        Fitted pipelines; the columns that they need may differ.
    weights
        One for each member; they add up to 1.
    """

    members: Sequence[Any]
    weights: Sequence[float]

    def predict(self, X: Any) -> "NDArray[np.float64]":
        """Give the weighted mean of all members' predictions, (n_rows,)."""
        each = [np.asarray(member.predict(X), dtype=np.float64) for member in self.members]
        return np.average(each, axis=0, weights=self.weights)
