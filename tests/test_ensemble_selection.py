"""Which models are mixed, and whether the mix is better on rows that did not choose it."""

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.optimize import nnls
from sklearn.metrics import mean_squared_error

from popsearch import intervals
from popsearch.ensemble import selection, verdict
from popsearch.ensemble.selection import N_PICKS, mixed, select
from popsearch.ensemble.verdict import half, judge, n_units

SMALL = arrays(np.float64, (3, 6), elements=st.integers(-9, 9).map(float))


def errors(*scales: float, n_rows: int = 4000, seed: int = 0) -> np.ndarray:
    """Residuals of models that err independently of one another, each so much."""
    rng = np.random.default_rng(seed)
    return np.array([rng.normal(0, scale, n_rows) for scale in scales])


def mse(residuals: np.ndarray) -> float:
    """The mean of the squares, by scikit-learn."""
    return float(mean_squared_error(np.zeros(len(residuals)), residuals))


# ---- selection ----------------------------------------------------------------------------------


def greedy(residuals: np.ndarray, n_picks: int) -> float:
    """The lowest MSE that is reached on the way, by lists of models and their plain means."""

    def of(picked: list[int]) -> float:
        return mse(np.mean([residuals[i] for i in picked], axis=0))

    ranked = sorted(range(len(residuals)), key=lambda i: of([i]))
    picked = min((ranked[:n] for n in range(1, len(ranked) + 1)), key=of)
    reached = [of(picked)]
    while len(picked) < n_picks:
        picked = min(([*picked, i] for i in range(len(residuals))), key=of)
        reached.append(of(picked))
    return min(reached)


@given(SMALL)
def test_each_pick_is_the_one_with_which_the_mean_errs_least(residuals: np.ndarray) -> None:
    """Trying every model at every pick, with the residuals themselves, reaches the same MSE."""
    rounding = 1e-6 * (1 + mse(residuals[0]))
    found = mse(mixed(select(residuals, n_picks=6), residuals))
    assert found == pytest.approx(greedy(residuals, 6), abs=rounding)


@given(SMALL)
def test_weights_are_counts_of_picks(residuals: np.ndarray) -> None:
    """None below 0, together 1, each a multiple of one pick; no set of picks errs less by much."""
    weights = select(residuals, n_picks=4)
    assert weights.sum() == pytest.approx(1)
    assert any(
        np.allclose(weights, np.bincount(picked, minlength=3) / n)
        for n in range(1, 5)
        for picked in combinations_with_replacement(range(3), n)
    )


@given(arrays(np.float64, (5, 12), elements=st.floats(-1e3, 1e3, width=16)))
def test_never_worse_than_the_best_single_model(residuals: np.ndarray) -> None:
    """On the rows that select."""
    best = min(mse(own) for own in residuals)
    assert mse(mixed(select(residuals), residuals)) <= best * (1 + 1e-6) + 1e-12


def test_two_that_err_alike_and_independently_get_half_each() -> None:
    """Orthogonal residuals of one length: half of the MSE of either, in closed form."""
    residuals = np.array([[3.0, 0.0, 3.0, 0.0], [0.0, 3.0, 0.0, 3.0]])
    weights = select(residuals)
    assert weights.tolist() == [0.5, 0.5]
    assert mse(mixed(weights, residuals)) == mse(residuals[0]) / 2


def test_weights_of_independent_errors_are_inverse_to_their_variances() -> None:
    """1, 4 and 4 give two thirds, a sixth and a sixth, as near as picks allow."""
    basis = np.repeat(np.eye(3), 4, axis=1)
    residuals = basis * np.sqrt([[1.0], [4.0], [4.0]])
    np.testing.assert_allclose(select(residuals), [2 / 3, 1 / 6, 1 / 6], atol=1 / N_PICKS)


def test_a_copy_gains_nothing() -> None:
    """The same model three times is that model; beside another one the mix errs as without."""
    one, other = errors(5.0, 7.0)
    assert np.count_nonzero(select([one, one, one])) == 1
    alone, twice = select([one, other]), select([one, one, other])
    assert mse(mixed(twice, [one, one, other])) == pytest.approx(
        mse(mixed(alone, [one, other])), rel=1e-3
    )


def test_the_scale_of_the_target_does_not_matter() -> None:
    """Dollars or millions of them; nor does the order of the models."""
    residuals = errors(5.0, 6.0, 7.0, 20.0)
    weights = select(residuals)
    np.testing.assert_array_equal(select(residuals * 1e6), weights)
    np.testing.assert_allclose(select(residuals[::-1])[::-1], weights)


