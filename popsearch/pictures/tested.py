"""Pictures of the refitted winner on the test rows: predictions, and where it errs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch.pictures.paper import BEST, SECOND, figure, legend, plain, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_DOTS = 3000
N_PARTS = 20
MIN_ROWS = 5
"""Rows of which a mean is drawn."""


@dataclass(frozen=True, eq=False)
class Tested:
    """What is known while the test rows are open.

    Parameters
    ----------
    winner
        Features and model, fitted on training and validation rows.
    X
        The columns that it sees of the test rows, (n_rows, n_columns).
    y, predicted
        Their targets and its predictions, (n_rows,).
    target
        The name of the target.
    seed
        Of the rows that are drawn where all are too many.
    """

    winner: Any
    X: "pd.DataFrame"
    y: NDArray[np.float64]
    predicted: NDArray[np.float64]
    target: str
    seed: int

    def rows(self, n: int) -> NDArray[np.intp]:
        """Give the numbers of n rows, or of all where they are fewer, drawn by the seed."""
        if n >= len(self.y):
            return np.arange(len(self.y))
        return np.sort(np.random.default_rng(self.seed).choice(len(self.y), n, replace=False))


def predicted_vs_true(tested: Tested) -> "Figure":
    """Give predictions over true values, with the line on which all would be right."""
    from matplotlib.ticker import AutoLocator, ScalarFormatter
    from sklearn.metrics import PredictionErrorDisplay

    paper = figure(6.4, 6.0)
    axes = paper.add_subplot()
    rows = tested.rows(N_DOTS)
    PredictionErrorDisplay.from_predictions(
        tested.y[rows],
        tested.predicted[rows],
        kind="actual_vs_predicted",
        subsample=None,
        ax=axes,
        scatter_kwargs={"s": 9, "alpha": _alpha(len(rows)), "color": BEST, "linewidths": 0},
        line_kwargs={"color": "black", "label": "prediction = true value"},
    )
    target = plain(tested.target)
    axes.set(xlabel=f"predicted {target}", ylabel=f"true {target}", aspect="auto")
    _means(axes, tested.predicted, tested.y, "mean of the true values")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(AutoLocator())
        axis.set_major_formatter(ScalarFormatter())
    legend(paper, _n_shown(len(rows), len(tested.y)))
    tidy(axes)
    return paper


def residuals(tested: Tested, by: NDArray[Any], name: str) -> "Figure":
    """Give true minus predicted values over the target or a column.

    Parameters
    ----------
    by
        Numbers or times, (n_rows,); rows without one are left out.
    name
        Of what they are.
    """
    paper = figure()
    axes = paper.add_subplot()
    errors = tested.y - tested.predicted
    rows = tested.rows(N_DOTS)
    axes.scatter(by[rows], errors[rows], s=9, alpha=_alpha(len(rows)), color=BEST, linewidths=0)
    axes.axhline(0, color="black", linewidth=1, linestyle="--")
    _means(axes, by, errors, "mean error, half of the rows between the thin lines")
    low, high = np.quantile(errors, [0.002, 0.998])
    pad = 0.12 * (high - low) or 1.0
    axes.set_ylim(low - pad, high + pad)
    axes.set(xlabel=plain(name), ylabel=f"true minus predicted {plain(tested.target)}")
    legend(paper, _n_shown(len(rows), len(errors)))
    tidy(axes)
    return paper


def _means(axes: "Axes", x: NDArray[Any], y: NDArray[np.float64], label: str) -> None:
    """Draw the mean of y, and its quartiles, in parts of x with about as many rows each."""
    known = ~np.isnat(x) if x.dtype.kind == "M" else np.isfinite(x)
    order = np.argsort(x[known], kind="stable")
    x, y = x[known][order], y[known][order]
    if len(x) < MIN_ROWS:
        return
    # A part ends where a value does: rows of one value are not split over two.
    ends = np.unique(
        np.searchsorted(x, x[np.linspace(0, len(x) - 1, N_PARTS + 1).astype(int)[1:]], "right")
    )
    parts = [(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if b - a >= MIN_ROWS]
    if not parts:
        return
    middles = [x[(a + b) // 2] for a, b in parts]
    quartiles = np.array([np.quantile(y[a:b], [0.25, 0.75]) for a, b in parts])
    axes.plot(middles, quartiles, color=SECOND, linewidth=0.9)
    axes.plot(middles, [y[a:b].mean() for a, b in parts], "o-", color=SECOND, ms=4, linewidth=2,
              label=label)  # fmt: skip


def _alpha(n: int) -> float:
    return float(np.clip(300 / n, 0.18, 0.8))


def _n_shown(n: int, n_all: int) -> str:
    return f"{n:,} of {n_all:,} test rows" if n < n_all else f"{n_all:,} test rows"
