"""Measure what the pictures and the report cost at the end of a study.

Run: uv run python benchmarks/pictures.py

A study of histogram boosting on the demo table is filled with finished trials at random points, two
of three pruned, with a curve each; nothing is trained but the winner. Then the command is given
that such a study ends with: it opens the test rows, draws, and writes the report to its folder and
to MLflow. Each size is measured in a process of its own, so imports of plotting libraries count.
"""

import contextlib
import io
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import wraps
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

SIZES = (20, 1_000)
SETTINGS = ("model=hist_gbr", "report=true", "data.rows=20000", "max_failures=null")
Cost = dict[str, float]


def fill(cfg: Any, n: int) -> None:
    """Store a study of this configuration with n trials that ended."""
    import optuna

    from popsearch.plan import prepare
    from popsearch.study import Study, samplers

    plan = prepare(cfg)
    url, name = cfg.storage.url, plan.study_name
    Study(cfg, name, plan.space, plan.fidelities[-1]).close()
    study = optuna.load_study(study_name=name, storage=url)
    for queued in study.get_trials(deepcopy=False):  # what is known to be good is not tried here
        study._storage.set_trial_state_values(queued._trial_id, optuna.trial.TrialState.FAIL)
    rng, source = (
        np.random.default_rng(0),
        optuna.create_study(sampler=optuna.samplers.RandomSampler(0)),
    )
    distributions = {key: samplers.distribution(param) for key, param in plan.space.params.items()}
    for i in range(n - len(study.get_trials(deepcopy=False))):
        params = source.ask(distributions).params
        low, steps = 180 + 40 * rng.random(), np.arange(1, plan.n_steps + 1)
        curve = np.minimum.accumulate(
            low + 150 * np.exp(-steps / 6) + rng.normal(0, 0.3, len(steps))
        )
        pruned = i % 3 > 0
        curve = curve[: rng.integers(3, len(curve)) if pruned else len(curve)]
        scores = {"val_mse": curve[-1], "val_mae": 1.0, "best_step": len(curve), "fit_s": 1.0,
                  "best_resource": 10 * len(curve), "train_mse": 1.0, "train_mae": 1.0}  # fmt: skip
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.PRUNED
                if pruned
                else optuna.trial.TrialState.COMPLETE,
                value=curve[-1],
                params=params,
                distributions=distributions,
                user_attrs={"worker": "elsewhere/1/0.00", "scores": scores},
                intermediate_values=dict(zip(map(int, steps), curve.tolist(), strict=False)),
            )
        )


def timed(call: Callable[..., Any], spent: Cost, name: str) -> Callable[..., Any]:
    """Give the function with a clock: by the wall, of the processor, and of the memory's peak."""

    @wraps(call)
    def measured(*args: Any) -> Any:
        s, cpu_s, mib = time.perf_counter(), time.process_time(), peak_mib()
        try:
            return call(*args)
        finally:
            spent[f"{name}_s"] = time.perf_counter() - s
            spent[f"{name}_cpu_s"] = time.process_time() - cpu_s
            spent["mib"] = spent.get("mib", 0.0) + peak_mib() - mib

    return measured


def peak_mib() -> float:
    """Give the largest size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(n: int) -> Cost:
    """Give what the end of a study of n trials costs, and the same command once more."""
    from popsearch import run as straight_line
    from popsearch.command import jobs
    from popsearch.config import Config
    from popsearch.pictures.album import Album

    run = straight_line.run
    straight_line._settle = lambda *_: None  # would make a run for each of the filled trials
    spent: Cost = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        (job,) = jobs([*SETTINGS, f"n_trials={n - 10}"])
        cfg = Config(**job.sections)
        fill(cfg, n)
        Album.opened = timed(Album.opened, spent, "test")  # type: ignore[method-assign]
        Album.write = timed(Album.write, spent, "search")  # type: ignore[method-assign]
        run(cfg, Path(folder), "")
        spent["report_mib"] = (Path(folder) / "report.html").stat().st_size / 2**20
        files = [path for path in Path(folder, "mlruns").rglob("*") if "plots" in path.parts]
        spent["mlflow_mib"] = sum(path.stat().st_size for path in files if path.is_file()) / 2**20
        first = {**spent}
        run(cfg, Path(folder), "")
        return {**first, "again_s": spent["search_s"]}


def main() -> None:
    """Measure each size and print the table."""
    table = Table(title="seconds (of the processor) and MiB")
    for name in ("trials", "test rows", "search, report", "again", "memory", "report", "plots/"):
        table.add_column(name, justify="right")
    for n in SIZES:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            cost = process.submit(measure, n).result()
        table.add_row(
            f"{n:,}",
            *(f"{cost[f'{k}_s']:.1f} ({cost[f'{k}_cpu_s']:.1f})" for k in ("test", "search")),
            f"{cost['again_s']:.4f}",
            *(f"{cost[key]:.1f}" for key in ("mib", "report_mib", "mlflow_mib")),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
