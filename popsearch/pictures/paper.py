"""What all pictures are drawn on: sizes, colours, and texts that may hold anything."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEST, SECOND, OTHERS = "#1f5fa8", "#d9730d", "#9aa0a6"
"""Colours: of the best trial, of what stands beside it, of all others."""

LONGEST = 24


def figure(width: float = 8.0, height: float = 4.6) -> "Figure":
    """Give a figure of so many inches that belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def png(figure: "Figure") -> bytes:
    """Give a figure as a PNG file of 256 colours, a third as large as one of all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    stream = io.BytesIO()
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    Image.fromarray(pixels).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        stream, "png"
    )
    return stream.getvalue()


def plain(value: object, longest: int = LONGEST) -> str:
    """Give a text that fits beside an axis and is not taken for a formula."""
    if isinstance(value, float):
        value = f"{value:.3g}"
    text = " ".join(str(value).split())
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


def tidy(axes: "Axes") -> None:
    """Leave out of a picture what tells nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def dots(
    axes: "Axes",
    x: Sequence[float],
    y: Sequence[float],
    top: float,
    pruned: bool,
    size: float,
    label: str | None = None,
) -> None:
    """Draw trials, hollow where they were pruned; those that lie above ``top`` as triangles."""
    colours = ("none", OTHERS) if pruned else (BEST, "white")
    for shown, marker, name in ((True, "o", label), (False, "^", None)):
        points = [(a, min(b, top)) for a, b in zip(x, y, strict=True) if (b <= top) is shown]
        if points:
            axes.plot(*zip(*points, strict=True), marker, markersize=size, label=name,
                      markerfacecolor=colours[0], markeredgecolor=colours[1],
                      markeredgewidth=0.8, clip_on=False)  # fmt: skip


def legend(figure: "Figure", title: str = "") -> None:
    """Put the legend above the picture, where it hides nothing."""
    labels = figure.axes[0].get_legend_handles_labels()[1]
    if not labels:
        return
    n_columns = 2 if sum(map(len, labels)) > 70 else max(1, len(labels))
    figure.legend(loc="outside upper left", ncols=n_columns, frameon=False, fontsize=9,
                  title=title or None, title_fontsize=9, alignment="left")  # fmt: skip


def log_ticks(axes: "Axes", low: float, high: float) -> None:
    """Make the horizontal axis logarithmic, with a few plain numbers on it."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    within = (1, 2, 5) if high / low < 60 else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=within, numticks=7))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlim(low / 1.15, high * 1.15)


def reach(values: Sequence[float], share: float = 0.6) -> tuple[float, float]:
    """Give the bounds of an axis for errors: from the least to beyond most of them.

    One error may be a thousand times the others, and would press these onto one line.
    """
    known = np.asarray([value for value in values if np.isfinite(value)])
    low, most, high = float(known.min()), float(np.quantile(known, share)), float(known.max())
    top = min(high, low + 1.6 * (most - low)) if most > low else high
    pad = 0.06 * (top - low) or 0.05 * abs(top) or 1.0
    return low - pad, top + pad
