"""A trial as the search sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from popsearch.outcome import State
from popsearch.space import Params

STATES: dict[State, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
NAMES = {state: name for name, state in STATES.items()}


@dataclass(frozen=True)
class Asked:
    """A trial that the study asked for, or one that it remembers."""

    id: int
    number: int
    params: Params
    state: str = "running"
    run_id: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def ending(self) -> tuple[State, float | None, str]:
        """How it ended: state, score and reason.

        A pruned trial has none: its score is of a step that says less than the last.
        """
        states: dict[str, State] = {name: name for name in STATES}
        score = self.scores.get("val_mse") if self.state == "complete" else None
        return states[self.state], score, self.reason


def asked_of(trial: FrozenTrial) -> Asked:
    """Give a trial as the search sees it."""
    attrs = trial.user_attrs
    return Asked(
        trial._trial_id,
        trial.number,
        dict(trial.params),
        NAMES.get(trial.state, "running"),
        attrs.get("mlflow_run_id"),
        attrs.get("scores", {}),
        attrs.get("reason", ""),
    )
