"""Measure pruners on gbr as a search meets them: with TPE, over many searches.

Run: uv run python benchmarks/gbr_pruning.py              (real tracks, 20,300 rows: six minutes)
     uv run python benchmarks/gbr_pruning.py --demo       (the built-in table)

A real search of 20 trials says little: another seed finds other trials. So trials drawn at random
are recorded once, stage by stage, and many searches are played over them: TPE proposes, and the
nearest recorded trial that was not used yet answers. Without a pruner and with each one the same
seeds are played. Time is seconds of training, and loss by how much the best score is worse.
"Begun together" are the first trials, of which the most promising goes on at each step.
"""

import argparse
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import optuna
import pruners
import real_tracks
from numpy.typing import NDArray
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.trial import TrialState
from pruners import Curve
from rich.console import Console
from rich.progress import track
from rich.table import Table

from popsearch import best_first
from popsearch.family import CategoricalParam
from popsearch.models import Scores
from popsearch.outcome import Outcome
from popsearch.plan import Plan
from popsearch.space import Params
from popsearch.study import samplers
from popsearch.trial import Steps

BUDGET, PATIENCE, N_TRIALS, N_BEGUN = 200, 30, 20, 10
Trials = list[tuple[Params, Curve]]


class ByCurve(pruners.ByCurve):
    """popsearch's rule, from the ``first`` step on."""

    def __init__(self, budget: int, first: int, factor: float) -> None:
        super().__init__(budget, factor)
        self._first = first

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Tell whether a trial is not worth the rest of its steps."""
        return len(trial.intermediate_values) >= self._first and super().prune(study, trial)


def thinned(curve: Curve, every: int) -> Curve:
    """Give a curve that was recorded at every stage as if only every so-many-th were a step."""
    n = len(curve.val_mse)
    kept = [*range(every - 1, n, every)]
    kept += [n - 1] * (not kept or kept[-1] != n - 1)
    return Curve(
        [*range(1, len(kept) + 1)],
        [curve.val_mse[i] for i in kept],
        [curve.seconds[i] for i in kept],
        has_rungs=False,
    )


def place(plan: Plan, params: Params) -> NDArray[np.float64]:
    """Give where a trial lies in the space, each range from 0 to 1; what it has not is at 0."""
    at = []
    for name, param in plan.space.params.items():
        value = params.get(name)
        if value is None:
            at.append(0.0)
        elif isinstance(param, CategoricalParam):
            at.append(param.choices.index(value) / len(param.choices))
        else:
            scale = math.log if param.log else float
            low, high, here = (scale(x) for x in (param.low, param.high, float(str(value))))
            at.append((here - low) / (high - low))
    return np.array(at)


class Played:
    """A training that answers with what was recorded."""

    keeps_best = True

    def __init__(self, curve: Curve) -> None:
        self._curve, self.resources, self._n_done = curve, curve.fidelities, 0

    def advance(self) -> Scores:
        """Give the errors that the next step had."""
        val = np.array([self._curve.val_mse[self._n_done]])
        self._n_done += 1
        return Scores(np.array([self._n_done]), val, val, val, val)

    def drop(self, members: Iterable[int]) -> None:
        """Do nothing: there is nothing to free."""


def search(
    plan: Plan,
    trials: Trials,
    places: NDArray[np.float64],
    pruner: BasePruner,
    seed: int,
    n_begun: int = 1,
) -> tuple[float, float]:
    """Give the seconds and the best score of one search, which begins so many trials together."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
    study.enqueue_trial(plan.space.known_good[0])
    free = np.ones(len(trials), dtype=bool)
    seconds, best = 0.0, math.inf

    def ask() -> Steps:
        asked, params = study.ask(), Params()
        for name in plan.space.active(params):
            params[name] = asked._suggest(name, samplers.distribution(plan.space.params[name]))
        away = np.square(places - place(plan, params)).sum(axis=1)
        nearest = int(np.argmin(np.where(free, away, np.inf)))
        free[nearest] = False
        curve = trials[nearest][1]
        n_steps = len(curve.fidelities)

        def watch(_: int, outcome: Outcome) -> bool:
            n = len(outcome.curve)
            asked.report(outcome.curve[-1].val_mse, curve.fidelities[n - 1])
            return n < n_steps and asked.should_prune()

        def ended(_: int, outcome: Outcome) -> None:
            nonlocal seconds, best
            seconds += curve.seconds[len(outcome.curve) - 1]
            if outcome.state == "pruned":
                study.tell(asked, state=TrialState.PRUNED)
            else:
                study.tell(asked, outcome.curve[-1].val_mse)
                best = min(best, outcome.curve[-1].val_mse)

        return Steps(Played(curve), 1, watch, ended, None)

    for n in [n_begun] + [1] * (N_TRIALS - n_begun):
        runners = [ask() for _ in range(n)]
        best_first.run(runners, pruners.FIRST, plan.fidelities[-1], lambda _, steps: steps.take())
    return seconds, best


def main() -> None:
    """Record trials, play searches, and print a line for each rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--file", type=Path, default=Path(real_tracks.DEFAULT), help=real_tracks.HELP
    )
    parser.add_argument("--demo", action="store_true", help="on the built-in table")
    parser.add_argument("--left-out", type=float, default=0.8, help="share of the tracks not used")
    parser.add_argument("--recorded", type=int, default=80)
    parser.add_argument("--searches", type=int, default=100)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tracks = [*real_tracks.choose(args.file), f"split.test_size={args.left_out}"]
    data = ["data=demo"] if args.demo else tracks
    steps = ["model.steps.every=1", f"model.steps.patience={PATIENCE}"]
    plan = real_tracks.plan("model=gbr", *steps, *data)
    drawn = [*plan.space.known_good, *pruners.draw(plan, args.recorded)]
    recorded = [
        (params, curve)
        for params in track(drawn, "recording", transient=True)
        if (curve := pruners.record(plan, params))
    ]
    places = np.array([place(plan, params) for params, _ in recorded])
    table = Table(title=f"gbr, {plan.n_train_rows:,} training rows, {args.searches} searches")
    for column in ("stages a step", "pruner", "begun together", "time", "loss, %", "within 0.5 %"):
        table.add_column(column, justify="right")
    for every in (5, 2):
        budget = BUDGET // every
        trials = [(params, thinned(curve, every)) for params, curve in recorded]
        rules: dict[tuple[str, int], BasePruner] = {
            (f"curve, {factor}", n): ByCurve(budget, pruners.FIRST, factor)
            for n in (1, N_BEGUN)
            for factor in (1.0, 1.2, 1.3, 1.5)
        }
        rules["hyperband", 1] = HyperbandPruner(1, budget, 3)
        rules["median", 1] = MedianPruner(5, budget // 4)
        seeds = range(args.searches)
        whole = [search(plan, trials, places, NopPruner(), seed) for seed in seeds]
        for (name, n_begun), pruner in rules.items():
            found = [search(plan, trials, places, pruner, seed, n_begun) for seed in seeds]
            share = sum(s for s, _ in found) / sum(s for s, _ in whole)
            losses = [
                100 * (best / known - 1) for (_, best), (_, known) in zip(found, whole, strict=True)
            ]
            near = np.mean(np.array(losses) <= 0.5)
            first = [str(every), name, str(n_begun)]
            table.add_row(*first, f"{share:.2f}", f"{np.mean(losses):.2f}", f"{near:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
