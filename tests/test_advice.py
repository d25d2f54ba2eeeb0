"""Advice at the end of a search: it is given where it holds, and not where it does not."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from popsearch import advice
from popsearch.advice import half_width
from popsearch.config import Config
from popsearch.plan import prepare
from popsearch.study import Asked
from test_influence import SPACE, study

N_ROWS = 2_000


def none_kept(number: int, val_mse: float) -> None:
    """No residuals of any trial."""


def trials(errors: list[float], resource: int = 100, **params: list[Any]) -> list[Asked]:
    """Complete trials with these errors, and others with values of their own."""
    others = {"learning_rate": [0.1 + 0.01 * i for i in range(len(errors))], **params}
    return [
        Asked(
            id=i,
            number=i,
            params={name: values[i] for name, values in others.items()},
            state="complete",
            scores={"val_mse": error, "best_resource": resource, "fit_s": 20.0 - i},
        )
        for i, error in enumerate(errors)
    ]


def advise(
    compose: Callable[..., Config],
    given: list[Asked],
    *typed: str,
    curve: tuple[float, ...] = (),
    residuals_of: advice.ResidualsOf = none_kept,
) -> list[str]:
    """The advice of a search over gbr, or what is typed."""
    plan = prepare(compose("data.rows=200", *(typed or ("model=gbr",))))
    return advice.advise(plan.cfg.model, plan.space, given, curve, residuals_of)


def test_the_noise_is_the_closed_form() -> None:
    """Squares that differ by 1 in half of the rows and by 3 in the others: a deviation of 1."""
    first = np.zeros(400, np.float32)
    other = np.sqrt(np.tile([1.0, 3.0], 200)).astype(np.float32)
    assert half_width(first, other) == pytest.approx(1.96 / np.sqrt(399), rel=1e-5)
    assert half_width(other, first) == pytest.approx(half_width(first, other), rel=1e-6)
    assert half_width(other, other) == 0


def test_the_noise_is_that_of_a_paired_bootstrap() -> None:
    """SciPy's interval for the mean of the differences is as wide."""
    rng = np.random.default_rng(3)
    first = rng.standard_t(8, N_ROWS)
    other = first + 0.3 * rng.normal(size=N_ROWS)
    found = stats.bootstrap((np.square(other) - np.square(first),), np.mean, rng=rng)
    low, high = found.confidence_interval
    width = half_width(first.astype(np.float32), other.astype(np.float32))
    assert width == pytest.approx((high - low) / 2, rel=0.05)
    alone = 1.96 * np.square(other).std() / np.sqrt(N_ROWS)
    assert width < alone / 2  # what pairing is for


def test_places_within_the_noise_are_counted(compose: Callable[..., Config]) -> None:
    """Three lie together, the fourth is off; among them the one that trains fastest is named."""
    rng = np.random.default_rng(0)
    common = rng.normal(0, 10, N_ROWS)
    kept = {i: (common + rng.normal(0, 1, N_ROWS)).astype(np.float32) for i in range(3)}
    kept[3] = (1.2 * common).astype(np.float32)
    errors = [float(np.square(kept[i].astype(float)).mean()) for i in range(4)]
    given = trials([*errors, *[500.0 + i for i in range(8)]])
    (line,) = advise(compose, given, residuals_of=lambda number, _: kept.get(number))
    first = int(np.argmin(errors))
    noise = max(half_width(kept[first], kept[i]) for i in range(3) if i != first)
    assert line == (
        f"the first 3 places differ by less than the noise of the 2,000 validation rows "
        f"({noise:.2g} MSE): prefer the simplest of them, or the fastest (trial 2)"
    )
    del kept[first]
    assert advise(compose, given, residuals_of=lambda number, _: kept.get(number)) == []


def test_equal_parameters_are_one_place(compose: Callable[..., Config]) -> None:
    """A copy of the best is passed over, and not told to be as good as the best."""
    rng = np.random.default_rng(0)
    best = rng.normal(0, 10, N_ROWS).astype(np.float32)
    error = float(np.square(best.astype(float)).mean())
    rates = [0.1, 0.1, 0.3, *[0.2] * 10]
    given = trials([error, error, error + 0.1, *[500.0] * 10], learning_rate=rates)
    kept = {0: best, 1: best}
    assert advise(compose, given, residuals_of=lambda number, _: kept.get(number)) == []
    kept[2] = best + rng.normal(0, 1, N_ROWS).astype(np.float32)
    (line,) = advise(compose, given, residuals_of=lambda number, _: kept.get(number))
    assert line.startswith("the first 2 places differ by less than the noise")


