"""Measure what a trial costs beyond its fit, in popsearch and in a loop written by hand.

Run: uv run python benchmarks/overhead.py                (three searches of each: four minutes)
     uv run python benchmarks/overhead.py --trials 400   (does it grow with the study?)

Every variant searches ridge regression with the same points, the same three rungs of rows and the
same pruner, in a fresh process and a fresh folder. Only the loop is timed: data, databases and
imports are ready before. Fit is the time inside fit, predict and scoring; overhead is the rest.
"""

import argparse
import contextlib
import hashlib
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import real_tracks
from rich.console import Console
from rich.progress import track
from rich.table import Table

from popsearch.models import Scores, Training
from popsearch.plan import Plan
from popsearch.space import Params


@dataclass(frozen=True)
class Timing:
    """Seconds of one search, by the clock and of the processor, and what it found."""

    total_s: float
    fit_s: float
    total_cpu_s: float
    fit_cpu_s: float
    points: str
    states: str


class Clock:
    """Adds up the time between ``start`` and ``stop``, by the clock and of the processor."""

    def __init__(self) -> None:
        self.s = self.cpu_s = 0.0

    def start(self) -> None:
        """Begin a stretch."""
        self._s, self._cpu_s = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """End the stretch."""
        self.s += time.perf_counter() - self._s
        self.cpu_s += time.process_time() - self._cpu_s


Clocks = tuple[Clock, Clock]
"""Of the whole loop, and inside the fits."""


# ---- popsearch -----------------------------------------------------------------------------


class TimedTrainer:
    """A plan whose trainings add the time of their steps to a clock."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self.clock = plan, Clock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plan, name)

    def training(self, members: list[Params]) -> Training:
        """Give the plan's training, with the clock."""
        return _TimedTraining(self.clock, self._plan.training(members))


class _TimedTraining:
    def __init__(self, clock: Clock, inner: Training) -> None:
        self._clock, self._inner = clock, inner
        self.resources, self.keeps_best = inner.resources, inner.keeps_best

    def advance(self) -> Scores:
        self._clock.start()
        scores = self._inner.advance()
        self._clock.stop()
        return scores

    def drop(self, members: Iterable[int]) -> None:
        self._inner.drop(members)


def popsearch_loop(plan: Plan) -> Clocks:
    """Search as ``popsearch.run`` does, with system metrics where they are on."""
    from popsearch import provenance
    from popsearch.interrupt import Interrupts
    from popsearch.study import Study
    from popsearch.terminal import Terminal
    from popsearch.tracking import open_tracker
    from popsearch.workers import local

    trainer: Any = TimedTrainer(plan)
    loop = Clock()
    terminal = Terminal(plan, "benchmark")
    with Interrupts(plan.cfg.timeout) as interrupts:
        study = Study(plan.cfg, plan.study_name, plan.space, plan.fidelities[-1])
        tracker = open_tracker(plan.cfg.tracking, plan.table.name)
        tracker.open_study(provenance.record(plan, "benchmark"))
        local.recover(study, tracker)
        tracker.close_left_behind()
        wanted = plan.cfg.n_trials
        with tracker.watching(), terminal.searching(study, wanted, interrupts):
            loop.start()
            local.search(trainer, study, tracker, interrupts, terminal, wanted)
            loop.stop()
    return loop, trainer.clock


# ---- by hand -------------------------------------------------------------------------------


