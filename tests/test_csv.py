"""Any table of the user's: its columns recognised, its faults told in one line each."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch.data import Table, csv
from popsearch.errors import DataError
from popsearch.source import CsvData, Kinds

ROWS = 40


def asked(path: Path, target: str = "price", **more: Any) -> CsvData:
    """Give the configuration of a file, as conf/data/csv.yaml gives it."""
    own = {"name": None, "separator": None, "decimal": "point", **more}
    return CsvData(source="csv", path=str(path), target=target, **own)


def homes() -> pd.DataFrame:
    """Give forty homes with columns of every kind."""
    rng = np.random.default_rng(5)
    i = np.arange(ROWS)
    frame = pd.DataFrame(
        {
            "": i,
            "code": [f"H-{n:03d}" for n in i],
            "size": rng.random(ROWS).round(3),
            "rooms": rng.integers(1, 9, ROWS),
            "garden": rng.random(ROWS) > 0.5,
            "city": rng.choice(["Rome", "Oslo", "Nørre Åby"], ROWS),
            "zip": rng.choice(["00184", "00185", "01001"], ROWS),
            "built": pd.date_range("1990-03-01", periods=ROWS, freq="100D").strftime("%Y-%m-%d"),
            "sold": rng.choice(["yes", "No"], ROWS),
            "heating": [None] * ROWS,
            "price": rng.random(ROWS).round(4),
        }
    )
    frame.loc[3, "size"] = np.nan
    frame.loc[[4, 6], "city"] = None
    return frame


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Table]:
    """Give the function that writes a table as CSV and loads it."""

    def load(frame: pd.DataFrame | str | bytes, target: str = "price", **more: Any) -> Table:
        raw = frame.to_csv(index=False) if isinstance(frame, pd.DataFrame) else frame
        path = tmp_path / "homes.csv"
        path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
        return csv.load(asked(path, target, **more))

    return load


@pytest.fixture
def faults(load: Callable[..., Table], tmp_path: Path) -> Callable[..., list[str]]:
    """Give the function that loads a table and gives its faults, without the path."""

    def faults(*args: Any, **more: Any) -> list[str]:
        with pytest.raises(DataError) as caught:
            load(*args, **more)
        where = f"data.path={tmp_path / 'homes.csv'}: "
        return [fault.removeprefix(where) for fault in caught.value.faults]

    return faults


def kinds(table: Table) -> dict[str, str]:
    """Give the kind of every column."""
    return {name: column.kind for name, column in table.columns.items()}


def test_every_kind_is_recognised(load: Callable[..., Table]) -> None:
    """Numbers, categories, dates, row numbers, texts and empty columns are told apart."""
    table = load(homes())
    assert kinds(table) == {
        "unnamed_1": "id",
        "code": "text",
        "size": "numeric",
        "rooms": "numeric",
        "garden": "boolean",
        "city": "categorical",
        "zip": "numeric",
        "built": "datetime",
        "sold": "boolean",
        "heating": "empty",
    }
    assert (table.name, table.about, table.target) == ("homes", "40 rows of homes.csv", "price")
    assert table.y.tolist() == homes()["price"].tolist()
    assert table.columns["size"].n_missing == 1
    assert table.columns["city"].n_missing == 2
    assert table.X["sold"].tolist() == [float(word == "yes") for word in homes()["sold"]]


def test_what_the_user_says_counts(load: Callable[..., Table]) -> None:
    """Kinds that are given are taken, as written: a category keeps its leading zeros."""
    frame = homes().assign(built=lambda f: pd.to_datetime(f["built"]).dt.strftime("%d.%m.%Y"))
    given = Kinds(numeric=["garden"], boolean=["rooms"], categorical=["zip", "code"])
    frame["rooms"] = frame["rooms"] % 2
    table = load(frame, columns=given, drop=["size"], datetime=["built"])
    found = kinds(table)
    assert found["garden"] == "numeric"
    assert found["rooms"] == "boolean"
    assert found["zip"] == found["code"] == "categorical"
    assert found["built"] == "datetime"
    assert table.X["zip"].tolist() == frame["zip"].tolist()
    expected = pd.to_datetime(frame["built"], format="%d.%m.%Y")
    assert table.X["built"].tolist() == expected.tolist()
    assert table.columns["size"].dropped
    assert not table.columns["size"].is_feature


def test_dates_that_can_be_read_in_two_ways_are_refused(load: Callable[..., Table]) -> None:
    """Nobody can tell 03/04 from 04/03, so what to type is said; typed, it is read."""
    frame = homes().assign(built=["03/04/2001", "04/03/2001"] * (ROWS // 2))
    with pytest.raises(DataError, match="built holds dates, the first is '03/04/2001'") as caught:
        load(frame)
    assert "data.datetime=[built]" in str(caught.value)
    assert kinds(load(frame, datetime=["built"]))["built"] == "datetime"
    assert not load(frame, drop=["built"]).columns["built"].is_feature


@pytest.mark.parametrize("cell", ["2020/01/{:02}", "2020-{:02}", "2020-01-{:02} 10:00:00 UTC"])
def test_dates_with_the_year_first_are_recognised(load: Callable[..., Table], cell: str) -> None:
    """With slashes, without a day, and as BigQuery writes them; as pandas reads them."""
    text = [cell.format(1 + i % 12) for i in range(ROWS)]
    table = load(homes().assign(built=text))
    assert kinds(table)["built"] == "datetime"
    expected = [pd.Timestamp(day.removesuffix(" UTC")) for day in text]
    assert table.X["built"].tolist() == expected


@pytest.mark.parametrize(
    "cell",
    ["1,23{}", "$1{}.50", "1{}%", "({}.25)", "1\u202f00{}", "€ 1{}", "1'00{}.5", "-1,234,56{}"],
)
def test_numbers_written_for_people_are_refused(load: Callable[..., Table], cell: str) -> None:
    """They would be a category, or left out as texts; said to be a category, they are one."""
    frame = homes().assign(area=[cell.format(i % 10) for i in range(ROWS)])
    with pytest.raises(DataError, match="area holds numbers") as caught:
        load(frame)
    assert "data.columns.categorical=[area]" in str(caught.value)
    assert kinds(load(frame, columns={"categorical": ["area"]}))["area"] == "categorical"


def test_numbers_among_placeholders_are_refused(load: Callable[..., Table]) -> None:
    """Where most cells say no more than a dash, the others are still numbers."""
    area = [f"{i}.5" if i % 3 == 0 else "-" for i in range(ROWS * 2)]
    frame = pd.concat([homes(), homes()], ignore_index=True).assign(area=area)
    with pytest.raises(DataError, match=r"area holds numbers in .* rows, but row 2 has '-'"):
        load(frame)


def test_all_formats_give_the_same_table(load: Callable[..., Table], tmp_path: Path) -> None:
    """CSV, Parquet and Feather of one table share kinds, values and fingerprint."""
    frame = homes().rename(columns={"": "unnamed_1"}).astype({"zip": int})
    frame["heating"] = frame["heating"].astype(float)
    first = load(frame)
    frame.to_parquet(tmp_path / "homes.parquet")
    frame.to_feather(tmp_path / "homes.feather")
    typed = frame.assign(
        built=pd.to_datetime(frame["built"]), city=frame["city"].astype("category")
    )
    typed.to_parquet(tmp_path / "typed.parquet")
    (tmp_path / "semicolon.csv").write_text(frame.to_csv(index=False, sep=";", decimal=","))
    others = [
        csv.load(asked(tmp_path / "homes.parquet")),
        csv.load(asked(tmp_path / "homes.feather")),
        csv.load(asked(tmp_path / "typed.parquet")),
        csv.load(asked(tmp_path / "semicolon.csv", decimal="comma")),
    ]
    for other in others:
        assert other.columns == first.columns
        assert other.fingerprint == first.fingerprint


def test_path_and_target_are_asked_for_at_once() -> None:
    """Without both, both are told."""
    own = {"name": None, "separator": None, "decimal": "point"}
    with pytest.raises(DataError) as caught:
        csv.load(CsvData(source="csv", path=None, target=None, **own))  # type: ignore[arg-type]
    assert list(caught.value.faults) == [
        "data.path is required for data=csv; give data.path=FILE",
        "data.target is required for data=csv; give data.target=COLUMN",
    ]


def test_all_names_that_are_no_columns_are_told(faults: Callable[..., list[str]]) -> None:
    """Every setting that names a column is checked, with the nearest name."""
    found = faults(
        homes(),
        target="prize",
        drop=["siz", "city"],
        datetime=["built"],
        columns=Kinds(numeric=["built"], categorical=["town"]),
    )
    assert found[:3] == [
        "data.target=prize is not a column; did you mean price?",
        "data.drop: siz is not a column; did you mean size?",
        "data.columns.categorical: town is not a column; choose from: unnamed_1, code, size, "
        "rooms, garden, city, zip, built, sold, heating, price",
    ]
    assert found[3:] == [
        "data.columns and data.datetime must give each column one kind, but built has 2"
    ]


def test_the_target_is_no_feature(faults: Callable[..., list[str]]) -> None:
    """A setting for features that names the target is refused."""
    (found,) = faults(homes(), drop=["price"])
    assert found == "data.drop: price is data.target, which is no feature; leave it out here"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["", *["1"] * 39], "price must be a finite number in every row, but row 1 is empty"),
        (
            ["1"] * 39 + ["dear"],
            "price must be a finite number in every row, but row 40 has 'dear'",
        ),
        (["a", "b"] * 20, "price must be a finite number in every row, but row 1 has 'a'"),
        (["1", "inf"] * 20, "price must be a finite number in every row, but row 2 has inf"),
        (["7"] * 40, "the target price must vary, but it is 7 in all 40 rows"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(
    faults: Callable[..., list[str]], cells: list[str], expected: str
) -> None:
    """A target with gaps, text or one value is told with the first bad row."""
    (found,) = faults(homes().assign(price=cells))
    assert found.startswith(expected)


def test_all_bad_columns_are_told_at_once(faults: Callable[..., list[str]]) -> None:
    """Numbers with text among them, and cells that are not of the kind given, each have a line."""
    frame = homes().astype({"size": object, "rooms": object, "sold": object})
    frame.loc[9, "size"] = "large"
    frame.loc[0, "rooms"] = "many"
    frame.loc[5, "sold"] = "perhaps"
    found = faults(frame, columns=Kinds(boolean=["sold"], numeric=["rooms"]))
    assert found[0].startswith("size holds numbers in 38 rows, but row 10 has 'large'; mend such")
    assert "data.columns.categorical=[size]" in found[0]
    assert found[1].startswith(
        "rooms must be a finite number or empty in every row, but row 1 has 'many'"
    )
    assert found[2].startswith("sold must be")
    assert "row 6 has 'perhaps'" in found[2]
    assert len(found) == 3


def test_decimal_commas_are_asked_about(faults: Callable[..., list[str]]) -> None:
    """Numbers written 3,14 are not taken for categories, in the target or elsewhere."""
    found = faults(homes()[["size", "price"]].to_csv(index=False, sep=";", decimal=","))
    assert found[0].startswith("size holds numbers with a comma, the first has '0,")
    assert found[1].startswith("price must be a finite number in every row, but row 1 has '0,")
    assert all(fault.endswith("give data.decimal=comma") for fault in found)


def test_a_dropped_column_may_hold_anything(load: Callable[..., Table]) -> None:
    """Words among numbers, infinities, dates of no calendar: what is left out needs no mending."""
    frame = homes().astype({"size": object, "built": object})
    frame.loc[9, "size"] = "large"
    frame.loc[5, "built"] = "0000-00-00"
    frame["rooms"] = np.inf
    names = ["size", "built", "rooms"]
    with pytest.raises(
        DataError, match=r"row 6 has '0000-00-00'.*leave the column out: data\.drop"
    ):
        load(frame, drop=["size", "rooms"])
    table = load(frame, drop=names)
    assert {name for name, column in table.columns.items() if column.dropped} == {*names}


def test_bytes_under_another_ending_are_another_file(
    load: Callable[..., Table], tmp_path: Path
) -> None:
    """What is refused by itself is also refused where the same bytes are kept as a table."""
    load(homes())
    (tmp_path / "homes.parquet").write_bytes((tmp_path / "homes.csv").read_bytes())
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        csv.load(asked(tmp_path / "homes.parquet"))


def test_numbers_stored_as_categories_are_categories(tmp_path: Path) -> None:
    """Who makes a Categorical of codes in pandas has said what they are; Feather keeps that."""
    zips = pd.Categorical(np.arange(ROWS) % 4 + 10115)
    homes().assign(zip=zips).to_feather(tmp_path / "homes.feather")
    table = csv.load(asked(tmp_path / "homes.feather"))
    assert kinds(table)["zip"] == "categorical"
    assert table.X["zip"].tolist() == [str(code) for code in zips]


def test_none_is_an_empty_cell(load: Callable[..., Table]) -> None:
    """As Python writes it, and as pandas reads it: among numbers and among words."""
    area = [None if i % 4 == 0 else i * 1.5 for i in range(ROWS)]
    city = [None if i % 4 == 0 else f"c{i % 3}" for i in range(ROWS)]
    frame = homes().assign(area=area, city=city)
    table = load(frame.to_csv(index=False, na_rep="None"))
    assert table.columns["area"].kind == "numeric"
    assert table.columns["area"].n_missing == table.columns["city"].n_missing == ROWS // 4


def test_a_dropped_column_of_any_type_may_hold_anything(tmp_path: Path) -> None:
    """Also what Arrow has and Python cannot have, such as a list of days after the year 9999."""
    days = pa.array([[2**31 - 1]] * ROWS, pa.list_(pa.date32()))
    late = pa.array([2**31 - 1] * ROWS, pa.date32())
    table = pa.table({"days": days, "late": late, "a": range(7, 7 + ROWS), "y": range(ROWS)})
    pyarrow.feather.write_feather(table, tmp_path / "t.feather")
    found = csv.load(asked(tmp_path / "t.feather", "y", drop=["days", "late"]))
    assert [name for name, column in found.columns.items() if column.is_feature] == ["a"]
    with pytest.raises(DataError, match="days"):
        csv.load(asked(tmp_path / "t.feather", "y"))


def test_numbers_too_large_for_any_type_are_numbers(load: Callable[..., Table]) -> None:
    """Whole numbers of thirty digits are read, as near as a float comes."""
    table = load(homes().assign(size=[10**29 + i for i in range(ROWS)]))
    assert table.columns["size"].kind == "numeric"
    assert table.X["size"].iloc[0] == pytest.approx(1e29)


cells = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.floats().map(str),
    st.text(max_size=6),
    st.sampled_from(["", "NA", "true", "2001-02-03", "1e999", '"', '""', "'", ",", "\0", "﻿"]),
)


@settings(max_examples=150)
@given(
    header=st.lists(st.one_of(st.just("y"), st.text(max_size=5)), min_size=1, max_size=4),
    rows=st.lists(st.lists(cells, min_size=1, max_size=4), max_size=14),
    quoted=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
    cut=st.integers(0, 400),
)
def test_any_file_is_a_table_or_refused_in_clear_lines(
    tmp_path_factory: pytest.TempPathFactory,
    header: list[str],
    rows: list[list[str]],
    quoted: bool,
    ending: str,
    bom: bool,
    cut: int,
) -> None:
    """Whatever a file holds, it is loaded or refused with one line for each fault."""

    def line(values: list[str]) -> str:
        shown = [f'"{v.replace(chr(34), 2 * chr(34))}"' if quoted else v for v in values]
        return ",".join(shown)

    text = ending.join([line(header), *map(line, rows), ""])
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(b"\xef\xbb\xbf" * bom + text.encode("utf-8", "surrogatepass")[: cut or None])
    try:
        table = csv.load(asked(path, "y"))
    except DataError as error:
        assert error.faults  # noqa: PT017
        assert all(fault.isprintable() for fault in error.faults)  # noqa: PT017
    else:
        assert np.isfinite(table.y).all()
        assert len(table.X) == table.n_rows >= 10


def test_diabetes_is_read_as_it_was_written(load: Callable[..., Table]) -> None:
    """scikit-learn's bundled table comes back as ten numeric columns with their values."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(as_frame=True)
    buffer = io.StringIO()
    bunch.frame.to_csv(buffer, index=False)
    table = load(buffer.getvalue(), target="target")
    assert set(kinds(table).values()) == {"numeric"}
    np.testing.assert_array_equal(table.X.to_numpy(), bunch.data.to_numpy())
    np.testing.assert_array_equal(table.y, bunch.target.to_numpy())
