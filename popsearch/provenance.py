"""What is stored with a study so that it can be understood and repeated."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from typing import TYPE_CHECKING, Any

import psutil
from omegaconf import OmegaConf

from popsearch import description, features, openings
from popsearch.faults import hide_secrets
from popsearch.plan import Plan
from popsearch.tracking import StudyRecord

if TYPE_CHECKING:
    from popsearch.run import Result

PACKAGES = ("popsearch", "scikit-learn", "numpy", "pandas", "scipy", "optuna", "mlflow")


def record(plan: Plan, command: str) -> StudyRecord:
    """Give what is written on a study's run when it is new."""
    return StudyRecord(
        name=plan.study_name,
        tags=tags(plan, command),
        texts=texts(plan),
        data_name=plan.table.name,
        data_digest=plan.table.fingerprint,
        data_source=plan.table.about,
        params=list(plan.space.params),
    )


def about(plan: Plan) -> dict[str, str]:
    """Give what decides which studies are compared: those with the same data, features, split."""
    seen = [plan.feature_names, features.groups_of(plan.cfg.features, plan.table)]
    return {
        "family": plan.cfg.model.name,
        "data": plan.table.name,
        "rows": f"{plan.table.about}: {plan.about_rows}",
        "data_fingerprint": plan.table.fingerprint,
        "features": plan.cfg.features.name,
        "features_digest": hashlib.sha256(json.dumps(seen).encode()).hexdigest(),
        "split": plan.cfg.split.name,
        "split_digest": plan.split.digest,
        "test_digest": plan.test_digest,
    }


PARTS = ("seed", "objectives", "data", "split", "features", "model", "pruner")
"""Of the configuration: what a study's trials were trained with."""


def config(plan: Plan) -> dict[str, Any]:
    """Give what is needed to fit any of a study's trials again, without secrets."""
    parts = plan.cfg.model_dump(mode="json", include=set(PARTS))
    shown: dict[str, Any] = json.loads(hide_secrets(json.dumps(parts)))
    return shown


def tags(plan: Plan, command: str) -> dict[str, str]:
    """Give the tags of a study's run: what it is, and how to repeat it."""
    found = {
        "popsearch.fingerprint": plan.fingerprint,
        "popsearch.data_fingerprint": plan.table.fingerprint,
        "popsearch.model": plan.cfg.model.name,
        "popsearch.features": plan.cfg.features.name,
        "popsearch.split": plan.cfg.split.name,
        "popsearch.command": command,
        "mlflow.source.name": command,
        "mlflow.note.content": description.of_study(plan, command),
        "mlflow.user": psutil.Process().username(),
    }
    if plan.machine.device:
        found["popsearch.device"] = plan.machine.device
    if plan.warnings:
        found["popsearch.warnings"] = "\n".join(plan.warnings)
    if commit := git_commit():
        found["mlflow.source.git.commit"] = commit
    return found


def texts(plan: Plan) -> dict[str, str]:
    """Give the files of a study's run: its whole configuration, and the packages it ran on."""
    names = (*PACKAGES, *plan.machine.packages)
    versions = {name: importlib.metadata.version(name) for name in names}
    versions["python"] = platform.python_version()
    return {
        "config.yaml": hide_secrets(OmegaConf.to_yaml(OmegaConf.create(plan.cfg.model_dump()))),
        "packages.json": json.dumps(versions, indent=2),
    }


def ending(
    plan: Plan, command: str, result: "Result", best: str
) -> tuple[dict[str, float], dict[str, str]]:
    """Give the metrics and tags of a study's run at its end; ``best`` is its best trial's page."""
    names = ["val_mse", "val_mae", "test_mse", "test_mae", "test_r2", "mean_mse", "floor_mse"]
    names += [f"test_{name}_{end}" for name in ("mse", "mae", "r2") for end in ("low", "high")]
    names += ["ensemble_mse", "ensemble_mae", "compile_s", "predict_million_s"]
    metrics = {name: getattr(result, name) for name in names}
    if not result.compile_s:
        del metrics["compile_s"]  # most families compile nothing
    metrics |= {f"n_{state}": float(n) for state, n in result.n_trials.items()}
    metrics["duration_s"] = result.duration_s
    found = {f"best.{name}": str(value) for name, value in (result.best_params or {}).items()}
    found["mlflow.note.content"] = description.of_study(plan, command, result, best)
    found |= {"popsearch.stopped_by": result.stopped_by, **openings.tags(result.test_openings)}
    if result.advice:
        found["popsearch.advice"] = "\n".join(result.advice)
    if result.best_trial is not None:
        found |= {"best.trial": str(result.best_trial), "best.resource": str(result.best_resource)}
    return {name: value for name, value in metrics.items() if value is not None}, found


def git_commit() -> str | None:
    """Give the commit of the folder the search was started in, none outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
