"""The Kaggle table of tracks: the same in every format, and all its faults told at once."""

import datetime
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch.data import Table, track_columns, tracks
from popsearch.errors import DataError
from popsearch.source import TracksData

HEADER = [
    "id", "name", "popularity", "duration_ms", "explicit", "artists", "id_artists", "release_date",
    "danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness",
    "instrumentalness", "liveness", "valence", "tempo", "time_signature",
]  # fmt: skip
SHARED = Path(__file__).parents[2] / "shared" / "data" / "tracks.csv.gz"


def good() -> list[list[str]]:
    """Give the cells of twelve good tracks."""
    rng = np.random.default_rng(3)
    dates = ["1923", "1960-05", "2001-12-31"]
    return [
        [f"id{i}", f"Song, the {i}th", str(20 + i), str(180_999 + 1000 * i), "0", "['A', 'B']",
         "['x', 'y']", dates[i % 3], *map(str, rng.random(2)), str(i), str(-10 * rng.random()),
         str(i % 2), *map(str, rng.random(5)), str(60 + 100 * rng.random()), "4"]
        for i in range(12)
    ]  # fmt: skip


def load_file(path: Path) -> Table:
    """Load the table of a file."""
    return tracks.load(TracksData(source="tracks", name="tracks", path=str(path)))


def csv(rows: list[list[str]], header: list[str] = HEADER) -> bytes:
    """Give rows as the bytes of a CSV."""
    lines = [",".join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows]
    return "\n".join([",".join(header), *lines, ""]).encode()


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Table]:
    """Give the function that writes bytes to a file and loads the file."""

    def load(raw: bytes, name: str = "tracks.csv") -> Table:
        (tmp_path / name).write_bytes(raw)
        return load_file(tmp_path / name)

    return load


@pytest.fixture
def faults(load: Callable[..., Table], tmp_path: Path) -> Callable[..., list[str]]:
    """Give the function that loads bytes and gives the faults without their common beginning."""

    def faults(raw: bytes) -> list[str]:
        with pytest.raises(DataError) as caught:
            load(raw)
        where = f"data.path={tmp_path / 'tracks.csv'}: "
        assert all(fault.startswith(where) for fault in caught.value.faults)
        return [fault.removeprefix(where) for fault in caught.value.faults]

    return faults


def changed(column: str, *cells: str) -> bytes:
    """Give the CSV with other values in the last rows of a column."""
    rows = good()
    for row, cell in zip(rows[-len(cells) :], cells, strict=True):
        row[HEADER.index(column)] = cell
    return csv(rows)


def test_bytes_under_another_ending_are_another_file(load: Callable[..., Table]) -> None:
    """What is refused by itself is also refused where the same bytes are kept as a table."""
    load(csv(good()))
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        load(csv(good()), "tracks.parquet")


def test_columns_are_the_year_the_audio_features_and_whole_seconds(
    load: Callable[..., Table],
) -> None:
    """The year comes from dates of all three lengths; milliseconds are cut to seconds."""
    table = load(csv(good()))
    assert list(table.X)[:13] == ["year", *track_columns.AUDIO, "duration_sec"]
    assert table.X["year"].tolist() == [1923, 1960, 2001] * 4
    assert table.X["duration_sec"].tolist() == [180 + i for i in range(12)]
    assert table.X["energy"].tolist() == [float(row[9]) for row in good()]
    assert table.y.tolist() == [20 + i for i in range(12)]
    assert (table.name, table.about) == ("tracks", "12 tracks from tracks.csv")
    assert table.true_mean is None


def test_the_catalogue_is_read(load: Callable[..., Table]) -> None:
    """Month and weekday are missing where the date does not say them; artists are counted."""
    rows = good()
    rows[3][HEADER.index("name")] = ""
    rows[4][HEADER.index("id_artists")] = "[]"
    rows[5][HEADER.index("explicit")] = "1"
    rows[6][HEADER.index("id_artists")] = "['x']"
    table = load(csv(rows))
    X = table.X.astype({"artist_ids": object}).replace({np.nan: None})
    assert X["release_month"].tolist()[:3] == [None, 5, 12]
    assert X["release_weekday"].tolist()[:3] == [None, None, 0]  # a Monday
    assert [t.isoformat()[:10] for t in table.X["release_date"][:3]] == [
        "1923-01-01", "1960-05-01", "2001-12-31",
    ]  # fmt: skip
    assert X["n_artists"].tolist()[3:7] == [2, None, 2, 1]
    assert X["artist_ids"].tolist()[3:7] == ["x,y", None, "x,y", "x"]
    assert X["title_length"].tolist()[2:4] == [len("Song, the 2th"), None]
    assert X["explicit"].tolist()[4:6] == [0, 1]
    kinds = {name: column.kind for name, column in table.columns.items()}
    assert kinds["explicit"] == "boolean"
    assert kinds["artist_ids"] == "labels"
    assert kinds["release_date"] == "datetime"
    assert {name for name, kind in kinds.items() if kind == "text"} == {"name", "artists"}


