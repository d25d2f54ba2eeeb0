"""The models that an ensemble may be made of: the best trials of all studies on one board."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch import config, models, provenance, residuals, threads, trial
from popsearch import plan as plans
from popsearch.config import Config
from popsearch.errors import PopsearchError
from popsearch.leaderboard.gathered import Found
from popsearch.outcome import Outcome
from popsearch.plan import Plan
from popsearch.residuals import N_KEPT, Residuals
from popsearch.study import StoredTrial, storage_errors, stored
from popsearch.tracking import StoredBoards, tracking_errors

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

KIND = "ensemble"
"""What an ensemble's study says it is, in place of a family."""

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Part:
    """A trial that is part of an ensemble, and the plan of its study, which fits it again."""

    plan: Plan
    trial: StoredTrial

    @property
    def key(self) -> str:
        """Its name among the trials of all studies, as MLflow takes it: family-study/number."""
        study = "-".join(self.plan.study_name.rsplit("-", 2)[1:])
        return f"{study}/{self.trial.number}"

    @property
    def family(self) -> str:
        """Of its model."""
        return self.plan.cfg.model.name

    def refit(self) -> "Pipeline":
        """Give features and model, fitted on training and validation rows at its best step."""
        return self.plan.refit(dict(self.trial.params), int(self.trial.scores["best_resource"]))

    def __str__(self) -> str:
        return f"{self.family} trial {self.trial.number}"


@dataclass(frozen=True, eq=False)
class Member(Part):
    """A part that there is to choose from.

    Parameters
    ----------
    residuals
        On the validation rows, (n_rows,); in folds one fold after the other.
    """

    residuals: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pool:
    """All members there are.

    Parameters
    ----------
    plans
        Of each study, by its name.
    left_out
        A line for each study or trial that cannot be a member.
    """

    members: Sequence[Member]
    plans: Mapping[str, Plan] = field(default_factory=dict)
    left_out: Sequence[str] = ()


def pool(found: Found, names: Iterable[str], cfg: Config, given: bool, tell: Tell) -> Pool:
    """Give the ``N_KEPT`` best trials of each study, with their residuals.

    Residuals are looked for on this computer, then in the study's run; a trial whose residuals
    are in neither is trained once more.

    Parameters
    ----------
    names
        Of studies on the same data, features and split.
    cfg
        Says where studies and runs are.
    given
        Whether it says where the data are, too; else each study's own configuration does.
    tell
        Hears what takes long.

    Raises
    ------
    StorageError
        If a database does not answer.
    """
    place, made, left_out = found.place, list[Member](), list[str]()
    known: dict[str, Plan] = {}
    with storage_errors(place.url), tracking_errors(place.tracking):
        for name in names:
            plan, why = _plan(name, found.notes[name], cfg, given)
            if plan is None:
                left_out.append(f"{name} is left out: {why}")
                continue
            known[name] = plan
            runs = StoredBoards(place.runs.uri, plan.table.name) if place.runs else None
            for best in top(stored.trials(place.url, name)):
                own = _residuals(plan, best, place.url, runs, tell)
                if own is None:
                    left_out.append(
                        f"{name}, trial {best.number}, is left out: its residuals on the "
                        "validation rows are not kept, and training it again gives another score"
                    )
                else:
                    made.append(Member(plan, best, own))
    return Pool(made, known, left_out)


def top(trials: Iterable[StoredTrial], n: int = N_KEPT) -> list[StoredTrial]:
    """Give the n complete trials of different parameters with the lowest validation MSE."""
    complete = [each for each in trials if each.state == "complete"]
    found: list[StoredTrial] = []
    for each in sorted(complete, key=lambda t: (t.scores["val_mse"], t.number)):
        if len(found) < n and all(each.params != other.params for other in found):
            found.append(each)
    return found


def y_val(plan: Plan) -> NDArray[np.float64]:
    """Give the targets of the rows that residuals are of, (n_rows,)."""
    return np.concatenate([plan.table.y[fold.val] for fold in plan.split.folds])


def _plan(name: str, notes: Mapping[str, Any], cfg: Config, given: bool) -> tuple[Plan | None, str]:
    """Give the plan of a stored study, or why there is none."""
    if "config" not in notes:
        return None, "it is of an earlier version: its command, given again, adds what is missing"
    own = {part: value for part, value in notes["config"].items() if part in provenance.PARTS}
    here = cfg.model_dump(exclude={*own})
    if given:
        own |= {part: getattr(cfg, part).model_dump() for part in ("data", "split", "features")}
    try:
        theirs = config.parse({**here, **own, "warm_start": None})
        if faults := models.estimator.faults(theirs.model):
            return None, faults[0]
        plan = plans.build(theirs)
    except PopsearchError as error:
        return None, error.faults[0]
    if plan.study_name != name:
        return None, "its data, or what is made of them, are no longer what they were"
    return plan, ""


def _residuals(
    plan: Plan, best: StoredTrial, url: str, runs: StoredBoards | None, tell: Tell
) -> NDArray[np.float32] | None:
    number, val_mse = best.number, best.scores["val_mse"]
    here = residuals.kept_here(url, plan.study_name, [])
    found = here.of(number, val_mse)
    if found is None and runs:
        stored_ones = runs.residuals(plan.study_name, number, "val")
        if stored_ones is not None:
            here.offer(number, val_mse, lambda: stored_ones)
            found = here.of(number, val_mse)
    if found is None:
        tell(f"training {plan.cfg.model.name} trial {number} again for its residuals")
        _train_again(plan, best, here)
        found = here.of(number, val_mse)
    return found if found is not None and len(found) == len(y_val(plan)) else None


def _train_again(plan: Plan, best: StoredTrial, here: Residuals) -> None:
    """Train a trial on the training rows as the search did, and keep its residuals."""
    training = plan.training([dict(best.params)])

    def ended(member: int, outcome: Outcome) -> None:
        if outcome.best and outcome.state == "complete":
            here.offer(
                best.number,
                best.scores["val_mse"],
                lambda: training.val_residuals(member, outcome.best_step - 1),
            )

    with threads.limited(plan.n_train_rows):
        trial.Steps(training, 1, lambda *_: False, ended, plan.patience).run()
