"""What stands in one panel."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch.data.table import Kind
from popsearch.eda.distribution import Bars, Histogram
from popsearch.eda.groups import MISSING, TargetByGroup
from popsearch.eda.panels import BLUE, GRAY, LIGHT, ORANGE, short
from popsearch.eda.periods import YEARS, Periods

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_POINTS = 40  # with more a line has no dots
DAYS_A_YEAR = 365.2425
DATED = (-719_162.0, 2_932_896.0)  # days since 1970 of the years 1 to 9999, which can be written


def distribution(ax: "Axes", found: Histogram | Bars, kind: Kind, n_rows: int, color: str) -> None:
    """Draw counts as shares of the rows.

    Parameters
    ----------
    n_rows
        That 100 % are; 0 takes the cells that are counted.
    """
    n_counted = int(found.counts.sum()) + (found.n_other if isinstance(found, Bars) else 0)
    shares = 100 * found.counts / (n_rows or n_counted)
    if isinstance(found, Histogram):
        edges, is_date = _dates(found.edges) if kind == "datetime" else (found.edges, False)
        ax.stairs(shares, edges, fill=True, color=color)
        _scale(ax, is_date)
        if found.n_beyond:
            beyond = 100 * found.n_beyond / (n_rows or n_counted)
            note(ax, f"{beyond:.2g} % beyond")
    elif kind in ("categorical", "labels"):
        names = [short(name, 26) for name in found.names]
        if found.n_other:
            names.append(f"others {100 * found.n_other / (n_rows or n_counted):.0f} %")
            shares = np.append(shares, 0.0)
        ax.barh(range(len(names)), shares, color=LIGHT)
        for i, name in enumerate(names):  # beside the bars they would narrow the panel
            ax.text(0.02 * max(shares.max(), 1e-9), i, name, va="center", fontsize=7)
        ax.set_yticks([])
        ax.invert_yaxis()
    else:
        ax.bar(range(len(found.names)), shares, color=color, width=0.8)
        _name_some(ax, list(found.names))


def target(ax: "Axes", by: TargetByGroup, kind: Kind) -> None:
    """Draw the mean of each group, with the quartiles around it."""
    missing = np.array([name == MISSING and by.at is not None for name in by.names])
    if by.at is None:
        at: NDArray[np.float64] = np.arange(len(by.names), dtype=np.float64)
        ax.vlines(at, by.q25, by.q75, color=LIGHT, linewidth=5)
        ax.plot(at, by.mean, "o", color=BLUE, markersize=4)
        ax.set_xlim(-0.7, len(at) - 0.3)
        if kind == "boolean":
            ax.set_xticks(at, by.names)
            return
        turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(at, [short(name, 12) for name in by.names], fontsize=6.5, **turned)
        return
    at, is_date = _dates(by.at) if kind == "datetime" else (by.at, False)
    there = ~missing & (by.n > 0)
    ax.fill_between(at[there], by.q25[there], by.q75[there], color=LIGHT, lw=0)
    ax.plot(at[there], by.mean[there], "o-", color=BLUE, markersize=3, linewidth=1.2)
    _scale(ax, is_date)
    if missing.any():
        mean = float(by.mean[missing][0])
        ax.axhline(mean, color=ORANGE, linewidth=1)
        note(ax, "orange: missing")


def through_time(ax: "Axes", found: Periods, values: NDArray[Any], color: str) -> None:
    """Draw values by period; a gap where there are none."""
    at = places(found)
    marker = "o" if len(at) <= N_POINTS else None
    ax.plot(at, values, color=color, marker=marker, markersize=2.5, linewidth=1.2)
    if found.dated and _writable(found.at):
        _write_dates(ax)


def places(found: Periods) -> NDArray[np.float64]:
    """Give where periods stand on the axis."""
    return found.at if not found.dated or _writable(found.at) else _years(found.at)


def order(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Give the columns so that those that go together stand together."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(values) < 3:
        return np.arange(len(values))
    distances = 1 - np.abs(np.nan_to_num(values))
    np.fill_diagonal(distances, 0)
    flat = squareform((distances + distances.T) / 2, checks=False)
    tree = optimal_leaf_ordering(linkage(flat, "average"), flat)
    return np.asarray(leaves_list(tree), dtype=np.intp)


def note(ax: "Axes", text: str) -> None:
    """Write a remark into the corner of a panel."""
    ax.text(0.98, 0.97, text, transform=ax.transAxes, ha="right", va="top", fontsize=6.5,
            color=GRAY)  # fmt: skip


def _name_some(ax: "Axes", names: list[str]) -> None:
    """Write as many names as there is room for."""
    every = -(-len(names) // 12)
    ax.set_xticks(range(0, len(names), every), names[::every])
    if max(map(len, names)) * len(names[::every]) > 40:
        ax.tick_params(axis="x", labelrotation=60)


def _dates(days: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Give days as an axis shows them: years as numbers, else days that are written as dates."""
    filled = days[~np.isnan(days)]
    if not len(filled) or np.ptp(filled) > YEARS or not _writable(days):
        return _years(days), False
    return days, True


def _years(days: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1970 + days / DAYS_A_YEAR


def _writable(days: NDArray[np.float64]) -> bool:
    return bool(np.nanmin(days) > DATED[0] and np.nanmax(days) < DATED[1])


def _scale(ax: "Axes", is_date: bool) -> None:
    """Write as many numbers or dates as there is room for."""
    if not is_date:
        ax.locator_params(axis="x", nbins=6)
        return
    _write_dates(ax)


def _write_dates(ax: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=5)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    written = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(written)
