"""The frozen table that a study runs on, and its split."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from popsearch.errors import ConfigError, DataError

MIN_ROWS = 10


@dataclass(frozen=True, eq=False)
class Table:
    """Features and target, read-only, with a fingerprint over all of their bytes.

    Parameters
    ----------
    name
        Names the MLflow experiment and begins the study's name.
    about
        One line for people: what these rows are.
    X
        Numeric columns, (n_rows, n_features).
    y
        Target, (n_rows,).
    true_mean
        What a perfect model would predict, (n_rows,), where the data are made up and so known.
    """

    name: str
    about: str
    X: pd.DataFrame
    y: NDArray[np.float64]
    true_mean: NDArray[np.float64] | None
    fingerprint: str

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)


def freeze(
    name: str,
    about: str,
    columns: dict[str, NDArray[np.float64]],
    y: NDArray[np.float64],
    true_mean: NDArray[np.float64] | None = None,
    where: str | None = None,
) -> Table:
    """Give the checked, read-only table.

    Parameters
    ----------
    where
        What a message says is at fault; ``data=`` and the name where it is not given.

    Raises
    ------
    DataError
        If a value is missing or infinite, rows are too few, or the target is constant.
    """
    where = where or f"data={name}"
    faults = [fault for column in columns for fault in _bad_values(where, column, columns[column])]
    faults += _bad_values(where, "the target", y)
    if len(y) < MIN_ROWS:
        faults.append(f"{where}: must have at least {MIN_ROWS} rows, but has {len(y)}")
    elif not faults and np.all(y == y[0]):
        faults.append(f"{where}: the target must vary, but it is {y[0]:g} in all {len(y):,} rows")
    if faults:
        raise DataError(*faults)
    # Copies, so that nobody holds an array through which the table could still be written.
    values = np.column_stack(list(columns.values())).astype(np.float64)
    target = np.array(y, dtype=np.float64)
    digest = hashlib.sha256(repr((list(columns), values.shape)).encode())
    digest.update(values.data)
    digest.update(target.data)
    values.flags.writeable = target.flags.writeable = False
    if true_mean is not None:
        true_mean = np.array(true_mean, dtype=np.float64)
        true_mean.flags.writeable = False
    X = pd.DataFrame(values, columns=list(columns), copy=False)
    return Table(name, about, X, target, true_mean, digest.hexdigest())


def _bad_values(where: str, column: str, values: NDArray[np.float64]) -> list[str]:
    bad = np.flatnonzero(~np.isfinite(values))
    if not len(bad):
        return []
    what = "empty" if np.isnan(values[bad[0]]) else "infinite"
    return [
        f"{where}: {column} must be a finite number in every row, but {len(bad):,} of "
        f"{len(values):,} rows are not, the first in row {bad[0] + 1} ({what}); "
        "mend or remove these rows"
    ]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts; the search sees train and val only."""

    train: NDArray[np.intp]
    val: NDArray[np.intp]
    test: NDArray[np.intp]


def split(n_rows: int, test_size: float, val_size: float, seed: int) -> Split:
    """Give the deck's split: a share for the test, then a share of the rest for validation.

    Raises
    ------
    ConfigError
        If a part would have fewer than two rows.
    """
    from sklearn.model_selection import train_test_split

    n_test = int(np.ceil(test_size * n_rows))
    n_val = int(np.ceil(val_size * (n_rows - n_test)))
    parts = {"training": n_rows - n_test - n_val, "validation": n_val, "test": n_test}
    faults = [
        f"split: every part needs at least 2 rows, but of {n_rows} rows {n} are left for "
        f"{part}; change split.test_size={test_size:g} or split.val_size={val_size:g}"
        for part, n in parts.items()
        if n < 2
    ]
    if faults:
        raise ConfigError(*faults)
    rest, test = train_test_split(np.arange(n_rows), test_size=test_size, random_state=seed)
    train, val = train_test_split(rest, test_size=val_size, random_state=seed)
    return Split(train, val, test)
