"""Optuna's storage with reads answered from memory."""

import copy
import datetime
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState


class SnapshotStorage(BaseStorage):
    """Storage that reads a study's trials once per trial, and writes everything at once.

    Optuna asks its database for all trials about six times a trial (the queue, the search
    space, the sampler, and the pruner at every step). The trials of other workers need to be
    read only once, when a new trial begins; what this process wrote itself it knows. Every
    write still goes to the database before the call returns.

    Parameters
    ----------
    inner
        The storage that keeps the study.
    marks
        User attributes that every new trial carries from the moment it exists.
    """

    def __init__(self, inner: BaseStorage, marks: dict[str, Any]) -> None:
        self._inner, self._marks = inner, marks
        self._trials: dict[int, list[FrozenTrial]] = {}  # by study id, in order of number
        self._own: dict[int, FrozenTrial] = {}  # by trial id, unfinished and written here

    def refresh(self, study_id: int) -> None:
        """Read the study's trials from the database."""
        trials = self._inner.get_all_trials(study_id, deepcopy=False)
        self._trials[study_id] = [self._own.get(trial._trial_id, trial) for trial in trials]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Give the trials as of the last refresh, and this process' own as of now."""
        if study_id not in self._trials:
            self.refresh(study_id)
        trials = [t for t in self._trials[study_id] if states is None or t.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Give one trial, from memory where it is this process' own."""
        own = self._own.get(trial_id)
        if own is None:
            return self._inner.get_trial(trial_id)
        # Optuna writes into what it gets; our copy changes only through the setters below.
        trial = copy.copy(own)
        trial.params, trial.distributions = dict(own.params), dict(own.distributions)
        trial.user_attrs, trial.system_attrs = dict(own.user_attrs), dict(own.system_attrs)
        trial.intermediate_values = dict(own.intermediate_values)
        return trial

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Store a new trial and give its id."""
        if template_trial is None:
            template_trial = optuna.trial.create_trial(
                state=TrialState.RUNNING, user_attrs=self._marks
            )
        trial_id = self._inner.create_new_trial(study_id, template_trial)
        # Between this call and the next the sampler proposes: it sees all others of this moment.
        self._adopt(study_id, trial_id)
        return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Store a parameter of a running trial."""
        self._inner.set_trial_param(trial_id, param_name, param_value_internal, distribution)
        if own := self._own.get(trial_id):
            own.params[param_name] = distribution.to_external_repr(param_value_internal)
            own.distributions[param_name] = distribution

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Store what a running trial reached at a step."""
        self._inner.set_trial_intermediate_value(trial_id, step, intermediate_value)
        if own := self._own.get(trial_id):
            own.intermediate_values[step] = intermediate_value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store a user attribute of a running trial."""
        self._inner.set_trial_user_attr(trial_id, key, value)
        if own := self._own.get(trial_id):
            own.user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store an attribute that a sampler or pruner keeps."""
        self._inner.set_trial_system_attr(trial_id, key, value)
        if own := self._own.get(trial_id):
            own.system_attrs[key] = value

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Store a new state; false where another worker took the waiting trial first."""
        if not self._inner.set_trial_state_values(trial_id, state, values):
            return False
        trial = self._own.get(trial_id)
        if trial is None or state == TrialState.RUNNING:  # taken from the queue
            for study_id in self._trials:
                self._adopt(study_id, trial_id)
            return True
        trial.state = state
        if values is not None:
            trial.values = list(values)
        if state.is_finished():
            trial.datetime_complete = datetime.datetime.now()
            del self._own[trial_id]
        return True

    def _adopt(self, study_id: int, trial_id: int) -> None:
        """Refresh, and know a trial as this process' own while it runs."""
        self._own.pop(trial_id, None)
        self.refresh(study_id)
        for trial in reversed(self._trials[study_id]):
            if trial._trial_id == trial_id and trial.state == TrialState.RUNNING:
                self._own[trial_id] = trial

    # What follows concerns studies, not trials, and goes straight through.

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study."""
        return self._inner.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._inner.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Store a user attribute of a study."""
        self._inner.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Store a system attribute of a study."""
        self._inner.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Give the id of a study."""
        return self._inner.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Give the name of a study."""
        return self._inner.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Give the directions of a study."""
        return self._inner.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Give the user attributes of a study."""
        return self._inner.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Give the system attributes of a study."""
        return self._inner.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Give all studies."""
        return self._inner.get_all_studies()
