"""What a person sees of a look in the terminal."""

from typing import TYPE_CHECKING

from popsearch.eda import page
from popsearch.eda.look import Look
from popsearch.eda.panels import short

if TYPE_CHECKING:
    from rich.console import Console

N_FEATURES, N_PAIRS, N_NAMES = 10, 3, 8


def show(console: "Console", look: Look) -> None:
    """Print the beginning of what the page tells."""
    from rich.table import Table

    console.print(f"{look.about}: the target {look.target} and {page.columns(len(look.columns))}")
    counted: dict[str, list[str]] = {}
    for column in look.columns:
        if not column.left_out:
            counted.setdefault(column.kind, []).append(column.name)
    lines = [(kind, _listed(names)) for kind, names in counted.items()]
    lines += [
        ("left out", f"{short(c.name, 40)}: {c.left_out}") for c in look.columns if c.left_out
    ][:N_NAMES]
    gaps = sorted((c for c in look.columns if c.n_missing), key=lambda c: -c.n_missing)
    missing = [f"{short(c.name, 40)} {page.share(c.n_missing / look.n_rows)}" for c in gaps]
    lines += [("missing", _listed(missing))] if missing else []
    pairs = page.strongest_pairs(look)[:N_PAIRS]
    together = [f"{short(a, 40)} and {short(b, 40)} {value:.2f}" for a, b, value in pairs]
    lines += [("together", _listed(together))] if together else []
    for label, text in lines:
        console.print(f"{label:<12} {text}", style="dim")
    console.print(page.sealed(look))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("feature", overflow="fold")
    for heading in ("explains", "Pearson", "Spearman"):
        table.add_column(heading, justify="right", no_wrap=True)
    for column in look.features[:N_FEATURES]:
        told = column.target
        assert told is not None
        correlations = page.number(told.pearson, 2), page.number(told.spearman, 2)
        table.add_row(short(column.name, 40), page.share(told.explained), *correlations)
    if table.row_count:
        console.print(table)
    if (n_more := len(look.features) - N_FEATURES) > 0:
        console.print(f"and {n_more:,} features that explain less", style="dim")


def _listed(names: list[str]) -> str:
    """Give names with commas between, the first of many."""
    more = f", ... ({len(names):,})" if len(names) > N_NAMES else ""
    return ", ".join(short(name, 60) for name in names[:N_NAMES]) + more
