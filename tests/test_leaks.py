"""What makes scores look better than they are is told; honest tables bring no warning."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from popsearch import data, leaks
from popsearch.data.split import Fold, Split, split
from popsearch.data.table import Table, assemble, view
from popsearch.source import DemoData
from popsearch.splitting import HoldoutSplit, grouping

HOLDOUT = HoldoutSplit(name="holdout", test_size=0.3, val_size=0.3, seed=777)
GROUPED = "split=grouped split.group_by=[COLUMN, ...]"
TYPES = {"numeric": pa.float64(), "datetime": pa.timestamp("us")}


def table(y: Any, **columns: tuple[Any, Any]) -> Table:
    """Give a table with these kinds and cells, and this target."""
    arrays = {
        name: (kind, pa.array(cells, TYPES.get(kind, pa.string()), from_pandas=True))
        for name, (kind, cells) in columns.items()
    }
    return view(assemble(arrays, "y", np.array(y, dtype=float), "here"), "t", "")


def cut(order: Any, n_train: int, n_val: int) -> Split:
    """Give a split of these rows into training, validation and test."""
    rows = np.array(order, dtype=np.intp)
    train, val, test = np.split(rows, [n_train, n_train + n_val])
    return Split((Fold(train, val),), test)


def n_repeated(frame: pd.DataFrame, seen: NDArray[np.intp], scored: NDArray[np.intp]) -> int:
    """Give how many scored rows are among those seen, by pandas."""
    one_each = frame.iloc[seen].drop_duplicates()
    return len(frame.iloc[scored].merge(one_each, how="inner"))


coarse = st.lists(st.sampled_from([0.0, -0.0, 1.0, 1e300, None]), min_size=24, max_size=24)
words = st.lists(st.sampled_from(["a", "A", "", None]), min_size=24, max_size=24)
days = st.lists(st.sampled_from([0, 1, None]), min_size=24, max_size=24)
targets = st.lists(st.sampled_from([0.0, 1.0]), min_size=23, max_size=23)


@given(
    numbers=coarse,
    words=words,
    days=days,
    y=targets,
    order=st.permutations(range(24)),
    columns=st.sets(st.sampled_from(["number", "word", "day"]), min_size=1).map(sorted),
)
@settings(max_examples=200)
def test_repeated_rows_are_counted_as_pandas_finds_them(
    numbers: list[float | None],
    words: list[str | None],
    days: list[int | None],
    y: list[float],
    order: list[int],
    columns: list[str],
) -> None:
    """In the columns asked for and the target, a missing value like a missing value."""
    rows = table(
        [*y, 2.0],
        number=("numeric", numbers),
        word=("categorical", words),
        day=("datetime", days),
    )
    parts = cut(order, 10, 7)
    fold = parts.folds[0]
    frame = rows.X[columns].assign(target=rows.y)
    found = {
        "test": (n_repeated(frame, parts.known, parts.test), 7),
        "validation": (n_repeated(frame, fold.train, fold.val), 7),
    }
    told = [f"{n} of {size} {part} rows" for part, (n, size) in found.items() if n]
    lines = leaks.duplicates(rows, parts, columns, "")
    assert [line.split(" repeat ")[0] for line in lines] == ([" and ".join(told)] if told else [])


def test_the_line_tells_what_to_do() -> None:
    """Where from, how many of how many, and the split that keeps such rows together."""
    values = np.arange(3000.0)
    values[2999] = values[2000:2100] = values[0]
    rows = table(values, x=("numeric", values))
    assert leaks.duplicates(rows, cut(range(3000), 1000, 1500), ["x"], GROUPED) == [
        "1 of 500 test rows and 100 of 1,500 validation rows repeat a row that models are trained "
        "on, in all features and the target: scores may look better than they are; split=grouped "
        "split.group_by=[COLUMN, ...] keeps such rows together"
    ]
    (line,) = leaks.duplicates(rows, cut(range(3000), 1000, 1000), ["x"], GROUPED)
    assert line.startswith("101 of 1,000 test rows repeat a row")


@pytest.mark.parametrize(
    ("choice", "data", "advice"),
    [
        ("holdout", "demo", GROUPED),
        ("holdout", "tracks", "split=grouped"),
        ("time", "tracks", "split=grouped"),
        ("kfold", "tracks", "split.group_by=[name,artists,duration_sec]"),
        ("kfold", "demo", "split.group_by=[COLUMN, ...]"),
        ("grouped", "tracks", "split.group_by=[COLUMN, ...]"),
    ],
)
def test_what_to_type_fits_split_and_data(
    compose: Any, choice: str, data: str, advice: str
) -> None:
    """Data with a key of their own need none typed; a split that has groups needs only a key."""
    cfg = compose("model=ridge", f"split={choice}", f"data={data}")
    assert grouping(cfg.split, cfg.data.group_by) == advice


def test_rows_that_differ_in_what_the_model_sees_are_no_repeats() -> None:
    """Nor do rows repeat each other within a part, or with another target."""
    x = [0.0, 1, 2, 3, 4, 5, 5, 5, 6, 6]
    other, y = np.arange(10.0), [0.0, 1, 2, 3, 4, 5, 5, 5, 6, 6]
    rows = table(y, x=("numeric", x), other=("numeric", other))
    assert leaks.duplicates(rows, cut(range(10), 5, 3), ["x"], GROUPED) == []
    assert leaks.duplicates(rows, cut(range(10), 6, 2), ["x", "other"], GROUPED) == []
    assert len(leaks.duplicates(rows, cut(range(10), 6, 2), ["x"], GROUPED)) == 1
    moved = table([*y[:5], 0, *y[6:]], x=("numeric", x))
    assert leaks.duplicates(moved, cut(range(10), 6, 2), ["x"], GROUPED) == []


def test_an_honest_table_has_no_leaks() -> None:
    """In the demo no row repeats another, and no feature says more than a model may know."""
    rows = data.load(DemoData(source="demo", name="demo", rows=5000, seed=777))
    assert leaks.duplicates(rows, split(rows, HOLDOUT), list(rows.X), "") == []
    assert named(rows.X.to_numpy(dtype=float), rows.y, list(rows.X), 0.9) == []
    assert named(rows.X.to_numpy(dtype=float), rows.y, list(rows.X), 0.2) == ["year"]


def told(
    X: NDArray[np.float64], y: NDArray[np.float64], names: list[str], level: float
) -> list[str]:
    """Give the lines about these columns, trained on the first two thirds of the rows."""
    n = len(y) * 2 // 3
    return leaks.giveaways(X[:n], y[:n], X[n:], y[n:], names, level)


def named(
    X: NDArray[np.float64], y: NDArray[np.float64], names: list[str], level: float = 0.9
) -> list[str]:
    """Give the names of the columns that are told."""
    return [line.split(" alone ")[0] for line in told(X, y, names, level)]


def noise(*shape: int) -> NDArray[np.float64]:
    """Give normal numbers, the same in every run."""
    return np.random.default_rng(5).normal(size=shape)


TARGETS = {
    "normal": noise(3000),
    "long_tail": np.exp(2 * noise(3000)),
    "mostly_zero": np.maximum(noise(3000), 0.0),
    "counts": np.floor(50 + 10 * noise(3000)),
    "few": np.sign(noise(3000)) * 1.0,
    "great": np.exp(noise(3000)) * 1e300,
}
GIVEAWAYS = {
    "copy": lambda y: y,
    "shifted": lambda y: 1e9 + y / np.abs(y).max(),
    "falling": lambda y: -np.cbrt(y),
    "arctangent": lambda y: np.arctan(y / np.abs(y).mean()),
    "rank": lambda y: pd.Series(y).rank().to_numpy(),
    "id": lambda y: np.lexsort((noise(len(y), 2)[:, 1], y)).argsort() * 1.0,
    "huge": lambda y: y / np.abs(y).max() * 1e300,
    "with_gaps": lambda y: np.where(np.arange(len(y)) % 50, y, np.nan),
}


@pytest.mark.parametrize("how", GIVEAWAYS)
@pytest.mark.parametrize("law", TARGETS)
def test_a_column_that_knows_the_target_is_named(law: str, how: str) -> None:
    """Whatever the target's law; and the columns beside it are not."""
    y = TARGETS[law]
    X = np.column_stack([noise(3000, 2)[:, 1], GIVEAWAYS[how](y), np.arange(3000) % 2])
    assert named(X, y, ["noise", "culprit", "even"]) == ["culprit"]