def hand_loop(plan: Plan, log: Callable[[dict[str, float], int], None]) -> Clocks:
    """Search with a loop as one would write it.

    Parameters
    ----------
    log
        Writes the metrics of one rung.
    """
    import mlflow
    import numpy as np
    import optuna
    from sklearn.linear_model import Ridge

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    rows, cfg = plan.rows, plan.cfg
    X_val, y_val = rows.X_val, rows.y_val
    n = len(rows.y_train)
    rungs = [round(fraction * n) for fraction in (0.1111, 0.3333, 1.0)]
    loop, fits = Clock(), Clock()

    def objective(trial: optuna.Trial) -> float:
        params = {"alpha": trial.suggest_float("alpha", 1e-4, 1e4, log=True)}
        with mlflow.start_run(run_name=f"trial {trial.number}", nested=True):
            mlflow.log_params(params)
            for step, rung in enumerate(rungs, start=1):
                fits.start()
                X_train, y_train = rows.X_train[:rung], rows.y_train[:rung]
                model = Ridge(**params, random_state=cfg.seed).fit(X_train, y_train)
                train, val = y_train - model.predict(X_train), y_val - model.predict(X_val)
                metrics = {
                    "train_mse": float(np.mean(train**2)),
                    "train_mae": float(np.mean(np.abs(train))),
                    "val_mse": float(np.mean(val**2)),
                    "val_mae": float(np.mean(np.abs(val))),
                }
                fits.stop()
                log({f"curve/{name}": value for name, value in metrics.items()}, rung)
                trial.report(metrics["val_mse"], step)
                pruned = step < len(rungs) and trial.should_prune()
                if pruned:
                    break
            mlflow.log_metrics({**metrics, "val_r2": 1 - metrics["val_mse"] / plan.val_variance})
        if pruned:
            raise optuna.TrialPruned
        return metrics["val_mse"]

    # The sampler's seed that popsearch takes for a new study, so that the points are the same.
    seed = int(hashlib.sha256(f"{cfg.seed}/0".encode()).hexdigest()[:8], 16)
    study = optuna.create_study(
        storage="sqlite:///optuna.db",
        study_name="ridge",
        sampler=optuna.samplers.TPESampler(multivariate=True, seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    for params in plan.space.known_good:
        study.enqueue_trial(params)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("tracks")
    with mlflow.start_run(run_name="ridge"):
        loop.start()
        study.optimize(objective, n_trials=cfg.n_trials)
        loop.stop()
    return loop, fits


def log_one_by_one(metrics: dict[str, float], step: int) -> None:
    import mlflow

    for name, value in metrics.items():
        mlflow.log_metric(name, value, step=step)


def log_together(metrics: dict[str, float], step: int) -> None:
    import mlflow

    mlflow.log_metrics(metrics, step=step)


# ---- the comparison ------------------------------------------------------------------------

MLFLOW = ("tracking=mlflow", "tracking.uri=sqlite:///mlflow.db")
VARIANTS: dict[str, tuple[Callable[[Plan], Clocks], tuple[str, ...]]] = {
    "A  popsearch": (popsearch_loop, MLFLOW),
    "A' no system metrics": (popsearch_loop, (*MLFLOW, "tracking.system_metrics=false")),
    "B  hand, log_metric": (lambda plan: hand_loop(plan, log_one_by_one), MLFLOW),
    "B' hand, log_metrics": (lambda plan: hand_loop(plan, log_together), MLFLOW),
    "C  popsearch, untracked": (popsearch_loop, ("tracking=none",)),
}


def measure(variant: str, overrides: Sequence[str]) -> Timing:
    """Run one variant in a fresh folder; to be called in a process of its own."""
    search, tracking = VARIANTS[variant]
    overrides = [*overrides, *tracking, "storage.url=sqlite:///optuna.db"]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what a search prints costs its time, but is not for this terminal
    os.dup2(nowhere, 2)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        plan = real_tracks.plan("model=ridge", *overrides)
        _ = plan.rows
        loop, fits = search(plan)
        import optuna

        found = optuna.load_study(study_name=None, storage="sqlite:///optuna.db").trials
    points = [(t.state.name, t.params["alpha"]) for t in found]
    states = [state for state, _ in points]
    counts = ", ".join(f"{states.count(s)} {s.lower()}" for s in sorted(set(states)))
    digest = hashlib.sha256(repr(points).encode()).hexdigest()
    return Timing(loop.s, fits.s, loop.cpu_s, fits.cpu_s, digest, counts)


def main() -> None:
    """Time every variant, one after another and again, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=real_tracks.DEFAULT, help=real_tracks.HELP)
    parser.add_argument("--trials", type=int, default=100, help="trials of each search")
    parser.add_argument("--repeats", type=int, default=3, help="searches of each variant")
    parser.add_argument("--only", default="", help="letters of the variants, as in AC; else all")
    args = parser.parse_args()
    chosen = [name for name in VARIANTS if not args.only or name[0] in args.only]
    overrides = [*real_tracks.choose(args.data), f"n_trials={args.trials}"]
    # Idle threads of the linear algebra wait by spinning: on two shared cores that slows a fit of
    # 6 ms to 25 ms at random, and would be counted as overhead too. Heard by the new processes.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"

    timings: dict[str, list[Timing]] = {name: [] for name in chosen}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name in track(chosen * args.repeats, "searching", transient=True):
            timings[name].append(pool.submit(measure, name, overrides).result())

    report = Table(title=f"ms a trial, {args.trials} trials, median of {args.repeats} searches")
    report.add_column("variant")
    for column in ("total", "fit", "overhead", "from-to", "cpu", "to A's"):
        report.add_column(column, justify="right")

    def median(seconds: Iterable[float]) -> float:
        return statistics.median(seconds) / args.trials * 1000

    overheads = {n: [t.total_s - t.fit_s for t in found] for n, found in timings.items()}
    first = median(overheads[chosen[0]])
    for name, found in timings.items():
        overhead = overheads[name]
        report.add_row(
            name,
            f"{median(t.total_s for t in found):.1f}",
            f"{median(t.fit_s for t in found):.1f}",
            f"{median(overhead):.1f}",
            f"{median([min(overhead)]):.0f}-{median([max(overhead)]):.0f}",
            f"{median(t.total_cpu_s - t.fit_cpu_s for t in found):.1f}",
            f"{median(overhead) / first:.2f}",
        )
    Console().print(report)
    print("cpu: processor time of the overhead, which other work on the machine touches less")
    all_timings = [t for found in timings.values() for t in found]
    if len({t.points for t in all_timings}) == 1:
        print(f"every search ran the same trials: {all_timings[0].states}")
    else:
        for name, found in timings.items():
            print(f"{name} ran trials of its own: {found[0].states}")


if __name__ == "__main__":
    main()
