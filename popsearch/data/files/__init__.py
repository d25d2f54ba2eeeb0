"""Reading a table from a file of the user's, with one clear message for each way it can be bad.

Arrow parses, not pandas: with ``usecols`` pandas lets rows with too many fields pass, and its
quick float parser can miss the last bit, so that a CSV and a Parquet of one table would differ.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from popsearch.data.files import arrowfile, csvfile
from popsearch.data.files.cells import DECIMAL, NUMBER, booleans, numbers, plain, refuse
from popsearch.data.files.dates import form_of, times
from popsearch.data.files.header import tidy
from popsearch.errors import DataError, did_you_mean

__all__ = [
    "NUMBER",
    "SUFFIXES",
    "batches",
    "booleans",
    "find",
    "form_of",
    "numbers",
    "plain",
    "read",
    "refuse",
    "times",
]

_TEXT = (".csv", ".tsv", ".txt")
SUFFIXES = (*_TEXT, *(f"{ending}.gz" for ending in _TEXT), ".zip", ".parquet", ".feather", ".arrow")


def find(path: str, setting: str = "data.path") -> Path:
    """Give the file of a path, which may begin with ~.

    Raises
    ------
    DataError
        If it is not there, is empty, or its ending is none of ``SUFFIXES``.
    """
    where = f"{setting}={path}"
    try:
        file = Path(path).expanduser()
        if not file.exists():
            near = did_you_mean(file.name, _tables(file.parent)) if file.parent.is_dir() else ""
            raise DataError(f"{where}: there is no such file{near}")
        if file.is_dir():
            names = _tables(file)
            inside = f"; it holds {', '.join(names[:3])}" if names else ""
            raise DataError(f"{where}: must be a file, but it is a folder{inside}")
        if not file.name.lower().endswith(SUFFIXES):
            raise DataError(f"{where}: must end with {', '.join(SUFFIXES)}, but got {file.name}")
        if file.stat().st_size == 0:
            raise DataError(f"{where}: the file is empty")
    except RuntimeError:
        raise DataError(f"{where}: there is no such user") from None
    except OSError as error:
        raise _unreadable(where, error) from None
    return file


def read(
    path: str,
    columns: Sequence[str] | None = None,
    text: Collection[str] = (),
    separator: str | None = None,
    decimal: str = ".",
    dropped: Collection[str] = (),
) -> pa.Table:
    """Give the table in a CSV (plain, gzipped, or alone in a zip), Parquet or Feather file.

    Parameters
    ----------
    columns
        Which, in this order; all where it is None.
    text
        Columns that are given as they are written: the others become whole numbers, doubles, truth
        values, dates, times or text, whichever fits all of their cells.
    separator
        Of a CSV; None reads it off the header.
    decimal
        Of a CSV.
    dropped
        Columns that nobody needs: where one cannot be read, its cells are empty.

    Returns
    -------
    As many rows as the file has, null for an empty cell. Whole numbers that are stored as a
    dictionary are a dictionary of text. Times of day are seconds. Lists of texts are text with
    commas between, and what a model could not use anyway is text.

    Raises
    ------
    DataError
        If the file or one of the columns is not there, or the file cannot be read.
    """
    where = f"data.path={path}"
    file = find(path)
    packed = file.suffix.lower() in (".parquet", ".feather", ".arrow")
    try:
        if packed:
            table = arrowfile.read(file, where, columns)
        else:
            table = csvfile.read(file, where, columns, text, separator, decimal)
    except OSError as error:
        raise _unreadable(where, error) from None
    if not table.num_rows:
        raise DataError(f"{where}: must have a header line and rows, but has no rows")
    names, cells = table.column_names, list(table.columns)
    del table  # or a column whose type changes would be held twice
    for i, name in enumerate(names):
        if packed or pa.types.is_time(cells[i].type):
            try:
                cells[i] = arrowfile.simplify(cells[i], name in text, f"{where}: column {name}")
            except DataError:
                if name not in dropped:
                    raise
                cells[i] = pa.chunked_array([pa.nulls(len(cells[i]))])
    point = {DECIMAL: decimal.encode()} if decimal != "." and not packed else None
    return pa.table(cells, names, metadata=point)


def batches(
    file: Path, where: str, columns: Sequence[str], optional: Collection[str] = ()
) -> Iterator[tuple[pa.Table, float]]:
    """Give a file's rows some at a time, and the share of the file that was read by then.

    Parameters
    ----------
    columns
        Which, in this order.
    optional
        Those among them that need not be there.

    Returns
    -------
    All cells of a CSV as text, null for an empty one; those of other files as ``read`` gives them.

    Raises
    ------
    DataError
        If one of the columns is not there, or the file cannot be read.
    """
    packed = file.suffix.lower() in (".parquet", ".feather", ".arrow")
    parts = arrowfile.batches if packed else csvfile.batches
    try:
        for table, share in parts(file, where, columns, optional):
            if packed:
                cells = {
                    name: arrowfile.simplify(table[name], False, f"{where}: column {name}")
                    for name in table.column_names
                }
                yield pa.table(cells), share
            else:
                yield table, share
    except OSError as error:
        raise _unreadable(where, error) from None


def _unreadable(where: str, error: OSError) -> DataError:
    return DataError(f"{where}: cannot be read: {error.strerror or tidy(error)}")


def _tables(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))
