"""Labels and dates as numbers: cross-fitted, and stored without pickle."""

import datetime
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold
from sklearn.preprocessing import TargetEncoder

from popsearch.encoders import (
    CategoryMeans,
    DateParts,
    EmptyAsZero,
    LabelMeans,
    categories,
)

Cells = Sequence[str | None]


def frame(cells: Cells) -> pd.DataFrame:
    """Give a table of one column of text."""
    return pd.DataFrame({"artists": pd.array(list(cells), dtype="str")})


def labels_of(cell: str | None) -> set[str]:
    """Give the labels of a cell."""
    return {label for label in (cell or "").split(",") if label}


def by_hand(
    train: Cells, y: NDArray[np.float64], new: Cells, smooth: float
) -> list[tuple[float, float]]:
    """Give mean and count of new cells, one label after the other."""
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for cell, target in zip(train, y, strict=True):
        for label in labels_of(cell):
            sums[label] += target
            counts[label] += 1
    found = []
    for cell in new:
        total = sum(sums[label] for label in labels_of(cell) if label in sums)
        n = sum(counts[label] for label in labels_of(cell) if label in counts)
        mean = (total + smooth * y.mean()) / (n + smooth) if n else y.mean()
        found.append((mean, n))
    return found


def crossed_by_hand(
    cells: Cells, y: NDArray[np.float64], smooth: float, cv: int, seed: int
) -> NDArray[np.float64]:
    """Give mean from the other folds and count of other rows, row by row."""
    found = np.array(by_hand(cells, y, cells, smooth))
    found[:, 1] -= [len(labels_of(cell)) for cell in cells]
    for others, fold in KFold(cv, shuffle=True, random_state=seed).split(y):
        train, new = [cells[i] for i in others], [cells[i] for i in fold]
        found[fold, 0] = [mean for mean, _ in by_hand(train, y[others], new, smooth)]
    return found


few_labels = st.lists(st.sampled_from(["a", "b", "c", "A", "ä", " ", ""]), max_size=4)
any_labels = st.lists(st.text().map(lambda text: text.replace(",", "")), max_size=3)
cell = st.none() | (few_labels | any_labels).map(",".join)


@given(
    rows=st.lists(st.tuples(cell, st.floats(-1e6, 1e6)), min_size=3, max_size=30),
    new=st.lists(cell, max_size=5),
    smooth=st.sampled_from([0.0, 1.0, 5.0]),
    cv=st.integers(2, 3),
)
def test_labels_are_encoded_as_a_plain_loop_does(
    rows: list[tuple[str | None, float]], new: list[str | None], smooth: float, cv: int
) -> None:
    """Whatever the labels: training rows from other folds, new rows from all training rows."""
    cells, y = [text for text, _ in rows], np.array([target for _, target in rows])
    encoder = LabelMeans(smooth, cv, random_state=1)
    crossed = encoder.fit_transform(frame(cells), y)
    close = {"rtol": 1e-9, "atol": 1e-6}
    np.testing.assert_allclose(crossed, crossed_by_hand(cells, y, smooth, cv, 1), **close)
    encoded = encoder.transform(frame([*new, *cells]))
    np.testing.assert_allclose(encoded, by_hand(cells, y, [*new, *cells], smooth), **close)
    plain = clone(encoder).fit(frame(cells), y)
    np.testing.assert_array_equal(plain.transform(frame(new)), encoder.transform(frame(new)))


def test_the_mean_is_pooled_over_labels_and_drawn_to_the_overall_mean() -> None:
    """A label twice in a cell counts once; one never seen, and an empty cell, count as no rows."""
    train = ["a", "a", "a,b", None]
    y = np.array([1.0, 2.0, 6.0, 11.0])  # mean 5; a: sum 9 of 3 rows, b: sum 6 of 1 row
    encoder = LabelMeans(smooth=2.0, cv=2).fit(frame(train), y)
    new = ["a", "b", "a,b", "b,b,,b", "z", "a,z", None, "", ","]
    expected = [
        ((9 + 10) / 5, 3),
        ((6 + 10) / 3, 1),
        ((15 + 10) / 6, 4),
        ((6 + 10) / 3, 1),
        (5, 0),
        ((9 + 10) / 5, 3),
        (5, 0),
        (5, 0),
        (5, 0),
    ]
    np.testing.assert_allclose(encoder.transform(frame(new)), expected)


