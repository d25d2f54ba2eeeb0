"""The champion of a data set: it changes only where another model is better beyond noise."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from popsearch import database, intervals
from popsearch.config import NoTracking, Tracking
from popsearch.errors import StorageError
from popsearch.finish import TestScores, kept_here
from popsearch.models.training import mse
from popsearch.plan import Plan
from popsearch.residuals import TOLERANCE
from popsearch.study import Study
from popsearch.tracking import Registry, StoredBoards, Version, tracking_errors

Kept = NDArray[np.float32]
"""Residuals on the test rows, (n_rows,)."""


@dataclass(frozen=True)
class Candidate:
    """A stored model with its test score.

    Parameters
    ----------
    family
        What people call it.
    study
        The study that it came from.
    model
        The address that it was stored under.
    test_digest
        Of data and test rows, as a plan gives it.
    test_mse, mean_mse
        Its own, and that of the mean of the other targets.
    residuals
        Gives its residuals on the test rows, where they are kept.
    """

    family: str
    study: str
    model: str
    test_digest: str
    test_mse: float
    mean_mse: float
    residuals: Callable[[], Kept | None]

    @property
    def tags(self) -> dict[str, str]:
        """What its version in the registry is found and compared by."""
        return {
            "popsearch.study": self.study,
            "popsearch.family": self.family,
            "popsearch.test_digest": self.test_digest,
            "popsearch.test_mse": repr(self.test_mse),
            "popsearch.mean_mse": repr(self.mean_mse),
        }


def after_study(plan: Plan, study: Study, scores: TestScores | None) -> str:
    """Let a study's winner compete, and tell what came of it; nothing where it cannot."""
    if scores is None or not scores.model:
        return ""
    test, number = {**vars(scores)}, scores.trials[0]
    about = {**study.note("about"), "test_digest": plan.test_digest}
    cfg = plan.cfg
    return crown(
        cfg.storage.url,
        cfg.tracking,
        about["data"],
        of_study(cfg.storage.url, cfg.tracking, study.name, about, {**test, "trials": [number]}),
    )


def of_study(
    url: str, tracking: Tracking, study: str, about: Mapping[str, str], test: Mapping[str, Any]
) -> Candidate:
    """Give the candidate that a study has, by what is stored of it."""
    number, test_mse = test["trials"][0], test["test_mse"]

    def residuals() -> Kept | None:
        found = kept_here(url, study).of(number, test_mse)
        if found is None and not isinstance(tracking, NoTracking):
            found = StoredBoards(tracking.uri, about["data"]).residuals(study, number)
        return found if found is None or _is_of(found, test_mse) else None

    return Candidate(
        family=about["family"],
        study=study,
        model=test["model"],
        test_digest=about["test_digest"],
        test_mse=test_mse,
        mean_mse=test["mean_mse"],
        residuals=residuals,
    )


def crown(
    url: str, tracking: Tracking, data: str, candidate: Candidate, by_hand: bool = False
) -> str:
    """Make a model the champion where it is better beyond noise, and tell what came of it.

    The same candidate again changes nothing. Of several processes that end at once each compares
    with the champion that the one before left.

    Parameters
    ----------
    url
        Of the studies; who shares them waits for one another here.
    by_hand
        Whether it is the champion whatever the scores say.
    """
    if isinstance(tracking, NoTracking):
        return ""
    what = f"champion of {data}"
    with contextlib.ExitStack() as turn:
        try:
            turn.enter_context(database.alone(url, what))
            if not database.is_server(tracking.uri):  # studies of other databases on this computer
                turn.enter_context(database.alone(tracking.uri, f"{what} in the registry"))
            with tracking_errors(tracking):
                return _crown(Registry(tracking.uri, data), candidate, by_hand)
        except StorageError as error:
            return f"whether it is the champion is open: {error.faults[0]}"


def _crown(registry: Registry, candidate: Candidate, by_hand: bool) -> str:
    old = registry.champion()
    if old and old.model == candidate.model:
        return f"champion of {registry.name}: {_told(old)}, as before"
    own = candidate.residuals()
    why_not = "" if by_hand else _why_not(registry, old, candidate, own)
    if why_not and old:
        return f"champion of {registry.name} stays {_told(old)}: {why_not}"
    if why_not:
        return f"{registry.name} has no champion yet: {why_not}"
    tags = {**candidate.tags, **({"popsearch.by_hand": "true"} if by_hand else {})}
    new = registry.register(candidate.model, own, tags)
    registry.crown(new)
    before = f", before: {_told(old)}" if old else ", the first"
    return f"champion of {registry.name}: {_told(new)}{before}"


def _why_not(
    registry: Registry, old: Version | None, candidate: Candidate, own: Kept | None
) -> str:
    """Tell why a candidate does not become the champion; nothing where it does."""
    if old is None:
        if candidate.test_mse < candidate.mean_mse:
            return ""
        return (
            f"this model (test MSE {candidate.test_mse:.2f}) is no better than the mean "
            f"predictor ({candidate.mean_mse:.2f})"
        )
    this = f"this model ({candidate.family}, test MSE {candidate.test_mse:.2f})"
    by_hand = f"to choose it nevertheless: python -m popsearch champion {candidate.study}"
    if old.tags.get("popsearch.test_digest") != candidate.test_digest:
        return f"{this} was tested on other rows, so the two cannot be compared; {by_hand}"
    theirs = registry.residuals(old)
    if own is None or theirs is None or own.shape != theirs.shape:
        whose = "this model" if own is None else "the champion"
        return f"residuals of {whose} are not kept, so the two cannot be compared; {by_hand}"
    low, high = intervals.of_difference(own, theirs)  # the champion's MSE less this model's
    if low > 0:
        return ""
    gain = mse(theirs.astype(np.float64)) - mse(own.astype(np.float64))
    than = f"MSE lower by {gain:.2f}, 95 %: {low:.2f} to {high:.2f}"
    if gain < 0:
        than = f"MSE higher by {-gain:.2f}, 95 %: {-high:.2f} to {-low:.2f}"
    return f"{this} is not better beyond noise ({than})"


def _told(version: Version) -> str:
    family = version.tags.get("popsearch.family", "")
    score = version.tags.get("popsearch.test_mse", "")
    about = f" ({family}, test MSE {float(score):.2f})" if family and score else ""
    return f"version {version.number}{about}"


def _is_of(residuals: Kept, test_mse: float) -> bool:
    return abs(mse(residuals.astype(np.float64)) - test_mse) <= TOLERANCE * test_mse
