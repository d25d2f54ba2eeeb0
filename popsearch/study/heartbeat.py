"""Signs of life from whoever trains, where a dead process cannot be looked up."""

import contextlib
import time
import weakref
from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session

_AWAY = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError)


class Heartbeat:
    """A thread that stores, every few seconds, which trials are still being trained.

    Optuna's table and its settings are used, but not Optuna's own thread: that has one trial at a
    time and beats only under ``optimize``.

    Parameters
    ----------
    trial_ids
        Gives them.
    """

    def __init__(self, database: RDBStorage, trial_ids: Callable[[], Iterable[int]]) -> None:
        self._database, self._trial_ids, self._ended = database, trial_ids, Event()
        self._missed_since: dict[int, float] = {}  # by trial id: no sign of it was ever seen
        # The thread ends with this object, which it must not keep alive.
        weakref.finalize(self, self._ended.set)
        own = (weakref.ref(self), database.heartbeat_interval, self._ended)
        Thread(target=_run, args=own, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Store no more."""
        self._ended.set()

    def silent(self, running: Collection[int]) -> set[int]:
        """Give those of the running trials, by id, that gave no sign for the time of grace."""
        assert self._database.grace_period is not None
        grace = timedelta(seconds=self._database.grace_period)
        table: Any = models.TrialHeartbeatModel
        with _create_scoped_session(self._database.scoped_session) as session:
            # The database's own clock, for those of two computers differ.
            now: Any = session.execute(sqlalchemy.func.now()).scalar()
            rows = session.query(table.trial_id, table.heartbeat)
            signs = dict(map(tuple, rows.filter(table.trial_id.in_([*running]))))
        # A process may die before its first sign: then the time counts from when that was missed.
        seen = time.monotonic()
        missed = {id_: self._missed_since.get(id_, seen) for id_ in running if id_ not in signs}
        self._missed_since = missed
        return {
            *(id_ for id_, sign in signs.items() if now.replace(tzinfo=None) - sign > grace),
            *(id_ for id_, since in missed.items() if seen - since > grace.total_seconds()),
        }

    def beat(self) -> None:
        """Store a sign of life for each."""
        with contextlib.suppress(*_AWAY):  # the next one may come through
            for trial_id in self._trial_ids():
                self._database.record_heartbeat(trial_id)


def _run(heartbeat: "weakref.ref[Heartbeat]", every_s: float, ended: Event) -> None:
    while not ended.wait(every_s):
        if living := heartbeat():
            living.beat()
        del living
