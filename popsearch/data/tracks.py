"""The Kaggle table "Spotify Dataset 1922-2021, ~600k Tracks"."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from popsearch.data import cache, files, kaggle
from popsearch.data.table import Columns, Table, assemble, view
from popsearch.errors import DataError
from popsearch.source import TracksData

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
CATALOGUE = ("explicit", "time_signature", "name", "artists", "id_artists")
TARGET = "popularity"
# A year below 1000 is how some sources write "unknown".
_DATE = r"^[12]\d{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$"


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
    where = f"data.path={path}"
    dated = ["release_date", *AUDIO, "duration_ms", TARGET]
    wanted, text = [*dated, *CATALOGUE], ["name", "artists", "id_artists"]
    # The table as it was read has no name here: cells that change their type would be held twice.
    columns, popularity = _columns(files.read(path, wanted, text=text), where)
    return assemble(columns, TARGET, popularity, where)


def _columns(table: pa.Table, where: str) -> tuple[Columns, NDArray[np.float64]]:
    """Give columns and popularity, or all faults of their cells."""
    faults: list[str] = []

    def take(column: str) -> NDArray[np.float64]:
        try:
            return files.numbers(table, column, where)
        except DataError as error:
            faults.extend(error.faults)
            return np.zeros(table.num_rows)

    try:
        dates = release_dates(table["release_date"], where)
    except DataError as error:
        faults.extend(error.faults)
        dates = pa.chunked_array([["1900"] * table.num_rows])
    columns: Columns = {
        "year": ("numeric", pc.utf8_slice_codeunits(dates, 0, 4).cast(pa.float64()))
    }
    columns |= {column: ("numeric", take(column)) for column in AUDIO}
    columns["duration_sec"] = ("numeric", take("duration_ms") // 1000)
    columns["explicit"] = ("boolean", take("explicit"))
    columns["time_signature"] = ("numeric", take("time_signature"))
    columns |= _calendar(dates)
    columns |= _credits(table)
    popularity = take(TARGET)
    if faults:
        raise DataError(*faults)
    return columns, popularity


def release_dates(dates: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Give release dates as text: YYYY, YYYY-MM or YYYY-MM-DD.

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
    files.refuse(dates, _days(text).is_null().to_numpy(), must)  # the 30th of February
    return text


def _days(dates: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give each date's first day, null where the calendar has no such day."""
    first = pc.binary_join_element_wise(dates, "-01-01", "")
    padded = pc.utf8_slice_codeunits(first, 0, 10)  # 2001-05 becomes 2001-05-01
    days = pc.strptime(padded, "%Y-%m-%d", "us", error_is_null=True)
    # It takes the 30th of February for the 2nd of March.
    kept = pc.equal(pc.day(days), pc.utf8_slice_codeunits(padded, 8, 10).cast(pa.int64()))
    found: pa.ChunkedArray = pc.if_else(kept, days, pa.scalar(None, days.type))
    return found


def _calendar(dates: pa.ChunkedArray) -> Columns:
    """Give month and weekday where a date says them, and the first day it can mean."""
    length, days = pc.utf8_length(dates), _days(dates)
    absent = pa.scalar(None, pa.int64())
    return {
        "release_month": ("numeric", pc.if_else(pc.greater(length, 4), pc.month(days), absent)),
        "release_weekday": (
            "numeric",
            pc.if_else(pc.equal(length, 10), pc.day_of_week(days), absent),
        ),
        "release_date": ("datetime", days),
    }


def _credits(table: pa.Table) -> Columns:
    """Give title and artists; several artists are written as a list in Python."""
    ids = pc.replace_substring_regex(table["id_artists"], r"[\[\]'\" ]", "")
    ids = pc.if_else(pc.equal(ids, ""), None, ids)
    return {
        "n_artists": ("numeric", pc.add(pc.count_substring(ids, ","), 1)),
        "title_length": ("numeric", pc.utf8_length(table["name"])),
        "artist_ids": ("labels", ids),
        "name": ("text", table["name"]),
        "artists": ("text", table["artists"]),
    }
