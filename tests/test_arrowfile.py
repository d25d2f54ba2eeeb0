"""Parquet and Feather files: every type of column becomes one that a CSV has."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from popsearch.data import files
from tables import column, fault, shown, stored

TIME = dt.datetime(2020, 1, 2, 10, 30)


@pytest.mark.parametrize("kind", ["parquet", "feather", "arrow"])
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (column(True, False), [1, 0]),
        (column("true", "False"), [1, 0]),
        (column(1, 2**62 + 1), [1, float(2**62)]),
        (column(2**64 - 1, kind=pa.uint64()), [2.0**64]),
        (column(255, kind=pa.uint8()), [255]),
        (column(1.5, kind=pa.float16()), [1.5]),
        (column(1.5, kind=pa.float32()), [1.5]),
        (column(Decimal("12.34"), Decimal("-0.01")), [12.34, -0.01]),
        (column("1.5", " 2 ", kind=pa.large_string()), [1.5, 2]),
        (column("1.5", " 2 ", kind=pa.string_view()), [1.5, 2]),
        (column(b"1.5", b"2"), [1.5, 2]),
        (column(dt.time(0, 1, 0, 500_000)), [60.5]),
        (column(61, kind=pa.time32("s")), [61]),
        (column(dt.timedelta(days=1)), [86_400]),
        (pa.table({"a": pa.array([3, 4]).dictionary_encode()}), [3, 4]),
        (pa.table({"a": pa.array(["1", "2"]).dictionary_encode()}), [1, 2]),
    ],
    ids=shown,
)
def test_every_type_that_holds_numbers_is_taken(
    tmp_path: Path, table: pa.Table, expected: list[float], kind: str
) -> None:
    """Truth values, numbers, times of day, and text that spells them become float64."""
    values = files.numbers(files.read(stored(tmp_path, table, kind), ["a"]), "a", "")
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (column("x", "", "  ", None, "NA"), ["x", None, None, None, "NA"]),
        (column("x", "y", kind=pa.dictionary(pa.int8(), pa.string())), ["x", "y"]),
        (column(["x", "y"], [], None, [None, "z"]), ["x,y", None, None, "z"]),
        (column([1, 2], kind=pa.list_(pa.int64(), 2)), ["1,2"]),
        (column({"x": 1, "y": None}), ["{'x': 1, 'y': None}"]),
        (column("é".encode(), None), ["é", None]),
        (column(b"\xff\x00", kind=pa.large_binary()), ["ff00"]),
        (column(pa.MonthDayNano([1, 2, 3])), ["MonthDayNano(months=1, days=2, nanoseconds=3)"]),
        (column(bytes(16), kind=pa.uuid()), ["00000000-0000-0000-0000-000000000000"]),
        (pa.table({"a": pc.run_end_encode(pa.array([5, 5, 6]))}), [5, 5, 6]),
        (column(None, None), [None, None]),
        (column(dt.date(2020, 1, 2), kind=pa.date64()), [dt.datetime(2020, 1, 2)]),
    ],
    ids=shown,
)  # fmt: skip
def test_other_types_become_what_a_csv_can_hold(
    tmp_path: Path, table: pa.Table, values: list[object]
) -> None:
    """Lists become text with commas, as labels are; what has no form of its own is text too."""
    assert files.read(stored(tmp_path, table, "feather"))["a"].to_pylist() == values


def test_columns_of_a_parquet_file_come_as_text_where_that_is_asked(tmp_path: Path) -> None:
    """As they would stand in a CSV."""
    table = pa.table({"a": [7], "b": [True], "c": [TIME.date()], "d": [["x"]], "e": ["007"]})
    assert files.read(stored(tmp_path, table), text=[*"abcde"]).to_pylist() == [
        {"a": "7", "b": "true", "c": "2020-01-02", "d": "x", "e": "007"}
    ]


@pytest.mark.parametrize("kind", ["parquet", "feather", "arrow"])
def test_columns_are_chosen_by_name_alone(tmp_path: Path, kind: str) -> None:
    """Dots, blanks, names that others have too, and names that are empty choose no other."""
    nested = pa.array([{"b": 1, "c": 2}])
    table = pa.table([nested, pa.array([2]), pa.array([3])], ["s", "s.b", " d "])
    path = stored(tmp_path, table, kind)
    assert files.read(path, ["d", "s.b"]).to_pylist() == [{"d": 3, "s.b": 2}]
    assert files.read(path).column_names == ["s", "s.b", "d"]
    path = stored(tmp_path, pa.table([[1], [2], [3], [4], [5]], ["x", "", "x", "", "y"]), kind)
    assert files.read(path, ["y", "unnamed_2"]).to_pylist() == [{"y": 5, "unnamed_2": 2}]
    assert "column x must be there once, but it is 2 times" in fault(path, "x")
    assert "column z is missing; the table must have it" in fault(path, "y", "z")
    assert "must have the columns z, but the header is 'x,,x,,y'" in fault(path, "z")


def test_old_feather_files_are_read_too(tmp_path: Path) -> None:
    """Those of version 1; one that is damaged does not take this process with it."""
    path = tmp_path / "t.feather"
    with pytest.warns(DeprecationWarning, match="V1"):
        pyarrow.feather.write_feather(pa.table({"a": [1, 2], "b": ["x", "y"]}), path, version=1)
    raw = path.read_bytes()
    assert files.read(str(path), ["b"]).to_pylist() == [{"b": "x"}, {"b": "y"}]
    assert "column c is missing" in fault(str(path), "a", "c")
    for damaged in (raw[:-20], raw[:40] + b"\xff" * 60 + raw[100:]):
        path.write_bytes(damaged)
        assert fault(str(path)) == (
            "data.path=PATH: is not a readable Feather file: it is of version 1, and damaged"
        )


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (column(1, None), "in every row, but row 2 is empty"),
        (column(1.0, float("nan")), "in every row, but row 2 is empty"),
        (column(1.0, float("-inf")), "in every row, but row 2 has -inf"),
        (column(True, None), "in every row, but row 2 is empty"),
        (column("1", "x"), "in every row, but row 2 has 'x'"),
        (column("1", ""), "in every row, but row 2 is empty"),
        (column(None, None), "in every row, but row 1 is empty (and 1 more)"),
        (column([1, 2], [2]), "in every row, but row 1 has '1,2'"),
        (column(b"x"), "in every row, but row 1 has 'x'"),
        (column(b"\xff"), "in every row, but row 1 has 'ff'"),
        (pa.table({"a": pa.array([b"\xff"]).view(pa.string())}),
         "column a cannot be read as string"),
        (pa.table({"a": pa.array([[b"\xff"]]).cast(pa.list_(pa.string()), safe=False)}),
         "column a cannot be read as list<"),
        (column(0, kind=pa.timestamp("us")), "a must hold numbers, but holds timestamp[us]"),
        (column(kind=pa.int64()), "must have a header line and rows, but has no rows"),
    ],
    ids=shown,
)  # fmt: skip
def test_a_parquet_column_without_finite_numbers_is_refused(
    tmp_path: Path, table: pa.Table, expected: str
) -> None:
    """The row and its value are named, or the type where no value could do."""
    assert expected in fault(stored(tmp_path, table), "a")
