"""Reading Parquet and Feather files, whose columns may be of far more types than those of a CSV."""

import contextlib
import subprocess
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

from popsearch.data.files.cells import BLANK, plain
from popsearch.data.files.header import choose, tidy, without_absent
from popsearch.errors import DataError

BATCH = 1 << 16  # rows that are handed out at once
_TRY = "import sys, pyarrow.feather as f; f.read_table(sys.argv[1]).validate(full=True)"
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def read(file: Path, where: str, columns: Sequence[str] | None) -> pa.Table:
    """Give the columns of a Parquet or Feather file (also Arrow's own, as a file or a stream).

    Raises
    ------
    DataError
        If one of the columns is not there, or the file is damaged.
    """
    parquet = file.suffix.lower() == ".parquet"
    with _told(file, where):
        return _parquet(file, where, columns) if parquet else _feather(file, where, columns)


def batches(
    file: Path, where: str, columns: Sequence[str], optional: Collection[str]
) -> Iterator[tuple[pa.Table, float]]:
    """Give some rows at a time, and the share of the file that was read so far.

    Raises
    ------
    DataError
        If one of the columns is not there, or the file is damaged.
    """
    with _told(file, where), contextlib.ExitStack() as opened:
        found, n_rows, parts = _parts(file, opened)
        chosen = choose(found, without_absent(columns, optional, found), where)
        n_done = 0
        for part in parts([*chosen.values()]):
            whole = pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part
            table = whole.rename_columns([*chosen])
            for i in range(0, table.num_rows, BATCH):
                some = table.slice(i, BATCH)
                n_done += some.num_rows
                yield some, n_done / n_rows if n_rows else 0.0


def _parts(
    file: Path, opened: contextlib.ExitStack
) -> tuple[list[str], int, Callable[[list[int]], Iterable[pa.RecordBatch | pa.Table]]]:
    """Give the names of columns, the number of rows where it is known, and what reads some."""
    if file.suffix.lower() == ".parquet":
        stored = opened.enter_context(pyarrow.parquet.ParquetFile(file))
        names = stored.schema_arrow.names

        def of_parquet(places: list[int]) -> Iterable[pa.RecordBatch]:
            wanted = [names[i] for i in places]
            each = stored.iter_batches(BATCH, columns=wanted)
            return (batch.select(wanted) for batch in each)

        return names, stored.metadata.num_rows, of_parquet
    mapped = opened.enter_context(pa.memory_map(str(file)))
    magic = mapped.read(6)
    mapped.seek(0)
    if magic.startswith(b"FEA1"):
        table = _old_feather(file)
        return table.column_names, table.num_rows, lambda places: [table.select(places)]
    if magic == b"ARROW1":
        reader = opened.enter_context(pa.ipc.open_file(mapped))
        every = (reader.get_batch(i) for i in range(reader.num_record_batches))
        n_rows = sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches))
        return reader.schema.names, n_rows, lambda places: (b.select(places) for b in every)
    stream = opened.enter_context(pa.ipc.open_stream(mapped))
    return stream.schema.names, 0, lambda places: (b.select(places) for b in stream)


