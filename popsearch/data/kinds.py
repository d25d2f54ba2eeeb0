"""What a column holds: recognised from its cells, or read as the kind that the user says."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from popsearch.data import files
from popsearch.data.table import Kind
from popsearch.errors import DataError, setting

TEXT_SHARE = 0.5
"""A text column with more different values than this share of its rows is no category."""

# Also with slashes, which pandas and BigQuery write; and a year with its month.
_ISO_DATE = (
    r"^\d{4}(-\d\d-|/\d\d/)\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z|[+-]\d\d:?\d\d)?)?$"
    r"|^\d{4}-(0[1-9]|1[0-2])$"
)
_OTHER_DATE = r"^\d{1,2}(/\d{1,2}/(\d{4}|\d\d)|-\d{1,2}-\d{4}|\.\d{1,2}\.\d{4})([ T,].*)?$"
_COMMA = r"^[+-]?\d[\d.]*,\d+$"
_WRITTEN = (  # for people: 1,234.50 and $12 and 55% and (3.20)
    r"^\(?[+-]?[$€£¥]? ?[+-]?"
    r"(\d+(\.\d+)?|\d{1,3}([,' \x{a0}\x{202f}]\d{3})+(\.\d+)?)"
    r" ?[$€£¥%]?\)?$"
)
_MANY_NUMBERS, _FEW_WORDS = 20, 3
_YES_NO = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))


def recognise(table: pa.Table, column: str, where: str, strict: bool = True) -> tuple[Kind, Any]:
    """Give the kind of a column and its cells as that kind stores them.

    Parameters
    ----------
    strict
        Whether cells that are not like the others are refused; else all are text.

    Raises
    ------
    DataError
        If most cells are numbers or dates and some are not, or all are written in another way.
    """
    cells = files.plain(table[column])
    try:
        return _recognise(cells, table, column, where)
    except DataError:
        if strict:
            raise
    try:
        return "text", cells.cast(pa.large_string())
    except pa.ArrowException:  # dates that no calendar has
        return "empty", pa.nulls(len(cells))


def _recognise(
    cells: pa.ChunkedArray, table: pa.Table, column: str, where: str
) -> tuple[Kind, Any]:
    if cells.null_count == len(cells):
        return "empty", cells
    kind = cells.type
    if pa.types.is_dictionary(table[column].type):
        return "categorical", cells
    if pa.types.is_boolean(kind):
        return "boolean", cells
    if pa.types.is_integer(kind) and _counts_rows(cells):
        return "id", cells
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        if pc.all(pc.is_nan(cells.cast(pa.float64(), safe=False))).as_py():
            return "empty", cells
        return "numeric", cells
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "datetime", _times(table, column, where)
    return _recognise_text(table, column, where)


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


def _recognise_text(table: pa.Table, column: str, where: str) -> tuple[Kind, Any]:
    cells = files.plain(table[column]).cast(pa.large_string())
    values = pc.unique(cells).drop_null()
    words = {word.strip().lower() for word in values.slice(0, 5).to_pylist()}
    if len(values) <= 4 and any(words <= {*pair} for pair in _YES_NO):
        return "boolean", files.booleans(table, column, where)
    if _all_like(_ISO_DATE, values):
        return "datetime", _times(table, column, where)
    if _all_like(files.NUMBER, values):
        return "numeric", files.numbers(table, column, where, missing=True)
    _refuse_other_forms(values, column, where)
    _refuse_mixed(cells, values, column, where)
    n_filled = len(cells) - cells.null_count
    return ("text" if len(values) > TEXT_SHARE * n_filled else "categorical"), cells


def _times(table: pa.Table, column: str, where: str) -> pa.Array:
    try:
        return files.times(table, column, where)
    except DataError as error:
        drop = setting("data.drop", [column])
        raise DataError(*(f"{f}, or leave the column out: {drop}" for f in error.faults)) from None


def _all_like(pattern: str, values: pa.Array) -> bool:
    # Most columns are unlike in the first values already, and may have a million others.
    few = values.slice(0, 100)
    return all(pc.all(pc.match_substring_regex(v, pattern)).as_py() for v in (few, values))


def _refuse_other_forms(values: pa.Array, column: str, where: str) -> None:
    """Refuse numbers and dates that are written for people, and would be taken for categories."""
    category = setting("data.columns.categorical", [column])
    if _all_like(_COMMA, values):
        raise DataError(
            f"{where}: {column} holds numbers with a comma, the first has "
            f"{values[0].as_py()[:40]!r}; write them without, or say that it is a category: "
            f"{category}"
        )
    if _all_like(_WRITTEN, values):
        plain = pc.match_substring_regex(values, files.NUMBER)
        first = values.filter(pc.invert(plain))[0].as_py()
        raise DataError(
            f"{where}: {column} holds numbers that are not written plainly, the first is "
            f"{first[:40]!r}; write digits and a point only, or say that it is a category: "
            f"{category}"
        )
    if _all_like(_OTHER_DATE, values):
        raise DataError(
            f"{where}: {column} holds dates, the first is {values[0].as_py()[:40]!r}, in which "
            "day and month could be either; to read the month first, unless other cells forbid "
            f"it, give {setting('data.datetime', [column])}, to leave it out "
            f"{setting('data.drop', [column])}"
        )


def _refuse_mixed(cells: pa.ChunkedArray, values: pa.Array, column: str, where: str) -> None:
    """Refuse a column of numbers with some text among them, which is seldom meant."""
    numbers = pc.match_substring_regex(pc.utf8_trim_whitespace(values), files.NUMBER)
    n_different = pc.sum(numbers).as_py() or 0
    if not n_different:
        return
    n_words = len(values) - n_different
    looks = pc.match_substring_regex(pc.utf8_trim_whitespace(cells), files.NUMBER)
    n_numbers = pc.sum(looks).as_py() or 0
    if 2 * n_numbers <= len(cells) - cells.null_count and not (
        n_different >= _MANY_NUMBERS and n_words <= _FEW_WORDS
    ):
        return
    rows = np.flatnonzero(pc.invert(pc.fill_null(looks, True)).to_numpy())
    row = int(rows[0])
    more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    raise DataError(
        f"{where}: {column} holds numbers in {n_numbers:,} rows, but row {row + 1} has "
        f"{cells[row].as_py()[:40]!r}{more}; mend such rows, or say what it is: "
        f"{setting('data.columns.categorical', [column])} or {setting('data.drop', [column])}"
    )


def _counts_rows(cells: pa.ChunkedArray) -> bool:
    """Tell whether a column is only the number of its row, from 0 or 1."""
    if cells.null_count or cells[0].as_py() not in (0, 1):
        return False
    values = cells.to_numpy()
    return bool((np.diff(values) == 1).all())
