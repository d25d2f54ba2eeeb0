"""Splits: disjoint, reproducible, true to scikit-learn; no group on two sides, no future known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from omegaconf import OmegaConf
from pydantic import TypeAdapter
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, train_test_split

from popsearch.data.demo import FULL_ROWS
from popsearch.data.split import MIN_ROWS, Fold, Split, faults, split, uneven
from popsearch.data.table import Table, assemble, view
from popsearch.errors import ConfigError
from popsearch.splitting import SplitConfig

CONF = Path(__file__).parents[1] / "conf" / "split"
NAMES = sorted(file.stem for file in CONF.glob("*.yaml"))
TRACKS = Path(__file__).parents[2] / "shared" / "data" / "tracks.csv.gz"
TYPES = {"numeric": pa.float64(), "boolean": pa.float64(), "datetime": pa.timestamp("us")}

shares = st.floats(0.05, 0.9)
seeds = st.integers(0, 2**32 - 1)


def config(name: str, **changes: Any) -> SplitConfig:
    """Give the settings of a file in conf/split, for data with a key and a time of their own."""
    values = OmegaConf.create({"data": {"group_by": ["key"], "order_by": "time"}})
    values.split = OmegaConf.load(CONF / f"{name}.yaml")
    section: Any = OmegaConf.to_container(values.split, resolve=True)
    cfg: SplitConfig = TypeAdapter(SplitConfig).validate_python(section | changes)
    return cfg


def table(n_rows: int = 0, **columns: tuple[Any, Any]) -> Table:
    """Give a table named t with these kinds and cells; the target y counts the rows."""
    n_rows = n_rows or max(len(cells) for _, cells in columns.values())
    arrays = {
        name: (kind, pa.array(cells, TYPES.get(kind, pa.string()), from_pandas=True))
        for name, (kind, cells) in columns.items()
    }
    return view(assemble(arrays, "y", np.arange(float(n_rows)), "here"), "t", "")


def plain(n_rows: int) -> Table:
    """Give rows with a key that three rows share, and a time that seven share."""
    return table(
        key=("numeric", np.arange(n_rows) // 3 * 1.0), time=("numeric", np.arange(n_rows) // 7)
    )


def parts(result: Split) -> list[list[int]]:
    """Give all row numbers, part by part."""
    folds = [part for fold in result.folds for part in (fold.train, fold.val)]
    return [part.tolist() for part in [*folds, result.test]]


def row_sets(result: Split) -> list[set[int]]:
    """Give the rows of every part, whatever their order."""
    return [set(part) for part in parts(result)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_rows", [40, 333])
def test_every_row_is_in_one_part(name: str, n_rows: int) -> None:
    """Training, validation and test are disjoint and complete in every fold of every split."""
    result = split(plain(n_rows), config(name))
    for fold in result.folds:
        every = np.concatenate([fold.train, fold.val, result.test])
        np.testing.assert_array_equal(np.sort(every), np.arange(n_rows))
        assert min(len(fold.train), len(fold.val), len(result.test)) >= MIN_ROWS


@pytest.mark.parametrize("name", NAMES)
def test_known_rows_are_all_but_the_test(name: str) -> None:
    """They are sorted, and the folds validate each of them at most once, with kfold just once."""
    result = split(plain(100), config(name))
    outside = np.setdiff1d(np.arange(100), result.test)
    np.testing.assert_array_equal(result.known, outside)
    validated = np.concatenate([fold.val for fold in result.folds])
    assert len(set(validated)) == len(validated)
    if len(result.folds) > 1:
        np.testing.assert_array_equal(np.sort(validated), outside)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_alone_decides(name: str) -> None:
    """The same seed gives the same rows in the same order, another seed others.

    With time the parts are what they are; the seed decides the order of the training rows.
    """
    first, again, other = (split(plain(200), config(name, seed=seed)) for seed in (1, 1, 2))
    assert parts(first) == parts(again)
    assert first.digest == again.digest != other.digest
    assert parts(first) != parts(other)
    if name == "time":
        assert row_sets(first) == row_sets(other)
    else:
        assert all(one != two for one, two in zip(row_sets(first), row_sets(other), strict=True))


@pytest.mark.parametrize(
    ("name", "changes"), [*((name, {}) for name in NAMES), ("kfold", {"group_by": ["key"]})]
)
def test_the_first_training_rows_are_a_random_sample(name: str, changes: dict[str, Any]) -> None:
    """In a table sorted by everything, a tenth of the training rows has about their mean."""
    result = split(plain(6000), config(name, **changes))
    for fold in result.folds:
        n = len(fold.train) // 10
        off = fold.train[:n].mean() - fold.train.mean()
        assert abs(off) < 4 * fold.train.std() / np.sqrt(n)
        assert np.unique(np.sign(np.diff(fold.train[:n]))).tolist() == [-1, 1]


@given(
    order=st.permutations(range(12)),
    cuts=st.sets(st.integers(2, 10), min_size=2, max_size=2).map(sorted),
)
def test_the_digest_tells_any_two_splits_apart(order: list[int], cuts: list[int]) -> None:
    """It changes with the order of the rows and with the places where the parts begin."""

    def built(order: list[int], a: int, b: int) -> Split:
        rows = np.array(order, dtype=np.intp)
        return Split((Fold(rows[:a], rows[a:b]),), rows[b:])

    first = built(order, *cuts)
    assert built(list(order), *cuts).digest == first.digest
    assert built(order, cuts[0] - 1, cuts[1]).digest != first.digest
    assert built(order, cuts[0], cuts[1] + 1).digest != first.digest
    assert built([order[1], order[0], *order[2:]], *cuts).digest != first.digest
    assert built([*order[:-2], order[-1], order[-2]], *cuts).digest != first.digest
    assert Split((*first.folds, *first.folds), first.test).digest != first.digest


@given(n_rows=st.integers(10, 300), test=shares, val=shares, seed=seeds)
@settings(max_examples=60)
def test_holdout_is_train_test_split_twice(n_rows: int, test: float, val: float, seed: int) -> None:
    """Row by row, in the same order; or a part is too small."""
    cfg = config("holdout", test_size=test, val_size=val, seed=seed)
    try:
        result = split(plain(n_rows), cfg)
    except ConfigError as error:
        assert f"of {n_rows} rows" in str(error)  # noqa: PT017
        return
    known, expected = train_test_split(np.arange(n_rows), test_size=test, random_state=seed)
    train, validation = train_test_split(known, test_size=val, random_state=seed)
    assert parts(result) == [train.tolist(), validation.tolist(), expected.tolist()]


def test_the_full_table_is_cut_as_in_the_deck() -> None:
    """Of 586,672 rows 176,002 are for the test and 410,670 for training and validation."""
    result = split(plain(FULL_ROWS), config("holdout"))
    assert (len(result.test), len(result.known)) == (176_002, 410_670)
    assert len(result.folds[0].val) == 123_201


@given(
    n_rows=st.integers(15, 70).map(lambda n: 3 * n),
    test=st.floats(0.1, 0.5),
    seed=seeds,
    k=st.integers(2, 7),
)
@settings(max_examples=30)
def test_folds_are_scored_on_the_test_rows_of_the_other_splits(
    n_rows: int, test: float, seed: int, k: int
) -> None:
    """Folds are KFold's; the test rows are those of holdout, with group_by those of grouped."""
    rows, asked = plain(n_rows), {"test_size": test, "seed": seed}
    result = split(rows, config("kfold", n_splits=k, **asked))
    held_out = split(rows, config("holdout", **asked))
    assert parts(result)[-1] == parts(held_out)[-1]
    known, _ = train_test_split(np.arange(n_rows), test_size=test, random_state=seed)
    for fold, (train, val) in zip(
        result.folds, KFold(k, shuffle=True, random_state=seed).split(known), strict=True
    ):
        assert (set(fold.train), set(fold.val)) == (set(known[train]), set(known[val]))

    assume(n_rows / 3 * (1 - test) - 1 >= k)
    result = split(rows, config("kfold", n_splits=k, group_by=["key"], **asked))
    held_out = split(rows, config("grouped", **asked))
    assert parts(result)[-1] == parts(held_out)[-1]
    groups = result.known // 3
    for fold, (train, val) in zip(
        result.folds,
        GroupKFold(k, shuffle=True, random_state=seed).split(groups, groups=groups),
        strict=True,
    ):
        assert set(fold.train) == set(result.known[train])
        assert set(fold.val) == set(result.known[val])


