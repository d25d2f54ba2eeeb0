"""Cells as numbers, truth values and times, and the row of each that is none."""

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch.data import files
from tables import column, shown, told, write

TIME = dt.datetime(2020, 1, 2, 10, 30)


def test_numbers_may_be_missing_where_that_is_said(tmp_path: Path) -> None:
    """Empty cells and words for them become NaN, between text as between numbers."""
    path = write(tmp_path, 'a,b\n1,"+2 "\n,\nNA," nan "\nnull,  \n')
    table = files.read(path, text=["b"])
    np.testing.assert_array_equal(files.numbers(table, "a", "", missing=True), [1] + [np.nan] * 3)
    np.testing.assert_array_equal(files.numbers(table, "b", "", missing=True), [2] + [np.nan] * 3)
    table = column("1", "", "x", "inf")
    where = f"data.path={path}"
    assert "must be a finite number or empty in every row, but row 3 has 'x' (and 1 more)" in (
        told(path, lambda: files.numbers(table, "a", where, missing=True))
    )
    table = column(1.0, None, float("nan"), float("inf"))
    assert "row 4 has inf;" in (told(path, lambda: files.numbers(table, "a", where, missing=True)))


# ---- truth values and times ----------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        column(True, False, None),
        column(1, 0, None),
        column(1.0, -0.0, float("nan")),
        column("TRUE", "false", ""),
        column("Yes", " no", "NA"),
        column("t", "F", None),
        column("y", "N", "  ", kind=pa.large_string()),
        column("1", "0", "null"),
        pa.table({"a": pa.array(["true", "No", None]).dictionary_encode()}),
    ],
    ids=shown,
)
def test_truth_values_are_taken_however_they_are_written(table: pa.Table) -> None:
    """They become 1 and 0, and NaN where missing."""
    np.testing.assert_array_equal(files.booleans(table, "a", ""), [1, 0, np.nan])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (column("yes", "maybe", "no", "2"), "in every row, but row 2 has 'maybe' (and 1 more)"),
        (column(1, 0, 2), "in every row, but row 3 has 2;"),
        (column(1.0, 0.5), "in every row, but row 2 has 0.5;"),
        (column(2**63 - 1), "in every row, but row 1 has 9223372036854775807;"),
        (column(dt.date(2020, 1, 1)), "a must hold truth values, but holds date32[day]"),
    ],
)
def test_what_is_neither_true_nor_false_is_named(table: pa.Table, expected: str) -> None:
    """With its row, or the type where no value could be either."""
    assert expected in told("x", lambda: files.booleans(table, "a", "data.path=x"))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (column(dt.date(2020, 1, 2), None), ["2020-01-02", None]),
        (column(TIME, None, kind=pa.timestamp("ns")), ["2020-01-02T10:30", None]),
        (column(1_500, kind=pa.timestamp("ns")), ["1970-01-01T00:00:00.000001"]),
        (column(0, kind=pa.timestamp("s", "Europe/Berlin")), ["1970-01-01"]),
        (column(0, kind=pa.timestamp("ms", "No/Where")), ["1970-01-01"]),
        (column(dt.date(2020, 1, 2), kind=pa.date64()), ["2020-01-02"]),
        (column(1999, 2020, None), ["1999-01-01", "2020-01-01", None]),
        (column(1999.0, float("nan")), ["1999-01-01", None]),
        (column(19991231, 2020), ["1999-12-31", "2020-01-01"]),
        (column("1999", "2001-05", "2001-05-17", " ", "NA"),
         ["1999-01-01", "2001-05-01", "2001-05-17", None, None]),
        (column("0800-12-25", "1500-01-01 10"), ["0800-12-25", "1500-01-01T10:00"]),
        (column("2020-01-02 10:30:01.25", "2020-01-02T10"),
         ["2020-01-02T10:30:01.25", "2020-01-02T10:00"]),
        (column("2020-01-02T10:30Z", "2020-01-02T10:30+02:00", "2020-01-02"),
         ["2020-01-02T10:30", "2020-01-02T08:30", "2020-01-02"]),
        (column("20200102", "19991231"), ["2020-01-02", "1999-12-31"]),
        (column("01/02/2020", "03/04/2020"), ["2020-01-02", "2020-03-04"]),
        (column("01/02/2020", "13/02/2020", ""), ["2020-02-01", "2020-02-13", None]),
        (column("1.2.2020 15:04", "31.12.2020 00:00"), ["2020-02-01T15:04", "2020-12-31"]),
        (column("1/2/2020 3:04 PM", "12/31/2020 12:00 AM"), ["2020-01-02T15:04", "2020-12-31"]),
        (column("31/12/2020 3:04:05 PM"), ["2020-12-31T15:04:05"]),
        (column("12/31/99", "01/02/20"), ["1999-12-31", "2020-01-02"]),
        (column("31/12/99", "01/02/20"), ["1999-12-31", "2020-02-01"]),
        (column(" 2020-01-02", "1999\t"), ["2020-01-02", "1999-01-01"]),
        (column("5 May 2020", "17 May 2020"), ["2020-05-05", "2020-05-17"]),
        (column(None, None), [None, None]),
        (column(), []),
    ],
    ids=shown,
)  # fmt: skip
def test_dates_are_taken_however_they_are_written(
    table: pa.Table, expected: list[str | None]
) -> None:
    """They become moments in UTC; a bare year or month is its first day."""
    for found in (table, pa.concat_tables([table.slice(0, 1), table.slice(1)])):
        times = files.times(found, "a", "")
        assert times.type == pa.timestamp("us")
        np.testing.assert_array_equal(times.to_numpy(False), np.array(expected, "datetime64[us]"))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (column("2020-01-02", "soon", "later"), "row 2 has 'soon' (and 1 more);"),
        (column("unknown", "13/02/2020"), "row 1 has 'unknown';"),
        (column("now", "2020-01-02"), "row 1 has 'now';"),
        (column("today"), "row 1 has 'today';"),
        (column("10:30"), "row 1 has '10:30';"),
        (column("2020-02-30", "2020-02-03"), "row 1 has '2020-02-30';"),
        (column("2020-01-02", "2020-13-01"), "row 2 has '2020-13-01';"),
        (column("01/13/2020", "13/01/2020"), "row 2 has '13/01/2020';"),
        (column(1999, 12), "row 2 has 12;"),
        (column(20200230), "row 1 has 20200230;"),
        (column(1999, 199912), "row 2 has 199912;"),
        (column(1999, 3000), "row 2 has 3000;"),
        (column(1999.0, 1999.5), "row 2 has 1999.5;"),
        (column(1.6e18), "row 1 has 1.6e+18;"),
        (column(2**31 - 1, kind=pa.date32()), "row 1 has 'something else';"),
        (column(2**62, kind=pa.timestamp("s", "No/Where")), "row 1 has 'something else';"),
        (column(True), "must hold dates, but holds bool"),
        (column(dt.time(10, 30)), "must hold dates, but holds time64[us]"),
    ],
    ids=shown,
)
def test_what_is_no_date_is_named(table: pa.Table, expected: str) -> None:
    """Nothing is guessed: no day of this month for a time, no month for a day."""
    assert expected in told("x", lambda: files.times(table, "a", "data.path=x"))


@given(values=st.lists(st.none() | st.datetimes(dt.datetime(1700, 1, 1)), max_size=20))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S.%f"])
def test_times_written_in_one_format_are_read_back(
    values: list[dt.datetime | None], form: str
) -> None:
    """What the format leaves out is zero; the order of day and month is found where it shows."""
    cut = [None if v is None else dt.datetime.strptime(v.strftime(form), form) for v in values]
    cut = [None, dt.datetime(2020, 12, 31), *cut]
    text = [None if v is None else v.strftime(form) for v in cut]
    assert files.times(column(*text), "a", "").to_pylist() == cut
