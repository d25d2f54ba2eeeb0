"""What scikit-learn's own encoders need around them."""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import KFold
from sklearn.preprocessing import TargetEncoder
from sklearn.utils.validation import check_is_fitted

from popsearch.encoders import names


class CategoryMeans(TargetEncoder):  # type: ignore[misc]
    """scikit-learn's encoder, with no more folds than there are rows."""

    cv: Any

    def fit_transform(self, X: Any, y: Any, **params: Any) -> NDArray[np.float64]:
        """Give the cross-fitted encoding of the training rows, (n_rows, n_columns)."""
        asked = self.cv
        if isinstance(asked, int):
            self.cv = min(asked, len(X))
        elif asked.n_splits > len(X):
            self.cv = KFold(len(X), shuffle=True, random_state=asked.random_state)
        try:
            encoded: NDArray[np.float64] = super().fit_transform(X, y, **params)
        finally:
            self.cv = asked
        return encoded


class EmptyAsZero(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Sets columns to 0 that have no value in the training rows, and leaves all others.

    There is nothing to learn of them, and histogram boosting refuses a column without values.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which columns have no value."""
        names.remember(self, X)
        self.empty_ = np.isnan(np.asarray(X, dtype=np.float64)).all(axis=0)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Give the columns, (n_rows, n_columns)."""
        check_is_fitted(self)
        return np.where(self.empty_, 0.0, np.asarray(X, dtype=np.float64))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Give the names of the columns."""
        return np.array(names.given(self, input_features), dtype=object)


def categories(X: Any) -> pd.DataFrame:
    """Give categories as the text that a file has for them, NaN where they are missing.

    So a model that was trained on the text of a file also knows 3, 3.0 and True, which another
    reader makes of it.
    """
    frame = pd.DataFrame(X)
    text = {name: _as_text(frame.iloc[:, i]) for i, name in enumerate(frame)}
    return pd.DataFrame(text, frame.index, dtype=object)


def _as_text(column: "pd.Series[Any]") -> NDArray[np.object_]:
    present = column.notna().to_numpy()
    found = np.full(len(column), np.nan, dtype=object)
    found[present] = column[present].astype(object)
    if not pd.api.types.is_string_dtype(column.dtype):
        found[present] = [_spelled(value) for value in found[present]]
    return found


def _spelled(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value)
