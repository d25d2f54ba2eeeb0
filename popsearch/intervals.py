"""How far scores may be from what they are by the luck of the rows: 95 % bootstrap intervals."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 2000
MOST_GROUPS = 4096
CHUNK = 250  # resamples at once: 8 MiB of weights
LEVELS = (0.025, 0.975)
SEED = 777

Columns = NDArray[np.float64]


class Interval(NamedTuple):
    """The bounds of a 95 % interval."""

    low: float
    high: float


class Intervals(NamedTuple):
    """Those of a model's scores; without R² where the targets do not vary."""

    mse: Interval
    mae: Interval
    r2: Interval | None


def of_scores(residuals: NDArray[np.float64], y: NDArray[np.float64]) -> Intervals:
    """Give the percentile bootstrap intervals of MSE, MAE and R² (Efron and Tibshirani, 1993).

    Rows are drawn with replacement (doi:10.1201/9780429246593). More than ``MOST_GROUPS`` are first
    put into so many groups of one size at random, and the groups are drawn: rows are exchangeable,
    so this has the same variance but for a share of ``sqrt(2 / MOST_GROUPS)``, which is less than
    what another set of resamples would change.

    Parameters
    ----------
    residuals, y
        Of the same rows, (n_rows,).
    """
    centred = y - y.mean()
    means = _resampled([np.square(residuals), np.abs(residuals), centred, np.square(centred)])
    mse, mae, mean, square = means.T
    variance = square - np.square(mean)
    varies = variance > 0  # few rows may be drawn all alike
    r2 = _bounds(1 - mse[varies] / variance[varies]) if varies.any() and y.var() else None
    return Intervals(_bounds(mse), _bounds(mae), r2)


def of_difference(
    first: NDArray[np.floating],
    other: NDArray[np.floating],
    together: NDArray[np.intp] | None = None,
) -> Interval:
    """Give the interval of the other's MSE less the first one's, paired by row.

    Parameters
    ----------
    first, other
        Residuals on the same rows, (n_rows,). Where the interval holds 0 they differ by no more
        than noise.
    together
        A number for each row, (n_rows,): rows with the same one are drawn together, for they err
        alike.
    """
    squares = [np.square(each.astype(np.float64)) for each in (first, other)]
    return _bounds(_resampled([squares[1] - squares[0]], together)[:, 0])


def _resampled(columns: list[Columns], together: NDArray[np.intp] | None = None) -> Columns:
    """Give the means of each column in each resample, (``N_RESAMPLES``, n_columns)."""
    rng, n_rows = np.random.default_rng(SEED), len(columns[0])
    units = np.arange(n_rows) if together is None else np.unique(together, return_inverse=True)[1]
    n_units = int(units.max()) + 1
    n_groups = min(n_units, MOST_GROUPS)
    parts_of = np.arange(n_units) if n_groups == n_units else rng.permutation(n_units) % n_groups
    groups = parts_of[units]
    sizes = np.bincount(groups).astype(np.float64)
    sums = np.stack([np.bincount(groups, column) for column in columns], axis=1)
    parts = [(w @ sums) / (w @ sizes)[:, None] for w in _weights(rng, n_groups)]
    return np.concatenate(parts)


def _weights(rng: np.random.Generator, n_groups: int) -> Iterator[Columns]:
    """Give how often each group is drawn in each resample, some resamples at a time."""
    for start in range(0, N_RESAMPLES, CHUNK):
        n = min(CHUNK, N_RESAMPLES - start)
        drawn = rng.integers(0, n_groups, (n, n_groups))
        drawn += np.arange(n)[:, None] * n_groups
        counts = np.bincount(drawn.ravel(), minlength=n * n_groups)
        yield counts.reshape(n, n_groups).astype(np.float64)


def _bounds(values: Columns) -> Interval:
    low, high = np.quantile(values, LEVELS)
    return Interval(float(low), float(high))
