"""How pictures are drawn here: small panels in a grid, names as they are, no file left open."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from popsearch.errors import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

A_ROW = 4  # panels
WIDTH, HEIGHT = 2.8, 2.1  # inches of a panel
LEFT, BOTTOM = 0.3, 0.2  # inches for the name of all axes
DPI = 80
N_COLORS = 256
BLUE, LIGHT, ORANGE, GRAY, INK = "#2f6db3", "#b9d1ea", "#d9822b", "#9a9a9a", "#333333"
STYLE = {
    "text.parse_math": False,  # a name may have a $
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GRAY,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.titley": 1.0,  # where it is sought, every panel is measured twice
    "axes.formatter.use_mathtext": False,
    "axes.formatter.limits": (-4, 6),
    "xtick.color": GRAY,
    "ytick.color": GRAY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "figure.titlesize": 10,
}


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Draw in the style of the house; characters that the font lacks are boxes, without a word."""
    import matplotlib

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", "Glyph .* missing")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        yield


def grid(n: int, height: float = HEIGHT, below: float = 0.25) -> "tuple[Figure, list[Axes]]":
    """Give a figure with so many panels, and the panels.

    The room around them is given, not sought: seeking it takes twice as long as drawing.

    Parameters
    ----------
    below
        Inches for what stands below each panel.
    """
    from matplotlib.figure import Figure

    n_rows, n_columns = -(-n // A_ROW), min(n, A_ROW)
    size = width, tall = WIDTH * n_columns + LEFT, height * n_rows + BOTTOM
    figure = Figure(figsize=size, dpi=DPI)
    room = {
        "left": (LEFT + 0.35) / width,
        "right": 1 - 0.1 / width,
        "bottom": (BOTTOM + below) / tall,
        "top": 1 - 0.25 / tall,
        "wspace": 0.45 / (WIDTH - 0.45),
        "hspace": (0.25 + below) / (height - 0.25 - below),
    }
    axes = figure.subplots(n_rows, n_columns, squeeze=False, gridspec_kw=room).ravel().tolist()
    for unused in axes[n:]:
        unused.set_axis_off()
    return figure, axes[:n]


def single(width: float, height: float) -> "tuple[Figure, Axes]":
    """Give a figure with one panel, which takes the room that its labels leave."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplots()


def png(figure: "Figure") -> bytes:
    """Give a figure as the bytes of a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    stream = io.BytesIO()
    # A palette makes the file a third as large; a mail holds the page.
    seen = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    pixels = Image.fromarray(np.asarray(seen)).convert("RGB")
    drawn = pixels.quantize(N_COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    drawn.save(stream, format="png", optimize=True)
    return stream.getvalue()


def short(name: str, width: int = 22) -> str:
    """Give a name that fits: one line, its end left out where it is long."""
    name = " ".join(printable(name).split()) or repr(name)
    return name if len(name) <= width else f"{name[: width - 1]}…"
