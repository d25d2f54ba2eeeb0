"""Optuna's storage with reads answered from memory."""

import contextlib
import copy
import datetime
import itertools
import math
from collections.abc import Container, Iterator, Sequence, Set
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from popsearch.study.intermediate import WRITE_S, IntermediateValues
from popsearch.study.passthrough import Passthrough
from popsearch.study.patience import Patience
from popsearch.study.record import Record
from popsearch.study.turn import turn

_FINISHED = [state for state in TrialState if state.is_finished()]


class NoRoom(Exception):
    """As many trials as are wanted have ended or are running."""


class SnapshotStorage(Passthrough):
    """Storage that reads a study's trials once per trial, and writes everything at once.

    Optuna asks its database for all trials about six times a trial (the queue, the search
    space, the sampler, and the pruner at every step). The trials of other workers need to be
    read only once, when a new trial begins; what this process wrote itself it knows, and what
    was finished at the last read is not read again. Every write still goes to the database
    before the call returns, but for intermediate values: those of half a second go together.

    Parameters
    ----------
    inner
        The storage that keeps the study.
    worker
        Who this process is: every trial carries it from the moment it runs.
    patience
        Makes the calls, again where the database is away.
    write_s
        Seconds between two writes of intermediate values.
    """

    def __init__(
        self,
        inner: RDBStorage,
        worker: str,
        patience: Patience | None = None,
        write_s: float = WRITE_S,
    ) -> None:
        super().__init__(inner, patience)
        self._values = IntermediateValues(inner, self._patience, write_s)
        self._database, self._worker = inner, worker
        self._records: dict[int, Record] = {}  # by study id
        self._own: dict[int, FrozenTrial] = {}  # by trial id, unfinished and written here
        self._depth = 0  # of turns taken
        self.limit = math.inf
        """How many trials there may be that run or have ended and count."""

    def own_ids(self) -> list[int]:
        """Give the ids of the trials that this process runs."""
        return list(self._own)

    def forget(self, trial_id: int) -> None:
        """Read a trial from the database from now on: another process has changed it."""
        self._own.pop(trial_id, None)

    def close(self) -> None:
        """Give up the connections."""
        self._database.engine.dispose()

    @contextlib.contextmanager
    def turn(self, study_id: int) -> Iterator[Record]:
        """Give the trials of this moment, and let no other process begin one meanwhile."""
        with contextlib.ExitStack() as stack:
            if not self._depth:
                self._patience(lambda: stack.enter_context(self._lock(study_id)))
            self._depth += 1
            stack.callback(self._leave)
            self.refresh(study_id)
            yield self._records[study_id]

    def _lock(self, study_id: int) -> contextlib.AbstractContextManager[None]:
        return turn(self._database, f"trials of study {study_id}")

    def _leave(self) -> None:
        self._depth -= 1

    def refresh(self, study_id: int) -> None:
        """Read from the database what is new, and what was not finished when it was last read."""
        self._patience(self._refresh, study_id)

    def _refresh(self, study_id: int) -> None:
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
        return super().get_trial_id_from_study_id_trial_number(study_id, trial_number)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Give one trial, from memory where it is this process' own."""
        own = self._own.get(trial_id)
        if own is None:
            return super().get_trial(trial_id)
        # Optuna writes into what it gets; our copy changes only through the setters below.
        trial = copy.copy(own)
        trial.params, trial.distributions = dict(own.params), dict(own.distributions)
        trial.user_attrs, trial.system_attrs = dict(own.user_attrs), dict(own.system_attrs)
        trial.intermediate_values = dict(own.intermediate_values)
        return trial

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Store a new trial and give its id.

        Raises
        ------
        NoRoom
            If it would run, and there are as many as are wanted.
        """
        if template_trial is not None:  # one for the queue
            trial_id = super().create_new_trial(study_id, template_trial)
            self.refresh(study_id)
            return trial_id
        earlier = {trial._trial_id for trial in self._of_worker(study_id)}
        trial = self._patience(self._begin, study_id, earlier, itertools.count())
        # Between this call and the next the sampler proposes: it sees all others of this moment.
        self._own[trial._trial_id] = trial
        return trial._trial_id

    def _begin(self, study_id: int, earlier: Set[int], tries: Iterator[int]) -> FrozenTrial:
        """Store a running trial, unless an earlier try did and only the answer was lost."""
        with self.turn(study_id) as record:
            if next(tries):
                for trial in self._of_worker(study_id):
                    if trial._trial_id not in earlier:
                        return trial
            self._make_sure_of_room(record)
            if queued := record.unfinished({TrialState.WAITING}):  # by another process just now
                return self._start(study_id, queued[0]._trial_id)
            own = optuna.trial.create_trial(
                state=TrialState.RUNNING, user_attrs={"worker": self._worker}
            )
            trial = self._database._create_new_trial(study_id, own)
            record.put(trial)
            return trial

    def _of_worker(self, study_id: int) -> list[FrozenTrial]:
        running = self.record(study_id).unfinished({TrialState.RUNNING})
        return [trial for trial in running if trial.user_attrs.get("worker") == self._worker]

    def _make_sure_of_room(self, record: Record) -> None:
        n_running = len(record.unfinished({TrialState.RUNNING}))
        if record.counted.total() + n_running >= self.limit:
            raise NoRoom

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
        self._patience(
            self._database._set_trial_param,
            *(trial_id, param_name, param_value_internal, distribution, earlier),
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
            super().set_trial_intermediate_value(trial_id, step, intermediate_value)
            return
        self._values.add(trial_id, step, intermediate_value)
        own.intermediate_values[step] = intermediate_value

    def write_intermediate_values(self, trial_id: int) -> None:
        """Store at once what has waited of a running trial."""
        self._values.write(trial_id)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store a user attribute of a running trial."""
        super().set_trial_user_attr(trial_id, key, value)
        if own := self._own.get(trial_id):
            own.user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store an attribute that a sampler or pruner keeps."""
        super().set_trial_system_attr(trial_id, key, value)
        if own := self._own.get(trial_id):
            own.system_attrs[key] = value

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Store a new state; false where another worker took the waiting trial first.

        Raises
        ------
        NoRoom
            If it would run, and there are as many as are wanted.
        UpdateFinishedTrialError
            If it had ended already, and not as it is to end now.
        """
        if state == TrialState.RUNNING:
            return self._patience(self._take, trial_id)
        self._values.write(trial_id)
        try:
            super().set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            if super().get_trial(trial_id).state != state:
                raise  # else it was stored, and only the answer was lost
        trial = self._own.pop(trial_id, None)
        record = self._record_of(trial_id)
        if trial is not None and record:
            trial.state = state
            trial.values = None if values is None else list(values)
            trial.datetime_complete = datetime.datetime.now()
            record.put(trial)
        return True

    def _take(self, trial_id: int) -> bool:
        """Take a trial from the queue, unless another worker was faster."""
        records = self._records.items()
        study_id = next(id_ for id_, record in records if trial_id in record.unfinished_ids())
        with self.turn(study_id) as record:
            waiting = [t._trial_id for t in record.unfinished({TrialState.WAITING})]
            if trial_id not in waiting:
                return False
            self._make_sure_of_room(record)
            self._own[trial_id] = self._start(study_id, trial_id)
            return True

    def _start(self, study_id: int, trial_id: int) -> FrozenTrial:
        """Run a trial of the queue; it is this process' turn."""
        # First whose it is: a trial that runs without a worker could belong to anybody.
        self._database.set_trial_user_attr(trial_id, "worker", self._worker)
        self._database.set_trial_state_values(trial_id, TrialState.RUNNING)
        self._refresh(study_id)
        running = self._records[study_id].unfinished({TrialState.RUNNING})
        return next(trial for trial in running if trial._trial_id == trial_id)

    def _record_of(self, trial_id: int) -> Record | None:
        """Give the record in which a trial stands as not finished."""
        records = (r for r in self._records.values() if trial_id in r.unfinished_ids())
        return next(records, None)


def record_of(study: optuna.Study) -> Record:
    """Give the record of a study; of a part of a study, as Hyperband makes them, a new one."""
    storage = study._storage
    if type(study) is optuna.Study and isinstance(storage, SnapshotStorage):
        return storage.record(study._study_id)
    return Record(study.get_trials(deepcopy=False))
