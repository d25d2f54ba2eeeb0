"""From columns to a matrix: encoded by kind, learned from the training rows alone."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from mlflow.models import infer_signature
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeRegressor

from popsearch import features, schema
from popsearch.config import FeaturesConfig
from popsearch.data.table import Table, assemble, view
from popsearch.encoders import DateParts, LabelMeans

SCALERS = ("none", "minmax", "standard", "quantile")
N_TRAIN = 140


def freeze(columns: dict[str, Any], y: NDArray[np.float64], dropped: frozenset[str]) -> Table:
    """Give the table of these columns."""
    return view(assemble(columns, "price", y, "data=t", dropped), "t", "")


@pytest.fixture
def plain() -> Table:
    """Give a table of three numeric columns in which later rows hold the greater values."""
    steps = np.arange(20.0)
    values = {"tempo": steps, "energy": 5 - steps, "key": steps**2}
    return freeze({k: ("numeric", v) for k, v in values.items()}, steps, frozenset())


@pytest.fixture(scope="module")
def mixed() -> Table:
    """Give a table with columns of every kind, most of them with missing values."""
    rng = np.random.default_rng(0)
    n = 200
    words = [f"town {i}" for i in range(30)]

    def some(values: Any, kind: pa.DataType) -> pa.Array:
        return pa.array(np.asarray(values), kind, mask=rng.random(n) < 0.1)

    tags = [",".join(rng.choice(list("abcdefg"), rng.integers(1, 4))) for _ in range(n)]
    signed = np.datetime64("1999-05-01T00:00:00", "us") + rng.integers(0, 10**9, n) * 10**6
    columns = {
        "town": ("categorical", some(rng.choice(words, n), pa.large_string())),
        "size": ("numeric", rng.lognormal(size=n)),
        "signed": ("datetime", some(signed, pa.timestamp("us"))),
        "weight": ("numeric", some(rng.normal(size=n), pa.float64())),
        "tags": ("labels", some(tags, pa.large_string())),
        "colour__of it": ("categorical", some(rng.choice(["red", "grün"], n), pa.large_string())),
        "sold": ("boolean", some(rng.integers(0, 2, n), pa.float64())),
        "note": ("text", pa.array([f"note {i}" for i in range(n)])),
        "row": ("id", np.arange(n, dtype=np.float64)),
        "blank": ("empty", np.full(n, np.nan)),
        "old": ("numeric", rng.normal(size=n)),
    }
    return freeze(columns, rng.normal(10, 3, n), frozenset({"old"}))


def asked(*columns: str, one_hot_up_to: int = 5) -> FeaturesConfig:
    """Give the configuration that asks for these columns, or for all."""
    return FeaturesConfig(name="some", columns=[*columns] or None, one_hot_up_to=one_hot_up_to)


def fitted(
    cfg: FeaturesConfig, table: Table, scaler: str = "none", missing: str = "pass"
) -> tuple[ColumnTransformer, NDArray[np.float64], NDArray[np.float64]]:
    """Give the transformer fitted on the first rows, and what it makes of these and the others."""
    transformer = features.build(cfg, table, scaler, missing, 7, N_TRAIN)
    train = transformer.fit_transform(table.X.iloc[:N_TRAIN], table.y[:N_TRAIN])
    return transformer, train, transformer.transform(table.X.iloc[N_TRAIN:])


def test_numeric_columns_come_in_the_order_of_the_configuration(plain: Table) -> None:
    """Only those asked for, and not in the order of the table, where they are found by name."""
    cfg = asked("key", "tempo")
    assert features.columns(cfg, plain) == ["key", "tempo"]
    transformer = features.build(cfg, plain, "none", "impute", 1)
    matrix = transformer.fit_transform(plain.X, plain.y)
    np.testing.assert_array_equal(matrix, plain.X[["key", "tempo"]])
    other_order = plain.X[["tempo", "energy", "key"]]
    np.testing.assert_array_equal(transformer.transform(other_order), matrix)


def test_all_columns_are_those_that_can_be_features(mixed: Table) -> None:
    """In the order of the table; text, row numbers, empty and dropped columns are not."""
    expected = ["town", "size", "signed", "weight", "tags", "colour__of it", "sold"]
    assert features.columns(asked(), mixed) == expected


@pytest.mark.parametrize("missing", ["impute", "pass"])
@pytest.mark.parametrize("step", ["passthrough", MinMaxScaler()])
def test_clean_numbers_are_only_scaled(plain: Table, step: Any, missing: str) -> None:
    """The matrix is scikit-learn's own to the last bit, and nothing else is done to it."""
    names = ["key", "energy", "tempo"]
    scaler = "none" if step == "passthrough" else "minmax"
    transformer = features.build(asked(*names), plain, scaler, missing, 1)
    expected = ColumnTransformer([("columns", step, names)]).fit_transform(plain.X)
    assert transformer.fit_transform(plain.X, plain.y).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("scaler", "by_hand"),
    [
        ("minmax", MinMaxScaler()),
        ("standard", StandardScaler()),
        ("quantile", QuantileTransformer(n_quantiles=N_TRAIN, output_distribution="normal")),
    ],
)
def test_numbers_are_scaled_as_scikit_learn_does(mixed: Table, scaler: str, by_hand: Any) -> None:
    """Numbers, parts of dates and what the target encodes; never from more than training rows."""
    cfg = asked("size", "signed", "town", "tags")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer, train, other = fitted(cfg, mixed, scaler)
    _, plain_train, plain_other = fitted(cfg, mixed, "none")
    np.testing.assert_allclose(train, by_hand.fit_transform(plain_train), atol=1e-12)
    np.testing.assert_allclose(other, by_hand.transform(plain_other), atol=1e-12)
    assert len(set(features.origins(transformer))) == 4


