"""Reading a CSV block by block: types read off the cells, a clear message for each bad file.

To infer types, Arrow keeps the text of the whole file in memory. So the types of the first rows are
taken for all rows. Where a later cell does not fit, the columns are read as text and inferred one
by one: a column has the same type either way.
"""

import codecs
import contextlib
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from popsearch.data.files import unpack
from popsearch.data.files.cells import BLANK, SPELLED_EMPTY
from popsearch.data.files.header import SEPARATORS, choose, tidy, without_absent
from popsearch.errors import DataError

_BLOCK = 1 << 18  # of larger ones the columns would keep more memory that they do not use
_LARGE_BLOCK = 1 << 24  # for rows that are longer than a block
_SAMPLE = 4  # so many blocks of rows tell the types
_TRIES = 6  # to read single columns as text, before all are
_MISFIT = re.compile(r"CSV column #(\d+): CSV conversion error")
_NO_NAME = "\0"  # of no column


@dataclass(frozen=True)
class _Form:
    """How cells are written, and how many bytes are read at once."""

    separator: str
    decimal: str
    block: int

    def places(self, n_columns: int) -> pyarrow.csv.ReadOptions:
        """Give names of our own for the header's, which need not differ from each other."""
        return pyarrow.csv.ReadOptions(
            column_names=[str(i) for i in range(n_columns)],
            skip_rows_after_names=1,
            block_size=self.block,
        )

    def rules(self, ragged: Callable[[Any], str] | None = None) -> pyarrow.csv.ParseOptions:
        """Give what a row is, and what is done with one that has too few or too many cells."""
        return pyarrow.csv.ParseOptions(
            delimiter=self.separator, newlines_in_values=True, invalid_row_handler=ragged
        )

    def cells(self, **options: Any) -> pyarrow.csv.ConvertOptions:
        """Give what a cell can be."""
        return pyarrow.csv.ConvertOptions(
            null_values=[*SPELLED_EMPTY, *BLANK],
            strings_can_be_null=True,
            decimal_point=self.decimal,
            **options,
        )


def read(
    file: Path,
    where: str,
    columns: Sequence[str] | None,
    text: Collection[str],
    separator: str | None,
    decimal: str,
) -> pa.Table:
    """Give a CSV, plain, gzipped or alone in a zip, as ``popsearch.data.files.read`` says.

    Raises
    ------
    DataError
        If the file is no whole CSV, or lacks one of the columns.
    """
    form = _Form(separator or _find_separator(file, where), decimal, _BLOCK)
    try:
        try:
            return _read(file, where, columns, text, form)
        except pa.ArrowInvalid as error:
            if "block size" not in str(error) and "Empty CSV" not in str(error):
                raise
            form = replace(form, block=_LARGE_BLOCK)
            return _read(file, where, columns, text, form)
    except pa.ArrowException as error:
        raise _fault(file, where, form, error) from None


def batches(
    file: Path, where: str, columns: Sequence[str], optional: Collection[str]
) -> Iterator[tuple[pa.Table, float]]:
    """Give some rows at a time, all cells as text, and the share of the file that was read so far.

    Raises
    ------
    DataError
        If the file is no whole CSV, or lacks one of the columns.
    """
    form = _Form(_find_separator(file, where), ".", _LARGE_BLOCK)
    try:
        schema = _sample(*_head(file, where, form), form, [])
        wanted = without_absent(columns, optional, schema.names)
        chosen = choose(schema.names, wanted, where, form.separator)
        columns_by_place = [str(i) for i in chosen.values()]
        with unpack.Source(file, where) as source:
            with pyarrow.csv.open_csv(
                pa.PythonFile(source, mode="r"),
                form.places(len(schema)),
                form.rules(),
                form.cells(
                    column_types=dict.fromkeys(columns_by_place, pa.string()),
                    include_columns=columns_by_place,
                ),
            ) as stream:
                for batch in stream:
                    yield pa.Table.from_batches([batch]).rename_columns([*chosen]), source.share
            unpack.check_quotes(source.n_quotes, where)
    except pa.ArrowException as error:
        raise _fault(file, where, form, error) from None


def _find_separator(file: Path, where: str) -> str:
    """Give the separator of the header that most rows agree with; a comma in doubt."""
    form = _Form(",", ".", _BLOCK)
    head, whole = _head(file, where, form)
    line = head[: head.find(b"\n")]
    there = [separator for separator in SEPARATORS if separator.encode() in line]
    if len(there) < 2:
        return there[0] if there else ","

    def misfit(separator: str) -> tuple[float, int]:
        ragged: list[Any] = []
        try:
            schema = _sample(head, whole, replace(form, separator=separator), ragged)
        except pa.ArrowException:
            return float("inf"), 0
        return len(ragged), -len(schema)

    return min(there, key=misfit)


