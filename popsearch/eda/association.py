"""How strongly two columns go together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from popsearch.eda.cells import Categories, Cells, Numbers


def pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Give the linear correlation where both are there; none where one of them is constant."""
    missing = np.isnan(x) | np.isnan(y)
    if missing.any():
        x, y = x[~missing], y[~missing]
    a, b = _standardised(x), _standardised(y)
    if a is None or b is None:
        return None
    return float(np.clip(a @ b, -1, 1))


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Give the correlation of the ranks where both are there."""
    both = ~(np.isnan(x) | np.isnan(y))
    return pearson(ranks(x[both]), ranks(y[both]))


def ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the rank of each value, of equal ones their mean; NaN stays."""
    from scipy.stats import rankdata

    found = np.full(len(x), np.nan)
    filled = ~np.isnan(x)
    found[filled] = rankdata(x[filled])
    return found


def explained(codes: NDArray[np.intp], y: NDArray[np.float64]) -> float | None:
    """Give the share of the variance of ``y`` that the means of groups explain: epsilon squared.

    Adjusted for the number of groups, so that it is 0 on average where they mean nothing, and
    never below 0 (Kelley 1935, https://doi.org/10.1073/pnas.21.9.554).

    Parameters
    ----------
    codes
        The group of each value, none below 0.

    Returns
    -------
    None where nothing varies, or there are as many groups as values.
    """
    n = np.bincount(codes)
    n_groups, scaled = int(np.count_nonzero(n)), _standardised(y)
    if scaled is None or n_groups >= len(y):
        return None
    sums = np.bincount(codes, scaled)
    between = float(np.sum(np.square(sums[n > 0]) / n[n > 0]))  # of a total of 1
    return max(0.0, 1 - (1 - min(between, 1.0)) * (len(y) - 1) / (len(y) - n_groups))


def cramers_v(a: NDArray[np.intp], b: NDArray[np.intp]) -> float | None:
    """Give how strongly two categories go together, 0 to 1, corrected for their number.

    Bergsma 2013, https://doi.org/10.1016/j.jkss.2012.10.002.
    """
    both = (a >= 0) & (b >= 0)
    a, b, n = a[both], b[both], int(both.sum())
    if n < 2:
        return None
    rows, columns = np.bincount(a), np.bincount(b)
    cells, counts = np.unique(a * len(columns) + b, return_counts=True)
    expected = rows[cells // len(columns)] * columns[cells % len(columns)] / n
    phi2 = float(np.sum(np.square(counts) / expected)) / n - 1
    r, k = np.count_nonzero(rows), np.count_nonzero(columns)
    phi2 = max(0.0, phi2 - (r - 1) * (k - 1) / (n - 1))
    corrected = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(min(1.0, phi2 / corrected))) if corrected > 0 else None


def matrix(columns: Sequence[Cells]) -> NDArray[np.float64]:
    """Give how strongly all pairs go together, (n_columns, n_columns); NaN where none can tell.

    Two columns of numbers: Spearman's rank correlation, with ranks among all values of the
    column. A category and numbers: the root of the variance that it explains of the ranks. Two
    categories: Cramér's V.
    """
    found = np.full((len(columns), len(columns)), np.nan)
    ordered = [i for i, cells in enumerate(columns) if isinstance(cells, Numbers)]
    ranked = {i: ranks(columns[i].values) for i in ordered}  # type: ignore[union-attr]
    if ordered:
        found[np.ix_(ordered, ordered)] = _correlations(np.column_stack([*ranked.values()]))
    for i, cells in enumerate(columns):
        if isinstance(cells, Numbers):
            continue
        for j, other in enumerate(columns):
            if isinstance(other, Numbers):
                value = _ratio(cells, ranked[j])
            elif j < i:
                value = cramers_v(cells.codes, other.codes)
            else:
                value = 1.0 if j == i and len(cells.names) > 1 else None
            if value is not None:
                found[i, j] = found[j, i] = value
    return found


def _ratio(cells: Categories, ranked: NDArray[np.float64]) -> float | None:
    both = (cells.codes >= 0) & ~np.isnan(ranked)
    share = explained(cells.codes[both], ranked[both])
    return None if share is None else float(np.sqrt(share))


def _correlations(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the linear correlations of the columns of X, each over the rows where both are there."""
    if not np.isnan(X).any():
        scaled = [_standardised(x) for x in X.T]
        units = np.column_stack([np.full(len(X), np.nan) if s is None else s for s in scaled])
        whole: NDArray[np.float64] = np.clip(units.T @ units, -1, 1)
        return whole
    there = (~np.isnan(X)).astype(np.float64)
    filled = np.where(there > 0, X, 0.0)
    n_own = np.maximum(there.sum(axis=0), 1)
    filled = (filled - filled.sum(axis=0) / n_own) * there
    scale = np.sqrt(np.square(filled).sum(axis=0) / n_own)
    filled /= np.where(scale > 0, scale, 1)
    n = there.T @ there
    sums = filled.T @ there  # of a column, over the rows where the other is there
    squares = np.square(filled).T @ there
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = squares - np.square(sums) / n
        covariance = filled.T @ filled - sums * sums.T / n
        enough = (n > 1) & (variance > 1e-9) & (variance.T > 1e-9)
        found = np.where(enough, covariance / np.sqrt(variance * variance.T), np.nan)
    pairwise: NDArray[np.float64] = np.clip(found, -1, 1)
    return pairwise


def _standardised(x: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Give x with mean 0 and the sum of squares 1; none where it does not vary."""
    if len(x) < 2 or (low := x.min()) == (high := x.max()):
        return None
    x = x / max(abs(low), abs(high))  # squares of large numbers would be infinite
    x -= x.mean()
    length = np.sqrt(x @ x)
    if not length:
        return None
    x /= length
    return x
