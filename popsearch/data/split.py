"""Which rows are for training, validation and the test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from popsearch.data import keys
from popsearch.data.table import Table
from popsearch.errors import ConfigError
from popsearch.splitting import GroupedSplit, HoldoutSplit, KFoldSplit, SplitConfig, TimeSplit

MIN_ROWS = 2


@dataclass(frozen=True, eq=False)
class Fold:
    """Row numbers that a model is trained on, in random order, and those it is validated on."""

    train: NDArray[np.intp]
    val: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers; the search sees the folds only.

    Parameters
    ----------
    folds
        One, or ``n_splits`` with ``split=kfold``.
    """

    folds: tuple[Fold, ...]
    test: NDArray[np.intp]

    @property
    def known(self) -> NDArray[np.intp]:
        """Sorted numbers of all rows outside the test."""
        return np.sort(np.concatenate([self.folds[0].train, self.folds[0].val]))

    @cached_property
    def digest(self) -> str:
        """Hash of all row numbers in their order, part by part."""
        parts = [part for fold in self.folds for part in (fold.train, fold.val)]
        digest = hashlib.sha256()
        for part in [*parts, self.test]:
            digest.update(f"{len(part)}:".encode())
            digest.update(np.ascontiguousarray(part, dtype="<i8").data)
        return digest.hexdigest()


def split(table: Table, cfg: SplitConfig) -> Split:
    """Give the rows of every part; the same table and settings give the same rows.

    Raises
    ------
    ConfigError
        If the table cannot be split so, with all faults.
    """
    match cfg:
        case HoldoutSplit():
            return _holdout(table, cfg)
        case GroupedSplit():
            return _grouped(table, cfg)
        case TimeSplit():
            return _by_time(table, cfg)
        case KFoldSplit():
            return _kfold(table, cfg)
        case _:
            assert_never(cfg)


def faults(table: Table, cfg: SplitConfig) -> list[str]:
    """Give what keeps this table from being split so."""
    try:
        split(table, cfg)
    except ConfigError as error:
        return list(error.faults)
    return []


def uneven(parts: Split, cfg: SplitConfig) -> list[str]:
    """Give a line for each part that groups of unlike size keep far from its share."""
    if not isinstance(cfg, GroupedSplit):
        return []
    known, found = len(parts.known), []
    for part, n, share, of in (
        ("test_size", len(parts.test), cfg.test_size, known + len(parts.test)),
        ("val_size", len(parts.folds[0].val), cfg.val_size, known),
    ):
        if not 0.5 <= n / (share * of) <= 1.5:
            found.append(
                f"split.{part}={share:g} of the groups are {n / of:.0%} of the rows, for the "
                "groups differ much in size; another split.seed or other columns may be nearer"
            )
    return found


def _holdout(table: Table, cfg: HoldoutSplit) -> Split:
    from sklearn.model_selection import train_test_split

    n_train, n_val, n_test = _sizes(table.n_rows, cfg)
    _refuse_small({"training": n_train, "validation": n_val, "test": n_test}, table, cfg)
    known, test = train_test_split(
        np.arange(table.n_rows), test_size=cfg.test_size, random_state=cfg.seed
    )
    train, val = train_test_split(known, test_size=cfg.val_size, random_state=cfg.seed)
    return Split((Fold(train, val),), test)


def _grouped(table: Table, cfg: GroupedSplit) -> Split:
    if cfg.group_by is None:
        raise ConfigError(
            f"split.group_by is required for split=grouped: data={table.name} has no key of its "
            "own; give split.group_by=[COLUMN, ...]"
        )
    groups = keys.groups(table, cfg.group_by)
    n_groups = int(groups.max()) + 1
    if _sizes(n_groups, cfg)[0] < 1:
        raise ConfigError(
            f"{keys.shown(cfg.group_by)}: every part needs a group of rows, but of {n_groups} "
            f"groups none is left for training; choose other columns, or {_change(cfg)}"
        )
    known, test = _draw_groups(groups, np.arange(table.n_rows), cfg.test_size, cfg.seed)
    train, val = _draw_groups(groups, known, cfg.val_size, cfg.seed)
    _refuse_small({"training": len(train), "validation": len(val), "test": len(test)}, table, cfg)
    return Split((Fold(_shuffled(train, cfg.seed), val),), test)


