"""Measure what a trial costs when a study already holds many.

Run: uv run python benchmarks/many_trials.py               (10,000 trials: about ten minutes)
     uv run python benchmarks/many_trials.py --profile     (and where the time of the last goes)

A study is filled with finished trials; then popsearch's own loop runs some more on one copy of
the database, and a plain Optuna loop with the same sampler, pruner and reports on another. The
model costs nothing: its scores after four steps are a function of the parameters. What listens
asks for the best trial and the counts at every step, as the live line of a terminal does.
"""

import argparse
import contextlib
import cProfile
import os
import pstats
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import optuna
from rich.console import Console
from rich.progress import track
from rich.table import Table

from popsearch import space, sqlite
from popsearch.command import jobs
from popsearch.config import Config
from popsearch.interrupt import Interrupts
from popsearch.models import Machine, Scores
from popsearch.models.once import FittedOnce
from popsearch.outcome import Outcome
from popsearch.space import Params, Space
from popsearch.study import Study, samplers
from popsearch.tracking import StudyRecord, open_tracker
from popsearch.workers import local

URL = "sqlite:///optuna.db"
N_STEPS = 4
Timing = tuple[float, float]
SIZES = (100, 1_000, 3_000, 10_000)
_STATES = {True: optuna.trial.TrialState.PRUNED, False: optuna.trial.TrialState.COMPLETE}


def configured(model: str, tracking: str = "none") -> tuple[Config, Space]:
    """Give the configuration of a family and its space, without a table."""
    (job,) = jobs([f"model={model}", f"tracking={tracking}", f"storage.url={URL}"])
    cfg = Config(**job.sections)
    searched, _ = space.read(cfg.model.space, cfg.model.known_good, {})
    return cfg, searched


def curve(params: Params) -> list[float]:
    """Give the validation MSE after each step: a bowl over the place of each parameter."""
    places = [len(v) / 10 if isinstance(v, str) else float(v or 0) for v in params.values()]
    bowl = sum(float(np.tanh(place - 0.3)) ** 2 for place in places)
    return [1 + bowl + 1 / step for step in range(1, N_STEPS + 1)]


class Clock:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._s, self._cpu_s = time.perf_counter(), time.process_time()

    def ms(self, n: int) -> Timing:
        """Give milliseconds of each of n trials: by the clock, and of the processor."""
        s, cpu_s = time.perf_counter() - self._s, time.process_time() - self._cpu_s
        return 1000 * s / n, 1000 * cpu_s / n


# ---- the study that is there already ---------------------------------------------------------


def fill(model: str, before: Path | None, folder: Path, n_from: int, n_to: int) -> None:
    """Add finished trials at random points, two of three pruned, to a copy of what was before."""
    _, searched = configured(model)
    if before:
        shutil.copytree(before, folder)
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=URL, study_name="study", load_if_exists=True)
    rng = np.random.RandomState(n_from)
    distributions = {n: samplers.distribution(p) for n, p in searched.params.items()}
    source = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=n_from))
    for _ in range(n_from, n_to):
        drawn = source.ask(distributions)
        params: Params = {}
        for name in searched.active(params):
            params[name] = drawn.params[name]
        values, pruned = curve(params), rng.uniform() < 2 / 3
        values = values[: rng.randint(1, N_STEPS) if pruned else N_STEPS]
        attrs = {"worker": "elsewhere/1/0.00", "scores": scores(values), "mlflow_run_id": "0" * 32}
        study.add_trial(
            optuna.trial.create_trial(
                state=_STATES[pruned],
                value=values[-1],
                params=params,
                distributions={name: distributions[name] for name in params},
                user_attrs=attrs,
                intermediate_values=dict(enumerate(values, start=1)),
            )
        )


def scores(values: list[float]) -> dict[str, float]:
    """Give what popsearch keeps of a trial besides its curve."""
    names = ("best_resource", "best_step", "fit_s", "predict_s", "train_mae", "train_mse")
    return {**dict.fromkeys(names, 1.0), "val_mae": 1.0, "val_mse": values[-1], "val_r2": 0.5}


# ---- popsearch -------------------------------------------------------------------------------


class Training:
    """Costs nothing: its scores are known beforehand."""

    keeps_best: ClassVar[bool] = True

    def __init__(self, members: list[Params]) -> None:
        self.resources = [*range(1, N_STEPS + 1)]
        self._val, self._step = np.array([curve(params) for params in members]).T, 0

    def advance(self) -> Scores:
        """Give the scores of the next step."""
        val = self._val[self._step]
        self._step += 1
        return Scores(np.full(len(val), self._step), val / 2, val / 4, val, val / 8)

    def drop(self, members: Iterable[int]) -> None:
        """Do nothing: there is nothing to free."""


class Trainer:
    """Makes such trainings."""

    fidelities: ClassVar[list[int]] = [*range(1, N_STEPS + 1)]
    patience, population, val_variance = None, 1, 1.0
    machine, way, trial_timeout, n_objectives = Machine(), FittedOnce, None, 1
    most_begun, first_look, n_workers = 1, 1, 1

    def too_large(self, params: Params) -> str:
        """Refuse nothing."""
        return ""

    def training(self, members: list[Params]) -> Any:
        """Give the training of these parameter sets."""
        return Training(members)


