"""Which pictures a study has: those that would show nothing are left out."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from popsearch.data import Table
from popsearch.family import RowSteps
from popsearch.pictures import columns, curves, parameters, search
from popsearch.pictures.columns import Importance
from popsearch.pictures.curves import Curve, Curves
from popsearch.pictures.tested import Tested, predicted_vs_true, residuals
from popsearch.plan import Plan
from popsearch.splitting import TimeSplit
from popsearch.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing = tuple[str, Callable[[], "Figure | None"]]
"""The name of a picture, and what draws it: nothing where there is nothing to see after all."""


def of_test(plan: Plan, tested: Tested) -> Iterator[Drawing]:
    """Give the pictures of the winner on the test rows."""
    known, test = plan.table.columns, plan.split.test

    @cache
    def importance() -> Importance | None:
        return columns.importance(tested)

    def by_column() -> "Figure | None":
        name = time_column(plan) or most_important(importance(), plan.table)
        if name is None:
            return None
        return residuals(tested, plan.table.X[name].iloc[test].to_numpy(), name)

    def permutation() -> "Figure | None":
        found = importance()
        return columns.permutation(found, len(test)) if found else None

    def dependence() -> "Figure | None":
        found = importance()
        return columns.dependence(tested, columns.top(found, known), known) if found else None

    yield "predicted_vs_true", lambda: predicted_vs_true(tested)
    yield "residuals_by_target", lambda: residuals(tested, tested.y, tested.target)
    yield "residuals_by_column", by_column
    yield "permutation_importance", permutation
    yield "partial_dependence", dependence


def of_search(plan: Plan, study: Study, learned: Curves | None) -> Iterator[Drawing]:
    """Give the pictures of the search."""
    trials, best = [t for t in study.scored() if "val_mse" in t.scores], study.best()
    if not trials:
        return
    space, front = plan.space.params, study.front() if plan.n_objectives > 1 else []
    if learned:
        yield "learning_curves", lambda: curves.learning_curves(learned)
    yield "optimization_history", lambda: search.history(trials, study.counts()["failed"])
    if front:
        yield "pareto_front", lambda: search.pareto_front(trials, front)
    if best is None or len(trials) < 2 or not any(trial.params for trial in trials):
        return

    def importances() -> "Figure | None":
        shares = study.importances()
        return parameters.importances(shares) if shares else None

    yield "param_importances", importances
    yield "slice", lambda: parameters.slices(trials, space)
    yield "parallel_coordinate", lambda: parameters.parallel(trials, space)


def time_column(plan: Plan) -> str | None:
    """Give the column that tells when: of the split, a date, or a year; none without one."""
    if isinstance(plan.cfg.split, TimeSplit) and plan.cfg.split.order_by in plan.table.X.columns:
        return plan.cfg.split.order_by
    columns = plan.table.columns
    dates = [name for name, column in columns.items() if column.kind == "datetime"]
    years = [
        name
        for name, column in columns.items()
        if column.kind == "numeric" and name.lower().replace("-", "_").split("_")[-1] == "year"
    ]
    return next(iter([*dates, *years]), None)


def most_important(found: Importance | None, table: Table) -> str | None:
    """Give the most important column of numbers."""
    names = found.names if found else []
    return next((name for name in names if table.columns[name].kind == "numeric"), None)


def curves_of(plan: Plan, study: Study, train: Curve, val: Curve) -> Curves | None:
    """Give the learning curves; none where a trial has one step only, or its steps are folds.

    Parameters
    ----------
    train, val
        Errors of the best trial; empty where they are not known.
    """
    trials, best = study.scored(), study.best()
    if len(plan.split.folds) > 1:
        return None
    places = [*sorted(val), *_places(plan)[len(val) :]]  # of CatBoost only the first are exact
    others = {t.number: dict(zip(places, study.curve(t), strict=False)) for t in trials}
    own = others.pop(best.number, {}) if best else {}
    val = val or own
    if all(len(curve) < 2 for curve in (val, *others.values())):
        return None
    last = int(best.scores["best_step"]) - 1 if best else len(places)
    at = places[last] if last < len(places) else None
    along = "training rows" if isinstance(plan.cfg.model.steps, RowSteps) else plan.resource
    return Curves(others, train, val, at, along)


def _places(plan: Plan) -> list[int]:
    """Give how much of its resource a trial has used after each step."""
    steps = plan.cfg.model.steps
    if isinstance(steps, RowSteps):
        return [round(share * plan.n_train_rows) for share in steps.fractions]
    return [*range(steps.every, steps.budget, steps.every), steps.budget]
