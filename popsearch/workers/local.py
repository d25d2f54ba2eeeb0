"""Trials one after another, in this process."""

import gc
from typing import Protocol

from popsearch import trial
from popsearch.interrupt import Interrupted, Interrupts
from popsearch.models import Training
from popsearch.outcome import Outcome, Point, State
from popsearch.space import Params
from popsearch.study import Asked, Study
from popsearch.tracking import Tracker


class Watcher(Protocol):
    """Who is told how the search goes."""

    def trial_started(self, number: int) -> None:
        """Hear that a trial begins."""

    def step_done(self, step: int, n_steps: int, val_mse: float) -> None:
        """Hear that the running trial took a step."""

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Hear that a trial ended."""


class Trainer(Protocol):
    """What is needed to train a trial: made from the configuration, without a study."""

    @property
    def patience(self) -> int | None:
        """Steps without a better score that end a trial."""

    @property
    def n_steps(self) -> int:
        """The most steps that a trial takes."""

    @property
    def val_variance(self) -> float:
        """Variance of the validation targets."""

    def training(self, members: list[Params]) -> Training:
        """Give the training of these parameter sets."""
        ...


def recover(study: Study, tracker: Tracker) -> None:
    """Settle the trials that an earlier process left running when it died.

    A trial whose run was closed with its scores had ended: it only had not been told. Any other
    is tried again.
    """
    for asked in study.left_behind():
        known = tracker.finished(asked.run_id) if asked.run_id else None
        if known:
            study.tell(asked, *known)
        else:
            study.give_back(asked, "its process died", died=True)
    tracker.close_left_behind()


def search(
    trainer: Trainer,
    study: Study,
    tracker: Tracker,
    interrupts: Interrupts,
    watcher: Watcher,
    n_trials: float,
) -> str:
    """Run trials until the study has ``n_trials`` of them, and say why it stopped.

    Returns
    -------
    ``n_trials``, ``timeout``, ``Ctrl-C`` or ``SIGTERM``.
    """
    gc.freeze()  # the libraries stay; walking through all they hold costs milliseconds a trial
    try:
        while study.n_done() < n_trials:
            interrupts.check()
            _run_one(trainer, study, tracker, interrupts, watcher)
    except Interrupted as stop:
        return stop.reason
    return "n_trials"


def _run_one(
    trainer: Trainer, study: Study, tracker: Tracker, interrupts: Interrupts, watcher: Watcher
) -> None:
    asked = study.ask()
    run_id = tracker.start(asked.number, asked.params)
    if run_id:
        study.link(asked, run_id)
    watcher.trial_started(asked.number)
    if twin := study.twin(asked):
        outcome = _copy(twin)
    else:
        try:
            with interrupts.allowed():
                outcome = _train(trainer, study, tracker, asked, run_id, interrupts, watcher)
        except Interrupted as stop:
            study.give_back(asked, f"stopped: {stop.reason}", died=False)
            tracker.close(run_id, f"stopped: {stop.reason}")
            raise
    scores = outcome.scores(trainer.val_variance)
    # First the run, then the study: should the process die in between, the next one finds the
    # run closed and tells the study (see recover), so that nothing is lost or done twice.
    tracker.finish(run_id, outcome, scores)
    study.tell(asked, outcome.state, scores, outcome.reason)
    watcher.trial_ended(asked.number, outcome)


def _train(
    trainer: Trainer,
    study: Study,
    tracker: Tracker,
    asked: Asked,
    run_id: str,
    interrupts: Interrupts,
    watcher: Watcher,
) -> Outcome:
    training = trainer.training([asked.params])
    n_steps = len(training.resources)
    # A step has the same number in every trial, also where the smaller rungs are left out.
    skipped = trainer.n_steps - n_steps

    def watch(_member: int, outcome: Outcome) -> bool:
        step, best = len(outcome.curve), outcome.best
        assert best is not None
        with interrupts.held():
            watcher.step_done(step, n_steps, outcome.curve[-1].val_mse)
            tracker.step(run_id, outcome)
            return study.report(skipped + step, best.val_mse)

    (outcome,) = trial.run(training, 1, watch, trainer.patience)
    return outcome


def _copy(twin: Asked) -> Outcome:
    """Give the outcome of an earlier trial with the same parameters again."""
    known = twin.scores
    point = Point(
        int(known["best_resource"]),
        int(known["best_resource"]),
        *(known[key] for key in ("train_mse", "train_mae", "val_mse", "val_mae")),
    )
    state: State = "pruned" if twin.state == "pruned" else "complete"
    return Outcome(state, [point], best_step=1, copy_of=twin.number)
