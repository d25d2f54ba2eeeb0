"""Trainings advanced together: each member's figures stand in its own place."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsearch import trial
from popsearch.models.side_by_side import SideBySide
from scripted import Rungs, Scripted, go_on, train

N_STEPS = 5


def test_scores_and_drops_come_out_in_the_members_own_places() -> None:
    """A member is known by its number in the whole, to its own training by its place there."""
    first = Scripted([[1.0, 3.0], [1.5, 3.5]])
    second = Scripted([[2.0, 0.5], [2.5, 0.25]])
    both = SideBySide([(first, [1, 3]), (second, [2, 0])])
    assert both.resources == [10, 20]
    scores = both.advance()
    assert scores.val_mse.tolist() == [0.5, 1.0, 2.0, 3.0]
    assert scores.val_mae.tolist() == [0.0625, 0.125, 0.25, 0.375]
    assert scores.train_mse.tolist() == [0.25, 0.5, 1.0, 1.5]
    assert scores.train_mae.tolist() == [0.125, 0.25, 0.5, 0.75]
    assert scores.refit.tolist() == [10] * 4
    assert scores.refit.dtype == np.intp
    both.drop([3, 2])
    assert (first.dropped, second.dropped) == ([1], [0])
    assert both.advance().val_mse[[0, 1]].tolist() == [0.25, 1.5]


def test_a_training_without_a_live_member_is_not_advanced() -> None:
    """When all of its members are dropped it stands still, and the others go on."""
    first, second = Scripted([[1.0, 2.0]] * 3), Scripted([[3.0]] * 3)
    both = SideBySide([(first, [0, 2]), (second, [1])])
    both.advance()
    both.drop([0])
    both.advance()
    both.drop([2])
    scores = both.advance()
    assert (first.step, second.step) == (2, 3)
    np.testing.assert_array_equal(scores.val_mse, [np.nan, 3.0, np.nan])
    assert scores.refit.tolist() == [0, 30, 0]


@pytest.mark.parametrize("kind", [Scripted, Rungs])
def test_whether_the_best_step_is_kept_is_the_trainings_own(kind: type[Scripted]) -> None:
    """All of one family, they agree on what their steps are."""
    assert SideBySide([(kind([[1.0]]), [0])]).keeps_best == kind.keeps_best


@st.composite
def parts(draw: st.DrawFn) -> list[list[int]]:
    """Give the numbers of some members, in any order, cut into trainings."""
    numbers = draw(st.permutations(range(draw(st.integers(1, 6)))))
    cuts = sorted(draw(st.sets(st.sampled_from(range(1, len(numbers) + 1)))) | {len(numbers)})
    return [numbers[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]


@given(parts=parts(), patience=st.integers(1, N_STEPS), data=st.data())
def test_members_go_as_they_would_by_themselves(
    parts: list[list[int]], patience: int, data: st.DataObject
) -> None:
    """However members are spread over trainings, each has the curve and the end it has alone."""
    n = sum(map(len, parts))
    errors = st.floats(0, 9) | st.just(float("nan"))
    curve = st.lists(errors, min_size=N_STEPS, max_size=N_STEPS)
    curves: Sequence[list[float]] = [data.draw(curve) for _ in range(n)]

    def watch(limit: float) -> trial.Watch:
        return lambda _, outcome: outcome.curve[-1].val_mse > limit

    whole = SideBySide(
        [(Scripted([*zip(*(curves[m] for m in own), strict=True)]), own) for own in parts]
    )
    together = train(whole, n, watch(7), patience)
    for member, outcome in enumerate(together):
        (alone,) = train(Scripted([[value] for value in curves[member]]), 1, watch(7), patience)
        outcome.fit_s = alone.fit_s
        assert outcome == alone


def test_what_one_training_raises_ends_all() -> None:
    """The step as a whole failed: each live member is told, none twice."""
    both = SideBySide([(Scripted([[1.0]] * 2), [1]), (Scripted([[2.0]] * 2, raises_at=1), [0])])
    outcomes = train(both, 2, go_on)
    assert [outcome.reason for outcome in outcomes] == ["ValueError: no solution"] * 2
    assert [len(outcome.curve) for outcome in outcomes] == [1, 1]
