"""A search space, read from a model's configuration and checked before any study exists."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from popsearch.errors import did_you_mean
from popsearch.family import CategoricalParam, IntParam, Param
from popsearch.section import Scalar

Params = dict[str, Scalar]

SCALER = "scaler"
"""The one parameter that any family may search and that is not its estimator's: of the features."""


@dataclass(frozen=True)
class Space:
    """The parameters that are searched, and the sets that are tried first.

    Parameters
    ----------
    params
        By name, a parameter after the one its condition names.
    known_good
        Complete sets: every parameter that exists under its conditions, and no other.
    left_out
        A line for each set that lies outside, as one does in a narrowed space.
    n_earlier
        How many of the sets are from an earlier study: the first ones.
    """

    params: Mapping[str, Param]
    known_good: tuple[Params, ...]
    left_out: tuple[str, ...] = ()
    n_earlier: int = 0

    def active(self, params: Mapping[str, Scalar]) -> Iterator[str]:
        """Give the names of the parameters that exist, given the values so far.

        Values may be added to ``params`` between two names, as a search does.
        """
        for name, param in self.params.items():
            if holds(param, params):
                yield name

    def n_points(self) -> float:
        """Give how many different points the space has: infinite above some ten thousand."""
        return sum(1 for _ in self._points()) if self._is_finite() else math.inf

    def _is_finite(self) -> bool:
        sizes = [_size(param) for param in self.params.values()]
        return math.prod(sizes) <= 10_000

    def _points(self) -> Iterator[Params]:
        def extend(names: list[str], params: Params) -> Iterator[Params]:
            if not names:
                yield params
                return
            name, *rest = names
            if not holds(self.params[name], params):
                yield from extend(rest, params)
                return
            for value in _values(self.params[name]):
                yield from extend(rest, {**params, name: value})

        return extend(list(self.params), {})


def read(
    params: Mapping[str, Param],
    known_good: list[Params],
    defaults: Mapping[str, Scalar],
) -> tuple[Space, list[str]]:
    """Give the space and what is wrong with it.

    Parameters
    ----------
    defaults
        The estimator's own values, for what a known-good set leaves out.
    """
    ordered, faults = _order(params)
    sets: list[Params] = []
    left_out: list[str] = []
    for i, given in enumerate(known_good):
        where = f"model.known_good[{i}]"
        unknown = [name for name in given if name not in params and name not in defaults]
        faults += [
            f"{where}.{name} is not in model.space{did_you_mean(name, params)}" for name in unknown
        ]
        full, why_not = _complete(ordered, given, defaults)
        if why_not:
            left_out.append(f"{where} is left out: {why_not}")
        elif not unknown:
            sets.append(full)
    return Space(ordered, tuple(sets), tuple(left_out)), faults


def begin_with(
    space: Space, earlier: Mapping[int, Params], defaults: Mapping[str, Scalar]
) -> Space:
    """Give the space with the trials of an earlier study as the sets that are tried first.

    Parameters
    ----------
    earlier
        By number. What the space does not have is taken out of them, what they lack is the
        estimator's default; those that lie outside are left out.
    """
    sets: list[Params] = []
    left_out: list[str] = []
    unknown = dict.fromkeys(n for given in earlier.values() for n in given if n not in space.params)
    if unknown:
        left_out.append(f"warm_start: without {', '.join(unknown)}: not in model.space")
    for number, given in earlier.items():
        known = {name: value for name, value in given.items() if name in space.params}
        full, why_not = _complete(space.params, known, defaults)
        if why_not:
            left_out.append(f"warm_start: trial {number} is left out: {why_not}")
        elif full not in sets:
            sets.append(full)
    return Space(
        space.params, (*sets, *space.known_good), (*left_out, *space.left_out), n_earlier=len(sets)
    )


def _complete(
    params: Mapping[str, Param], given: Params, defaults: Mapping[str, Scalar]
) -> tuple[Params, str]:
    """Give a set with the defaults it leaves out, and why it is not in the space, if so."""
    full: Params = {}
    for name in given:
        if name not in params and name in defaults:
            return full, f"{name} is not in model.space"
    for name, param in params.items():
        if not holds(param, full):
            if name in given:
                return full, f"{name} exists only {_condition(param)}"
            continue
        if name not in given and name not in defaults:
            continue  # not a parameter of the estimator, which is told elsewhere
        value = given.get(name, defaults.get(name))
        if not contains(param, value):
            whose = "the family's own" if name == SCALER else "the estimator's default"
            came = f"{value!r}" if name in given else f"{whose}, {value!r}"
            return full, f"{name} must be {_range(param)}, but got {came}"
        full[name] = value
    return full, ""


def holds(param: Param, params: Mapping[str, Scalar]) -> bool:
    """Tell whether a parameter exists beside these values of the others."""
    when = param.when
    return when is None or (when.param in params and params[when.param] == when.equals)


def contains(param: Param, value: Scalar) -> bool:
    """Tell whether a value lies in the range of a parameter."""
    if isinstance(param, CategoricalParam):
        return any(value == c and type(value) is type(c) for c in param.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(param, IntParam) and not isinstance(value, int):
        return False
    steps = (value - param.low) / param.step if param.step else 0
    return param.low <= value <= param.high and abs(steps - round(steps)) < 1e-9


def _order(params: Mapping[str, Param]) -> tuple[dict[str, Param], list[str]]:
    """Put every parameter after the one that its condition names."""
    faults, ordered, left = [], dict[str, Param](), dict(params)
    for name, param in params.items():
        when = param.when
        if when is None:
            continue
        where = f"model.space.{name}.when"
        if when.param not in params:
            faults.append(
                f"{where}.param: {when.param} is not in model.space"
                f"{did_you_mean(when.param, params)}"
            )
        elif not contains(params[when.param], when.equals):
            faults.append(
                f"{where}.equals must be {_range(params[when.param])}, but got {when.equals!r}"
            )
    while left:
        # A condition that names nothing is a fault of its own, told above.
        ready = [n for n, p in left.items() if p.when is None or p.when.param not in left]
        if not ready:
            faults.append(
                f"model.space: the conditions of {', '.join(left)} go in a circle; "
                "one of them must be free of a condition"
            )
            break
        for name in ready:
            ordered[name] = left.pop(name)
    return ordered, faults


def _size(param: Param) -> float:
    """Give how many values a parameter has."""
    if isinstance(param, CategoricalParam):
        return len(param.choices)
    if isinstance(param, IntParam):
        return len(range(param.low, param.high + 1, param.step))
    if param.low == param.high:
        return 1
    return _n_steps(param.low, param.high, param.step) if param.step else math.inf


def _values(param: Param) -> list[Scalar]:
    if isinstance(param, CategoricalParam):
        return list(param.choices)
    if isinstance(param, IntParam):
        return list(range(param.low, param.high + 1, param.step))
    if param.step is None:
        return [param.low]
    n = _n_steps(param.low, param.high, param.step)
    return [param.low + i * param.step for i in range(n)]


def _n_steps(low: float, high: float, step: float) -> int:
    return int((high - low) / step + 1e-9) + 1


def _range(param: Param) -> str:
    if isinstance(param, CategoricalParam):
        return f"one of {param.choices}"
    kind = "a whole number" if isinstance(param, IntParam) else "a number"
    step = f" in steps of {param.step}" if param.step not in (None, 1) else ""
    return f"{kind} from {param.low:g} to {param.high:g}{step}"


def _condition(param: Param) -> str:
    assert param.when is not None
    return f"when {param.when.param} is {param.when.equals!r}"