def test_a_noisy_copy_is_named_up_to_its_noise() -> None:
    """R² of about 0.97 is above 0.9, told so, and below 0.99."""
    y, other = noise(6000, 2).T
    X = (np.sqrt(0.97) * y + np.sqrt(0.03) * other)[:, None]
    assert named(X, y, ["copy"], 0.99) == []
    (line,) = told(X, y, ["copy"], 0.9)
    r2 = float(line.partition("R² ")[2].split(",")[0])
    assert r2 == pytest.approx(0.97, abs=0.015)
    assert line == (
        f"copy alone predicts the target of held-out rows with R² {r2:.3f}, above 0.9: if it is "
        "not known at prediction time, leave it out with data.drop=[copy] or features.columns=[...]"
    )


@pytest.mark.parametrize("n_categories", [3, 20, 60])
@pytest.mark.parametrize("scale", [1.0, -0.37])
def test_a_category_is_judged_by_all_of_its_columns(n_categories: int, scale: float) -> None:
    """One-hot columns that together decide the target are named once, however they are scaled."""
    rng = np.random.default_rng(1)
    category = rng.integers(0, n_categories, 6000)
    y = rng.normal(size=n_categories)[category] + 0.05 * noise(6000)
    X = np.column_stack([noise(6000), (category[:, None] == np.arange(n_categories)) * scale])
    names = ["noise", *["category"] * n_categories]
    assert named(X, y, names) == ["category"]
    assert named(X, np.random.default_rng(2).permutation(y), names) == []
    assert n_categories < 20 or named(X, y, [f"c{i}" for i in range(len(names))]) == []


