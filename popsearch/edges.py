"""Where the best trials of a search lie on the edge of its space, and which way to widen it."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from popsearch.family import CategoricalParam, FloatParam, IntParam, ModelConfig
from popsearch.models import estimator
from popsearch.space import Params, Space

EDGE, NEAR = 0.02, 0.1  # shares of a range: for the best trial, and for the two behind it
N_TRIALS = 3
SMALL = 1e-3  # a penalty below is as good as none


def advise(
    model: ModelConfig, space: Space, best: Sequence[Params], idle: Sequence[str] = ()
) -> str:
    """Give what to widen, and the settings to type; nothing where the best lie inside.

    Parameters
    ----------
    best
        Trials of different parameters, the best first.
    idle
        Parameters that make no difference, so that it does not matter where they lie.
    """
    told, typed = [], []
    for name, param in space.params.items():
        values = [params[name] for params in best if name in params][:N_TRIALS]
        if isinstance(param, CategoricalParam) or name in idle or name not in best[0]:
            continue
        for end in ("low", "high"):
            wider = _wider(model, name, param, end) if _at(end, param, values) else None
            if wider is not None:
                side = "lower" if end == "low" else "upper"
                told.append(f"{name} is at its {side} bound ({text(getattr(param, end))})")
                typed.append(f"model.space.{name}.{end}={text(wider)}")
    return f"{', '.join(told)}: try {' '.join(typed)}" if told else ""


def text(value: object) -> str:
    """Give a value as it is typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.4g}"
    return short if set(short) & set(".en") else f"{short}.0"  # 1 and 1.0 may not mean the same


def _at(end: str, param: FloatParam | IntParam, values: Sequence[object]) -> bool:
    """Tell whether the best value lies on an end of the range, and those behind it near to it."""
    high = param.high
    if param.step:
        high = param.low + math.floor((high - param.low) / param.step + 1e-9) * param.step
    if len(values) < N_TRIALS or param.low == high:
        return False
    ends = np.array([param.low, high])
    numbers = np.array(values, dtype=np.float64)
    if param.log:
        ends, numbers = np.log(ends), np.log(numbers)
    away = np.abs(numbers - ends[int(end == "high")]) / (ends[1] - ends[0])
    return bool(away[0] <= EDGE and away.max() <= NEAR)


def _wider(
    model: ModelConfig, name: str, param: FloatParam | IntParam, end: str
) -> float | int | None:
    """Give a bound that is worth a try; none where what there is ends, or as good as ends."""
    bound = param.low if end == "low" else param.high
    can_tell = estimator.takes(model, name, bound) is not None
    if not can_tell and bound in (0, 1):
        return None
    if end == "low" and param.log and bound <= SMALL and estimator.takes(model, name, 0.0):
        return None
    # Of depths and numbers of leaves: a limit that the best trials come near to is hardly one.
    if end == "high" and estimator.defaults(model).get(name, bound) is None:
        return None
    for wider in _candidates(param, end):
        crosses_1 = bound < 1 < wider
        if wider != bound and (estimator.takes(model, name, wider) if can_tell else not crosses_1):
            return wider
    return None


def _candidates(param: FloatParam | IntParam, end: str) -> Iterator[float | int]:
    """Give bounds farther out, the first to be tried first."""
    low, high = param.low, param.high
    if param.log:
        factor = 10 if high >= 1000 * low else 3
        wider = low / factor if end == "low" else high * factor
        yield max(1, int(wider)) if isinstance(param, IntParam) else _round(wider)
    elif isinstance(param, IntParam):
        steps = math.ceil(abs(low if end == "low" else high) / 2 / param.step)
        yield low - steps * param.step if end == "low" else high + steps * param.step
    elif param.step:
        steps = math.ceil((high - low) / 2 / param.step)
        yield low - steps * param.step if end == "low" else high + steps * param.step
    elif end == "high":
        yield _round(high + (high - low) / 2)
        yield 1.0 if high < 1 else high
    else:
        yield _round(low / 2 if low > 0 else low - (high - low) / 2)


def _round(value: float) -> float:
    return float(f"{value:.2g}")
