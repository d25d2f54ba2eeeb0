"""The frozen table that a study runs on."""

import contextlib
import ctypes
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from popsearch.errors import DataError

MIN_ROWS = 10
N_FIRST = 5  # rows that are kept as they stand in the file
_ABOUT = b"popsearch"

Kind = Literal["numeric", "boolean", "categorical", "labels", "datetime", "text", "id", "empty"]
"""What a column holds.

``labels`` are several categories to a cell, with commas between; ``text`` has a value of its own
in nearly every row; ``id`` counts the rows; ``empty`` has no values at all.
"""
FEATURE_KINDS: tuple[Kind, ...] = ("numeric", "boolean", "categorical", "labels", "datetime")
TEXT_KINDS: tuple[Kind, ...] = ("categorical", "labels", "text")

Columns = dict[str, tuple[Kind, pa.Array | pa.ChunkedArray | NDArray[np.float64]]]
"""Kind and cells of each column, by its name."""


@dataclass(frozen=True)
class Column:
    """What is known of a column.

    Parameters
    ----------
    n_distinct
        Counts different texts or labels, else it is 0.
    form
        How its dates are written in the file, as pandas says it.
    """

    kind: Kind
    n_missing: int
    n_distinct: int
    dropped: bool = False
    form: str = ""

    @property
    def is_feature(self) -> bool:
        """Whether a model may see it."""
        return self.kind in FEATURE_KINDS and not self.dropped


@dataclass(frozen=True, eq=False)
class Table:
    """Columns and target, read-only, with a fingerprint over all of their values.

    Parameters
    ----------
    name
        Names the MLflow experiment and begins the study's name.
    about
        One line for people: what these rows are.
    X
        All columns but the target, (n_rows, n_columns): floats with NaN (``numeric``,
        ``boolean``, ``id``, ``empty``), text (``categorical``, ``labels``, ``text``) or times.
    columns
        What is known of each, by name.
    y
        Target, (n_rows,).
    target
        Its name.
    true_mean
        What a perfect model would predict, (n_rows,), where the data are made up and so known.
    first
        Cells of the first rows, by column, as they stand in the file.
    """

    name: str
    about: str
    X: pd.DataFrame
    columns: Mapping[str, Column]
    y: NDArray[np.float64]
    target: str
    true_mean: NDArray[np.float64] | None
    fingerprint: str
    first: Mapping[str, list[Any]]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)


def assemble(
    columns: Columns,
    target: str,
    y: NDArray[np.float64],
    where: str,
    dropped: frozenset[str] = frozenset(),
    forms: Mapping[str, str] | None = None,
    first: Mapping[str, list[Any]] | None = None,
) -> pa.Table:
    """Give the checked columns in one Arrow table, as the cache holds it.

    Parameters
    ----------
    columns
        Kind and cells by name: numbers with NaN or null where missing, text, or times. Emptied, so
        that a large table is not held twice.
    where
        What a message says is at fault.
    dropped
        Columns that are no features, but may group or order the rows.
    forms
        How dates are written, by column.
    first
        The first rows as they stand in the file, where they do not stand there as numbers.

    Raises
    ------
    DataError
        If a value is infinite, the target is missing or constant, or rows are too few.
    """
    kinds = {name: kind for name, (kind, _) in columns.items()}
    cells = {}
    for name in kinds:
        cells[name] = _stored(*columns.pop(name))
        release_freed()
    used = [name for name in cells if name not in dropped]
    faults = [f for name in used for f in _infinite(where, name, cells[name])]
    faults += _unusable_target(where, target, y)
    if faults:
        raise DataError(*faults)
    known = {
        name: Column(
            kind,
            _n_missing(cells[name]),
            _n_distinct(kind, cells[name]),
            name in dropped,
            (forms or {}).get(name, ""),
        )
        for name, kind in kinds.items()
    }
    release_freed()
    names, arrays = [*cells, target], [*cells.values(), pa.array(y, pa.float64())]
    about = {
        "columns": {name: asdict(column) for name, column in known.items()},
        "fingerprint": _fingerprint(names, arrays),
        "first": first_rows(pa.table(cells)) if first is None else first,
    }
    return pa.table(arrays, names, metadata={_ABOUT: json.dumps(about).encode()})


def first_rows(table: pa.Table) -> dict[str, list[Any]]:
    """Give the cells of the first rows as JSON can hold them, by column."""
    first = table.slice(0, N_FIRST)
    return {name: _as_json(first[name]) for name in first.column_names}


def _as_json(cells: pa.ChunkedArray) -> list[Any]:
    kind = cells.type
    try:
        if pa.types.is_dictionary(kind):
            cells = cells.cast(kind.value_type)
        elif not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            cells = cells if pa.types.is_boolean(kind) else cells.cast(pa.large_string())
    except pa.ArrowException:  # dates that no calendar has
        return [None] * len(cells)
    return [None if value != value else value for value in cells.to_pylist()]  # NaN


