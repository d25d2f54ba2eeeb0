"""Measure how much work a search needs for its answer, and how soon a good model is there.

Run: uv run python benchmarks/search.py            (real tracks: half an hour)
     uv run python benchmarks/search.py pruning    (the first part only; or: anytime)

pruning: gbr, 20 trials, on a part of the tracks, with each pruner and without one, in turn, the
same seeds. anytime: one search of each family for four minutes on all tracks, features=audio. Its
best trial at each moment is refitted afterwards and scored on the test rows, which only a
benchmark may do. Refits are not counted in the seconds: they run after the search.
"""

import argparse
import tempfile
import time
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

import real_tracks
from rich.console import Console
from rich.table import Table

from popsearch.interrupt import Interrupts
from popsearch.models.training import mse
from popsearch.outcome import Outcome
from popsearch.plan import Plan
from popsearch.report import duration
from popsearch.space import Params
from popsearch.study import Study
from popsearch.tracking import Tracker
from popsearch.workers import local

PRUNERS = (
    "none",
    "curve",
    "curve pruner.n_begun=1",
    "curve pruner.factor=1.5",
    "median",
    "hyperband",
)
FAMILIES = ("hist_gbr", "lightgbm", "xgboost")
TARGET = 87.4  # test MSE; what FLAML 2.7 reaches in 60 s
MOMENTS = (60, 240)


@dataclass
class Listener:
    """Writes down when which trial was the best."""

    study: Study
    began: float = field(default_factory=time.perf_counter)
    best: list[tuple[float, float, Params, int]] = field(default_factory=list)
    """Seconds, validation MSE, parameters and resource of each best trial so far."""

    def trial_started(self, number: int) -> None:
        """Do nothing."""

    def step_done(self, number: int, step: int, n_steps: int, val_mse: float) -> None:
        """Do nothing."""

    def trials_lost(self, n: int, reason: str) -> None:
        """Do nothing."""

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Write down a new best trial."""
        asked = self.study.best()
        if asked is not None and asked.number == number:
            resource = int(asked.scores["best_resource"])
            now = time.perf_counter() - self.began
            self.best.append((now, asked.scores["val_mse"], asked.params, resource))


def search(plan: Plan, n_trials: int, timeout: float | None) -> tuple[Listener, float, Study]:
    """Search as a command does, and give what was heard, the seconds and the study."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder), Interrupts(timeout) as interrupts:
        study = Study(plan.cfg, "study", plan.space, plan.fidelities[-1])
        listener = Listener(study)
        local.search(plan, study, Tracker(), interrupts, listener, n_trials)
        return listener, time.perf_counter() - listener.began, study


def pruning(data: list[str], left_out: float, repeats: int) -> None:
    """Print the time and the best score of gbr with each pruner."""
    table = Table(title="gbr, 20 trials: with pruners and without")
    for column in ("seed", "pruner", "training rows", "s", "to none", "best val MSE", "to none, %"):
        table.add_column(column, justify="right")
    for seed in range(repeats):
        base: tuple[float, float] | None = None
        for pruner in PRUNERS:
            more = [f"seed={seed}", *f"pruner={pruner}".split(), f"split.test_size={left_out}"]
            plan = real_tracks.plan("model=gbr", *more, *data)
            n_rows = plan.rows.y_train.size  # also encodes them before the clock starts
            listener, taken_s, _ = search(plan, 20, None)
            _, val_mse, _, _ = listener.best[-1]
            base = base or (taken_s, val_mse)
            against = (f"{taken_s / base[0]:.2f}", f"{100 * (val_mse / base[1] - 1):+.2f}")
            table.add_row(
                *(str(seed), pruner, f"{n_rows:,}", f"{taken_s:.1f}"),
                *(against[0], f"{val_mse:.3f}", against[1]),
            )
            print(f"gbr seed {seed} {pruner}: {taken_s:.0f} s, best {val_mse:.3f}", flush=True)
    Console(width=120).print(table)


def anytime(data: list[str], families: list[str]) -> None:
    """Print how soon a family's search has a model that is good on the test rows."""
    table = Table(title=f"one search of {duration(MOMENTS[-1])}, features=audio")
    for column in ("model", "trials", f"s to test MSE {TARGET}"):
        table.add_column(column, justify="right")
    for moment in MOMENTS:
        table.add_column(f"test MSE after {moment} s", justify="right")
    for family in families:
        plan = real_tracks.plan(f"model={family}", "n_trials=100000", *data)
        plan.rows  # noqa: B018  # encoded before the clock starts
        listener, _, study = search(plan, 100_000, MOMENTS[-1])
        X, y = plan.open_test()
        scored = [
            (at, mse(y - plan.refit(params, resource).predict(X)))
            for at, _, params, resource in listener.best
        ]
        reached = next((f"{at:.0f}" for at, test_mse in scored if test_mse <= TARGET), "-")
        n_trials = sum(study.counts().values())
        table.add_row(
            family, str(n_trials), reached, *(at_moment(scored, moment) for moment in MOMENTS)
        )
        print(f"{family}: {[(round(at), round(t, 2)) for at, t in scored]}", flush=True)
    Console(width=120).print(table)


def at_moment(scored: list[tuple[float, float]], moment: float) -> str:
    """Give the test MSE of what was best by then."""
    known = [test_mse for at, test_mse in scored if at <= moment]
    return f"{known[-1]:.2f}" if known else "-"


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", nargs="?", choices=("pruning", "anytime"))
    parser.add_argument(
        "--file", type=Path, default=Path(real_tracks.DEFAULT), help=real_tracks.HELP
    )
    parser.add_argument("--left-out", type=float, default=0.8, help="of the rows, in pruning")
    parser.add_argument("--repeats", type=int, default=2, help="seeds, in pruning")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), help="in anytime")
    args = parser.parse_args()
    data = real_tracks.choose(args.file)
    if args.part in (None, "pruning"):
        pruning(data, args.left_out, args.repeats)
    if args.part in (None, "anytime"):
        anytime(data, args.families)


if __name__ == "__main__":
    main()