def _head(file: Path, where: str, form: _Form) -> tuple[bytes, bool]:
    """Give the first bytes, and whether they are all."""
    with unpack.Source(file, where) as source:
        head, whole = source.read(2 * _SAMPLE * form.block), not source.read(1)
    try:
        codecs.utf_8_decode(head, "strict", whole)
    except UnicodeDecodeError:  # pyarrow would print a traceback beside a ragged row
        unpack.check(file, where)
    return head, whole


def _sample(head: bytes, whole: bool, form: _Form, ragged: list[Any]) -> pa.Schema:
    """Give names and types by the first rows, and note those with too few or too many cells."""

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    # Where more follows the last row may be cut, so a second block is begun and left unread.
    size = len(head) if whole else len(head) // 2
    options = pyarrow.csv.ReadOptions(use_threads=False, block_size=max(size, 1))
    with pyarrow.csv.open_csv(
        pa.BufferReader(head), options, form.rules(note), form.cells()
    ) as stream:
        return stream.schema


def _read(
    file: Path, where: str, columns: Sequence[str] | None, text: Collection[str], form: _Form
) -> pa.Table:
    schema = _sample(*_head(file, where, form), form, [])
    chosen = choose(schema.names, columns, where, form.separator)
    types = {i: pa.string() if name in text else schema.types[i] for name, i in chosen.items()}
    unsure = {i for i, kind in types.items() if pa.types.is_null(kind)}
    types |= dict.fromkeys(unsure, pa.string())
    for n_tries in itertools.count(1):
        try:
            cells = _parse(file, where, len(schema), types, form)
            break
        except pa.ArrowInvalid as error:
            misfit = _MISFIT.search(str(error))
            again = {int(misfit[1])} if misfit and n_tries < _TRIES else {*types}
            again = {i for i in again if types.get(i, pa.string()) != pa.string()}
            if not again:
                raise
            unsure |= again
            types |= dict.fromkeys(again, pa.string())
    for i, position in enumerate(types):
        if position in unsure:
            cells[i] = _infer(cells[i], form)
    return pa.table(cells, names=list(chosen))


def _parse(
    file: Path, where: str, n_columns: int, types: Mapping[int, pa.DataType], form: _Form
) -> list[pa.ChunkedArray]:
    """Give the columns at some positions as these types."""
    columns = {str(i): kind for i, kind in types.items()}
    with unpack.Source(file, where) as source:
        table = pyarrow.csv.read_csv(
            pa.PythonFile(source, mode="r"),
            form.places(n_columns),
            form.rules(),
            form.cells(column_types=columns, include_columns=list(columns)),
            # The others keep much of what they freed, and are no faster here.
            memory_pool=pa.system_memory_pool(),
        )
        unpack.check_quotes(source.n_quotes, where)
    return list(table.columns)


def _infer(text: pa.ChunkedArray, form: _Form) -> pa.ChunkedArray:
    """Give a column that was read as text as the type that fits all of its cells."""
    if text.null_count == len(text):
        return pa.chunked_array([pa.nulls(len(text))])
    sink = pa.BufferOutputStream(pa.system_memory_pool())
    pyarrow.csv.write_csv(pa.table([text], ["0"]), sink)
    return pyarrow.csv.read_csv(
        pa.BufferReader(sink.getvalue()),
        pyarrow.csv.ReadOptions(block_size=_LARGE_BLOCK),
        pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        form.cells(),
        memory_pool=pa.system_memory_pool(),
    )[0]


def _fault(file: Path, where: str, form: _Form, error: Exception) -> DataError:
    """Find what is wrong with a file that could not be read."""
    unpack.check(file, where)
    if "Empty CSV" in str(error):
        return DataError(f"{where}: must have a header line and rows, but has no rows")
    ragged: list[Any] = []
    good = -1

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    # Several threads would not number the rows; and no column needs to be read.
    options = pyarrow.csv.ReadOptions(use_threads=False, block_size=form.block)
    none = form.cells(include_columns=[_NO_NAME], include_missing_columns=True)
    with unpack.Source(file, where) as source, contextlib.suppress(pa.ArrowException):
        good = pyarrow.csv.read_csv(
            pa.PythonFile(source, mode="r"), options, form.rules(note), none
        ).num_rows
    if "block size" in str(error):
        return DataError(
            f"{where}: every row must be shorter than {_LARGE_BLOCK >> 20} MiB, but one is longer; "
            "look for a quotation mark that was left open"
        )
    if not ragged:
        return DataError(f"{where}: is not a well-formed CSV: {tidy(error)}")
    first = ragged[0]
    fields = f"{first.expected_columns} field{'s' * (first.expected_columns != 1)}"
    if good == 0 and len(ragged) > 1 and len({row.actual_columns for row in ragged}) == 1:
        return DataError(
            f"{where}: the first line must name the columns, but it has {fields} "
            f"and each of the {len(ragged):,} rows has {first.actual_columns}; remove what "
            "stands above the header, or complete it"
        )
    more = f" (and {len(ragged) - 1:,} more)" if len(ragged) > 1 else ""
    return DataError(
        f"{where}: every row must have {fields} as the header has, but "
        f"row {first.number - 1} has {first.actual_columns}{more}; mend or remove such rows"
    )
