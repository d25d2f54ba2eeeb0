"""The pruner that draws a trial's curve on to its end."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsearch.config import CurvePruner
from popsearch.plan import prepare
from popsearch.promise import end
from popsearch.study import Study

HEIGHTS, SHARES, LENGTHS = st.floats(0.5, 50), st.floats(0.3, 0.97), st.integers(3, 60)


@given(height=HEIGHTS, share=SHARES, n=LENGTHS, more=st.integers(1, 100), floor=st.floats(0, 100))
def test_a_geometric_curve_is_known_to_its_end(
    height: float, share: float, n: int, more: int, floor: float
) -> None:
    """Where each step falls by the same share of the one before, the end is exact."""
    curve = [floor + height * share**step for step in range(n + more)]
    if curve[-1 - more] - floor > 1e-6:
        expected = curve[-1]
        assert end(curve[:n], n + more, 1.0) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(height=HEIGHTS, share=SHARES, n=LENGTHS, more=st.integers(1, 100), factor=st.floats(0.1, 5))
def test_the_factor_is_of_what_is_to_come(
    height: float, share: float, n: int, more: int, factor: float
) -> None:
    """Twice the factor, twice the fall; a curve never rises, and at its end it is there."""
    curve = [height * share**step for step in range(n)]
    fall = curve[-1] - end(curve, n + more, factor)
    assert fall >= 0
    assert curve[-1] - end(curve, n + more, 2 * factor) == pytest.approx(2 * fall, rel=1e-9)
    assert end(curve, n, factor) == curve[-1]


@given(st.lists(st.floats(0, 100), min_size=3, max_size=40), st.integers(0, 50), st.floats(0.1, 3))
def test_any_curve_has_an_end(scores: list[float], more: int, factor: float) -> None:
    """Of whatever the best scores so far are, also of steps without a fall."""
    best = [min(scores[: i + 1]) for i in range(len(scores))]
    assert end(best, len(best) + more, factor) <= best[-1]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_of_two_steps_nothing_can_be_told(n: int) -> None:
    """Less than two falls have no share."""
    assert end([9.0, 1.0][:n], 10, 1.0) == -float("inf")


def told(study: Study, curve: list[float]) -> int:
    """Report a trial's steps until it is pruned or ends; give how many there were."""
    (asked,) = study.ask()
    for step, val_mse in enumerate(curve, start=1):
        if study.report(asked, step, val_mse):
            study.tell(asked, "pruned", {"val_mse": val_mse})
            return step
    scores = {"val_mse": curve[-1], "best_resource": 1, "best_step": 1}
    study.tell(asked, "complete", scores)
    return len(curve)


def test_a_slow_learner_is_given_its_time(compose: Any, workdir: Path) -> None:
    """What is behind at each step and still falls goes on; what has come to rest above does not."""
    cfg = compose("model=gbr", "data.rows=500", "model.steps.budget=200")
    plan = prepare(cfg)
    assert isinstance(cfg.pruner, CurvePruner)
    study = Study(cfg, "study", plan.space, plan.fidelities[-1])
    first = [100 + 50 * 0.7**step for step in range(20)]
    assert told(study, first) == 20  # there is nothing to be compared with
    slow = [80 + 100 * 0.9**step for step in range(20)]
    assert all(a > b for a, b in zip(slow[:12], first[:12], strict=True))
    assert told(study, slow) == 20
    assert slow[-1] < first[-1]
    assert told(study, [120 + 5 * 0.5**step for step in range(20)]) == 4
    assert told(study, [150.0] * 20) == 4


@pytest.mark.parametrize(
    ("typed", "fidelities"),
    [("model=decision_tree", [1, 3, 9]), ("model=gbr split=kfold", [1, 2, 3, 4, 5])],
)
def test_what_has_no_curve_is_compared_with_the_median(
    typed: str, fidelities: list[int], compose: Any, workdir: Path
) -> None:
    """Rungs of rows, and folds: a trial above the median of five others is stopped at once."""
    cfg = compose(*typed.split(), "data.rows=500")
    plan = prepare(cfg)
    assert plan.fidelities == fidelities
    study = Study(cfg, "study", plan.space, plan.fidelities[-1])
    for i in range(5):
        (asked,) = study.ask()
        assert not any(study.report(asked, fidelity, 9.0 - i) for fidelity in fidelities)
        study.tell(asked, "complete", {"val_mse": 9.0 - i})
    (weak,) = study.ask()
    assert study.report(weak, 1, 7.5)
    study.tell(weak, "pruned", {"val_mse": 7.5})
    (good,) = study.ask()
    assert not study.report(good, 1, 6.5)
