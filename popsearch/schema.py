"""What a person is told of the columns: how each is encoded, what is left out, what is missing."""

import itertools
from collections.abc import Mapping

from popsearch.config import FeaturesConfig
from popsearch.data.table import Table
from popsearch.features import groups_of, left_out

_WIDTH = 86  # of a line
_NAME_WIDTH = 40


def summary(cfg: FeaturesConfig, table: Table, missing: str) -> list[tuple[str, str]]:
    """Give what a person is told: label and text of each way that columns are encoded."""
    groups, known = groups_of(cfg, table), table.columns

    def counted(group: str, what: str) -> list[str]:
        return [f"{_short(c)} ({known[c].n_distinct:,} {what})" for c in groups[group]]

    means = "of their training rows, cross-fitted"
    rows = [
        ("numeric", map(_short, groups["numeric"]), ""),
        ("boolean", map(_short, groups["boolean"]), ""),
        ("categorical", counted("one_hot", "values"), ": one-hot"),
        ("categorical", counted("means", "values"), f": mean target {means}"),
        ("labels", counted("labels", "labels"), f": mean target and number {means}"),
        (
            "datetime",
            map(_short, groups["datetime"]),
            ": year, month, day, weekday, hour, days since 1970",
        ),
    ]
    if cfg.columns is None:
        left = left_out(table).items()
        rows += [("left out", map(_short, names), f": {why}") for why, names in left]
    for how, names in _ways_to_fill(groups, missing).items():
        gaps = [f"{_short(c)} {known[c].n_missing:,}" for c in names if known[c].n_missing]
        rows.append(("missing", gaps, f": {how}"))
    lines = [(label, _listed(list(names), tail)) for label, names, tail in rows]
    return [(label, text) for label, text in lines if text]


def _ways_to_fill(groups: Mapping[str, list[str]], missing: str) -> dict[str, list[str]]:
    """Give the columns by what is done where their values are missing."""
    numbers, boolean = groups["numeric"] + groups["datetime"], groups["boolean"]
    ways = {"passed on, the model splits on them": numbers + boolean}
    if missing == "impute":
        ways = {
            "set to the training median, and marked": numbers,
            "set to the more frequent value, and marked": boolean,
        }
    return ways | {
        "a category of its own": groups["one_hot"] + groups["means"],
        "the overall mean": groups["labels"],
    }


def _short(name: str) -> str:
    """Give a name that fits into a line."""
    name = " ".join(name.split()) or repr(name)
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 3]}..."


def _listed(names: list[str], tail: str) -> str:
    """Give as many names as fit into a line, with their number where some are left out."""
    whole = ", ".join(names) + tail
    if len(names) < 2 or len(whole) <= _WIDTH:
        return whole if names else ""
    end = f", ... ({len(names):,}){tail}"
    lengths = itertools.accumulate(len(name) + 2 for name in names)
    n_shown = sum(length - 2 + len(end) <= _WIDTH for length in lengths)
    return ", ".join(names[: max(n_shown, 1)]) + end