texts = st.lists(st.sampled_from(["a", "b", "A", "", "ä", None]), min_size=30, max_size=60)
numbers = st.lists(st.sampled_from([1.0, 2.0, -0.5, None]), min_size=60, max_size=60)


@given(words=texts, values=numbers, seed=seeds)
@settings(max_examples=60)
def test_groups_are_the_keys_and_stay_on_one_side(
    words: list[str | None], values: list[float | None], seed: int
) -> None:
    """As GroupShuffleSplit draws keys counted by hand; where one is missing, a row is alone."""
    keys = list(zip(words, values, strict=False))
    names = [key if None not in key else (i,) for i, key in enumerate(keys)]
    firsts = [names.index(name) for name in names]
    assume(len(set(firsts)) > 5)
    rows = table(
        text=("categorical", words),
        number=("numeric", values[: len(words)]),
    )
    result = split(rows, config("grouped", group_by=["text", "number"], seed=seed))
    sides = [{names[i] for i in part} for part in parts(result)]
    assert sum(map(len, sides)) == len(set(names))

    groups, i = np.array(firsts), np.arange(len(words))
    draw = GroupShuffleSplit(1, test_size=0.3, random_state=seed).split
    known, test = next(draw(i, groups=groups))
    train, val = next(draw(known, groups=groups[known]))
    assert row_sets(result) == [set(known[train]), set(known[val]), set(test)]
    folded = split(rows, config("kfold", group_by=["text", "number"], n_splits=2, seed=seed))
    for fold in folded.folds:
        assert {names[i] for i in fold.train}.isdisjoint(names[i] for i in fold.val)


