"""What makes no difference to a search: compared with SciPy, and on studies made for it."""

from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from popsearch import influence
from popsearch.family import CategoricalParam, FloatParam, IntParam, Param, When
from popsearch.space import Params, Space

SPACE: dict[str, Param] = {
    "a": FloatParam(type="float", low=1e-4, high=1.0, log=True),
    "b": IntParam(type="int", low=2, high=12),
    "c": CategoricalParam(type="categorical", choices=["x", "y", "z"]),
    "d": FloatParam(type="float", low=0.0, high=1.0),
    "e": IntParam(type="int", low=1, high=64, log=True),
}


def study(
    seed: int, n: int, matter: Sequence[str], sampler: str = "random", noise: float = 0.05
) -> tuple[list[Params], list[float]]:
    """A study in which these parameters matter by the same amount each, the others not at all."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kind = {
        "random": optuna.samplers.RandomSampler(seed=seed),
        "tpe": optuna.samplers.TPESampler(seed=seed),
    }
    searched, rng = optuna.create_study(sampler=kind[sampler]), np.random.default_rng(seed)
    params: list[Params] = []
    errors: list[float] = []
    for _ in range(n):
        trial = searched.ask()
        unit = {
            "a": np.log10(trial.suggest_float("a", 1e-4, 1.0, log=True)) / 4 + 1,
            "b": (trial.suggest_int("b", 2, 12) - 2) / 10,
            "c": ["x", "y", "z"].index(trial.suggest_categorical("c", ["x", "y", "z"])) / 2,
            "d": trial.suggest_float("d", 0.0, 1.0),
            "e": np.log2(trial.suggest_int("e", 1, 64, log=True)) / 6,
        }
        error = 10 + sum((unit[name] - 0.3) ** 2 for name in matter) + rng.normal(0, noise)
        done = [value for value in errors if np.isfinite(value)]
        weak = len(done) > 5 and error > np.median(done) and rng.random() < 0.5
        searched.tell(trial, None if weak else error, optuna.trial.TrialState(2 if weak else 1))
        params.append(dict(trial.params))
        errors.append(np.inf if weak else error)
    return params, errors


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=5, max_size=40))
def test_the_chance_is_that_of_scipy(rows: list[tuple[int, int]]) -> None:
    """Kruskal and Wallis' test, with equal values and with parts that are empty."""
    parts, values = np.array(rows).T
    groups = [values[parts == part] for part in np.unique(parts)]
    if len(groups) < 2 or np.ptp(values) == 0:
        assert influence.kruskal(parts, stats.rankdata(values)) == 0
    else:
        found = influence.kruskal(parts, stats.rankdata(values))
        assert found == pytest.approx(stats.kruskal(*groups).pvalue, abs=1e-9)


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, np.inf]), min_size=1, max_size=30))
def test_ranks_are_those_of_scipy(errors: list[float]) -> None:
    """Equal ones share the mean of their ranks, also those that were pruned."""
    np.testing.assert_array_equal(influence._ranks(np.array(errors)), stats.rankdata(errors))


def test_what_matters_is_hardly_ever_named() -> None:
    """In sixty studies with much noise three times at most; what does not matter often is."""
    false = told = 0
    for seed in range(60):
        named = influence.without(Space(SPACE, ()), *study(seed, 60, ["a", "c"], noise=0.25))
        false += not {"a", "c"}.isdisjoint(named)
        told += not {"b", "d", "e"}.isdisjoint(named)
    assert false <= 3
    assert told >= 10


def test_what_a_sampler_has_settled_is_not_named() -> None:
    """It soon tries little else than the best values, so that later trials hardly differ."""
    for seed in range(12):
        named = influence.without(Space(SPACE, ()), *study(seed, 60, ["a", "c"], "tpe"))
        assert {"a", "c"}.isdisjoint(named)


def test_nothing_is_named_where_nothing_made_a_difference() -> None:
    """All is noise: then the trials were too few to see what matters."""
    assert all(not influence.without(Space(SPACE, ()), *study(s, 60, [])) for s in range(10))


@pytest.mark.parametrize("limit", ["MIN_COMPLETE", "MIN_PER_PARAM"])
def test_few_complete_trials_tell_nothing(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What as many tell as are needed, one fewer do not; pruned ones do not count."""
    studies = [study(seed, 60, ["a"]) for seed in range(20)]
    told = [found for found in studies if influence.without(Space(SPACE, ()), *found)]
    assert told
    for params, errors in told:
        n = int(np.isfinite(errors).sum())
        needed = n if limit == "MIN_COMPLETE" else (n - 1) // len(SPACE)
        monkeypatch.setattr(influence, limit, needed)
        assert influence.without(Space(SPACE, ()), params, errors)
        monkeypatch.setattr(influence, limit, needed + 1)
        assert influence.without(Space(SPACE, ()), params, errors) == []


def test_conditions_keep_both_out() -> None:
    """What hangs on another parameter, and that other one, cannot be taken out of the space."""
    when = When(param="c", equals="x")
    space = {**SPACE, "d": FloatParam(type="float", low=0.0, high=1.0, when=when)}
    free = set[str]()
    for seed in range(30):
        found = study(seed, 60, ["a"])
        free.update(influence.without(Space(SPACE, ()), *found))
        assert {"c", "d"}.isdisjoint(influence.without(Space(space, ()), *found))
    assert {"c", "d"} <= free
