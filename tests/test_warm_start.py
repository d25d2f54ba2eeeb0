"""A study that begins with the best trials of an earlier one."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from popsearch.run import Result, run
from popsearch.study import warm_start

STORAGE = "sqlite:///optuna.db"
RIDGE = ("model=ridge", "data.rows=400", "tracking=none", "pruner=none", "sampler=random")


@pytest.fixture
def earlier(compose: Any, workdir: Path) -> Result:
    """A study of ridge with 12 trials."""
    return run(compose(*RIDGE, "n_trials=12"), workdir, "")


def params(study: str) -> list[dict[str, Any]]:
    """Give the parameters of a study's trials as a reader from outside finds them."""
    return [t.params for t in optuna.load_study(study_name=study, storage=STORAGE).trials]


def best(study: str, n: int) -> list[dict[str, Any]]:
    """Give the parameters of a study's best trials, as Optuna's own table of them has it."""
    table = optuna.load_study(study_name=study, storage=STORAGE).trials_dataframe()
    alphas = table.sort_values("value")["params_alpha"].drop_duplicates().head(n)
    return [{"alpha": alpha} for alpha in alphas]


def test_the_best_trials_come_first(
    earlier: Result, compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five of the earlier study are the first ones of a study of other rows, the best at first."""
    again = ("data.rows=500", f"warm_start={earlier.study}")
    result = run(compose(*RIDGE, *again, "n_trials=6"), workdir, "")
    assert result.study != earlier.study
    assert params(result.study)[:5] == best(earlier.study, 5)
    assert f"begins with the 5 best trials of {earlier.study}" in capsys.readouterr().out
    run(compose(*RIDGE, *again, "n_trials=9"), workdir, "")
    assert len(params(result.study)) == 9
    alphas = [p["alpha"] for p in params(result.study)]
    assert len({*alphas}) == len(alphas)  # continued, they are not queued again


def test_what_a_narrower_space_leaves_out_is_told(
    earlier: Result, compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trial outside of the new space is told with its number and why; the others begin."""
    middle = sorted(p["alpha"] for p in best(earlier.study, 5))[2]
    more = (f"model.space.alpha.high={middle}", f"warm_start={earlier.study}", "n_trials=3")
    result = run(compose(*RIDGE, *more), workdir, "")
    inside = [p for p in best(earlier.study, 5) if p["alpha"] <= middle]
    assert params(result.study)[: len(inside)] == inside
    told = [line for line in capsys.readouterr().out.splitlines() if "warm_start: trial" in line]
    assert len(told) == 2
    assert all(f"is left out: alpha must be a number from 0.0001 to {middle:g}" in t for t in told)


def test_other_spaces_take_what_they_know(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A parameter that is no longer searched is left out of all, a new one has its default."""
    tree = ("model=decision_tree", "data.rows=400", "tracking=none", "n_trials=3")
    first = run(compose(*tree), workdir, "")
    capsys.readouterr()
    more = (
        "~model.space.min_samples_leaf", "model.known_good=[]", f"warm_start={first.study}",
        "+model.space.ccp_alpha={type:float,low:0.0,high:0.1}",
    )  # fmt: skip
    second = run(compose(*tree, *more), workdir, "")
    assert "warm_start: without min_samples_leaf: not in model.space" in capsys.readouterr().out
    known = warm_start.best(STORAGE, first.study).values()
    expected = [
        {**{k: v for k, v in p.items() if k != "min_samples_leaf"}, "ccp_alpha": 0.0} for p in known
    ]
    assert len(expected) > 0
    assert params(second.study)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("warm_start=demo-rigde", "must be an earlier study in sqlite:///optuna.db; did you mean"),
        (
            "storage.url=sqlite:///other.db warm_start=demo-ridge",
            "must be an earlier study, but there is none yet in sqlite:///other.db",
        ),
        ("model=lasso warm_start={study}", "must be a study of model=lasso, but is one of model="),
    ],
)
def test_a_study_that_cannot_be_begun_with_is_told(
    more: str, fault: str, earlier: Result, faults_of: Any, workdir: Path
) -> None:
    """In one line, with what is wrong beside it, and nothing is created."""
    before = sorted(workdir.iterdir())
    words = more.format(study=earlier.study).split()
    found = faults_of(*RIDGE, *words, "leak_r2=7")
    assert len(found) == 2
    assert any(line.startswith("warm_start=") and fault in line for line in found)
    assert sorted(workdir.iterdir()) == before


def test_a_study_without_a_complete_trial_is_told(faults_of: Any, workdir: Path) -> None:
    """There is nothing to begin with."""
    optuna.create_study(storage=STORAGE, study_name="demo-ridge-0")
    (fault,) = faults_of(*RIDGE, "warm_start=demo-ridge-0")
    assert fault == (
        "warm_start=demo-ridge-0: must have a complete trial, but has none; search it further first"
    )
