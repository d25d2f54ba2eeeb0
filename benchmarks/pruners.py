"""Measure what each pruner saves and what it loses, over all families.

Run: uv run python benchmarks/pruners.py                          (real tracks: twenty minutes)
     uv run python benchmarks/pruners.py --families gbr --trials 20

For each family trials drawn at random from its space are trained without a pruner, and the score
and the seconds of every step are written down. Then searches are played back: so many of these
trials in a random order, each stopped where the pruner says, many orders for each pruner, the same
for all. Time is the seconds of training against those without a pruner; loss is by how much the
best score found is above the best of the same trials without a pruner.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import real_tracks
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    SuccessiveHalvingPruner,
)
from optuna.trial import TrialState
from rich.console import Console
from rich.progress import track
from rich.table import Table

from popsearch import trial
from popsearch.outcome import Outcome
from popsearch.plan import Plan
from popsearch.promise import end
from popsearch.space import Params
from popsearch.study import samplers

FIRST = 4
FAMILIES = "lasso decision_tree knn random_forest extra_trees gbr hist_gbr lightgbm xgboost mlp"


@dataclass(frozen=True)
class Curve:
    """The best score so far and the seconds so far after each step of a trial."""

    fidelities: list[int]
    val_mse: list[float]
    seconds: list[float]
    has_rungs: bool

    @property
    def whole_s(self) -> float:
        """Seconds without a pruner, where a family that is fitted once leaves out smaller rungs."""
        *earlier, last = self.seconds
        return last - earlier[-1] if self.has_rungs and earlier else last


class ByCurve(BasePruner):
    """The rule of popsearch's own pruner for any family, in a study that is not in a database."""

    def __init__(self, budget: int, factor: float) -> None:
        self._budget, self._factor = budget, factor

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Tell whether a trial is not worth the rest of its steps."""
        done = [t.value for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
        values = [value for _, value in sorted(trial.intermediate_values.items())]
        known = min((value for value in done if value is not None), default=np.inf)
        return len(values) >= FIRST and end(values, self._budget, self._factor) > known


PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "none": lambda n: optuna.pruners.NopPruner(),
    "median, 5 first, from a quarter": lambda n: MedianPruner(5, n // 4),
    "median, 5 first": lambda n: MedianPruner(5, 0),
    "median, 1 first": lambda n: MedianPruner(1, 0),
    "curve, 1 times the promise": lambda n: ByCurve(n, 1.0),
    "curve, 1.25 times": lambda n: ByCurve(n, 1.25),
    "curve, 1.5 times": lambda n: ByCurve(n, 1.5),
    "halving by 2": lambda n: SuccessiveHalvingPruner(1, 2),
    "halving by 3": lambda n: SuccessiveHalvingPruner(1, 3),
    "halving by 4": lambda n: SuccessiveHalvingPruner(1, 4),
    "halving by 3, from 2": lambda n: SuccessiveHalvingPruner(2, 3),
    "hyperband by 3": lambda n: HyperbandPruner(1, n, 3),
}


def draw(plan: Plan, n: int) -> list[Params]:
    """Give parameters drawn at random."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=777))
    found = []
    for _ in range(n):
        asked, params = study.ask(), Params()
        for name in plan.space.active(params):
            params[name] = asked._suggest(name, samplers.distribution(plan.space.params[name]))
        found.append(params)
    return found


def record(plan: Plan, params: Params) -> Curve | None:
    """Train one set of parameters to its end."""
    curve = Curve([], [], [], has_rungs=not plan.way.keeps_best)

    def watch(member: int, outcome: Outcome) -> bool:
        assert outcome.best is not None
        curve.fidelities.append(plan.fidelities[len(outcome.curve) - 1])
        curve.val_mse.append(outcome.best.val_mse)
        curve.seconds.append(outcome.fit_s)
        return False

    trial.Steps(plan.training([params]), 1, watch, lambda *_: None, plan.patience).run()
    return curve if curve.val_mse else None


def play(curves: list[Curve], pruner: BasePruner) -> tuple[float, float]:
    """Give the seconds of a search over these trials, and the best score of a complete one."""
    study = optuna.create_study(pruner=pruner)
    ended = [end_of(study, study.ask(), curve) for curve in curves]
    return sum(seconds for seconds, _ in ended), min(val_mse for _, val_mse in ended)


def end_of(study: optuna.Study, asked: optuna.Trial, curve: Curve) -> tuple[float, float]:
    """Play a trial as its pruner lets it go, and give its seconds and its score, if complete."""
    for i, (fidelity, val_mse) in enumerate(zip(curve.fidelities, curve.val_mse, strict=True)):
        asked.report(val_mse, fidelity)
        if i + 1 < len(curve.fidelities) and asked.should_prune():
            study.tell(asked, state=TrialState.PRUNED)
            return curve.seconds[i], np.inf
    study.tell(asked, curve.val_mse[-1])
    return curve.seconds[-1], curve.val_mse[-1]


def main() -> None:
    """Record the curves of each family, play searches back, and print time and loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--file", type=Path, default=Path(real_tracks.DEFAULT), help=real_tracks.HELP
    )
    parser.add_argument("--families", nargs="+", default=FAMILIES.split())
    parser.add_argument("--left-out", type=float, default=0.85, help="share of the rows not used")
    parser.add_argument("--recorded", type=int, default=40, help="trials of each family")
    parser.add_argument("--trials", type=int, default=20, help="trials of a search")
    parser.add_argument("--orders", type=int, default=30)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = real_tracks.choose(args.file)
    found: dict[str, dict[str, tuple[float, float, float]]] = {name: {} for name in PRUNERS}
    for family in args.families:
        plan = real_tracks.plan(f"model={family}", f"split.test_size={args.left_out}", *data)
        started = time.perf_counter()
        drawn = track(draw(plan, args.recorded), family, transient=True)
        curves = [curve for params in drawn if (curve := record(plan, params))]
        print(f"{family}: {len(curves)} trials in {time.perf_counter() - started:.0f} s")
        rng = np.random.default_rng(777)
        orders = [rng.permutation(len(curves))[: args.trials] for _ in range(args.orders)]
        chosen = [[curves[place] for place in order] for order in orders]
        whole = [
            (sum(c.whole_s for c in some), min(c.val_mse[-1] for c in some)) for some in chosen
        ]
        for name, make in PRUNERS.items():
            played = [play(some, make(plan.fidelities[-1])) for some in chosen]
            times = [s / all_s for (s, _), (all_s, _) in zip(played, whole, strict=True)]
            losses = [
                100 * (b / all_b - 1) for (_, b), (_, all_b) in zip(played, whole, strict=True)
            ]
            found[name][family] = (
                float(np.mean(times)),
                float(np.mean(losses)),
                float(np.quantile(losses, 0.9)),
            )
    for title, place, form in (
        ("share of the time without a pruner", 0, "{:.2f}"),
        ("loss of the best score, %", 1, "{:.2f}"),
        ("loss in one search of ten, %", 2, "{:.2f}"),
    ):
        table = Table(title=title)
        table.add_column("pruner")
        for family in args.families:
            table.add_column(family, justify="right")
        table.add_column("mean", justify="right")
        for name, by_family in found.items():
            values = [by_family[family][place] for family in args.families]
            table.add_row(name, *(form.format(v) for v in [*values, float(np.mean(values))]))
        Console(width=150).print(table)


if __name__ == "__main__":
    main()
