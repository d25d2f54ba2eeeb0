"""What a trial of a study and its run tell differently."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from popsearch.study import StoredTrial
from popsearch.tracking import StoredRun, StoredRuns
from popsearch.tracking.stored import LONGEST, status

SCORED = ("complete", "pruned")
_NOTHING = "not there"


@dataclass(frozen=True)
class Difference:
    """One thing that a study and a run tell differently, each in its words."""

    what: str
    in_study: str
    in_run: str


class Curves:
    """Which step of a run belongs to which of its trial, as the longest curve of all has it.

    So the last step, which comes with the run, tells whether a curve is whole.
    """

    def __init__(
        self,
        trials: Iterable[StoredTrial],
        of_trial: Mapping[int | None, Sequence[StoredRun]],
        runs: StoredRuns,
    ) -> None:
        self._runs = runs
        self._steps: dict[int, int] = {}
        scored = (t for t in trials if t.state in SCORED and t.curve)
        for trial in sorted(scored, key=lambda t: len(t.curve), reverse=True):
            for run in of_trial.get(trial.number, []):
                if run.last_step is not None and run.state == trial.state:
                    steps = runs.steps(run.run_id)
                    if len(steps) == len(trial.curve):
                        self._steps = dict(zip(sorted(trial.curve), steps, strict=True))
                        return

    def missing(self, trial: StoredTrial, run: StoredRun) -> tuple[int, dict[int, float]]:
        """Give how many points a curve has too few or too many, and those that can be added."""
        if run.last_step is not None and run.last_step == self._steps.get(max(trial.curve)):
            return 0, {}
        there = self._runs.steps(run.run_id)
        known = {self._steps[f]: value for f, value in trial.curve.items() if f in self._steps}
        missing = {step: value for step, value in known.items() if step not in there}
        n = len(there) - len(trial.curve)
        return n, missing if n < 0 else {}

    def whole(self, trial: StoredTrial) -> dict[int, float]:
        """Give the points that a study knows of a trial's curve, by step of a run."""
        if trial.curve:
            return {self._steps.get(f, f): value for f, value in trial.curve.items()}
        if trial.state in SCORED:  # another trial's result, or one of two objectives
            return {int(trial.scores["best_resource"]): trial.scores["val_mse"]}
        return {}


def between(
    trial: StoredTrial, run: StoredRun, curves: Curves
) -> tuple[list[Difference], dict[int, float]]:
    """Give how a run differs from its ended trial, and the points that its curve lacks."""
    found = []
    if (run.state, run.status) != (trial.state, status(trial.state)):
        found.append(Difference("state", trial.state, ended(run)))
    found += [
        _pair(name, trial.params.get(name, _NOTHING), run.params.get(name, _NOTHING))
        for name in {**trial.params, **run.params}
        if name not in trial.params or not _same(trial.params[name], run.params.get(name))
    ]
    found += [
        _pair(name, value, run.scores.get(name, _NOTHING))
        for name, value in trial.scores.items()
        if run.scores.get(name) != value
    ]
    # A failed trial that a later process found at its end has no reason; its run has it.
    reason = trial.reason[:LONGEST] if trial.state == "failed" else ""
    if reason and run.reason != reason:
        found.append(_pair("reason", repr(reason), repr(run.reason)))
    if trial.state not in SCORED or not trial.curve:
        return found, {}
    n, missing = curves.missing(trial, run)
    if n:
        found.append(_pair("points of the curve", len(trial.curve), len(trial.curve) + n))
    return found, missing


def ended(run: StoredRun) -> str:
    """Give how a run ended, in its own words."""
    return f"{run.state} ({run.status})" if run.state else run.status


def _pair(what: str, in_study: Any, in_run: Any) -> Difference:
    return Difference(what, f"{what} {in_study}", f"{what} {in_run}")


def _same(value: Any, text: str | None) -> bool:
    """Tell whether a run's text is this value: 1 and 1.0 are, 1 and True are not."""
    if text == str(value) or text is None:
        return text is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return float(text) == value
    except ValueError:
        return False
