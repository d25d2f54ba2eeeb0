"""The Kaggle table "Spotify Dataset 1922-2021, ~600k Tracks", reduced to the deck's features."""

from pathlib import Path

import numpy as np
import pandas as pd
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
    frame = files.read(path, ["release_date", *AUDIO, "duration_ms", TARGET])
    faults: list[str] = []
    columns: dict[str, NDArray[np.float64]] = {}

    def take(column: str) -> NDArray[np.float64]:
        try:
            return files.numbers(frame, column, where)
        except DataError as error:
            faults.extend(error.faults)
            return np.zeros(len(frame))

    try:
        columns["year"] = years(frame["release_date"], where)
    except DataError as error:
        faults.extend(error.faults)
    columns |= {column: take(column) for column in AUDIO}
    columns["duration_sec"] = take("duration_ms") // 1000
    popularity = take(TARGET)
    if faults:
        raise DataError(*faults)
    about = f"{len(frame):,} tracks from {Path(path).name}"
    return freeze(name, about, columns, popularity)


def years(dates: pd.Series, where: str) -> NDArray[np.float64]:
    """Give the year of release dates written YYYY, YYYY-MM or YYYY-MM-DD, (n_rows,).

    Raises
    ------
    DataError
        If a date is written otherwise, with its row.
    """
    if pd.api.types.is_numeric_dtype(dates):  # every date is a bare year
        text = dates.map(lambda year: "" if pd.isna(year) else f"{year:.0f}")
    else:
        text = dates.astype(str)
    good = text.str.fullmatch(r"\d{4}(-\d{2}(-\d{2})?)?").to_numpy(dtype=bool)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise DataError(
            f"{where}: release_date must be YYYY, YYYY-MM or YYYY-MM-DD in every row, but row "
            f"{row + 1} has {str(dates.iloc[row])!r} ({int((~good).sum())} such rows)"
        )
    return text.str[:4].to_numpy(dtype=np.float64)
