"""Whether study and tracking tell the same story, read with their own libraries."""

from pathlib import Path
from typing import Any

import optuna
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState

STATES = {
    TrialState.COMPLETE: ("complete", "FINISHED"),
    TrialState.PRUNED: ("pruned", "FINISHED"),
    TrialState.FAIL: ("failed", "FAILED"),
}


def assert_agree(
    folder: Path, study_name: str, n_trials: int, tracking: str = "", storage: str = ""
) -> list[FrozenTrial]:
    """Compare every trial of a study in a folder with its run, and give those that count."""
    client = MlflowClient(tracking or f"sqlite:///{folder}/mlflow.db")
    storage = storage or f"sqlite:///{folder}/optuna.db"
    trials = optuna.load_study(study_name=study_name, storage=storage).trials
    assert not [t.number for t in trials if t.state == TrialState.RUNNING]
    runs = _runs(client, study_name)
    assert not [r.info.run_name for r in runs if r.info.status == "RUNNING"]
    counted = [t for t in trials if t.state.is_finished() and "given_back" not in t.user_attrs]
    assert len(counted) == n_trials
    assert len({repr(sorted(t.params.items())) for t in counted}) == n_trials
    for trial in counted:
        own = [r for r in runs if r.data.tags["popsearch.trial"] == str(trial.number)]
        ended = [r for r in own if r.info.status in ("FINISHED", "FAILED")]
        assert len(ended) == 1
        # Another run stands for the trial only where the linked one is gone or was set aside.
        valid = [r for r in own if r.data.tags.get("popsearch.state") != "set aside"]
        linked = [r for r in valid if r.info.run_id == trial.user_attrs["mlflow_run_id"]]
        assert linked in ([], ended)
        _assert_equal(client, trial, ended[0])
    numbers = {t.number for t in counted}
    others = [r for r in runs if int(r.data.tags["popsearch.trial"]) not in numbers]
    assert {r.info.status for r in others} <= {"KILLED"}
    return counted


def _assert_equal(client: MlflowClient, trial: FrozenTrial, run: Any) -> None:
    metrics, params = run.data.metrics, run.data.params
    assert params == {key: str(value) for key, value in trial.params.items()}
    scores = trial.user_attrs.get("scores", {})
    assert {key: metrics[key] for key in scores} == scores
    state, status = STATES[trial.state]
    assert (run.data.tags["popsearch.state"], run.info.status) == (state, status)
    if trial.state == TrialState.FAIL:
        assert run.data.tags["popsearch.reason"] == trial.user_attrs["reason"]
        return
    assert trial.value == metrics["val_mse"]
    history = client.get_metric_history(run.info.run_id, "curve/val_mse")
    assert len(history) == len(trial.intermediate_values)
    assert len({m.step for m in history}) == len(history)


def _runs(client: MlflowClient, study_name: str) -> list[Any]:
    experiments = [e.experiment_id for e in client.search_experiments()]
    query = f"tags.`popsearch.study` = '{study_name}' and tags.`popsearch.kind` = 'trial'"
    return list(client.search_runs(experiments, query, max_results=50_000))