def test_it_comes_near_the_best_mix_there_is() -> None:
    """Which non-negative least squares finds: within a hundredth, for ten related models."""
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 8, 4000)
    residuals = shared + errors(*np.linspace(2, 6, 10))
    ones = 1e4 * np.ones(10)  # weights must add up to 1
    best, _ = nnls(np.vstack([residuals.T, ones]), np.append(np.zeros(4000), 1e4))
    assert mse(mixed(select(residuals), residuals)) < 1.01 * mse(best @ residuals)


# ---- the verdict --------------------------------------------------------------------------------


def test_a_better_mix_wins() -> None:
    """Two that err independently; each row is scored by what the other half of the rows chose."""
    residuals = errors(5.0, 5.0)
    found = judge(residuals)
    assert found.mix_wins
    first, mix, alone = half(4000), np.empty(4000), np.empty(4000)
    for choosing in (first, ~first):
        mix[~choosing] = select(residuals[:, choosing]) @ residuals[:, ~choosing]
        single = np.argmin([mse(own) for own in residuals[:, choosing]])
        alone[~choosing] = residuals[single, ~choosing]
    assert (found.mix_mse, found.single_mse) == pytest.approx((mse(mix), mse(alone)))
    assert found.mix_mse == pytest.approx(25 / 2, rel=0.05)
    plain = stats.bootstrap(
        [np.square(alone) - np.square(mix)], np.mean, method="percentile", rng=1, n_resamples=999
    ).confidence_interval
    assert (found.gain_low, found.gain_high) == pytest.approx((plain.low, plain.high), rel=0.05)


def test_the_held_out_rows_choose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the mix nor the single model it meets: both are chosen on the other half alone."""
    residuals = errors(5.0, 5.1, 6.0)
    marked = half(4000)
    seen: list[np.ndarray] = []

    def select(rows: Any) -> np.ndarray:
        seen.append(rows)
        return selection.select(rows)

    monkeypatch.setattr(verdict, "select", select)
    first = judge(residuals)
    spoiled = residuals.copy()
    spoiled[:, ~marked] = np.array([[900.0], [1.0], [0.0]])
    second = judge(spoiled)
    np.testing.assert_array_equal(seen[0], residuals[:, marked])
    np.testing.assert_array_equal(seen[1], residuals[:, ~marked])
    np.testing.assert_array_equal(seen[2], seen[0])
    assert (first.singles[0], second.singles) == (first.singles[0], (first.singles[0], 2))


def test_luck_on_the_rows_that_select_does_not_win() -> None:
    """The best model alone errs by noise only, so the mix is better where it was selected only."""
    noise = errors(9.0, n_rows=200)[0]
    residuals = noise + np.vstack([np.zeros(200), errors(*[9.0] * 40, n_rows=200, seed=1)])
    assert mse(mixed(select(residuals), residuals)) < 0.99 * mse(residuals[0])
    found = judge(residuals)
    assert found.singles == (0, 0)
    assert found.mix_mse > found.single_mse
    assert not found.mix_wins


@given(st.lists(st.integers(0, 9), min_size=2, max_size=60))
def test_a_group_is_on_one_side(groups: list[int]) -> None:
    """Half of the groups, whatever their size and numbers."""
    numbers = np.array(groups) * 7
    marked = half(len(groups), numbers)
    sides = {group: {*marked[numbers == group]} for group in numbers}
    assert all(len(side) == 1 for side in sides.values())
    assert n_units(len(groups), numbers) == len(sides)
    n_marked = sum(True in side for side in sides.values())
    assert n_marked == (len(sides) + 1) // 2


def test_halves_are_the_same_ones_every_time() -> None:
    """And of nearly one size."""
    np.testing.assert_array_equal(half(101), half(101))
    assert half(101).sum() == 51


def test_rows_of_a_group_are_drawn_together() -> None:
    """A row that is there ten times tells no more than once: the interval is that of the rows."""
    first, other = errors(5.0, 5.1, n_rows=300)
    groups = np.repeat(np.arange(300), 10)
    repeated = [np.repeat(own, 10) for own in (first, other)]
    low, high = intervals.of_difference(*repeated, groups)
    plain = stats.bootstrap(
        [np.square(other) - np.square(first)], np.mean, method="percentile", rng=1
    ).confidence_interval
    assert high - low == pytest.approx(plain.high - plain.low, rel=0.1)
    too_narrow = intervals.of_difference(*repeated)
    assert too_narrow.high - too_narrow.low < 0.4 * (high - low)
