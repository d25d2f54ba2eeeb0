"""Whether a mix is better than the best single model, on rows that chose neither of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from popsearch import intervals
from popsearch.ensemble.selection import mixed, select
from popsearch.models.training import mse

SEED = 777
MIN_HELD_OUT = 30  # rows; with fewer a bootstrap says little


@dataclass(frozen=True)
class Verdict:
    """A mix that was selected on one half of the validation rows, judged on the other half.

    Parameters
    ----------
    single
        The place of the model that is the best one on the half that selects.
    mix_mse, single_mse
        On the half that was held out.
    gain_low, gain_high
        A 95 % interval of what the mix errs less there, paired by row.
    """

    n_selecting: int
    n_held_out: int
    single: int
    mix_mse: float
    single_mse: float
    gain_low: float
    gain_high: float

    @property
    def mix_wins(self) -> bool:
        """Whether it is better by more than noise."""
        return self.gain_low > 0 and self.n_held_out >= MIN_HELD_OUT


def judge(residuals: NDArray[np.floating], groups: NDArray[np.intp] | None = None) -> Verdict:
    """Select on one half of the rows, and compare with the best single model on the other.

    Both are chosen on the same half, so that neither knows the rows on which they meet.

    Parameters
    ----------
    residuals
        Of each model on the validation rows, (n_models, n_rows).
    groups
        Number of each row's group, (n_rows,), where rows belong together: a group is on one side.
    """
    selecting = half(residuals.shape[1], groups)
    chooses, held_out = residuals[:, selecting], residuals[:, ~selecting]
    mix = mixed(select(chooses), held_out)
    single = int(np.argmin([mse(own.astype(np.float64)) for own in chooses]))
    alone = held_out[single].astype(np.float64)
    kept = None if groups is None else groups[~selecting]
    low, high = intervals.of_difference(mix, alone, kept)
    return Verdict(
        n_selecting=int(selecting.sum()),
        n_held_out=int((~selecting).sum()),
        single=single,
        mix_mse=mse(mix),
        single_mse=mse(alone),
        gain_low=low,
        gain_high=high,
    )


def half(n_rows: int, groups: NDArray[np.intp] | None = None) -> NDArray[np.bool_]:
    """Mark half of the rows, or those of half of the groups: always the same ones."""
    units = np.arange(n_rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(units.max()) + 1
    chosen = np.random.default_rng(SEED).permutation(n_units) < n_units / 2
    marked: NDArray[np.bool_] = chosen[units]
    return marked
