"""From rows as they come to the columns that a model sees.

A stored model takes this file along: rows that come over HTTP, from a file or from a program are
read by the same code as the table that it was trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from popsearch.data import track_columns
from popsearch.data.files.cells import DECIMAL, booleans, is_text, numbers
from popsearch.data.files.dates import times
from popsearch.encoders import categories
from popsearch.errors import DataError

if TYPE_CHECKING:
    from popsearch.data.table import Kind


@dataclass(frozen=True)
class Intake:
    """How the columns of a table are made of those that a user has.

    Parameters
    ----------
    kinds
        What each column that models see holds, by its name.
    forms
        How dates are written, by column.
    optional
        Columns of the user's in which cells were missing.
    tracks
        Whether columns are made of those of the Kaggle table of tracks; else they are the user's.
    decimal
        The decimal point of numbers that are text.
    """

    kinds: "Mapping[str, Kind]"
    forms: Mapping[str, str]
    optional: Sequence[str] = ()
    tracks: bool = False
    decimal: str = "."

    @property
    def needs(self) -> list[str]:
        """The columns that rows must have, in order."""
        if not self.tracks:
            return [*self.kinds]
        return [*dict.fromkeys(track_columns.MADE_OF.get(name, name) for name in self.kinds)]

    def columns(self, rows: pd.DataFrame, where: str) -> pd.DataFrame:
        """Give the columns that models see, (n_rows, n_columns).

        Parameters
        ----------
        rows
            With the columns that ``needs`` names, whatever their types; any cell may be missing.
        where
            What a message says is at fault.

        Raises
        ------
        DataError
            If a column or more are not there, or a cell is not of its kind, with its row.
        """
        given = {*rows, *self.optional}
        if lacking := [name for name in self.needs if name not in given]:
            raise DataError(f"{where}: must have the columns {', '.join(lacking)}")
        made = self._of_tracks(rows, where) if self.tracks else self._as_they_are(rows, where)
        return pd.DataFrame({name: _as_trained(*made[name]) for name in self.kinds}, copy=False)

    def _as_they_are(self, rows: pd.DataFrame, where: str) -> dict[str, tuple["Kind", Any]]:
        made: dict[str, tuple[Kind, Any]] = {}
        faults: list[str] = []
        for name, kind in self.kinds.items():
            column = rows[name] if name in rows else pd.Series([None] * len(rows), dtype=object)
            try:
                made[name] = kind, self._read(kind, name, column, where)
            except DataError as error:
                faults.extend(error.faults)
        if faults:
            raise DataError(*faults)
        return made

    def _read(self, kind: "Kind", name: str, column: "pd.Series[Any]", where: str) -> Any:
        if kind in ("categorical", "labels"):
            return _text(column)
        table = pa.table({name: _cells(column)}, metadata={DECIMAL: self.decimal.encode()})
        match kind:
            case "boolean":
                return booleans(table, name, where)
            case "datetime":
                return times(table, name, where, self.forms.get(name, "ISO8601"))
            case _:
                return numbers(table, name, where, missing=True)

    def _of_tracks(self, rows: pd.DataFrame, where: str) -> "Mapping[str, tuple[Kind, Any]]":
        needed, nothing = self.needs, pa.nulls(len(rows), pa.string())
        texts = {
            name: _text(rows[name]) if name in needed and name in rows else nothing
            for name in track_columns.TEXTS
        }
        others = {
            name: _cells(rows[name]) if name in needed else nothing
            for name in ("release_date", *track_columns.NUMBERS)
        }
        return track_columns.make(pa.table({**others, **texts}), where, missing=True)


def _cells(column: "pd.Series[Any]") -> pa.Array:
    """Give cells of any one type, or as text where types differ."""
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return _text(column)


def _text(column: "pd.Series[Any]") -> pa.Array:
    """Give text as a file has it, null where there is nothing; of a list its parts."""
    if column.dtype == object:
        column = column.map(_joined)
    text = pa.array(categories(column.to_frame()).iloc[:, 0], pa.large_string(), from_pandas=True)
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), ""), None, text)


def _joined(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        return ",".join(str(part) for part in value if part is not None)
    return value


def _as_trained(kind: "Kind", cells: pa.Array | pa.ChunkedArray | NDArray[np.float64]) -> Any:
    """Give cells as the table holds them: floats with NaN, text or times."""
    if isinstance(cells, np.ndarray):
        return cells
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    if kind == "datetime":
        return cells.cast(pa.timestamp("us")).to_pandas()
    if is_text(cells):
        return cells.cast(pa.large_string()).to_pandas()
    return pc.fill_null(cells.cast(pa.float64(), safe=False), np.nan).to_numpy()