@pytest.mark.filterwarnings("error")
def test_a_category_may_be_new_on_validation_rows() -> None:
    """One that no training row has says nothing against the others."""
    category = np.append(np.random.default_rng(1).integers(0, 9, 2990), np.full(10, 9))
    X = (category[:, None] == np.arange(10)) * 1.0
    assert named(X, category * 1.0, ["category"] * 10) == ["category"]
    assert named(X[:, :9], category * 1.0, ["category"] * 9) == ["category"]


def test_columns_of_one_name_that_are_no_category_are_judged_together() -> None:
    """Two numbers whose sum is the target, made from one column, give it away together only."""
    parts = np.random.default_rng(3).integers(0, 4, (6000, 2)) * 1.0
    y = parts @ [1.0, 4.0]
    assert named(parts, y, ["both", "both"]) == ["both"]
    assert named(parts, y, ["small", "great"], 0.95) == []


def test_only_held_out_rows_count() -> None:
    """A column that fits the training rows alone is not named, nor are a few rows judged."""
    y = noise(3000)
    X = y[:, None].copy()
    X[2000:, 0] = np.random.default_rng(0).permutation(y[2000:])
    assert named(X, y, ["fits"]) == []
    assert named(y[:60, None], y[:60], ["copy"]) == ["copy"]
    assert named(y[:39, None], y[:39], ["copy"]) == []


def test_a_copy_is_named_where_the_target_rises_with_time() -> None:
    """Also where every validation target lies beyond all that is trained on."""
    y = np.arange(600.0) + noise(600)
    assert named(2 * y[:, None] + 1, y, ["copy"]) == ["copy"]


def test_repeats_are_counted_in_every_fold() -> None:
    """Rows of the second fold that the third repeats are repeated in both."""
    values = np.arange(300.0)
    values[200:210] = values[100:110]
    rows = table(values, x=("numeric", values))
    order = np.arange(300, dtype=np.intp)
    folds = [
        Fold(np.delete(order[:270], range(i, i + 90)), order[i : i + 90]) for i in (0, 90, 180)
    ]
    (line,) = leaks.duplicates(rows, Split(tuple(folds), order[270:]), ["x"], "")
    assert line.startswith("20 of 270 validation rows repeat a row")


@given(
    n_rows=st.integers(60, 300),
    seed=st.integers(0, 999),
    law=st.sampled_from(["normal", "cauchy", "binary", "constant"]),
)
@settings(max_examples=60)
def test_chance_is_not_named(n_rows: int, seed: int, law: str) -> None:
    """Columns that have nothing to do with the target stay unnamed, whatever their values."""
    rng = np.random.default_rng(seed)
    draws = {
        "normal": rng.normal(size=n_rows),
        "cauchy": rng.standard_cauchy(n_rows),
        "binary": rng.integers(0, 2, n_rows) * 1.0,
        "constant": np.full(n_rows, 7.0),
    }
    X = np.column_stack([*draws.values(), np.full(n_rows, np.nan), rng.permutation(n_rows)])
    assert named(X, rng.permutation(draws[law]), [f"x{i}" for i in range(6)]) == []


def test_a_large_table_is_judged_by_a_sample() -> None:
    """More rows than are looked at give the same answer, and the same in every run."""
    y, other = noise(60_000, 2).T
    X = np.column_stack([other, y + 0.5 * other, y + 0.6 * other, y - 0.7 * other])
    lines = told(X, y, ["noise", "near", "nearer", "far"], 0.5)
    assert [line.split()[0] for line in lines] == ["near", "nearer", "far"]
    assert told(X, y, ["noise", "near", "nearer", "far"], 0.5) == lines