def test_how_a_key_is_written_does_not_matter() -> None:
    """Text, numbers and times that tell the same rows apart give the same split."""
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 40, 300)
    renamed = rng.permutation(40)[keys]
    rows = table(
        number=("numeric", keys),
        text=("text", [f"k{i}" for i in renamed]),
        time=("datetime", renamed.astype("M8[D]").astype("M8[us]")),
        tens=("numeric", keys // 10),
        ones=("categorical", [str(i) for i in keys % 10]),
    )
    first, *others = (
        parts(split(rows, config("grouped", group_by=columns)))
        for columns in (["number"], ["text"], ["time"], ["tens", "ones"], ["ones", "tens"])
    )
    assert all(other == first for other in others)


@given(seed=seeds, name=st.sampled_from(["grouped", "kfold"]), great=st.integers(20, 36))
@settings(max_examples=60)
def test_a_great_group_leaves_two_rows_for_every_part_or_is_refused(
    seed: int, name: str, great: int
) -> None:
    """Where most rows are one group, the draw decides what is left for the other parts."""
    rows = table(key=("numeric", np.maximum(np.arange(40) - great, 0)))
    changes = {"n_splits": 2, "group_by": ["key"]} if name == "kfold" else {}
    try:
        result = split(rows, config(name, seed=seed, **changes))
    except ConfigError as error:
        assert "needs at least 2 rows, but of 40 rows" in str(error)  # noqa: PT017
        return
    assert min(len(part) for part in parts(result)) >= MIN_ROWS


times = st.lists(st.sampled_from([-7.5, 0, 1, 2, 3, 5, 8, 13]), min_size=10, max_size=60)


@given(values=times, as_dates=st.booleans(), test=shares, val=shares)
@settings(max_examples=150)
def test_time_cuts_between_times_as_near_to_the_shares_as_can_be(
    values: list[float], as_dates: bool, test: float, val: float
) -> None:
    """What is trained on is older than what is validated on, that than the test; or it is refused.

    No cut that leaves two rows on every side is nearer, by trying them all.
    """
    when = np.array(values, dtype=float)
    cells = ("datetime", (when * 1e6).astype("M8[us]")) if as_dates else ("numeric", when)
    rows = table(time=cells)
    cfg = config("time", test_size=test, val_size=val)
    n, old = len(when), np.sort(when)
    cuts = [i for i in range(1, n) if old[i - 1] < old[i]]
    possible = [
        (a, b) for a in cuts for b in cuts if MIN_ROWS <= a <= b - MIN_ROWS and b <= n - MIN_ROWS
    ]
    if not possible:
        assert [f"{n} rows have {len(set(values))} different times" in f for f in faults(rows, cfg)]
        return
    result = split(rows, cfg)
    (fold,) = result.folds
    assert when[fold.train].max() < when[fold.val].min()
    assert when[fold.val].max() < when[result.test].min()
    off = {b: abs(n - b - test * n) for _, b in possible}
    n_known = len(result.known)
    assert off[n_known] == pytest.approx(min(off.values()))
    off = {a: abs(n_known - a - val * n_known) for a, b in possible if b == n_known}
    assert off[len(fold.train)] == pytest.approx(min(off.values()))


def test_time_without_ties_cuts_at_the_shares() -> None:
    """Of 1,000 rows with times of their own the newest 300 are the test, 210 before them val."""
    when = np.random.default_rng(0).permutation(1000)
    result = split(table(time=("numeric", when)), config("time"))
    assert sorted(when[result.test]) == list(range(700, 1000))
    assert sorted(when[result.folds[0].val]) == list(range(490, 700))


def example() -> Table:
    """Give thirty rows with a column of every kind."""
    i = np.arange(30)
    return table(
        number=("numeric", i * 0.5),
        gaps=("numeric", np.where(i == 4, np.nan, i)),
        yes=("boolean", i % 2),
        word=("categorical", [f"w{k}" for k in i % 5]),
        note=("text", [f"n{k}" for k in i]),
        day=("datetime", i.astype("M8[D]").astype("M8[us]")),
        void=("empty", [None] * 30),
        one=("numeric", np.ones(30)),
        two=("numeric", i < 15),
        odd=("numeric", i == 0),
    )


NO_TIME = "must be a number or a time, but is"
FAULTS: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "grouped",
        {"group_by": None},
        [
            "split.group_by is required for split=grouped: data=t has no key of its own; "
            "give split.group_by=[COLUMN, ...]"
        ],
    ),
    ("grouped", {"group_by": []}, ["split.group_by must have at least 1 entry, but has none"]),
    ("kfold", {"group_by": []}, ["split.group_by must have at least 1 entry, but has none"]),
    (
        "kfold",
        {"group_by": ["numbr", "y", "word", "word"]},
        [
            "split.group_by: numbr is not a column of data=t; did you mean number?",
            "split.group_by: y is the target, which no split may look at; choose a column",
            "split.group_by: word is named more than once",
        ],
    ),
    (
        "grouped",
        {"group_by": ["one"]},
        [
            "split.group_by=[one]: must tell rows apart, but all 30 rows are one group; "
            "choose other columns"
        ],
    ),
    (
        "grouped",
        {"group_by": ["word", "void"]},
        [
            "split.group_by=[word,void]: must tell which rows belong together, but a value is "
            "missing in each of the 30 rows; choose other columns"
        ],
    ),
    (
        "grouped",
        {"group_by": ["two"]},
        [
            "split.group_by=[two]: every part needs a group of rows, but of 2 groups none is left "
            "for training; choose other columns, or change split.test_size=0.3 or "
            "split.val_size=0.3"
        ],
    ),
    (
        "kfold",
        {"group_by": ["word"]},
        [
            "split: 5 folds need at least 5 groups by split.group_by=[word], but 3 of 5 are "
            "outside the test; change split.test_size=0.3 or split.n_splits=5"
        ],
    ),
    (
        "kfold",
        {"n_splits": 22},
        [
            "split: 22 folds need at least 22 rows, but 21 of 30 are outside the test; "
            "change split.test_size=0.3 or split.n_splits=22"
        ],
    ),
    (
        "kfold",
        {"n_splits": 12, "test_size": 0.01},
        [
            "split: every part needs at least 2 rows, but of 30 rows 1 are left for test; "
            "change split.test_size=0.01 or split.n_splits=12"
        ],
    ),
    (
        "kfold",
        {"n_splits": 12},
        [
            "split: every part needs at least 2 rows, but of 30 rows 1 are left for validation in "
            "a fold; change split.test_size=0.3 or split.n_splits=12"
        ],
    ),
    (
        "kfold",
        {"n_splits": 2, "test_size": 0.91},
        [
            "split: every part needs at least 2 rows, but of 30 rows 1 are left for validation in "
            "a fold; change split.test_size=0.91 or split.n_splits=2"
        ],
    ),
    (
        "holdout",
        {"test_size": 0.02, "val_size": 0.99},
        [
            f"split: every part needs at least 2 rows, but of 30 rows {n} are left for {part}; "
            "change split.test_size=0.02 or split.val_size=0.99"
            for n, part in ((0, "training"), (1, "test"))
        ],
    ),
    (
        "grouped",
        {"group_by": ["note"], "test_size": 0.02},
        [
            "split: every part needs at least 2 rows, but of 30 rows 1 are left for test; "
            "change split.test_size=0.02 or split.val_size=0.3"
        ],
    ),
    (
        "time",
        {"order_by": None},
        [
            "split.order_by is required for split=time: data=t has no time of its own; give "
            "split.order_by=COLUMN; choose from: number, gaps, day, one, two, odd"
        ],
    ),
    (
        "time",
        {"order_by": "dya"},
        ["split.order_by: dya is not a column of data=t; did you mean day?"],
    ),
    (
        "time",
        {"order_by": "y"},
        ["split.order_by: y is the target, which no split may look at; choose a column"],
    ),
    (
        "time",
        {"order_by": "word"},
        [
            f"split.order_by=word: {NO_TIME} categorical; if it holds dates, give "
            "data.datetime=[word]"
        ],
    ),
    (
        "time",
        {"order_by": "note"},
        [f"split.order_by=note: {NO_TIME} text; if it holds dates, give data.datetime=[note]"],
    ),
    (
        "time",
        {"order_by": "yes"},
        [f"split.order_by=yes: {NO_TIME} boolean; choose another column"],
    ),
    (
        "time",
        {"order_by": "void"},
        [f"split.order_by=void: {NO_TIME} empty; choose another column"],
    ),
    (
        "time",
        {"order_by": "gaps"},
        [
            "split.order_by=gaps: must have a value in every row, but 1 of 30 rows have none, the "
            "first is row 5; remove these rows or choose another column"
        ],
    ),
    *(
        (
            "time",
            {"order_by": column},
            [
                f"split.order_by={column}: must have times that part the rows into training, "
                "validation and test of at least 2 rows each, but 30 rows have "
                f"{n} different times; choose another column"
            ],
        )
        for column, n in (("one", 1), ("two", 2), ("odd", 2))
    ),
]


