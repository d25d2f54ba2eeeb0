"""A pruner that draws a trial's curve on to its end."""

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from popsearch.promise import end
from popsearch.study.storage import record_of


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
