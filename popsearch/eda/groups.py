"""Rows put into groups by a column, and the target in each group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from popsearch.data.table import Kind
from popsearch.eda import distribution
from popsearch.eda.cells import Categories, Cells

N_BINS = 20
QUARTILES = 0.25, 0.75
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


def target_by(groups: Groups, y: NDArray[np.float64]) -> TargetByGroup:
    """Give what the target is in each group.

    Parameters
    ----------
    y
        One value for each code.
    """
    n = np.bincount(groups.codes, minlength=len(groups.names))
    # Few different codes are sorted in one pass where they are small.
    ordered = y[np.argsort(groups.codes.astype(np.int16), kind="stable")]
    found = np.full((3, len(n)), np.nan)
    for i, part in enumerate(np.split(ordered, np.cumsum(n)[:-1])):
        if len(part):
            found[:, i] = part.mean(), *np.quantile(part, QUARTILES)
    return TargetByGroup(groups.names, groups.at, n, *found)


def _bins(
    values: NDArray[np.float64], filled: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Give the bin of each value, and the median of each bin.

    They have about as many rows each; a value that would fill a bin has one of its own.
    """
    ordered = np.sort(filled)
    edges = np.quantile(ordered, np.linspace(0, 1, N_BINS + 1))
    frequent = edges[1:][edges[1:] == edges[:-1]]
    edges = np.unique([*edges, *np.nextafter(frequent, -np.inf)])
    own = np.searchsorted(edges[1:-1], filled)
    n = np.bincount(own)
    used = n > 0
    own = (np.cumsum(used) - 1)[own]
    parts = np.split(ordered, np.cumsum(n[used])[:-1])
    at = np.array([np.median(part) for part in parts])
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