@pytest.mark.parametrize(("name", "changes", "lines"), FAULTS)
def test_what_cannot_be_split_is_told(name: str, changes: dict[str, Any], lines: list[str]) -> None:
    """With all lines at once, the same by asking for faults and by splitting."""
    cfg = config(name, **changes)
    assert faults(example(), cfg) == lines
    with pytest.raises(ConfigError) as caught:
        split(example(), cfg)
    assert list(caught.value.faults) == lines


def test_a_table_that_can_be_split_has_no_faults() -> None:
    """With every kind of column that may group or order."""
    for columns in (["number"], ["word", "yes"], ["note"], ["day"], ["gaps", "void", "word"][::2]):
        assert faults(example(), config("grouped", group_by=columns)) == []
    for column in ("number", "day"):
        assert faults(example(), config("time", order_by=column)) == []


@pytest.fixture(scope="module")
def recordings() -> tuple[Table, NDArray[np.intp]]:
    """Give the shared tracks, and a number for each name, artists and duration."""
    if not TRACKS.exists():
        pytest.skip(f"the shared tracks are not at {TRACKS}")
    wanted = ["name", "artists", "duration_ms"]
    frame = pd.read_csv(TRACKS, usecols=wanted, keep_default_na=False)
    keys = frame.agg(lambda row: "\0".join(map(str, row)), axis=1)
    rows = table(
        name=("text", frame["name"]),
        artists=("text", frame["artists"]),
        duration_sec=("numeric", frame["duration_ms"]),
    )
    return rows, np.unique(keys, return_inverse=True)[1]


