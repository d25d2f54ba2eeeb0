"""Several trials begun together, of which the most promising always goes on first."""

import itertools
from collections.abc import Callable, Iterable

from popsearch import promise
from popsearch.trial import Steps


def run(
    runners: Iterable[Steps], first: int, budget: int, take: Callable[[int, Steps], None]
) -> None:
    """Bring every trial to its end; what the best of them comes to is soon there for a pruner.

    One after another, each trial that is the best so far has to be trained to its end: of ten at
    random three on the mean. Here each takes a few steps, and from then on the one whose curve
    promises the lowest error takes the next; once it is at its end, most others are pruned at
    theirs. They wait meanwhile, and begin nothing anew (after freeze-thaw, Swersky et al., 2014,
    arXiv:1406.3896, without its model of curves).

    Parameters
    ----------
    runners
        Each with a training of its own and one member.
    first
        Steps that each takes before any goes on.
    budget
        The most steps that a trial may take.
    take
        Hears of the place of a runner among all, and lets it take a step.
    """
    waiting = dict(enumerate(runners))
    for place, runner in waiting.items():
        while runner.live and runner.n_taken < first:
            take(place, runner)
    promised = {place: _promised(runner, budget) for place, runner in waiting.items()}
    while waiting:
        place = min(waiting, key=promised.__getitem__)
        if waiting[place].live:
            take(place, waiting[place])
            promised[place] = _promised(waiting[place], budget)
        else:
            del waiting[place]  # and the models that it holds


def _promised(runner: Steps, budget: int) -> float:
    """Give the error to which a trial's curve falls, drawn on to its end."""
    (outcome,) = runner.outcomes
    errors = (point.val_mse for point in outcome.curve)
    return promise.end([*itertools.accumulate(errors, min)], budget)
