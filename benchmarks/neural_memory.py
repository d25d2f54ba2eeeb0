"""Measure whether a process that trains network after network grows.

Run: uv run python benchmarks/neural_memory.py   (200 trials on 1,500 rows: a quarter of an hour)

Each trial is another set of parameters drawn from the whole space of ``model=mlp``, so nearly
every one needs a program of its own; two epochs each. The process that trains them is replaced when
it has compiled many, and is counted in. Beside it: the same number of small models
made and fitted by Keras itself, with ``clear_session`` after each, in a process of its own.
"""

import argparse
import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import optuna
import psutil
import real_tracks
from rich.console import Console
from rich.progress import track
from rich.table import Table

from popsearch import trial
from popsearch.networks import backend
from popsearch.space import Params, Space
from popsearch.study import samplers


def resident_mib() -> float:
    """Give the memory that this process and those below it hold."""
    gc.collect()
    own = psutil.Process()
    return sum(p.memory_info().rss for p in (own, *own.children(recursive=True))) / 2**20


def draw(study: optuna.Study, space: Space) -> Params:
    """Give parameters drawn at random."""
    asked, params = study.ask(), Params()
    for name in space.active(params):
        params[name] = asked._suggest(name, samplers.distribution(space.params[name]))
    return params


def ours(n_trials: int, every: int) -> list[float]:
    """Give the memory after each so many trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    plan = real_tracks.plan("model=mlp", "data.rows=1500", "model.steps.budget=2")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=777))
    sizes = []
    for i in track(range(n_trials), "popsearch", transient=True):
        training = plan.training([draw(study, plan.space)])
        trial.Steps(training, 1, lambda *_: False, lambda *_: None, None).run()
        if (i + 1) % every == 0:
            sizes.append(resident_mib())
    return sizes


def by_hand(n_trials: int, every: int) -> list[float]:
    """Give the memory after each so many models of Keras."""
    backend.use("tensorflow")
    import keras

    rng = np.random.default_rng(777)
    X, y = rng.random((735, 13)), rng.random(735)
    sizes = []
    for i in track(range(n_trials), "keras.Model.fit", transient=True):
        widths = rng.integers(16, 128, size=rng.integers(1, 7))
        layers = [keras.layers.Dense(int(width), activation="relu") for width in widths]
        model = keras.Sequential([*layers, keras.layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(X, y, batch_size=128, epochs=2, verbose=0)
        keras.utils.clear_session()
        if (i + 1) % every == 0:
            sizes.append(resident_mib())
    return sizes


def main() -> None:
    """Run both, each in a process of its own, and print how they grow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=200)
    args = parser.parse_args()
    every = max(1, args.trials // 8)
    table = Table(title=f"MiB of memory after so many of {args.trials} trials")
    table.add_column("trained by")
    for i in range(every, args.trials + 1, every):
        table.add_column(str(i), justify="right")
    for name, work in (("popsearch", ours), ("keras.Model.fit", by_hand)):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            sizes = pool.submit(work, args.trials, every).result()
        table.add_row(name, *(f"{size:.0f}" for size in sizes))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
