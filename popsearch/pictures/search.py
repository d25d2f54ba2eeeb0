"""Pictures of how a search went: errors of trials, their curves, and the front of two objectives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from popsearch.pictures.paper import (
    BEST,
    OTHERS,
    SECOND,
    figure,
    legend,
    log_ticks,
    plain,
    reach,
    tidy,
)
from popsearch.study import Asked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Mapping[float, float]
"""A mean squared error by how much of the resource was used."""


@dataclass(frozen=True)
class Curves:
    """Learning curves of a study.

    Parameters
    ----------
    others
        The best validation MSE so far of each trial that is not the best, by its number.
    train, val
        Those of the best trial.
    best_at
        Where on its curve the best trial's model is from.
    resource
        What the curves go along.
    """

    others: Mapping[int, Curve]
    train: Curve
    val: Curve
    best_at: float | None
    resource: str


def history(trials: Sequence[Asked], n_failed: int = 0) -> "Figure":
    """Give the validation MSE of complete and pruned trials in their order, and the best so far."""
    paper = figure()
    axes = paper.add_subplot()
    bounds = reach([trial.scores["val_mse"] for trial in trials])
    complete = [trial for trial in trials if trial.state == "complete"]
    pruned = [trial for trial in trials if trial.state == "pruned"]
    for part, label, marker in (
        (pruned, "pruned, when it was stopped", {"mfc": "none", "mec": OTHERS}),
        (complete, "complete", {"mfc": BEST, "mec": "white", "mew": 0.5}),
    ):
        if part:
            x = [trial.number for trial in part]
            y = [trial.scores["val_mse"] for trial in part]
            size = 6 if len(trials) <= 200 else 4
            _marked(axes, x, y, bounds, "o", ms=size, label=f"{label} ({len(part)})", **marker)
    if complete:
        x, y = [t.number for t in complete], [t.scores["val_mse"] for t in complete]
        lowest = np.minimum.accumulate(y)
        axes.step([*x, trials[-1].number], [*lowest, lowest[-1]], where="post", color=SECOND,
                  linewidth=2, label="best so far", zorder=3)  # fmt: skip
        best = min(complete, key=lambda t: (t.scores["val_mse"], t.number))
        axes.plot(best.number, best.scores["val_mse"], "*", ms=15, color=SECOND, mec="white",
                  label=f"best: trial {best.number}", zorder=4)  # fmt: skip
    axes.set_ylim(*bounds)
    axes.set(xlabel="trial", ylabel="validation MSE")
    axes.xaxis.get_major_locator().set_params(integer=True)
    legend(paper, f"{n_failed} trials failed" if n_failed else "")
    tidy(axes)
    return paper


def learning_curves(curves: Curves) -> "Figure":
    """Give training and validation MSE of the best trial, and the others' thin and grey."""
    from matplotlib.collections import LineCollection

    paper = figure()
    axes = paper.add_subplot()
    lines = [np.array(sorted(curve.items())) for curve in curves.others.values() if len(curve) > 1]
    if lines:
        width, alpha = (0.9, 0.6) if len(lines) <= 100 else (0.5, 0.25)
        axes.add_collection(LineCollection(lines, colors=OTHERS, linewidths=width, alpha=alpha))
        label = f"{len(lines)} other trials (validation, best so far)"
        axes.plot([], [], color=OTHERS, linewidth=1, label=label)
    for curve, name, colour in (
        (curves.train, "training", SECOND),
        (curves.val, "validation", BEST),
    ):
        if curve:
            points = sorted(curve.items())
            style = {"marker": "o", "ms": 4} if len(points) <= 12 else {}
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=2.5,
                      label=f"best trial, {name}", **style)  # fmt: skip
    at = curves.best_at
    if at in curves.val:
        axes.plot(at, curves.val[at], "*", ms=14, color=BEST, mec="white", zorder=4,
                  label=f"its best step: {plain(curves.resource)} = {at:g}")  # fmt: skip
    axes.set_xlim(
        0, 1.02 * max(max(curve) for curve in (curves.val, *curves.others.values()) if curve)
    )
    axes.set_ylim(*reach_of(curves))
    axes.set(xlabel=plain(curves.resource), ylabel="MSE")
    legend(paper)
    tidy(axes)
    return paper


