"""The straight line: from a table to everything that is shown of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from popsearch.data import Split, Table
from popsearch.data.table import Kind
from popsearch.eda import association, cells, distribution, groups, periods
from popsearch.eda.cells import Categories, Cells, Numbers
from popsearch.eda.distribution import Bars, Histogram, Summary
from popsearch.eda.groups import TargetByGroup
from popsearch.eda.periods import Periods
from popsearch.features import left_out

MOST_CELLS = 5_000_000
"""Cells that are compared column by column; of a larger table a sample of the rows."""
MOST_NUMBERS, MOST_CATEGORIES = 200, 30
"""Columns that are compared with one another."""

Tell = Callable[[str], None]
"""Hears what is done next."""


@dataclass(frozen=True)
class TargetLook:
    """What a column says about the target, alone, on rows whose target may be looked at.

    Parameters
    ----------
    pearson, spearman
        None of categories, and where nothing varies.
    explained
        Share of the target's variance that its means explain: by value, by category, or in 20
        bins with as many rows each.
    """

    pearson: float | None
    spearman: float | None
    explained: float | None
    by: TargetByGroup


@dataclass(frozen=True)
class ColumnLook:
    """What a column holds.

    Parameters
    ----------
    left_out
        Why it is no feature; nothing of one that is.
    n_distinct
        Of texts and categories, else 0.
    target
        None of a column that is no feature.
    """

    name: str
    kind: Kind
    left_out: str
    n_missing: int
    n_distinct: int
    summary: Summary | None
    distribution: Histogram | Bars | None
    target: TargetLook | None


@dataclass(frozen=True)
class Related:
    """How strongly features go together, ``association.matrix`` of these columns.

    Parameters
    ----------
    n_rows
        That were compared.
    n_left_out
        Features beyond those that are compared.
    """

    names: Sequence[str]
    categories: frozenset[str]
    values: NDArray[np.float64]
    n_rows: int
    n_left_out: int


@dataclass(frozen=True)
class Look:
    """All that is shown of a table.

    Parameters
    ----------
    n_known, n_test
        Rows whose target was looked at, and those that are sealed.
    columns
        In the order of the table.
    """

    name: str
    about: str
    fingerprint: str
    n_rows: int
    split: str
    n_known: int
    n_test: int
    target: str
    target_summary: Summary
    target_distribution: Histogram | Bars
    columns: Sequence[ColumnLook]
    related: Related
    periods: Periods | None

    @property
    def features(self) -> list[ColumnLook]:
        """The features, those that explain most of the target first."""
        found = [column for column in self.columns if column.target]
        return sorted(found, key=_telling, reverse=True)

    @property
    def n_missing(self) -> int:
        """Columns in which something is missing."""
        return sum(column.n_missing > 0 for column in self.columns)


def look(table: Table, split: Split, split_name: str, order_by: str | None, tell: Tell) -> Look:
    """Look at a table.

    The target is read on the rows outside the test only, features on all rows.

    Parameters
    ----------
    order_by
        The column that tells the time of a row; the first one with dates where it is None.
    """
    known, why = split.known, {n: why for why, names in left_out(table).items() for n in names}
    y = table.y[known]
    y_ranks = association.ranks(y)
    columns = []
    for name in table.columns:
        tell(name)
        columns.append(_column(table, name, why.get(name, ""), known, y, y_ranks))
    tell("features among themselves")
    related = _related(table, columns)
    tell("through time")
    through_time = _periods(table, order_by, known)
    told, shown = distribution.summary(y), distribution.of(Numbers(y), "numeric")
    assert told is not None  # a table has rows, and a target in each
    assert shown is not None
    return Look(
        name=table.name,
        about=table.about,
        fingerprint=table.fingerprint,
        n_rows=table.n_rows,
        split=split_name,
        n_known=len(known),
        n_test=len(split.test),
        target=table.target,
        target_summary=told,
        target_distribution=shown,
        columns=columns,
        related=related,
        periods=through_time,
    )


def time_of(table: Table, order_by: str | None) -> str | None:
    """Give the column that tells the time of a row; none where there is none."""
    dated = [n for n, c in table.columns.items() if c.kind == "datetime" and not c.dropped]
    return order_by or (dated[0] if dated else None)


def _column(
    table: Table,
    name: str,
    why: str,
    known: NDArray[np.intp],
    y: NDArray[np.float64],
    y_ranks: NDArray[np.float64],
) -> ColumnLook:
    column, own = table.columns[name], cells.of(table, name)
    shown = (
        distribution.top(cells.labels(table, name)[0])
        if column.kind == "labels"
        else distribution.of(own, column.kind)
    )
    return ColumnLook(
        name=name,
        kind=column.kind,
        left_out=why,
        n_missing=column.n_missing,
        n_distinct=column.n_distinct,
        summary=distribution.summary(own.values) if isinstance(own, Numbers) else None,
        distribution=shown,
        target=_target(table, name, own.at(known), known, y, y_ranks) if not why else None,
    )


def _target(
    table: Table,
    name: str,
    own: Cells,
    known: NDArray[np.intp],
    y: NDArray[np.float64],
    y_ranks: NDArray[np.float64],
) -> TargetLook:
    kind = table.columns[name].kind
    pearson = spearman = None
    if isinstance(own, Numbers):
        pearson = association.pearson(own.values, y)
        complete = not np.isnan(own.values).any()
        spearman = (
            association.pearson(association.ranks(own.values), y_ranks)
            if complete
            else association.spearman(own.values, y)
        )
    grouped = groups.of(own, kind)
    # Categories that are shown together explain by themselves.
    codes = grouped.codes if isinstance(own, Numbers) else own.codes + 1
    explained = association.explained(codes, y)
    if kind == "labels":
        labels, rows = cells.labels(table, name)
        place = np.full(table.n_rows, -1)
        place[known] = np.arange(len(known))
        visible = np.flatnonzero(place[rows] >= 0)
        grouped, y = groups.most_frequent(labels.at(visible)), y[place[rows[visible]]]
    return TargetLook(pearson, spearman, explained, groups.target_by(grouped, y))


def _related(table: Table, columns: Sequence[ColumnLook]) -> Related:
    telling = sorted((c for c in columns if c.target), key=_telling, reverse=True)
    ordered = [c.name for c in telling if c.kind not in cells.CATEGORIES][:MOST_NUMBERS]
    unordered = [c.name for c in telling if c.kind in cells.CATEGORIES][:MOST_CATEGORIES]
    names = [c.name for c in telling if c.name in {*ordered, *unordered}]
    n_rows = max(1000, MOST_CELLS // max(len(names), 1))
    rows = np.arange(table.n_rows)
    if n_rows < table.n_rows:
        rows = np.sort(np.random.default_rng(0).choice(rows, n_rows, replace=False))
    values = association.matrix([cells.of(table, name).at(rows) for name in names])
    n_left_out = len(telling) - len(names)
    return Related(names, frozenset(unordered), values, len(rows), n_left_out)


def _periods(table: Table, order_by: str | None, known: NDArray[np.intp]) -> Periods | None:
    by = time_of(table, order_by)
    if by is None:
        return None
    times = cells.of(table, by)
    assert not isinstance(times, Categories)  # checked
    kinds: Mapping[str, Kind] = {n: c.kind for n, c in table.columns.items() if c.is_feature}
    features = {
        name: own
        for name, kind in kinds.items()
        if kind in ("numeric", "boolean") and name != by
        if isinstance(own := cells.of(table, name), Numbers)
    }
    return periods.of(times, by, table.columns[by].kind == "datetime", features, table.y, known)


def _telling(column: ColumnLook) -> float:
    explained = column.target.explained if column.target else None
    return -1.0 if explained is None else explained
