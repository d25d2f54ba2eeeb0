"""What models see of a track, made of the columns of the Kaggle table.

A stored model takes this file along, so that it predicts from the table's own columns.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from popsearch.data.files.cells import is_empty, numbers, plain, refuse
from popsearch.errors import DataError

if TYPE_CHECKING:
    from popsearch.data.table import Columns

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
NUMBERS = (*AUDIO, "duration_ms", "explicit", "time_signature")
TEXTS = ("name", "artists", "id_artists")
MADE_OF = {
    "year": "release_date",
    "release_month": "release_date",
    "release_weekday": "release_date",
    "duration_sec": "duration_ms",
    "n_artists": "id_artists",
    "artist_ids": "id_artists",
    "title_length": "name",
}
"""The column of the Kaggle table that a column for the models is made of, where that is another."""
# A year below 1000 is how some sources write "unknown".
_DATE = r"^[12]\d{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$"


def make(table: pa.Table, where: str, missing: bool = False) -> "Columns":
    """Give kind and cells of all columns that models may see.

    Parameters
    ----------
    table
        With the columns ``NUMBERS``, ``TEXTS`` and release_date.
    missing
        Whether any cell may be empty; else only those of ``TEXTS`` may.

    Raises
    ------
    DataError
        With all faults of the cells.
    """
    faults: list[str] = []

    def take(column: str) -> NDArray[np.float64]:
        try:
            return numbers(table, column, where, missing)
        except DataError as error:
            faults.extend(error.faults)
            return np.zeros(table.num_rows)

    try:
        dates = release_dates(table["release_date"], where, missing)
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
    if faults:
        raise DataError(*faults)
    return columns


def release_dates(dates: pa.ChunkedArray, where: str, missing: bool = False) -> pa.ChunkedArray:
    """Give release dates as text: YYYY, YYYY-MM or YYYY-MM-DD.

    Parameters
    ----------
    dates
        Text, bare years as numbers, or dates.
    missing
        Whether one may be empty.

    Raises
    ------
    DataError
        If a date is written otherwise, with its row.
    """
    must = f"{where}: release_date must be YYYY, YYYY-MM or YYYY-MM-DD"
    dates = plain(dates)
    try:
        days = dates.cast(pa.date32(), safe=False) if pa.types.is_temporal(dates.type) else dates
        text = pc.utf8_trim_whitespace(days.cast(pa.string()))
    except pa.ArrowException:
        raise DataError(f"{must}, but the column holds {dates.type}") from None
    empty = is_empty(dates) if missing else np.zeros(len(dates), dtype=bool)
    good = pc.fill_null(pc.match_substring_regex(text, _DATE), False)
    refuse(dates, ~good.to_numpy() & ~empty, must)
    refuse(dates, _days(text).is_null().to_numpy() & ~empty, must)  # the 30th of February
    return pc.if_else(good, text, None) if missing else text


def _days(dates: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give each date's first day, null where the calendar has no such day."""
    first = pc.binary_join_element_wise(dates, "-01-01", "")
    padded = pc.utf8_slice_codeunits(first, 0, 10)  # 2001-05 becomes 2001-05-01
    days = pc.strptime(padded, "%Y-%m-%d", "us", error_is_null=True)
    # It takes the 30th of February for the 2nd of March.
    kept = pc.equal(pc.day(days), pc.utf8_slice_codeunits(padded, 8, 10).cast(pa.int64()))
    found: pa.ChunkedArray = pc.if_else(kept, days, pa.scalar(None, days.type))
    return found


def _calendar(dates: pa.ChunkedArray) -> "Columns":
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


def _credits(table: pa.Table) -> "Columns":
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
