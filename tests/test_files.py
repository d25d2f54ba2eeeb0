"""Tables from files: one content in every format, and a clear line for whatever is wrong."""

import builtins
import datetime as dt
import errno
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch.data import files
from popsearch.data.files import cells
from popsearch.errors import DataError
from tables import ROWS, column, fault, stored, write

# All must be said in a DataError, nothing in a warning or beside it.
pytestmark = [
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("error::UserWarning"),
]
SIMPLE = (pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.string(), pa.null())
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8)
FRAMES = st.fixed_dictionaries(
    {
        "whole": st.integers(-(2**63), 2**63 - 1),
        "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "truth": st.none() | st.booleans(),
        "word": st.none() | WORDS.filter(lambda w: w.strip() not in ("", *cells.SPELLED_EMPTY)),
        "date": st.none() | st.dates(dt.date(1000, 1, 1)),
        "time": st.none() | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),
        "empty": st.none(),
    }
)


@given(rows=st.lists(FRAMES, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_what_pandas_writes_is_read_back_alike_from_every_format(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    """CSV (plain, gzip, zip), Parquet and Feather of one table hold one content."""
    folder = tmp_path_factory.getbasetemp()
    frame = pd.DataFrame({key: [row[key] for row in rows] for key in rows[0]})
    frame["number"] = frame["number"].astype(float)
    frame["kind"] = frame["word"].astype("category")
    frame["time"] = pd.to_datetime(frame["time"]).astype("datetime64[us]")
    for name in ("t.csv", "t.csv.gz", "t.zip"):
        frame.to_csv(folder / name, index=False)
    frame.to_parquet(folder / "t.parquet")
    frame.to_feather(folder / "t.feather")
    whole = [float(row["whole"]) for row in rows]
    number, truth = (
        [np.nan if row[key] is None else float(row[key]) for row in rows]
        for key in ("number", "truth")
    )
    date, time = (np.array([row[key] for row in rows], "M8[us]") for key in ("date", "time"))
    for name in ("t.csv", "t.csv.gz", "t.zip", "t.parquet", "t.feather"):
        table = files.read(str(folder / name), text=["word", "kind"])
        assert table.column_names == list(frame.columns)
        np.testing.assert_array_equal(files.numbers(table, "whole", ""), whole)
        np.testing.assert_array_equal(files.numbers(table, "number", "", missing=True), number)
        np.testing.assert_array_equal(files.booleans(table, "truth", ""), truth)
        np.testing.assert_array_equal(files.times(table, "date", "").to_numpy(False), date)
        np.testing.assert_array_equal(files.times(table, "time", "").to_numpy(False), time)
        assert table["word"].to_pylist() == table["kind"].to_pylist() == [r["word"] for r in rows]
        assert table["empty"].type == pa.null()


# ---- the file itself -----------------------------------------------------------------------


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
        (
            "notes.xlsx",
            "must end with .csv, .tsv, .txt, .csv.gz, .tsv.gz, .txt.gz, .zip, .parquet, .feather, "
            ".arrow, but got notes.xlsx",
        ),
        ("notes", "must end with .csv, .tsv, .txt, "),
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
    write(tmp_path, name="notes.xlsx")
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
        ("t.feather", lambda p: p.write_bytes(ROWS), "is not a readable Feather file: "),
        ("t.arrow", lambda p: p.write_bytes(ROWS), "is not a readable Feather file: "),
        ("t.feather", cut(lambda p: pyarrow.feather.write_feather(column(*range(99)), p)),
         "is not a readable Feather file: "),
        ("t.arrow", lambda p: pyarrow.feather.write_feather(column(1), p), "column b is missing"),
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

    class Failing(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0.6 * Path(self.name).stat().st_size:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    cells = np.random.default_rng(0).integers(1_000_000, size=(300_000, 2)).tolist()
    raw = ("a,b\n" + "".join(f"{a},{b}\n" for a, b in cells)).encode()
    path = write(tmp_path, gzip.compress(raw) if name.endswith("gz") else raw, name)
    monkeypatch.setattr(Path, "open", lambda path, *_, **__: Failing(path))
    monkeypatch.setattr(builtins, "open", lambda path, *_, **__: Failing(path))
    assert fault(path) == "data.path=PATH: cannot be read: Input/output error"


def test_a_disk_that_fails_is_told_from_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a Parquet file too, whose content may be whole."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = stored(tmp_path, column(1))
    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", fail)
    assert fault(path) == "data.path=PATH: cannot be read: Input/output error"


def packed(folder: Path, kind: str) -> bytes:
    """Give a small good table as the bytes of a file of this kind."""
    rows = "a,b,c\n" + "".join(f"{i},{i / 7},2020-01-01\n" for i in range(30))
    match kind:
        case "csv":
            return rows.encode()
        case "csv.gz":
            return gzip.compress(rows.encode(), mtime=0)
        case "zip":
            sink = io.BytesIO()
            with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("t.csv", rows)
            return sink.getvalue()
        case _:
            numbers = {"a": list(range(30)), "b": [str(i / 7) for i in range(30)]}
            more = {"c": [dt.date(2020, 1, 1)] * 30, "d": [["x"], [], None] * 10}
            return Path(stored(folder, pa.table(numbers | more), kind)).read_bytes()


def stored_as(path: Path, raw: bytes) -> Path:
    """Write bytes and give where."""
    path.write_bytes(raw)
    return path


def read_or_refused(path: Path, **options: Any) -> None:
    """Read a file, and each column as everything; only a DataError with clear lines may come."""

    def attempt(action: Callable[[], Any]) -> Any:
        try:
            return action()
        except DataError as error:
            assert error.faults  # noqa: PT017
            assert all(len(line.splitlines()) == 1 for line in error.faults)  # noqa: PT017
            return None

    table = attempt(lambda: files.read(str(path), **options))
    if table is None:
        return
    table.validate(full=True)
    assert table.num_rows
    assert len(set(table.column_names)) == table.num_columns
    for name in table.column_names:
        assert table[name].type in SIMPLE or pa.types.is_timestamp(table[name].type)
        numbers = attempt(lambda name=name: files.numbers(table, name, ""))
        assert numbers is None or np.isfinite(numbers).all()
        some = attempt(lambda name=name: files.numbers(table, name, "", missing=True))
        assert some is None or not np.isinf(some).any()
        truths = attempt(lambda name=name: files.booleans(table, name, ""))
        assert truths is None or set(truths[~np.isnan(truths)]) <= {0, 1}
        times = attempt(lambda name=name: files.times(table, name, ""))
        assert times is None or (times.type, len(times)) == (pa.timestamp("us"), table.num_rows)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "zip", "parquet", "feather", "arrow"])
def test_whatever_happens_to_its_bytes_a_file_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    """A slice replaced by any other gives a table or a DataError, never another error."""
    raw = packed(tmp_path, kind)
    path = tmp_path / f"fuzz.{kind}"
    read_or_refused(stored_as(path, raw))

    @given(at=st.integers(0, len(raw)), n=st.integers(0, 40), new=st.binary(max_size=12))
    @settings(max_examples=150, deadline=None, database=None)
    def check(at: int, n: int, new: bytes) -> None:
        read_or_refused(stored_as(path, raw[:at] + new + raw[at + n :]))

    @given(n=st.integers(0, len(raw)))
    @settings(max_examples=50, deadline=None, database=None)
    def check_cut(n: int) -> None:
        read_or_refused(stored_as(path, raw[:n]))

    check()
    check_cut()


NAMES = ["a", "b", "", " a", "größe", '"x,y"', '"m\nn"', "n\x85m", "1", "\ufeffa", '"a""b"']
CELLS = [
    "1", "2.5", "", "NA", "x", '"q,q"', '"1\n2"', "true", "2020-01-01", "2020", "9" * 25, "1e999",
    "-", "+3", '"', '""', "é", "  ", "now", "10:30", "01/02/2020", "13/02/2020", "0x1f", "inf",
    "\0", "2020-01-01T10:00Z", '5" disc', "\u2028", "99999-01-01", "1,2,3",
]  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Give what may stand in a CSV, with many of the ways that it can be wrong."""
    separator = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    pools = [draw(st.lists(st.sampled_from(CELLS), min_size=1, max_size=4)) for _ in names]
    rows = draw(st.lists(st.tuples(*map(st.sampled_from, pools)), max_size=12))
    lines = [separator.join(row) for row in [names, *rows]]
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    ends = draw(st.sampled_from(["", end, end * 3]))
    before = draw(st.sampled_from(["", "", "\ufeff", "\n", "\ufeff\r\n"]))
    code = draw(st.sampled_from(["utf-8"] * 8 + ["utf-16", "latin-1"]))
    return (before + end.join(lines) + ends).encode(code, "replace")


@given(
    raw=tables() | st.binary(max_size=60),
    text=st.sets(st.sampled_from(["a", "b"])),
    columns=st.none() | st.just(["b", "a"]),
    separator=st.none() | st.sampled_from([",", ";", " ", "x"]),
    decimal=st.sampled_from([".", ","]),
)
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_it_a_csv_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, **options: Any
) -> None:
    """Ragged rows, mixed types, lone quotes, names twice, other encodings, mere bytes."""
    read_or_refused(stored_as(tmp_path_factory.getbasetemp() / "any.csv", raw), **options)
