"""The frozen table: nothing changes it, and its fingerprint tells it apart."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from popsearch import data
from popsearch.data import Table, demo
from popsearch.data.table import MIN_ROWS, Kind, assemble, view
from popsearch.errors import DataError
from popsearch.source import DemoData


def columns(n_rows: int = 20) -> dict[str, NDArray[np.float64]]:
    """Give two columns of values that all differ."""
    return {"a": np.arange(n_rows) / 7, "b": 100 + np.arange(n_rows) / 3}


def target(n_rows: int = 20) -> NDArray[np.float64]:
    """Give a target."""
    return np.arange(n_rows) * 2.0


def make(
    columns: dict[str, Any], y: Any, true_mean: Any = None, kind: Kind = "numeric", **dropped: Any
) -> Table:
    """Give the table of these columns, all of one kind."""
    cells = {name: (kind, values) for name, values in columns.items()}
    return view(assemble(cells, "score", y, "data=t", **dropped), "t", "some rows", true_mean)


def faults(columns: dict[str, Any], y: Any) -> list[str]:
    """Give the lines with which a table is refused."""
    with pytest.raises(DataError) as caught:
        make(columns, y)
    return list(caught.value.faults)


def test_a_table_keeps_names_order_and_values() -> None:
    """Columns stand in the order given, as float64; the number of rows is that of the target."""
    table = make(columns(), target().astype(int), true_mean=target() + 1)
    assert (table.name, table.about, table.target, table.n_rows) == ("t", "some rows", "score", 20)
    assert list(table.X) == list(table.columns) == ["a", "b"]
    assert set(table.X.dtypes) | {table.y.dtype} == {np.dtype("float64")}
    np.testing.assert_array_equal(table.X["b"], columns()["b"])
    np.testing.assert_array_equal(table.y, target())
    assert table.true_mean is not None
    np.testing.assert_array_equal(table.true_mean, target() + 1)


def test_a_table_cannot_be_written_to() -> None:
    """Features, target and true mean are read-only, by any of the ways to reach their values."""
    table = make(columns(), target(), target())
    assert table.true_mean is not None
    with pytest.raises(ValueError, match="read-only"):
        table.X.iloc[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        table.X["a"].to_numpy()[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        table.y[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        table.true_mean[0] = 1.0
    with pytest.raises(AttributeError):
        table.y = target()  # type: ignore[misc]


def test_a_view_copies_no_numbers() -> None:
    """Columns and target of numbers lie where Arrow has them, as a memory-mapped file needs."""
    cells = assemble({"a": ("numeric", columns()["a"])}, "score", target(), "")
    table = view(cells, "t", "")
    for name, seen in (("a", table.X["a"].to_numpy()), ("score", table.y)):
        assert np.shares_memory(seen, cells[name].chunk(0).to_numpy())


def test_each_kind_has_its_type() -> None:
    """Numbers are floats with NaN, text is text, times are times; gaps and labels are counted."""
    n = 12
    cells: dict[str, tuple[Kind, Any]] = {
        "size": ("numeric", pa.array([1, None, 3] * 4)),
        "new": ("boolean", pa.array([True, None, False] * 4)),
        "city": ("categorical", pa.array(["Rome", None, "Oslo"] * 4)),
        "tags": ("labels", pa.array(["a,b", "b", None] * 4)),
        "when": ("datetime", pa.array([0, None, 86_400] * 4, pa.timestamp("s"))),
        "note": ("text", pa.array([f"n{i}" for i in range(n)])),
        "row": ("id", pa.array(range(n))),
        "gone": ("empty", pa.nulls(n)),
    }
    table = view(assemble(cells, "score", target(n), "", frozenset({"size"})), "t", "")
    assert [str(t) for t in table.X.dtypes] == [
        "float64", "float64", "str", "str", "datetime64[us]", "str", "float64", "float64",
    ]  # fmt: skip
    np.testing.assert_array_equal(table.X["new"], [1, np.nan, 0] * 4)
    np.testing.assert_array_equal(table.X["size"], [1, np.nan, 3] * 4)
    assert table.X["city"].isna().sum() == 4
    assert table.X["when"].iloc[2].isoformat() == "1970-01-02T00:00:00"
    known = {name: (c.n_missing, c.n_distinct, c.is_feature) for name, c in table.columns.items()}
    assert known == {
        "size": (4, 0, False),
        "new": (4, 0, True),
        "city": (4, 2, True),
        "tags": (4, 2, True),
        "when": (4, 0, True),
        "note": (0, 12, False),
        "row": (0, 0, False),
        "gone": (12, 0, False),
    }


def test_the_fingerprint_does_not_hang_on_names_people_read() -> None:
    """The same rows under another name, with another line about them, keep their fingerprint."""
    cells = assemble({"a": ("numeric", columns()["a"])}, "score", target(), "here")
    other = assemble({"a": ("numeric", columns()["a"])}, "score", target().astype(int), "there")
    assert view(cells, "t", "").fingerprint == view(other, "u", "other", target()).fingerprint


words = st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=10, max_size=30)


@given(cells=words, cut=st.integers(0, 30))
def test_the_fingerprint_does_not_hang_on_chunks(cells: list[str | None], cut: int) -> None:
    """Text in one piece, in two, or cut out of a longer column has one fingerprint."""
    y = target(len(cells))
    whole = pa.array(cells, pa.string())
    padded = pa.array(["before", *cells, "after"], pa.large_string()).slice(1, len(cells))
    parts = pa.chunked_array([whole[:cut], whole[cut:]], pa.string())
    found = {make({"a": form}, y, kind="text").fingerprint for form in (whole, padded, parts)}
    assert len(found) == 1


@given(cells=words, row=st.integers(0, 9), new=st.one_of(st.none(), st.text(max_size=4)))
def test_the_fingerprint_changes_with_any_text(
    cells: list[str | None], row: int, new: str | None
) -> None:
    """Other text in one cell gives another fingerprint; a missing cell is not an empty one."""
    y = target(len(cells))
    changed = [*cells[:row], new, *cells[row + 1 :]]
    prints = [
        make({"a": pa.array(c, pa.string())}, y, kind="text").fingerprint for c in (cells, changed)
    ]
    assert (prints[0] == prints[1]) == (cells == changed)


@given(row=st.integers(0, 19), column=st.sampled_from(["a", "b", "target"]), up=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_fingerprint_changes_with_the_last_bit_of_any_value(
    row: int, column: str, up: bool
) -> None:
    """One value moved to the next float gives another fingerprint."""
    moved, y = columns(), target()
    cells = y if column == "target" else moved[column]
    cells[row] = np.nextafter(cells[row], np.inf if up else -np.inf)
    first = make(columns(), target()).fingerprint
    assert make(moved, y).fingerprint != first


def test_the_fingerprint_changes_with_names_and_order() -> None:
    """Renamed, swapped, dropped and reordered columns and rows all give different fingerprints."""
    a, b = columns().values()
    y = target()
    tables = [
        ({"a": a, "b": b}, y),
        ({"a": a, "c": b}, y),
        ({"b": a, "a": b}, y),
        ({"b": b, "a": a}, y),
        ({"a": a}, y),
        ({"a": b, "b": y}, a),
        ({"a": a[::-1], "b": b[::-1]}, y[::-1]),
        ({"a": a[:-1], "b": b[:-1]}, y[:-1]),
    ]
    assert len({make(X, y).fingerprint for X, y in tables}) == len(tables)


def test_all_faults_of_a_table_are_told_at_once() -> None:
    """Each bad column has a line with its number of bad rows and the first of them."""
    bad, y = columns(), target()
    bad["a"][[4, 7]] = np.nan  # missing, which is no fault
    bad["b"][[0, 3]] = -np.inf
    y[19] = np.inf
    must, mend = "in every row, but", "mend or remove these rows"
    assert faults(bad, y) == [
        f"data=t: b must be finite {must} 2 of 20 rows are not, the first in row 1 (infinite); "
        f"{mend}",
        f"data=t: the target score must be a finite number {must} 1 of 20 rows are not, the first "
        f"in row 20 (infinite); {mend}",
    ]
    assert make({"b": bad["b"]}, target(), dropped=frozenset({"b"})).n_rows == 20


def test_a_table_needs_rows_and_a_target_that_varies() -> None:
    """One row too few, and one value throughout, are refused with the numbers."""
    n = MIN_ROWS - 1
    assert faults(columns(n), target(n)) == ["data=t: must have at least 10 rows, but has 9"]
    assert make(columns(MIN_ROWS), target(MIN_ROWS)).n_rows == MIN_ROWS
    assert faults(columns(), np.full(20, 3.5)) == [
        "data=t: the target score must vary, but it is 3.5 in all 20 rows"
    ]


def test_the_true_mean_of_made_up_rows_is_no_feature() -> None:
    """The demo's table holds the thirteen features; what a perfect model knows stays beside."""
    table = data.load(DemoData(source="demo", name="demo", rows=200, seed=1))
    assert tuple(table.X) == demo.FEATURES
    assert table.about == "200 synthetic tracks, seed 1"
    assert table.true_mean is not None
    assert table.true_mean.shape == table.y.shape
    assert not any(np.array_equal(table.X[name], table.true_mean) for name in table.X)


def test_loading_again_gives_the_same_table() -> None:
    """The families of a sweep share one table; other settings give another."""
    cfg = DemoData(source="demo", name="demo", rows=150, seed=1)
    first: Table = data.load(cfg)
    assert data.load(cfg.model_copy()) is first
    assert data.load(cfg.model_copy(update={"seed": 2})).fingerprint != first.fingerprint
    assert data.load(cfg).fingerprint == first.fingerprint