def n_on_two_sides(result: Split, keys: NDArray[np.intp]) -> int:
    """Give how many keys a model may be trained on and scored on."""
    trained = set(keys[result.known])
    return len(trained & set(keys[result.test])) + sum(
        len(set(keys[fold.train]) & set(keys[fold.val])) for fold in result.folds
    )


def test_no_recording_is_on_two_sides(recordings: tuple[Table, NDArray[np.intp]]) -> None:
    """6,032 tracks repeat an earlier recording: holdout parts many of them, grouping none."""
    rows, keys = recordings
    assert rows.n_rows - len(set(keys)) == 6032
    assert n_on_two_sides(split(rows, config("holdout")), keys) > 1000
    group_by = ["name", "artists", "duration_sec"]
    for name in ("grouped", "kfold"):
        assert n_on_two_sides(split(rows, config(name, group_by=group_by)), keys) == 0


def test_groups_that_keep_a_part_far_from_its_share_are_told() -> None:
    """One group of nine tenths of the rows is in the test or it is not."""
    key = np.repeat(np.arange(101.0), [900] + [1] * 100)
    rows = table(key=("numeric", key), time=("numeric", key))
    for seed in range(8):
        cfg = config("grouped", seed=seed)
        parts = split(rows, cfg)
        lines = uneven(parts, cfg)
        assert len(parts.test) > 900 or "split.test_size=0.3 of the groups are 3% of" in lines[0]
        assert lines
    assert uneven(split(plain(300), config("grouped")), config("grouped")) == []
    assert uneven(split(plain(300), config("holdout")), config("holdout")) == []
