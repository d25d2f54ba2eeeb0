"""A look as one HTML file that needs nothing else, and as Markdown for a run's description."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from popsearch.eda import pictures
from popsearch.eda.distribution import Bars
from popsearch.eda.look import ColumnLook, Look
from popsearch.eda.pictures import Picture
from popsearch.errors import printable
from popsearch.features import WHY_NOT

TEMPLATE = Path(__file__).parent / "page.html"
N_LISTED = 300  # columns of a table
N_PAIRS = 12
N_NAMED = 20  # columns in a sentence
LARGE, LARGEST = 1e4, 1e9  # numbers between them are written in full
LONGEST = 120  # characters of a name


def html(look: Look, pngs: Mapping[str, bytes]) -> str:
    """Give the page.

    Parameters
    ----------
    pngs
        The pictures, by the name of their file.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"name": name, "number": number, "share": share}
    shown: dict[str, list[tuple[Picture, str]]] = {}
    for picture in pictures.of(look):
        encoded = base64.b64encode(pngs[picture.file]).decode()
        shown.setdefault(picture.section, []).append((picture, encoded))
    left_out: dict[str, list[str]] = {}
    for column in look.columns:
        if column.left_out:
            left_out.setdefault(column.left_out, []).append(name(column.name))
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        look=look,
        pictures=shown,
        columns=look.columns[:N_LISTED],
        features=look.features[:N_LISTED],
        rows=[_summary(column) for column in look.columns[:N_LISTED]],
        n_columns=columns(len(look.columns)),
        left_out={why: _listed(names) for why, names in left_out.items()},
        texts=WHY_NOT["text"],
        pairs=strongest_pairs(look),
        n_undrawn=sum(bool(c.distribution) for c in look.columns)
        - len(pictures.distributions_shown(look)),
        n_untargeted=max(0, len(look.features) - pictures.N_PICTURED),
        n_unmapped=max(0, len(look.related.names) - pictures.N_RELATED) + look.related.n_left_out,
        missing=[c for c in look.columns if c.n_missing],
        most_missing=pictures.N_MISSING,
    )


def markdown(look: Look) -> str:
    """Give the beginning of the page, for the description of a run."""
    lines = [
        f"**{_plain(look.about)}**, {columns(len(look.columns))}, target {_plain(look.target)}.",
        sealed(look),
        "",
        "| column | kind | missing | explains alone | Pearson | Spearman |",
        "|---|---|---|---|---|---|",
    ]
    for column in look.features[:20]:
        assert column.target is not None
        told = column.target
        missing, correlations = share(column.n_missing / look.n_rows), (told.pearson, told.spearman)
        cells = [_plain(column.name), column.kind, missing, share(told.explained)]
        cells += [number(value, 2) for value in correlations]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "All of it: `eda/eda.html` among the artifacts."]
    return "\n".join(lines)


def columns(n: int) -> str:
    """Say how many there are."""
    return "1 column" if n == 1 else f"{n:,} columns"


def sealed(look: Look) -> str:
    """Say whose target was looked at."""
    return (
        f"The target is read on {look.n_known:,} rows; the {look.n_test:,} test rows of "
        f"split={look.split} stay sealed."
    )


def strongest_pairs(look: Look) -> list[tuple[str, str, float]]:
    """Give the pairs of features that go together most: two of numbers, or two categories."""
    related = look.related
    is_category = np.array([name in related.categories for name in related.names])
    i, j = np.triu_indices(len(related.names), 1)
    values = related.values[i, j]
    alike = np.isfinite(values) & (is_category[i] == is_category[j])
    i, j, values = i[alike], j[alike], values[alike]
    strongest = np.argsort(-np.abs(values), kind="stable")[:N_PAIRS]
    return [(related.names[i[k]], related.names[j[k]], float(values[k])) for k in strongest]


def name(text: str) -> str:
    """Give a name without characters that have no picture, its end left out where it is long."""
    text = printable(text) or "''"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def number(value: float | None, decimals: int | None = None) -> str:
    """Give a number as a table shows it."""
    if value is None or np.isnan(value):
        return ""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:,.0f}" if LARGE <= abs(value) < LARGEST else f"{value:.4g}"


def share(value: float | None) -> str:
    """Give a share in percent."""
    return "" if value is None else f"{100 * value:.1f} %" if value else "0"


def _summary(column: ColumnLook) -> dict[str, Any]:
    """Give the cells of a column's row that depend on its kind."""
    told = column.summary
    if told is None:
        most = column.distribution
        top = name(most.names[0]) if isinstance(most, Bars) else ""
        return {"numbers": None, "top": top, "n": int(most.counts[0]) if top and most else 0}
    if column.kind == "boolean":
        return {"numbers": None, "top": f"{100 * told.mean:.1f} % yes", "n": 0}
    values = (told.minimum, told.q25, told.median, told.q75, told.maximum)
    if column.kind == "datetime":
        return {"numbers": ["", "", *map(_date, values)], "top": "", "n": 0}
    return {"numbers": [*map(number, (told.mean, told.std, *values))], "top": "", "n": 0}


def _date(days: float) -> str:
    return str(np.datetime64("1970-01-01") + np.timedelta64(int(np.floor(days)), "D"))


def _plain(text: str) -> str:
    """Give a text that Markdown takes for nothing else."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|$~" else c for c in name(text))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - N_NAMED:,} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + more