@contextlib.contextmanager
def _told(file: Path, where: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk, not the content
            raise
        kind = "Parquet" if file.suffix.lower() == ".parquet" else "Feather"
        raise DataError(f"{where}: is not a readable {kind} file: {tidy(error)}") from None


def simplify(cells: pa.ChunkedArray, as_text: bool, where: str) -> pa.ChunkedArray:
    """Give a column of any type as one of those that a CSV can have: int64, double, bool, ...

    Raises
    ------
    DataError
        If it is damaged, or of a type that cannot be turned into another.
    """
    try:
        cells.validate(full=True)
        return _simplify(cells, as_text)
    except (pa.ArrowException, ArithmeticError, LookupError, TypeError, ValueError) as error:
        kind = " ".join(str(cells.type).split())  # names inside may span lines
        raise DataError(
            f"{where} cannot be read as {kind} ({tidy(error)}); mend it or leave it out"
        ) from None


def _parquet(file: Path, where: str, columns: Sequence[str] | None) -> pa.Table:
    with pyarrow.parquet.ParquetFile(file) as stored:
        found = stored.schema_arrow.names
        chosen = choose(found, columns, where)
        if len(set(found)) < len(found):  # Parquet's columns are chosen by name
            table = stored.read().select([*chosen.values()])
        else:
            wanted = [found[i] for i in chosen.values()]
            table = stored.read(columns=wanted).select(wanted)
    return table.rename_columns([*chosen])


def _feather(file: Path, where: str, columns: Sequence[str] | None) -> pa.Table:
    with file.open("rb") as stream:
        magic = stream.read(6)
    if magic.startswith(b"FEA1"):
        table = _old_feather(file)
        chosen = choose(table.column_names, columns, where)
        return table.select([*chosen.values()]).rename_columns([*chosen])
    with pa.OSFile(str(file)) as stored:
        reader = pa.ipc.open_file if magic == b"ARROW1" else pa.ipc.open_stream
        with reader(stored) as opened:
            chosen = choose(opened.schema.names, columns, where)
        stored.seek(0)
        kept = sorted(chosen.values())
        with reader(stored, options=pa.ipc.IpcReadOptions(included_fields=kept)) as opened:
            table = opened.read_all()
    return table.select([kept.index(i) for i in chosen.values()]).rename_columns([*chosen])


def _old_feather(file: Path) -> pa.Table:
    # Arrow dies of damaged files of this kind, so another process has to survive it first.
    tried = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _TRY, str(file)], capture_output=True, check=False
    )
    if tried.returncode:
        raise pa.ArrowInvalid("it is of version 1, and damaged")
    with warnings.catch_warnings(action="ignore"):  # that it is of version 1
        return pyarrow.feather.read_table(file)


def _simplify(cells: pa.ChunkedArray, as_text: bool) -> pa.ChunkedArray:
    kind, types = cells.type, pa.types
    extended = isinstance(kind, pa.BaseExtensionType)
    if extended and not _is_binary(kind.storage_type):
        inner = [chunk.storage for chunk in cells.chunks]
        return _simplify(pa.chunked_array(inner, kind.storage_type), as_text)
    if types.is_run_end_encoded(kind):
        return _simplify(pc.run_end_decode(cells), as_text)
    if types.is_dictionary(kind):
        if types.is_integer(kind.value_type):  # who stores numbers so says that they are categories
            return _simplify(plain(cells), as_text=True).dictionary_encode()
        return _simplify(plain(cells), as_text)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        text = cells.cast(pa.string())
        empty = pc.is_in(text, pa.array(BLANK))  # null, as in a CSV
        return pc.if_else(empty, None, text) if pc.any(empty).as_py() else text
    if extended or types.is_nested(kind) or _is_binary(kind) or types.is_interval(kind):
        spelled = pa.array(map(_spell, cells), pa.string(), size=len(cells))
        return _simplify(pa.chunked_array([spelled]), as_text)
    if as_text:
        return cells.cast(pa.string())
    if types.is_integer(kind):
        try:
            return cells.cast(pa.int64())
        except pa.ArrowInvalid:
            return cells.cast(pa.float64(), safe=False)
    if types.is_floating(kind) or types.is_decimal(kind):
        return cells.cast(pa.float64())
    if types.is_time(kind) or types.is_duration(kind):
        whole = cells.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
        return pc.divide(whole.cast(pa.float64(), safe=False), float(_PER_SECOND[kind.unit]))
    return cells.cast(pa.timestamp("ms")) if types.is_date64(kind) else cells


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _spell(cell: pa.Scalar) -> str | None:
    """Give a cell that is no number, truth value, date or text as text."""
    value: Any = cell.as_py()
    match value:
        case None:
            return None
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value.hex()
        case list():
            return ",".join(str(part) for part in value if part is not None)
        case _:
            return str(value)
