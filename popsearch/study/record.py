"""What is asked of a study's trials again and again, kept ready."""

import math
from bisect import insort
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Set
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

_Rank = tuple[bool, int, tuple[float, ...], int]


class Record:
    """The trials of a study in order of number, and what would else take a scan over all.

    A finished trial never changes, so it is looked at once. Those that are not finished are few
    and are looked at whenever they are asked for.

    Parameters
    ----------
    trials
        In order of number.
    """

    def __init__(self, trials: Iterable[FrozenTrial] = ()) -> None:
        self._by_number: dict[int, FrozenTrial] = {}
        self.last_id = -1
        self.counted: Counter[TrialState] = Counter()
        """Trials that count, by how they ended: finished and not given back."""
        self.settled: list[FrozenTrial] = []
        """Finished trials in the order in which they were heard of."""
        self.scored: list[FrozenTrial] = []
        """Complete and pruned trials in order of number: those that samplers learn from."""
        self.distributions: dict[str, BaseDistribution] = {}
        """The first of each parameter."""
        self._unfinished: dict[int, FrozenTrial] = {}  # by id
        self._ranked: list[_Rank] = []  # of those in scored: the best first
        self._n_complete = 0
        self._alike: dict[frozenset[tuple[str, Any]], list[int]] = {}  # numbers by parameters
        self._shapes: dict[frozenset[str], FrozenTrial] = {}  # by the names of the parameters
        self._retried: set[int] = set()
        for trial in trials:
            self.put(trial)

    def put(self, trial: FrozenTrial) -> None:
        """Take up a trial that is new or may have changed."""
        if trial.number in self._by_number and trial._trial_id not in self._unfinished:
            return
        self._by_number[trial.number] = trial
        self.last_id = max(self.last_id, trial._trial_id)
        for name, distribution in trial.distributions.items():
            self.distributions.setdefault(name, distribution)
        if trial.state.is_finished():
            self._unfinished.pop(trial._trial_id, None)
            self._settle(trial)
        else:
            self._unfinished[trial._trial_id] = trial
        if "retry_of" in trial.user_attrs:
            self._retried.add(trial.user_attrs["retry_of"])

    def _settle(self, trial: FrozenTrial) -> None:
        self.settled.append(trial)
        if "given_back" not in trial.user_attrs:
            self.counted[trial.state] += 1
        if trial.state == TrialState.FAIL:
            return
        insort(self.scored, trial, key=_number)
        insort(self._ranked, _rank(trial))
        self._n_complete += trial.state == TrialState.COMPLETE
        insort(self._alike.setdefault(_point(trial.params), []), trial.number)
        first = self._shapes.setdefault(frozenset(trial.distributions), trial)
        if trial.number < first.number:
            self._shapes[frozenset(trial.distributions)] = trial

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[FrozenTrial]:
        return iter(self._by_number.values())

    def get(self, number: int) -> FrozenTrial | None:
        """Give the trial with this number."""
        return self._by_number.get(number)

    def unfinished(self, states: Container[TrialState]) -> list[FrozenTrial]:
        """Give the waiting or running trials in order of number."""
        return sorted((t for t in self._unfinished.values() if t.state in states), key=_number)

    def unfinished_ids(self) -> Set[int]:
        """Give the ids of the trials that were waiting or running when they were last read."""
        return self._unfinished.keys()

    def best(self, n: int | None = None) -> list[FrozenTrial]:
        """Give the n best in TPE's order: complete by value, then pruned, the longest first."""
        return [self._by_number[number] for *_, number in self._ranked[:n]]

    def complete(self, n: int | None = None) -> list[FrozenTrial]:
        """Give the n complete trials with the lowest values, the first objective first.

        Equal ones stand in the order of their numbers.
        """
        return self.best(self._n_complete if n is None else min(n, self._n_complete))

    def alike(self, params: Mapping[str, Any]) -> list[FrozenTrial]:
        """Give the complete and pruned trials with these parameters, in order of number."""
        return [self._by_number[number] for number in self._alike.get(_point(params), [])]

    def is_retried(self, number: int) -> bool:
        """Tell whether there is another try of a trial's parameters."""
        return number in self._retried

    def shapes(self) -> list[FrozenTrial]:
        """Give the first trial of each set of parameters that were active together."""
        return sorted(self._shapes.values(), key=_number)


def _number(trial: FrozenTrial) -> int:
    return trial.number


def _point(params: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(params.items())


def _rank(trial: FrozenTrial) -> _Rank:
    """Give what TPE sorts finished trials by; a smaller one is better."""
    if trial.state == TrialState.COMPLETE:
        assert trial.values is not None
        # Of two with one error the faster is the better, where that is an objective too.
        return False, 0, tuple(trial.values), trial.number
    if not trial.intermediate_values:
        return True, 1, (), trial.number
    step, value = max(trial.intermediate_values.items())
    return True, -step, (math.inf if math.isnan(value) else value,), trial.number
