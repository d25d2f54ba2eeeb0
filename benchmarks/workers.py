"""Measure what several workers gain, and how many trials a second a shared database takes.

Run: uv run python benchmarks/workers.py           (half an hour)
     uv run python benchmarks/workers.py scaling   (the first part only; or: rate, growth)

scaling: the same grid of hist_gbr, so that all search the same points, by one process on one core,
by one on all cores, and by two workers in turn: seconds from the first trial's begin to the last
one's end, and of the whole command. rate: a model that does nothing, on PostgreSQL with
tracking=none: trials a second while all workers are at it, with more and more workers. growth: one
study of that model with TPE and 10,000 trials by two workers: what a trial costs as it grows.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from databases import postgres_server
from popsearch import postgres

GRID = [
    "model=hist_gbr", "sampler=grid", "sampler.n_points=6", "n_trials=36", "pruner=none",
    "model.known_good=[]", "model.steps.budget=200", "~model.space.min_samples_leaf",
    "~model.space.l2_regularization", "~model.space.max_features", "report=false",
]  # fmt: skip
NOTHING = """
name: nothing
estimator: sklearn.dummy.DummyRegressor
training: popsearch.models.once.FittedOnce
steps: {kind: rows, fractions: [1.0]}
scaler: none
missing: impute
fixed: {strategy: quantile}
space:
  quantile: {type: float, low: 0.0, high: 1.0}
known_good: []
"""
MANY = 1_000_000
WINDOW = 400  # trials over which a rate is taken


def seconds(words: list[str], folder: str, n_cores: int | None = None) -> float:
    """Give how long a command takes, on so many cores."""

    def bind() -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores])

    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "popsearch", *words],
        cwd=folder,
        preexec_fn=bind,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - began


def scaling(rows: list[int], ways: list[tuple[int, int | None]], repeats: int) -> None:
    """Print how long one grid takes with so many workers, on so many cores."""
    table = Table(title="hist_gbr, a grid of 36 points")
    for column in ("rows", "workers", "cores", "search s", "times as fast", "command s"):
        table.add_column(column, justify="right")
    for n_rows in rows:
        taken: dict[tuple[int, int | None], list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(repeats):
            for n, n_cores in ways:
                with tempfile.TemporaryDirectory() as folder:
                    words = [*GRID, f"data.rows={n_rows}", f"workers={n}"]
                    whole = seconds(words, folder, n_cores)
                    taken[n, n_cores].append((_searched_s(f"sqlite:///{folder}/optuna.db"), whole))
                    print(n_rows, n, n_cores, taken[n, n_cores][-1], flush=True)
        one = statistics.median(search for search, _ in taken[ways[0]])
        for (n, n_cores), all_s in taken.items():
            search, whole = (statistics.median(each) for each in zip(*all_s, strict=True))
            cores = "all" if n_cores is None else str(n_cores)
            figures = [f"{search:.1f}", f"{one / search:.2f}", f"{whole:.1f}"]
            table.add_row(f"{n_rows:,}", str(n), cores, *figures)
    Console(width=100).print(table)


def _searched_s(storage: str) -> float:
    """Give the seconds between the first trial's begin and the last one's end."""
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    began = min(t.datetime_start for t in trials if t.datetime_start)
    return (max(t.datetime_complete for t in trials if t.datetime_complete) - began).total_seconds()


def rate(n_workers: list[int], window_s: float) -> None:
    """Print how many trials a second so many workers run in one study on PostgreSQL."""
    table = Table(title="a model that does nothing, PostgreSQL, tracking=none")
    for column in ("workers", "trials in it", "trials a second", "ms a trial and worker"):
        table.add_column(column, justify="right")
    for n in n_workers:
        with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
            (Path(folder) / "conf" / "model").mkdir(parents=True)
            (Path(folder) / "conf" / "model" / "nothing.yaml").write_text(NOTHING)
            words = [
                "--config-dir", "conf", "model=nothing", "data.rows=400", "storage=postgres",
                "tracking=none", "report=false", "pruner=none", "sampler=random",
                f"n_trials={MANY}", f"workers={n}", f"timeout={10 + 2 * n + 2 * window_s}",
            ]  # fmt: skip
            os.environ["POPSEARCH_STORAGE_URL"] = server.get_uri()
            seconds(words, folder)
            ends = _ends(server.get_uri(), n)
        rates = [len(ends) / (ends[-1] - ends[0])] if len(ends) > 1 else [0.0]
        table.add_row(str(n), str(len(ends)), f"{rates[0]:.1f}", f"{1000 * n / rates[0]:.1f}")
        print(f"{n} workers: {rates[0]:.1f} trials a second", flush=True)
    Console(width=100).print(table)


def growth(n_trials: int, n_workers: int) -> None:
    """Print what a trial costs as a study on PostgreSQL grows."""
    table = Table(title=f"TPE, a model that does nothing, PostgreSQL, {n_workers} workers")
    for column in ("trials there", "trials a second", "ms a trial and worker", "to the first"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        (Path(folder) / "conf" / "model").mkdir(parents=True)
        (Path(folder) / "conf" / "model" / "nothing.yaml").write_text(NOTHING)
        words = [
            "--config-dir", "conf", "model=nothing", "data.rows=400", "storage=postgres",
            "tracking=none", "report=false", f"n_trials={n_trials}", f"workers={n_workers}",
        ]  # fmt: skip
        os.environ["POPSEARCH_STORAGE_URL"] = server.get_uri()
        seconds(words, folder)
        ends = _ends(server.get_uri(), n_workers)
    first = None
    for at in (100, 500, 1_000, 2_000, 5_000, n_trials):
        window = ends[max(0, at - WINDOW) : at]
        ms = 1000 * n_workers * (window[-1] - window[0]) / (len(window) - 1)
        first = first or ms
        row = [f"{at:,}", f"{1000 * n_workers / ms:.1f}", f"{ms:.1f}", f"{ms / first:.2f}"]
        table.add_row(*row)
    Console(width=100).print(table)


def _ends(url: str, n_workers: int) -> list[float]:
    """Give when trials ended, in order, from when as many workers have had their first one."""
    storage = postgres.address(url)
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    first: dict[str, float] = {}
    for trial in trials:
        if trial.datetime_complete:
            first.setdefault(trial.user_attrs["worker"], trial.datetime_complete.timestamp())
    # One that has run 1,000 trials is replaced, so there may be more of them.
    assert len(first) >= n_workers, f"{len(first)} of {n_workers} workers had a trial"
    begin = sorted(first.values())[n_workers - 1]
    ends = sorted(t.datetime_complete.timestamp() for t in trials if t.datetime_complete)
    return [end for end in ends if end >= begin]


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", nargs="?", choices=("scaling", "rate", "growth"))
    parser.add_argument("--rows", type=int, nargs="+", default=[40_000, 160_000])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--window-s", type=float, default=15.0, help="in rate")
    parser.add_argument("--trials", type=int, default=10_000, help="in growth")
    args = parser.parse_args()
    if args.part in (None, "scaling"):
        scaling(args.rows, [(1, 1), (1, None), (2, None)], args.repeats)
    if args.part in (None, "rate"):
        rate(args.workers, args.window_s)
    if args.part in (None, "growth"):
        growth(args.trials, 2)


if __name__ == "__main__":
    main()