def _by_time(table: Table, cfg: TimeSplit) -> Split:
    """Cut between two times, so that rows of one time stay on one side."""
    times = keys.times(table, cfg.order_by)
    _, when, counts = np.unique(times, return_inverse=True, return_counts=True)
    up_to = np.cumsum(counts)
    cuts = up_to[(up_to >= MIN_ROWS) & (up_to <= table.n_rows - MIN_ROWS)]
    # What is older than the test must hold one more cut.
    before_test = cuts[cuts >= cuts[0] + MIN_ROWS] if len(cuts) else cuts
    if not len(before_test):
        raise ConfigError(
            f"split.order_by={cfg.order_by}: must have times that part the rows into training, "
            f"validation and test of at least {MIN_ROWS} rows each, but {table.n_rows:,} rows have "
            f"{len(counts)} different times; choose another column"
        )
    n_known = _nearest(before_test, (1 - cfg.test_size) * table.n_rows)
    n_train = _nearest(cuts[cuts <= n_known - MIN_ROWS], (1 - cfg.val_size) * n_known)
    age = up_to[when]
    train, test = np.flatnonzero(age <= n_train), np.flatnonzero(age > n_known)
    val = np.flatnonzero((age > n_train) & (age <= n_known))
    return Split((Fold(_shuffled(train, cfg.seed), val),), test)


def _kfold(table: Table, cfg: KFoldSplit) -> Split:
    from sklearn.model_selection import GroupKFold, KFold, train_test_split

    rows, k = np.arange(table.n_rows), cfg.n_splits
    groups = None if cfg.group_by is None else keys.groups(table, cfg.group_by)
    n = table.n_rows if groups is None else int(groups.max()) + 1
    n_known = n - int(np.ceil(cfg.test_size * n))
    if n_known < k:
        what = "rows" if cfg.group_by is None else f"groups by {keys.shown(cfg.group_by)}"
        raise ConfigError(
            f"split: {k} folds need at least {k} {what}, but {n_known} of {n} are outside the "
            f"test; {_change(cfg)}"
        )
    if groups is None:
        known, test = train_test_split(rows, test_size=cfg.test_size, random_state=cfg.seed)
        cuts = KFold(k, shuffle=True, random_state=cfg.seed).split(known)
    else:
        known, test = _draw_groups(groups, rows, cfg.test_size, cfg.seed)
        splitter = GroupKFold(k, shuffle=True, random_state=cfg.seed)
        cuts = splitter.split(known, groups=groups[known])
    folds = [Fold(_shuffled(known[train], cfg.seed), known[val]) for train, val in cuts]
    # A fold trains on what the others validate, so there are enough rows for that too.
    smallest = min(len(fold.val) for fold in folds)
    _refuse_small({"validation in a fold": smallest, "test": len(test)}, table, cfg)
    return Split(tuple(folds), test)


def _sizes(n: int, cfg: HoldoutSplit | GroupedSplit) -> tuple[int, int, int]:
    """Give how many of n rows or groups are for training, validation and the test."""
    n_test = int(np.ceil(cfg.test_size * n))
    n_val = int(np.ceil(cfg.val_size * (n - n_test)))
    return n - n_test - n_val, n_val, n_test


def _refuse_small(sizes: Mapping[str, int], table: Table, cfg: SplitConfig) -> None:
    found = [
        f"split: every part needs at least {MIN_ROWS} rows, but of {table.n_rows} rows {n} are "
        f"left for {part}; {_change(cfg)}"
        for part, n in sizes.items()
        if n < MIN_ROWS
    ]
    if found:
        raise ConfigError(*found)


def _change(cfg: SplitConfig) -> str:
    other = (
        f"split.n_splits={cfg.n_splits}"
        if isinstance(cfg, KFoldSplit)
        else f"split.val_size={cfg.val_size:g}"
    )
    return f"change split.test_size={cfg.test_size:g} or {other}"


def _draw_groups(
    groups: NDArray[np.intp], rows: NDArray[np.intp], share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the rows that stay and the rows of a share of the groups, both sorted."""
    from sklearn.model_selection import GroupShuffleSplit

    splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    stay, drawn = next(splitter.split(rows, groups=groups[rows]))
    return rows[stay], rows[drawn]


def _shuffled(rows: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    """Give the rows in random order, so that the first n of them are a random sample."""
    from sklearn.utils import shuffle

    shuffled: NDArray[np.intp] = shuffle(rows, random_state=seed)
    return shuffled


def _nearest(cuts: NDArray[np.intp], wanted: float) -> int:
    return int(cuts[np.argmin(np.abs(cuts - wanted))])
