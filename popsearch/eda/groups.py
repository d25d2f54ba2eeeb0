"""Rows put into groups by a column, and the target in each group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from popsearch.data.table import Kind
from popsearch.eda import distribution
from popsearch.eda.cells import Categories, Cells

N_BINS = 20
N_CATEGORIES = 10  # the most frequent ones, which are told apart
OTHERS, MISSING = "(others)", "(missing)"


@dataclass(frozen=True)
class Groups:
    """Which group each row is in.

    Parameters
    ----------
    codes
        One for each row: places in ``names``.
    names
        Of the groups; of bins the middle of their numbers.
    at
        Where bins of numbers stand on an axis, NaN for missing ones; none of categories.
    """

    codes: NDArray[np.intp]
    names: Sequence[str]
    at: NDArray[np.float64] | None


@dataclass(frozen=True)
class TargetByGroup:
    """The target in each group: number of rows, mean and quartiles; NaN in an empty one."""

    names: Sequence[str]
    at: NDArray[np.float64] | None
    n: NDArray[np.intp]
    mean: NDArray[np.float64]
    q25: NDArray[np.float64]
    q75: NDArray[np.float64]


def of(cells: Cells, kind: Kind) -> Groups:
    """Give the rows in groups as they are shown: values or bins in order, or categories."""
    if isinstance(cells, Categories):
        return most_frequent(cells)
    values = cells.values
    missing = np.isnan(values)
    filled = values[~missing]
    distinct = distribution.few_values(filled) if len(filled) else filled
    if distinct is None:
        codes, at = _bins(values, filled)
    else:
        codes, at = np.searchsorted(distinct, values), distinct
    if missing.any():
        codes = np.where(missing, len(at), codes)
        at = np.append(at, np.nan)
    named = {0.0: "no", 1.0: "yes"} if kind == "boolean" else {}
    names = [MISSING if np.isnan(v) else named.get(v, f"{v:g}") for v in at]
    return Groups(codes, names, None if kind == "boolean" else at)


def finest(cells: Cells) -> NDArray[np.intp]:
    """Give a code for the group of each row, with every category by itself."""
    if isinstance(cells, Categories):
        return np.where(cells.codes < 0, len(cells.names), cells.codes)
    return of(cells, "numeric").codes


def target_by(groups: Groups, y: NDArray[np.float64]) -> TargetByGroup:
    """Give what the target is in each group.

    Parameters
    ----------
    y
        One value for each code.
    """
    n_groups = len(groups.names)
    n = np.bincount(groups.codes, minlength=n_groups)
    filled = n > 0
    mean = np.full(n_groups, np.nan)
    mean[filled] = np.bincount(groups.codes, y, minlength=n_groups)[filled] / n[filled]
    ordered = y[np.lexsort((y, groups.codes))]
    first = np.cumsum(n) - n

    def quantile(share: float) -> NDArray[np.float64]:
        """Interpolate between the two nearest, as ``numpy.quantile`` does."""
        found = np.full(n_groups, np.nan)
        place = share * (n[filled] - 1)
        below = np.floor(place).astype(np.intp)
        above = np.minimum(below + 1, n[filled] - 1)
        low, high = ordered[first[filled] + below], ordered[first[filled] + above]
        found[filled] = low + (high - low) * (place - below)
        return found

    return TargetByGroup(groups.names, groups.at, n, mean, quantile(0.25), quantile(0.75))


def _bins(
    values: NDArray[np.float64], filled: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Give bins with about as many rows each, none of them empty, and the median of each."""
    edges = np.unique(np.quantile(filled, np.linspace(0, 1, N_BINS + 1)))
    used, own = np.unique(np.searchsorted(edges[1:-1], filled), return_inverse=True)
    at = np.array([np.median(filled[own == code]) for code in range(len(used))])
    codes = np.zeros(len(values), np.intp)
    codes[~np.isnan(values)] = own
    return codes, at


def most_frequent(cells: Categories) -> Groups:
    """Give the rows by their category, those of rare ones together."""
    counts = np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.names))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    # One that would stand for a single category is named as that.
    shown = order if len(order) <= N_CATEGORIES + 1 else order[:N_CATEGORIES]
    place = np.full(len(cells.names) + 1, len(shown))  # the last is that of code -1
    place[shown] = np.arange(len(shown))
    place[-1] = len(shown) + (len(order) > len(shown))
    names = [cells.names[i] for i in shown]
    names += [OTHERS] if len(order) > len(shown) else []
    codes = place[cells.codes]
    names += [MISSING] if (cells.codes < 0).any() else []
    return Groups(codes, names, None)