def test_missing_cells_may_come_in_any_way() -> None:
    """None, NaN and NA, in a column of objects or of nothing else, are cells without labels."""
    encoder = LabelMeans().fit(frame(["a", "b", "a"]), np.array([1.0, 2.0, 6.0]))
    for column in ([None, np.nan, pd.NA], [None] * 3, [np.nan] * 3):
        encoded = encoder.transform(pd.DataFrame({"artists": pd.Series(column)}))
        np.testing.assert_allclose(encoded, [[3.0, 0.0]] * 3)
    np.testing.assert_array_equal(
        encoder.transform(np.array([["a"], [None]], dtype=object)),
        encoder.transform(frame(["a", None])),
    )


def test_a_column_without_labels_is_encoded_by_the_mean() -> None:
    """Nothing to learn is no error: in training rows the mean of the other folds stands."""
    y = np.arange(6.0)
    encoder = LabelMeans(cv=2, random_state=0)
    crossed = encoder.fit_transform(frame([None] * 6), y)
    np.testing.assert_allclose(crossed, crossed_by_hand([None] * 6, y, 5.0, 2, 0))
    np.testing.assert_allclose(encoder.transform(frame(["a", None])), [[2.5, 0], [2.5, 0]])


def test_fewer_rows_than_folds_are_taken_one_by_one() -> None:
    """Three rows make three folds."""
    cells, y = ["a", "a", "b"], np.array([1.0, 2.0, 4.0])
    crossed = LabelMeans(cv=5, random_state=3).fit_transform(frame(cells), y)
    np.testing.assert_allclose(crossed, crossed_by_hand(cells, y, 5.0, 3, 3))


def many_labels(n_rows: int, n_labels: int, seed: int) -> list[str]:
    """Give cells of one to three labels."""
    rng = np.random.default_rng(seed)
    return [
        ",".join(map(str, rng.integers(0, n_labels, rng.integers(1, 4)))) for _ in range(n_rows)
    ]


def test_a_training_row_is_encoded_without_its_own_target() -> None:
    """Other targets in a fold leave its encoding the same, to the last bit."""
    cells, y = many_labels(300, 50, 0), np.random.default_rng(1).normal(50, 20, 300)
    crossed = LabelMeans(random_state=5).fit_transform(frame(cells), y)
    for _, fold in KFold(5, shuffle=True, random_state=5).split(y):
        changed = y.copy()
        changed[fold] = np.arange(len(fold)) ** 3
        again = LabelMeans(random_state=5).fit_transform(frame(cells), changed)
        np.testing.assert_array_equal(again[fold], crossed[fold])


def test_a_training_row_is_counted_like_a_new_one() -> None:
    """The count is of other rows: that of the row among new ones, had it not been learned."""
    cells, y = many_labels(60, 20, 2), np.arange(60.0)
    counted = LabelMeans(random_state=0).fit_transform(frame(cells), y)[:, 1]
    for i in range(60):
        rest = [*cells[:i], *cells[i + 1 :]]
        others = LabelMeans().fit(frame(rest), np.delete(y, i))
        assert others.transform(frame([cells[i]]))[0, 1] == counted[i]


def test_cross_fitting_hides_a_target_that_labels_do_not_tell() -> None:
    """Encoded with its own target a row tells it; from the other folds it does not."""
    cells, y = many_labels(3000, 2000, 3), np.random.default_rng(4).normal(size=3000)
    encoder = LabelMeans(random_state=0)
    crossed = encoder.fit_transform(frame(cells), y)[:, 0]
    naive = encoder.transform(frame(cells))[:, 0]
    assert np.corrcoef(naive, y)[0, 1] > 0.4
    assert abs(np.corrcoef(crossed, y)[0, 1]) < 0.06


