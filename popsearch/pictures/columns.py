"""Pictures of what the winner makes of each column: permutation importance, partial dependence."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch.data.table import Column
from popsearch.pictures.paper import BEST, SECOND, figure, plain, tidy
from popsearch.pictures.tested import Tested

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

N_ROWS, N_REPEATS = 2000, 3
LEAST_ROWS, LEAST_REPEATS = 300, 2
BUDGET_S, MOST_S = 8.0, 30.0
"""Seconds of predictions that are meant to be enough, and that are too many."""
N_BARS = 15
N_TOP = 4
N_LINES_OF = 300  # rows whose mean is the partial dependence
N_SINGLE = 40  # of which lines of their own are drawn
N_GRID = 25
MOST_CATEGORIES = 12


@dataclass(frozen=True)
class Importance:
    """How much the mean squared error rises when a column is shuffled.

    Parameters
    ----------
    names
        The columns, the most important first.
    rises
        Of each, one for every time that it was shuffled: (n_columns, n_repeats).
    n_rows
        On how many of the test rows.
    """

    names: list[str]
    rises: NDArray[np.float64]
    n_rows: int


def importance(tested: Tested) -> Importance | None:
    """Shuffle each column of the test rows; none where the model is too slow for that.

    These are the test rows, not the validation rows, because the refitted winner was fitted on the
    latter: there a column also counts for what was learned by heart.
    """
    from sklearn.inspection import permutation_importance

    rows = tested.rows(N_ROWS)
    began = time.perf_counter()
    tested.winner.predict(tested.X.iloc[rows])
    once_s = (time.perf_counter() - began) * tested.X.shape[1]
    n_repeats = int(np.clip(BUDGET_S / once_s, LEAST_REPEATS, N_REPEATS))
    if n_repeats * once_s > BUDGET_S:
        rows = tested.rows(max(LEAST_ROWS, int(len(rows) * BUDGET_S / (n_repeats * once_s))))
    began = time.perf_counter()
    tested.winner.predict(tested.X.iloc[rows])
    if (time.perf_counter() - began) * tested.X.shape[1] * n_repeats > MOST_S:
        return None
    found = permutation_importance(
        tested.winner,
        tested.X.iloc[rows],
        tested.y[rows],
        scoring="neg_mean_squared_error",
        n_repeats=n_repeats,
        random_state=tested.seed,
    )
    order = np.argsort(-found.importances_mean, kind="stable")
    names = [str(tested.X.columns[i]) for i in order]
    return Importance(names, found.importances[order], len(rows))


def permutation(found: Importance, n_all: int) -> "Figure":
    """Give a bar for each of the first columns, and what each shuffle gave."""
    rises = found.rises[:N_BARS]
    paper = figure(8, 1.4 + 0.34 * len(rises))
    axes = paper.add_subplot()
    places = range(len(rises))
    axes.barh(places, rises.mean(axis=1), color=BEST, height=0.65)
    for place, values in zip(places, rises, strict=True):
        axes.plot(values, [place] * len(values), "|", color=SECOND, ms=9, mew=1.4)
    axes.set_yticks(places, [plain(name) for name in found.names[:N_BARS]])
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    of = f"{found.n_rows:,} of {n_all:,}" if found.n_rows < n_all else f"{n_all:,}"
    axes.set_xlabel(f"rise of the MSE on {of} test rows when the column is shuffled")
    left_out = len(found.names) - len(rises)
    if left_out > 0:
        axes.set_title(f"the first {N_BARS} of {len(found.names)} columns", fontsize=9, loc="left")
    tidy(axes)
    axes.grid(axis="y", visible=False)
    return paper


def top(found: Importance, known: Mapping[str, Column]) -> list[str]:
    """Give the most important columns along which a dependence can be drawn."""

    def is_drawn(name: str) -> bool:
        column = known[name]
        few = column.kind == "categorical" and column.n_distinct <= MOST_CATEGORIES
        return column.kind in ("numeric", "boolean") or few

    return [name for name in found.names if is_drawn(name)][:N_TOP]


def dependence(tested: Tested, names: list[str], known: Mapping[str, Column]) -> "Figure | None":
    """Give the mean prediction over each column; none where there is none to draw along."""
    X = tested.X.iloc[tested.rows(N_LINES_OF)]
    grids = {name: grid for name in names if len(grid := _grid(X[name])) > 1}
    if not grids:
        return None
    n_rows = -(-len(grids) // 2)
    paper = figure(8.5, 0.4 + 2.7 * n_rows)
    all_axes = paper.subplots(n_rows, min(2, len(grids)), squeeze=False, sharey=True)
    for place, (axes, name) in enumerate(zip(all_axes.flat, grids, strict=False)):
        grid, is_category = grids[name], known[name].kind == "categorical"
        lines = predictions_along(tested.winner, X, name, grid)
        x = range(len(grid)) if is_category else grid
        marker = "o" if is_category else ""
        axes.plot(x, lines[:, :N_SINGLE], color=BEST, alpha=0.15, linewidth=0.7)
        axes.plot(x, lines.mean(axis=1), color=SECOND, linewidth=2.5, marker=marker)
        if is_category:
            axes.set_xticks(x, [plain(value, 12) for value in grid])
        else:
            tenths = np.nanquantile(X[name].to_numpy(float), np.arange(0.1, 1, 0.1))
            axes.vlines(tenths, 0, 0.04, color="black", transform=axes.get_xaxis_transform())
        axes.set_xlabel(plain(name))
        axes.set_ylabel(f"predicted {plain(tested.target)}" if place % 2 == 0 else "")
        tidy(axes)
    for axes in [*all_axes.flat][len(grids) :]:
        axes.set_visible(False)
    return paper


def predictions_along(
    winner: Any, X: "pd.DataFrame", name: str, grid: NDArray[Any]
) -> NDArray[np.float64]:
    """Give predictions of all rows with each value in a column, (n_values, n_rows).

    Their mean is what scikit-learn's ``partial_dependence`` gives, with one call of the model: it
    makes one for each value, and then most of the time goes into calling.
    """
    import pandas as pd

    stacked = pd.concat([X] * len(grid), ignore_index=True)
    stacked[name] = pd.Series(np.repeat(grid, len(X))).astype(X[name].dtype)
    predicted: NDArray[np.float64] = winner.predict(stacked).reshape(len(grid), len(X))
    return predicted


def _grid(values: "pd.Series[Any]") -> NDArray[Any]:
    """Give where along a column predictions are made; missing values are left out."""
    known = values.dropna()
    if known.dtype.kind not in "fiub":
        return np.array(sorted(known.unique()), dtype=object)
    different = np.unique(known.to_numpy())
    if len(different) <= N_GRID:
        return different
    # Evenly along the axis, where nearly all rows are.
    low, high = np.quantile(known, [0.01, 0.99])
    return np.linspace(float(low), float(high), N_GRID)
