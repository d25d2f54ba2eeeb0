"""The table through time: rows, target and features by year, month or day."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from popsearch.eda import groups
from popsearch.eda.cells import DAY_US, Numbers

YEARS, MONTHS = 3 * 366, 4 * 31  # days from the first to the last for which these are taken
MOST_VALUES = 300
FEW_ROWS = 20
"""Rows below which a period has no mean to speak of, in a table of many rows."""


@dataclass(frozen=True)
class Periods:
    """Means by period.

    Parameters
    ----------
    by
        What a period is: a year, month or day of the column, or one of its numbers.
    at
        Where they stand on an axis, in order: numbers, or days since 1970 where ``dated``.
    n_rows
        In each.
    target
        In each, of the rows whose target may be looked at; quartiles too.
    features
        Means by name of the column.
    n_left_out
        Periods with too few rows to be shown, and how many are enough.
    """

    by: str
    dated: bool
    at: NDArray[np.float64]
    n_rows: NDArray[np.intp]
    target: groups.TargetByGroup
    features: Mapping[str, NDArray[np.float64]]
    n_left_out: int
    n_enough: int


def of(
    times: Numbers,
    column: str,
    is_date: bool,
    features: Mapping[str, Numbers],
    y: NDArray[np.float64],
    known: NDArray[np.intp],
) -> Periods | None:
    """Give the means by period; none where the column is all missing.

    Parameters
    ----------
    times
        Days since 1970 where ``is_date``, else numbers.
    y
        The target of all rows, of which only those of ``known`` are looked at.
    """
    values = times.values
    there = ~np.isnan(values)
    if not there.any():
        return None
    by, starts = _dates(values, column) if is_date else (column, _numbers(values))
    at, codes = np.unique(starts[there], return_inverse=True)
    rows = np.flatnonzero(there)
    place = np.full(len(values), -1)
    place[rows] = codes
    n_rows = np.bincount(codes, minlength=len(at))
    n_enough = FEW_ROWS if len(values) >= 100 * FEW_ROWS else 1
    shown = n_rows >= n_enough
    own = known[place[known] >= 0]
    named = groups.Groups(place[own], [f"{start:g}" for start in at], at)
    target = _few_blanked(groups.target_by(named, y[own]), n_enough)
    means = {name: _means(codes, each.values[rows], len(at)) for name, each in features.items()}
    means = {
        name: np.where(shown, mean, np.nan)
        for name, mean in means.items()
        if _varies(features[name].values[rows], mean[codes])
    }
    dated = is_date and not by.startswith("year")
    n_left_out = int(np.count_nonzero(~shown))
    return Periods(by, dated, at, n_rows, target, means, n_left_out, n_enough)


def _dates(days: NDArray[np.float64], column: str) -> tuple[str, NDArray[np.float64]]:
    """Give the year of each date, or the day that its month, or itself, begins with."""
    span = np.nanmax(days) - np.nanmin(days)
    dates = (np.nan_to_num(days) * DAY_US).astype(np.int64).astype("datetime64[us]")
    if span > YEARS:
        return f"year of {column}", dates.astype("datetime64[Y]").astype(np.float64) + 1970
    if span > MONTHS:
        months = dates.astype("datetime64[M]").astype("datetime64[D]")
        return f"month of {column}", months.astype(np.float64)
    whole: NDArray[np.float64] = np.floor(days)
    return f"day of {column}", whole


def _numbers(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the numbers themselves where they are few, else the middle of bins of one width."""
    filled = values[~np.isnan(values)]
    if len(np.unique(filled)) <= MOST_VALUES:
        return values
    edges = np.linspace(filled.min(), filled.max(), MOST_VALUES // 3 + 1)
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return (edges[bins] + edges[bins + 1]) / 2


def _means(codes: NDArray[np.intp], x: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    there = ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        sums = np.bincount(codes[there], x[there], minlength=n)
        return sums / np.where((own := np.bincount(codes[there], minlength=n)) > 0, own, np.nan)


def _varies(x: NDArray[np.float64], mean: NDArray[np.float64]) -> bool:
    """Tell whether there is more in a column than the period itself, as in the year by year."""
    there = ~np.isnan(x)
    return not np.array_equal(x[there], mean[there])


def _few_blanked(found: groups.TargetByGroup, n_enough: int) -> groups.TargetByGroup:
    few = found.n < n_enough
    mean, q25, q75 = (np.where(few, np.nan, each) for each in (found.mean, found.q25, found.q75))
    return groups.TargetByGroup(found.names, found.at, found.n, mean, q25, q75)
