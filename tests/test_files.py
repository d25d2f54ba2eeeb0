"""Tables from files: one content in every format, and a clear line for whatever is wrong."""

import errno
import gzip
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch.data import files
from popsearch.errors import DataError

ROWS = b"a,b,word\n1,0.1,x\n2,-2e-3,y\n3,1e300,z\n"


def write(folder: Path, raw: bytes = ROWS, name: str = "t.csv") -> str:
    """Write a file and give its path."""
    path = folder / name
    path.write_bytes(raw)
    return str(path)


def load(path: str, columns: list[str]) -> list[np.ndarray]:
    """Read these columns as numbers."""
    table = files.read(path, columns)
    return [files.numbers(table, name, f"data.path={path}") for name in columns]


def fault(path: str, *columns: str) -> str:
    """Give the message that reading the file, and every column as numbers, ends with."""
    with pytest.raises(DataError) as caught:
        load(path, list(columns) or ["a", "b"])
    assert all(line.startswith(f"data.path={path}: ") for line in caught.value.faults)
    assert len(str(caught.value).splitlines()) == len(caught.value.faults)
    return str(caught.value).replace(f"data.path={path}: ", "data.path=PATH: ")


def column(*values: object, kind: pa.DataType = None) -> pa.Table:
    """Give a table of one column named a."""
    return pa.table({"a": pa.array(values, kind)})


def test_a_csv_gives_its_numbers_to_the_last_bit(tmp_path: Path) -> None:
    """What Python prints of a float is read as that float, in a CSV as in a Parquet file."""
    values = np.random.default_rng(0).standard_normal(2000) * 10.0 ** np.arange(-100, 100, 0.1)
    text = write(tmp_path, ("a,b\n" + "".join(f"{v!r},0\n" for v in values.tolist())).encode())
    stored = str(tmp_path / "t.parquet")
    pyarrow.parquet.write_table(column(*values), stored)
    for path in (text, stored):
        np.testing.assert_array_equal(files.numbers(files.read(path, ["a"]), "a", ""), values)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + ROWS,
        ROWS.replace(b"\n", b"\r\n"),
        ROWS.rstrip(),
        ROWS.replace(b"\n2", b"\n\n\n2"),
        ROWS.replace(b"0.1", b'" 0.1 "').replace(b"2,", b"+2 ,"),
        ROWS.replace(b"word", b"w\xc3\xb6rd").replace(b"x", b'"x\n,y"'),
    ],
    ids=["BOM", "CRLF", "no last newline", "blank lines", "spaces", "newline in a cell"],
)
def test_harmless_ways_of_writing_a_csv_are_read_alike(tmp_path: Path, raw: bytes) -> None:
    """Marks, line ends, blank lines and spaces around a number change no value."""
    table = files.read(write(tmp_path, raw), ["b", "a"])
    assert table.column_names == ["b", "a"]
    np.testing.assert_array_equal(files.numbers(table, "a", ""), [1, 2, 3])
    np.testing.assert_array_equal(files.numbers(table, "b", ""), [0.1, -0.002, 1e300])


