"""Linear models by least squares: many rows are condensed to a few, once for all trials."""

from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from popsearch.models import estimator
from popsearch.models.once import FittedOnce
from popsearch.models.training import Rows, Scores, score

_BLOCK_ROWS = 4096
# Below it rounding would show in the coefficients, in whatever way they are computed.
_WELL_CONDITIONED = 1e-10


class LeastSquares(FittedOnce):
    """A set of one, fitted at each step on rows that were condensed once in this process.

    What scikit-learn's ``Ridge``, ``Lasso`` and ``ElasticNet`` do follows from the Gram matrix
    of the centred rows and targets alone. So their own ``fit`` on a few rows that have the same
    Gram matrix takes the same path to the same coefficients, with the same warnings. Nothing is
    taken over from the trials before. What this does not hold for is fitted on all rows.
    """

    def advance(self) -> Scores:
        """Fit on the next rung of rows; all of its training rows are scored."""
        n, rows = self.resources[len(self._fitted)], self._rows
        unfitted = estimator.build(self._model, self._params)
        few = _enough(unfitted, rows, n)
        if few is None:
            return super().advance()
        fitted = _fit(unfitted, few)
        self._fitted.append(fitted)
        seen = Rows(rows.X_train[:n], rows.y_train[:n], rows.X_val, rows.y_val)
        # What predict gives, without its search for missing numbers in rows known to have none.
        train, val = (X @ fitted.coef_ + fitted.intercept_ for X in (seen.X_train, seen.X_val))
        return score(seen, n, train, val)


@dataclass(frozen=True, eq=False)
class Condensed:
    """As many rows as columns, with the Gram matrix of many centred rows and their targets.

    Parameters
    ----------
    X
        Shape (n_features + 1, n_features).
    y
        Shape (n_features + 1,).
    X_mean
        What was taken from the columns, (n_features,); zeros where nothing was.
    n_rows
        How many rows these stand for.
    """

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    X_mean: NDArray[np.float64]
    y_mean: float
    n_rows: int

    @cached_property
    def eigenvalues(self) -> NDArray[np.float64]:
        """Those of the Gram matrix of the columns, the largest first."""
        squares: NDArray[np.float64] = np.square(np.linalg.svd(self.X, compute_uv=False))
        return squares


def condense(X: NDArray[np.float64], y: NDArray[np.float64], centred: bool) -> Condensed:
    """Give the triangular factor of columns and targets, found block by block.

    Rows that are reflected keep their Gram matrix. It is not computed itself, because that
    would cost small columns half of their digits (sequential TSQR: Demmel et al., 2012,
    arXiv:0808.2664).
    """
    n, p = X.shape
    X_mean, y_mean = (X.mean(axis=0), float(y.mean())) if centred else (np.zeros(p), 0.0)
    few = np.empty((0, p + 1))
    size = max(_BLOCK_ROWS, 8 * p)  # of a block: fits into the processor's cache where it can
    for start in range(0, n, size):
        part = slice(start, start + size)
        block = np.column_stack([X[part] - X_mean, y[part] - y_mean])
        few = np.asarray(np.linalg.qr(np.vstack([few, block]), mode="r"))
    few_X, few_y = few[:, :p].copy(), few[:, p].copy()
    few_X.flags.writeable = few_y.flags.writeable = False  # all trials share them
    return Condensed(few_X, few_y, X_mean, y_mean, n)


_OF_ROWS: WeakKeyDictionary[Rows, dict[tuple[int, bool], Condensed]] = WeakKeyDictionary()
"""What was condensed of rows that are still in use, by how many and whether they were centred."""


def _condensed(rows: Rows, n: int, centred: bool) -> Condensed:
    """Give the first n training rows condensed, from memory where they were asked for before."""
    kept = _OF_ROWS.setdefault(rows, {})
    if (n, centred) not in kept:
        kept[n, centred] = condense(rows.X_train[:n], rows.y_train[:n], centred)
    return kept[n, centred]


def _enough(unfitted: Any, rows: Rows, n: int) -> Condensed | None:
    """Give the first n training rows condensed, if that is all an estimator's fit needs of them."""
    if n <= rows.X_train.shape[1] + 1 or not _decided_by_gram(unfitted):
        return None
    few = _condensed(rows, n, unfitted.fit_intercept)
    if not (np.isfinite(few.X).all() and np.isfinite(few.y).all()):
        return None  # the library says what is wrong with the rows
    largest, smallest = few.eigenvalues[[0, -1]] + unfitted.alpha
    direct = hasattr(unfitted, "solver")
    return few if not direct or smallest > _WELL_CONDITIONED * largest else None


def _decided_by_gram(unfitted: Any) -> bool:
    """Tell whether an estimator with these settings asks for the Gram matrix and nothing else."""
    from sklearn.linear_model import ElasticNet, Lasso, Ridge

    if type(unfitted) is Ridge:
        # Other solvers take rows one by one, or stop somewhere near the solution.
        direct: bool = unfitted.solver in ("auto", "cholesky", "svd") and not unfitted.positive
        return direct and isinstance(unfitted.alpha, Real)
    if type(unfitted) in (Lasso, ElasticNet):
        # It meets rows in sums over all of them only, so that it takes the same steps. Columns
        # that are constant but for rounding are drawn like any other, and free without penalty.
        return bool(unfitted.selection == "cyclic" and unfitted.alpha > 0)
    return False


def _fit(unfitted: Any, few: Condensed) -> Any:
    """Give the estimator as its own fit on all the rows makes it."""
    centred, alpha = unfitted.fit_intercept, unfitted.alpha
    # The penalty of coordinate descent is that of one row, and so is the dual gap it tells.
    share = few.n_rows / len(few.y) if hasattr(unfitted, "l1_ratio") else 1.0
    fitted = unfitted.set_params(fit_intercept=False, alpha=alpha * share).fit(few.X, few.y)
    fitted.set_params(fit_intercept=centred, alpha=alpha)
    if centred:
        fitted.intercept_ = few.y_mean - few.X_mean @ fitted.coef_
    if hasattr(fitted, "dual_gap_"):
        fitted.dual_gap_ /= share
    return fitted
