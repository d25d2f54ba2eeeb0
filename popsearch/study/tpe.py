"""Optuna's TPE sampler, at a cost that does not grow with the study."""

from collections.abc import Container
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from popsearch.study.passthrough import Passthrough
from popsearch.study.record import Record
from popsearch.study.storage import record_of

MOST = 1000
"""So many finished trials are all looked at."""
N_GOOD = 25
"""The most trials that TPE takes for good ones, however many there are."""


class BoundedTPESampler(TPESampler):
    """TPE that looks at no more than ``MOST`` finished trials, and at all that are running.

    Beyond that it sees the trials that it takes for good ones, which are the same 25 as without
    the bound, and of the others every so-many-th in order of number. They only serve for a density
    of where trials were made; an even part of them gives the same density, weighed by age in the
    same way, with fewer kernels.
    """

    _seen: tuple[int, optuna.Study] | None = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Give what is proposed together: one trial of each shape tells as much as all."""
        shapes = record_of(study).shapes()
        return super().infer_relative_search_space(_view(study, shapes), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose these parameters together."""
        return super().sample_relative(self._bounded(study, trial), trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Propose one parameter by itself."""
        seen = self._bounded(study, trial)
        return super().sample_independent(seen, trial, param_name, param_distribution)

    def _bounded(self, study: optuna.Study, trial: FrozenTrial) -> optuna.Study:
        if self._seen is None or self._seen[0] != trial._trial_id:
            record = record_of(study)
            running = record.unfinished({TrialState.RUNNING})
            # Of two objectives TPE takes a tenth of all trials for good ones, not 25.
            bounded = len(study.directions) == 1
            finished = selected(record, MOST) if bounded else record.scored
            seen = sorted(finished + running, key=lambda t: t.number)
            self._seen = trial._trial_id, _view(study, seen)
        return self._seen[1]


def selected(record: Record, most: int) -> list[FrozenTrial]:
    """Give the finished trials that TPE looks at: the good ones, and an even part of the others."""
    if len(record.scored) <= most:
        return record.scored
    good = record.best(N_GOOD)
    numbers = {trial.number for trial in good}
    places = np.linspace(0, len(record.scored) - 1, most - N_GOOD).astype(int)
    others = (record.scored[place] for place in places)
    return good + [trial for trial in others if trial.number not in numbers]


def _view(study: optuna.Study, trials: list[FrozenTrial]) -> optuna.Study:
    """Give a study that has only these trials."""
    return optuna.Study(study.study_name, _Selection(study, trials))


class _Selection(Passthrough):
    """Storage that shows some trials of a study."""

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial]) -> None:
        super().__init__(study._storage)
        self._id, self._trials = study._study_id, trials
        self._directions = study.directions

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._id

    def get_study_directions(self, study_id: int) -> list[optuna.study.StudyDirection]:
        return self._directions

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return [t for t in self._trials if states is None or t.state in states]
