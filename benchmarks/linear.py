"""Measure what linear trials cost when rows are condensed once, against a fit on all rows each.

Run: uv run python benchmarks/linear.py   (five minutes)

Both ways train the same parameter sets on the same rows, one after the other, each set to its
last step without pruning, and score training and validation rows at every step. Condensing the
rows, which the first trial does, is counted. BLAS has one thread, as in a search.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import real_tracks
from rich.console import Console
from rich.progress import track
from rich.table import Table

from popsearch import threads
from popsearch.models import Rows, WayOfTraining
from popsearch.models.linear import LeastSquares
from popsearch.models.once import FittedOnce
from popsearch.plan import Plan
from popsearch.space import Params

FAMILIES = ("ridge", "lasso", "elastic_net")


@dataclass(frozen=True)
class Timing:
    """Seconds of the first trial and of all, and the last validation MSE of each, (n_trials,)."""

    first_s: float
    all_s: float
    val_mse: np.ndarray


def drawn(plan: Plan, n_trials: int) -> list[Params]:
    """Give the known-good sets, then random ones; the same for every call."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sets = list(plan.space.known_good)[:n_trials]
    while len(sets) < n_trials:
        trial, params = study.ask(), Params()
        for name, param in plan.cfg.model.space.items():
            assert param.type == "float"
            params[name] = trial.suggest_float(name, param.low, param.high, log=param.log)
        sets.append(params)
    return sets


def timed(way: type[WayOfTraining], plan: Plan, sets: Sequence[Params]) -> Timing:
    """Train every set, on rows that nothing was condensed of yet."""
    kept = plan.rows
    rows = Rows(kept.X_train, kept.y_train, kept.X_val, kept.y_val)
    began, first_s, val_mse = time.perf_counter(), 0.0, []
    for params in sets:
        training = way(plan.cfg.model, [params], rows)
        for _ in training.resources:
            scores = training.advance()
        val_mse.append(scores.val_mse[0])
        first_s = first_s or time.perf_counter() - began
    return Timing(first_s, time.perf_counter() - began, np.array(val_mse))


def main() -> None:
    """Time both ways, one after the other and again, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=real_tracks.DEFAULT, help=real_tracks.HELP)
    parser.add_argument("--trials", type=int, default=200, help="trials of each family")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of all trials")
    parser.add_argument("--features", nargs="+", default=["audio", "catalogue"])
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    args = parser.parse_args()
    overrides = real_tracks.choose(args.data)

    report = Table(title=f"ms a trial, {args.trials} trials, median of {args.repeats} (from-to)")
    for column in ("features", "family"):
        report.add_column(column)
    columns = ("rows", "columns", "all rows", "condensed", "first", "ratio", "MSE differs by")
    for column in columns:
        report.add_column(column, justify="right")

    def shown(seconds: Sequence[float], n_trials: int) -> str:
        low, middle, high = (
            f"{of(seconds) / n_trials * 1000:.1f}" for of in (min, statistics.median, max)
        )
        return f"{middle} ({low}-{high})"

    for features in args.features:
        for family in args.families:
            plan = real_tracks.plan(f"model={family}", f"features={features}", *overrides)
            sets, (n_rows, n_columns) = drawn(plan, args.trials), plan.rows.X_train.shape
            plain, ours = [], []
            with threads.limited(n_rows), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a weak penalty does not always converge
                for _ in track(range(args.repeats), f"{features} {family}", transient=True):
                    plain.append(timed(FittedOnce, plan, sets))
                    ours.append(timed(LeastSquares, plan, sets))
            plain_s, ours_s = ([t.all_s for t in timings] for timings in (plain, ours))
            difference = np.abs(ours[0].val_mse / plain[0].val_mse - 1).max()
            report.add_row(
                features,
                family,
                f"{n_rows:,}",
                str(n_columns),
                shown(plain_s, args.trials),
                shown(ours_s, args.trials),
                f"{statistics.median(t.first_s for t in ours) * 1000:.0f}",
                f"{statistics.median(plain_s) / statistics.median(ours_s):.1f}",
                f"{difference:.0e}",
            )
    Console(width=130).print(report)
    print("first: the first condensed trial, which condenses the rows of every step")
    print("ratio: time on all rows to time on condensed rows")


if __name__ == "__main__":
    main()
