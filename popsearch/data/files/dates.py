"""Columns as times; a cell that is none is named with its row."""

import warnings
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from popsearch.data.files.cells import is_empty, is_text, plain, refuse
from popsearch.errors import DataError

_YEAR = r"^([12]\d{3})$"
_MONTH = r"^([12]\d{3}-(0[1-9]|1[0-2]))$"
_DAY = r"^[12]\d{3}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$"
# What pandas reads but does not guess; each is tried with the day first too.
_FORMATS = ("%m/%d/%y", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p")
_GUESSES = 20
_ISO = "ISO8601"
_TIME = pa.timestamp("us")
_LAST = datetime(9999, 12, 31, 23, 59, 59)


def times(table: pa.Table, column: str, where: str, form: str = "") -> pa.Array:
    """Give a column of dates as timestamps in microseconds, in UTC, null for an empty cell.

    It may hold dates, times, years, or text in one format that pandas can guess; ISO 8601 also as
    a bare year or month. In 01/02/2020 the month is first, unless other cells forbid it.

    Parameters
    ----------
    form
        How text is written, as ``form_of`` gave it for other cells; without it that is found.

    Raises
    ------
    DataError
        If a value is no date, with its row.
    """
    cells = plain(table[column])
    kind = cells.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        found = _in_range(cells).cast(
            options=pc.CastOptions(target_type=_TIME, allow_time_truncate=True)
        )
    elif is_text(cells):
        found = _parse_times(pc.utf8_trim_whitespace(cells), form)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        found = _parse_times(_years(cells), form)
    elif pa.types.is_null(kind):
        found = cells.cast(_TIME)
    else:
        raise DataError(f"{where}: {column} must hold dates, but holds {kind}")
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    bad = found.is_null().to_numpy(zero_copy_only=False) & ~is_empty(cells)
    refuse(cells, bad, f"{where}: {column} must be a date")
    return found


def _years(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give numbers like 1999 and 19991231 as text, and null for all others."""
    values = cells.cast(pa.float64(), safe=False)
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 1e8))
    text = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
    return pc.if_else(pc.match_substring_regex(text, f"{_YEAR}|{_DAY}"), text, None)


def _in_range(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give dates and times, and null for those beyond the years 1 to 9999."""
    if getattr(cells.type, "unit", "") == "ns":
        return cells
    first, last = (pa.scalar(end, cells.type) for end in (datetime.min, _LAST))
    inside = pc.and_(pc.greater_equal(cells, first), pc.less_equal(cells, last))
    return pc.if_else(inside, cells, None)


def form_of(table: pa.Table, column: str) -> str:
    """Give the format in which ``times`` reads the text of a column; ISO8601 of all others."""
    cells = plain(table[column])
    if is_text(cells):
        different = _whole_days(pc.unique(pc.utf8_trim_whitespace(cells)))
        try:
            different.cast(_TIME)
        except pa.ArrowInvalid:
            return _guess(different)[0]
    return _ISO


def _parse_times(text: pa.ChunkedArray, form: str) -> pa.Array:
    """Give the times that are written as text, and null for every other text."""
    cells = text.combine_chunks().dictionary_encode()  # dates repeat, and guesses are slow
    different = _whole_days(cells.dictionary)
    try:
        found = different.cast(_TIME)
    except pa.ArrowInvalid:
        if form:  # a day that is written as 2001-12-31 is read whatever stands beside it
            found = pc.coalesce(_read(different, form), _read(different, _ISO))
        else:
            found = _guess(different)[1]
    return found.take(cells.indices)


def _whole_days(text: pa.Array) -> pa.Array:
    """Give bare years and months with their first day."""
    for short, rest in ((_YEAR, "-01-01"), (_MONTH, "-01")):
        text = pc.replace_substring_regex(text, short, rf"\1{rest}")
    return text


def _guess(text: pa.Array) -> tuple[str, pa.Array]:
    """Give the format, of those that may be meant, that fits most of the texts, and their times."""
    from pandas.tseries.api import guess_datetime_format

    cells, forms = _with_digits(text), [_ISO]
    with warnings.catch_warnings(action="ignore"):  # where only the other order is possible
        for dayfirst in (False, True):
            guesses = (guess_datetime_format(c, dayfirst=dayfirst) for c in cells[:_GUESSES] if c)
            guess = next(filter(None, guesses), None)
            if guess and not (dayfirst and guess.startswith("%Y")):  # no year, day, month
                forms.append(guess)
    forms += [f for month in _FORMATS for f in (month, month.replace("%m/%d", "%d/%m"))]
    every = ((form, _read(text, form)) for form in forms)
    return min(every, key=lambda found: found[1].null_count)  # the first of several


def _read(text: pa.Array, form: str) -> pa.Array:
    """Give the times in this format, null where it does not fit."""
    import pandas as pd

    index = pd.Index(_with_digits(text), dtype=object)
    found = pd.to_datetime(index, format=form, utc=True, errors="coerce")
    return pa.array(found.tz_localize(None).to_numpy("datetime64[us]"))


def _with_digits(text: pa.Array) -> list[str | None]:
    # Else pandas would read "now" as the present moment.
    found: list[str | None] = pc.if_else(
        pc.match_substring_regex(text, r"\d"), text, None
    ).to_pylist()
    return found
