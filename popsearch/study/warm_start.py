"""The best trials of an earlier study, to begin another one with."""

from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from popsearch import sqlite
from popsearch.errors import did_you_mean
from popsearch.faults import hide_secrets
from popsearch.space import Params
from popsearch.study.connection import opened

N_TRIALS = 5


def faults(url: str, name: str, family: str) -> list[str]:
    """Give what keeps a family's study from beginning with another one; creates nothing."""
    where, shown = f"warm_start={name}", hide_secrets(url)
    if url.startswith(sqlite.PREFIX) and not Path(url.removeprefix(sqlite.PREFIX)).is_file():
        return [f"{where}: must be an earlier study, but there is none yet in {shown}"]
    with opened(url) as storage:
        names = optuna.get_all_study_names(storage)
    if name not in names:
        return [f"{where}: must be an earlier study in {shown}{did_you_mean(name, names)}"]
    if (theirs := name.split("-")[-2:][0]) != family:
        return [f"{where}: must be a study of model={family}, but is one of model={theirs}"]
    if not _complete(url, name):
        return [f"{where}: must have a complete trial, but has none; search it further first"]
    return []


def best(url: str, name: str) -> dict[int, Params]:
    """Give the parameters of the best complete trials, by number, the best first."""
    trials = sorted(_complete(url, name), key=lambda t: (t.value, t.number))
    found: dict[int, Params] = {}
    for trial in trials:
        if len(found) < N_TRIALS and trial.params not in found.values():
            found[trial.number] = dict(trial.params)
    return found


def _complete(url: str, name: str) -> list[FrozenTrial]:
    with opened(url) as storage:
        study = optuna.load_study(study_name=name, storage=storage)
        return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
