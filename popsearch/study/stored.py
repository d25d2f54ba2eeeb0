"""What a database holds of its studies, for whoever compares it with something else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import optuna
from optuna.trial import FrozenTrial, TrialState

from popsearch import database
from popsearch.config import Objective
from popsearch.errors import did_you_mean
from popsearch.faults import hide_secrets
from popsearch.space import Params
from popsearch.study.connection import opened

_NAMES = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class StoredTrial:
    """What a study holds of one trial.

    Parameters
    ----------
    state
        ``waiting``, ``running``, ``complete``, ``pruned``, ``failed`` or ``given back``.
    scores
        The values of its objectives, and what else is known of it.
    curve
        The best validation MSE so far, by how much of the resource a step uses: empty where
        another trial's result stands for this one, and where there are two objectives.
    worker
        The process that trained it.
    run_id
        The run that was opened for it; none where nothing was tracked.
    """

    number: int
    state: str
    params: Params
    scores: Mapping[str, float]
    curve: Mapping[int, float]
    reason: str
    worker: str | None
    run_id: str | None
    began: datetime | None
    ended: datetime | None


def stored(trial: FrozenTrial) -> StoredTrial:
    """Give what is compared of a trial."""
    attrs = trial.user_attrs
    scores = dict(attrs.get("scores", {}))
    if trial.state == TrialState.COMPLETE:  # a pruned one's value is only that of its last step
        scores |= dict(zip(get_args(Objective), trial.values or [], strict=False))
    return StoredTrial(
        number=trial.number,
        state="given back" if _is_given_back(trial) else _NAMES[trial.state],
        params=dict(trial.params),
        scores=scores,
        curve=dict(trial.intermediate_values),
        reason=attrs.get("reason", ""),
        worker=attrs.get("worker"),
        run_id=attrs.get("mlflow_run_id"),
        began=trial.datetime_start,
        ended=trial.datetime_complete,
    )


def trials(url: str, name: str) -> list[StoredTrial]:
    """Give the trials of a study."""
    with opened(url) as storage:
        study = optuna.load_study(study_name=name, storage=storage)
        return [stored(trial) for trial in study.get_trials(deepcopy=False)]


def names(url: str) -> list[str]:
    """Give the names of all studies in a database."""
    with opened(url) as storage:
        return optuna.get_all_study_names(storage)


def notes(url: str) -> dict[str, Mapping[str, Any]]:
    """Give the facts that were stored about each study in a database, by its name."""
    with opened(url) as storage:
        return {study.study_name: study.user_attrs for study in storage.get_all_studies()}


def faults(url: str, wanted: Sequence[str] = ()) -> list[str]:
    """Give what keeps these studies from being read; creates nothing."""
    if unusable := database.faults(url, "storage.url"):
        return unusable
    if not database.holds(url, "studies"):
        return [
            f"storage.url={hide_secrets(url)}: must be a database of studies, but there is none yet"
        ]
    known = names(url)
    return [
        f"{name}: must be a study in {hide_secrets(url)}{did_you_mean(name, known)}"
        for name in wanted
        if name not in known
    ]


def _is_given_back(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and "given_back" in trial.user_attrs
