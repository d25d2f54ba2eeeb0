"""The pictures of a look, each as a PNG with the name of its file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from popsearch.eda import drawn, panels
from popsearch.eda.cells import CATEGORIES
from popsearch.eda.look import ColumnLook, Look
from popsearch.eda.panels import BLUE, GRAY, ORANGE, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

A_PAGE, N_PICTURED = 24, 48  # columns
N_MISSING = 40
N_RELATED, N_WRITTEN = 30, 16  # columns of the map; with no more its numbers are written too


@dataclass(frozen=True)
class Picture:
    """A picture of one section of the page.

    Parameters
    ----------
    alt
        What it shows, for who cannot see it.
    """

    section: str
    file: str
    alt: str
    draw: "Callable[[], Figure]"


def of(look: Look) -> list[Picture]:
    """Give the pictures that there are to draw."""
    found = []
    shown = distributions_shown(look)
    for i in range(0, len(shown) + 1, A_PAGE):  # the first panel is the target's
        columns = shown[max(i - 1, 0) : i + A_PAGE - 1]
        found.append(Picture(
            "columns",
            f"eda-columns-{i // A_PAGE + 1}.png",
            "distributions of " + ", ".join([look.target] * (not i) + [c.name for c in columns]),
            partial(_distributions, look, columns, not i),
        ))  # fmt: skip
    if look.n_missing:
        alt = "share of missing values by column"
        found.append(Picture("missing", "eda-missing.png", alt, partial(_missing, look)))
    features = look.features[:N_PICTURED]
    for i in range(0, len(features), A_PAGE):
        page = features[i : i + A_PAGE]
        found.append(Picture(
            "target",
            f"eda-target-{i // A_PAGE + 1}.png",
            f"mean of {look.target} by " + ", ".join(c.name for c in page),
            partial(_target, look, page),
        ))  # fmt: skip
    if len(look.related.names) > 1:
        alt = "how strongly features go together"
        found.append(Picture("relations", "eda-relations.png", alt, partial(_relations, look)))
    if look.periods:
        alt = f"rows, {look.target} and features by {look.periods.by}"
        found.append(Picture("time", "eda-time.png", alt, partial(_time, look)))
    return found


def distributions_shown(look: Look) -> list[ColumnLook]:
    """Give the columns whose distribution is drawn; of too many those that tell most."""
    first = [*look.features, *(column for column in look.columns if not column.target)]
    names = [column.name for column in first if column.distribution][: N_PICTURED - 1]
    chosen = frozenset(names)
    return [column for column in look.columns if column.name in chosen]


def _distributions(look: Look, columns: Sequence[ColumnLook], with_target: bool) -> "Figure":
    figure, axes = panels.grid(len(columns) + with_target)
    if with_target:
        drawn.distribution(axes[0], look.target_distribution, "numeric", look.n_known, ORANGE)
        axes[0].set_title(f"{short(look.target)} (target)")
    for ax, column in zip(axes[with_target:], columns, strict=True):
        assert column.distribution is not None
        n_cells = look.n_rows if column.kind != "labels" else 0
        drawn.distribution(ax, column.distribution, column.kind, n_cells, BLUE)
        ax.set_title(short(column.name) + (" (length)" if column.kind == "text" else ""))
    figure.supylabel("share of the rows, %", fontsize=8, x=0.01, ha="left")
    return figure


def _missing(look: Look) -> "Figure":
    columns = sorted((c for c in look.columns if c.n_missing), key=lambda c: -c.n_missing)
    columns = columns[:N_MISSING]
    figure, ax = panels.single(6, 0.7 + 0.2 * len(columns))
    shares = [100 * column.n_missing / look.n_rows for column in columns]
    bars = ax.barh(range(len(columns)), shares, color=BLUE)
    ax.bar_label(bars, [f"{share:.3g} %" for share in shares], padding=3, fontsize=7)
    ax.set_yticks(range(len(columns)), [short(column.name) for column in columns])
    ax.invert_yaxis()
    ax.set_xlim(0, min(118, 1.15 * max(shares)))
    ax.set_xlabel("share of the rows without a value, %")
    return figure


def _target(look: Look, columns: Sequence[ColumnLook]) -> "Figure":
    named = any(column.kind in CATEGORIES for column in columns)
    figure, axes = panels.grid(len(columns), 2.4 if named else 2.1, 0.55 if named else 0.25)
    looks = [column.target for column in columns if column.target]
    # One scale for all, or a weak feature would look like a strong one.
    low = min(float(np.nanmin(each.by.q25)) for each in looks)
    high = max(float(np.nanmax(each.by.q75)) for each in looks)
    margin = 0.05 * (high - low) or 1.0
    for ax, column, each in zip(axes, columns, looks, strict=True):
        ax.axhline(look.target_summary.mean, color=GRAY, linewidth=0.8, linestyle="--")
        drawn.target(ax, each.by, column.kind)
        explained = "" if each.explained is None else f"  {100 * each.explained:.1f} %"
        ax.set_title(f"{short(column.name)}{explained}")
        ax.set_ylim(low - margin, high + margin)
    figure.supylabel(short(look.target, 60), fontsize=8, x=0.01, ha="left")
    return figure


def _relations(look: Look) -> "Figure":
    names = look.related.names[:N_RELATED]
    values = look.related.values[: len(names), : len(names)]
    order = drawn.order(values)
    values = values[np.ix_(order, order)]
    shown = [short(names[i]) for i in order]
    side = 2.2 + 0.36 * len(names)
    figure, ax = panels.single(side + 0.9, side)
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set_xticks(range(len(names)), shown, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), shown)
    for side_of in ax.spines.values():
        side_of.set_visible(False)
    ax.tick_params(length=0)
    if len(names) <= N_WRITTEN:
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value) and i != j:
                color = "white" if abs(value) > 0.6 else panels.INK
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6, color=color)
    bar = figure.colorbar(image, shrink=0.6, aspect=30)
    bar.outline.set_visible(False)
    return figure


def _time(look: Look) -> "Figure":
    found = look.periods
    assert found is not None
    names = sorted(found.features, key=[*(c.name for c in look.features)].index)
    names = names[: A_PAGE - 2]
    figure, axes = panels.grid(2 + len(names), height=1.9)
    drawn.through_time(axes[0], found, found.n_rows, GRAY)
    axes[0].set_ylim(bottom=0)
    axes[0].set_title("rows")
    drawn.through_time(axes[1], found, found.target.mean, ORANGE)
    ends = drawn.places(found)
    axes[1].fill_between(ends, found.target.q25, found.target.q75, color=ORANGE, alpha=0.25, lw=0)
    axes[1].set_title(f"{short(look.target)} (target)")
    for ax, name in zip(axes[2:], names, strict=True):
        drawn.through_time(ax, found, found.features[name], BLUE)
        ax.set_title(short(name))
    figure.supxlabel(short(found.by, 60), fontsize=8, y=0.005, va="bottom")
    return figure
