"""The columns that a split looks at: which rows belong together, and which came first."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from popsearch.data.table import TEXT_KINDS, Kind, Table
from popsearch.errors import ConfigError, did_you_mean, setting

_ORDERED: tuple[Kind, ...] = ("numeric", "datetime", "id")


def groups(table: Table, group_by: Sequence[str]) -> NDArray[np.intp]:
    """Give the number of each row's group, (n_rows,), counted as they first appear.

    A row in which a key is missing is a group of its own: nothing tells that two such rows
    belong together.
    """
    if not group_by:
        raise ConfigError("split.group_by must have at least 1 entry, but has none")
    found = [
        fault
        for column in dict.fromkeys(group_by)
        for fault in _column_faults(table, "split.group_by", column)
    ]
    twice = sorted({column for column in group_by if group_by.count(column) > 1})
    found += [f"split.group_by: {column} is named more than once" for column in twice]
    if found:
        raise ConfigError(*found)
    groups = np.zeros(table.n_rows, dtype=np.intp)
    alone = np.zeros(table.n_rows, dtype=bool)
    for column in group_by:
        values, _ = pd.factorize(table.X[column])
        groups, _ = pd.factorize(groups * (table.n_rows + 1) + values + 1)
        alone |= values < 0
    if alone.all():
        raise ConfigError(
            f"{shown(group_by)}: must tell which rows belong together, but a value is missing in "
            f"each of the {table.n_rows:,} rows; choose other columns"
        )
    groups[alone] = table.n_rows + np.arange(alone.sum())
    groups, different = pd.factorize(groups)
    if len(different) == 1:
        raise ConfigError(
            f"{shown(group_by)}: must tell rows apart, but all {table.n_rows:,} rows are one "
            "group; choose other columns"
        )
    return groups


def times(table: Table, order_by: str | None) -> NDArray[Any]:
    """Give numbers or times that tell which rows came first, (n_rows,).

    Raises
    ------
    ConfigError
        If the column is not there, cannot be ordered, or lacks values.
    """
    if found := _order_faults(table, order_by):
        raise ConfigError(*found)
    return table.X[order_by].to_numpy()


def _order_faults(table: Table, order_by: str | None) -> list[str]:
    if order_by is None:
        ordered = [name for name, column in table.columns.items() if column.kind in _ORDERED]
        return [
            f"split.order_by is required for split=time: data={table.name} has no time of its own; "
            f"give split.order_by=COLUMN{did_you_mean('', ordered)}"
        ]
    if found := _column_faults(table, "split.order_by", order_by):
        return found
    kind = table.columns[order_by].kind
    if kind not in _ORDERED:
        advice = (
            f"if it holds dates, give {setting('data.datetime', [order_by])}"
            if kind in TEXT_KINDS
            else "choose another column"
        )
        return [f"split.order_by={order_by}: must be a number or a time, but is {kind}; {advice}"]
    missing = np.flatnonzero(table.X[order_by].isna())
    if not len(missing):
        return []
    return [
        f"split.order_by={order_by}: must have a value in every row, but {len(missing):,} of "
        f"{table.n_rows:,} rows have none, the first is row {missing[0] + 1}; "
        "remove these rows or choose another column"
    ]


def _column_faults(table: Table, where: str, column: str) -> list[str]:
    if column in table.columns:
        return []
    if column == table.target:
        return [f"{where}: {column} is the target, which no split may look at; choose a column"]
    return [
        f"{where}: {column} is not a column of data={table.name}"
        f"{did_you_mean(column, table.columns)}"
    ]


def shown(group_by: Sequence[str]) -> str:
    """Give the setting as it is typed."""
    return setting("split.group_by", group_by)
