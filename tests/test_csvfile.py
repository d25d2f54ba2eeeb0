"""CSV files: what their cells become, and a clear line for whatever is wrong."""

import datetime as dt
import gzip
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch.data import files
from popsearch.data.files import csvfile, unpack
from tables import ROWS, column, fault, load, stored, told, write

TIME = dt.datetime(2020, 1, 2, 10, 30)


def test_a_csv_gives_its_numbers_to_the_last_bit(tmp_path: Path) -> None:
    """What Python prints of a float is read as that float, in a CSV as in a Parquet file."""
    values = np.random.default_rng(0).standard_normal(2000) * 10.0 ** np.arange(-100, 100, 0.1)
    text = write(tmp_path, "a,b\n" + "".join(f"{v!r},0\n" for v in values.tolist()))
    for path in (text, stored(tmp_path, column(*values))):
        np.testing.assert_array_equal(files.numbers(files.read(path, ["a"]), "a", ""), values)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + ROWS,
        b"\xef\xbb\xbf\r\n\n" + ROWS,
        ROWS.replace(b"\n", b"\r\n"),
        ROWS.replace(b"\n", b"\r"),
        ROWS.rstrip(),
        ROWS.replace(b"\n2", b"\n\n\n2"),
        ROWS.replace(b"0.1", b'" 0.1 "').replace(b"2,", b"+2 ,"),
        ROWS.replace(b"word", b"w\xc3\xb6rd").replace(b"x", b'"x\n,y"'),
        ROWS.replace(b"word", b'"the\n""word"""').replace(b"a,b", b' a,"b "'),
        ROWS.replace(b",", b";"),
        ROWS.replace(b",", b"\t"),
        ROWS.replace(b",", b"|"),
    ],
    ids=["BOM", "BOM and blank lines", "CRLF", "CR", "no last newline", "blank lines", "spaces",
         "newline in a cell", "newline in the header", "semicolons", "tabs", "pipes"],
)  # fmt: skip
def test_harmless_ways_of_writing_a_csv_are_read_alike(tmp_path: Path, raw: bytes) -> None:
    """Marks, line ends, blank lines, separators and spaces around a number change no value."""
    path = write(tmp_path, raw)
    table = files.read(path, ["b", "a"])
    assert table.column_names == ["b", "a"]
    assert files.read(path).column_names[:2] == ["a", "b"]
    np.testing.assert_array_equal(files.numbers(table, "a", ""), [1, 2, 3])
    np.testing.assert_array_equal(files.numbers(table, "b", ""), [0.1, -0.002, 1e300])


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ("1,-2,NA", pa.int64(), [1, -2, None]),
        ("1,2.5,", pa.float64(), [1, 2.5, None]),
        ("007,  ,nan", pa.int64(), [7, None, None]),
        ("12345678901234567890,1", pa.float64(), [1.2345678901234567e19, 1]),
        ("True,false,null", pa.bool_(), [True, False, None]),
        ("2020-01-02,#N/A", pa.date32(), [TIME.date(), None]),
        ("2020-01-02 10:30,2020-01-02T10:30:00", pa.timestamp("s"), [TIME, TIME]),
        ("00:01,10:30:05", pa.float64(), [60, 37805]),
        (",NULL,   ", pa.null(), [None, None, None]),
        ("x,NA,,2", pa.string(), ["x", None, None, "2"]),
        ("1;5,2", pa.string(), ["1;5", "2"]),
    ],
)
def test_types_are_read_off_the_cells(
    tmp_path: Path, cells: str, kind: pa.DataType, values: list[object]
) -> None:
    """A column gets the narrowest type that all of its cells have; times of day are seconds."""
    rows = "".join(f'{i},"{cell}"\n' for i, cell in enumerate(cells.split(",")))
    table = files.read(write(tmp_path, f"i,a\n{rows}"))
    assert table["a"].type == kind
    assert table["a"].to_pylist() == values