def release_freed() -> None:
    """Give freed memory back to the system, which allocators would keep for later."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def view(
    cells: pa.Table, name: str, about: str, true_mean: NDArray[np.float64] | None = None
) -> Table:
    """Give the table over what ``assemble`` made, without copying numbers."""
    known = json.loads(cells.schema.metadata[_ABOUT])
    *names, target = cells.column_names
    # One block for each column, so that a memory-mapped file stays where it is.
    X = cells.select(names).to_pandas(split_blocks=True, ignore_metadata=True)
    y = cells[target].chunk(0).to_numpy(zero_copy_only=True)
    if true_mean is not None:
        true_mean = np.array(true_mean, dtype=np.float64)
        true_mean.flags.writeable = False
    columns = {key: Column(**values) for key, values in known["columns"].items()}
    fingerprint, first = known["fingerprint"], known["first"]
    return Table(name, about, X, columns, y, target, true_mean, fingerprint, first)


def _stored(kind: Kind, values: pa.Array | pa.ChunkedArray | NDArray[np.float64]) -> pa.Array:
    """Give one contiguous array of the type that this kind is stored in."""
    cells = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    if isinstance(cells, pa.ChunkedArray):
        if kind in TEXT_KINDS:  # before all is in one chunk, where short offsets may not suffice
            cells = cells.cast(pa.large_string())
        cells = cells.combine_chunks()
        if isinstance(cells, pa.ChunkedArray):
            cells = cells.chunk(0) if cells.num_chunks else pa.array([], cells.type)
    if kind in TEXT_KINDS:
        return cells.cast(pa.large_string())
    if kind == "datetime":
        return cells.cast(pa.timestamp("us"))
    if pa.types.is_null(cells.type):
        return pa.array(np.full(len(cells), np.nan))
    # NaN, not null: then pandas sees the very bytes.
    return pc.fill_null(cells.cast(pa.float64(), safe=False), np.nan)


def _infinite(where: str, column: str, cells: pa.Array) -> list[str]:
    if not pa.types.is_floating(cells.type):
        return []
    return _bad_values(where, column, "finite", np.isinf(cells.to_numpy()), cells.to_numpy())


def _unusable_target(where: str, target: str, y: NDArray[np.float64]) -> list[str]:
    faults = _bad_values(where, f"the target {target}", "a finite number", ~np.isfinite(y), y)
    if len(y) < MIN_ROWS:
        faults.append(f"{where}: must have at least {MIN_ROWS} rows, but has {len(y)}")
    elif not faults and np.all(y == y[0]):
        faults.append(
            f"{where}: the target {target} must vary, but it is {y[0]:g} in all {len(y):,} rows"
        )
    return faults


def _bad_values(
    where: str, column: str, must: str, bad: NDArray[np.bool_], values: NDArray[np.float64]
) -> list[str]:
    rows = np.flatnonzero(bad)
    if not len(rows):
        return []
    what = "empty" if np.isnan(values[rows[0]]) else "infinite"
    return [
        f"{where}: {column} must be {must} in every row, but {len(rows):,} of {len(values):,} "
        f"rows are not, the first in row {rows[0] + 1} ({what}); mend or remove these rows"
    ]


def _n_missing(cells: pa.Array) -> int:
    return int(pc.sum(pc.is_null(cells, nan_is_null=True)).as_py() or 0)


def _n_distinct(kind: Kind, cells: pa.Array) -> int:
    if kind == "labels":
        cells = pc.list_flatten(pc.split_pattern(cells, ","))
    elif kind not in TEXT_KINDS:
        return 0  # which nobody asks for, and counting takes seconds
    return int(pc.count_distinct(cells).as_py())


def _fingerprint(names: list[str], arrays: list[pa.Array]) -> str:
    """Give a hash of names and values that does not depend on how Arrow lays them out."""
    digest = hashlib.sha256(repr(names).encode())
    for cells in arrays:
        digest.update(np.packbits(cells.is_null().to_numpy(zero_copy_only=False)).data)
        if pa.types.is_large_string(cells.type):
            filled = pc.fill_null(cells, "")
            digest.update(pc.binary_length(filled).to_numpy().data)
            _, offsets, data = filled.buffers()
            bounds = np.frombuffer(offsets, np.int64)[filled.offset :]
            if data is not None:
                digest.update(memoryview(data)[bounds[0] : bounds[len(filled)]])
        else:
            numbers = cells.cast(pa.int64()) if pa.types.is_timestamp(cells.type) else cells
            digest.update(pc.fill_null(numbers, 0).to_numpy().data)
    return digest.hexdigest()
