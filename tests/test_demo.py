"""The made-up table: the same every time, shaped like the real one, and honest about its floor."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from popsearch.data import demo

seeds = st.integers(0, 2**32)


@given(seed=seeds, n_rows=st.integers(1, 300), more=st.integers(0, 300))
@settings(max_examples=15, deadline=None)
def test_rows_depend_on_seed_and_position_alone(seed: int, n_rows: int, more: int) -> None:
    """The first rows of a longer table with the same seed are the rows of the shorter one."""
    X, y, mean = demo.generate(n_rows, seed)
    longer_X, longer_y, longer_mean = demo.generate(n_rows + more, seed)
    pd.testing.assert_frame_equal(X, longer_X.head(n_rows))
    np.testing.assert_array_equal(y, longer_y[:n_rows])
    np.testing.assert_allclose(mean, longer_mean[:n_rows], rtol=1e-12)


def test_another_seed_gives_other_rows() -> None:
    """Two seeds share no track."""
    first, second = demo.generate(1000, 1)[0], demo.generate(1000, 2)[0]
    assert len(first.merge(second)) == 0


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_values_keep_the_ranges_of_the_real_table(seed: int) -> None:
    """Every column is float64 and in its range; what the real table counts in wholes is whole."""
    X, y, mean = demo.generate(1000, seed)
    assert tuple(X.columns) == demo.FEATURES
    assert set(X.dtypes) == {np.dtype("float64")}
    limits = dict.fromkeys(demo.FEATURES, (0, 1))
    limits |= {"year": (1922, 2021), "key": (0, 11), "loudness": (-60, 5)}
    limits |= {"tempo": (0, 250), "duration_sec": (1, 6000)}
    for name, (low, high) in limits.items():
        assert X[name].between(low, high).all(), name
    for whole in (X["year"], X["key"], X["mode"], X["duration_sec"], y):
        np.testing.assert_array_equal(whole, np.rint(whole))
    assert 0 <= y.min() <= y.max() <= 100
    assert 0 <= mean.min() <= mean.max() <= 100


def test_features_have_the_published_means_and_correlations() -> None:
    """Means are within a tenth of a deviation of the published; loud tracks are energetic."""
    X, y, _ = demo.generate(20_000, 5)
    published = [1988, 0.56, 0.54, 5.2, -10.2, 0.66, 0.1, 0.45, 0.11, 0.21, 0.55, 118.5, 230]
    assert (((X.mean() - published) / X.std()).abs() < 0.1).all()
    assert y.mean() == pytest.approx(27.6, abs=0.6)
    correlation = X.corr()
    assert correlation.loc["energy", "loudness"] == pytest.approx(0.74, abs=0.06)
    assert correlation.loc["energy", "acousticness"] == pytest.approx(-0.7, abs=0.06)


def test_conditional_mean_is_the_mean_of_redrawn_scores() -> None:
    """For each of 200 tracks, 20,000 fresh draws of its score average to its conditional mean."""
    X, _, mean = demo.generate(200, 3)
    m, s, p0 = demo._law(X.to_numpy())
    rng = np.random.default_rng(0)
    drawn = (m + s * rng.standard_normal((20_000, 200))).clip(0, 100).round()
    drawn[rng.random((20_000, 200)) < p0] = 0
    assert (abs(drawn.mean(0) - mean) < 5 * drawn.std(0) / np.sqrt(20_000)).all()


def test_the_floor_lies_below_boosting_and_boosting_below_a_line() -> None:
    """On 10,000 training rows: line > boosting > floor, clearly; the floor is the stated 169."""
    X, y, mean = demo.generate(20_000, 777)
    line, boosting = (
        float(np.mean((model.fit(X[:10_000], y[:10_000]).predict(X[10_000:]) - y[10_000:]) ** 2))
        for model in (LinearRegression(), HistGradientBoostingRegressor(random_state=0))
    )
    floor = float(np.mean((y - mean) ** 2))
    assert floor == pytest.approx(169, abs=5)
    assert line - 15 > boosting > floor + 5
    assert abs(np.corrcoef(y - mean, mean)[0, 1]) < 5 / np.sqrt(20_000)
    assert 0.06 < np.mean(y == 0) < 0.09