def test_rows_are_numbered_through_a_long_file(tmp_path: Path) -> None:
    """Arrow reads a file block by block: cells that span lines there stay whole and counted."""
    rows = [f'"{"x" * 60}\n{"y" * 60}",{i},0\n' for i in range(20_000)]
    path = write(tmp_path, ("word,a,b\n" + "".join(rows)).encode())
    assert load(path, ["a"])[0].tolist() == list(range(20_000))
    rows[17_000] = rows[17_000].replace("17000", "bad")
    assert "row 17001 has 'bad'" in fault(write(tmp_path, ("word,a,b\n" + "".join(rows)).encode()))
    rows[18_000] = "1\n"
    assert "row 18001 has 1;" in fault(write(tmp_path, ("word,a,b\n" + "".join(rows)).encode()))
    rows[19_000] = f'"{"x" * 3_000_000}",1,2\n'
    assert "is not a well-formed CSV: " in fault(
        write(tmp_path, ("word,a,b\n" + "".join(rows)).encode())
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "must have the columns a, b, separated by commas, but the header is ' '"),
        (b"a,b", "must have a header line and rows, but has no rows"),
        (b"a;b\n1;2\n", "must have the columns a, b, separated by commas, but the header is 'a;b'"),
        (b"a,x\n1,2\n", "column b is missing; the table must have it"),
        (b"a,b,a\n1,2,3\n", "column a must be there once, but it is 2 times"),
        (b"a,b\n1,2\n1,2,3\n4\n", "every row must have 2 fields as the header has, but row 2 has 3"
         " (and 1 more); mend or remove such rows"),
        (b"a,b\n1,2,3\n", "every row must have 2 fields as the header has, but row 1 has 3;"
         " mend or remove such rows"),
        (b'a,b\n1,2\n1,"2\n1,2\n', "the quotation marks must pair up, but their number is odd;"
         " save the table as CSV again"),
        (b"a,b\n1,2\n1,F\xe9e\n", "must be UTF-8 text, but byte 0xe9 in line 3 is not;"
         " save the file as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "must be UTF-8 text, but byte 0xff in line 1 is not;"
         " save the file as UTF-8"),
    ],
    ids=["empty", "blank", "header only", "semicolons", "missing", "twice", "ragged", "all ragged",
         "lone quote", "latin-1", "UTF-16"],
)  # fmt: skip
def test_a_malformed_csv_is_refused_in_one_line(tmp_path: Path, raw: bytes, expected: str) -> None:
    """The line says what must hold, what came with its row, and what to do."""
    assert fault(write(tmp_path, raw)) == f"data.path=PATH: {expected}"


def test_all_missing_columns_are_told_at_once_with_the_nearest_spare_name(tmp_path: Path) -> None:
    """Each has its own line; a column that is wanted itself is not offered for another."""
    path = write(tmp_path, b"energi,mode,modes,x\n1,2,3,4\n")
    assert fault(path, "energy", "mode", "mood").splitlines() == [
        "data.path=PATH: column energy is missing; did you mean energi?",
        "data.path=PATH: column mood is missing; did you mean modes?",
    ]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("abc", "has 'abc'"),
        ("1,5", "has '1,5'"),
        ("1_000", "has '1_000'"),
        ("0x10", "has '0x10'"),
        ("١", "has '١'"),  # noqa: RUF001
        ("x" * 90, "has '" + "x" * 40 + "...'"),
        ("True", "has 'True'"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("NaN", "is empty"),
        ("NA", "is empty"),
        ("inf", "has 'inf'"),
        ("-Infinity", "has '-Infinity'"),
        ("1e999", "has '1e999'"),
        ("9" * 400, "has '" + "9" * 40 + "...'"),
    ],
)
def test_a_cell_that_is_no_finite_number_is_named_with_its_row(
    tmp_path: Path, cell: str, shown: str
) -> None:
    """Row 1 is the first below the header, whatever blank lines and long cells come before."""
    raw = f'word,a,b\n\n"x\n\ny",1,2\nz,5,"{cell}"\nz,5,6\n'
    assert fault(write(tmp_path, raw.encode())) == (
        f"data.path=PATH: b must be a finite number in every row, but row 2 {shown}; "
        "mend or remove such rows"
    )


def test_bad_cells_of_all_kinds_are_counted(tmp_path: Path) -> None:
    """The first bad row stands for the others."""
    path = write(tmp_path, b"a,b\n1,2\n,2\nx,2\ninf,2\n")
    assert "row 2 is empty (and 2 more); mend" in fault(path)


