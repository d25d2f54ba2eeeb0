"""One study: asks for trials, hears how they go, and can be continued after any death."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, assert_never

import optuna
import sqlalchemy.exc
from optuna.trial import FrozenTrial, TrialState

from popsearch import config, family, process, section, sqlite
from popsearch.errors import StorageError
from popsearch.outcome import State
from popsearch.space import Params, Space
from popsearch.study import samplers
from popsearch.study.record import Record
from popsearch.study.storage import SnapshotStorage
from popsearch.study.stored import StoredTrial, stored

MAX_RETRIES = 2
_STATES: dict[State, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_NAMES = {state: name for name, state in _STATES.items()}


@dataclass(frozen=True)
class Asked:
    """A trial that the study asked for, or one that it remembers."""

    id: int
    number: int
    params: Params
    state: str = "running"
    run_id: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


class Study:
    """A stored search for the parameters with the lowest validation MSE.

    Parameters
    ----------
    cfg
        The whole configuration; storage, sampler and pruner are read from it.
    name
        Carries the fingerprint of all that makes two trials comparable.
    space
        What is searched.
    budget
        What the last step of a trial uses of its resource, in units of what the first one does.
    """

    def __init__(self, cfg: config.Config, name: str, space: Space, budget: int) -> None:
        sqlite.configure()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.name, self.space, self._budget = name, space, budget
        self._worker = process.identity()
        database = optuna.storages.RDBStorage(cfg.storage.url)
        kind = "folds" if cfg.split.name == "kfold" else cfg.model.steps.kind
        self._storage = SnapshotStorage(database, {"worker": self._worker})
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=name,
            directions=["minimize"] * len(cfg.objectives),
            pruner=samplers.pruner(cfg.pruner, budget, kind),
            load_if_exists=True,
        )
        # A sampler that starts again with the same seed proposes the same points again.
        start = f"{cfg.seed}/{len(self._record())}"
        seed = int(hashlib.sha256(start.encode()).hexdigest()[:8], 16)
        self._objectives = cfg.objectives
        self._study.sampler = samplers.sampler(cfg.sampler, space, seed, len(cfg.objectives))
        self._grid = (
            samplers.Grid(cfg.sampler, space, cfg.seed) if cfg.sampler.name == "grid" else None
        )
        self._running: dict[int, optuna.Trial] = {}
        for params in space.known_good:
            self._study.enqueue_trial(params, skip_if_exists=True)

    # ---- the loop ---------------------------------------------------------------------------

    def n_done(self) -> int:
        """Give how many trials have ended and count: complete, pruned, or failed for good."""
        return self._record().counted.total()

    def ask(
        self, n: int = 1, n_siblings: int = 1, structure: Set[str] = frozenset()
    ) -> list[Asked]:
        """Give the next trials, n or fewer: from the queue, or such as the sampler proposes.

        Parameters
        ----------
        n_siblings
            How many of them in a row share the parameters of ``structure``: the first is proposed
            as always, what the others may differ in is proposed for them.
        """
        asked: list[Asked] = []
        for i in range(n):
            # The last try is made alone: others should not die with it once more.
            is_last_try = n > 1 and self._next_is_a_last_try()
            if asked and is_last_try:
                break
            shared = asked[i - i % n_siblings].params if i % n_siblings else {}
            asked.append(self._ask({k: v for k, v in shared.items() if k in structure}))
            if is_last_try:
                break
        return asked

    def _ask(self, shared: Params) -> Asked:
        if self._grid is not None:
            self._queue_grid_point(self._grid)
        with samplers.fixed(self._study, shared):
            trial = self._study.ask()
            params = self._suggest_all(trial)
        self._running[trial._trial_id] = trial
        return Asked(trial._trial_id, trial.number, params)

    def _suggest_all(self, trial: optuna.Trial) -> Params:
        if trial.user_attrs.get("worker") != self._worker:  # one from the queue
            trial.set_user_attr("worker", self._worker)
        params: Params = {}
        for name in self.space.active(params):
            params[name] = _suggest(trial, name, self.space.params[name])
        return params

    def link(self, asked: Asked, run_id: str) -> None:
        """Store which tracking run belongs to a trial."""
        self._storage.set_trial_user_attr(asked.id, "mlflow_run_id", run_id)

    def report(self, asked: Asked, fidelity: int, val_mse: float) -> bool:
        """Store a running trial's score after it used so much; true means: prune it.

        With two objectives none is pruned: what is weak in one may be best in the other.
        """
        if len(self._objectives) > 1:
            return False
        trial = self._running[asked.id]
        trial.report(val_mse, fidelity)
        return fidelity < self._budget and trial.should_prune()

    def write_curve(self, asked: Asked) -> None:
        """Store now what was reported of a running trial; else that takes up to half a second."""
        self._storage.write_intermediate_values(asked.id)

    def tell(
        self, asked: Asked, state: State, scores: Mapping[str, float], reason: str = ""
    ) -> None:
        """Store how a trial ended.

        Parameters
        ----------
        scores
            ``val_mse`` and what else is known of the trial at its best step.
        reason
            Why it failed.
        """
        # The scores are stored before the state: a trial that is finished has them.
        self._storage.set_trial_user_attr(asked.id, "scores", dict(scores))
        if reason:
            self._storage.set_trial_user_attr(asked.id, "reason", reason)
        values = [scores[name] for name in self._objectives] if state == "complete" else None
        self._study.tell(asked.number, values, state=_STATES[state])
        self._running.pop(asked.id, None)

    def n_points(self) -> float:
        """Give how many different trials there can be at all."""
        return self.space.n_points() if self._grid is None else self._grid.n_points

    def twin(self, asked: Asked) -> Asked | None:
        """Give an earlier trial with the same parameters whose result stands for this one."""
        alike = self._record().alike(asked.params)
        return next((_asked(t) for t in alike if t.number != asked.number), None)

    # ---- what is known ----------------------------------------------------------------------

    def ended(self) -> list[tuple[State, float | None]]:
        """Give how the trials that count ended, in the order of their ends: state and score."""
        ended = [t for t in self._record() if _counts(t) and t.datetime_complete]
        ended.sort(key=lambda t: t.datetime_complete or t.number)
        # A pruned trial has a value too: of a step that says less than the last.
        scores = [t.values[0] if t.state == TrialState.COMPLETE else None for t in ended]
        return [(_NAMES[t.state], score) for t, score in zip(ended, scores, strict=True)]

    def scored(self) -> list[Asked]:
        """Give the complete and the pruned trials, in the order of their numbers."""
        return [_asked(trial) for trial in self._record().scored]

    def curve(self, asked: Asked) -> list[float]:
        """Give the best validation MSE of a trial so far after each step that was reported."""
        return [
            value
            for _, value in sorted(self._storage.get_trial(asked.id).intermediate_values.items())
        ]

    def counts(self) -> dict[str, int]:
        """Give the number of trials by how they ended."""
        counted = self._record().counted
        return {name: counted[state] for name, state in _STATES.items()}

    def best(self) -> Asked | None:
        """Give the complete trial with the lowest validation MSE, none before there is one."""
        best = self._record().complete(1)
        return _asked(best[0]) if best else None

    def top(self, n: int) -> list[Asked]:
        """Give the n complete trials of different parameters with the lowest validation MSE."""
        found: list[Asked] = []
        for trial in self._record().complete():
            if len(found) < n and all(trial.params != other.params for other in found):
                found.append(_asked(trial))
        return found

    def front(self) -> list[Asked]:
        """Give the trials that no other beats in all objectives, the lowest MSE first."""
        best = (_asked(trial) for trial in self._study.best_trials)
        return sorted(best, key=lambda asked: (asked.scores["val_mse"], asked.number))

    def trials(self) -> list[StoredTrial]:
        """Give all trials as they are stored, those of other processes too."""
        self._storage.refresh(self._study._study_id)
        return [stored(trial) for trial in self._record()]

    def note(self, key: str, value: Any = None) -> Any:
        """Store a fact about the study; without a value, give the stored one."""
        if value is not None:
            self._study.set_user_attr(key, value)
        return self._study.user_attrs.get(key)

    # ---- after a death ----------------------------------------------------------------------

    def left_behind(self) -> list[Asked]:
        """Give the trials that still count as running, but whose process is gone."""
        self._storage.refresh(self._study._study_id)
        running = self._record().unfinished({TrialState.RUNNING})
        workers = {t.user_attrs.get("worker") for t in running}
        someone_lives = any(w is not None and process.lives(w) for w in workers)
        # A trial without a worker was caught between leaving the queue and its mark: by a
        # process that died, unless another one is at work on this study right now.
        return [
            _asked(t)
            for t in running
            if (
                not process.lives(t.user_attrs["worker"])
                if "worker" in t.user_attrs
                else not someone_lives
            )
        ]

    def may_retry(self, asked: Asked) -> bool:
        """Tell whether a trial whose process died is to be tried again."""
        return _n_deaths(self._storage.get_trial(asked.id)) < MAX_RETRIES

    def give_back(self, asked: Asked, reason: str, died: bool) -> None:
        """Take a trial out that did not end by itself, and queue its parameters again.

        Parameters
        ----------
        died
            Whether its process died: parameters that killed three processes are not tried again.
        """
        trial = self._storage.get_trial(asked.id)
        retries = _n_deaths(trial) + died
        self._storage.set_trial_user_attr(asked.id, "reason", reason)
        if retries <= MAX_RETRIES:
            # Its state comes last: after a death between these writes the trial is found again.
            self._storage.set_trial_user_attr(asked.id, "given_back", True)
            queued = self._record().is_retried(asked.number)
            # One that was queued itself may have died before its parameters were taken up.
            params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            if params and not queued:
                attrs = {"retries": retries, "retry_of": asked.number}
                self._study.enqueue_trial(params, attrs)
        self._storage.set_trial_state_values(asked.id, TrialState.FAIL)
        self._running.pop(asked.id, None)

    def _next_is_a_last_try(self) -> bool:
        queued = self._record().unfinished({TrialState.WAITING})
        return bool(queued) and _n_deaths(queued[0]) >= MAX_RETRIES

    def _queue_grid_point(self, grid: samplers.Grid) -> None:
        if not self._record().unfinished({TrialState.WAITING}):
            point = grid.next([t.params for t in self._record()])
            if point is not None:
                self._study.enqueue_trial(point)

    def _record(self) -> Record:
        return self._storage.record(self._study._study_id)


def _suggest(trial: optuna.Trial, name: str, param: family.Param) -> section.Scalar:
    match param:
        case family.FloatParam():
            # One from the queue may be written as 1, and to an estimator that need not mean 1.0.
            return float(
                trial.suggest_float(name, param.low, param.high, step=param.step, log=param.log)
            )
        case family.IntParam():
            return trial.suggest_int(name, param.low, param.high, step=param.step, log=param.log)
        case family.CategoricalParam():
            return trial.suggest_categorical(name, param.choices)
        case _:
            assert_never(param)


def _asked(trial: FrozenTrial) -> Asked:
    attrs = trial.user_attrs
    return Asked(
        trial._trial_id,
        trial.number,
        dict(trial.params),
        _NAMES.get(trial.state, "running"),
        attrs.get("mlflow_run_id"),
        attrs.get("scores", {}),
    )


def _n_deaths(trial: FrozenTrial) -> int:
    """Give how often a process died over a trial's parameters."""
    n: int = trial.user_attrs.get("retries", 0)
    return n


def _counts(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() and "given_back" not in trial.user_attrs


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn a database that cannot be used into one clear message.

    Raises
    ------
    StorageError
        Where, why, and what to do; a password in the address is not shown.
    """
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        shown = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        why = str(getattr(cause, "orig", None) or cause).splitlines()[0]
        raise StorageError(
            f"storage.url={shown}: the study's database cannot be used: {why}; free the disk or "
            "mend the file, then give the same command again: finished trials are kept"
        ) from error
