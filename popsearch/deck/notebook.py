"""The deck's notebook done again, with its flaws: nothing else should do as it does."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from popsearch.data import Table
from popsearch.deck.figures import SEED
from popsearch.errors import printable
from popsearch.models import Rows, Scores, TrainingDied
from popsearch.models.training import OneByOne, score

EPOCHS = {"network": 500, "network_batch_norm": 300}


@dataclass(frozen=True, eq=False)
class Notebook:
    """The rows as the notebook cut them.

    Parameters
    ----------
    judged
        Training and test rows: the six models of scikit-learn were chosen by their test error.
    curves
        Training and validation rows of the networks, whose errors were read from curves.
    """

    judged: Rows
    curves: Rows


def cut(table: Table, columns: Sequence[str], order_by: str | None) -> Notebook:
    """Give the rows as the notebook cut them.

    In order of release; the scaler is fitted on all rows, those of the test too; 30 % are the
    test; and the step that sets 30 % of the others aside for validation is run twice, so that
    the first 30 % are not used at all by the networks.

    Parameters
    ----------
    columns
        The features, numbers without a gap.
    order_by
        The column of the release, none leaves rows as they come.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import MinMaxScaler

    X = table.X[list(columns)].to_numpy(dtype=np.float64)
    rows = np.arange(table.n_rows)
    if order_by is not None:
        rows = np.argsort(table.X[order_by].to_numpy(), kind="stable")
    X, y = MinMaxScaler().fit_transform(X[rows]), table.y[rows]
    half = {"test_size": 0.3, "random_state": SEED}
    X_train, X_test, y_train, y_test = train_test_split(X, y, **half)
    X_kept, _, y_kept, _ = train_test_split(X_train, y_train, **half)
    X_fit, X_val, y_fit, y_val = train_test_split(X_kept, y_kept, **half)
    return Notebook(Rows(X_train, y_train, X_test, y_test), Rows(X_fit, y_fit, X_val, y_val))


class Fitted(OneByOne):
    """One of the notebook's six models of scikit-learn: fitted once, judged on the test rows."""

    keeps_best: ClassVar[bool] = False

    def __init__(self, name: str, rows: Rows) -> None:
        self._name, self._rows = name, rows
        self.resources: Sequence[int] = [len(rows.y_train)]

    def advance(self) -> Scores:
        """Fit it and score it, the forest with the tree's predictions."""
        rows = self._rows
        self._fitted = _estimators()[self._name]().fit(rows.X_train, rows.y_train)
        if self._name == "random_forest":
            self._fitted = _estimators()["decision_tree"]().fit(rows.X_train, rows.y_train)
        train, val = (self._fitted.predict(X) for X in (rows.X_train, rows.X_val))
        return score(rows, self.resources[0], train, val)

    def drop(self, members: Iterable[int]) -> None:
        """Do nothing: there is one step."""

    def model(self, member: int, step: int) -> Any:
        """Give what the notebook took for the model."""
        return self._fitted


class Network(OneByOne):
    """One of the notebook's networks: Keras' own fit in a process of its own, epoch by epoch."""

    keeps_best: ClassVar[bool] = False  # the figure is where the curve ends

    def __init__(self, name: str, rows: Rows, epochs: int) -> None:
        self._name, self._rows = name, rows
        self.resources: Sequence[int] = range(1, epochs + 1)
        self._process: subprocess.Popen[str] | None = None

    def advance(self) -> Scores:
        """Wait for the end of an epoch.

        Raises
        ------
        TrainingDied
            If the process ended before.
        """
        try:
            process = self._process or self._start()
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait()
                self._errors.seek(0)
                why = printable(self._errors.read().decode(errors="replace").strip()[-300:])
                code = process.returncode
                raise TrainingDied(f"the process that trains ended (exit code {code}): {why}")
        except BaseException:
            self.drop([0])
            raise
        errors = json.loads(line)
        return Scores(
            np.array([errors["epoch"]]),
            *(np.array([errors[k]]) for k in ("train_mse", "train_mae", "val_mse", "val_mae")),
        )

    def drop(self, members: Iterable[int]) -> None:
        """End the process, unless nobody is to be dropped."""
        if list(members) and self._process is not None:
            self._process.kill()
            self._process.wait()
            self._folder.cleanup()

    def _start(self) -> "subprocess.Popen[str]":
        self._folder = tempfile.TemporaryDirectory(prefix="popsearch-deck-")
        self._errors = (Path(self._folder.name) / "errors").open("w+b")
        file = Path(self._folder.name) / "rows.npz"
        np.savez(file, **vars(self._rows))
        words = [self._name, str(len(self.resources)), str(file)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "popsearch.deck.network", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        return self._process


def _estimators() -> dict[str, Callable[[], Any]]:
    """Give what makes each of the notebook's models of scikit-learn."""
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import Lasso, LinearRegression, Ridge
    from sklearn.tree import DecisionTreeClassifier

    return {
        "linear": LinearRegression,
        "lasso": lambda: Lasso(alpha=0.01),
        "ridge": lambda: Ridge(alpha=5.0),
        # The notebook gave the tree no seed; with one it is the same tree both times.
        "decision_tree": lambda: DecisionTreeClassifier(
            criterion="entropy", max_depth=3, random_state=SEED
        ),
        "random_forest": lambda: RandomForestRegressor(n_estimators=5, random_state=0),
        "gbr": lambda: GradientBoostingRegressor(random_state=SEED),
    }