def test_integers_beyond_64_bits_are_numbers(tmp_path: Path) -> None:
    """A huge integer becomes the nearest float."""
    table = files.read(write(tmp_path, b"a,b\n1,123456789012345678901234567890\n"), ["b"])
    assert files.numbers(table, "b", "") == [123456789012345678901234567890.0]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (column(True, False), [1, 0]),
        (column("true", "False"), [1, 0]),
        (column(1, 2**62 + 1), [1, float(2**62)]),
        (column(2**64 - 1, kind=pa.uint64()), [2.0**64]),
        (column(1.5, kind=pa.float16()), [1.5]),
        (column(Decimal("12.34"), Decimal("-0.01")), [12.34, -0.01]),
        (column("1.5", " 2 ", kind=pa.large_string()), [1.5, 2]),
        (column("1.5", " 2 ", kind=pa.string_view()), [1.5, 2]),
        (pa.table({"a": pa.array([3, 4]).dictionary_encode()}), [3, 4]),
        (pa.table({"a": pa.array(["1", "2"]).dictionary_encode()}), [1, 2]),
    ],
    ids=str,
)  # fmt: skip
def test_every_type_that_holds_numbers_is_taken(
    tmp_path: Path, table: pa.Table, expected: list[float]
) -> None:
    """Truth values, whole and decimal numbers, and text that spells them become float64."""
    path = str(tmp_path / "t.parquet")
    pyarrow.parquet.write_table(table, path)
    values = files.numbers(files.read(path, ["a"]), "a", "")
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, expected)


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
        (column([1], [2]), "a must hold numbers, but holds list<element: int64>"),
        (pa.table({"a": pa.array([b"\xff"]).view(pa.string())}), "is not a readable Parquet file"),
        (column(b"x"), "a must hold numbers, but holds binary"),
        (column(0, kind=pa.timestamp("us")), "a must hold numbers, but holds timestamp[us]"),
    ],
)
def test_a_parquet_column_without_finite_numbers_is_refused(
    tmp_path: Path, table: pa.Table, expected: str
) -> None:
    """The row and its value are named, or the type where no value could do."""
    path = str(tmp_path / "t.parquet")
    pyarrow.parquet.write_table(table, path)
    assert expected in fault(path, "a")


def test_the_ending_may_be_in_capitals(tmp_path: Path) -> None:
    """T.PARQUET is read as Parquet, T.ZIP as a zip, T.CSV.GZ as gzip."""
    capital = tmp_path / "T.PARQUET"
    pyarrow.parquet.write_table(column(1, 2), capital)
    with zipfile.ZipFile(tmp_path / "T.ZIP", "w") as packed:
        packed.writestr("T.CSV", ROWS)
    write(tmp_path, gzip.compress(ROWS), "T.CSV.GZ")
    for name in ("T.PARQUET", "T.ZIP", "T.CSV.GZ"):
        assert files.read(str(tmp_path / name), ["a"])["a"][1].as_py() in (2, "2")


def test_a_path_may_begin_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """~ stands for it; a user that does not exist is named as such."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path)
    assert files.read("~/t.csv", ["a"]).num_rows == 3
    assert "there is no such user" in fault("~no-such-user-here/t.csv")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("track.csv", "there is no such file; did you mean tracks.csv?"),
        ("nowhere/tracks.csv", "there is no such file"),
        ("tracks.csv/tracks.csv", "there is no such file"),
        ("nul\0.csv", "there is no such file; "),
        (".", "must be a file, but it is a folder; it holds tracks.csv"),
        ("sub", "must be a file, but it is a folder"),
        ("notes.txt", "must end with .csv, .csv.gz, .zip, .parquet, but got notes.txt"),
        ("notes", "must end with .csv, .csv.gz, .zip, .parquet, but got notes"),
        ("x" * 300 + ".csv", "cannot be read: File name too long"),
    ],
)
def test_a_path_that_is_no_table_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, expected: str
) -> None:
    """The nearest file, what a folder holds, and the endings that are read are told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    write(tmp_path, name="tracks.csv")
    write(tmp_path, name="notes")
    write(tmp_path, name="notes.txt")
    assert fault(path).startswith(f"data.path=PATH: {expected}")


def zipped(**members: bytes) -> Callable[[Path], None]:
    """Give a function that writes a zip of these members."""

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, raw in members.items():
                packed.writestr(name.replace("_csv", ".csv"), raw)

    return make


