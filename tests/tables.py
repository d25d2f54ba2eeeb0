"""Small tables as files, and what reading them ends with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from popsearch.data import files
from popsearch.errors import DataError, printable

ROWS = b"a,b,word\n1,0.1,x\n2,-2e-3,y\n3,1e300,z\n"


def write(folder: Path, raw: bytes | str = ROWS, name: str = "t.csv") -> str:
    """Write a file and give its path."""
    path = folder / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return str(path)


def load(path: str, columns: list[str], **options: Any) -> list[np.ndarray]:
    """Read these columns as numbers."""
    table = files.read(path, columns, **options)
    return [files.numbers(table, name, f"data.path={path}") for name in columns]


def told(path: str, action: Callable[[], object]) -> str:
    """Give the message that an action on a file ends with."""
    with pytest.raises(DataError) as caught:
        action()
    where = f"data.path={printable(path)}: "
    assert all(line.startswith(where) for line in caught.value.faults)
    assert len(str(caught.value).splitlines()) == len(caught.value.faults)
    return str(caught.value).replace(where, "data.path=PATH: ")


def fault(path: str, *columns: str, **options: Any) -> str:
    """Give the message that reading the file, and every column as numbers, ends with."""
    return told(path, lambda: load(path, list(columns) or ["a", "b"], **options))


def column(*values: object, kind: pa.DataType = None) -> pa.Table:
    """Give a table of one column named a."""
    return pa.table({"a": pa.array(values, kind)})


def shown(value: object) -> str:
    """Give what names a test with this table, or with this text to be found."""
    return str(value["a"].type)[:40] if isinstance(value, pa.Table) else str(value)[-30:]


def stored(folder: Path, table: pa.Table, kind: str = "parquet") -> str:
    """Write a table as a file of this kind and give its path."""
    path = str(folder / f"t.{kind}")
    match kind:
        case "parquet":
            pyarrow.parquet.write_table(table, path)
        case "feather":
            pyarrow.feather.write_feather(table, path)
        case "arrow":
            with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
    return path
