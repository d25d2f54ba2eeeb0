"""What a search that ended tells of how to search on: a line each, and only what holds."""

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from popsearch import edges, influence
from popsearch.family import ModelConfig, StageSteps
from popsearch.space import SCALER, Params, Space

if TYPE_CHECKING:
    from popsearch.study import Asked

ResidualsOf = Callable[[int, float], NDArray[np.float32] | None]

MIN_TRIALS = 10
MIN_VAL_ROWS = 30
N_PLACES = 5
FALLING = 1e-3  # of the error, in the last tenth of the steps
TWO_SIDED_95 = 1.96
MOST_NAMED = 4
_PLAIN = re.compile(r"[\w.+-]+")


def advise(
    model: ModelConfig,
    space: Space,
    trials: "Sequence[Asked]",
    curve: Sequence[float],
    residuals_of: ResidualsOf,
) -> list[str]:
    """Give what to do next: at most four lines, each with what to type or to take.

    Parameters
    ----------
    trials
        All that are complete or pruned, in the order of their numbers.
    curve
        The best trial's validation MSE after each step; empty where steps are folds.
    residuals_of
        Gives the residuals on the validation rows of a trial, by its number and validation MSE,
        where they are kept.
    """
    complete = [trial for trial in trials if trial.state == "complete"]
    if len(trials) < MIN_TRIALS or not complete:
        return []
    places = _places(complete)
    errors = [t.scores["val_mse"] if t.state == "complete" else math.inf for t in trials]
    idle = influence.without(space, [trial.params for trial in trials], errors)
    lines = (
        edges.advise(model, space, [trial.params for trial in places], idle),
        _falling(model, places[0], curve),
        _idle(model, idle, places[0].params),
        _noise(places, residuals_of),
    )
    return [line for line in lines if line]


def half_width(first: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Give how far the difference of two MSE may be from its mean by chance, at 95 %.

    The standard error of the mean of the paired differences, as a paired bootstrap over the rows
    would find it: for a mean that one is known in closed form, and over many rows it is normal
    (Efron and Tibshirani, 1993, doi:10.1201/9780429246593).

    Parameters
    ----------
    first, other
        Residuals on the same rows, (n_rows,).
    """
    differences = np.square(other.astype(np.float64)) - np.square(first.astype(np.float64))
    return float(TWO_SIDED_95 * differences.std(ddof=1) / math.sqrt(len(differences)))


def _places(complete: "Sequence[Asked]") -> "list[Asked]":
    """Give the best trials of different parameters, the best first."""
    places: list[Asked] = []
    for trial in sorted(complete, key=lambda t: (t.scores["val_mse"], t.number)):
        if len(places) < N_PLACES and all(trial.params != other.params for other in places):
            places.append(trial)
    return places


def _falling(model: ModelConfig, best: "Asked", curve: Sequence[float]) -> str:
    steps = model.steps
    if not isinstance(steps, StageSteps) or best.scores["best_resource"] < steps.budget:
        return ""
    if {**model.fixed, **best.params}.get("schedule") == "cosine":
        return ""  # falls until the budget ends, whatever it is
    tenth = max(1, len(curve) // 10)
    if len(curve) > tenth and curve[-1 - tenth] - curve[-1] < FALLING * curve[-1]:
        return ""
    return (
        f"the best trial's curve was still falling at the last step ({steps.param}={steps.budget}):"
        f" try model.steps.budget={2 * steps.budget}"
    )


def _idle(model: ModelConfig, idle: Sequence[str], best: Params) -> str:
    named = [name for name in idle if _PLAIN.fullmatch(edges.text(best[name]))][:MOST_NAMED]
    if not named:
        return ""
    *others, last = named
    names = f"{', '.join(others)} and {last}" if others else last
    typed = []
    for name in named:
        where = "model.scaler" if name == SCALER else f"model.fixed.{name}"
        new = "+" if name != SCALER and name not in model.fixed else ""
        typed.append(f"'~model.space.{name}' {new}{where}={edges.text(best[name])}")
    return f"{names} showed no influence: try without ({' '.join(typed)})"


def _noise(places: "Sequence[Asked]", residuals_of: ResidualsOf) -> str:
    first = residuals_of(places[0].number, places[0].scores["val_mse"])
    if first is None or len(first) < MIN_VAL_ROWS:
        return ""
    level, noise = [places[0]], 0.0
    for place in places[1:]:
        other = residuals_of(place.number, place.scores["val_mse"])
        if other is None or other.shape != first.shape:
            break
        width = half_width(first, other)
        if place.scores["val_mse"] - places[0].scores["val_mse"] >= width:
            break
        level, noise = [*level, place], max(noise, width)
    if len(level) < 2:
        return ""
    fastest = min(level, key=lambda trial: trial.scores.get("fit_s", math.inf))
    return (
        f"the first {len(level)} places differ by less than the noise of the {len(first):,} "
        f"validation rows ({noise:.2g} MSE): prefer the simplest of them, or the fastest "
        f"(trial {fastest.number})"
    )