def cut(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Give a function that writes a file and leaves only its first half."""

    def halve(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return halve


def encrypted(path: Path) -> None:
    """Write a zip whose member is marked as encrypted."""
    zipped(t_csv=ROWS)(path)
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(raw)


DAMAGED = "must be a whole {} file, but it cannot be unpacked ("


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("t.csv.gz", lambda p: p.write_bytes(gzip.compress(ROWS)[:-12]), DAMAGED.format(".gz")),
        ("t.csv.gz", lambda p: p.write_bytes(ROWS), DAMAGED.format(".gz")),
        ("t.csv.gz", lambda p: p.write_bytes(gzip.compress(b"")), "must have a header line"),
        ("t.zip", cut(zipped(t_csv=ROWS)), DAMAGED.format(".zip")),
        ("t.zip", lambda p: p.write_bytes(ROWS), DAMAGED.format(".zip")),
        ("t.zip", encrypted, DAMAGED.format(".zip")),
        ("t.zip", zipped(), "the zip must hold one .csv file, but it holds nothing; unpack it"),
        ("t.zip", zipped(notes=b"x"), "the zip must hold one .csv file, but it holds notes; "),
        ("t.zip", zipped(a_csv=ROWS, b_csv=ROWS), "but it holds a.csv, b.csv; unpack it and give"),
        ("t.zip", zipped(a_csv=b""), "must have a header line and rows"),
        ("t.parquet", lambda p: p.write_bytes(ROWS), "is not a readable Parquet file: "),
        ("t.parquet", cut(lambda p: pyarrow.parquet.write_table(column(1), p)),
         "is not a readable Parquet file: "),
        ("t.parquet", lambda p: pyarrow.parquet.write_table(column(1), p), "column b is missing"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_told_from_a_wrong_one(
    tmp_path: Path, name: str, make: Callable[[Path], None], expected: str
) -> None:
    """Cut short, text under another ending, encrypted, ambiguous: each has its line."""
    make(tmp_path / name)
    assert expected in fault(str(tmp_path / name))


def test_a_zip_may_hold_other_things_beside_its_csv(tmp_path: Path) -> None:
    """Folders, a note, and the shadows that a Mac adds are passed over."""
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("data/", b"")
        packed.writestr("data/t.csv", ROWS)
        packed.writestr("__MACOSX/data/._t.csv", b"\0")
        packed.writestr("LICENSE", b"free")
    assert files.read(str(path), ["a"]).num_rows == 3


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_a_disk_that_fails_midway_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An input/output error while reading is a line with the path, not a traceback."""

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    path = write(tmp_path, name=name)
    monkeypatch.setattr(gzip.GzipFile, "read", fail)
    monkeypatch.setattr(Path, "read_bytes", fail)
    assert fault(path) == "data.path=PATH: cannot be read: Input/output error"


def packed(kind: str) -> bytes:
    """Give a small good table as the bytes of a file of this kind."""
    rows = "a,b\n" + "".join(f"{i},{i / 7}\n" for i in range(30))
    if kind == "parquet":
        sink = pa.BufferOutputStream()
        table = pa.table({"a": list(range(30)), "b": [str(i / 7) for i in range(30)]})
        pyarrow.parquet.write_table(table, sink)
        return bytes(sink.getvalue())
    if kind == "zip":
        with zipfile.ZipFile(folder := Path("t.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", rows)
        return folder.read_bytes()
    return gzip.compress(rows.encode(), mtime=0) if kind == "csv.gz" else rows.encode()


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "zip", "parquet"])
def test_whatever_happens_to_its_bytes_a_file_is_read_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A slice replaced by any other gives finite numbers or a DataError, never another error."""
    monkeypatch.chdir(tmp_path)
    raw = packed(kind)
    path = tmp_path / f"fuzz.{kind}"

    @given(at=st.integers(0, len(raw)), n=st.integers(0, 40), new=st.binary(max_size=12))
    @settings(max_examples=150, deadline=None, database=None)
    def check(at: int, n: int, new: bytes) -> None:
        path.write_bytes(raw[:at] + new + raw[at + n :])
        try:
            values = load(str(path), ["a", "b"])
        except DataError as error:
            assert all(len(line.splitlines()) == 1 for line in error.faults)  # noqa: PT017
            return
        assert np.isfinite(values).all()

    check()