def interactive_curves(curves: Curves) -> Any:
    """Give the learning curves as plotly's figure; pointing at a curve tells its trial."""
    from plotly.graph_objects import Figure, Scatter

    x: list[float | None] = []
    y: list[float | None] = []
    names: list[str] = []
    for number, curve in curves.others.items():  # in one piece, with gaps: a thousand are slow
        for at, error in [*sorted(curve.items()), (None, None)]:
            x.append(at)
            y.append(error)
            names.append(f"trial {number}")
    figure = Figure(layout={"template": "plotly_white", "margin": {"t": 40}})
    if x:
        figure.add_scatter(x=x, y=y, text=names, mode="lines", name="other trials, best so far",
                           line={"color": OTHERS, "width": 0.8}, opacity=0.6)  # fmt: skip
    for curve, name, colour in (
        (curves.train, "training", SECOND),
        (curves.val, "validation", BEST),
    ):
        if curve:
            at, error = zip(*sorted(curve.items()), strict=True)
            line = {"color": colour, "width": 3}
            figure.add_trace(Scatter(x=at, y=error, name=f"best trial, {name}", line=line))
    bounds = reach_of(curves)
    return figure.update_layout(
        xaxis={"title": curves.resource}, yaxis={"title": "MSE", "range": bounds}
    )


def pareto_front(trials: Sequence[Asked], front: Sequence[Asked]) -> "Figure":
    """Give the two errors of complete trials, those that no other beats joined by a line."""
    paper = figure()
    axes = paper.add_subplot()
    rest = [t for t in trials if t.state == "complete" and t not in front]
    for part, colour, label in (
        (rest, OTHERS, "other trials"),
        (front, BEST, "no other is better in both"),
    ):
        x = [trial.scores["predict_s"] for trial in part]
        y = [trial.scores["val_mse"] for trial in part]
        axes.plot(x, y, "o", color=colour, mec="white", ms=8, label=f"{label} ({len(part)})")
    axes.step([t.scores["predict_s"] for t in front], [t.scores["val_mse"] for t in front],
              where="pre", color=BEST, linewidth=1, alpha=0.6)  # fmt: skip
    for trial in list(front)[:12]:
        axes.annotate(f" {trial.number}", (trial.scores["predict_s"], trial.scores["val_mse"]),
                      xytext=(4, 5), textcoords="offset points", fontsize=8)  # fmt: skip
    times = [trial.scores["predict_s"] for trial in [*rest, *front]]
    log_ticks(axes, min(times), max(times))
    axes.set_ylim(*reach([trial.scores["val_mse"] for trial in [*rest, *front]]))
    axes.set(xlabel="seconds to predict the validation rows", ylabel="validation MSE")
    legend(paper)
    tidy(axes)
    return paper


def _marked(axes: "Axes", x: Sequence[float], y: Sequence[float], bounds: tuple[float, float],
            marker: str, label: str, **style: object) -> None:  # fmt: skip
    """Draw points; those above the axis as triangles at its edge."""
    inside = [value <= bounds[1] for value in y]
    put = dict(linestyle="none", **style)
    axes.plot([v for v, i in zip(x, inside, strict=True) if i],
              [v for v, i in zip(y, inside, strict=True) if i], marker, label=label, **put)  # fmt: skip
    above = [v for v, i in zip(x, inside, strict=True) if not i]
    axes.plot(above, [bounds[1]] * len(above), "^", clip_on=False, **put)


def reach_of(curves: Curves) -> tuple[float, float]:
    """Give bounds in which the best trial's curves end well apart, and the others are seen."""
    end = max(max(curve) for curve in (curves.val, *curves.others.values()) if curve)
    own = [v for curve in (curves.train, curves.val) for v in curve.values()]
    ends = [min(curve.values()) for curve in curves.others.values() if curve]
    late = [v for at, v in curves.val.items() if at >= 0.1 * end]
    tops = [np.quantile(ends, 0.75)] if ends else []
    low = min([*own, *ends])
    top = max([*late, *tops, *(v for at, v in curves.train.items() if at >= 0.1 * end)])
    pad = 0.08 * (top - low) or 0.05 * abs(top) or 1.0
    return low - pad, top + 2 * pad
