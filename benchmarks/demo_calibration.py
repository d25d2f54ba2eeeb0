"""Measure how near `popsearch.data.demo` comes to the deck, model by model, and to its own floor.

Run: uv run python benchmarks/demo_calibration.py            (all rows: about 4 minutes, one core)
     uv run python benchmarks/demo_calibration.py --rows 60000   (a look: half a minute)

The split is the deck's: 70/30 into training and test, seed 777. Its networks saw less: of 70 % of
the training rows, 70 % to learn from and 30 % to watch. So do the networks here.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from popsearch.data.demo import FULL_ROWS, generate

SEED = 777


def network(*widths: int) -> Any:
    """Return a network of these hidden widths, trained as the deck's were but stopped in time."""
    return make_pipeline(
        StandardScaler(),
        MLPRegressor(
            hidden_layer_sizes=widths,
            batch_size=128,
            learning_rate_init=1e-3,
            early_stopping=True,
            validation_fraction=0.3,
            n_iter_no_change=10,
            max_iter=100,
            random_state=SEED,
        ),
    )


# Name, the deck's test MSE, the model, and whether it gets the networks' smaller share of the rows.
MODELS: list[tuple[str, str, Any, bool]] = [
    ("linear regression", "212.32", LinearRegression(), False),
    ("gradient boosting", "185.05", GradientBoostingRegressor(random_state=SEED), False),
    ("histogram boosting", "-", HistGradientBoostingRegressor(random_state=SEED), False),
    (
        "histogram boosting, slow",
        "-",
        HistGradientBoostingRegressor(
            max_iter=1000,
            learning_rate=0.05,
            early_stopping=True,
            n_iter_no_change=50,
            random_state=SEED,
        ),
        False,
    ),
    ("network 128-64-32", "183.96", network(128, 64, 32), True),
    ("network 64-64", "175.61", network(64, 64), True),
]


def main() -> None:
    """Fit every model on generated rows and print its test MSE beside the deck's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=FULL_ROWS, help="rows to generate")
    n_rows = parser.parse_args().rows

    start = time.perf_counter()
    table, y, mean = generate(n_rows, SEED)
    generate_s = time.perf_counter() - start
    parts = train_test_split(table.to_numpy(), y, mean, test_size=0.3, random_state=SEED)
    X_train, X_test, y_train, y_test, _, mean_test = parts
    few = train_test_split(X_train, y_train, train_size=0.7, random_state=SEED)
    floor = float(np.mean((y_test - mean_test) ** 2))

    report = Table("model", "deck", "here", "above the floor", "seconds", title=f"{n_rows:,} rows")
    report.add_row(
        "mean of the training rows", "-", f"{np.mean((y_test - y_train.mean()) ** 2):.2f}"
    )
    for name, deck, model, as_network in MODELS:
        start = time.perf_counter()
        model.fit(*((few[0], few[2]) if as_network else (X_train, y_train)))
        fit_s = time.perf_counter() - start
        mse = float(np.mean((y_test - model.predict(X_test)) ** 2))
        report.add_row(name, deck, f"{mse:.2f}", f"{mse - floor:.2f}", f"{fit_s:.1f}")
    report.add_row("floor: the true mean", "-", f"{floor:.2f}", "0.00", f"{generate_s:.1f}")
    Console().print(report)
    Console().print(f"mean {y.mean():.2f}, variance {y.var():.2f}, zeros {np.mean(y == 0):.2%}")


if __name__ == "__main__":
    main()
