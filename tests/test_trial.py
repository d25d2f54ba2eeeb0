"""The loop over steps: what ends a member, and which step it stands for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsearch.outcome import Outcome
from scripted import Rungs, Scripted, train

curves = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)


@given(curves)
def test_best_step_is_the_first_lowest(curve: list[float]) -> None:
    """The best step is where the validation error is lowest, the first of equals."""
    (outcome,) = train(Scripted([[v] for v in curve]), 1)
    assert outcome.state == "complete"
    assert outcome.best_step == int(np.argmin(curve)) + 1
    assert [p.val_mse for p in outcome.curve] == curve


@given(curves)
def test_rungs_stand_for_their_last_step(curve: list[float]) -> None:
    """Where steps are rungs of rows, the last one counts, however lucky an earlier one was."""
    (outcome,) = train(Rungs([[v] for v in curve]), 1)
    assert outcome.best_step == len(curve)


@given(curves, st.integers(1, 5))
def test_patience_ends_a_member(curve: list[float], patience: int) -> None:
    """A member ends as complete after `patience` steps without a better score."""
    (outcome,) = train(Scripted([[v] for v in curve]), 1, patience=patience)
    taken = len(outcome.curve)
    assert outcome.state == "complete"
    assert taken - outcome.best_step <= patience
    assert taken == len(curve) or taken - outcome.best_step == patience


def test_pruned_members_are_dropped_and_others_go_on() -> None:
    """What is pruned stops at that step; the rest of the set trains to its end."""
    training = Scripted([[5.0, 1.0], [5.0, 0.9], [5.0, 0.8]])
    first, second = train(training, 2, lambda m, o: m == 0 and len(o.curve) == 2)
    assert (first.state, len(first.curve)) == ("pruned", 2)
    assert (second.state, len(second.curve), second.best_step) == ("complete", 3, 3)
    assert training.dropped[0] == 0
    assert sorted(training.dropped) == [0, 1]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_member_that_diverges_fails_alone(bad: float) -> None:
    """A score that is no number fails its member, with the reason; the others go on."""
    failed, fine = train(Scripted([[2.0, 2.0], [bad, 1.0], [1.0, 0.5]]), 2)
    assert failed.state == "failed"
    assert "diverged" in failed.reason
    assert fine.state == "complete"
    assert len(fine.curve) == 3


def test_what_a_library_raises_fails_the_trial() -> None:
    """An exception in training is kept with its traceback, and what was reached before."""
    (outcome,) = train(Scripted([[3.0], [2.0]], raises_at=1), 1)
    assert (outcome.state, outcome.reason) == ("failed", "ValueError: no solution")
    assert "Traceback" in outcome.trace
    assert len(outcome.curve) == 1


def test_r2_is_scikit_learns() -> None:
    """R² from MSE and variance is what scikit-learn computes from the predictions."""
    from sklearn.metrics import mean_squared_error, r2_score

    from popsearch.outcome import Point

    rng = np.random.default_rng(0)
    y, p = rng.normal(size=50), rng.normal(size=50)
    point = Point(1, 1, 0.0, 0.0, mean_squared_error(y, p), 0.0)
    scores = Outcome(curve=[point], best_step=1).scores(float(y.var()))
    assert scores["val_r2"] == pytest.approx(r2_score(y, p))
