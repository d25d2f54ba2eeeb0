"""Residuals on the validation rows: what each way of training gives, and what is kept of it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from popsearch import residuals
from popsearch.data import cache
from popsearch.models import TrainingDied
from popsearch.plan import prepare
from popsearch.residuals import N_KEPT, Residuals
from popsearch.space import Params
from scripted import train

STAGES = ["model.steps.budget=40", "model.steps.every=10"]
SETS: dict[str, list[Params]] = {
    "ridge": [{"alpha": 2.0}],
    "decision_tree": [{"max_depth": 5}],
    "gbr": [{"learning_rate": 0.5}],
    "hist_gbr": [{"learning_rate": 0.5}],
    "random_forest": [{"max_depth": 6}],
}


def of(mse: float, n: int = 50, seed: int = 0) -> np.ndarray:
    """Residuals whose squares have this mean."""
    found = np.random.default_rng(seed).normal(size=n)
    return (found * np.sqrt(mse / np.square(found).mean())).astype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("POPSEARCH_CACHE_DIR", str(tmp_path))
    return tmp_path / "residuals"


@pytest.mark.parametrize("split", ["holdout", "kfold"])
@pytest.mark.parametrize("family", SETS)
def test_their_squares_have_the_mean_that_the_trial_was_scored_with(
    family: str, split: str, compose: Any
) -> None:
    """At the best step, whether rows are held out or folds take turns."""
    more = [] if family in ("ridge", "decision_tree") else [*STAGES]
    more += ["split.n_splits=3"] if split == "kfold" else []
    plan = prepare(compose(f"model={family}", f"split={split}", "data.rows=400", *more))
    training = plan.training(SETS[family])
    (outcome,) = train(training, 1)
    assert outcome.best is not None
    found = training.val_residuals(0, outcome.best_step - 1)
    assert found.dtype == np.float32
    assert len(found) == sum(len(rows.y_val) for rows in plan.folds)
    assert np.square(found.astype(float)).mean() == pytest.approx(outcome.best.val_mse, rel=1e-5)


def test_members_with_scalers_of_their_own_have_their_own(compose: Any) -> None:
    """Trainings side by side: the first member's are not the second's."""
    scaler = "+model.space.scaler={type: categorical, choices: [minmax, none]}"
    plan = prepare(compose("model=ridge", "data.rows=300", scaler))
    training = plan.training([{"alpha": 2.0, "scaler": "none"}, {"alpha": 9.0, "scaler": "minmax"}])
    for member, outcome in enumerate(train(training, 2)):
        assert outcome.best is not None
        found = training.val_residuals(member, outcome.best_step - 1).astype(float)
        assert np.square(found).mean() == pytest.approx(outcome.best.val_mse, rel=1e-5)


def test_those_of_the_best_are_kept(own_cache: Path) -> None:
    """The five lowest of twenty; those that are none of them at their time are not asked for."""
    kept, asked = Residuals("study", []), []
    errors = np.random.default_rng(1).permutation(20) + 1.0
    for number, val_mse in enumerate(errors):

        def give(number: int = number, val_mse: float = val_mse) -> np.ndarray:
            asked.append(number)
            return of(val_mse, seed=number)

        kept.offer(number, val_mse, give)
    best = np.argsort(errors)[:N_KEPT]
    for number, val_mse in enumerate(errors):
        found = kept.of(number, val_mse)
        if number in best:
            np.testing.assert_array_equal(found, of(val_mse, seed=number))
        else:
            assert found is None
    expected = [n for n in range(20) if n < N_KEPT or errors[n] < np.sort(errors[:n])[N_KEPT - 1]]
    assert asked == expected
    assert len(list(own_cache.iterdir())) == N_KEPT


def test_another_process_goes_on_with_them(own_cache: Path) -> None:
    """What the study knows to be its best is believed; other files of the study are removed."""
    first = Residuals("study", [])
    for number in range(3):
        first.offer(number, number + 1.0, lambda number=number: of(number + 1.0))
    Residuals("other", []).offer(7, 1.0, lambda: of(1.0))
    again = Residuals("study", [(0, 1.0), (1, 5.0)])
    again.remove_others()
    assert again.of(0, 1.0) is not None
    assert again.of(1, 5.0) is None
    assert again.of(2, 3.0) is None
    assert Residuals("other", [(7, 1.0)]).of(7, 1.0) is not None
    assert len(list(own_cache.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"text"])
def test_a_damaged_file_is_none(content: bytes, own_cache: Path) -> None:
    """Cut short, or not such a file at all."""
    kept = Residuals("study", [])
    kept.offer(0, 1.0, lambda: of(1.0))
    (file,) = own_cache.iterdir()
    file.write_bytes(content)
    assert kept.of(0, 1.0) is None


def test_what_cannot_be_kept_costs_nothing_else(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk and a model that cannot predict; a process that died is told."""
    kept = Residuals("study", [])

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        kept.offer(0, 1.0, lambda: of(1.0))
    assert list(own_cache.iterdir()) == []

    def fail() -> np.ndarray:
        raise LookupError("not kept")

    def die() -> np.ndarray:
        raise TrainingDied("gone")

    kept.offer(1, 1.0, fail)
    with pytest.raises(TrainingDied):
        kept.offer(2, 1.0, die)
    assert all(kept.of(number, 1.0) is None for number in range(3))


def test_old_files_go_and_clear_takes_the_rest(own_cache: Path) -> None:
    """What no one used for a month, and what a killed process left; nothing of the user's own."""
    kept = Residuals("study", [])
    kept.offer(0, 1.0, lambda: of(1.0))
    Residuals("old", []).offer(0, 1.0, lambda: of(1.0))
    (old,) = {*own_cache.iterdir()} - {kept._path(0)}
    left, own = own_cache / f"{old.stem}-abc_1.tmp", own_cache / "mine.npy"
    left.touch()
    own.touch()
    for path, age in ((old, cache.UNUSED_S), (left, cache.LEFTOVER_S), (own, cache.UNUSED_S)):
        long_ago = path.stat().st_mtime - age - 60
        os.utime(path, (long_ago, long_ago))
    Residuals("third", [])
    assert {*own_cache.iterdir()} == {kept._path(0), own}
    size = kept._path(0).stat().st_size
    assert residuals.clear() == size
    assert [*own_cache.iterdir()] == [own]
