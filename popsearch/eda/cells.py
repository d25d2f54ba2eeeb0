"""The cells of a column as numbers, or as codes of its categories."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from popsearch.data.table import Kind, Table

DAY_US = 86_400_000_000
NUMBERS: tuple[Kind, ...] = ("numeric", "boolean", "datetime", "id")
CATEGORIES: tuple[Kind, ...] = ("categorical", "labels")


@dataclass(frozen=True)
class Numbers:
    """Cells that have an order.

    Parameters
    ----------
    values
        One for each row, NaN where it is missing; of dates the days since 1970, of texts their
        length.
    """

    values: NDArray[np.float64]

    def at(self, rows: NDArray[np.intp]) -> "Numbers":
        """Give the cells of these rows."""
        return Numbers(self.values[rows])


@dataclass(frozen=True)
class Categories:
    """Cells that have none.

    Parameters
    ----------
    codes
        One for each row, -1 where it is missing.
    names
        By code.
    """

    codes: NDArray[np.intp]
    names: Sequence[str]

    def at(self, rows: NDArray[np.intp]) -> "Categories":
        """Give the cells of these rows."""
        return Categories(self.codes[rows], self.names)


Cells = Numbers | Categories


def of(table: Table, name: str) -> Cells:
    """Give the cells of a column; of ``labels`` each combination is a category."""
    kind, series = table.columns[name].kind, table.X[name]
    if kind == "datetime":
        days = series.to_numpy().astype("datetime64[us]")
        values = days.astype(np.int64) / DAY_US
        values[np.isnat(days)] = np.nan
        return Numbers(values)
    if kind == "text":
        lengths = pc.utf8_length(pa.array(series, pa.large_string()))
        return Numbers(lengths.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if kind in CATEGORIES:
        codes, names = pd.factorize(series)
        return Categories(codes, [str(each) for each in names])
    return Numbers(series.to_numpy())


def labels(table: Table, name: str) -> tuple[Categories, NDArray[np.intp]]:
    """Give every label of a column of ``labels``, and the row that each one stands in."""
    lists = pc.split_pattern(pa.array(table.X[name], pa.large_string()), ",")
    flat = pc.utf8_trim_whitespace(pc.list_flatten(lists)).dictionary_encode()
    categories = Categories(
        flat.indices.to_numpy().astype(np.intp), [str(each) for each in flat.dictionary.to_pylist()]
    )
    return categories, pc.list_parent_indices(lists).to_numpy().astype(np.intp)
