"""Optuna's own pictures of a study, interactive, and its importances of parameters."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MIN_TRIALS = 10
"""Trials below which importances would be chance."""

ERROR = "validation MSE"
BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#9aa0a6"


def figures(
    study: optuna.Study, trials: Sequence[FrozenTrial]
) -> "dict[str, Callable[[], Figure]]":
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
    drawn: dict[str, Callable[[], Figure]] = {"optimization_history": lambda: _history(trials)}
    if len(study.directions) > 1:
        names = [ERROR, "seconds to predict"]
        drawn["pareto_front"] = lambda: plots.plot_pareto_front(study, target_names=names)
    if len(scored) > 1 and any(trial.params for trial in scored):
        alike = _copy(trials, with_pruned=True)
        own: Any = {"target": _value, "target_name": ERROR}
        drawn["parallel_coordinate"] = lambda: plots.plot_parallel_coordinate(alike, **own)
        drawn["slice"] = lambda: plots.plot_slice(alike, **own)
        if importances(trials):
            drawn["param_importances"] = lambda: plots.plot_param_importances(alike)
    return {name: partial(_plain, draw) for name, draw in drawn.items()}


def importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Give each parameter's share in what makes a trial good (PED-ANOVA), the largest first.

    Pruned trials count with the error at which they were stopped: what gets trials pruned would
    look unimportant without them. Nothing where trials are few, or no parameter matters.
    """
    scored = [trial for trial in trials if _error(trial) is not None]
    if len(scored) < MIN_TRIALS or not any(trial.params for trial in scored):
        return {}
    alike = _copy(trials, with_pruned=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = optuna.importance.get_param_importances(alike, normalize=False)
    total = sum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 else {}


def _history(trials: Sequence[FrozenTrial]) -> "Figure":
    from optuna import visualization as plots

    figure = plots.plot_optimization_history(_copy(trials, with_pruned=False))
    complete, best, *_ = figure.data
    complete.update(name="complete", marker={"color": BLUE})
    best.update(name="best so far", line={"color": ORANGE})
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    figure.add_scatter(
        x=[trial.number for trial in pruned],
        y=[_error(trial) for trial in pruned],
        mode="markers",
        name="pruned, when it was stopped",
        marker={"color": GREY, "symbol": "circle-open"},
    )
    return figure.update_layout(yaxis_title=ERROR)


def _plain(draw: "Callable[[], Figure]") -> "Figure":
    """Draw on white and without a title, which stands above the picture."""
    figure = draw().update_layout(template="plotly_white", title=None, margin={"t": 40})
    return figure.update_traces(marker={"color": BLUE}, selector={"type": "bar"})


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
