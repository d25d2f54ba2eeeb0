"""Whether a study and its runs tell the same. The study is the truth; runs are made to agree."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from popsearch import process
from popsearch.difference import Curves, Difference, between, ended
from popsearch.study import StoredTrial
from popsearch.tracking import StoredRun, StoredRuns

_GONE = "but its process is gone; the study's own command goes on with it"


@dataclass(frozen=True)
class Disagreement:
    """A trial and its runs that do not tell the same.

    Parameters
    ----------
    number
        Of the trial; none for runs that name no trial.
    trial
        None where the study has no such trial.
    run
        Which of its runs stands for the trial: none where there is none, or where it was given
        back.
    others
        Runs of the trial that are to be closed beside that one.
    missing
        Points that are to be added to the run's curve, by step.
    """

    number: int | None
    differences: Sequence[Difference]
    trial: StoredTrial | None = None
    run: StoredRun | None = None
    others: Sequence[StoredRun] = ()
    missing: Mapping[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"trial {self.number}: the study says {self.in_study}, its run {self.in_run}"

    @property
    def in_study(self) -> str:
        """What the study says."""
        return "; ".join(difference.in_study for difference in self.differences)

    @property
    def in_run(self) -> str:
        """What the run says."""
        return "; ".join(difference.in_run for difference in self.differences)


@dataclass(frozen=True)
class Agreement:
    """What a comparison found.

    Parameters
    ----------
    n_at_work
        Trials that were left alone: a process that lives may still write their runs.
    n_untracked
        Trials without a run that never had one, as with ``tracking=none``.
    repaired
        Those whose runs were made to agree.
    """

    n_trials: int
    n_at_work: int
    n_untracked: int
    disagreements: list[Disagreement]
    repaired: list[Disagreement] = field(default_factory=list)


def compare(study: str, trials: Sequence[StoredTrial], runs: StoredRuns) -> Agreement:
    """Compare every trial of a study with its run, and every run with its trial.

    Parameters
    ----------
    trials
        Read before the runs are: a run is closed before its study is told.
    """
    of_trial: dict[int | None, list[StoredRun]] = {}
    for run in runs.of(study):
        of_trial.setdefault(run.number, []).append(run)
    curves = Curves(trials, of_trial, runs)
    found: list[Disagreement] = []
    n_at_work = n_untracked = 0
    for trial in trials:
        own = of_trial.pop(trial.number, [])
        if trial.state == "waiting":
            continue
        if _is_at_work(trial, own):
            n_at_work += 1
        elif not own and trial.run_id is None:
            n_untracked += trial.state not in ("running", "given back")
        elif disagreement := _disagreement(trial, own, curves):
            found.append(disagreement)
    for number, own in of_trial.items():
        if any(_is_another(run.worker) for run in own):  # begun since the trials were read
            n_at_work += 1
        else:
            stray = Difference("trial", "no such trial", f"run {_ids(own)}")
            found.append(Disagreement(number, [stray]))
    return Agreement(len(trials), n_at_work, n_untracked, found)


def repair(study: str, disagreements: Iterable[Disagreement], runs: StoredRuns) -> None:
    """Make runs agree with their study as far as MLflow lets a run be changed."""
    for found in disagreements:
        trial, run = found.trial, found.run
        if trial is None or trial.state == "running":
            continue
        for other in found.others:
            state, reason = trial.state, trial.reason
            if run is not None:
                state, reason = "set aside", f"{run.run_id} is the run of this trial"
            runs.close(other.run_id, state, reason, trial.ended, "state")
        if trial.state == "given back":
            continue
        if run is None:
            run_id = runs.make(study, trial.number, trial.worker, trial.began)
            params, scores, repaired = trial.params, trial.scores, "made from the study"
        else:
            run_id = run.run_id
            params = {k: v for k, v in trial.params.items() if k not in run.params}
            scores = {k: v for k, v in trial.scores.items() if run.scores.get(k) != v}
            repaired = ", ".join(difference.what for difference in found.differences)
        runs.add(run_id, params, scores, found.missing, trial.ended)
        runs.close(run_id, trial.state, trial.reason, trial.ended, repaired)


def settle(study: str, trials: Sequence[StoredTrial], runs: StoredRuns) -> Agreement:
    """Compare, repair what can be repaired, and compare again."""
    before = compare(study, trials, runs)
    if not before.disagreements:
        return before
    repair(study, before.disagreements, runs)
    after = compare(study, trials, runs)
    left = {found.number for found in after.disagreements}
    repaired = [found for found in before.disagreements if found.number not in left]
    return replace(after, repaired=repaired)


def _is_at_work(trial: StoredTrial, own: Sequence[StoredRun]) -> bool:
    """Tell whether a process that lives may still write what is compared."""
    if trial.state == "running":
        return trial.worker is None or process.lives(trial.worker)
    if not own and trial.run_id is not None and trial.state != "given back":
        return _is_another(trial.worker)
    return any(_is_another(run.worker) for run in own if run.status == "RUNNING")


def _is_another(worker: str | None) -> bool:
    """Tell whether a process lives and is not this one."""
    return worker is not None and worker != process.identity() and process.lives(worker)


def _disagreement(
    trial: StoredTrial, own: Sequence[StoredRun], curves: Curves
) -> Disagreement | None:
    if trial.state == "running":
        run = ended(own[0]) if own else "no run"
        return Disagreement(trial.number, [Difference("state", f"running, {_GONE}", run)], trial)
    if trial.state == "given back":
        wrong = [r for r in own if r.status != "KILLED" or not r.state]
        states = [Difference("state", "given back", ended(run)) for run in wrong]
        return Disagreement(trial.number, states, trial, others=wrong) if wrong else None
    if not own:
        missing = Difference("run", trial.state, "no run")
        return Disagreement(trial.number, [missing], trial, missing=curves.whole(trial))
    # One that was set aside before is none; unless it is the only one that is left.
    standing = [run for run in own if run.status != "KILLED"] or own[:1]
    told = {run.run_id: between(trial, run, curves) for run in standing}
    best = min(standing, key=lambda r: (len(told[r.run_id][0]), r.run_id != trial.run_id))
    differences, points = told[best.run_id]
    others = [run for run in standing if run is not best]
    if others:
        twice = Difference("runs", "one run", f"{len(standing)} runs: {_ids(standing)}")
        differences = [*differences, twice]
    if not differences:
        return None
    return Disagreement(trial.number, differences, trial, best, others, points)


def _ids(runs: Sequence[StoredRun]) -> str:
    return ", ".join(run.run_id for run in runs)
