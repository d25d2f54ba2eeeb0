"""Which parameters a search has shown to make no difference to how good a trial is."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from popsearch.family import CategoricalParam, IntParam, Param
from popsearch.section import Scalar
from popsearch.space import Params, Space

MIN_COMPLETE = 20
MIN_PER_PARAM = 2
EARLY = 60  # first trials, which a sampler that learns has not yet drawn to one place
WINDOW = 20  # trials around it that a trial is compared with
N_PARTS = 4
CHANCE = 0.6
CLEAR = 0.001


def without(space: Space, params: Sequence[Params], errors: Sequence[float]) -> list[str]:
    """Give the parameters that make no difference; none where there is too little to tell.

    The ranks of the trials are compared between the parts of a parameter's range (Kruskal and
    Wallis, 1952, doi:10.1080/01621459.1952.10483441). Not to see a difference is not to know that
    there is none. So a parameter is named only where chance alone would rather show a larger one
    (``CHANCE``): among all trials, among the complete ones, and the same among the early ones; and
    only where another parameter made a ``CLEAR`` difference. A rank counts beside those of trials
    at about that time: a sampler that learns finds ever better places, and a parameter that does
    not matter stays where it happened to be then.

    Parameters
    ----------
    params
        Of all trials that ended, in the order of their numbers.
    errors
        Theirs, infinite where a trial was pruned: these are the worst.
    """
    error = np.asarray(errors, dtype=np.float64)
    if np.isfinite(error).sum() < max(MIN_COMPLETE, 1 + MIN_PER_PARAM * len(space.params)):
        return []
    free = _free(space.params)
    parts = {name: _parts(p, [trial[name] for trial in params]) for name, p in free.items()}
    ranks = _ranks(error)
    if min((kruskal(part, ranks) for part in parts.values()), default=1.0) > CLEAR:
        return []
    return [
        name
        for name, part in parts.items()
        if min(_chance(part[:n], error[:n], _n_parts(free[name])) for n in (EARLY, None)) > CHANCE
    ]


def kruskal(parts: NDArray[np.intp], ranks: NDArray[np.float64]) -> float:
    """Give how often chance alone makes the mean ranks of the parts differ at least so much.

    Parameters
    ----------
    parts
        The part that each trial belongs to, (n_trials,).
    ranks
        Ranks of the trials, (n_trials,), or what is left of them beside those nearby.
    """
    from scipy.special import chdtrc

    sizes = np.bincount(parts)
    sums = np.bincount(parts, ranks - ranks.mean())[sizes > 0]
    n_parts, variance = len(sums), float(ranks.var(ddof=1))
    if n_parts < 2 or not variance:
        return 0.0  # nothing to compare: then nothing is known
    return float(chdtrc(n_parts - 1, (sums**2 / sizes[sizes > 0]).sum() / variance))


def _chance(parts: NDArray[np.intp], error: NDArray[np.float64], n_parts: int) -> float:
    """Give the smaller of the chances among all trials and among the complete ones."""
    beside = _beside(_ranks(error))
    done = np.isfinite(error)
    if np.bincount(parts, minlength=n_parts).min() < 2 or done.sum() < 2:
        return 0.0
    return min(kruskal(parts, beside), kruskal(parts[done], beside[done]))


def _free(params: Mapping[str, Param]) -> dict[str, Param]:
    """Give the parameters that every trial has and that no other one hangs on."""
    parents = {param.when.param for param in params.values() if param.when}
    return {
        name: param
        for name, param in params.items()
        if param.when is None and name not in parents and not _is_single(param)
    }


def _is_single(param: Param) -> bool:
    if isinstance(param, CategoricalParam):
        return len(param.choices) == 1
    return param.low == param.high


def _n_parts(param: Param) -> int:
    if isinstance(param, CategoricalParam):
        return len(param.choices)
    return min(N_PARTS, param.high - param.low + 1) if isinstance(param, IntParam) else N_PARTS


def _parts(param: Param, values: Sequence[Scalar]) -> NDArray[np.intp]:
    """Give the part of the range that each value lies in."""
    if isinstance(param, CategoricalParam):
        return np.array([param.choices.index(value) for value in values], dtype=np.intp)
    half = 0.5 if isinstance(param, IntParam) else 0.0
    ends = np.array([param.low - half, param.high + half])
    numbers = np.array(values, dtype=np.float64)
    if param.log:
        ends, numbers = np.log(ends), np.log(numbers)
    places = (numbers - ends[0]) / (ends[1] - ends[0]) * _n_parts(param)
    parts: NDArray[np.intp] = np.clip(places.astype(np.intp), 0, _n_parts(param) - 1)
    return parts


def _ranks(error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the rank of each, equal ones the mean of theirs."""
    _, place, counts = np.unique(error, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks


def _beside(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give what is left of the ranks without the mean of those at about that time."""
    n = len(ranks)
    sums = np.concatenate([[0.0], np.cumsum(ranks)])
    first = np.clip(np.arange(n) - WINDOW // 2, 0, max(0, n - WINDOW))
    last = np.minimum(first + WINDOW, n)
    left: NDArray[np.float64] = ranks - (sums[last] - sums[first]) / (last - first)
    return left
