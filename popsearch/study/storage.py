"""Optuna's storage with reads answered from memory."""

import copy
import datetime
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from popsearch.study.intermediate import WRITE_S, IntermediateValues
from popsearch.study.passthrough import Passthrough
from popsearch.study.record import Record

_FINISHED = [state for state in TrialState if state.is_finished()]


class SnapshotStorage(Passthrough):
    """Storage that reads a study's trials once per trial, and writes everything at once.

    Optuna asks its database for all trials about six times a trial (the queue, the search
    space, the sampler, and the pruner at every step). The trials of other workers need to be
    read only once, when a new trial begins; what this process wrote itself it knows, and what
    was finished at the last read is not read again. Every write still goes to the database
    before the call returns, but for intermediate values: those of half a second go together.

    Parameters
    ----------
    database
        The storage that keeps the study.
    marks
        User attributes that every new trial carries from the moment it exists.
    write_s
        Seconds between two writes of intermediate values.
    """

    def __init__(
        self, database: RDBStorage, marks: dict[str, Any], write_s: float = WRITE_S
    ) -> None:
        super().__init__(database)
        self._values = IntermediateValues(database, write_s)
        self._database, self._marks = database, marks
        self._records: dict[int, Record] = {}  # by study id
        self._own: dict[int, FrozenTrial] = {}  # by trial id, unfinished and written here

    def refresh(self, study_id: int) -> None:
        """Read from the database what is new, and what was not finished when it was last read."""
        record = self._records.setdefault(study_id, Record())
        others = record.unfinished_ids() - self._own.keys()
        # Optuna's own cache reads in this way; get_all_trials reads all that there are.
        for trial in self._database._get_trials(study_id, None, others, record.last_id):
            record.put(trial)

    def record(self, study_id: int) -> Record:
        """Give the trials as of the last refresh, and this process' own as of now."""
        if study_id not in self._records:
            self.refresh(study_id)
        return self._records[study_id]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Give the trials as of the last refresh, and this process' own as of now."""
        record = self.record(study_id)
        if states is None:
            trials = list(record)
        elif any(state in states for state in _FINISHED):
            trials = [trial for trial in record if trial.state in states]
        else:
            trials = record.unfinished(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Give the id of a trial."""
        if trial := self.record(study_id).get(trial_number):
            return trial._trial_id
        return self._inner.get_trial_id_from_study_id_trial_number(study_id, trial_number)

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
        # Given the earlier distribution, Optuna need not look for it in the database.
        record = self._record_of(trial_id)
        earlier = record.distributions.get(param_name) if record else None
        self._database._set_trial_param(
            trial_id, param_name, param_value_internal, distribution, earlier
        )
        if own := self._own.get(trial_id):
            own.params[param_name] = distribution.to_external_repr(param_value_internal)
            own.distributions[param_name] = distribution

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Store what a running trial reached at a step, within half a second."""
        own = self._own.get(trial_id)
        if own is None:
            self._inner.set_trial_intermediate_value(trial_id, step, intermediate_value)
            return
        self._values.add(trial_id, step, intermediate_value)
        own.intermediate_values[step] = intermediate_value

    def write_intermediate_values(self, trial_id: int) -> None:
        """Store at once what has waited of a running trial."""
        self._values.write(trial_id)

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
        self._values.write(trial_id)
        if not self._inner.set_trial_state_values(trial_id, state, values):
            return False
        trial = self._own.get(trial_id)
        if trial is None or state == TrialState.RUNNING:  # taken from the queue
            for study_id in self._records:
                self._adopt(study_id, trial_id)
            return True
        trial.state = state
        if values is not None:
            trial.values = list(values)
        if state.is_finished():
            trial.datetime_complete = datetime.datetime.now()
            del self._own[trial_id]
            if record := self._record_of(trial_id):
                record.put(trial)
        return True

    def _record_of(self, trial_id: int) -> Record | None:
        """Give the record in which a trial stands as not finished."""
        records = (r for r in self._records.values() if trial_id in r.unfinished_ids())
        return next(records, None)

    def _adopt(self, study_id: int, trial_id: int) -> None:
        """Refresh, and know a trial as this process' own while it runs."""
        self._own.pop(trial_id, None)
        self.refresh(study_id)
        for trial in self._records[study_id].unfinished({TrialState.RUNNING}):
            if trial._trial_id == trial_id:
                self._own[trial_id] = trial


def record_of(study: optuna.Study) -> Record:
    """Give the record of a study; of a part of a study, as Hyperband makes them, a new one."""
    storage = study._storage
    if type(study) is optuna.Study and isinstance(storage, SnapshotStorage):
        return storage.record(study._study_id)
    return Record(study.get_trials(deepcopy=False))