@pytest.mark.parametrize("scaler", SCALERS)
def test_what_is_zero_or_one_is_not_scaled(mixed: Table, scaler: str) -> None:
    """Booleans, one-hot columns and marks of missing values stay so under every scaler."""
    transformer, train, other = fitted(asked(), mixed, scaler, "impute")
    names = transformer.get_feature_names_out()
    binary = [name.startswith(("boolean", "one_hot", "missing")) for name in names]
    assert sum(binary) == 7
    assert set(np.unique(train[:, binary])) == set(np.unique(other[:, binary])) == {0.0, 1.0}


def test_columns_are_encoded_by_their_kind(mixed: Table) -> None:
    """Each part of the matrix is what scikit-learn and the encoders make of that column alone."""
    transformer, train, other = fitted(asked(), mixed)
    origins = np.array(features.origins(transformer))
    head, tail, y = mixed.X.iloc[:N_TRAIN], mixed.X.iloc[N_TRAIN:], mixed.y[:N_TRAIN]

    def check(column: str, in_train: Any, in_other: Any) -> None:
        np.testing.assert_allclose(train[:, origins == column], in_train, rtol=1e-12)
        np.testing.assert_allclose(other[:, origins == column], in_other, rtol=1e-12)

    for column in ("size", "weight", "sold"):
        check(column, head[[column]], tail[[column]])
    for column, encoder in (
        ("signed", DateParts()),
        ("tags", LabelMeans(random_state=7)),
        ("colour__of it", OneHotEncoder(sparse_output=False)),
    ):
        X_train, X_other = (
            X[[column]].astype(object) if column == "colour__of it" else X[[column]]
            for X in (head, tail)
        )
        check(column, encoder.fit_transform(X_train, y), encoder.transform(X_other))
    towns = mixed.X[["town"]].astype(object)
    encoder = TargetEncoder(target_type="continuous")
    crossed = np.empty((N_TRAIN, 1))
    for others, fold in KFold(5, shuffle=True, random_state=7).split(y):
        encoder.fit(towns.iloc[others], y[others])
        crossed[fold] = encoder.transform(towns.iloc[fold])
    check("town", crossed, encoder.fit(towns[:N_TRAIN], y).transform(towns[N_TRAIN:]))


