"""Measure what holds back overfitting in the deck's first network: its third conclusion.

Run: uv run python benchmarks/overfitting.py --path tracks.csv.gz --picture curves.png
                                                                   (five minutes on two cores)

The deck's 128-64-32 is trained for its 500 epochs as it was, with dropout, with weight decay, with
BatchNorm, on a cosine, and with several of these; all side by side in one population, with the same
rows in the same order. Errors are of training rows and of validation rows; the test rows stay
sealed.
"""

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

from popsearch import command
from popsearch.config import Config
from popsearch.models.neural import Networks
from popsearch.plan import prepare

REMEDIES: dict[str, dict[str, Any]] = {
    "as in the deck": {},
    "dropout 0.1": {"dropout": 0.1},
    "dropout 0.3": {"dropout": 0.3},
    "weight decay 0.01": {"weight_decay": 0.01},
    "weight decay 0.1": {"weight_decay": 0.1},
    "BatchNorm": {"batch_norm": True},
    "cosine": {"schedule": "cosine"},
    "dropout 0.1, decay 0.1, cosine": {
        "dropout": 0.1, "weight_decay": 0.1, "schedule": "cosine",
    },
}  # fmt: skip
Curves = dict[str, tuple[list[float], list[float]]]


def curves(words: list[str], epochs: int) -> tuple[str, Curves]:
    """Give the errors of training and validation rows after each epoch, by remedy."""
    steps = f"model.steps.budget={epochs}"
    (job,) = command.jobs(["model=deck/network", steps, *words])
    assert not job.faults, job.faults
    plan = prepare(Config(**job.sections))
    training = Networks(plan.cfg.model, [*REMEDIES.values()], plan.rows)
    found: Curves = {name: ([], []) for name in REMEDIES}
    for _ in range(epochs):
        scores = training.advance()
        for member, (train, val) in enumerate(found.values()):
            train.append(float(scores.train_mse[member]))
            val.append(float(scores.val_mse[member]))
    return plan.table.about, found


def draw(found: Curves, path: str) -> None:
    """Draw the curves of the first, of one remedy and of all together."""
    from matplotlib.figure import Figure

    shown = [name for name in found if "0.01" not in name and "0.3" not in name]
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    for place, name in enumerate(shown, start=1):
        axes = figure.add_subplot(2, 3, place)
        train, val = found[name]
        axes.plot(train, label="training", color="#8c8c8c")
        axes.plot(val, label="validation", color="#1f5fa8")
        best = min(range(len(val)), key=val.__getitem__)
        axes.plot(best, val[best], "o", color="#c0392b", label=f"best: {val[best]:.2f}")
        low = min(min(e[0]) for n, e in found.items() if n in shown)
        axes.set(title=name, xlabel="epoch", ylabel="MSE", ylim=(low - 1, 105))
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train all and print where each was best, and where it ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--path", help="a file of tracks; without it the built-in table")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--picture", help="where to draw the curves")
    args = parser.parse_args()
    words = ["data=tracks", f"data.path={args.path}"] if args.path else ["data=demo"]
    about, found = curves(words, args.epochs)
    table = Table(title=f"128-64-32 on {about}, {args.epochs} epochs")
    for column in ("remedy", "best val", "at epoch", "train there", "last val", "last train"):
        table.add_column(column, justify="left" if column == "remedy" else "right")
    for name, (train, val) in found.items():
        best = min(range(len(val)), key=val.__getitem__)
        cells = [val[best], best + 1, train[best], val[-1], train[-1]]
        table.add_row(name, *(f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells))
    Console(width=100).print(table)
    if args.picture:
        draw(found, args.picture)


if __name__ == "__main__":
    main()
