"""Whether a mix is better than the best single model, on rows that chose neither of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from popsearch import intervals
from popsearch.ensemble.selection import mixed, select
from popsearch.models.training import mse

SEED = 777
MIN_UNITS = 50  # rows, or groups of rows; of fewer a bootstrap tells little

Groups = NDArray[np.intp] | None
"""Number of each row's group, (n_rows,), where rows belong together."""


@dataclass(frozen=True)
class Verdict:
    """Mixes that were selected on one half of the validation rows, judged on the other half.

    Parameters
    ----------
    singles
        Places of the models that are best on each half, and are judged on the other one as well.
    mix_mse, single_mse
        On all rows, each of them scored by what the other half chose.
    gain_low, gain_high
        A 95 % interval of what the mix errs less, paired by row.
    """

    singles: tuple[int, int]
    n_rows: int
    mix_mse: float
    single_mse: float
    gain_low: float
    gain_high: float

    @property
    def mix_wins(self) -> bool:
        """Whether it is better by more than noise."""
        return self.gain_low > 0


def judge(residuals: NDArray[np.floating], groups: Groups = None) -> Verdict:
    """Let each half of the rows choose a mix and a single model, and compare on the other half.

    Both are chosen by the same rows, so that neither knows those on which they meet (two-fold
    cross-validation of the choice).

    Parameters
    ----------
    residuals
        Of each model on the validation rows, (n_models, n_rows).
    groups
        A group is in one half.
    """
    n_rows = residuals.shape[1]
    first = half(n_rows, groups)
    mix, alone = np.empty(n_rows), np.empty(n_rows)
    singles = []
    for held_out in (~first, first):
        choosing, meeting = residuals[:, ~held_out], residuals[:, held_out]
        singles.append(int(np.argmin([mse(own.astype(np.float64)) for own in choosing])))
        mix[held_out] = mixed(select(choosing), meeting)
        alone[held_out] = meeting[singles[-1]]
    low, high = intervals.of_difference(mix, alone, groups)
    return Verdict((singles[0], singles[1]), n_rows, mse(mix), mse(alone), low, high)


def half(n_rows: int, groups: Groups = None) -> NDArray[np.bool_]:
    """Mark half of the rows, or those of half of the groups: always the same ones."""
    units = np.arange(n_rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    n = n_units(n_rows, groups)
    marked: NDArray[np.bool_] = (np.random.default_rng(SEED).permutation(n) < n / 2)[units]
    return marked


def n_units(n_rows: int, groups: Groups = None) -> int:
    """Give how many rows there are, or groups of rows."""
    return n_rows if groups is None else len(np.unique(groups))
