"""Which models to mix, and how much of each: greedy selection with replacement."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

N_PICKS = 20
NO_GAIN = 1e-6  # the share of an MSE that is rounding and not another model's merit

Matrix = NDArray[np.float64]


def select(residuals: ArrayLike, n_picks: int = N_PICKS) -> Matrix:
    """Give the weights of models, (n_models,), whose mix has a low MSE on these rows.

    Begins with the best models together, as many of them as are best, and adds that model, again
    and again, with which the mean of all that were picked errs least; of all means on the way the
    best counts (Caruana, Niculescu-Mizil, Crew and Ksikes, 2004, doi:10.1145/1015330.1015432). The
    best model alone is one of them, so no mix is worse on these rows.

    Parameters
    ----------
    residuals
        Of each model on the same rows, (n_models, n_rows).
    n_picks
        The most models that are picked, one picked twice counted twice.
    """
    products = _products(np.asarray(residuals, dtype=np.float64))
    counts = _begin(products, n_picks)
    best, best_mse = counts, _mse(products, counts)
    while counts.sum() < n_picks:
        counts = _add(products, counts)
        if (mse := _mse(products, counts)) < best_mse * (1 - NO_GAIN):
            best, best_mse = counts, mse
    weights: Matrix = best / best.sum()
    return weights


def mixed(weights: Matrix, residuals: ArrayLike) -> Matrix:
    """Give the residuals of a mix, (n_rows,): the weighted mean of its models' residuals."""
    return weights @ np.asarray(residuals, dtype=np.float64)


def _products(residuals: Matrix) -> Matrix:
    """Give the mean product of each two models' residuals: all that the MSE of a mix needs."""
    # Not a matrix product: that wakes BLAS's threads, for a matrix of some dozen rows.
    products: Matrix = np.einsum("ir,jr->ij", residuals, residuals) / residuals.shape[1]
    return products


def _begin(products: Matrix, n_picks: int) -> Matrix:
    """Give the counts of the best models together, of as many of them as err least."""
    order = np.argsort(np.diagonal(products), kind="stable")
    starts = np.zeros((min(len(order), n_picks), len(order)))
    for n, start in enumerate(starts, start=1):
        start[order[:n]] = 1
    errors = np.array([_mse(products, start) for start in starts])
    found: Matrix = starts[np.flatnonzero(errors <= errors.min() * (1 + NO_GAIN))[0]]
    return found


def _add(products: Matrix, counts: Matrix) -> Matrix:
    """Give the counts with one more of the model with which the mean errs least then."""
    more = 2 * products @ counts + np.diagonal(products)
    added = counts.copy()
    added[np.argmin(more)] += 1
    return added


def _mse(products: Matrix, counts: Matrix) -> float:
    return float(counts @ products @ counts / counts.sum() ** 2)
