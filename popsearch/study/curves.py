"""A pruner that draws a trial's curve on to its end."""

import math
from collections.abc import Sequence

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from popsearch.study.storage import record_of

MOST_SHARE = 0.98  # a curve that falls evenly is taken to become flatter all the same


class CurvePruner(BasePruner):
    """Stops a trial whose curve, drawn on to the budget, ends above the best score so far.

    Errors of what is trained in stages or epochs fall ever more slowly, so that the last falls tell
    what is still to come. A slow learner that will be good is not taken for a weak one, as it is
    where trials are compared at the same step.

    Parameters
    ----------
    budget
        The last step.
    first
        Nothing is pruned before so many steps.
    factor
        So many times what the curve promises may still come.
    """

    def __init__(self, budget: int, first: int, factor: float) -> None:
        self._budget, self._first, self._factor = budget, first, factor

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial is not worth the rest of its steps."""
        best = record_of(study).complete(1)
        values = [value for _, value in sorted(trial.intermediate_values.items())]
        if not best or len(values) < self._first:
            return False
        assert best[0].values is not None
        known: float = best[0].values[0]
        return end(values, self._budget, self._factor) > known


def end(values: Sequence[float], budget: int, factor: float) -> float:
    """Give what a curve of the best scores so far will come to.

    Of its last two equal parts, each a third of the curve, the second fell by some share of what
    the first did; all that follow are taken to fall by that share of the one before.

    Parameters
    ----------
    values
        After each step from the first.
    budget
        Number of steps at the end.
    factor
        The fall to come is so many times larger.
    """
    part = max(1, len(values) // 3)
    if len(values) < 2 * part + 1:
        return -math.inf  # nothing can be told
    earlier, later, last = (values[-1 - i * part] for i in (2, 1, 0))
    before, fall = earlier - later, later - last
    if fall <= 0:
        return last
    share = min(fall / before, MOST_SHARE) if before > 0 else MOST_SHARE
    n_parts = (budget - len(values)) / part
    to_come: float = fall * share * (1 - share**n_parts) / (1 - share)
    return last - factor * to_come
