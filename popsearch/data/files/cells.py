"""Columns as numbers or truth values; a cell that is none is named with its row."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from popsearch.errors import DataError

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
DECIMAL = b"popsearch.decimal"
"""Says in a table's metadata what its texts write for the decimal point, where it is none."""
SPELLED_EMPTY = [*pyarrow.csv.ConvertOptions().null_values, "None"]  # as pandas does
"""Texts that say that a cell is empty, as NA does."""
BLANK = [" " * n for n in range(33)]
"""Texts that are empty."""
_TRUE = ("true", "yes", "t", "y", "1")
_FALSE = ("false", "no", "f", "n", "0")


def numbers(table: pa.Table, column: str, where: str, missing: bool = False) -> NDArray[np.float64]:
    """Give a column as finite numbers, (n_rows,).

    Parameters
    ----------
    missing
        Whether a cell may be empty; it becomes NaN.

    Raises
    ------
    DataError
        If a value is text, infinite or empty, with its row and what stands there.
    """
    cells = plain(table[column])
    try:
        if is_text(cells):
            found = _parse(cells, (table.schema.metadata or {}).get(DECIMAL, b".").decode())
        else:
            found = cells.cast(pa.float64(), safe=False)
    except pa.ArrowException:
        raise DataError(f"{where}: {column} must hold numbers, but holds {cells.type}") from None
    values: NDArray[np.float64] = found.to_numpy()
    bad = ~np.isfinite(values)
    if missing:
        bad &= ~is_empty(cells)
    must = "a finite number or empty" if missing else "a finite number"
    refuse(cells, bad, f"{where}: {column} must be {must}")
    return values


def booleans(table: pa.Table, column: str, where: str) -> NDArray[np.float64]:
    """Give a column as 1 for true, 0 for false and NaN for an empty cell, (n_rows,).

    Raises
    ------
    DataError
        If a value is neither, with its row.
    """
    cells = plain(table[column])
    if is_text(cells):
        words = pc.utf8_lower(pc.utf8_trim_whitespace(cells))
        true, false = (pc.is_in(words, pa.array(said, words.type)) for said in (_TRUE, _FALSE))
        found = pc.if_else(true, 1.0, pc.if_else(false, 0.0, None))
    else:
        try:
            found = cells.cast(pa.float64(), safe=False)
        except pa.ArrowException:
            raise DataError(
                f"{where}: {column} must hold truth values, but holds {cells.type}"
            ) from None
        found = pc.if_else(pc.or_(pc.equal(found, 0.0), pc.equal(found, 1.0)), found, None)
    values: NDArray[np.float64] = found.cast(pa.float64()).to_numpy()
    must = f"{where}: {column} must be true or false, yes or no, t or f, y or n, 1 or 0"
    refuse(cells, np.isnan(values) & ~is_empty(cells), must)
    return values


def plain(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column without the dictionary or the views that its values are stored with."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    return cells.cast(pa.string()) if pa.types.is_string_view(cells.type) else cells


def refuse(cells: pa.ChunkedArray, bad: NDArray[np.bool_], must: str) -> None:
    """Name the first of the bad rows, if there are any, and what stands there.

    Parameters
    ----------
    bad
        Which rows do not hold, (n_rows,).
    must
        Begins the message: where, and what must hold.

    Raises
    ------
    DataError
        If a row is bad.
    """
    rows = np.flatnonzero(bad)
    if not len(rows):
        return
    value: Any
    try:
        value = cells[int(rows[0])].as_py()
    except (LookupError, OverflowError, ValueError):  # a time or zone that Python does not know
        value = "something else"
    empty = str(value).strip().lower() in ("", "none", "nan", "nat")
    if isinstance(value, str):
        value = repr(value if len(value) <= 40 else value[:40] + "...")
    more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    raise DataError(
        f"{must} in every row, but row {rows[0] + 1} {'is empty' if empty else f'has {value}'}"
        f"{more}; mend or remove such rows"
    )


def is_text(cells: pa.ChunkedArray) -> bool:
    """Tell whether a column, as ``plain`` gives it, holds text."""
    return bool(pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type))


def is_empty(cells: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Tell which cells hold nothing, or text that says so, (n_rows,)."""
    found = pc.is_null(cells, nan_is_null=True)
    if is_text(cells):
        trimmed = pc.utf8_trim_whitespace(cells)
        found = pc.or_(found, pc.is_in(trimmed, pa.array(SPELLED_EMPTY, trimmed.type)))
    empty: NDArray[np.bool_] = found.to_numpy()
    return empty


def _parse(text: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    """Give the numbers that are written as text, and null for every other text."""
    if decimal != ".":
        point = pc.match_substring(text, ".")
        text = pc.if_else(point, "no number", pc.replace_substring(text, decimal, "."))
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(text)
    if pc.all(pc.is_in(pc.utf8_lower(trimmed), pa.array(["true", "false"], text.type))).as_py():
        return trimmed.cast(pa.bool_()).cast(pa.float64())
    good = pc.match_substring_regex(trimmed, NUMBER)
    return pc.if_else(good, trimmed, None).cast(pa.float64())
