"""Search spaces: their conditions, their size, and the sets that are tried first."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch.family import CategoricalParam, FloatParam, IntParam, Param, When
from popsearch.section import Scalar
from popsearch.space import Params, Space, contains, holds, read


@st.composite
def params(draw: st.DrawFn, finite: bool) -> Param:
    """One parameter without a condition; a finite one has at most four values."""
    kind = draw(st.sampled_from(["float", "int", "categorical"]))
    if kind == "categorical":
        values = st.sampled_from([1, 2, 0.5, "a", "b", None])
        choices: list[Scalar] = draw(st.lists(values, min_size=1, max_size=4, unique=True))
        return CategoricalParam(type="categorical", choices=choices)
    low, n = draw(st.integers(-5, 5)), draw(st.integers(1, 4))
    step = draw(st.integers(1, 3))
    if kind == "int":
        high = low + (n - 1) * step + draw(st.integers(0, step - 1))
        return IntParam(type="int", low=low, high=high, step=step)
    if finite:
        return FloatParam(type="float", low=low, high=low + (n - 1) * step / 4, step=step / 4)
    return FloatParam(type="float", low=low, high=low + n)


@st.composite
def spaces(draw: st.DrawFn, finite: bool = True) -> dict[str, Param]:
    """Up to five parameters, each perhaps on a condition on another one, in any order."""
    found: dict[str, Param] = {}
    for i in range(draw(st.integers(0, 5))):
        param = draw(params(finite))
        if found and draw(st.booleans()):
            other = draw(st.sampled_from(sorted(found)))
            when = When(param=other, equals=draw(st.sampled_from(values_of(found[other]))))
            param = param.model_copy(update={"when": when})
        found[f"p{i}"] = param
    order = draw(st.permutations(sorted(found)))
    return {name: found[name] for name in order}


def values_of(param: Param) -> list[Scalar]:
    """Give some values of a parameter: all of them where they are few."""
    if isinstance(param, CategoricalParam):
        return param.choices
    if param.step is None:
        return [param.low, param.high]
    quarters = range(int(param.low * 4), int(param.high * 4) + 1)
    values: list[Scalar] = [q / 4 for q in quarters if (q / 4 - param.low) % param.step == 0]
    return [int(v) for v in values] if isinstance(param, IntParam) else values  # type: ignore[arg-type]


def exists(name: str, point: Params, space: dict[str, Param]) -> bool:
    """Tell whether a parameter exists at a point that has a value for every name."""
    when = space[name].when
    return when is None or (exists(when.param, point, space) and point[when.param] == when.equals)


def walk(space: Space, choose: Any) -> Params:
    """Give one set of parameters as a search draws it."""
    drawn: Params = {}
    for name in space.active(drawn):
        drawn[name] = choose(values_of(space.params[name]))
    return drawn


@given(params=spaces())
@settings(deadline=None)
def test_number_of_points_is_what_counting_them_one_by_one_gives(params: dict[str, Param]) -> None:
    """A finite space has as many points as there are different sets of existing parameters."""
    space, faults = read(params, [], {})
    assert not faults
    whole = itertools.product(*(values_of(p) for p in params.values()))
    points = (dict(zip(params, values, strict=True)) for values in whole)
    different = {
        frozenset((n, v) for n, v in point.items() if exists(n, point, params)) for point in points
    }
    assert space.n_points() == len(different)


@given(params=spaces(finite=False), data=st.data())
@settings(deadline=None)
def test_active_parameters_are_those_whose_conditions_hold(
    params: dict[str, Param], data: st.DataObject
) -> None:
    """A drawn set has every parameter whose condition holds in it, and no other."""
    space, faults = read(params, [], {})
    assert not faults
    drawn = walk(space, lambda values: data.draw(st.sampled_from(values)))
    assert set(drawn) == {name for name, param in params.items() if holds(param, drawn)}
    assert all(contains(params[name], value) for name, value in drawn.items())


@given(params=spaces(finite=False), data=st.data())
@settings(deadline=None)
def test_known_good_sets_are_filled_up_with_the_defaults(
    params: dict[str, Param], data: st.DataObject
) -> None:
    """A set of part of the parameters becomes the walk that takes the defaults elsewhere."""
    defaults = {n: data.draw(st.sampled_from(values_of(p))) for n, p in params.items()}
    space, _ = read(params, [], {})
    drawn = walk(space, lambda values: data.draw(st.sampled_from(values)))
    given = {n: v for n, v in drawn.items() if data.draw(st.booleans())}
    space, faults = read(params, [given], defaults)
    assert faults == []
    if space.left_out:  # a default made the condition of a given value fail
        assert space.known_good == ()
        assert "exists only when" in space.left_out[0]
        return
    (full,) = space.known_good
    assert set(full) == {name for name, param in params.items() if holds(param, full)}
    assert all(value == given.get(name, defaults[name]) for name, value in full.items())


@given(params=spaces(finite=False))
@settings(deadline=None)
def test_a_real_parameter_makes_a_space_infinite(params: dict[str, Param]) -> None:
    """A space with a range of real numbers that always exists has infinitely many points."""
    always = FloatParam(type="float", low=0, high=1)
    space, _ = read({**params, "x": always}, [], {})
    assert space.n_points() == math.inf


def test_a_very_fine_step_is_not_counted_value_by_value() -> None:
    """A range of a billion steps is told to be infinite, at once."""
    fine = FloatParam(type="float", low=0, high=1, step=1e-9)
    assert Space({"x": fine}, ()).n_points() == math.inf


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        (IntParam(type="int", low=1, high=9, step=2), 5, True),
        (IntParam(type="int", low=1, high=9, step=2), 4, False),
        (IntParam(type="int", low=1, high=9), 2.0, False),
        (IntParam(type="int", low=0, high=9), True, False),
        (FloatParam(type="float", low=0, high=1), 1, True),
        (FloatParam(type="float", low=0, high=1), 1.0000001, False),
        (FloatParam(type="float", low=0, high=1, step=0.1), 0.3, True),
        (FloatParam(type="float", low=0, high=1), None, False),
        (CategoricalParam(type="categorical", choices=[1, "a"]), "a", True),
        (CategoricalParam(type="categorical", choices=[1, "a"]), True, False),
        (CategoricalParam(type="categorical", choices=[None]), None, True),
    ],
)
def test_a_range_holds_its_own_values_only(param: Param, value: Scalar, expected: bool) -> None:
    """Bounds belong to a range, steps are kept, and a truth value is not a number."""
    assert contains(param, value) is expected


def when(param: str, equals: Scalar) -> Param:
    """Give a whole number from 1 to 3 on a condition."""
    return IntParam(type="int", low=1, high=3, when=When(param=param, equals=equals))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"a": when("bb", 1), "b": when("a", 2)}, ["a.when.param: bb is not in model.space"]),
        ({"a": when("b", 1), "b": when("a", 1)}, ["conditions of a, b go in a circle"]),
        ({"a": when("a", 1)}, ["conditions of a go in a circle"]),
        (
            {"a": IntParam(type="int", low=1, high=3), "b": when("a", 4)},
            ["b.when.equals must be a whole number from 1 to 3, but got 4"],
        ),
        ({"a": when("x", 1), "b": when("y", 1)}, ["x is not in", "y is not in"]),
    ],
)
def test_a_condition_that_cannot_be_is_told_once(
    params: dict[str, Param], expected: list[str]
) -> None:
    """Every bad condition is one line, and causes no other."""
    _, faults = read(params, [], {})
    assert len(faults) == len(expected)
    for fault, fragment in zip(faults, expected, strict=True):
        assert fragment in fault


def test_an_unknown_name_in_a_known_good_set_is_a_fault() -> None:
    """A name that neither the space nor the estimator has is a mistake, told with a near one."""
    params: dict[str, Param] = {"depth": IntParam(type="int", low=1, high=3)}
    _, faults = read(params, [{"depht": 2}], {"depth": 1})
    assert faults == ["model.known_good[0].depht is not in model.space; did you mean depth?"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"depth": 9}, "depth must be a whole number from 1 to 3, but got 9"),
        ({"seed": 1}, "seed is not in model.space"),
        ({"loss": "l1", "delta": 0.5}, "delta exists only when loss is 'l2'"),
        (
            {"loss": "l2"},
            "delta must be a number from 0 to 1, but got the estimator's default, 7.0",
        ),
    ],
)
def test_a_set_outside_a_narrowed_space_is_left_out_with_the_reason(
    given: Params, why: str
) -> None:
    """What does not fit is not tried and told; the other sets are tried all the same."""
    params: dict[str, Param] = {
        "depth": IntParam(type="int", low=1, high=3),
        "loss": CategoricalParam(type="categorical", choices=["l1", "l2"]),
        "delta": FloatParam(type="float", low=0, high=1, when=When(param="loss", equals="l2")),
    }
    defaults: Params = {"depth": 2, "loss": "l1", "delta": 7.0, "seed": None}
    space, faults = read(params, [given, {}], defaults)
    assert faults == []
    assert space.left_out == (f"model.known_good[0] is left out: {why}",)
    assert space.known_good == ({"depth": 2, "loss": "l1"},)
