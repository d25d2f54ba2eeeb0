"""Reading a table from a file of the user's, with one clear message for each way it can be bad.

Arrow parses, not pandas: with ``usecols`` pandas lets rows with too many fields pass, and its
quick float parser can miss the last bit, so that a CSV and a Parquet of one table would differ.
"""

import gzip
import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from popsearch.errors import DataError, did_you_mean

SUFFIXES = (".csv", ".csv.gz", ".zip", ".parquet")
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_DAMAGED = (
    EOFError,
    OverflowError,  # an offset in a broken zip beyond all files
    RuntimeError,  # an encrypted zip, or one packed in a way that Python does not know
    ValueError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def read(path: str, columns: list[str]) -> pa.Table:
    """Give these columns of a CSV (plain, gzipped, or alone in a zip) or Parquet file.

    Returns
    -------
    As many rows as the file has. Columns of a CSV are text, with null for an empty cell.

    Raises
    ------
    DataError
        If the file or one of the columns is not there, or the file cannot be read.
    """
    where = f"data.path={path}"
    try:
        file = _find(path, where)
        if file.suffix.lower() == ".parquet":
            return _read_parquet(file, columns, where)
        return _read_csv(_unpack(file, where), columns, where)
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror or _tidy(error)}") from None


def numbers(table: pa.Table, column: str, where: str) -> NDArray[np.float64]:
    """Give a column as finite numbers, (n_rows,).

    Raises
    ------
    DataError
        If a value is empty, text or infinite, with its row and what stands there.
    """
    cells = plain(table[column])
    text = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
    try:
        found = _parse(cells) if text else cells.cast(pa.float64(), safe=False)
    except pa.ArrowException:
        raise DataError(f"{where}: {column} must hold numbers, but holds {cells.type}") from None
    values: NDArray[np.float64] = found.to_numpy()
    refuse(cells, ~np.isfinite(values), f"{where}: {column} must be a finite number")
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
    value = cells[int(rows[0])].as_py()
    empty = str(value).strip().lower() in ("", "none", "nan")
    if isinstance(value, str):
        value = repr(value if len(value) <= 40 else value[:40] + "...")
    more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    raise DataError(
        f"{must} in every row, but row {rows[0] + 1} {'is empty' if empty else f'has {value}'}"
        f"{more}; mend or remove such rows"
    )


def _find(path: str, where: str) -> Path:
    try:
        file = Path(path).expanduser()
    except RuntimeError:
        raise DataError(f"{where}: there is no such user") from None
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
    return file


def _tables(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))


def _unpack(file: Path, where: str) -> bytes:
    try:
        match file.suffix.lower():
            case ".gz":
                with gzip.open(file) as stream:
                    return stream.read()
            case ".zip":
                with zipfile.ZipFile(file) as packed:
                    return packed.read(_only_csv(packed.namelist(), where))
            case _:
                return file.read_bytes()
    except _DAMAGED as error:
        raise DataError(
            f"{where}: must be a whole {file.suffix} file, but it cannot be unpacked "
            f"({_tidy(error)}); fetch or pack it again"
        ) from None


def _only_csv(names: list[str], where: str) -> str:
    # A zip made on a Mac holds a shadow of every file, which is not the user's.
    own = [n for n in names if not n.endswith("/") and not n.startswith("__MACOSX/")]
    tables = [n for n in own if n.lower().endswith(".csv")]
    if len(tables) != 1:
        listed = ", ".join(own[:5]) + (", ..." if len(own) > 5 else "") or "nothing"
        raise DataError(
            f"{where}: the zip must hold one .csv file, but it holds {listed}; "
            "unpack it and give the path of the table"
        )
    return tables[0]


def _read_csv(raw: bytes, columns: list[str], where: str) -> pa.Table:
    _check_utf8(raw, where)
    if raw.count(b'"') % 2:  # Arrow would take all rows after a lone quote as one cell
        raise DataError(
            f"{where}: the quotation marks must pair up, but their number is odd; "
            "save the table as CSV again"
        )
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    rules = pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note)
    one_thread = pyarrow.csv.ReadOptions(use_threads=False)  # several do not number the rows
    try:
        with pyarrow.csv.open_csv(
            pa.BufferReader(raw), read_options=one_thread, parse_options=rules
        ) as stream:
            _check_columns(stream.schema.names, columns, where)
        ragged.clear()
        table = pyarrow.csv.read_csv(
            pa.BufferReader(raw),
            read_options=one_thread,
            parse_options=rules,
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowException as error:
        if "Empty CSV" in str(error):
            raise DataError(f"{where}: must have a header line and rows, but has no rows") from None
        raise DataError(f"{where}: is not a well-formed CSV: {_tidy(error)}") from None
    if ragged:
        first = ragged[0]
        more = f" (and {len(ragged) - 1:,} more)" if len(ragged) > 1 else ""
        raise DataError(
            f"{where}: every row must have {first.expected_columns} fields as the header has, but "
            f"row {first.number - 1} has {first.actual_columns}{more}; mend or remove such rows"
        )
    return table


def _check_utf8(raw: bytes, where: str) -> None:
    try:
        pa.array([raw], pa.large_binary()).cast(pa.large_string())  # without a copy as str
    except pa.ArrowInvalid:
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{where}: must be UTF-8 text, but byte {raw[error.start]:#04x} in line {line} "
                "is not; save the file as UTF-8"
            ) from None


def _read_parquet(file: Path, columns: list[str], where: str) -> pa.Table:
    try:
        with pyarrow.parquet.ParquetFile(file) as stored:
            _check_columns(stored.schema_arrow.names, columns, where)
            table = stored.read(columns=columns)
        table.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{where}: is not a readable Parquet file: {_tidy(error)}") from None
    return table


def _check_columns(found: list[str], wanted: list[str], where: str) -> None:
    if not set(found) & set(wanted):
        header = ",".join(found)
        shown = repr(header if len(header) <= 80 else header[:80] + "...")
        raise DataError(
            f"{where}: must have the columns {', '.join(wanted)}, separated by commas, "
            f"but the header is {shown}"
        )
    spare = [name for name in found if name not in wanted]
    faults = []
    for column in wanted:
        n = found.count(column)
        if n == 0:
            near = " ".join(did_you_mean(column, spare).split())  # a name may span lines
            hint = near if near.startswith("; did you mean") else "; the table must have it"
            faults.append(f"{where}: column {column} is missing{hint}")
        elif n > 1:
            faults.append(f"{where}: column {column} must be there once, but it is {n} times")
    if faults:
        raise DataError(*faults)


def _parse(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give the numbers that are written as text, and null for every other text."""
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(text)
    if pc.all(pc.is_in(pc.utf8_lower(trimmed), pa.array(["true", "false"], text.type))).as_py():
        return trimmed.cast(pa.bool_()).cast(pa.float64())
    good = pc.match_substring_regex(trimmed, _NUMBER)
    return pc.if_else(good, trimmed, None).cast(pa.float64())


def _tidy(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].removeprefix("CSV parse error: ")
