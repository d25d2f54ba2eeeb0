"""Intermediate values, written to Optuna's database several at a time."""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session

from popsearch.study.patience import Patience

WRITE_S = 0.5


class IntermediateValues:
    """What running trials reached at their steps and is not in the database yet.

    A write of its own costs a millisecond or two, as much as some models need for a step. So
    they are written together, every half second and before the trial ends. Until then only
    other workers' pruners miss them: a trial whose process dies is trained again from its start.

    Parameters
    ----------
    patience
        Makes the calls, again where the database is away.
    every_s
        Seconds between two writes.
    """

    def __init__(self, database: RDBStorage, patience: Patience, every_s: float = WRITE_S) -> None:
        self._database, self._patience, self._every_s = database, patience, every_s
        self._unwritten: dict[int, dict[int, float]] = {}  # by trial id and step
        self._written_at = time.monotonic()

    def add(self, trial_id: int, step: int, value: float) -> None:
        """Take a value, and write all where it is time."""
        self._unwritten.setdefault(trial_id, {})[step] = value
        if time.monotonic() - self._written_at >= self._every_s:
            for waiting in list(self._unwritten):
                self.write(waiting)
            self._written_at = time.monotonic()

    def write(self, trial_id: int) -> None:
        """Write those of one trial in one transaction; they stay here if that fails."""
        if values := self._unwritten.get(trial_id):
            # Of a trial that was taken from this process nobody asks for them.
            with contextlib.suppress(UpdateFinishedTrialError):
                self._patience(self._write, trial_id, values)
            del self._unwritten[trial_id]

    def _write(self, trial_id: int, values: Mapping[int, float]) -> None:
        model = models.TrialIntermediateValueModel
        with _create_scoped_session(self._database.scoped_session, True) as session:
            trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, session)
            self._database.check_trial_is_updatable(trial_id, trial.state)
            rows: Any = session.query(model).filter(model.trial_id == trial_id)
            stored = {row.step: row for row in rows}
            for step, value in values.items():
                row = stored.get(step) or model(trial_id=trial_id, step=step)
                row.intermediate_value, row.intermediate_value_type = (
                    model.intermediate_value_to_stored_repr(value)
                )
                session.add(row)
