"""Pictures of how a search went: errors of the trials, and the front of two objectives."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from popsearch.pictures.paper import (
    BEST,
    OTHERS,
    SECOND,
    dots,
    figure,
    legend,
    log_ticks,
    reach,
    tidy,
)
from popsearch.study import Asked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LARGE = 200  # trials that have large dots
N_NUMBERED = 12


def history(trials: Sequence[Asked], n_failed: int = 0) -> "Figure":
    """Give the validation MSE of complete and pruned trials in their order, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    paper = figure()
    axes = paper.add_subplot()
    bounds = reach([trial.scores["val_mse"] for trial in trials])
    size = 6.0 if len(trials) <= MOST_LARGE else 4.0
    for state, label in (("pruned", "pruned, when it was stopped"), ("complete", "complete")):
        part = [trial for trial in trials if trial.state == state]
        x = [trial.number for trial in part]
        y = [trial.scores["val_mse"] for trial in part]
        if part:
            dots(axes, x, y, bounds[1], state == "pruned", size, f"{label} ({len(part)})")
        if part and state == "complete":
            lowest = np.minimum.accumulate(y)
            last = trials[-1].number
            axes.step([*x, last], [*lowest, lowest[-1]], where="post", color=SECOND, linewidth=2,
                      label="best so far", zorder=3)  # fmt: skip
            best = min(part, key=lambda t: (t.scores["val_mse"], t.number))
            label = f"best: trial {best.number}"
            axes.plot(best.number, best.scores["val_mse"], "*", markersize=15, color=SECOND,
                      markeredgecolor="white", label=label, zorder=4)  # fmt: skip
    axes.set_ylim(*bounds)
    axes.set(xlabel="trial", ylabel="validation MSE")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(paper, f"{n_failed} failed" if n_failed else "")
    tidy(axes)
    return paper


def pareto_front(trials: Sequence[Asked], front: Sequence[Asked]) -> "Figure":
    """Give both errors of the complete trials, those that no other beats joined by a line."""
    paper = figure()
    axes = paper.add_subplot()
    on_front = {trial.number for trial in front}
    rest = [t for t in trials if t.state == "complete" and t.number not in on_front]
    for part, colour, label in ((rest, OTHERS, "other trials"), (front, BEST, "the front")):
        x = [trial.scores["predict_s"] for trial in part]
        y = [trial.scores["val_mse"] for trial in part]
        axes.plot(x, y, "o", color=colour, markeredgecolor="white", markersize=8,
                  label=f"{label} ({len(part)})")  # fmt: skip
    by_time = sorted(front, key=lambda trial: trial.scores["predict_s"])
    axes.step([t.scores["predict_s"] for t in by_time], [t.scores["val_mse"] for t in by_time],
              where="post", color=BEST, linewidth=1, alpha=0.6)  # fmt: skip
    for trial in by_time[:N_NUMBERED]:
        axes.annotate(f"{trial.number}", (trial.scores["predict_s"], trial.scores["val_mse"]),
                      xytext=(5, 5), textcoords="offset points", fontsize=8)  # fmt: skip
    shown = [*rest, *front]
    times = [trial.scores["predict_s"] for trial in shown]
    log_ticks(axes, min(times), max(times))
    axes.set_ylim(*reach([trial.scores["val_mse"] for trial in shown]))
    axes.set(xlabel="seconds to predict the validation rows", ylabel="validation MSE")
    legend(paper)
    tidy(axes)
    return paper
