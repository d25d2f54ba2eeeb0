"""From columns to a matrix: what is asked for, in that order, scaled by training rows alone."""

import numpy as np
import pytest
from sklearn.base import clone

from popsearch import features
from popsearch.config import FeaturesConfig
from popsearch.data.table import Table, freeze


@pytest.fixture
def table() -> Table:
    """Give a table of three columns in which later rows hold the greater values."""
    steps = np.arange(20.0)
    return freeze("t", "", {"tempo": steps, "energy": 5 - steps, "key": steps**2}, steps)


def asked(*columns: str) -> FeaturesConfig:
    """Give the configuration that asks for these columns."""
    return FeaturesConfig(name="some", columns=list(columns))


def test_columns_come_in_the_order_of_the_configuration(table: Table) -> None:
    """Only those asked for, and not in the order of the table."""
    matrix = features.build(asked("key", "tempo"), "none").fit_transform(table.X)
    np.testing.assert_array_equal(matrix, table.X[["key", "tempo"]])


def test_columns_are_found_by_name(table: Table) -> None:
    """A table whose columns stand in another order gives the same matrix."""
    transformer = features.build(asked("key", "tempo"), "minmax").fit(table.X)
    np.testing.assert_array_equal(
        transformer.transform(table.X[["key", "energy", "tempo"]]), transformer.transform(table.X)
    )


def test_scaling_knows_the_training_rows_alone(table: Table) -> None:
    """They come to lie in 0..1; a row beyond their range comes to lie outside."""
    transformer = features.build(asked("tempo", "energy"), "minmax")
    train = transformer.fit_transform(table.X.iloc[:11])
    np.testing.assert_allclose(train[:, 0], np.arange(11) / 10)
    np.testing.assert_allclose(train[:, 1], 1 - np.arange(11) / 10)
    np.testing.assert_allclose(transformer.transform(table.X.iloc[[15]]), [[1.5, -0.5]])


def test_a_built_transformer_is_not_fitted(table: Table) -> None:
    """Each build is its own and can be cloned; fitting one leaves the others as they were."""
    first, second = (features.build(asked("tempo"), "minmax") for _ in range(2))
    clone(first).fit(table.X)
    first.fit(table.X.iloc[:3])
    second.fit(table.X)
    assert first.transform(table.X).max() == pytest.approx(9.5)
    assert second.transform(table.X).max() == pytest.approx(1)


@pytest.mark.parametrize("scaler", ["none", "minmax"])
def test_the_table_stays_as_it_was(table: Table, scaler: str) -> None:
    """A read-only table can be transformed, and the matrix is not the table's own memory."""
    matrix = features.build(asked("tempo", "energy", "key"), scaler).fit_transform(table.X)
    assert not np.shares_memory(matrix, table.X.to_numpy())
    assert table.X.iloc[1].tolist() == [1, 4, 1]


def test_a_column_without_variation_is_scaled_to_zero() -> None:
    """One value throughout the training rows gives zeros, no warning and no NaN."""
    table = freeze("t", "", {"flat": np.full(20, 7.0)}, np.arange(20.0))
    assert not features.build(asked("flat"), "minmax").fit_transform(table.X).any()


def test_columns_that_the_table_lacks_are_told_with_the_nearest(table: Table) -> None:
    """All at once; a column named twice is told once, after them."""
    assert features.faults(asked("tempo", "key"), table) == []
    assert features.faults(asked("key", "temp", "zzz", "key", "key"), table) == [
        "features.columns: temp is not a column of data=t; did you mean tempo?",
        "features.columns: zzz is not a column of data=t; choose from: tempo, energy, key",
        "features.columns: key is named more than once",
    ]


def test_the_target_is_no_feature(table: Table) -> None:
    """Asking for what is to be predicted is refused like any unknown column."""
    (fault,) = features.faults(asked("popularity"), table)
    assert fault.startswith("features.columns: popularity is not a column of data=t")