def test_the_seed_decides_the_folds() -> None:
    """The same seed gives the same encoding, another seed another."""
    X, y = frame(many_labels(50, 5, 0)), np.arange(50.0)
    first, again, other = (LabelMeans(random_state=s).fit_transform(X, y) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


times = st.datetimes(datetime.datetime(1500, 1, 1), datetime.datetime(2500, 1, 1))


@given(
    column=st.lists(st.none() | times, min_size=1, max_size=20),
    unit=st.sampled_from(["s", "ms", "us"]),
)
def test_parts_of_dates_are_those_of_pandas(
    column: list[datetime.datetime | None], unit: str
) -> None:
    """Each part that varies in the training rows is there, NaN where the time is missing."""
    dates = pd.Series(column, dtype="datetime64[us]").astype(f"datetime64[{unit}]")
    encoder = DateParts().fit(pd.DataFrame({"signed": dates}))
    every = pd.DataFrame(
        {
            "signed_year": dates.dt.year,
            "signed_month": dates.dt.month,
            "signed_day": dates.dt.day,
            "signed_weekday": dates.dt.day_of_week,
            "signed_hour": dates.dt.hour,
            "signed_days": (dates - pd.Timestamp("1970-01-01").as_unit("s")) / pd.Timedelta(days=1),
        }
    )
    varying = every.loc[:, every.nunique() > 1]
    expected = varying if len(varying.columns) else every[["signed_days"]]
    assert encoder.get_feature_names_out().tolist() == expected.columns.tolist()
    found = encoder.transform(pd.DataFrame({"signed": dates}))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.dtype == np.float64


def test_new_dates_have_the_parts_of_the_training_rows() -> None:
    """Without a time of day there, no hour; what is constant there is left out of new rows too."""
    train = pd.DataFrame({"a": pd.to_datetime(["2001-03-05", "2001-04-05", None]), "b": pd.NaT})
    encoder = DateParts().fit(train)
    names = ["a_month", "a_weekday", "a_days", "b_days"]
    assert encoder.get_feature_names_out().tolist() == names
    new = pd.DataFrame({"a": pd.to_datetime(["1969-12-31 12:00"]), "b": pd.to_datetime(["1970"])})
    np.testing.assert_array_equal(encoder.transform(new), [[12, 2, -0.5, 0]])
    as_text = pd.DataFrame({"a": ["1969-12-31", "1969-12-31T12:00:00", None], "b": np.nan})
    nothing = [np.nan] * 4
    np.testing.assert_array_equal(
        encoder.transform(as_text), [[12, 2, -1, np.nan], [12, 2, -0.5, np.nan], nothing]
    )


def test_parts_are_chosen_by_name() -> None:
    """Only those asked for; an unknown one is told."""
    dates = pd.DataFrame({"a": pd.to_datetime(["2001-03-05", "2002-04-06"])})
    np.testing.assert_array_equal(DateParts(("month",)).fit_transform(dates), [[3], [4]])
    with pytest.raises(ValueError, match=r"parts must be of year, .*, but got minute"):
        DateParts(("minute",)).fit(dates)


def test_missing_categories_become_nan() -> None:
    """None and NA are NaN afterwards; text stays, and what was given is not written to."""
    given = pd.DataFrame({"a": pd.Series(["x", None, pd.NA, np.nan], dtype=object)})
    found = categories(given)["a"].tolist()
    assert found[0] == "x"
    assert all(isinstance(value, float) and np.isnan(value) for value in found[1:])
    assert given["a"].iloc[1] is None


def test_categories_are_the_text_that_a_file_has_for_them() -> None:
    """Numbers and truth values of any type are what a CSV would hold."""
    for cells, expected in (
        ([3, 12], ["3", "12"]),
        ([3.0, 2.5], ["3", "2.5"]),
        ([True, False], ["true", "false"]),
        (pd.Categorical(["x", "y"]), ["x", "y"]),
        (pd.array([3, 12], dtype="Int8"), ["3", "12"]),
    ):
        assert categories(pd.DataFrame({"a": cells}))["a"].tolist() == expected


@pytest.mark.parametrize("n_rows", [2, 3, 4, 60])
def test_means_of_few_rows_have_as_many_folds_as_rows(n_rows: int) -> None:
    """With enough rows all is scikit-learn's own."""
    X, y = pd.DataFrame({"a": list("abba" * 15)[:n_rows]}), np.arange(n_rows) * 1.0
    folds = KFold(5, shuffle=True, random_state=1)
    own = CategoryMeans(target_type="continuous", cv=folds)
    plain = TargetEncoder(
        target_type="continuous", cv=KFold(min(5, n_rows), shuffle=True, random_state=1)
    )
    np.testing.assert_array_equal(own.fit_transform(X, y), plain.fit_transform(X, y))
    assert own.cv is folds


def test_a_column_without_values_is_zero_and_others_stay() -> None:
    """Also in new rows, which may have values that nothing was learned of."""
    step = EmptyAsZero().fit(pd.DataFrame({"a": [np.nan, np.nan], "b": [1.0, np.nan]}))
    found = step.transform(pd.DataFrame({"a": [7.0, np.nan], "b": [np.nan, 2.0]}))
    np.testing.assert_array_equal(found, [[0, np.nan], [0, 2]])
    assert step.get_feature_names_out().tolist() == ["a", "b"]


@settings(max_examples=30)
@given(labels=st.lists(st.text(min_size=1), min_size=1, max_size=10), seed=st.integers(0, 9))
def test_stored_labels_come_back_the_same(labels: list[str], seed: int) -> None:
    """Any text survives skops; a loaded encoder encodes as the stored one did."""
    y = np.random.default_rng(seed).normal(size=len(labels))
    encoder = LabelMeans().fit(frame(labels), y)
    stored = skops.io.dumps(encoder)
    loaded = skops.io.loads(stored, trusted=["popsearch.encoders.labels.LabelMeans"])
    np.testing.assert_array_equal(loaded.transform(frame(labels)), encoder.transform(frame(labels)))


def test_many_labels_are_stored_in_a_few_arrays() -> None:
    """Fifty thousand labels, one of them long, take their letters and three numbers each."""
    cells = [f"artist {i:05d}" for i in range(50_000)] + ["x" * 100_000]
    encoder = LabelMeans().fit(frame(cells), np.arange(50_001.0))
    stored = skops.io.dumps(encoder)
    letters = sum(map(len, cells))
    assert len(stored) < letters + 3 * 8 * 50_002 + 20_000
    assert skops.io.get_untrusted_types(data=stored) == ["popsearch.encoders.labels.LabelMeans"]


def test_stored_dates_come_back_the_same() -> None:
    """A loaded encoder gives the parts that the stored one learned."""
    dates = pd.DataFrame(
        {"a": np.array(["2001-03-05T07:00", "2002-04-06", "NaT"], "datetime64[us]")}
    )
    encoder = DateParts().fit(dates)
    loaded = skops.io.loads(skops.io.dumps(encoder), trusted=["popsearch.encoders.dates.DateParts"])
    np.testing.assert_array_equal(loaded.transform(dates), encoder.transform(dates))


@pytest.mark.parametrize("encoder", [LabelMeans(2.0, 3, 7), DateParts(("days", "year"))])
def test_encoders_keep_the_rules_of_scikit_learn(encoder: LabelMeans | DateParts) -> None:
    """Clones are unfitted with the same settings; tables come out with names if asked for."""
    column = frame(["a", "b", "a,b"])
    if isinstance(encoder, DateParts):
        column = pd.DataFrame({"when": pd.to_datetime(["2001-03-05", "2002-04-06", None])})
    column.index = [5, 7, 9]
    copy = clone(encoder).set_output(transform="pandas")
    assert copy.get_params() == encoder.get_params()
    with pytest.raises(NotFittedError):
        copy.transform(column)
    found = copy.fit_transform(column, np.arange(3.0))
    assert found.index.tolist() == [5, 7, 9]
    assert found.columns.tolist() == copy.get_feature_names_out().tolist()
    assert copy.get_feature_names_out(["x"])[0].startswith("x_")
    bare = clone(encoder).fit(column.to_numpy(), np.arange(3.0))
    assert bare.get_feature_names_out()[0].startswith("x0_")
