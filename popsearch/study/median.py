"""A median pruner at a cost that does not grow with the study."""

import math
from array import array
from bisect import insort

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from popsearch.study.record import Record
from popsearch.study.storage import record_of


class MedianPruner(BasePruner):
    """Decides as Optuna's median pruner, for a study in a ``SnapshotStorage``.

    Optuna's looks through all complete trials at each step of a trial. This one keeps their values
    at each step in order, and looks at those in the middle.

    Parameters
    ----------
    n_startup_trials
        Nothing is pruned before so many trials are complete.
    n_warmup_steps
        Nothing is pruned before a trial has come so far.
    """

    def __init__(self, n_startup_trials: int, n_warmup_steps: int) -> None:
        self._n_startup, self._n_warmup = n_startup_trials, n_warmup_steps
        self._values: dict[int, array[float]] = {}  # by step
        self._n_known = 0

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial's best value is above the median of the others at its step."""
        step = trial.last_step
        record = record_of(study)
        n_complete = record.counted[TrialState.COMPLETE]
        if step is None or step < self._n_warmup or n_complete < max(self._n_startup, 1):
            return False
        self._catch_up(record)
        reached = [v for v in trial.intermediate_values.values() if not math.isnan(v)]
        if not reached:
            return True
        return min(reached) > self._median(step)

    def _catch_up(self, record: Record) -> None:
        for trial in record.settled[self._n_known :]:
            if trial.state == TrialState.COMPLETE:
                for step, value in trial.intermediate_values.items():
                    if not math.isnan(value):
                        insort(self._values.setdefault(step, array("d")), value)
        self._n_known = len(record.settled)

    def _median(self, step: int) -> float:
        """Give what numpy gives for all values: it takes it from those in the middle."""
        values = self._values.get(step)
        if not values:
            return math.nan
        middle = len(values) // 2
        aside = 2 - len(values) % 2
        return float(np.percentile(values[max(0, middle - aside) : middle + 2], 50))
