"""An ensemble as what is refitted and tested: the plan of a study whose trials are mixes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from popsearch import provenance
from popsearch.blend import Blend
from popsearch.config import LocalExecutor, NoPruner, RandomSampler
from popsearch.ensemble.members import KIND, Part, Tell
from popsearch.leaderboard import standings
from popsearch.models import Machine
from popsearch.plan import Plan
from popsearch.space import Params, Space
from popsearch.study import StoredTrial

if TYPE_CHECKING:
    from popsearch.config import Config


@dataclass(frozen=True, eq=False)
class Together(Plan):
    """The plan of an ensemble: the same data, features and split as its members'.

    Parameters
    ----------
    parts
        By their keys: all that its trials may name.
    tell
        Hears which member is being fitted.
    """

    parts: Mapping[str, Part] = field(default_factory=dict)
    tell: Tell = lambda line: None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of data, features and split: a board has one ensemble, of which trials are mixes."""
        return hashlib.sha256(
            f"{KIND} {standings.key(provenance.about(self))}".encode()
        ).hexdigest()

    @cached_property
    def machine(self) -> Machine:
        """What all parts need."""
        packages = [name for part in self.parts.values() for name in part.plan.machine.packages]
        return Machine(packages=tuple(dict.fromkeys(packages)))

    @property
    def warnings(self) -> list[str]:
        """Nothing: the members' studies have told."""
        return []

    def shares(self, weights: Params) -> list[tuple[float, Part]]:
        """Give how much of each part a mix has, the most first; of those whose study is there."""
        found = [
            (float(w or 0), self.parts[key]) for key, w in weights.items() if key in self.parts
        ]
        return sorted(found, key=lambda share: (-share[0], share[1].trial.scores["val_mse"]))

    def refit(self, params: Params, resource: int) -> Any:
        """Give the mix of these weights, each part fitted on training and validation rows."""
        if gone := [key for key in params if key not in self.parts]:
            raise LookupError(f"{', '.join(gone)}: there is no such trial any more")
        shares = self.shares(params)
        fitted = []
        for place, (_, part) in enumerate(shares, start=1):
            self.tell(f"refitting {part}, {place} of {len(shares)}")
            fitted.append(part.refit())
        return Blend(fitted, [weight for weight, _ in shares])


def plan(
    plans: Mapping[str, Plan], trials: Mapping[str, list[StoredTrial]], cfg: "Config", tell: Tell
) -> Together:
    """Give the plan of an ensemble.

    Parameters
    ----------
    plans, trials
        Of the studies on a board, by their names.
    cfg
        Says where studies and runs are stored.
    """
    one = next(iter(plans.values()))
    model = one.cfg.model.model_copy(
        update={
            "name": KIND,
            "estimator": f"{Blend.__module__}.{Blend.__name__}",
            "fixed": {},
            "space": {},
            "known_good": [],
            "mean_of": 0,
            "population": 1,
        }
    )
    own = one.cfg.model_copy(
        update={
            "model": model,
            "objectives": ["val_mse"],
            "sampler": RandomSampler(name="random"),
            "pruner": NoPruner(name="none"),
            "executor": LocalExecutor(name="local"),
            "storage": cfg.storage,
            "tracking": cfg.tracking,
        }
    )
    parts = [
        Part(plans[name], trial)
        for name, own_trials in trials.items()
        for trial in own_trials
        if name in plans and trial.state == "complete"
    ]
    by_key = {part.key: part for part in parts}
    return Together(own, one.table, one.split, Space({}, ()), one.way, by_key, tell)
