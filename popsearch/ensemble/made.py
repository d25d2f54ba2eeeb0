"""From the best trials of a board to an ensemble, or to the reason why there is none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from popsearch import threads
from popsearch.config import Config
from popsearch.data import keys
from popsearch.ensemble import together, verdict
from popsearch.ensemble.entered import Entered, Listener, enter
from popsearch.ensemble.members import KIND, Pool, pool, y_val
from popsearch.ensemble.selection import mixed, select
from popsearch.ensemble.verdict import Verdict
from popsearch.interrupt import Interrupted, Interrupts
from popsearch.leaderboard.gathered import Found
from popsearch.models.training import mse
from popsearch.plan import Plan
from popsearch.study import stored


@dataclass(frozen=True)
class Made:
    """What came of it.

    Parameters
    ----------
    about
        Data, features and split, as a study stores it.
    pool
        The members there were to choose from.
    why_not
        Why there is no ensemble, nothing where there is one.
    stopped_by
        The signal that ended it, nothing where none did.
    """

    about: Mapping[str, str]
    pool: Pool
    why_not: str = ""
    verdict: Verdict | None = None
    entered: Entered | None = None
    stopped_by: str = ""

    @property
    def single(self) -> str:
        """The model that is best by itself; two where each half of the rows has its own."""
        assert self.verdict is not None
        members = (self.pool.members[place] for place in self.verdict.singles)
        return " or ".join(dict.fromkeys(map(str, members)))


def make(
    found: Found,
    names: Iterable[str],
    cfg: Config,
    is_given: bool,
    command: str,
    listener: Listener,
) -> Made:
    """Make an ensemble of the studies on one board, if it is better than the best single model.

    Parameters
    ----------
    names
        Of these studies; the board's ensemble may be among them.
    cfg
        Says where studies and runs are stored.
    is_given
        Whether it says where the data are, too; else each study's own configuration does.
    command
        What was typed, to be stored.

    Raises
    ------
    StorageError
        If a database does not answer.
    """
    own = [name for name in names if KIND not in found.notes[name]]
    made = Made(found.notes[own[0]]["about"] if own else {}, Pool([]))
    with Interrupts(None) as interrupts:
        try:
            with interrupts.allowed():
                made = replace(made, pool=pool(found, own, cfg, is_given, listener.doing))
            made, weights = _select(made)
            if not weights:
                return made
            trials = {name: stored.trials(cfg.storage.url, name) for name in made.pool.plans}
            plan = together.plan(made.pool.plans, trials, cfg, listener.doing)
            scores = _scores(made, weights)
            with threads.limited(plan.n_train_rows):
                entered = enter(plan, weights, scores, command, interrupts, listener)
            return replace(made, entered=entered, why_not=entered.why_not)
        except Interrupted as stop:
            return replace(made, stopped_by=stop.reason)


def _select(made: Made) -> tuple[Made, dict[str, float]]:
    """Judge a mix on held-out rows, and give the weights by key that all rows choose."""
    members = made.pool.members
    if len(members) < 2:
        n = "one" if members else "none"
        return replace(made, why_not=f"it takes two complete trials, and there is {n}"), {}
    residuals, groups = np.stack([m.residuals for m in members]), _groups(members[0].plan)
    if (n_units := verdict.n_units(residuals.shape[1], groups)) < verdict.MIN_UNITS:
        what = "validation rows" if groups is None else "groups of validation rows"
        why_not = f"{n_units} {what} are too few to tell whether a mix is better, it takes "
        return replace(made, why_not=f"{why_not}{verdict.MIN_UNITS}"), {}
    made = replace(made, verdict=(judged := verdict.judge(residuals, groups)))
    if not judged.mix_wins:
        return replace(made, why_not=_why_not(made, judged)), {}
    # What was to be decided on held-out rows is decided; all rows know the weights better.
    weights = {m.key: float(w) for m, w in zip(members, select(residuals), strict=True) if w}
    if len(weights) < 2:
        return replace(made, why_not="all validation rows together choose a single model"), {}
    return made, weights


def _why_not(made: Made, judged: Verdict) -> str:
    return (
        f"the best single model, {made.single}, is as good on held-out validation rows: MSE "
        f"{judged.single_mse:.2f}, the mix {judged.mix_mse:.2f}; 95 % of the difference: "
        f"{judged.gain_low:.2f} to {judged.gain_high:.2f}"
    )


def _scores(made: Made, weights: Mapping[str, float]) -> dict[str, float]:
    """Give what is stored of a mix, by the names that scores have everywhere."""
    members, judged = made.pool.members, made.verdict
    assert judged is not None
    chosen = [member for member in members if member.key in weights]
    own = mixed(np.array([weights[m.key] for m in chosen]), [m.residuals for m in chosen])
    variance = _variance(members[0].plan)
    scores = {
        "val_mse": mse(own),
        "val_mae": float(np.abs(own).mean()),
        "best_step": 1,
        "best_resource": len(chosen),
        "n_members": len(chosen),
        "fit_s": 0.0,
        "held_out_mse": judged.mix_mse,
        "held_out_single_mse": judged.single_mse,
        "held_out_gain_low": judged.gain_low,
        "held_out_gain_high": judged.gain_high,
    }
    return scores | ({"val_r2": 1 - scores["val_mse"] / variance} if variance else {})


def _variance(plan: Plan) -> float:
    """Give the variance of the validation targets, within the folds where there are several."""
    parts: Sequence[NDArray[np.float64]] = [plan.table.y[fold.val] for fold in plan.split.folds]
    return sum(float(part.var()) * len(part) for part in parts) / len(y_val(plan))


def _groups(plan: Plan) -> NDArray[np.intp] | None:
    """Give the group of each validation row, where the split keeps groups together."""
    group_by = getattr(plan.cfg.split, "group_by", None)
    if not group_by:
        return None
    groups = keys.groups(plan.table, group_by)
    return np.concatenate([groups[fold.val] for fold in plan.split.folds])
