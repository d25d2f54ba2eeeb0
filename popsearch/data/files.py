"""Reading a table from a file of the user's, with one clear message for each way it can be bad."""

import gzip
import lzma
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from popsearch.errors import DataError, did_you_mean

SUFFIXES = (".csv", ".csv.gz", ".zip", ".parquet")


def read(path: str, columns: list[str]) -> pd.DataFrame:
    """Give these columns of a CSV (plain, gzipped, or alone in a zip) or Parquet file.

    Returns
    -------
    As many rows as the file has; text columns are left as text.

    Raises
    ------
    DataError
        If the file or one of the columns is not there, or the file cannot be read.
    """
    file = Path(path).expanduser()
    where = f"data.path={path}"
    if not file.exists():
        near = did_you_mean(file.name, _siblings(file)) if file.parent.is_dir() else ""
        raise DataError(f"{where}: there is no such file{near}")
    if file.is_dir():
        raise DataError(f"{where}: must be a file, but it is a folder{_inside(file)}")
    if not str(file).lower().endswith(SUFFIXES):
        raise DataError(
            f"{where}: must end with {', '.join(SUFFIXES)}, but got {file.suffix or 'no ending'}"
        )
    if file.stat().st_size == 0:
        raise DataError(f"{where}: the file is empty")
    try:
        if file.suffix == ".parquet":
            return _read_parquet(file, columns, where)
        return _read_csv(file, columns, where)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: must be UTF-8 text, but byte {error.object[error.start]:#04x} at "
            f"position {error.start} is not; save the file as UTF-8"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{where}: the compressed file is damaged or cut short ({error}); fetch it again"
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{where}: the file has no header line") from None
    except pd.errors.ParserError as error:
        raise DataError(f"{where}: is not a well-formed CSV: {_tidy(error)}") from None
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror or error}") from None


def numbers(frame: pd.DataFrame, column: str, where: str) -> NDArray[np.float64]:
    """Give a column as numbers, (n_rows,).

    Raises
    ------
    DataError
        If a value is text, with its row and what stands there.
    """
    values = pd.to_numeric(frame[column], errors="coerce")
    bad = np.flatnonzero(values.isna() & frame[column].notna())
    if len(bad):
        raise DataError(
            f"{where}: {column} must be a number in every row, but row {bad[0] + 1} has "
            f"{str(frame[column].iloc[bad[0]])[:40]!r}"
            + (f" (and {len(bad) - 1} more rows)" if len(bad) > 1 else "")
        )
    return values.to_numpy(np.float64, na_value=np.nan)


def _read_csv(file: Path, columns: list[str], where: str) -> pd.DataFrame:
    if file.suffix == ".zip":
        names = [n for n in zipfile.ZipFile(file).namelist() if not n.endswith("/")]
        if len(names) != 1:
            listed = ", ".join(names[:5]) or "nothing"
            raise DataError(f"{where}: the zip must hold one CSV, but it holds {listed}")
    header = pd.read_csv(file, header=None, nrows=1, dtype=str, encoding="utf-8-sig").iloc[0]
    _check_columns([str(name) for name in header], columns, where)
    return pd.read_csv(file, usecols=columns, encoding="utf-8-sig", low_memory=False)


def _read_parquet(file: Path, columns: list[str], where: str) -> pd.DataFrame:
    import pyarrow
    import pyarrow.parquet

    try:
        _check_columns(pyarrow.parquet.read_schema(file).names, columns, where)
        return pd.read_parquet(file, columns=columns)
    except pyarrow.ArrowException as error:
        raise DataError(f"{where}: is not a readable Parquet file: {_tidy(error)}") from None


def _check_columns(found: list[str], wanted: list[str], where: str) -> None:
    faults = []
    for column in wanted:
        n = found.count(column)
        if n == 0:
            faults.append(f"{where}: column {column} is missing{did_you_mean(column, found)}")
        elif n > 1:
            faults.append(f"{where}: column {column} must be there once, but it is {n} times")
    if faults:
        raise DataError(*faults)


def _siblings(file: Path) -> list[str]:
    return sorted(p.name for p in file.parent.iterdir() if p.name.lower().endswith(SUFFIXES))


def _inside(folder: Path) -> str:
    names = sorted(p.name for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))
    return f"; it holds {', '.join(names[:3])}" if names else ""


def _tidy(error: Exception) -> str:
    return str(error).strip().splitlines()[0].removeprefix("Error tokenizing data. C error: ")
