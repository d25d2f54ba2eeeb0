"""An ensemble's own study: a mix is a trial of it, refitted and tested like any winner."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from popsearch import agreement, champion, database, openings, provenance
from popsearch.config import NoTracking
from popsearch.ensemble.members import KIND, Part
from popsearch.ensemble.together import Together
from popsearch.errors import PopsearchError, RefitError
from popsearch.finish import TestScores, finish
from popsearch.interrupt import Interrupts
from popsearch.openings import Opening
from popsearch.outcome import Outcome
from popsearch.study import Asked, Patience, Study, storage_errors
from popsearch.tracking import StoredRuns, StudyRecord, Tracker, open_tracker, tracking_errors
from popsearch.workers.worker import waiting_time


class Listener(Protocol):
    """Who is told how it goes."""

    def doing(self, line: str) -> None:
        """Hear what is being done and may take long."""

    def warn(self, line: str) -> None:
        """Hear what should be known."""

    def complain(self, error: PopsearchError) -> None:
        """Hear what went wrong, where it goes on nevertheless."""


@dataclass(frozen=True)
class Entered:
    """The ensemble that stands for its board.

    Parameters
    ----------
    best
        The trial: its parameters are the weights, by key of a part.
    shares
        The same, the most first.
    test
        Scores on the test rows; none where a member cannot be fitted again, and ``why_not``.
    champion
        Whether it is the champion of its data, as it is told.
    """

    study: str
    best: Asked
    shares: Sequence[tuple[float, Part]]
    test: TestScores | None
    test_openings: Sequence[Opening]
    why_not: str
    champion: str


def enter(
    plan: Together,
    weights: Mapping[str, float],
    scores: Mapping[str, float],
    command: str,
    interrupts: Interrupts,
    listener: Listener,
) -> Entered:
    """Store a mix as a trial; refit and test the best one, unless that is done.

    Raises
    ------
    Interrupted
        If the user stops it; the same command goes on.
    StorageError
        If a database does not answer.
    """
    cfg, url = plan.cfg, plan.cfg.storage.url
    turn = database.alone(url, f"test of {plan.study_name}")
    with (
        storage_errors(url),
        tracking_errors(cfg.tracking),
        contextlib.ExitStack() as opened,
    ):
        with interrupts.allowed():  # another process may be at its refit
            opened.enter_context(turn)
        patience = Patience(waiting_time(cfg.storage), interrupts.pause, listener.warn)
        with database.alone(url):
            study = Study(cfg, plan.study_name, plan.space, 1, patience=patience)
            opened.callback(study.close)
            facts = {KIND: True, "about": provenance.about(plan), "command": command}
            for name, fact in facts.items():
                if study.note(name) != fact:
                    study.note(name, fact)
            tracker = open_tracker(cfg.tracking, plan.table.name, listener.warn)
            tracker.open_study(_record(plan, command))
        if all(trial.params != weights for trial in study.scored()):
            study.add(weights, scores)
        best = study.best()
        assert best is not None  # one was just added
        _track(plan, study, tracker)
        parts = {name: part for name, part in plan.parts.items() if name in best.params}
        plan = replace(plan, parts=parts)
        test, why_not, crowned = None, "", ""
        try:
            test = finish(plan, study, tracker, interrupts, listener.complain)
            crowned = champion.after_study(plan, study, test)
        except RefitError as error:
            why_not = error.faults[0]
        finally:
            told = openings.of(study)
            tags = {**openings.tags(told), "mlflow.note.content": _page(plan, best, test, command)}
            tracker.close_study(_metrics(best, test), tags)
        shares = plan.shares(best.params)
        return Entered(study.name, best, shares, test, told, why_not, crowned)


def _track(plan: Together, study: Study, tracker: Tracker) -> None:
    """Give every mix that has no run one, and make runs agree with the study."""
    tracking = plan.cfg.tracking
    if isinstance(tracking, NoTracking) or not tracker.close_left_behind():
        return
    runs = StoredRuns(tracking.uri)
    there = {run.number for run in runs.of(study.name)}
    for trial in study.scored():
        if trial.number not in there:
            run_id = tracker.start(trial.number, trial.params)
            tracker.finish(run_id, Outcome(), trial.scores)
    agreement.settle(study.name, study.trials(), runs)


def _record(plan: Together, command: str) -> StudyRecord:
    return StudyRecord(
        name=plan.study_name,
        tags=provenance.tags(plan, command),
        texts={},
        data_name=plan.table.name,
        data_digest=plan.table.fingerprint,
        data_source=plan.table.about,
    )


def _metrics(best: Asked, test: TestScores | None) -> dict[str, float]:
    """Give what a search writes on its study's run, as far as a mix has it."""
    known: dict[str, Any] = dict(best.scores) | (asdict(test) if test else {})
    of_trial = ("best_step", "best_resource", "fit_s", "stored")
    return {
        name: float(value)
        for name, value in known.items()
        if isinstance(value, int | float) and name not in of_trial
    }


def _page(plan: Together, best: Asked, test: TestScores | None, command: str) -> str:
    """Give the run's description."""
    shares = "\n".join(
        f"| {weight:.2f} | {part} | {part.plan.study_name} | {part.trial.scores['val_mse']:.2f} |"
        for weight, part in plan.shares(best.params)
    )
    scores = best.scores
    scored = "" if test is None else f" On the test rows: MSE {test.test_mse:.2f}."
    return (
        f"{len(best.params)} models on {plan.table.about}: {plan.about_rows}; their weighted mean "
        "predicts.\n\n"
        f"| weight | model | study | validation MSE |\n|---|---|---|---|\n{shares}\n\n"
        f"On validation rows that chose neither: MSE {scores['held_out_mse']:.2f}, of the best "
        f"single model {scores['held_out_single_mse']:.2f}.{scored}\n\n"
        f"Repeat or continue it with:\n\n    {command}\n"
    )
