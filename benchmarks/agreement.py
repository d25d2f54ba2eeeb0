"""Measure what it costs to compare a study with its runs.

Run: uv run python benchmarks/agreement.py    (5,000 trials: some five minutes, mostly of filling)

A study gets finished trials of seven parameters and four steps, each with a run in MLflow, both in
SQLite. Then they are compared: as the command does it, which opens the study's database, and as
the end of a search does it, which has the study in memory. Seconds are those of the processor.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import track
from rich.table import Table

from popsearch import agreement, space
from popsearch.command import jobs
from popsearch.config import Config
from popsearch.outcome import Outcome, Point
from popsearch.study import StoredTrial, Study, stored
from popsearch.tracking import StoredRuns, StudyRecord, Tracker, open_tracker

NAME, URL, URI = "demo-gbr-0", "sqlite:///optuna.db", "sqlite:///mlflow.db"
SIZES = (20, 1_000, 5_000)
N_STEPS = 4
N_REPEATS = 3


def end_one(study: Study, tracker: Tracker) -> None:
    """Bring a trial to its end, as the search does, with made-up scores."""
    (asked,) = study.ask()
    run_id = tracker.start(asked.number, asked.params)
    study.link(asked, run_id)
    curve = []
    for step in range(1, N_STEPS + 1):
        val_mse = 100.0 + asked.number / 7 + 1 / step
        curve.append(Point(2 * step, 2 * step, val_mse, val_mse, val_mse, val_mse))
        study.report(asked, step, val_mse)
    outcome = Outcome(curve=curve, best_step=N_STEPS, fit_s=0.1)
    study.write_curve(asked)
    tracker.finish(run_id, outcome, outcome.scores(1.0))
    study.tell(asked, "complete", outcome.scores(1.0))


def best_of(trials: Callable[[], list[StoredTrial]], n_trials: int) -> str:
    """Give the least seconds of the processor of some comparisons that find no difference."""
    runs, taken = StoredRuns(URI), []
    for _ in range(N_REPEATS):
        started = time.process_time()
        found = agreement.settle(NAME, trials(), runs)
        taken.append(time.process_time() - started)
        assert (found.n_trials, found.n_at_work, found.disagreements) == (n_trials, 0, [])
    return f"{min(taken):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = sorted(parser.parse_args().sizes)
    words = ["model=gbr", "sampler=random", f"storage.url={URL}", f"tracking.uri={URI}"]
    (job,) = jobs([*words, "pruner=none"])
    cfg = Config(**job.sections)
    table = Table("trials", "the command: seconds", "at the end of a search: seconds")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        searched, _ = space.read(cfg.model.space, [], {})
        tracker = open_tracker(cfg.tracking, "demo")
        tracker.open_study(StudyRecord(NAME, {}, {}, "demo", 64 * "0", "made up"))
        study, n = Study(cfg, NAME, searched, N_STEPS), 0
        for size in sizes:
            for _ in track(range(n, size), f"up to {size:,} trials"):
                end_one(study, tracker)
            n = size
            command = best_of(lambda: stored.trials(URL, NAME), size)
            table.add_row(f"{size:,}", command, best_of(study.trials, size))
    Console().print(table)


if __name__ == "__main__":
    main()
