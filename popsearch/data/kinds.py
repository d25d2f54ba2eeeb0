"""What a column holds: recognised from its cells, or read as the kind that the user says."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from popsearch.data import files
from popsearch.data.table import Kind
from popsearch.errors import DataError

TEXT_SHARE = 0.5
"""A text column with more different values than this share of its rows is no category."""

_ISO_DATE = r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$"
_COMMA = r"^[+-]?\d[\d.]*,\d+$"
_YES_NO = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))


def recognise(table: pa.Table, column: str, where: str, strict: bool = True) -> tuple[Kind, Any]:
    """Give the kind of a column and its cells as that kind stores them.

    Parameters
    ----------
    strict
        Whether numbers with some text among them are refused; else they are text.

    Raises
    ------
    DataError
        If most cells are numbers, and some are not.
    """
    cells = files.plain(table[column])
    if cells.null_count == len(cells):
        return "empty", cells
    kind = cells.type
    if pa.types.is_boolean(kind):
        return "boolean", cells
    if pa.types.is_integer(kind) and _counts_rows(cells):
        return "id", cells
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        if pc.all(pc.is_nan(cells.cast(pa.float64(), safe=False))).as_py():
            return "empty", cells
        return "numeric", cells
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "datetime", files.times(table, column, where)
    return _recognise_text(table, column, where, strict)


def read_as(kind: Kind, table: pa.Table, column: str, where: str) -> Any:
    """Give the cells of a column that the user says is of this kind.

    Raises
    ------
    DataError
        If a cell is not of this kind, with its row.
    """
    match kind:
        case "numeric":
            return files.numbers(table, column, where, missing=True)
        case "boolean":
            return files.booleans(table, column, where)
        case "datetime":
            return files.times(table, column, where)
        case _:
            return files.plain(table[column]).cast(pa.large_string())


def _recognise_text(table: pa.Table, column: str, where: str, strict: bool) -> tuple[Kind, Any]:
    cells = files.plain(table[column]).cast(pa.large_string())
    values = pc.unique(cells).drop_null()
    words = {word.strip().lower() for word in values.slice(0, 5).to_pylist()}
    if len(values) <= 4 and any(words <= {*pair} for pair in _YES_NO):
        return "boolean", files.booleans(table, column, where)
    if pc.all(pc.match_substring_regex(values, _ISO_DATE)).as_py():
        return "datetime", files.times(table, column, where)
    if pc.all(pc.match_substring_regex(values, files.NUMBER)).as_py():
        return "numeric", files.numbers(table, column, where, missing=True)
    if strict:
        _refuse_mixed(table, column, where)
        if pc.all(pc.match_substring_regex(values, _COMMA)).as_py():
            raise DataError(
                f"{where}: {column} holds numbers with a comma, the first has "
                f"{values[0].as_py()[:40]!r}; write them without, or say that it is a category: "
                f"data.columns.categorical=[{column}]"
            )
    n_filled = len(cells) - cells.null_count
    return ("text" if len(values) > TEXT_SHARE * n_filled else "categorical"), cells


def _refuse_mixed(table: pa.Table, column: str, where: str) -> None:
    """Refuse a column of numbers with some text among them, which is seldom meant."""
    cells = files.plain(table[column]).cast(pa.large_string())
    looks = pc.match_substring_regex(pc.utf8_trim_whitespace(cells), files.NUMBER)
    n_numbers = pc.sum(looks).as_py() or 0
    if 2 * n_numbers <= len(cells) - cells.null_count:
        return
    rows = np.flatnonzero(pc.invert(pc.fill_null(looks, True)).to_numpy())
    row = int(rows[0])
    more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    raise DataError(
        f"{where}: {column} holds numbers in {n_numbers:,} rows, but row {row + 1} has "
        f"{cells[row].as_py()[:40]!r}{more}; mend such rows, or say what it is: "
        f"data.columns.categorical=[{column}] or data.drop=[{column}]"
    )


def _counts_rows(cells: pa.ChunkedArray) -> bool:
    """Tell whether a column is only the number of its row, from 0 or 1."""
    if cells.null_count or cells[0].as_py() not in (0, 1):
        return False
    values = cells.to_numpy()
    return bool((np.diff(values) == 1).all())
