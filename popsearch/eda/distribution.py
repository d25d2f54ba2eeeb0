"""How the cells of a column are distributed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from popsearch.data.table import Kind
from popsearch.eda.cells import Categories, Cells

N_BINS = 40
N_VALUES = 24  # numbers with no more different ones are counted one by one
N_TOP = 8  # categories that are named
CENTRE = (0.005, 0.995)  # what a histogram shows where few values stretch it
STRETCHED = 3.0
LARGEST_WHOLE = 1e9


@dataclass(frozen=True)
class Histogram:
    """Counts of numbers between edges, (n_bins,) and (n_bins + 1,).

    Parameters
    ----------
    n_beyond
        Numbers outside the edges, which a few far ones would have stretched.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.intp]
    n_beyond: int


@dataclass(frozen=True)
class Bars:
    """Counts of single values: numbers in order, or the most frequent categories.

    Parameters
    ----------
    n_other
        Cells with any other value.
    """

    names: Sequence[str]
    counts: NDArray[np.intp]
    n_other: int = 0


@dataclass(frozen=True)
class Summary:
    """Of numbers: moments and quartiles."""

    mean: float
    std: float
    minimum: float
    q25: float
    median: float
    q75: float
    maximum: float


def of(cells: Cells, kind: Kind) -> Histogram | Bars | None:
    """Give the distribution of what is there; none of a column without values."""
    if isinstance(cells, Categories):
        return top(cells)
    values = cells.values[~np.isnan(cells.values)]
    if not len(values):
        return None
    if kind == "boolean":
        n_true = int(np.count_nonzero(values))
        return Bars(["no", "yes"], np.array([len(values) - n_true, n_true]))
    if (distinct := few_values(values)) is not None:
        counts = np.bincount(np.searchsorted(distinct, values), minlength=len(distinct))
        return Bars([f"{value:g}" for value in distinct], counts)
    return _histogram(values)


def few_values(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Give the different numbers in order, where they are few and stand in several rows each."""
    if len(np.unique(values[:1000])) > N_VALUES:  # which is known soon of most columns
        return None
    distinct = np.unique(values)
    return distinct if len(distinct) <= min(N_VALUES, len(values) / 2) else None


def top(categories: Categories, n: int = N_TOP) -> Bars | None:
    """Give the most frequent categories, the first of equal ones first."""
    filled = categories.codes[categories.codes >= 0]
    counts = np.bincount(filled, minlength=len(categories.names))
    order = np.argsort(-counts, kind="stable")[:n]
    if not len(order):
        return None
    shown = counts[order]
    return Bars([categories.names[i] for i in order], shown, len(filled) - int(shown.sum()))


def summary(values: NDArray[np.float64]) -> Summary | None:
    """Give what is told of numbers; none where all are missing."""
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, q25, median, q75, high = map(float, np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    largest = max(abs(low), abs(high)) or 1.0
    scaled = values / largest  # squares of large numbers would be infinite
    std = float(scaled.std(ddof=1)) * largest if len(values) > 1 else 0.0
    return Summary(float(scaled.mean()) * largest, std, low, q25, median, q75, high)


def _histogram(values: NDArray[np.float64]) -> Histogram:
    low, high = float(values.min()), float(values.max())
    inner = np.quantile(values, CENTRE)
    if high - low > STRETCHED * (inner[1] - inner[0]) > 0:
        low, high = map(float, inner)
    edges = _edges(low, high, whole=bool(np.all(values == np.rint(values))))
    # Bins of one width are counted three times as quickly where only their number is given.
    bins = edges if len(edges) < 3 else len(edges) - 1
    counts, edges = np.histogram(values, bins, (edges[0], edges[-1]))
    return Histogram(edges, counts, len(values) - int(counts.sum()))


def _edges(low: float, high: float, whole: bool) -> NDArray[np.float64]:
    """Give edges from low to high; between whole numbers as many to each bin, or it would comb."""
    if whole and 1 <= high - low < LARGEST_WHOLE:
        width = np.ceil((high - low + 1) / N_BINS)
        return np.arange(np.floor(low) - 0.5, high + width, width)
    with np.errstate(over="ignore"):
        edges = low * np.linspace(1, 0, N_BINS + 1) + high * np.linspace(0, 1, N_BINS + 1)
    edges[[0, -1]] = low, high
    if np.all(np.diff(edges) > 0):
        return edges
    # One value, or values too near to one another to be told apart.
    return np.array([np.nextafter(low, -np.inf), np.nextafter(high, np.inf)])