def test_every_format_gives_the_same_table(tmp_path: Path, load: Callable[..., Table]) -> None:
    """Plain, gzipped, zipped and Parquet files of the same rows share values and fingerprint."""
    raw = csv(good())
    table = load(raw)
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as packed:
        packed.writestr("tracks.csv", raw)
    pyarrow.parquet.write_table(
        pyarrow.csv.read_csv(pa.BufferReader(raw)), tmp_path / "made.parquet"
    )
    others = [
        load(gzip.compress(raw), "tracks.csv.gz"),
        load(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"), "windows.csv"),
        load(csv([row[::-1] for row in good()], HEADER[::-1]), "reversed.csv"),
        load_file(tmp_path / "made.zip"),
        load_file(tmp_path / "made.parquet"),
    ]
    for other in others:
        assert other.X.equals(table.X)
        np.testing.assert_array_equal(other.y, table.y)
        assert other.fingerprint == table.fingerprint


def test_all_bad_columns_are_told_at_once(faults: Callable[..., list[str]]) -> None:
    """Each bad column has one line, with its first bad row and what stands there."""
    rows = good()
    for row, column, cell in [
        (4, "popularity", "high"),
        (2, "popularity", "low"),
        (0, "release_date", "May 1960"),
        (11, "tempo", ""),
        (7, "energy", "inf"),
        (5, "duration_ms", "3:45"),
    ]:
        rows[row][HEADER.index(column)] = cell
    must = "must be a finite number in every row, but row"
    assert faults(csv(rows)) == [
        "release_date must be YYYY, YYYY-MM or YYYY-MM-DD in every row, but row 1 has 'May 1960'; "
        "mend or remove such rows",
        f"energy {must} 8 has inf; mend or remove such rows",
        f"tempo {must} 12 is empty; mend or remove such rows",
        f"duration_ms {must} 6 has '3:45'; mend or remove such rows",
        f"popularity {must} 3 has 'low' (and 1 more); mend or remove such rows",
    ]


def test_all_missing_columns_are_told_at_once(faults: Callable[..., list[str]]) -> None:
    """The nearest name in the file is offered for each."""
    header = [{"tempo": "temp", "key": "Key"}.get(name, name) for name in HEADER]
    assert faults(csv(good(), header)) == [
        "column key is missing; did you mean Key?",
        "column tempo is missing; did you mean temp?",
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (csv([]), "must have a header line and rows, but has no rows"),
        (csv(good()[:1]), "must have at least 10 rows, but has 1"),
        (
            changed("popularity", *["50"] * 12),
            "the target popularity must vary, but it is 50 in all 12 rows",
        ),
    ],
)
def test_a_table_nothing_can_be_learned_from_is_refused(
    faults: Callable[..., list[str]], raw: bytes, expected: str
) -> None:
    """Too few rows and a constant target are told with the file's path."""
    assert faults(raw) == [expected]


def test_a_table_of_bare_years_is_read(load: Callable[..., Table]) -> None:
    """Dates that look like whole numbers are years."""
    assert set(load(changed("release_date", *["1999"] * 12)).X["year"]) == {1999}


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("", "is empty"),
        ("0000", "has '0000'"),
        ("99", "has '99'"),
        ("1999.5", "has '1999.5'"),
        ("2001-13", "has '2001-13'"),
        ("2001-02-32", "has '2001-02-32'"),
        ("2001-02-30", "has '2001-02-30'"),
        ("2001-2-3", "has '2001-2-3'"),
        ("2001/02/03", "has '2001/02/03'"),
        ("2001-02-03T00:00", "has '2001-02-03T00:00'"),
        ("١٩٩٩", "has '١٩٩٩'"),
    ],
)
def test_a_date_written_otherwise_is_refused(
    faults: Callable[..., list[str]], cell: str, shown: str
) -> None:
    """The row and the date are named."""
    assert faults(changed("release_date", cell, "2001-01-01")) == [
        "release_date must be YYYY, YYYY-MM or YYYY-MM-DD in every row, but row 11 "
        f"{shown}; mend or remove such rows"
    ]


