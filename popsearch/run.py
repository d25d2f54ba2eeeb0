"""The straight line: one configuration from table to tuned, tracked model."""

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from popsearch import advice, agreement, champion, database, openings, provenance, sqlite, threads
from popsearch.config import Config, NoTracking, PostgresStorage, RayExecutor
from popsearch.errors import RefitError, StorageError
from popsearch.finish import TestScores, finish
from popsearch.interrupt import Interrupted, Interrupts
from popsearch.openings import Opening
from popsearch.pictures.album import Album
from popsearch.plan import Plan, prepare
from popsearch.residuals import N_KEPT, Residuals, kept_here
from popsearch.space import Params
from popsearch.stopping import Stopping
from popsearch.study import Patience, Study, storage_errors
from popsearch.terminal import Terminal
from popsearch.tracking import StoredRuns, Tracker, open_tracker, tracking_errors
from popsearch.workers import local, processes, ray_cluster
from popsearch.workers.worker import Order, waiting_time


@dataclass(frozen=True)
class Result:
    """What a study came to, as ``result.json`` holds it."""

    study: str
    model: str
    data: str
    fingerprint: str
    n_trials: Mapping[str, int]
    stopped_by: str
    best_trial: int | None
    best_params: Params | None
    best_step: int | None
    best_resource: int | None
    resource: str
    val_mse: float | None
    val_mae: float | None
    test_mse: float | None
    test_mae: float | None
    test_r2: float | None
    test_mse_low: float | None
    test_mse_high: float | None
    test_mae_low: float | None
    test_mae_high: float | None
    test_r2_low: float | None
    test_r2_high: float | None
    predict_million_s: float | None
    test_openings: list[Opening]
    mean_mse: float | None
    floor_mse: float | None
    ensemble_n: int | None
    ensemble_mse: float | None
    ensemble_mae: float | None
    compile_s: float
    mlflow_run_id: str | None
    champion: str
    duration_s: float
    warnings: list[str]
    failures: list[str]
    advice: list[str]
    front: list[dict[str, float]]
    report: str | None = None


def run(cfg: Config, run_dir: Path, command: str) -> Result:
    """Search, refit, score and report; the same configuration again continues the study.

    Parameters
    ----------
    run_dir
        Where ``result.json`` is written.
    command
        What was typed, to be shown and stored.

    Raises
    ------
    PopsearchError
        If the configuration or the data do not hold (then nothing was created), or a database
        cannot be used (then all that was finished is kept).
    """
    started = time.monotonic()
    plan = prepare(cfg)
    terminal = Terminal(plan, command)
    with (
        Interrupts(cfg.timeout) as interrupts,
        threads.limited(plan.n_train_rows),
        storage_errors(cfg.storage.url),
        tracking_errors(cfg.tracking),
        contextlib.ExitStack() as opened,
    ):
        terminal.opening()
        patience = Patience(waiting_time(cfg.storage), interrupts.pause, terminal.warn)
        with database.alone(cfg.storage.url):
            study = Study(cfg, plan.study_name, plan.space, plan.fidelities[-1], patience=patience)
            opened.callback(study.close)
            facts = {"about": provenance.about(plan), "config": provenance.config(plan)}
            for key, fact in {**facts, "command": command}.items():
                if study.note(key) != fact:
                    study.note(key, fact)
            tracker = open_tracker(cfg.tracking, plan.table.name, terminal.warn)
            run_id = tracker.open_study(provenance.record(plan, command))
            local.recover(study, tracker)
            tracker.close_left_behind()
            shared = isinstance(cfg.storage, PostgresStorage)  # perhaps with other computers
            opened.enter_context(tracker.watching(socket.gethostname() if shared else ""))
            interrupts.limit(study.left_s(interrupts.left_s()))
        best = [(trial.number, trial.scores["val_mse"]) for trial in study.top(N_KEPT)]
        residuals = kept_here(cfg.storage.url, study.name, best)
        residuals.remove_others()
        wanted = min(cfg.n_trials, study.n_points())
        with terminal.searching(study, wanted, interrupts):
            stopping = Stopping(cfg.patience, cfg.min_improvement, cfg.max_failures)
            order = Order(cfg, "", tracker.ticket(), wanted, interrupts.left_s())
            how = (study, tracker, interrupts, terminal)
            if isinstance(cfg.executor, RayExecutor):
                stopped_by = ray_cluster.search(plan, order, *how, stopping)
            elif cfg.workers == 1:
                stopped_by = local.search(plan, *how, wanted, stopping, residuals)
            else:
                stopped_by = processes.search(order, *how, stopping)
        scores, crowned = None, ""
        album = Album(plan, study, tracker, interrupts, run_dir, command, terminal.warn)
        if stopped_by in ("n_trials", "timeout", "patience"):
            interrupts.lift_time_limit()
            try:
                # Of several processes that end a search the first one opens the test rows.
                tested = database.alone(cfg.storage.url, f"test of {study.name}")
                with terminal.finishing(), contextlib.ExitStack() as turn:
                    with interrupts.allowed():  # it may take as long as another's refit
                        turn.enter_context(tested)
                    scores = finish(
                        plan, study, tracker, interrupts, terminal.complain, album.opened
                    )
                    if scores and scores.stored:
                        _keep(study, tracker, residuals)
                    crowned = champion.after_study(plan, study, scores)
            except Interrupted as stop:
                stopped_by = stop.reason
            except RefitError as error:
                terminal.complain(error)
        _settle(cfg, study, tracker, terminal)
        nothing = study.best() is None
        failures = stopping.causes if nothing or stopped_by == "max_failures" else []
        duration_s = time.monotonic() - started
        result = _result(
            plan,
            study,
            scores,
            stopped_by,
            failures,
            _advice(plan, study, residuals),
            run_id,
            duration_s,
            crowned,
        )
        if stopped_by not in ("Ctrl-C", "SIGTERM"):
            try:
                with terminal.drawing():
                    result = replace(result, report=album.write(result))
            except Interrupted as stop:
                result = replace(result, stopped_by=stop.reason)
        winner = study.best()
        page = tracker.page_of(winner.run_id or "") if winner else ""
        tracker.close_study(*provenance.ending(plan, command, result, page))
    sqlite.tidy(cfg.storage.url)
    if not isinstance(cfg.tracking, NoTracking):
        sqlite.tidy(cfg.tracking.uri)
    (run_dir / "result.json").write_text(json.dumps(asdict(result), indent=2) + "\n")
    terminal.closing(result, tracker.page)
    return result


