"""The Kaggle table "Spotify Dataset 1922-2021, ~600k Tracks", reduced to the deck's features."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from popsearch.data import files
from popsearch.data.table import Table, freeze
from popsearch.errors import DataError

AUDIO = (
    "danceability",
    "energy",
    "key",
    "loudness",
    "mode",
    "speechiness",
    "acousticness",
    "instrumentalness",
    "liveness",
    "valence",
    "tempo",
)
TARGET = "popularity"
# A year below 1000 is how some sources write "unknown".
_DATE = r"^[12]\d{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$"
KAGGLE = "yamaerenay/spotify-dataset-19212020-600k-tracks"


def load(name: str, path: str | None) -> Table:
    """Give release year, audio features and whole seconds of every track, with its popularity.

    Raises
    ------
    DataError
        If the file is not the table of tracks, with the column and row.
    """
    if path is None:
        raise DataError(
            "data.path is required for data=tracks: download tracks.csv of the Kaggle data set "
            f"{KAGGLE} and give data.path=path/to/tracks.csv"
        )
    where = f"data.path={path}"
    table = files.read(path, ["release_date", *AUDIO, "duration_ms", TARGET])
    faults: list[str] = []

    def take(column: str) -> NDArray[np.float64]:
        try:
            if column == "release_date":
                return years(table[column], where)
            return files.numbers(table, column, where)
        except DataError as error:
            faults.extend(error.faults)
            return np.zeros(table.num_rows)

    columns = {"year": take("release_date")} | {column: take(column) for column in AUDIO}
    columns["duration_sec"] = take("duration_ms") // 1000
    popularity = take(TARGET)
    if faults:
        raise DataError(*faults)
    about = f"{table.num_rows:,} tracks from {Path(path).name}"
    return freeze(name, about, columns, popularity, where=where)


def years(dates: pa.ChunkedArray, where: str) -> NDArray[np.float64]:
    """Give the year of release dates written YYYY, YYYY-MM or YYYY-MM-DD, (n_rows,).

    Parameters
    ----------
    dates
        Text, bare years as numbers, or dates.

    Raises
    ------
    DataError
        If a date is written otherwise, with its row.
    """
    must = f"{where}: release_date must be YYYY, YYYY-MM or YYYY-MM-DD"
    dates = files.plain(dates)
    try:
        days = dates.cast(pa.date32(), safe=False) if pa.types.is_temporal(dates.type) else dates
        text = pc.utf8_trim_whitespace(days.cast(pa.string()))
    except pa.ArrowException:
        raise DataError(f"{must}, but the column holds {dates.type}") from None
    good = pc.fill_null(pc.match_substring_regex(text, _DATE), False)
    files.refuse(dates, ~good.to_numpy(), must)
    found: NDArray[np.float64] = pc.utf8_slice_codeunits(text, 0, 4).cast(pa.float64()).to_numpy()
    return found
