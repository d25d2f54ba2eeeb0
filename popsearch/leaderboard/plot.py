"""A board as a picture: test MSE of each study with its interval."""

from typing import TYPE_CHECKING

from popsearch.leaderboard.shown import title
from popsearch.leaderboard.standings import Board

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INCHES_A_ROW = 0.4


def plot(board: Board) -> "Figure | None":
    """Give the picture, best on top; none where nothing was tested."""
    from matplotlib.figure import Figure

    rows = [row for row in board.rows if row.test_mse is not None]
    if not rows:
        return None
    figure = Figure(figsize=(9, 1.8 + INCHES_A_ROW * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        assert row.test_mse is not None
        low, high = row.test_mse_low, row.test_mse_high
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color="tab:blue", linewidth=2)
        style = "D" if row.champion else "o"
        axes.plot(row.test_mse, place, style, color="tab:blue")
        if row.val_mse is not None:
            axes.plot(row.val_mse, place, "|", color="tab:gray", markersize=12)
    names = [f"{row.rank}  {row.family} {row.study.rpartition('-')[2]}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.set_xlabel("test MSE with 95 % interval (grey: validation MSE of the trial)")
    for value, label in ((board.mean_mse, "mean predictor"), (board.floor_mse, "floor")):
        if value is not None:
            axes.axvline(value, linestyle="--", color="tab:gray", linewidth=1)
            axes.annotate(label, (value, 1), xycoords=("data", "axes fraction"), va="bottom",
                          ha="center", fontsize=8, color="tab:gray")  # fmt: skip
    axes.grid(axis="x", alpha=0.3)
    figure.suptitle(title(board), fontsize=9)
    return figure
