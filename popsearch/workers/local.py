"""Trials in this process, one after another or a population at once."""

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from popsearch import trial
from popsearch.interrupt import Interrupted, Interrupts, Overdue
from popsearch.models import Machine, Training, TrainingDied, WayOfTraining
from popsearch.outcome import Outcome, Point
from popsearch.residuals import Residuals
from popsearch.space import Params
from popsearch.stopping import Stopping
from popsearch.study import Asked, Study
from popsearch.tracking import Given, Tracker

DIED = "its process died"
POLL_S = 0.5  # between two looks at what other processes do


class Watcher(Protocol):
    """Who is told how the search goes."""

    def trial_started(self, number: int) -> None:
        """Hear that a trial begins."""

    def step_done(self, number: int, step: int, n_steps: int, val_mse: float) -> None:
        """Hear that a running trial took a step."""

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Hear that a trial ended."""

    def trials_lost(self, n: int, reason: str) -> None:
        """Hear that so many trials were lost with the process that trained them."""


class Trainer(Protocol):
    """What is needed to train a trial: made from the configuration, without a study."""

    @property
    def patience(self) -> int | None:
        """Steps without a better score that end a trial."""

    @property
    def fidelities(self) -> list[int]:
        """How much of the resource each step uses, in units of what the first one does."""

    @property
    def population(self) -> int:
        """How many trials are asked for and trained at once."""

    @property
    def machine(self) -> Machine:
        """What they train on."""

    @property
    def way(self) -> type[WayOfTraining]:
        """How they train."""

    @property
    def val_variance(self) -> float:
        """Variance of the validation targets."""

    @property
    def n_objectives(self) -> int:
        """How many scores a trial is to make small: the second is the time to predict."""

    @property
    def trial_timeout(self) -> float | None:
        """Seconds that a trial may train; of those side by side each its share."""

    def training(self, members: list[Params]) -> Training:
        """Give the training of these parameter sets."""
        ...

    def too_large(self, params: Params) -> str:
        """Tell why a trial would not fit into memory; nothing where it does or may."""
        ...


def recover(study: Study, tracker: Tracker) -> None:
    """Settle the trials that a process left running when it died.

    A trial whose run was closed with its scores had ended: it only had not been told. Any other
    is tried again.
    """
    if not study.left_behind():
        return
    with study.alone():  # two that find the same trial would try it again twice
        for asked in study.left_behind():
            known = tracker.finished(asked.run_id) if asked.run_id else None
            if known:
                study.tell(asked, *known)
                continue
            is_tried_again = study.give_back(asked, DIED, died=True)
            if asked.run_id:
                state: Given = "given back" if is_tried_again else "failed"
                tracker.close(asked.run_id, DIED, state, asked.params)


def search(
    trainer: Trainer,
    study: Study,
    tracker: Tracker,
    interrupts: Interrupts,
    watcher: Watcher,
    n_trials: float,
    stopping: Stopping | None = None,
    residuals: Residuals | None = None,
    is_worn: Callable[[int], bool] = lambda n_trials: False,
) -> str:
    """Run trials until the study has ``n_trials`` of them, and say why it stopped.

    Other processes may run trials of the same study: then all of theirs count, and where those
    that run are the last ones, this waits for their end.

    Parameters
    ----------
    stopping
        What may end it earlier.
    is_worn
        Tells whether, after so many trials, another process is to go on in the place of this one.

    Returns
    -------
    ``n_trials``, ``patience``, ``max_failures``, ``timeout``, ``Ctrl-C``, ``SIGTERM`` or ``worn``.
    """
    gc.freeze()  # the libraries stay; walking through all they hold costs milliseconds a trial
    stopping = stopping or Stopping()
    stopping.replay(ended.ending for ended in study.news())
    n_own = 0
    try:
        while (left := n_trials - study.n_done()) > 0:
            interrupts.check()
            if stopping.reason:
                return stopping.reason
            if is_worn(n_own):
                return "worn"
            population = Population(trainer, study, tracker, interrupts, watcher, residuals)
            n_asked = population.run(int(min(trainer.population, left)), n_trials)
            n_own += n_asked
            if not n_asked:
                interrupts.pause(POLL_S)
                study.refresh()
                recover(study, tracker)
            for ended in study.news():
                stopping.hear(*ended.ending)
    except Interrupted as stop:
        return stop.reason
    return "n_trials"


class Population:
    """Trials that were asked for together, from the asking to the last one's end.

    Parameters
    ----------
    trainer, study, tracker, interrupts, watcher, residuals
        As ``search`` has them.
    """

    def __init__(
        self,
        trainer: Trainer,
        study: Study,
        tracker: Tracker,
        interrupts: Interrupts,
        watcher: Watcher,
        residuals: Residuals | None = None,
    ) -> None:
        self._trainer, self._study, self._tracker = trainer, study, tracker
        self._interrupts, self._watcher, self._residuals = interrupts, watcher, residuals
        self._open: dict[int, tuple[Asked, str]] = {}  # by number: the trial and its run

    def run(self, n: int, n_trials: float) -> int:
        """Ask for n trials and bring each to its end; gives how many there were to ask for.

        Parameters
        ----------
        n_trials
            As many as are wanted of the study in all.

        Raises
        ------
        Interrupted
            If the search is to stop; trials that have not ended are queued again then.
        """
        trainer = self._trainer
        machine, way = trainer.machine, trainer.way
        for asked in self._study.ask(n, machine.n_siblings, way.structure, n_trials):
            run_id = self._tracker.start(asked.number, asked.params)
            if run_id:
                self._study.link(asked, run_id)
            self._open[asked.number] = asked, run_id
            self._watcher.trial_started(asked.number)
        n_asked = len(self._open)
        try:
            while members := self._to_train():
                limit_s = trainer.trial_timeout
                try:
                    with self._interrupts.allowed(limit_s and limit_s * len(members)):
                        self._train(members)
                except TrainingDied as death:
                    self._lose(str(death))
                except Overdue:
                    self._fail_overdue(members)
        except Interrupted as stop:
            for asked, run_id in self._open.values():
                self._study.give_back(asked, f"stopped: {stop.reason}", died=False)
                self._tracker.close(run_id, f"stopped: {stop.reason}")
            raise
        return n_asked

    def _to_train(self) -> list[Asked]:
        """Give one of each of the open trials that are alike; end those that need no training."""
        members: list[Asked] = []
        for asked, _ in list(self._open.values()):
            if twin := self._study.twin(asked):
                self._end(asked, replace(outcome_of(twin), copy_of=twin.number, fit_s=0.0))
            elif too_large := self._trainer.too_large(asked.params):
                self._end(asked, Outcome("failed", reason=too_large))
            elif all(asked.params != other.params for other in members):
                members.append(asked)
        return members

    def _train(self, members: list[Asked]) -> None:
        training = self._trainer.training([asked.params for asked in members])
        n_steps = len(training.resources)
        # A step is told by what it uses, the same in every trial also where rungs are left out.
        fidelities = self._trainer.fidelities[-n_steps:]

        def watch(member: int, outcome: Outcome) -> bool:
            asked, run_id = self._open[members[member].number]
            step, best = len(outcome.curve), outcome.best
            assert best is not None
            with self._interrupts.held():
                self._watcher.step_done(asked.number, step, n_steps, outcome.curve[-1].val_mse)
                self._tracker.step(run_id, outcome)
                return self._study.report(asked, fidelities[step - 1], best.val_mse)

        def ended(member: int, outcome: Outcome) -> None:
            if self._trainer.n_objectives > 1 and outcome.state == "complete":
                outcome.predict_s = training.predict_s(member, outcome.best_step - 1)
            asked, best = members[member], outcome.best
            with self._interrupts.held():
                self._end(asked, outcome)
                if self._residuals and best and outcome.state == "complete":
                    step = outcome.best_step - 1
                    self._residuals.offer(
                        asked.number, best.val_mse, lambda: training.val_residuals(member, step)
                    )

        trial.run(training, len(members), watch, ended, self._trainer.patience)

    def _fail_overdue(self, members: list[Asked]) -> None:
        """End what was in training when its time was over."""
        limit_s = self._trainer.trial_timeout
        for asked in members:
            if asked.number in self._open:
                reason = f"took longer than trial_timeout={limit_s:g} seconds"
                self._end(asked, Outcome("failed", fit_s=limit_s or 0, reason=reason))

    def _lose(self, reason: str) -> None:
        """Queue the open trials again, but those that were lost too often."""
        self._watcher.trials_lost(len(self._open), reason)
        for asked, run_id in list(self._open.values()):
            if self._study.may_retry(asked):
                self._study.give_back(asked, reason, died=True)
                self._tracker.close(run_id, reason)
                del self._open[asked.number]
            else:
                self._end(asked, Outcome("failed", reason=reason))

    def _end(self, asked: Asked, outcome: Outcome) -> None:
        """Write down how a trial ended."""
        _, run_id = self._open[asked.number]
        scores = outcome.scores(self._trainer.val_variance)
        # First the run, then the study: should the process die in between, the next one finds the
        # run closed and tells the study (see recover), so that nothing is lost or done twice. What
        # it could not tell is the curve.
        self._study.write_curve(asked)
        self._tracker.finish(run_id, outcome, scores)
        if not self._study.tell(asked, outcome.state, scores, outcome.reason):
            self._tracker.close(run_id, "it was taken for dead, and tried again")
        del self._open[asked.number]
        self._watcher.trial_ended(asked.number, outcome)


def outcome_of(ended: Asked) -> Outcome:
    """Give how a trial went, as far as the study knows it: of its curve the best point."""
    known, state = ended.scores, ended.ending[0]
    if state == "failed":
        return Outcome(state, fit_s=known.get("fit_s", 0.0), reason=ended.reason)
    point = Point(
        int(known["best_resource"]),
        int(known["best_resource"]),
        *(known[key] for key in ("train_mse", "train_mae", "val_mse", "val_mae")),
    )
    return Outcome(state, [point], 1, known.get("fit_s", 0.0), predict_s=known.get("predict_s"))
