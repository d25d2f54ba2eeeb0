"""Measure what looking at every step costs: one plain fit against one advanced step by step.

Run: uv run python benchmarks/steps.py   (three fits of each kind: five minutes)

The plain fit is the library's own, with the family's first known-good parameters and its whole
budget, and one prediction each of training and validation rows. popsearch takes all its steps,
without patience, and scores both sets of rows after each. The models must come out the same.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import real_tracks
from rich.console import Console
from rich.progress import track
from rich.table import Table

from popsearch import models
from popsearch.family import StageSteps
from popsearch.models import Rows
from popsearch.plan import Plan

FAMILIES = {  # how many training rows
    "hist_gbr": None,
    "gbr": 10_000,
    "random_forest": 10_000,
    "lightgbm": None,
    "xgboost": None,
    "catboost": None,
}
# The same number of threads for both.
THREADS = {"lightgbm": "n_jobs=1", "xgboost": "n_jobs=1", "catboost": "thread_count=2"}
# Left to itself the library sets rows aside and stops early, which would be another model.
PLAIN = {"hist_gbr": {"early_stopping": False}}


def some_rows(plan: Plan, n: int | None) -> Rows:
    """Give the plan's rows, with the first ``n`` of the training rows; they are in random order."""
    rows = plan.rows
    return Rows(rows.X_train[:n], rows.y_train[:n], rows.X_val, rows.y_val)


def plain_fit(plan: Plan, rows: Rows) -> tuple[float, Any]:
    """Give seconds of one fit and two predictions, and the model."""
    model = plan.cfg.model
    assert isinstance(model.steps, StageSteps)
    more = {model.steps.param: model.steps.budget, **PLAIN.get(model.name, {})}
    started = time.perf_counter()
    fitted = models.estimator.build(model, plan.space.known_good[0], **more)
    fitted.fit(rows.X_train, rows.y_train)
    fitted.predict(rows.X_train)
    fitted.predict(rows.X_val)
    return time.perf_counter() - started, fitted


def stepped_fit(plan: Plan, rows: Rows) -> tuple[float, Any, int]:
    """Give seconds of all steps, the model after the last, and how many steps there were."""
    started = time.perf_counter()
    way = models.way_of_training(plan.cfg.model)
    training = way(plan.cfg.model, [plan.space.known_good[0]], rows)
    for _ in training.resources:
        training.advance()
    training.drop([0])
    fitted = training.model(0, len(training.resources) - 1)
    return time.perf_counter() - started, fitted, len(training.resources)


def shown(seconds: list[float]) -> str:
    """Give the median, and from where to where the others lie."""
    return f"{statistics.median(seconds):.1f} ({min(seconds):.1f}-{max(seconds):.1f})"


def main() -> None:
    """Time both ways, one after the other and again, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=real_tracks.DEFAULT, help=real_tracks.HELP)
    parser.add_argument("--repeats", type=int, default=3, help="fits of each kind")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    args = parser.parse_args()
    overrides = real_tracks.choose(args.data)

    report = Table(title=f"seconds, median of {args.repeats} fits")
    report.add_column("family")
    columns = ("rows", "budget", "steps", "plain", "stepped", "ratio", "differ by")
    for column in columns:
        report.add_column(column, justify="right")
    for family in args.families:
        threads = [f"+model.fixed.{THREADS[family]}"] if family in THREADS else []
        plan = real_tracks.plan(f"model={family}", *threads, *overrides)
        rows = some_rows(plan, FAMILIES[family])
        plain, stepped = [], []
        for _ in track(range(args.repeats), family, transient=True):
            plain_s, one = plain_fit(plan, rows)
            stepped_s, other, n_steps = stepped_fit(plan, rows)
            plain.append(plain_s)
            stepped.append(stepped_s)
        difference = np.abs(one.predict(rows.X_val) - other.predict(rows.X_val)).max()
        assert isinstance(plan.cfg.model.steps, StageSteps)
        report.add_row(
            family,
            f"{len(rows.y_train):,}",
            str(plan.cfg.model.steps.budget),
            str(n_steps),
            shown(plain),
            shown(stepped),
            f"{statistics.median(stepped) / statistics.median(plain):.2f}",
            f"{difference:.1e}",
        )
    Console(width=100).print(report)


if __name__ == "__main__":
    main()
