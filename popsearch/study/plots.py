"""Optuna's own pictures of a study, interactive, and its importances of parameters."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MIN_TRIALS = 10
"""Trials below which importances would be chance."""

ERROR = "validation MSE"


def figures(study: optuna.Study, trials: Sequence[FrozenTrial]) -> "dict[str, Callable[[], Figure]]":
    """Give functions that draw, by name of the picture; those that would show nothing are left out.

    Parameters
    ----------
    trials
        All of the study's, in the order of their numbers.
    """
    from optuna import visualization as plots

    scored = [trial for trial in trials if _error(trial) is not None]
    if all(trial.state != TrialState.COMPLETE for trial in scored):
        return {}
    found: dict[str, Callable[[], Figure]] = {"optimization_history": lambda: _history(trials)}
    if len(study.directions) > 1:
        names = [ERROR, "seconds to predict"]
        found["pareto_front"] = lambda: plots.plot_pareto_front(study, target_names=names)
    if len(scored) < 2 or not any(trial.params for trial in scored):
        return found
    alike = _copy(trials, with_pruned=True)
    if importances(trials):
        found["param_importances"] = lambda: plots.plot_param_importances(alike)
    found["parallel_coordinate"] = lambda: plots.plot_parallel_coordinate(
        alike, target=_value, target_name=ERROR
    )
    found["slice"] = lambda: plots.plot_slice(alike, target=_value, target_name=ERROR)
    return found


def importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Give each parameter's share in what makes a trial good (PED-ANOVA), the largest first.

    Pruned trials count with the error at which they were stopped: what gets trials pruned would
    look unimportant without them. Nothing where trials are few, or no parameter matters.
    """
    scored = [trial for trial in trials if _error(trial) is not None]
    if len(scored) < MIN_TRIALS or not any(trial.params for trial in scored):
        return {}
    alike = _copy(trials, with_pruned=True)
    found = optuna.importance.get_param_importances(alike, normalize=False)
    total = sum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 else {}


def _history(trials: Sequence[FrozenTrial]) -> "Figure":
    from optuna import visualization as plots

    figure = plots.plot_optimization_history(_copy(trials, with_pruned=False))
    names = {"Objective Value": "complete", "Best Value": "best so far"}
    figure.for_each_trace(lambda trace: trace.update(name=names.get(trace.name, trace.name)))
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    figure.add_scatter(
        x=[trial.number for trial in pruned],
        y=[_error(trial) for trial in pruned],
        mode="markers",
        name="pruned, when it was stopped",
        marker={"color": "gray", "symbol": "circle-open"},
    )
    return figure.update_layout(yaxis_title=ERROR)


def _copy(trials: Sequence[FrozenTrial], with_pruned: bool) -> optuna.Study:
    """Give a study in memory with one objective and the same numbers.

    Parameters
    ----------
    with_pruned
        Whether pruned trials are complete in it: Optuna's pictures show none that is not, and a
        good pruner leaves only a few.
    """
    shown = {TrialState.COMPLETE} | ({TrialState.PRUNED} if with_pruned else set())
    study = optuna.create_study()
    study.add_trials(
        optuna.trial.create_trial(
            value=_error(trial), params=trial.params, distributions=trial.distributions
        )
        if trial.state in shown and _error(trial) is not None
        else optuna.trial.create_trial(state=TrialState.FAIL)
        for trial in trials
    )
    return study


def _error(trial: FrozenTrial) -> float | None:
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return None
    value: float | None = trial.user_attrs.get("scores", {}).get("val_mse")
    return value


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value
