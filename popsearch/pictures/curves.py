"""Learning curves: the best trial's in bold, all others' thin and grey."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from popsearch.pictures.paper import BEST, OTHERS, SECOND, figure, legend, plain, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Mapping[float, float]
"""A mean squared error by how much of the resource was used."""

MOST_CLEAR = 100  # curves that can be told from one another
FEW = 12  # points that are marked one by one
START = 0.1  # share of the steps in which errors fall so far that all else would look flat


@dataclass(frozen=True)
class Curves:
    """Learning curves of a study.

    Parameters
    ----------
    others
        The best validation MSE so far of each trial that is not the best, by its number.
    train, val
        Those of the best trial; the first may be unknown.
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

    @property
    def of_best(self) -> list[tuple[str, str, Curve]]:
        """Label, colour and points of the best trial's curves."""
        both = (("training", SECOND, self.train), ("validation", BEST, self.val))
        return [(f"best trial, {name}", colour, curve) for name, colour, curve in both if curve]

    @property
    def end(self) -> float:
        """How far the longest goes."""
        return max(max(curve) for curve in (self.val, *self.others.values()) if curve)

    def bounds(self) -> tuple[float, float]:
        """Give an axis of errors on which the ends of curves are seen apart."""
        own = [curve for _, _, curve in self.of_best]
        ends = [min(curve.values()) for curve in self.others.values() if curve]
        late = [v for curve in own for at, v in curve.items() if at >= START * self.end]
        top = max([*late, *([float(np.quantile(ends, 0.75))] if ends else [])])
        low = min([*ends, *(v for curve in own for v in curve.values())])
        pad = 0.08 * (top - low) or 0.05 * abs(top) or 1.0
        return low - pad, top + pad


def learning_curves(curves: Curves) -> "Figure":
    """Give training and validation MSE after each step."""
    from matplotlib.collections import LineCollection

    paper = figure()
    axes = paper.add_subplot()
    lines = [np.array(sorted(curve.items())) for curve in curves.others.values() if len(curve) > 1]
    if lines:
        width, alpha = (0.9, 0.6) if len(lines) <= MOST_CLEAR else (0.5, 0.3)
        axes.add_collection(LineCollection(lines, colors=OTHERS, linewidths=width, alpha=alpha))
        label = f"{len(lines)} other trials, validation (best so far)"
        axes.plot([], [], color=OTHERS, linewidth=1, label=label)
    for name, colour, curve in curves.of_best:
        at, errors = zip(*sorted(curve.items()), strict=True)
        marker = "o" if len(at) <= FEW else ""
        axes.plot(at, errors, color=colour, linewidth=2.5, marker=marker, markersize=4, label=name)
    best_at = curves.best_at
    if best_at is not None and best_at in curves.val:
        axes.plot(best_at, curves.val[best_at], "*", markersize=14, color=BEST, zorder=4,
                  markeredgecolor="white", label=f"its best step, {best_at:,.0f}")  # fmt: skip
    axes.set_xlim(0, 1.02 * curves.end)
    axes.set_ylim(*curves.bounds())
    axes.set(xlabel=plain(curves.resource), ylabel="MSE")
    legend(paper)
    tidy(axes)
    return paper


def interactive(curves: Curves) -> Any:
    """Give the same as plotly's figure; pointing at a curve tells its trial."""
    from plotly.graph_objects import Figure

    x: list[float | None] = []
    y: list[float | None] = []
    names: list[str] = []
    for number, curve in curves.others.items():  # one line with gaps: a thousand lines are slow
        points = sorted(curve.items())
        x += [*(at for at, _ in points), None]
        y += [*(error for _, error in points), None]
        names += [f"trial {number}"] * (len(points) + 1)
    figure = Figure(layout={"template": "plotly_white", "margin": {"t": 40}})
    if x:
        figure.add_scatter(x=x, y=y, text=names, mode="lines", name="other trials, best so far",
                           line={"color": OTHERS, "width": 0.8}, opacity=0.6)  # fmt: skip
    for name, colour, curve in curves.of_best:
        at, errors = zip(*sorted(curve.items()), strict=True)
        line = {"color": colour, "width": 3}
        figure.add_scatter(x=at, y=errors, mode="lines", name=name, line=line)
    return figure.update_layout(
        xaxis={"title": curves.resource}, yaxis={"title": "MSE", "range": curves.bounds()}
    )