def _settle(cfg: Config, study: Study, tracker: Tracker, terminal: Terminal) -> None:
    """Make the runs agree with the study, should they not."""
    if isinstance(cfg.tracking, NoTracking) or not tracker.close_left_behind():
        return
    try:
        with tracking_errors(cfg.tracking):
            found = agreement.settle(study.name, study.trials(), StoredRuns(cfg.tracking.uri))
    except StorageError as error:
        terminal.complain(error)
    else:
        repaired = [f"{each}: repaired" for each in found.repaired]
        terminal.disagreed([*map(str, found.disagreements), *repaired])


def _keep(study: Study, tracker: Tracker, residuals: Residuals) -> None:
    """Store the best trials' residuals with the study's run: other computers look there."""
    best = ((trial.number, trial.scores["val_mse"]) for trial in study.top(N_KEPT))
    found = {number: residuals.of(number, val_mse) for number, val_mse in best}
    tracker.log_val_residuals({n: own for n, own in found.items() if own is not None})


def _advice(plan: Plan, study: Study, residuals: Residuals) -> list[str]:
    best = study.best()
    if best is None or plan.n_objectives > 1:
        return []
    curve = study.curve(best) if len(plan.split.folds) == 1 else []
    return advice.advise(plan.cfg.model, plan.space, study.scored(), curve, residuals.of)


def _result(
    plan: Plan,
    study: Study,
    test: TestScores | None,
    stopped_by: str,
    failures: list[str],
    advised: list[str],
    run_id: str,
    duration_s: float,
    crowned: str,
) -> Result:
    best = study.best()
    scores = best.scores if best else {}
    return Result(
        study=plan.study_name,
        model=plan.cfg.model.name,
        data=plan.table.about,
        fingerprint=plan.fingerprint,
        n_trials=study.counts(),
        stopped_by=stopped_by,
        best_trial=best.number if best else None,
        best_params=best.params if best else None,
        best_step=int(scores["best_step"]) if best else None,
        best_resource=int(scores["best_resource"]) if best else None,
        resource=plan.resource,
        val_mse=scores.get("val_mse"),
        val_mae=scores.get("val_mae"),
        test_mse=test.test_mse if test else None,
        test_mae=test.test_mae if test else None,
        test_r2=test.test_r2 if test else None,
        test_mse_low=test.test_mse_low if test else None,
        test_mse_high=test.test_mse_high if test else None,
        test_mae_low=test.test_mae_low if test else None,
        test_mae_high=test.test_mae_high if test else None,
        test_r2_low=test.test_r2_low if test else None,
        test_r2_high=test.test_r2_high if test else None,
        predict_million_s=test.predict_million_s if test else None,
        test_openings=openings.of(study),
        mean_mse=test.mean_mse if test else None,
        floor_mse=test.floor_mse if test else None,
        ensemble_n=test.ensemble_n if test else None,
        ensemble_mse=test.ensemble_mse if test else None,
        ensemble_mae=test.ensemble_mae if test else None,
        compile_s=round(plan.compile_s, 3),
        mlflow_run_id=run_id or None,
        champion=crowned,
        duration_s=round(duration_s, 3),
        warnings=plan.warnings,
        failures=failures,
        advice=advised,
        front=[
            {"trial": trial.number, **{name: trial.scores[name] for name in plan.cfg.objectives}}
            for trial in study.front()
        ]
        if plan.n_objectives > 1
        else [],
    )
