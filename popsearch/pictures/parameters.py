"""Pictures of what parameters do: importances, slices, and all of them side by side."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch.family import CategoricalParam, Param
from popsearch.pictures.paper import (
    BEST,
    SECOND,
    dots,
    figure,
    log_ticks,
    plain,
    reach,
    tidy,
)
from popsearch.section import Scalar
from popsearch.study import Asked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_COLUMNS = 3
MANY = 200  # trials above which dots are small
N_LINES = 100  # trials that can be followed side by side: the best ones
ABSENT = -0.12
"""Where a line crosses the axis of a parameter that the trial does not have."""


def importances(shares: Mapping[str, float]) -> "Figure":
    """Give a bar for each parameter, the most important on top."""
    paper = figure(8, 1.2 + 0.36 * len(shares))
    axes = paper.add_subplot()
    names, values = [*shares], [*shares.values()]
    bars = axes.barh(range(len(names)), values, color=BEST, height=0.65)
    axes.bar_label(bars, [f"{value:.0%}" for value in values], padding=4, fontsize=9)
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(values))
    axes.set_xlabel("share of the importance")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    tidy(axes)
    axes.grid(axis="y", visible=False)
    return paper


def slices(trials: Sequence[Asked], space: Mapping[str, Param]) -> "Figure":
    """Give the validation MSE over each parameter, one small picture for each."""
    shown = [name for name in space if any(name in trial.params for trial in trials)]
    n_rows = math.ceil(len(shown) / N_COLUMNS)
    paper = figure(9.5, 0.4 + 2.5 * n_rows)
    grid = paper.subplots(n_rows, min(N_COLUMNS, len(shown)), squeeze=False, sharey=True)
    bounds = reach([trial.scores["val_mse"] for trial in trials])
    best = min((t for t in trials if t.state == "complete"), key=_rank)
    for axes, name in zip(grid.flat, shown, strict=False):
        for state in ("pruned", "complete"):
            part = [trial for trial in trials if trial.state == state and name in trial.params]
            x = [_place(space[name], t.params[name]) + _aside(space[name], t) for t in part]
            y = [trial.scores["val_mse"] for trial in part]
            dots(axes, x, y, bounds[1], state == "pruned", 4.5 if len(trials) <= MANY else 3.0)
        axes.plot(_place(space[name], best.params.get(name, math.nan)), best.scores["val_mse"], "*",
                  color=SECOND, mec="white", ms=13, zorder=4)  # fmt: skip
        _scale(axes, space[name])
        axes.set_xlabel(plain(name))
        axes.tick_params(labelsize=8.5)
        axes.set_ylim(*bounds)
        tidy(axes)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel("validation MSE")
    return paper


def parallel(trials: Sequence[Asked], space: Mapping[str, Param]) -> "Figure":
    """Give each trial as a line over parameters and error; good ones dark, the best bold."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    n_all, trials = len(trials), sorted(trials, key=_rank)[:N_LINES]
    shown = [name for name in space if any(name in trial.params for trial in trials)]
    paper = figure(max(6.0, 1.6 + 1.25 * len(shown)), 4.8)
    axes = paper.add_subplot()
    errors = np.array([trial.scores["val_mse"] for trial in trials])
    low, high = reach(errors.tolist())
    heights = [
        _height(space[name], [t.params.get(name, math.nan) for t in trials]) for name in shown
    ]
    heights.append((errors.clip(max=high) - low) / (high - low))
    lines = np.nan_to_num(np.column_stack(heights), nan=ABSENT)
    ranks = errors.argsort().argsort() / max(1, len(errors) - 1)
    order = ranks.argsort()[::-1]  # the good ones on top
    drawn = [np.column_stack([range(len(heights)), lines[i]]) for i in order]
    colours = colormaps["Blues_r"](0.1 + 0.75 * ranks[order])
    axes.add_collection(LineCollection(drawn, colors=colours, linewidths=1.2, alpha=0.7))
    best = min(range(len(trials)), key=lambda i: (trials[i].state != "complete", *_rank(trials[i])))
    axes.plot(lines[best], color=SECOND, linewidth=3, marker="o", ms=5)
    for place, name in enumerate(shown):
        _rail(axes, place, space[name])
        if np.isnan(heights[place]).any():
            axes.annotate("none", (place, ABSENT), xytext=(4, 0), textcoords="offset points",
                          va="center", fontsize=7.5, bbox=_PAPER)  # fmt: skip
    axes.axvline(len(shown), color="black", linewidth=1)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        axes.annotate(f"{low + share * (high - low):.4g}", (len(shown), share), xytext=(6, 0),
                      textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    names = [*(plain(name, 18) for name in shown), "validation MSE"]
    axes.set_xticks(range(len(names)), names, rotation=18, ha="right", rotation_mode="anchor")
    if len(trials) < n_all:
        axes.set_title(f"the best {len(trials)} of {n_all:,} trials", fontsize=9, loc="left")
    axes.set(xlim=(-0.35, len(shown) + 0.35), ylim=(-0.06 + min(0.0, lines.min()), 1.06), yticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return paper


def _rail(axes: "Axes", place: int, param: Param) -> None:
    """Draw the axis of a parameter, with its values."""
    axes.axvline(place, color="black", linewidth=0.8, alpha=0.5)
    if isinstance(param, CategoricalParam):
        ticks = [(_share(i, 0, len(param.choices) - 1), c) for i, c in enumerate(param.choices)]
    else:
        middle: float = (param.low + param.high) / 2
        if param.log:
            middle = math.sqrt(param.low * param.high)
        if not isinstance(param.low, float):
            middle = round(middle)
        ticks = [(0.0, param.low), (_shares(param, middle), middle), (1.0, param.high)]
    for height, value in dict(ticks).items():
        text = plain(value, 14)
        axes.annotate(text, (place, height), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=7.5, bbox=_PAPER)  # fmt: skip


_PAPER = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}


def _height(param: Param, values: Sequence[Scalar]) -> NDArray[np.float64]:
    """Give where values stand in the range of a parameter, 0 to 1; NaN where there is none."""
    if isinstance(param, CategoricalParam):
        last = len(param.choices) - 1
        return np.array([_share(_place(param, value), 0, last) for value in values])
    return np.array([_shares(param, _place(param, value)) for value in values])


def _shares(param: Any, value: float) -> float:
    if param.log:
        return _share(math.log(value), math.log(param.low), math.log(param.high))
    return _share(value, param.low, param.high)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5 + 0 * value


def _place(param: Param, value: Scalar) -> float:
    """Give where a value stands on the axis of its parameter; NaN where the trial has none."""
    if isinstance(param, CategoricalParam):
        return param.choices.index(value) if value in param.choices else math.nan
    return math.nan if value is None else float(value)


def _aside(param: Param, trial: Asked) -> float:
    """Give how far a dot is moved, so that those of one category do not hide one another."""
    golden = trial.number * 0.618034 % 1 - 0.5
    return 0.4 * golden if isinstance(param, CategoricalParam) else 0.0


def _scale(axes: "Axes", param: Param) -> None:
    if isinstance(param, CategoricalParam):
        places = range(len(param.choices))
        names = [plain(choice, 14) for choice in param.choices]
        turned: Any = {"rotation": 30, "ha": "right"} if sum(map(len, names)) > 20 else {}
        axes.set_xticks(places, names, **turned)
        axes.set_xlim(-0.5, len(param.choices) - 0.5)
        return
    if param.log:
        log_ticks(axes, param.low, param.high)
    else:
        pad = 0.05 * (param.high - param.low) or 0.5
        axes.set_xlim(param.low - pad, param.high + pad)


def _rank(trial: Asked) -> tuple[float, int]:
    return trial.scores["val_mse"], trial.number
