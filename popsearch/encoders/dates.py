"""Dates and times."""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from popsearch.encoders import names

DATE_PARTS = ("year", "month", "day", "weekday", "hour", "days")
_DAY_US = 24 * 60 * 60 * 1_000_000


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encodes times by the parts that vary: year, month, day, weekday, hour, days since 1970.

    Missing times are NaN in all parts. A column without any variation keeps its days.

    Parameters
    ----------
    parts
        The parts to choose from.
    """

    def __init__(self, parts: tuple[str, ...] = DATE_PARTS) -> None:
        self.parts = parts

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which parts vary."""
        names.remember(self, X)
        self.parts_ = [self._varying(times) for times in _times(X)]
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Give the parts of each column, (n_rows, n_parts)."""
        check_is_fitted(self)
        every = zip(_times(X), self.parts_, strict=True)
        return np.column_stack([_part(times, part) for times, kept in every for part in kept])

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Give column and part."""
        every = zip(names.given(self, input_features), self.parts_, strict=True)
        return np.array([f"{name}_{part}" for name, kept in every for part in kept], dtype=object)

    def _varying(self, times: NDArray[np.datetime64]) -> list[str]:
        seen = times[~np.isnat(times)]
        varying = [part for part in self.parts if len(np.unique(_part(seen, part))) > 1]
        return varying or ["days"]


def _times(X: Any) -> list[NDArray[np.datetime64]]:
    """Give the columns as NumPy times."""
    frame = pd.DataFrame(X)
    return [
        pd.to_datetime(frame.iloc[:, i], format="ISO8601").to_numpy(dtype="datetime64[us]")
        for i in range(frame.shape[1])
    ]


def _part(times: NDArray[np.datetime64], part: str) -> NDArray[np.float64]:
    """Give one part of the times, NaN where they are missing."""
    days = times.astype("datetime64[D]")
    found: NDArray[Any]
    match part:
        case "year":
            found = times.astype("datetime64[Y]").astype(np.int64) + 1970
        case "month":
            found = times.astype("datetime64[M]").astype(np.int64) % 12 + 1
        case "day":
            found = (days - times.astype("datetime64[M]")).astype(np.int64) + 1
        case "weekday":  # Monday is 0; 1970 began on a Thursday
            found = (days.astype(np.int64) + 3) % 7
        case "hour":
            found = (times - days).astype("timedelta64[h]").astype(np.int64)
        case "days":
            found = times.astype(np.int64) / _DAY_US
        case _:
            raise ValueError(f"parts must be of {', '.join(DATE_PARTS)}, but got {part}")
    return np.where(np.isnat(times), np.nan, found)