def test_columns_that_are_named_come_as_they_are_written(tmp_path: Path) -> None:
    """Leading zeros, dates, times and truth values stay what they are; empty ones are null."""
    raw = b"a,b,c,d\n007,2020-01-02,10:30,TRUE\n,NA,,\n"
    table = files.read(write(tmp_path, raw), text=["a", "b", "c", "d", "e"])
    assert table.to_pylist() == [
        {"a": "007", "b": "2020-01-02", "c": "10:30", "d": "TRUE"},
        dict.fromkeys("abcd"),
    ]


@pytest.mark.parametrize(
    ("separator", "raw"),
    [
        (";", "a;b\n1,5;2\n2;-3,25\n"),
        (None, 'a,b\n"1,5",2\n2,"-3,25"\n'),
        ("x", "axb\n1,5x2\n2x-3,25\n"),
    ],
)
def test_a_comma_may_be_the_decimal_point(tmp_path: Path, separator: str, raw: str) -> None:
    """Then 1,5 is one and a half, and 1.5 is no number, not even beside text."""
    path = write(tmp_path, raw)
    options: dict[str, Any] = {"separator": separator, "decimal": ","}
    np.testing.assert_array_equal(load(path, ["a", "b"], **options), [[1.5, 2], [2, -3.25]])
    np.testing.assert_array_equal(load(path, ["a"], **options, text=["a"]), [[1.5, 2]])
    path = write(tmp_path, "a;b\n1,5;2\n1.5;2\n")
    assert "row 2 has '1.5'" in fault(path, **options | {"separator": ";"})


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ("a,b;c\n1,2;3\n", ["a", "b;c"]),
        ("a,b;c;d\n1;2;3\n", ["a,b", "c", "d"]),
        ("a;b,c;d\n1;2,5;3\n", ["a", "b,c", "d"]),
        ('"a;b;c",d\n1,2\n', ["a;b;c", "d"]),
        ("a|b\tc\n1|2\n", ["a", "b c"]),
        ("a b\n1\n", ["a b"]),
    ],
)
def test_in_doubt_the_separator_is_the_one_that_the_rows_have(
    tmp_path: Path, raw: str, names: list[str]
) -> None:
    """Where rows agree with several, it is the comma; in quotation marks nothing separates."""
    assert files.read(write(tmp_path, raw)).column_names == names


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (",a", ["unnamed_1", "a"]),
        ("a,, ", ["a", "unnamed_2", "unnamed_3"]),
        ("größe,名前", ["größe", "名前"]),
        (' a ," b\n c"', ["a", "b c"]),
        ("1,1.0", ["1", "1.0"]),
    ],
)
def test_every_column_has_a_name_that_can_be_typed(
    tmp_path: Path, header: str, names: list[str]
) -> None:
    """One without a name is called after its position; blanks and line ends are tidied."""
    found = files.read(write(tmp_path, header + "\n1,2,3\n"[: 2 * len(names)] + "\n"))
    assert found.column_names == names
    assert found.to_pylist() == [dict(zip(names, [1, 2, 3], strict=False))]


def test_rows_are_numbered_through_a_long_file(tmp_path: Path) -> None:
    """Arrow reads a file block by block: cells that span lines there stay whole and counted."""
    rows = [f'"{"x" * 60}\n{"y" * 60}",{i},0\n' for i in range(20_000)]
    assert load(write(tmp_path, "word,a,b\n" + "".join(rows)), ["a"])[0].tolist() == [
        *range(20_000)
    ]
    rows[16_000] = f'"{"x" * 3_000_000}",16000,2\n'
    rows[17_000] = rows[17_000].replace("17000", "bad")
    assert "row 17001 has 'bad'" in fault(write(tmp_path, "word,a,b\n" + "".join(rows)))
    rows[18_000] = "1\n"
    assert "row 18001 has 1;" in fault(write(tmp_path, "word,a,b\n" + "".join(rows)))


