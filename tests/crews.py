"""A search by two workers, and what it leaves in a folder."""

import subprocess
from pathlib import Path

import optuna
import psutil
from optuna.trial import FrozenTrial

from agreement import assert_agree

# Trials of a second: two of three processes always have one.
SLOW = ("model=random_forest", "data.rows=3000", "n_trials=6", "model.steps.patience=100")
SLOW += ("workers=2", "pruner=none")


def workers_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Give the workers that a program has started."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "worker.serve" in " ".join(child.cmdline())]


def agreed(folder: Path, n_trials: int) -> list[FrozenTrial]:
    """Give the trials that count of the one study, when study and tracking agree."""
    (name,) = optuna.get_all_study_names(f"sqlite:///{folder}/optuna.db")
    return assert_agree(folder, name, n_trials)


def all_trials(folder: Path) -> list[FrozenTrial]:
    """Give every trial of the one study, those given back as well."""
    url = f"sqlite:///{folder}/optuna.db"
    (name,) = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url).trials