@pytest.mark.parametrize(
    ("resource", "curve", "told"),
    [
        (200, (9.0, 8.0, 7.0), True),
        (200, (), True),
        (190, (9.0, 8.0, 7.0), False),
        (200, (9.0, 7.001, 7.0), False),
    ],
)
def test_a_curve_that_falls_until_the_budget_ends(
    resource: int, curve: tuple[float, ...], told: bool, compose: Callable[..., Config]
) -> None:
    """The best step is the last there can be, and the fall is more than next to nothing."""
    found = advise(compose, trials([*np.arange(90.0, 102)], resource=resource), curve=curve)
    line = (
        "the best trial's curve was still falling at the last step (n_estimators=200): "
        "try model.steps.budget=400"
    )
    assert found == ([line] if told else [])


def test_a_schedule_that_ends_with_the_budget_is_no_fall(compose: Callable[..., Config]) -> None:
    """Its curve falls until the last epoch whatever the budget is; and rungs have no budget."""
    for schedule, n in (("constant", 1), ("cosine", 0)):
        given = trials([*np.arange(90.0, 102)], resource=30, schedule=[schedule] * 12)
        assert len(advise(compose, given, "model=mlp")) == n
    assert advise(compose, trials([*np.arange(90.0, 102)]), "model=ridge") == []


def test_what_showed_no_influence_can_be_fixed_as_told(compose: Callable[..., Config]) -> None:
    """What is typed takes it out of the space, at the best trial's value."""
    plan = prepare(compose("data.rows=200", "model=gbr"))
    space = advice.Space(SPACE, ())
    seen = 0
    for seed in range(10):
        params, errors = study(seed, 60, ["a", "c"])
        given = [
            Asked(
                i,
                i,
                p,
                "pruned" if np.isinf(e) else "complete",
                None,
                {"val_mse": e, "best_resource": 1},
            )
            for i, (p, e) in enumerate(zip(params, errors, strict=True))
        ]
        best = params[int(np.argmin(errors))]
        idle = advice.influence.without(space, params, errors)
        lines = advice.advise(plan.cfg.model, space, given, (), none_kept)
        told = [line for line in lines if "showed no influence" in line]
        assert len(told) == bool(idle)
        for line in told:
            seen += 1
            for name in idle:
                value = advice.edges.text(best[name])
                assert f"'~model.space.{name}' +model.fixed.{name}={value}" in line
    assert seen


def test_the_scaler_is_fixed_where_it_is_set(compose: Callable[..., Config]) -> None:
    """And what the family fixes already is only given another value."""
    plan = prepare(compose("data.rows=200", "model=mlp"))
    best: dict[str, Any] = {"scaler": "quantile", "precision": "float32", "dropout": 0.25}
    line = advice._idle(plan.cfg.model, [*best], best)
    assert line == (
        "scaler, precision and dropout showed no influence: try without "
        "('~model.space.scaler' model.scaler=quantile '~model.space.precision' "
        "model.fixed.precision=float32 '~model.space.dropout' +model.fixed.dropout=0.25)"
    )
    typed = ["'~model.space.scaler'", "model.scaler=quantile", "'~model.space.dropout'"]
    fixed = compose("model=mlp", *[t.strip("'") for t in typed], "+model.fixed.dropout=0.25")
    assert {"scaler", "dropout"}.isdisjoint(fixed.model.space)


def test_few_trials_get_no_advice(compose: Callable[..., Config]) -> None:
    """Nine that ended, whatever they show."""
    given = trials([*np.arange(90.0, 100)], resource=200)
    assert advise(compose, given)
    assert advise(compose, given[:9]) == []


def test_pruned_trials_count_as_trials(compose: Callable[..., Config]) -> None:
    """A search whose pruner lets only one trial in ten end is not without advice."""
    best, *others = trials([*np.arange(90.0, 100)], resource=200)
    pruned = [dataclasses.replace(trial, state="pruned") for trial in others]
    assert advise(compose, [best, *pruned])
    assert advise(compose, [dataclasses.replace(best, state="pruned"), *pruned]) == []
