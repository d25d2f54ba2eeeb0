"""Which bounds are worth widening: those that the best trials lie on, and that are no end."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch import command, edges
from popsearch.config import Config
from popsearch.models import estimator
from popsearch.plan import prepare


def said(
    compose: Callable[..., Config], *typed: str, idle: list[str] | None = None, **at: Any
) -> str:
    """What is said where the three best trials of a family have these values."""
    plan = prepare(compose("data.rows=200", *typed))
    n = max(len(values) for values in at.values())
    best = [{name: values[i] for name, values in at.items()} for i in range(n)]
    return edges.advise(plan.cfg.model, plan.space, best, idle or [])


@pytest.mark.parametrize(
    ("family", "name", "values", "wider"),
    [
        (
            "gbr",
            "max_depth",
            [8, 8, 8],
            "is at its upper bound (8): try model.space.max_depth.high=12",
        ),
        (
            "gbr",
            "max_depth",
            [2, 2, 2],
            "is at its lower bound (2): try model.space.max_depth.low=1",
        ),
        (
            "gbr",
            "learning_rate",
            [0.5, 0.49, 0.45],
            "upper bound (0.5): try model.space.learning_rate.high=1.5",
        ),
        (
            "gbr",
            "learning_rate",
            [0.02, 0.02, 0.021],
            "lower bound (0.02): try model.space.learning_rate.low=0.0067",
        ),
        (
            "gbr",
            "subsample",
            [0.3, 0.31, 0.36],
            "lower bound (0.3): try model.space.subsample.low=0.15",
        ),
        ("hist_gbr", "max_leaf_nodes", [255, 250, 255], "high=765"),
        ("hist_gbr", "l2_regularization", [100.0, 99.0, 90.0], "high=1000.0"),
        ("ridge", "alpha", [10000.0, 9900.0, 9000.0], "high=1e+05"),
        ("mlp", "depth", [6, 6, 6], "high=9"),
        ("mlp", "dropout", [0.5, 0.49, 0.48], "high=0.75"),
    ],
)
def test_a_bound_that_the_best_lie_on_is_widened(
    family: str, name: str, values: list[Any], wider: str, compose: Callable[..., Config]
) -> None:
    """The line ends with what to type, which is a configuration that holds."""
    line = said(compose, f"model={family}", **{name: values})
    assert line.startswith(f"{name} is at its ")
    assert line.endswith(wider)
    (job,) = command.jobs([f"model={family}", *line.partition(": try ")[2].split()])
    assert not job.faults
    assert not estimator.faults(job.sections["model"])


@pytest.mark.parametrize(
    ("family", "name", "value"),
    [
        ("gbr", "subsample", 1.0),
        ("gbr", "max_features", 1.0),
        ("gbr", "alpha", 0.99),
        ("gbr", "min_samples_leaf", 1),
        ("hist_gbr", "l2_regularization", 1e-6),  # as good as no penalty
        ("lasso", "alpha", 1e-5),
        ("decision_tree", "max_depth", 40),  # as good as no limit
        ("random_forest", "max_samples", 1.0),
        ("mlp", "dropout", 0.0),
        ("mlp", "depth", 1),
        ("mlp", "activation", "relu"),
    ],
)
def test_what_ends_there_is_left(
    family: str, name: str, value: Any, compose: Callable[..., Config]
) -> None:
    """Where the estimator refuses what lies beyond, or the bound is as good as none."""
    assert said(compose, f"model={family}", **{name: [value] * 3}) == ""


def test_a_bound_below_a_natural_end_is_widened_to_it(compose: Callable[..., Config]) -> None:
    """Half of the range more would be refused."""
    narrow = ("model=gbr", "model.space.subsample.high=0.8")
    assert said(compose, *narrow, subsample=[0.8, 0.8, 0.8]).endswith("high=1.0")


@pytest.mark.parametrize("values", [[8, 8, 5], [7, 8, 8], [8, 8]])
def test_one_trial_on_the_edge_is_not_enough(
    values: list[int], compose: Callable[..., Config]
) -> None:
    """The two behind the best agree, or nothing is said."""
    assert said(compose, "model=gbr", max_depth=values) == ""


def test_what_has_no_influence_or_one_value_is_left(compose: Callable[..., Config]) -> None:
    """A parameter that does not matter may lie anywhere."""
    assert said(compose, "model=gbr", idle=["max_depth"], max_depth=[8, 8, 8]) == ""
    single = ("model=gbr", "model.space.max_depth.low=8", "model.space.max_depth.high=8")
    assert said(compose, *single, max_depth=[8, 8, 8]) == ""


def test_several_bounds_are_one_line(compose: Callable[..., Config]) -> None:
    """All that is to be typed stands together."""
    line = said(compose, "model=gbr", max_depth=[8, 8, 8], learning_rate=[0.02, 0.02, 0.02])
    assert line == (
        "learning_rate is at its lower bound (0.02), max_depth is at its upper bound (8): "
        "try model.space.learning_rate.low=0.0067 model.space.max_depth.high=12"
    )


def test_nothing_tells_what_another_library_refuses(compose: Callable[..., Config]) -> None:
    """So bounds of 0 and 1 are taken for ends, and none is moved across them."""
    pytest.importorskip("lightgbm")
    own = ("model=lightgbm", "+model.space.subsample={type: float, low: 0.2, high: 0.9}")
    assert said(compose, *own, subsample=[0.9, 0.9, 0.9]).endswith("high=1.0")
    whole = ("model=lightgbm", "+model.space.subsample={type: float, low: 0.2, high: 1.0}")
    assert said(compose, *whole, subsample=[1.0, 1.0, 1.0]) == ""


@settings(max_examples=25)
@given(st.floats(-1e300, 1e300))
def test_a_number_is_typed_as_it_is(value: float) -> None:
    """To four digits, and still as a number that need not be whole."""
    (job,) = command.jobs(["model=gbr", f"+model.fixed.alpha={edges.text(value)}"])
    read = job.sections["model"].fixed["alpha"]
    assert isinstance(read, float)
    assert read == pytest.approx(value, rel=1e-3)