def test_a_target_that_is_noise_leaves_nothing_to_learn() -> None:
    """Categories and labels of two rows each do not tell a row's own target, so nothing fits."""
    rng = np.random.default_rng(0)
    n = 4000
    codes = [f"c{code}" for code in rng.integers(0, n // 2, n)]
    kinds = {"town": ("categorical", pa.array(codes)), "tags": ("labels", pa.array(codes))}
    noise = freeze(kinds, rng.normal(size=n), frozenset())
    transformer = features.build(asked("town", "tags"), noise, "none", "pass", 0)
    known = n // 2
    X = transformer.fit_transform(noise.X[:known], noise.y[:known])
    X_new = transformer.transform(noise.X[known:])
    assert np.abs(np.corrcoef(X.T, noise.y[:known])[-1, :-1]).max() < 0.1
    tree = DecisionTreeRegressor(min_samples_leaf=200, random_state=0).fit(X, noise.y[:known])
    assert tree.score(X, noise.y[:known]) < 0.03
    assert abs(tree.score(X_new, noise.y[known:])) < 0.03


def test_categories_with_many_values_are_encoded_by_the_target(mixed: Table) -> None:
    """As many as the setting says have a column each, with one for the missing; one more, one."""
    for limit, n_outputs in ((30, 31), (29, 1)):
        cfg = asked("town", one_hot_up_to=limit)
        assert fitted(cfg, mixed)[1].shape == (N_TRAIN, n_outputs)


def test_missing_numbers_are_imputed_from_the_training_rows(mixed: Table) -> None:
    """Medians, and the more frequent boolean; a column marks each column that has gaps."""
    cfg = asked("weight", "size", "sold", "signed")
    transformer, _, other = fitted(cfg, mixed, "none", "impute")
    head, tail = mixed.X.iloc[:N_TRAIN], mixed.X.iloc[N_TRAIN:]
    dates = DateParts().fit(head[["signed"]])
    medians = np.nanmedian(dates.transform(head[["signed"]]), axis=0)
    in_dates = dates.transform(tail[["signed"]])
    expected = np.column_stack(
        [
            tail["weight"].fillna(head["weight"].median()),
            tail["size"],
            tail["sold"].fillna(head["sold"].mode()[0]),
            np.where(np.isnan(in_dates), medians, in_dates),
            tail[["weight", "sold", "signed"]].isna(),
        ]
    )
    np.testing.assert_allclose(other, expected, rtol=1e-12)
    marked = ["weight", "size", "sold", *["signed"] * 6, "weight", "sold", "signed"]
    assert features.origins(transformer) == marked


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("missing", ["impute", "pass"])
def test_every_scaler_goes_with_every_way_to_treat_gaps(
    mixed: Table, scaler: str, missing: str
) -> None:
    """Imputed all is finite; passed on, NaN is where a number, boolean or date is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer, train, other = fitted(asked(), mixed, scaler, missing)
    origins = features.origins(transformer)
    assert train.shape == (N_TRAIN, len(origins))
    assert other.shape == (60, len(origins)) == (60, len(transformer.get_feature_names_out()))
    assert train.dtype == other.dtype == np.float64
    for matrix, X in ((train, mixed.X[:N_TRAIN]), (other, mixed.X[N_TRAIN:])):
        gaps = X[origins].isna().to_numpy() & np.isin(origins, ["weight", "sold", "signed"])
        np.testing.assert_array_equal(np.isnan(matrix), gaps & (missing == "pass"))


def test_the_order_is_by_kind_and_origins_tell_it(mixed: Table) -> None:
    """Each output's name contains the column that origins gives, whatever that is called."""
    transformer, _, _ = fitted(asked(), mixed, "standard", "impute")
    origins = features.origins(transformer)
    kinds = ["size", "weight", "sold", *["signed"] * 6, *["colour__of it"] * 3, "town", "tags"]
    assert origins == [*kinds, "tags", "weight", "sold", "signed"]
    for name, origin in zip(transformer.get_feature_names_out(), origins, strict=True):
        assert origin in name


def test_a_boolean_is_imputed_by_a_boolean() -> None:
    """Even where neither value is the more frequent one."""
    sold = np.array([0.0, 1.0] * 10 + [np.nan])
    table = freeze({"sold": ("boolean", sold)}, np.arange(21.0), frozenset())
    transformer = features.build(asked("sold"), table, "standard", "impute", 1)
    assert transformer.fit_transform(table.X, table.y)[-1].tolist() == [0, 1]


def test_gaps_in_new_rows_alone_are_imputed_too(mixed: Table) -> None:
    """The training rows need not have any; then nothing marks them."""
    whole = mixed.X.dropna(subset=["weight"]).index[:50]
    transformer = features.build(asked("weight"), mixed, "none", "impute", 1)
    train = transformer.fit_transform(mixed.X.loc[whole], mixed.y[whole])
    assert train.shape == (50, 1)
    gap = mixed.X[mixed.X["weight"].isna()].head(1)
    assert transformer.transform(gap) == [[np.median(train)]]
    assert features.origins(transformer) == ["weight"]


@pytest.mark.parametrize("scaler", SCALERS)
def test_columns_missing_in_all_training_rows_are_no_error(mixed: Table, scaler: str) -> None:
    """Imputed they are finite, in training rows and in new rows that have values."""
    names = ["weight", "sold", "signed", "town", "tags", "colour__of it"]
    head = mixed.X.iloc[:N_TRAIN].copy()
    for name in names:
        head[name] = pd.Series(pd.NaT if name == "signed" else np.nan, head.index).astype(
            head[name].dtype
        )
    transformer = features.build(asked(*names), mixed, scaler, "impute", 1, N_TRAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train = transformer.fit_transform(head, mixed.y[:N_TRAIN])
        other = transformer.transform(mixed.X)
    assert np.isfinite(train).all()
    assert np.isfinite(other).all()
    assert set(features.origins(transformer)) == set(names)


def test_histogram_boosting_takes_columns_without_training_values(mixed: Table) -> None:
    """It refuses a column that is all NaN, so such a column is passed on as zeros."""
    names = ["weight", "sold", "signed"]
    head = mixed.X.iloc[:N_TRAIN].copy()
    for name in names:
        head[name] = pd.Series(pd.NaT if name == "signed" else np.nan, head.index)
    transformer = features.build(asked(*names, "size"), mixed, "none", "pass", 1)
    X = transformer.fit_transform(head, mixed.y[:N_TRAIN])
    model = HistGradientBoostingRegressor().fit(X, mixed.y[:N_TRAIN])
    assert np.isfinite(model.predict(transformer.transform(mixed.X))).all()


@pytest.mark.parametrize("missing", ["impute", "pass"])
def test_truth_values_are_numbers(mixed: Table, missing: str) -> None:
    """A model of a table with 0 and 1 takes rows with false and true."""
    transformer, _, other = fitted(asked("sold"), mixed, "none", missing)
    sold = mixed.X[["sold"]].iloc[N_TRAIN:].dropna()
    known = mixed.X["sold"].iloc[N_TRAIN:].notna().to_numpy()
    found = transformer.named_transformers_["boolean"].transform(sold.astype(bool))
    np.testing.assert_array_equal(found[:, 0], other[known, 0])


def test_what_is_missing_in_new_rows_only_is_imputed(plain: Table) -> None:
    """A table without gaps gives a model that takes rows with some: they get the median."""
    transformer = features.build(asked("tempo", "energy"), plain, "standard", "impute", 1)
    transformer.fit(plain.X, plain.y)
    new = plain.X.head(1).assign(tempo=np.nan)
    median = plain.X.head(1).assign(tempo=plain.X["tempo"].median())
    np.testing.assert_allclose(transformer.transform(new), transformer.transform(median))


def test_unknown_values_are_encoded_by_the_mean(mixed: Table) -> None:
    """A town and tags never seen get the mean of the training targets, a colour no column."""
    transformer, _, _ = fitted(asked("town", "tags", "colour__of it"), mixed)
    new = mixed.X.head(1).assign(**{"town": "Ys", "tags": "x,y", "colour__of it": "black"})
    mean = mixed.y[:N_TRAIN].mean()
    np.testing.assert_allclose(transformer.transform(new), [[0, 0, 0, mean, mean, 0]])


def test_missing_text_may_come_as_none(mixed: Table) -> None:
    """A row read from JSON, where a cell is None, is encoded as one where it is NaN."""
    transformer, _, _ = fitted(asked("town", "tags", "colour__of it"), mixed)
    gaps = mixed.X.head(1).assign(**{"town": np.nan, "tags": np.nan, "colour__of it": np.nan})
    found = transformer.transform(gaps)
    np.testing.assert_array_equal(
        transformer.transform(gaps.astype(object).replace(np.nan, None)), found
    )
    assert found[0, :3].tolist() == [0, 0, 1]  # missing is a colour of its own


def test_other_rows_change_nothing(mixed: Table) -> None:
    """What is fitted, and what becomes of a row, hangs on the training rows alone."""
    changed = mixed.X.copy()
    changed.iloc[N_TRAIN + 1 :] = changed.iloc[0].to_numpy()
    for scaler in SCALERS:
        transformer, train, other = fitted(asked(), mixed, scaler, "impute")
        again = clone(transformer)
        np.testing.assert_array_equal(
            again.fit_transform(changed[:N_TRAIN], mixed.y[:N_TRAIN]), train
        )
        np.testing.assert_array_equal(again.transform(changed[N_TRAIN:])[0], other[0])


def test_scaling_knows_the_training_rows_alone(plain: Table) -> None:
    """They come to lie in 0..1; a row beyond their range comes to lie outside."""
    transformer = features.build(asked("tempo", "energy"), plain, "minmax", "pass", 1)
    train = transformer.fit_transform(plain.X.iloc[:11], plain.y[:11])
    np.testing.assert_allclose(train[:, 0], np.arange(11) / 10)
    np.testing.assert_allclose(train[:, 1], 1 - np.arange(11) / 10)
    np.testing.assert_allclose(transformer.transform(plain.X.iloc[[15]]), [[1.5, -0.5]])


def test_a_column_without_variation_is_scaled_to_zero() -> None:
    """One value throughout the training rows gives zeros, no warning and no NaN."""
    table = freeze({"flat": ("numeric", np.full(20, 7.0))}, np.arange(20.0), frozenset())
    for scaler in ("minmax", "standard"):
        transformer = features.build(asked("flat"), table, scaler, "impute", 1)
        assert not transformer.fit_transform(table.X, table.y).any()


def test_the_table_stays_as_it_was(mixed: Table) -> None:
    """A read-only table can be transformed, and the matrix is not the table's own memory."""
    before = mixed.X.copy()
    assert not mixed.X["size"].to_numpy().flags.writeable
    for scaler in SCALERS:
        _, train, _ = fitted(asked("size", "old"), mixed, scaler, "impute")
        assert not np.shares_memory(train, mixed.X["size"].to_numpy())
        fitted(asked(), mixed, scaler, "impute")
    pd.testing.assert_frame_equal(mixed.X, before)


def test_a_built_transformer_is_not_fitted(mixed: Table) -> None:
    """Each build is its own; the seed alone decides what comes out of it."""
    first, again, other = (
        features.build(asked(), mixed, "quantile", "impute", seed) for seed in (1, 1, 2)
    )
    one = first.fit_transform(mixed.X, mixed.y)
    assert not hasattr(again, "transformers_")
    np.testing.assert_array_equal(again.fit_transform(mixed.X, mixed.y), one)
    crossed = np.isin(features.origins(first), ["town", "tags"])
    differs = (other.fit_transform(mixed.X, mixed.y) != one).any(axis=0)
    assert differs[crossed].any()
    assert not differs[~crossed].any()


@pytest.mark.parametrize("kind", ["categorical", "labels"])
def test_a_category_that_knows_nothing_teaches_nothing(kind: str) -> None:
    """A target drawn by chance cannot be read off its category; encoded naively it could."""
    rng = np.random.default_rng(1)
    names = pa.array([f"artist {i}" for i in rng.integers(0, 1500, 3000)])
    table = freeze({"artist": (kind, names)}, rng.normal(size=3000), frozenset())
    transformer = features.build(asked("artist"), table, "none", "pass", 7)
    crossed = transformer.fit_transform(table.X[:2000], table.y[:2000])
    naive, new = transformer.transform(table.X[:2000]), transformer.transform(table.X[2000:])
    y, y_new = table.y[:2000], table.y[2000:]
    assert abs(np.corrcoef(crossed[:, 0], y)[0, 1]) < 0.06
    assert np.corrcoef(naive[:, 0], y)[0, 1] > 0.5

    def r2(X: NDArray[np.float64]) -> float:
        tree = DecisionTreeRegressor(max_leaf_nodes=4, min_samples_leaf=50).fit(X, y)
        return float(tree.score(new, y_new))

    assert -0.03 < r2(crossed) < 0.02
    assert r2(naive) < -0.1


def test_columns_that_the_table_lacks_are_told_with_the_nearest(plain: Table) -> None:
    """All at once; a column named twice is told once, after them."""
    assert features.faults(asked("tempo", "key"), plain) == []
    assert features.faults(asked("key", "temp", "zzz", "key", "key", "zzz"), plain) == [
        "features.columns: temp is not a column of data=t; did you mean tempo?",
        "features.columns: zzz is not a column of data=t; choose from: tempo, energy, key",
        "features.columns: key is named more than once",
        "features.columns: zzz is named more than once",
    ]


def test_columns_that_can_be_no_features_are_told_with_the_reason(mixed: Table) -> None:
    """Target, text, row numbers, empty and dropped columns; how to take them where one can."""
    must = "must hold numbers, dates or categories, but has"
    leave = "leave it out; for data=csv"
    assert features.faults(asked("price", "size", "note", "row", "blank", "old"), mixed) == [
        "features.columns: price is the target; leave it out",
        f"features.columns: note {must} a text of its own in most rows; {leave} "
        "data.columns.categorical=[note] says otherwise",
        f"features.columns: row {must} row numbers; {leave} "
        "data.columns.numeric=[row] says otherwise",
        f"features.columns: blank {must} no values; leave it out",
        "features.columns: old is also in data.drop; remove it from one of them",
    ]
    assert features.faults(asked(), mixed) == []


def test_a_table_without_features_is_refused() -> None:
    """The line has the columns and why each of them is none."""
    y = np.arange(20.0)
    columns = {"a": ("id", y), "b": ("empty", y * np.nan), "c": ("id", y)}
    must = "data=t: must have a column that can be a feature, but"
    see = "see data.columns and data.drop"
    assert features.faults(asked(), freeze(columns, y, frozenset("a"))) == [
        f"{must} leaves out a (dropped), b (no values), c (row numbers); {see}"
    ]
    assert features.faults(asked(), freeze({}, y, frozenset())) == [
        f"{must} has only the target price; {see}"
    ]


def test_the_summary_tells_what_is_encoded_how(mixed: Table) -> None:
    """A line for each way, and what is left out, if it was not asked for by name."""
    told = schema.summary(asked(), mixed, "pass")
    n = {name: column.n_missing for name, column in mixed.columns.items()}
    encoded = [
        ("numeric", "size, weight"),
        ("boolean", "sold"),
        ("categorical", "colour__of it (2 values): one-hot"),
        ("categorical", "town (30 values): mean target of their training rows, cross-fitted"),
        ("labels", "tags (7 labels): mean target and number of their training rows, cross-fitted"),
        ("datetime", "signed: year, month, day, weekday, hour, days since 1970"),
    ]
    left = [
        ("left out", "note: a text of its own in most rows"),
        ("left out", "row: row numbers"),
        ("left out", "blank: no values"),
        ("left out", "old: dropped"),
    ]
    text = [
        (
            "missing",
            f"colour__of it {n['colour__of it']}, town {n['town']}: a category of its own",
        ),
        ("missing", f"tags {n['tags']}: the overall mean"),
    ]
    passed = f"weight {n['weight']}, signed {n['signed']}, sold {n['sold']}"
    by_model = ("missing", f"{passed}: passed on, the model splits on them")
    assert told == [*encoded, *left, by_model, *text]
    assert schema.summary(asked(), mixed, "impute") == [
        *encoded,
        *left,
        (
            "missing",
            f"weight {n['weight']}, signed {n['signed']}: set to the training median, and marked",
        ),
        ("missing", f"sold {n['sold']}: set to the more frequent value, and marked"),
        *text,
    ]
    assert schema.summary(asked("size", "sold"), mixed, "impute") == [
        ("numeric", "size"),
        ("boolean", "sold"),
        ("missing", f"sold {n['sold']}: set to the more frequent value, and marked"),
    ]


@given(
    names=st.lists(st.text("ab \n_", min_size=1, max_size=60), min_size=1, max_size=40, unique=True)
)
def test_lines_of_the_summary_fit_the_terminal(names: list[str]) -> None:
    """However many columns there are and however long their names: one line, with the number."""
    columns = {name: ("numeric", np.arange(10.0)) for name in names}
    table = freeze(columns, np.arange(10.0), frozenset())
    ((_, text),) = schema.summary(asked(), table, "pass")
    assert len(text) <= 86
    assert "\n" not in text
    assert text.endswith(f", ... ({len(names)})") or text.count(", ") == len(names) - 1


def test_a_mixed_model_is_stored_without_pickle(mixed: Table) -> None:
    """A pipeline loaded with skops predicts the same; MLflow describes its columns."""
    X = mixed.X[features.columns(asked(), mixed)]
    transformer = features.build(asked(), mixed, "quantile", "impute", 1)
    pipeline = make_pipeline(transformer, Ridge()).fit(X, mixed.y)
    stored = skops.io.dumps(pipeline)
    loaded = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    np.testing.assert_array_equal(loaded.predict(X), pipeline.predict(X))
    signature = infer_signature(X.head(), pipeline.predict(X.head()))
    kinds = {column.name: column.type.name for column in signature.inputs}
    assert kinds["size"] == kinds["weight"] == kinds["sold"] == "double"
    assert kinds["town"] == kinds["tags"] == kinds["colour__of it"] == "string"
    assert kinds["signed"] == "datetime"
