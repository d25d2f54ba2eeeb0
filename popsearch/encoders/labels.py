"""Several labels to a cell."""

from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from popsearch.encoders import names


class LabelMeans(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encodes one column of labels by the mean target of its labels, and their number of rows.

    A cell holds labels with commas between; one that stands in it twice counts once. The first
    output is the mean of y over the training rows of all labels of the cell, pooled and drawn
    towards the overall mean. The second counts these rows, a row once for each label that it
    shares with the cell. Unknown labels count as no rows, an empty cell has no labels.

    ``fit_transform`` encodes each training row from others only: the mean from the other folds,
    the count without the row itself. So both mean the same there as in new rows.

    Parameters
    ----------
    smooth
        How many rows the overall mean counts as.
    cv
        Number of folds.
    random_state
        Seed of the folds.
    """

    def __init__(self, smooth: float = 5.0, cv: int = 5, random_state: int | None = None) -> None:
        self.smooth = smooth
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the labels, and what the targets of their rows sum up to."""
        self._learn(X, y)
        return self

    def fit_transform(self, X: Any, y: Any) -> NDArray[np.float64]:
        """Give the cross-fitted encoding of the training rows, (n_rows, 2)."""
        target, rows, codes = self._learn(X, y)
        n_rows = len(target)
        encoded = np.empty((n_rows, 2))
        folds = KFold(min(self.cv, n_rows), shuffle=True, random_state=self.random_state)
        for others, fold in folds.split(target):
            known = np.isin(np.arange(n_rows), others)[rows]
            # Summed anew: in the whole less the fold, rounding would give the fold's targets away.
            learned = (*self._sums(target[rows[known]], codes[known]), target[others].mean())
            encoded[fold] = self._pooled(rows[~known], codes[~known], n_rows, learned)[fold]
        encoded[:, 1] = np.bincount(rows, weights=self.counts_[codes] - 1, minlength=n_rows)
        return encoded

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Give the encoding of new rows, from all training rows, (n_rows, 2)."""
        check_is_fitted(self)
        cells = _text(X)
        learned = (self.sums_, self.counts_, self.mean_)
        return self._pooled(*self._pairs(cells), len(cells), learned)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Give the names of the two outputs."""
        (name,) = names.given(self, input_features)
        return np.array([f"{name}_mean", f"{name}_n"], dtype=object)

    def _learn(
        self, X: Any, y: Any
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Give the target, and the pairs of row and label."""
        names.remember(self, X)
        cells, target = _text(X), np.asarray(y, dtype=np.float64)
        labels = pc.unique(_labels(cells)[1])
        # Bytes, not a NumPy array of text, in which the longest label sets the size of all.
        ends = np.cumsum(pc.binary_length(labels).to_numpy())
        self.ends_ = np.concatenate([[0], ends]).astype(np.int64)
        letters = labels.buffers()[2] or b""
        self.letters_ = np.frombuffer(letters, np.uint8)[: self.ends_[-1]].copy()
        rows, codes = self._pairs(cells)
        self.mean_ = float(target.mean())
        self.sums_, self.counts_ = self._sums(target[rows], codes)
        return target, rows, codes

    def _pairs(self, cells: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give row and code of each known label, once where it stands in a cell twice."""
        rows, labels = _labels(cells)
        buffers = [None, pa.py_buffer(self.ends_), pa.py_buffer(self.letters_)]
        n_labels = len(self.ends_) - 1
        known = pa.Array.from_buffers(pa.large_string(), n_labels, buffers)
        codes = pc.fill_null(pc.index_in(labels, known), -1).to_numpy()
        keys = np.sort((rows * n_labels + codes)[codes >= 0])
        once = keys[np.diff(keys, prepend=-1) > 0]  # np.unique takes a hundred times as long
        return once // max(n_labels, 1), once % max(n_labels, 1)

    def _sums(
        self, target: NDArray[np.float64], codes: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the sum of the targets and the number of rows of each label."""
        n_labels = len(self.ends_) - 1
        sums = np.bincount(codes, weights=target, minlength=n_labels)
        counts = np.bincount(codes, minlength=n_labels)
        return np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)

    def _pooled(
        self,
        rows: NDArray[np.int64],
        codes: NDArray[np.int64],
        n_rows: int,
        learned: tuple[NDArray[np.float64], NDArray[np.float64], float],
    ) -> NDArray[np.float64]:
        """Give mean and count, (n_rows, 2), from the sums and counts of the labels."""
        sums, counts, mean = learned
        weight = np.bincount(rows, weights=counts[codes], minlength=n_rows)
        total = np.bincount(rows, weights=sums[codes], minlength=n_rows) + self.smooth * mean
        means = np.full(n_rows, mean)
        seen = weight > 0
        means[seen] = total[seen] / (weight[seen] + self.smooth)
        return np.column_stack([means, weight])


def _text(X: Any) -> pa.Array:
    """Give the one column of text, null where it is missing."""
    column = X.iloc[:, 0] if isinstance(X, pd.DataFrame) else np.asarray(X, dtype=object).ravel()
    cells = pa.array(column, from_pandas=True)
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    return cells.cast(pa.large_string())


def _labels(cells: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Give the labels of all cells one after another, and the row of each."""
    split = pc.split_pattern(cells, ",")
    rows, labels = pc.list_parent_indices(split), pc.list_flatten(split)
    filled = pc.not_equal(labels, "")
    if not pc.all(filled).as_py():
        rows, labels = rows.filter(filled), labels.filter(filled)
    return rows.to_numpy().astype(np.int64), labels