def test_a_row_may_be_long_but_not_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotation marks far apart would make one row of all that is between."""
    monkeypatch.setattr(csvfile, "_LARGE_BLOCK", 1 << 20)
    path = write(tmp_path, ROWS + b'4,5,"' + b"x" * 5_000_000 + b'"\n')
    assert fault(path) == (
        "data.path=PATH: every row must be shorter than 1 MiB, but one is longer; "
        "look for a quotation mark that was left open"
    )


def test_the_file_is_never_in_memory_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is unpacked in pieces; each is asked for only when those before it were taken."""
    sizes = []

    class Watched(unpack.Source):
        def read(self, size: int = -1) -> bytes:
            sizes.append(size)
            return super().read(size)

    monkeypatch.setattr(unpack, "Source", Watched)
    path = write(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 2_000_000), "t.csv.gz")
    assert files.read(path).num_rows == 2_000_000
    assert 0 < min(sizes) <= max(sizes) <= 1 << 21


KINDS = st.sampled_from(
    ["1", "-2", "2.5", "", "NA", "true", "False", "2020-01-02", "2020-01-02 10:30", "x", "é",
     "2020-01-02T10:30:00.5", "2020-01-02T10:30:00Z", "9" * 20, "+3", '"q""q"', '"1\n2"', '"1"',
     "2020", "2020-01", "0x1f", "1e400", "  "]
)  # fmt: skip


@given(
    rows=st.lists(st.lists(KINDS, min_size=2, max_size=2), min_size=1, max_size=30),
    starts=st.tuples(KINDS, KINDS),
    n_same=st.integers(0, 40),
    tries=st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_a_type_does_not_depend_on_where_a_cell_stands(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    starts: tuple[str, str],
    n_same: int,
    tries: int,
) -> None:
    """Read in blocks of a few rows a file gives what Arrow infers when it sees all of it."""
    lines = [",".join(row) for row in [list(starts)] * n_same + rows]
    raw = ("a,b,c\n" + "".join(f"{line},0\n" for line in lines)).encode()
    path = tmp_path_factory.getbasetemp() / "blocks.csv"
    path.write_bytes(raw)
    with mock.patch.multiple(csvfile, _BLOCK=80, _SAMPLE=1, _TRIES=tries):
        found = files.read(str(path))
    empty = [*pyarrow.csv.ConvertOptions().null_values, "  "]
    expected = pyarrow.csv.read_csv(
        pa.BufferReader(raw),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(null_values=empty, strings_can_be_null=True),
    )
    assert found.equals(expected)


# ---- what is wrong with a CSV --------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "must have the columns a, b, separated by commas, but the header is ' '"),
        (b"\n\r\n", "must have a header line and rows, but has no rows"),
        (b"a,b", "must have a header line and rows, but has no rows"),
        (b"a,b\r\n\r\n", "must have a header line and rows, but has no rows"),
        (b"a b\n1 2\n", "must have the columns a, b, separated by commas, but the header is 'a b'"),
        (b"c;d\n1;2\n", "must have the columns a, b, separated by semicolons, but the header is"
         " 'c;d'"),
        (b"a,x\n1,2\n", "column b is missing; the table must have it"),
        (b"a,b,a\n1,2,3\n", "column a must be there once, but it is 2 times"),
        (b"a,b, a\n1,2,3\n", "column a must be there once, but it is 2 times"),
        (b"a,b\n1,2\n1,2,3\n4\n", "every row must have 2 fields as the header has, but row 2 has 3"
         " (and 1 more); mend or remove such rows"),
        (b"a,b\n1,2,3\n", "every row must have 2 fields as the header has, but row 1 has 3;"
         " mend or remove such rows"),
        (b"a,b\n1,2,3\n4,5,6\n", "the first line must name the columns, but it has 2 fields and"
         " each of the 2 rows has 3; remove what stands above the header, or complete it"),
        (gzip.compress(b"a,b\n1,2\n"), "must be text, but it is a .csv.gz file;"
         " give it that ending"),
        (b'a,b\n1,2\n1,"2\n1,2\n', "the quotation marks must pair up, but their number is odd;"
         " save the table as CSV again"),
        (b'a,b,c\n1,2,5" disc\n', "the quotation marks must pair up, but their number is odd;"
         " save the table as CSV again"),
        (b"a,b\n1,2\n1,F\xe9e\n", "must be UTF-8 text, but byte 0xe9 in line 3 is not;"
         " save the file as UTF-8"),
        (b"\n\na,b\n1,2\n1,2,3\xe9\n", "must be UTF-8 text, but byte 0xe9 in line 5 is not;"
         " save the file as UTF-8"),
        (b"a,\xe9\n1,2\n", "must be UTF-8 text, but byte 0xe9 in line 1 is not;"
         " save the file as UTF-8"),
        (b"a,b\n1,\xc3", "must be UTF-8 text, but byte 0xc3 in line 2 is not;"
         " save the file as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "must be UTF-8 text, but byte 0xff in line 1 is not;"
         " save the file as UTF-8"),
    ],
    ids=["empty", "blank", "blank lines", "header only", "header and blank lines", "no separator",
         "other columns", "missing", "twice", "twice but for a blank", "ragged", "all ragged",
         "above the header", "packed",
         "lone quote", "inch", "latin-1", "latin-1 in a ragged row", "latin-1 header", "cut",
         "UTF-16"],
)  # fmt: skip
def test_a_malformed_csv_is_refused_in_one_line(tmp_path: Path, raw: bytes, expected: str) -> None:
    """The line says what must hold, what came with its row, and what to do."""
    assert fault(write(tmp_path, raw)) == f"data.path=PATH: {expected}"


