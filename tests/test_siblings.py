"""Trials that are asked for together share what one program needs them to; and the best of all."""

import itertools
import warnings
from pathlib import Path
from typing import Any

import pytest

from popsearch import space
from popsearch.config import Config
from popsearch.study import Asked, Study

GBR = ("model=gbr", "model.known_good=[]")  # with a parameter on a condition: alpha
STRUCTURE = frozenset({"max_depth", "loss", "no_such_parameter"})


def open_study(cfg: Config, name: str = "study") -> Study:
    """Open the study of a configuration."""
    defaults = {"subsample": 1.0, "max_features": 1.0, "min_samples_leaf": 1, "alpha": 0.9}
    searched, faults = space.read(cfg.model.space, cfg.model.known_good, defaults)
    assert not faults
    return Study(cfg, name, searched, budget=3)


def end(study: Study, asked: Asked, val_mse: float, state: Any = "complete") -> None:
    """Tell how a trial ended."""
    study.report(asked, 1, val_mse)
    study.tell(asked, state, {"val_mse": val_mse, "best_resource": 1, "best_step": 1})


def structure(asked: Asked) -> list[Any]:
    """Give what siblings must have in common."""
    return [asked.params["max_depth"], asked.params["loss"]]


@pytest.mark.parametrize(
    "sampler", [("tpe", "sampler.n_startup_trials=5"), ("cmaes", "sampler.n_startup_trials=5"),
                ("random",)],
)  # fmt: skip
def test_siblings_agree_in_structure_and_differ_elsewhere(
    sampler: tuple[str, ...], compose: Any, workdir: Path
) -> None:
    """Every sampler proposes rows of one structure each, in its first trials and when it knows."""
    name, *more = sampler
    study = open_study(compose(*GBR, f"sampler={name}", *more))
    structures = []
    for _ in range(3):
        asked = study.ask(7, 3, STRUCTURE)
        rows = asked[:3], asked[3:6], asked[6:]
        for row in rows:
            assert all(structure(trial) == structure(row[0]) for trial in row)
            structures.append(structure(row[0]))
            for name in ("learning_rate", "subsample", "max_features"):
                assert len({trial.params[name] for trial in row}) == len(row)
        for trial in asked:
            assert list(trial.params) == list(study.space.active(trial.params))
            assert all(
                space.contains(study.space.params[name], value)
                for name, value in trial.params.items()
            )
            end(study, trial, 100 - trial.number)
    assert len({str(found) for found in structures}) > 2


def test_siblings_leave_the_sampler_as_it_was(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for after siblings is free in all parameters; also after a failure."""
    study = open_study(compose(*GBR, "sampler=random"))
    sampler = study._study.sampler
    study.ask(6, 6, STRUCTURE)
    assert study._study.sampler is sampler
    assert len({str(structure(trial)) for trial in study.ask(12)}) > 2
    storage, writes = study._storage, itertools.count()
    real = storage.set_trial_param

    def full(*args: Any) -> None:
        if next(writes) > 8:  # a parameter of the second trial
            raise RuntimeError("disk is full")
        real(*args)

    monkeypatch.setattr(storage, "set_trial_param", full)
    with pytest.raises(RuntimeError, match="disk"):
        study.ask(2, 2, STRUCTURE)
    assert study._study.sampler is sampler


def test_asking_for_siblings_says_nothing(compose: Any, workdir: Path) -> None:
    """No library's warning reaches the terminal."""
    study = open_study(compose(*GBR, "sampler=random"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study.ask(3, 3, STRUCTURE)
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("n_siblings", [1, 4])
def test_without_siblings_a_row_is_what_single_asks_give(
    n_siblings: int, compose: Any, workdir: Path
) -> None:
    """Asked for together or one by one, the same seed proposes the same trials."""
    cfg = compose(*GBR, "sampler=random")
    shared = STRUCTURE if n_siblings == 1 else frozenset()
    together = open_study(cfg, "together").ask(4, n_siblings, shared)
    study = open_study(cfg, "one by one")
    singles = [trial for _ in range(4) for trial in study.ask()]
    assert [trial.params for trial in together] == [trial.params for trial in singles]


def test_queued_trials_come_first_unchanged(compose: Any, workdir: Path) -> None:
    """Known-good sets are asked for as they are; what follows in a row is like its first trial."""
    known = [
        {"learning_rate": 0.1, "max_depth": depth, "loss": loss}
        for depth, loss in ((3, "squared_error"), (5, "huber"), (7, "squared_error"))
    ]
    typed = [f"{{{','.join(f'{k}:{v}' for k, v in given.items())}}}" for given in known]
    study = open_study(compose("model=gbr", f"model.known_good=[{','.join(typed)}]"))
    asked = study.ask(8, 4, STRUCTURE)
    for trial, given in zip(asked, known, strict=False):
        assert {name: trial.params[name] for name in given} == given
        assert trial.params["subsample"] == 1.0
    assert structure(asked[3]) == structure(asked[0])
    assert all(structure(trial) == structure(asked[4]) for trial in asked[5:])


def test_points_of_a_grid_are_not_bent_to_siblings(compose: Any, workdir: Path) -> None:
    """A grid is walked point by point however many are asked for at once."""
    few = ("sampler=grid", "sampler.n_points=3", "model.known_good=[]")
    study = open_study(compose("model=ridge", *few))
    asked = study.ask(3, 3, frozenset({"alpha"}))
    assert sorted(trial.params["alpha"] for trial in asked) == pytest.approx([1e-4, 1, 1e4])


def test_the_top_is_the_best_first_and_each_set_once(compose: Any, workdir: Path) -> None:
    """Complete trials only, by validation error, the earlier of equals; no set of parameters twice.

    Compared with a plain loop over what was told.
    """
    few = ("~model.space.alpha", "+model.space.alpha={type:categorical,choices:[1,2,3,4,5]}")
    study = open_study(compose("model=ridge", "sampler=random", "model.known_good=[]", *few))
    assert study.top(3) == []
    told: dict[int, list[tuple[float, int]]] = {}
    errors = [3.0, 1.0, 2.0, 2.0, 5.0, 0.5, 4.0, 1.0, 2.5, 0.1, 3.5, 6.0]
    for i, (trial, val_mse) in enumerate(zip(study.ask(12), errors, strict=True)):
        state = "pruned" if i == 9 else "failed" if i == 5 else "complete"
        end(study, trial, val_mse, state)
        if state == "complete":
            told.setdefault(int(trial.params["alpha"] or 0), []).append((val_mse, trial.number))
    best_of_each = sorted(min(scores) for scores in told.values())
    assert sum(map(len, told.values())) > len(told) >= 4
    for n in (1, 2, 4, 99):
        top = study.top(n)
        assert [(t.scores["val_mse"], t.number) for t in top] == best_of_each[:n]
        assert top[0] == study.best()
    assert study.top(0) == []
