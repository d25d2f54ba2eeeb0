"""Bootstrap intervals against SciPy's and against what is known in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from popsearch import intervals


def sample(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets, and errors of a model that explains two thirds of them."""
    rng = np.random.default_rng(seed)
    y = rng.normal(45, 10, n)
    return rng.standard_t(8, n) * 5, y


@pytest.mark.parametrize("n", [40, 800])
def test_they_are_those_of_scipy(n: int) -> None:
    """MSE, MAE and R² have the bounds that SciPy's bootstrap of scikit-learn's scores finds."""
    residuals, y = sample(n)
    found = intervals.of_scores(residuals, y)
    for score, interval in zip(
        (mean_squared_error, mean_absolute_error, r2_score), found, strict=True
    ):
        expected = stats.bootstrap(
            (y, y - residuals), score, paired=True, vectorized=False, n_resamples=2000,
            method="percentile", rng=np.random.default_rng(1),
        ).confidence_interval  # fmt: skip
        width = expected.high - expected.low
        assert interval is not None
        assert interval.low == pytest.approx(expected.low, abs=0.08 * width)
        assert interval.high == pytest.approx(expected.high, abs=0.08 * width)


@pytest.mark.parametrize("n", [3000, 4096, 4097, 176_000])
def test_of_many_rows_they_are_those_of_a_mean(n: int) -> None:
    """Also where rows are drawn in groups: 1.96 standard errors on both sides of the mean."""
    residuals, y = sample(n)
    for interval, values in (
        (intervals.of_scores(residuals, y).mse, np.square(residuals)),
        (intervals.of_scores(residuals, y).mae, np.abs(residuals)),
    ):
        half = 1.96 * values.std(ddof=1) / np.sqrt(n)
        assert interval.low == pytest.approx(values.mean() - half, abs=0.12 * half)
        assert interval.high == pytest.approx(values.mean() + half, abs=0.12 * half)


@pytest.mark.parametrize("n", [500, 20_000])
def test_a_difference_is_paired_by_row(n: int) -> None:
    """Errors that two models share cancel: the interval is that of the mean of the differences."""
    first, _ = sample(n)
    other = first + np.random.default_rng(5).normal(0.05, 0.3, n)
    found = intervals.of_difference(first.astype(np.float32), other.astype(np.float32))
    differences = np.square(other) - np.square(first)
    half = 1.96 * differences.std(ddof=1) / np.sqrt(n)
    assert found.low == pytest.approx(differences.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(differences.mean() + half, abs=0.15 * half)
    single = intervals.of_scores(other, other).mse
    assert found.high - found.low < 0.5 * (single.high - single.low)


def test_they_hold_the_truth_as_often_as_they_say() -> None:
    """Of 300 samples about 95 % have an interval that holds the MSE of all there could be."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        residuals = rng.normal(0, 2, 150)
        low, high = intervals.of_scores(residuals, residuals).mse
        held += low <= 4 <= high
    assert 0.90 <= held / 300 <= 0.98


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_the_score_lies_within(residuals: list[float]) -> None:
    """Of any rows, also of one; and a model does not differ from itself."""
    errors = np.array(residuals)
    found = intervals.of_scores(errors, np.full(len(errors), 3.0))
    squares = np.square(errors)
    assert found.r2 is None
    slack = 1e-9 * (1 + squares.max())
    assert squares.min() - slack <= found.mse.low <= found.mse.high <= squares.max() + slack
    assert intervals.of_difference(errors, errors) == (0, 0)
