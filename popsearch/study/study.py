"""One study: asks for trials, hears how they go, and can be continued after any death."""

import contextlib
import datetime
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, Any, assert_never

import optuna
from optuna.trial import FrozenTrial, TrialState

from popsearch import config, family, process, section
from popsearch.outcome import State
from popsearch.space import Params, Space
from popsearch.study import plots, samplers
from popsearch.study.asked import STATES, Asked, asked_of
from popsearch.study.connection import connect
from popsearch.study.heartbeat import Heartbeat
from popsearch.study.patience import Patience
from popsearch.study.record import Record
from popsearch.study.storage import NoRoom, SnapshotStorage
from popsearch.study.stored import StoredTrial, stored

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MAX_RETRIES = 2


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
    joins
        Which worker of the search this is; none opens the study. Where several processes may do
        that in the same moment, ``database.alone`` is for each of them.
    patience
        Makes the calls, again where the database is away.
    """

    def __init__(
        self,
        cfg: config.Config,
        name: str,
        space: Space,
        budget: int,
        joins: str = "",
        patience: Patience | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.name, self.space, self._budget = name, space, budget
        self._worker = process.identity()
        kind = "folds" if cfg.split.name == "kfold" else cfg.model.steps.kind
        times = {}
        if isinstance(cfg.storage, config.PostgresStorage):
            times = {"heartbeat_s": cfg.storage.heartbeat_s, "grace_s": cfg.storage.grace_s}
        self._patience = patience or Patience()
        inner = self._patience(connect, cfg.storage.url, **times)
        self._storage = SnapshotStorage(inner, self._worker, self._patience)
        # Others may be on another computer, or in a container, where no process can be looked up.
        self._heartbeat = Heartbeat(inner, self._storage.own_ids)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=name,
            directions=["minimize"] * len(cfg.objectives),
            pruner=samplers.pruner(cfg.pruner, budget, kind),
            load_if_exists=True,
        )
        # A sampler that starts again with the same seed proposes the same points again; and so do
        # two that start in the same moment.
        n_openings = self._study.user_attrs.get("n_openings", 0)
        if not joins:
            self._study.set_user_attr("n_openings", n_openings + 1)
        start = f"{cfg.seed}/{len(self._record())}" + f"/{n_openings}" * bool(n_openings) + joins
        seed = int(hashlib.sha256(start.encode()).hexdigest()[:8], 16)
        self._objectives = cfg.objectives
        self._study.sampler = samplers.sampler(cfg.sampler, space, seed, len(cfg.objectives))
        self._grid = (
            samplers.Grid(cfg.sampler, space, cfg.seed) if cfg.sampler.name == "grid" else None
        )
        self._n_random = samplers.n_random(cfg.sampler)
        self._running: dict[int, optuna.Trial] = {}
        self._n_told = 0
        if not joins:
            for params in space.known_good:
                self._study.enqueue_trial(params, skip_if_exists=True)

    def close(self) -> None:
        """Give up the connections to the database; trials that still run count as abandoned."""
        self._heartbeat.stop()
        self._storage.close()

    # ---- the loop ---------------------------------------------------------------------------

    def n_done(self) -> int:
        """Give how many trials have ended and count: complete, pruned, or failed for good."""
        return self._record().counted.total()

    def refresh(self) -> None:
        """Read what other processes did."""
        self._storage.refresh(self._study._study_id)

    def ask(
        self,
        n: int = 1,
        n_siblings: int = 1,
        structure: Set[str] = frozenset(),
        n_trials: float = math.inf,
    ) -> list[Asked]:
        """Give the next trials, n or fewer: from the queue, or such as the sampler proposes.

        None where as many as are wanted have ended or are running: another process may have them.

        Parameters
        ----------
        n_siblings
            How many of them in a row share the parameters of ``structure``: the first is proposed
            as always, what the others may differ in is proposed for them.
        n_trials
            As many as are wanted in all.
        """
        self._storage.limit = n_trials
        asked: list[Asked] = []
        for i in range(n):
            # The last try is made alone: others should not die with it once more.
            is_last_try = n > 1 and self._next_is_a_last_try()
            if asked and is_last_try:
                break
            shared = asked[i - i % n_siblings].params if i % n_siblings else {}
            try:
                asked.append(self._ask({k: v for k, v in shared.items() if k in structure}))
            except NoRoom:
                break
            if is_last_try:
                break
        return asked

    def n_unguided(self, n_workers: int) -> float:
        """Give how many trials can be asked for before it matters what earlier ones came to.

        Parameters
        ----------
        n_workers
            As many processes do so: each can have its share.
        """
        record = self._record()
        n_queued = len(record.unfinished({TrialState.WAITING}))
        n_known = len(record.scored) + len(record.unfinished({TrialState.RUNNING}))
        return max(n_queued, self._n_random - n_known) / n_workers

    def _ask(self, shared: Params) -> Asked:
        with samplers.fixed(self._study, shared):
            trial = self._study.ask() if self._grid is None else self._ask_grid(self._grid)
            params = self._suggest_all(trial)
        self._running[trial._trial_id] = trial
        return Asked(trial._trial_id, trial.number, params)

    def _suggest_all(self, trial: optuna.Trial) -> Params:
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
    ) -> bool:
        """Store how a trial ended; false where it was given back meanwhile, to be tried again.

        That happens to a process of which nothing was heard for so long that others took it for
        dead.

        Parameters
        ----------
        scores
            ``val_mse`` and what else is known of the trial at its best step.
        reason
            Why it failed.
        """
        values = [scores[name] for name in self._objectives] if state == "complete" else None
        self._running.pop(asked.id, None)
        try:
            # The scores are stored before the state: a trial that is finished has them.
            self._storage.set_trial_user_attr(asked.id, "scores", dict(scores))
            if reason:
                self._storage.set_trial_user_attr(asked.id, "reason", reason)
            self._study.tell(asked.number, values, state=STATES[state])
        except optuna.exceptions.UpdateFinishedTrialError:
            self._storage.forget(asked.id)
            return _counts(self._storage.get_trial(asked.id))
        return True

    def add(self, params: Mapping[str, float], scores: Mapping[str, float]) -> None:
        """Store a complete trial that nobody asked for: of shares, from 0 to 1."""
        share = optuna.distributions.FloatDistribution(0, 1)
        trial = optuna.trial.create_trial(
            params=dict(params),
            distributions=dict.fromkeys(params, share),
            values=[scores[name] for name in self._objectives],
            user_attrs={"scores": dict(scores), "worker": self._worker},
        )
        self._patience(self._study.add_trial, trial)

    def n_points(self) -> float:
        """Give how many different trials there can be at all."""
        return self.space.n_points() if self._grid is None else self._grid.n_points

    def twin(self, asked: Asked) -> Asked | None:
        """Give an earlier trial with the same parameters whose result stands for this one."""
        alike = self._record().alike(asked.params)
        return next((asked_of(t) for t in alike if t.number != asked.number), None)

    # ---- what is known ----------------------------------------------------------------------

    def news(self) -> list[Asked]:
        """Give the trials that count and whose end was not told yet, in the order of their ends.

        Those of other processes are among them, as of the last refresh.
        """
        settled = self._record().settled
        new = [trial for trial in settled[self._n_told :] if _counts(trial)]
        self._n_told = len(settled)
        new.sort(key=lambda t: t.datetime_complete or datetime.datetime.min)
        return [asked_of(trial) for trial in new]

    def scored(self) -> list[Asked]:
        """Give the complete and the pruned trials, in the order of their numbers."""
        return [asked_of(trial) for trial in self._record().scored]

    def curve(self, asked: Asked) -> list[float]:
        """Give the best validation MSE of a trial so far after each step that was reported."""
        return [
            value
            for _, value in sorted(self._storage.get_trial(asked.id).intermediate_values.items())
        ]

    def counts(self) -> dict[str, int]:
        """Give the number of trials by how they ended."""
        counted = self._record().counted
        return {name: counted[state] for name, state in STATES.items()}

    def best(self) -> Asked | None:
        """Give the complete trial with the lowest validation MSE, none before there is one."""
        best = self._record().complete(1)
        return asked_of(best[0]) if best else None

    def top(self, n: int) -> list[Asked]:
        """Give the n complete trials of different parameters with the lowest validation MSE."""
        found: list[Asked] = []
        for trial in self._record().complete():
            if len(found) < n and all(trial.params != other.params for other in found):
                found.append(asked_of(trial))
        return found

    def front(self) -> list[Asked]:
        """Give the trials that no other beats in all objectives, the lowest MSE first."""
        best = (asked_of(trial) for trial in self._study.best_trials)
        return sorted(best, key=lambda asked: (asked.scores["val_mse"], asked.number))

    def trials(self) -> list[StoredTrial]:
        """Give all trials as they are stored, those of other processes too."""
        self._storage.refresh(self._study._study_id)
        return [stored(trial) for trial in self._record()]

    def interactive(self) -> "dict[str, Callable[[], Figure]]":
        """Give functions that draw Optuna's own pictures of the study, by their names."""
        return plots.figures(self._study, [*self._record()])

    def importances(self) -> dict[str, float]:
        """Give each parameter's share in what makes a trial good; empty where that is unknown."""
        return plots.importances([*self._record()])

    def note(self, key: str, value: Any = None) -> Any:
        """Store a fact about the study; without a value, give the stored one."""
        if value is not None:
            self._study.set_user_attr(key, value)
        return self._study.user_attrs.get(key)

    def left_s(self, timeout: float | None) -> float | None:
        """Give the seconds that the search has, none without a limit.

        Who joins others at their work stops when they do; who is alone sets the time.
        """
        ends_at = self._study.user_attrs.get("ends_at")
        others = self._record().unfinished({TrialState.RUNNING})
        # Those of a search whose time is over ended with it, though nobody may know that yet.
        if not others or (ends_at is not None and ends_at <= time.time()):
            ends_at = None if timeout is None else time.time() + timeout
            self._study.set_user_attr("ends_at", ends_at)
        return None if ends_at is None else float(ends_at) - time.time()

    # ---- after a death ----------------------------------------------------------------------

    def alone(self) -> contextlib.AbstractContextManager[object]:
        """Let no other process begin or give back a trial of this study meanwhile."""
        return self._storage.turn(self._study._study_id)

    def left_behind(self) -> list[Asked]:
        """Give the trials that still count as running, but whose process is gone."""
        self.refresh()
        running = self._record().unfinished({TrialState.RUNNING})
        workers = {t._trial_id: t.user_attrs.get("worker", "") for t in running}
        elsewhere = [id_ for id_, worker in workers.items() if not process.is_here(worker)]
        gone = self._patience(self._heartbeat.silent, elsewhere) if elsewhere else set[int]()
        gone |= {id_ for id_, worker in workers.items() if not process.lives(worker)}
        return [asked_of(trial) for trial in running if trial._trial_id in gone]

    def may_retry(self, asked: Asked) -> bool:
        """Tell whether a trial whose process died is to be tried again."""
        return _n_deaths(self._storage.get_trial(asked.id)) < MAX_RETRIES

    def give_back(self, asked: Asked, reason: str, died: bool) -> bool:
        """Take a trial out that did not end by itself, and queue its parameters again.

        Parameters
        ----------
        died
            Whether its process died: parameters that killed three processes are not tried again.

        Returns
        -------
        Whether they are tried again; else it counts as failed.
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
        return retries <= MAX_RETRIES

    def _next_is_a_last_try(self) -> bool:
        queued = self._record().unfinished({TrialState.WAITING})
        return bool(queued) and _n_deaths(queued[0]) >= MAX_RETRIES

    def _ask_grid(self, grid: samplers.Grid) -> optuna.Trial:
        with self._storage.turn(self._study._study_id) as record:  # no point is for two
            if not record.unfinished({TrialState.WAITING}):
                point = grid.next([trial.params for trial in record])
                if point is not None:
                    self._study.enqueue_trial(point)
            return self._study.ask()

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


def _n_deaths(trial: FrozenTrial) -> int:
    """Give how often a process died over a trial's parameters."""
    n: int = trial.user_attrs.get("retries", 0)
    return n


def _counts(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() and "given_back" not in trial.user_attrs
