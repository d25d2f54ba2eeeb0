"""Measure smaller batches against larger ones at equal cost: the deck's fourth conclusion.

Run: uv run python benchmarks/batches.py --path tracks.csv.gz      (ten minutes on two cores)

One network, the deck's 64-64 with BatchNorm, is trained with each batch size for the same seconds
of training, so that smaller batches get fewer epochs. Twice: with Adam's default learning rate, and
with one that grows with the square root of the batch. All take turns of some seconds, so that a
machine that slows down slows all of them. Errors are of validation rows; the test rows stay sealed.
"""

import argparse
import time

from rich.console import Console
from rich.table import Table

from popsearch import command
from popsearch.config import Config
from popsearch.models.neural import Networks
from popsearch.plan import Plan, prepare

DECK_BATCH, DECK_RATE = 128, 1e-3
TURN_S = 2.0  # that each trains before the next one does
MANY = 100_000


class Run:
    """One batch size on its way."""

    def __init__(self, plan: Plan, batch_size: int, learning_rate: float) -> None:
        self.batch_size, self.learning_rate = batch_size, learning_rate
        params = {"batch_size": batch_size, "learning_rate": learning_rate}
        self._training = Networks(plan.cfg.model, [params], plan.rows)
        self.seconds, self.curve = 0.0, [self._epoch()]  # the first compiles: it is not timed

    def turn(self, limit_s: float) -> None:
        """Train for a while, and not beyond the limit."""
        until = min(limit_s, self.seconds + TURN_S)
        while self.seconds < until:
            began = time.perf_counter()
            self.curve.append(self._epoch())
            self.seconds += time.perf_counter() - began

    def _epoch(self) -> float:
        return float(self._training.advance().val_mse[0])


def main() -> None:
    """Train all in turns and print what each came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--path", help="a file of tracks; without it the built-in table")
    parser.add_argument("--seconds", type=float, default=30.0, help="of training, for each")
    sizes = [32, 64, 128, 256, 512, 1024, 2048, 4096]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes)
    args = parser.parse_args()
    words = ["data=tracks", f"data.path={args.path}"] if args.path else ["data=demo"]
    (job,) = command.jobs(["model=deck/network_batch_norm", f"model.steps.budget={MANY}", *words])
    assert not job.faults, job.faults
    plan = prepare(Config(**job.sections))
    runs = [
        Run(plan, size, DECK_RATE * (size / DECK_BATCH) ** growth)
        for growth in (0.0, 0.5)
        for size in args.sizes
    ]
    while any(run.seconds < args.seconds for run in runs):
        for run in runs:
            run.turn(args.seconds)
    title = f"{plan.table.about}: {args.seconds:g} s of training each, validation MSE"
    table = Table(title=title)
    for column in ("batch", "learning rate", "epochs", "best", "at epoch", "at s", "last"):
        table.add_column(column, justify="right")
    for run in runs:
        best = min(run.curve)
        at = run.curve.index(best) + 1
        cells = [
            str(run.batch_size),
            f"{run.learning_rate:.2g}",
            str(len(run.curve)),
            f"{best:.2f}",
        ]
        table.add_row(
            *cells, str(at), f"{run.seconds * at / len(run.curve):.1f}", f"{run.curve[-1]:.2f}"
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