@pytest.mark.parametrize(
    "dates",
    [
        pa.array([datetime.date(1960, 1, 1), datetime.date(2021, 12, 31)]),
        pa.array([datetime.date(1960, 1, 1), datetime.date(2021, 12, 31)], pa.date64()),
        pa.array([datetime.datetime(1960, 1, 1, 12), datetime.datetime(2021, 12, 31, 23, 59)]),
        pa.array([datetime.datetime(1960, 1, 1), datetime.datetime(2021, 12, 31)],
                 pa.timestamp("ns", "UTC")),
        pa.array([1960, 2021], pa.int16()),
        pa.array([1960.0, 2021.0]),
        pa.array([" 1960", "2021-12 "], pa.large_string()),
        pa.array(["1960", "2021-12"], pa.string_view()),
        pa.array(["1960", "2021-12"]).dictionary_encode(),
    ],
    ids=lambda dates: str(dates.type).split("<")[0],
)  # fmt: skip
def test_dates_of_every_type_give_their_year(dates: pa.Array) -> None:
    """Days, points in time, numbers and text are understood, as Parquet may hold any of them."""
    found = track_columns.release_dates(pa.chunked_array([dates]), "").to_pylist()
    assert [date[:4] for date in found] == ["1960", "2021"]


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (pa.array([datetime.date(1960, 1, 1), None]), "row 2 is empty"),
        (pa.array([datetime.date(1, 1, 1)]), "row 1 has 0001-01-01"),
        (pa.array([1960.5]), "row 1 has 1960.5"),
        (pa.array([1960, None, 5]), "row 2 is empty (and 1 more)"),
        (pa.array([[1960]]), "the column holds list<"),
        (pa.array([True]), "row 1 has True"),
    ],
    ids=lambda value: str(getattr(value, "type", "")).split("<")[0],
)
def test_values_that_are_no_dates_are_refused(dates: pa.Array, expected: str) -> None:
    """A missing day, half a year or a list is named."""
    with pytest.raises(DataError, match=r"^data: release_date must be YYYY") as caught:
        track_columns.release_dates(pa.chunked_array([dates]), "data")
    assert expected in str(caught.value)


def check_loads_or_refuses(path: Path) -> None:
    """Load a table: finite numbers or a DataError, nothing else."""
    try:
        table = load_file(path)
    except DataError as error:
        assert all(len(fault.splitlines()) == 1 for fault in error.faults)  # noqa: PT017
        return
    assert np.isfinite(table.X[["year", *track_columns.AUDIO, "duration_sec"]].to_numpy()).all()
    assert np.isfinite(table.y).all()


def test_any_slice_of_a_table_may_be_anything(tmp_path: Path) -> None:
    """Bytes cut out, put in or replaced give a table or a DataError."""
    raw = csv(good())
    path = tmp_path / "fuzz.csv"
    spoiled = st.one_of(st.binary(max_size=20), st.sampled_from([b'"', b",", b"\n", b"\r", b"\0"]))

    @given(at=st.integers(0, len(raw)), n=st.integers(0, 300), new=spoiled)
    @settings(max_examples=250, deadline=None, database=None)
    def check(at: int, n: int, new: bytes) -> None:
        path.write_bytes(raw[:at] + new + raw[at + n :])
        check_loads_or_refuses(path)

    check()


def test_any_cell_of_a_table_may_be_any_text(tmp_path: Path) -> None:
    """Text in any cell, of the header too, gives a table or a DataError."""
    path = tmp_path / "fuzz.csv"

    @given(
        row=st.integers(0, 12),
        column=st.integers(0, 19),
        cell=st.one_of(st.text(), st.floats().map(str), st.dates().map(str)),
    )
    @settings(max_examples=250, deadline=None, database=None)
    def check(row: int, column: int, cell: str) -> None:
        rows = [HEADER, *good()]
        rows[row] = [*rows[row][:column], cell, *rows[row][column + 1 :]]
        path.write_bytes(csv(rows[1:], rows[0]))
        check_loads_or_refuses(path)

    check()


@pytest.mark.skipif(not SHARED.exists(), reason="the shared file of real tracks is not here")
def test_the_real_tracks_are_read() -> None:
    """145,065 real tracks: years from dates of three lengths, popularity from 31 to 100."""
    table = load_file(SHARED)
    assert table.n_rows == 145_065
    assert table.about == "145,065 tracks from tracks.csv.gz"
    assert np.isfinite(table.X[["year", *track_columns.AUDIO, "duration_sec"]].to_numpy()).all()
    assert table.X["release_month"].isna().sum() == 23_384
    assert table.X["release_weekday"].isna().sum() == 23_384 + 452
    assert (table.y.min(), table.y.max()) == (31, 100)
    assert table.y.mean() == pytest.approx(45.35, abs=0.005)
    assert table.X["year"].iloc[:3].tolist() == [1923, 1923, 1926]  # bare years
    assert table.X["year"].between(1922, 2021).all()
    assert (table.X["tempo"] == 0).sum() == 124
    assert table.X["duration_sec"].iloc[0] == 177
