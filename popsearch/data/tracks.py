"""The Kaggle table "Spotify Dataset 1922-2021, ~600k Tracks"."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from popsearch.data import cache, files, kaggle, track_columns
from popsearch.data.table import Columns, Table, assemble, first_rows, view
from popsearch.errors import DataError
from popsearch.source import TracksData

TARGET = "popularity"


def load(cfg: TracksData) -> Table:
    """Give every track with its popularity: the deck's features, and what the catalogue knows.

    Raises
    ------
    DataError
        If the file is not the table of tracks, with the column and row, or cannot be fetched.
    """
    file = files.find(cfg.path) if cfg.path is not None else kaggle.fetch()
    settings = {"source": "tracks", "ending": file.suffix.lower()}
    cells = cache.cached(file, settings, lambda: _parse(str(file)))
    if cfg.path is None and (faults := kaggle.check(cells.num_rows)):
        raise DataError(*faults)
    return view(cells, cfg.name, f"{cells.num_rows:,} tracks from {file.name}")


def _parse(path: str) -> pa.Table:
    """Give the columns of a table of tracks, checked."""
    where, texts = f"data.path={path}", track_columns.TEXTS
    wanted = ["release_date", *track_columns.NUMBERS, *texts, TARGET]
    # The table as it was read has no name here: cells that change their type would be held twice.
    columns, popularity, first = _columns(files.read(path, wanted, text=texts), where)
    return assemble(columns, TARGET, popularity, where, first=first)


def _columns(
    table: pa.Table, where: str
) -> tuple[Columns, NDArray[np.float64], dict[str, list[Any]]]:
    """Give columns, popularity and the first rows, or all faults of their cells."""
    faults: list[str] = []
    columns: Columns = {}
    popularity = np.zeros(0)
    try:
        columns = track_columns.make(table, where)
    except DataError as error:
        faults.extend(error.faults)
    try:
        popularity = files.numbers(table, TARGET, where)
    except DataError as error:
        faults.extend(error.faults)
    if faults:
        raise DataError(*faults)
    return columns, popularity, first_rows(table.drop_columns([TARGET]))