class Listener:
    """Asks the study what a live line shows, whenever it hears something."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def trial_started(self, number: int) -> None:
        """Ask."""
        self._look()

    def step_done(self, number: int, step: int, n_steps: int, val_mse: float) -> None:
        """Ask."""
        self._look()

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Ask."""
        self._look()

    def trials_lost(self, n: int, reason: str) -> None:
        """Ask."""

    def _look(self) -> None:
        self._study.counts(), self._study.best()


def popsearch_loop(model: str, n_trials: int, tracking: str) -> Timing:
    """Search as ``popsearch.run`` does; give the ms of a trial."""
    cfg, searched = configured(model, tracking)
    study = Study(cfg, "study", searched, N_STEPS)
    tracker = open_tracker(cfg.tracking, "demo")
    tracker.open_study(StudyRecord("study", {}, {}, "demo", 64 * "a", ""))
    wanted = study.n_done() + n_trials
    with Interrupts(None) as interrupts:
        # The first trial is not timed: what was read at the start is put in order with it.
        local.search(Trainer(), study, tracker, interrupts, Listener(study), wanted - n_trials + 1)
        clock = Clock()
        local.search(Trainer(), study, tracker, interrupts, Listener(study), wanted)
    return clock.ms(n_trials - 1)


# ---- by hand ---------------------------------------------------------------------------------


def plain_loop(model: str, n_trials: int, tracking: str) -> Timing:
    """Search with Optuna alone; give the ms of a trial."""
    _, searched = configured(model)
    sqlite.configure()  # the same way of writing to SQLite
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    study = optuna.load_study(
        study_name="study",
        storage=URL,
        sampler=optuna.samplers.TPESampler(multivariate=True, group=True, seed=0),
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=1),
    )
    distributions = {n: samplers.distribution(p) for n, p in searched.params.items()}
    _ = study.trials
    for i in range(n_trials):
        if i == 1:
            clock = Clock()
        trial = study.ask()
        params: Params = {}
        for name in searched.active(params):
            params[name] = trial._suggest(name, distributions[name])
        values, state = curve(params), optuna.trial.TrialState.COMPLETE
        for step, value in enumerate(values, start=1):
            trial.report(value, step)
            if step < N_STEPS and trial.should_prune():
                state = optuna.trial.TrialState.PRUNED
                break
        trial.set_user_attr("scores", scores(values))
        complete = state == optuna.trial.TrialState.COMPLETE
        study.tell(trial, values[-1] if complete else None, state)
    return clock.ms(n_trials - 1)


# ---- the comparison --------------------------------------------------------------------------

LOOPS = {"popsearch": popsearch_loop, "plain": plain_loop}


def measure(
    loop: str, model: str, n_trials: int, tracking: str, folder: str, profile: bool
) -> Timing:
    """Give ms per trial on a copy of a folder's databases, in a process of its own."""
    with tempfile.TemporaryDirectory() as copy, contextlib.chdir(copy):
        for file in Path(folder).glob("*.db*"):
            shutil.copy(file, copy)
        profiler = cProfile.Profile()
        with profiler if profile else contextlib.nullcontext():
            timing = LOOPS[loop](model, n_trials, tracking)
        if profile:
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
    return timing


def main() -> None:
    """Fill, time both loops at each size, and print a table with the growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", default=["ridge", "mlp"], help="families")
    parser.add_argument("--sizes", nargs="+", type=int, default=[*SIZES], help="finished trials")
    parser.add_argument("--trials", type=int, default=100, help="trials that are timed")
    parser.add_argument("--tracking", nargs="+", default=["none", "mlflow"])
    parser.add_argument("--keep", type=Path, help="folder for the filled studies, to use again")
    parser.add_argument("--profile", action="store_true", help="profile popsearch at the last size")
    args = parser.parse_args()
    report = Table(title=f"{args.trials} trials: ms / ms of the processor / to the first")
    report.add_column("family (parameters)")
    shown = [f"popsearch, {tracking}" for tracking in args.tracking]
    for column in ("trials there", *shown, "plain Optuna", "popsearch / plain"):
        report.add_column(column, justify="right")

    variants = [("popsearch", tracking) for tracking in args.tracking] + [("plain", "")]
    with (
        tempfile.TemporaryDirectory() as passing,
        ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool,
    ):
        for model in args.models:
            _, searched = configured(model)
            there, before, first = 0, None, {}
            for size in track(args.sizes, model, transient=True):
                folder = (args.keep or Path(passing)) / model / str(size)
                if not folder.exists():
                    pool.submit(fill, model, before, folder, there, size).result()
                there, before = size, folder
                cells, ms = [], {}
                for variant in variants:
                    profile = args.profile and size == args.sizes[-1] and variant[0] != "plain"
                    ms[variant] = pool.submit(
                        measure, variant[0], model, args.trials, variant[1], str(folder), profile
                    ).result()
                    total, cpu = ms[variant]
                    growth = cpu / first.setdefault(variant, cpu)
                    cells.append(f"{total:.0f} / {cpu:.1f} / {growth:.2f}")
                ratio = ms[variants[0]][1] / ms["plain", ""][1]
                family = f"{model} ({len(searched.params)})"
                report.add_row(family, f"{size:,}", *cells, f"{ratio:.2f}")
    Console().print(report)
    print("of the processor: what other work on the machine touches less; both ratios are of it")


if __name__ == "__main__":
    main()
