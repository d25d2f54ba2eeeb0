"""The frozen table and its split: nothing changes them, and their fingerprint tells them apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from popsearch import data
from popsearch.config import DemoData
from popsearch.data import demo
from popsearch.data.table import MIN_ROWS, Table, freeze, split
from popsearch.errors import ConfigError, DataError


def columns(n_rows: int = 20) -> dict[str, NDArray[np.float64]]:
    """Give two columns of values that all differ."""
    return {"a": np.arange(n_rows) / 7, "b": 100 + np.arange(n_rows) / 3}


def target(n_rows: int = 20) -> NDArray[np.float64]:
    """Give a target."""
    return np.arange(n_rows) * 2.0


def faults(columns: dict[str, NDArray[np.float64]], y: NDArray[np.float64]) -> list[str]:
    """Give the lines with which a table is refused."""
    with pytest.raises(DataError) as caught:
        freeze("t", "", columns, y)
    return list(caught.value.faults)


def test_a_table_keeps_names_order_and_values() -> None:
    """Columns stand in the order given, as float64; the number of rows is that of the target."""
    table = freeze("t", "twenty rows", columns(), target().astype(int), true_mean=target() + 1)
    assert (table.name, table.about, table.n_rows) == ("t", "twenty rows", 20)
    assert list(table.X) == ["a", "b"]
    assert set(table.X.dtypes) | {table.y.dtype} == {np.dtype("float64")}
    np.testing.assert_array_equal(table.X["b"], columns()["b"])
    np.testing.assert_array_equal(table.y, target())
    assert table.true_mean is not None
    np.testing.assert_array_equal(table.true_mean, target() + 1)


def test_a_table_cannot_be_written_to() -> None:
    """Features, target and true mean are read-only, by any of the ways to reach their values."""
    table = freeze("t", "", columns(), target(), target())
    assert table.true_mean is not None
    with pytest.raises(ValueError, match="read-only"):
        table.X.iloc[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        table.X.to_numpy()[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        table.y[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        table.true_mean[0] = 1.0
    with pytest.raises(AttributeError):
        table.y = target()  # type: ignore[misc]


def test_a_table_owns_its_values() -> None:
    """What it was made from can be changed afterwards, and changes nothing in it."""
    given, y, mean = columns(), target(), target()
    table = freeze("t", "", given, y, mean)
    given["a"][:] = y[:] = mean[:] = -1.0
    assert table.true_mean is not None
    assert table.X.to_numpy().min() == table.y.min() == table.true_mean.min() == 0


def test_the_fingerprint_does_not_hang_on_names_people_read() -> None:
    """The same rows under another name, with another line about them, keep their fingerprint."""
    first = freeze("t", "", columns(), target()).fingerprint
    assert freeze("u", "other", columns(), target(), target(), "there").fingerprint == first
    assert freeze("t", "", columns(), target().astype(int)).fingerprint == first


@given(row=st.integers(0, 19), column=st.sampled_from(["a", "b", "target"]), up=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_fingerprint_changes_with_the_last_bit_of_any_value(
    row: int, column: str, up: bool
) -> None:
    """One value moved to the next float gives another fingerprint."""
    moved, y = columns(), target()
    cells = y if column == "target" else moved[column]
    cells[row] = np.nextafter(cells[row], np.inf if up else -np.inf)
    first = freeze("t", "", columns(), target()).fingerprint
    assert freeze("t", "", moved, y).fingerprint != first


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
    assert len({freeze("t", "", X, y).fingerprint for X, y in tables}) == len(tables)


def test_all_faults_of_a_table_are_told_at_once() -> None:
    """Each bad column has a line with its number of bad rows and the first of them."""
    bad, y = columns(), target()
    bad["a"][[4, 7]] = np.nan
    bad["b"][0] = -np.inf
    y[19] = np.inf
    must = "must be a finite number in every row, but"
    mend = "mend or remove these rows"
    assert faults(bad, y) == [
        f"data=t: a {must} 2 of 20 rows are not, the first in row 5 (empty); {mend}",
        f"data=t: b {must} 1 of 20 rows are not, the first in row 1 (infinite); {mend}",
        f"data=t: the target {must} 1 of 20 rows are not, the first in row 20 (infinite); {mend}",
    ]


def test_a_table_needs_rows_and_a_target_that_varies() -> None:
    """One row too few, and one value throughout, are refused with the numbers."""
    n = MIN_ROWS - 1
    assert faults(columns(n), target(n)) == ["data=t: must have at least 10 rows, but has 9"]
    assert freeze("t", "", columns(MIN_ROWS), target(MIN_ROWS)).n_rows == MIN_ROWS
    assert faults(columns(), np.full(20, 3.5)) == [
        "data=t: the target must vary, but it is 3.5 in all 20 rows"
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


def test_the_full_table_is_cut_as_in_the_deck() -> None:
    """Of 586,672 rows 176,002 are for the test and 410,670 for training and validation."""
    parts = split(demo.FULL_ROWS, 0.3, 0.3, 777)
    assert len(parts.test) == 176_002
    assert len(parts.train) + len(parts.val) == 410_670
    assert len(parts.val) == 123_201


shares = st.floats(0.01, 0.99)


@given(n_rows=st.integers(0, 400), test=shares, val=shares, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_a_split_is_disjoint_and_complete_or_refused(
    n_rows: int, test: float, val: float, seed: int
) -> None:
    """Every row is in one part, as train_test_split twice cuts them, or a part is too small."""
    try:
        parts = split(n_rows, test, val, seed)
    except ConfigError as error:
        assert f"of {n_rows} rows" in str(error)  # noqa: PT017
        return
    every = np.concatenate([parts.train, parts.val, parts.test])
    np.testing.assert_array_equal(np.sort(every), np.arange(n_rows))
    assert min(len(parts.train), len(parts.val), len(parts.test)) >= 2
    rest, expected = train_test_split(np.arange(n_rows), test_size=test, random_state=seed)
    np.testing.assert_array_equal(parts.test, expected)
    for part, other in zip(
        (parts.train, parts.val),
        train_test_split(rest, test_size=val, random_state=seed),
        strict=True,
    ):
        np.testing.assert_array_equal(part, other)


def test_the_seed_alone_decides_a_split() -> None:
    """The same seed gives the same rows, another seed others."""
    first, again, other = split(100, 0.3, 0.3, 1), split(100, 0.3, 0.3, 1), split(100, 0.3, 0.3, 2)
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(first, part), getattr(again, part))
        assert set(getattr(first, part)) != set(getattr(other, part))


def test_every_part_that_is_too_small_is_told() -> None:
    """The line has the number of rows, what is left, and the settings to change."""
    with pytest.raises(ConfigError) as caught:
        split(10, 0.05, 0.9, 1)
    change = "change split.test_size=0.05 or split.val_size=0.9"
    need = "split: every part needs at least 2 rows, but of 10 rows"
    assert caught.value.faults == (
        f"{need} 0 are left for training; {change}",
        f"{need} 1 are left for test; {change}",
    )
