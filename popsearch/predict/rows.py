"""Rows read, predicted and written some at a time: a table may be larger than the memory."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from popsearch.data import files
from popsearch.errors import DataError
from popsearch.tracking import LoadedModel
from popsearch.wholefile import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

SUFFIXES = (".csv", ".parquet")
PREDICTION = "prediction"
_ROW = re.compile(r"(?<=but row )\d+(?= )")


def predict(
    model: LoadedModel, file: Path, output: Path, keep: Sequence[str], console: "Console"
) -> int:
    """Write the predictions for a file's rows, in their order, and give their number.

    Parameters
    ----------
    output
        CSV or Parquet: the columns to keep, then ``PREDICTION``. It is there only when it is whole.
    console
        Shows how far it is, where it is a terminal.

    Raises
    ------
    DataError
        If the file lacks a column, or a cell cannot be read.
    OSError
        If the output cannot be written.
    """
    where, n_rows = f"input={file}", 0
    columns = [*dict.fromkeys([*model.needs, *keep])]
    optional = {*model.optional} - {*keep}
    with replacing(output) as temporary, contextlib.ExitStack() as opened:
        moved = opened.enter_context(_progress(console))
        writer: Any = None
        for table, share in files.batches(file, where, columns, optional):
            kept = {name: files.plain(table[name]) for name in keep}
            part = pa.table({**kept, PREDICTION: _predicted(model, table, where, n_rows)})
            if writer is None:
                schema = part.schema
                writer = opened.enter_context(_writer(temporary, output, schema))
            writer.write_table(part.cast(schema))
            n_rows += table.num_rows
            moved(share, n_rows)
        if not n_rows:
            raise DataError(f"{where}: must have a header line and rows, but has no rows")
        opened.close()  # the writer first: then the file is whole
    return n_rows


def _predicted(
    model: LoadedModel, table: pa.Table, where: str, n_before: int
) -> "NDArray[np.float64]":
    needed = [name for name in model.needs if name in table.column_names]
    # Whole numbers with gaps as Python's own, or large ones would lose digits as floats.
    rows = table.select(needed).to_pandas(integer_object_nulls=True)
    try:
        return model.predict(rows)
    except DataError as error:
        raise DataError(
            *(
                _ROW.sub(lambda row: str(int(row[0]) + n_before), fault, count=1).replace(
                    "input:", f"{where}:", 1
                )
                for fault in error.faults
            )
        ) from None


def _writer(file: Path, output: Path, schema: pa.Schema) -> Any:
    if output.suffix.lower() == ".csv":
        return pyarrow.csv.CSVWriter(file, schema)
    return pyarrow.parquet.ParquetWriter(file, schema)


@contextlib.contextmanager
def _progress(console: "Console") -> Iterator[Callable[[float, int], None]]:
    """Show a bar where there is a terminal, and give what moves it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(24), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("loading", total=1.0)

        def moved(share: float, n_rows: int) -> None:
            progress.update(task, completed=share, description=f"{n_rows:,} rows")

        yield moved