def test_a_byte_that_is_not_utf_8_is_found_far_into_the_file(tmp_path: Path) -> None:
    """Only the columns that are read matter; the line is one of the file's."""
    raw = b"a,b,word\n" + b"1,2,\xc3\xbc\n" * 400_000 + b"1,2,\xfc\n"
    path = write(tmp_path, raw)
    assert files.read(path, ["a", "b"]).num_rows == 400_001
    assert "byte 0xfc in line 400002 is not" in told(path, lambda: files.read(path))


def test_all_missing_columns_are_told_at_once_with_the_nearest_spare_name(tmp_path: Path) -> None:
    """Each has its own line; a column that is wanted itself is not offered for another."""
    path = write(tmp_path, b"energi,mode,modes,x\n1,2,3,4\n")
    assert fault(path, "energy", "mode", "mood").splitlines() == [
        "data.path=PATH: column energy is missing; did you mean energi?",
        "data.path=PATH: column mood is missing; did you mean modes?",
    ]


def test_a_name_that_is_there_twice_matters_where_it_is_read(tmp_path: Path) -> None:
    """Asked for others, a table may have two columns of one name; asked for all, each is told."""
    path = write(tmp_path, b"a,b,b,c,c\n1,2,3,4,5\n")
    assert files.read(path, ["a"]).to_pylist() == [{"a": 1}]
    assert told(path, lambda: files.read(path)).splitlines() == [
        "data.path=PATH: column b must be there once, but it is 2 times",
        "data.path=PATH: column c must be there once, but it is 2 times",
    ]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("abc", "has 'abc'"),
        ("1,5", "has '1,5'"),
        ("1_000", "has '1_000'"),
        ("١", "has '١'"),  # noqa: RUF001
        ("x" * 90, "has '" + "x" * 40 + "...'"),
        ("True", "has 'True'"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("NaN", "is empty"),
        ("NA", "is empty"),
        ("inf", "has inf"),
        ("-Infinity", "has -inf"),
        ("1e999", "has inf"),
        ("9" * 400, "has inf"),
    ],
)
def test_a_cell_that_is_no_finite_number_is_named_with_its_row(
    tmp_path: Path, cell: str, shown: str
) -> None:
    """Row 1 is the first below the header, whatever blank lines and long cells come before."""
    raw = f'word,a,b\n\n"x\n\ny",1,2\nz,5,"{cell}"\nz,5,6\n'
    assert fault(write(tmp_path, raw)) == (
        f"data.path=PATH: b must be a finite number in every row, but row 2 {shown}; "
        "mend or remove such rows"
    )


def test_bad_cells_of_all_kinds_are_counted(tmp_path: Path) -> None:
    """The first bad row stands for the others."""
    path = write(tmp_path, b"a,b\n1,2\n,2\nx,2\ninf,2\n")
    assert "row 2 is empty (and 2 more); mend" in fault(path)
