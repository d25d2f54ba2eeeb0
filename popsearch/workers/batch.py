"""Trials that were asked for together, from the asking to the last one's end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from popsearch import best_first
from popsearch.interrupt import Interrupted, Interrupts, Overdue
from popsearch.models import TrainingDied
from popsearch.outcome import Outcome, Point
from popsearch.residuals import Residuals
from popsearch.study import Asked, Study
from popsearch.tracking import Tracker
from popsearch.trial import Steps
from popsearch.workers.trainer import Trainer


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


class Batch:
    """Trials that were asked for together, from the asking to the last one's end.

    Parameters
    ----------
    trainer, study, tracker, interrupts, watcher, residuals
        As ``local.search`` has them.
    hear
        Is called between trials, and raises ``Interrupted`` where the search is to end.
    """

    def __init__(
        self,
        trainer: Trainer,
        study: Study,
        tracker: Tracker,
        interrupts: Interrupts,
        watcher: Watcher,
        hear: Callable[[], None],
        residuals: Residuals | None = None,
    ) -> None:
        self._trainer, self._study, self._tracker, self._hear = trainer, study, tracker, hear
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
                try:
                    if trainer.population == 1:
                        self._best_first(members)
                    else:
                        self._train(members)
                except TrainingDied as death:
                    self._lose(str(death))
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
        """Train these side by side."""
        limit_s = self._trainer.trial_timeout
        try:
            with self._interrupts.allowed(limit_s and limit_s * len(members)):
                self._steps(members).run()
        except Overdue:
            for asked in members:
                self._fail_overdue(asked)

    def _best_first(self, members: list[Asked]) -> None:
        """Train these one by one, at each step the most promising one."""

        def take(place: int, steps: Steps) -> None:
            limit_s, (outcome,) = self._trainer.trial_timeout, steps.outcomes
            left_s = None if limit_s is None else max(limit_s - outcome.fit_s, 0.0)
            try:
                with self._interrupts.allowed(left_s):
                    steps.take()
            except Overdue:
                self._fail_overdue(members[place])
                steps.drop([0])
            if not steps.live:
                self._hear()

        runners = (self._steps([asked]) for asked in members)
        best_first.run(runners, self._trainer.first_look, self._trainer.fidelities[-1], take)

    def _steps(self, members: list[Asked]) -> Steps:
        """Give the training of these, which tells study, run and watcher how it goes."""
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

        return Steps(training, len(members), watch, ended, self._trainer.patience)

    def _fail_overdue(self, asked: Asked) -> None:
        """End a trial that was in training when its time was over."""
        if asked.number in self._open:
            limit_s = self._trainer.trial_timeout
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
