"""What makes a score look better than it is: rows seen before, and columns that know the target."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from popsearch.data.split import Split
from popsearch.data.table import TEXT_KINDS, Table
from popsearch.errors import setting

_SAMPLE = 5_000
_MIN_ROWS = 20
_MIN_LEAF = 2
_MAX_LEAVES = 256


def duplicates(table: Table, split: Split, columns: Sequence[str], remedy: str) -> list[str]:
    """Give a line if rows that are scored repeat rows that models are trained on.

    Validation rows are compared with the training rows of their fold, test rows with all that
    the refit is trained on.

    Parameters
    ----------
    columns
        What the model sees. A row repeats another if it is the same in all of them and in the
        target; missing is the same as missing.
    remedy
        What to type so that such rows stay together.
    """
    rows, same = _repeated(table, columns)
    where = np.full(table.n_rows, -1)
    where[rows] = same
    n_val = sum(_n_seen(where[fold.val], where[fold.train]) for fold in split.folds)
    found = [
        f"{n:,} of {size:,} {part} rows"
        for part, n, size in (
            ("test", _n_seen(where[split.test], where[split.known]), len(split.test)),
            ("validation", n_val, sum(len(fold.val) for fold in split.folds)),
        )
        if n
    ]
    if not found:
        return []
    return [
        f"{' and '.join(found)} repeat a row that models are trained on, in all features and the "
        f"target: scores may look better than they are; {remedy} keeps such rows together"
    ]


def _repeated(table: Table, columns: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the rows that are not alone, and a number for each: the same for the same content."""
    rows, same = _not_alone(np.arange(table.n_rows), pd.factorize(table.y)[0])
    for column in sorted(dict.fromkeys(columns), key=lambda name: _cost(table, name)):
        # Compared with few others, text need not be read in all rows.
        values, _ = pd.factorize(table.X[column].iloc[rows])
        pairs = same * (len(rows) + 1) + values + 1
        rows, same = _not_alone(rows, pd.factorize(pairs)[0])
    return rows, same


def _cost(table: Table, name: str) -> tuple[bool, int]:
    """Give a key that puts first what tells most rows apart, and text last."""
    column = table.columns[name]
    return column.kind in TEXT_KINDS, -column.n_distinct


def _not_alone(
    rows: NDArray[np.intp], same: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    several = np.bincount(same)[same] > 1
    return rows[several], same[several]


def _n_seen(scored: NDArray[np.intp], seen: NDArray[np.intp]) -> int:
    return int(np.isin(scored, seen[seen >= 0]).sum())


def giveaways(
    X_train: NDArray[np.float64],
    y_train: NDArray[np.float64],
    X_val: NDArray[np.float64],
    y_val: NDArray[np.float64],
    names: Sequence[str],
    level: float,
) -> list[str]:
    """Give a line for each column that alone predicts the target almost without error.

    A small tree is trained on each with half of a sample of the rows, and scored on the other
    half: by the target, and by its rank, because in a target with a long tail the few greatest
    values are all that R² sees. The halves are drawn at random whatever the split is: where it is
    by time, validation targets may lie beyond all that a tree was trained on.

    Parameters
    ----------
    X_train, X_val
        What a model sees, (n_rows, n_features), with NaN where a value is missing.
    names
        The table's column that each column of the matrices was made from.
    level
        R² above which a column is named.
    """
    train, val = _sample(len(y_train)), _sample(len(y_val))
    n_rows = len(train) + len(val)
    if n_rows < 2 * _MIN_ROWS:  # chance alone may fit a few rows
        return []
    order = np.random.default_rng(0).permutation(n_rows)
    y = np.concatenate([y_train[train], y_val[val]])[order]
    targets = _with_ranks(y, n_rows // 2)
    made_from = np.array(names)
    lines = []
    for name in dict.fromkeys(names):
        own = made_from == name
        X = np.concatenate([X_train[np.ix_(train, own)], X_val[np.ix_(val, own)]])[order]
        plain, of_ranks = _r2(X, targets, n_rows // 2)
        if max(plain, of_ranks) <= level:
            continue
        r2 = f"R² {plain:.3f}" if plain > level else f"R² {of_ranks:.3f} of its ranks"
        lines.append(
            f"{name} alone predicts the target of held-out rows with {r2}, above {level:g}: if it "
            "is not known at prediction time, leave it out with "
            f"{setting('data.drop', [name])} or features.columns=[...]"
        )
    return lines


def _sample(n_rows: int) -> NDArray[np.intp]:
    if n_rows <= _SAMPLE:
        return np.arange(n_rows)
    return np.random.default_rng(0).choice(n_rows, _SAMPLE, replace=False)


def _with_ranks(y: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Give the targets and their ranks among the n training targets, (n_rows, 2)."""
    ranked = np.sort(y[:n])
    ranks = np.searchsorted(ranked, y) + np.searchsorted(ranked, y, side="right")
    # Within -1..1, so that no square is too great.
    return np.column_stack([y / (np.abs(y).max() or 1.0), ranks / (2 * n)])


def _r2(X: NDArray[np.float64], targets: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Give R² of each target on the rows after the n training rows, (n_targets,)."""
    from sklearn.tree import DecisionTreeRegressor

    train, val = targets[:n], targets[n:]
    scale, variance = train.std(axis=0), val.var(axis=0)
    if not (scale.all() and variance.all()):
        return np.zeros(targets.shape[1])
    codes = _codes(X, train[:, 1])
    tree = DecisionTreeRegressor(
        min_samples_leaf=_MIN_LEAF, max_leaf_nodes=_MAX_LEAVES, random_state=0
    )
    tree.fit(codes[:n], train / scale)
    errors = val - tree.predict(codes[n:]) * scale
    r2: NDArray[np.float64] = 1 - np.square(errors).mean(axis=0) / variance
    return r2


def _codes(X: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give a matrix in which a tree finds the same, sooner.

    A tree sees only the order, and reads single precision, which great numbers exceed: so each
    column becomes the ranks of its values. The many columns of one category become one, with the
    categories in the order of their mean target.
    """
    if X.shape[1] > 1:
        weights = np.random.default_rng(0).integers(2**64, size=X.shape[1], dtype=np.uint64)
        hashes = (X + 0.0).view(np.uint64) @ weights
        numbers, found = pd.factorize(hashes)
        if len(found) <= X.shape[1] + 1:
            known = numbers[: len(target)]
            n_rows = np.bincount(known, minlength=len(found))
            sums = np.bincount(known, target, minlength=len(found))
            means = np.where(n_rows, sums / np.maximum(n_rows, 1), target.mean())
            X = means[numbers, None]
    return np.column_stack([np.unique(x, return_inverse=True)[1] for x in X.T]).astype(np.float32)
