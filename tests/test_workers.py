"""A search in several processes: the same study, whatever becomes of any of them."""

import os
from pathlib import Path
from typing import Any

import pytest

from crews import SLOW, agreed, all_trials
from popsearch.run import run
from popsearch.workers import worker
from programs import popsearch


def test_workers_share_one_study(workdir: Path) -> None:
    """Each runs trials, no more than are wanted in all, and each with its own parameters."""
    process = popsearch(*SLOW)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    trials = agreed(workdir, 6)
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2
    assert len({str(trial.params) for trial in trials}) == 6
    assert "6 complete" in out


def test_the_time_limit_holds_for_workers(workdir: Path) -> None:
    """They stop in the middle of their trials."""
    slow = [word for word in SLOW if not word.startswith("n_trials")]
    process = popsearch(*slow, "n_trials=500", "timeout=12")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "stopped by timeout" in out
    assert all(trial.state.is_finished() or trial.state.name == "WAITING" for trial in
               all_trials(workdir))  # fmt: skip


def test_every_point_of_a_grid_is_tried_once(compose: Any, workdir: Path) -> None:
    """However many processes take them."""
    cfg = compose(
        "model=ridge", "data.rows=400", "sampler=grid", "sampler.n_points=9", "n_trials=50",
        "model.known_good=[]", "workers=3", "pruner=none",
    )  # fmt: skip
    run(cfg, workdir, "")
    points = [trial.params["alpha"] for trial in agreed(workdir, 9)]
    assert len(set(points)) == 9


def test_patience_ends_a_search_of_workers(compose: Any, workdir: Path) -> None:
    """All of them are heard, and all of them stop."""
    cfg = compose(
        "model=ridge", "data.rows=400", "n_trials=500", "workers=2", "patience=6",
        "min_improvement=0.5", "tracking=none",
    )  # fmt: skip
    result = run(cfg, workdir, "")
    assert result.stopped_by == "patience"
    assert sum(result.n_trials.values()) < 100
    assert not [trial for trial in all_trials(workdir) if trial.state.name == "RUNNING"]


def test_a_worker_is_worn_by_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many it is replaced."""
    monkeypatch.setattr(worker, "MAX_TRIALS", 3)
    wear = worker.Wear()
    assert [wear(n) for n in (0, 1, 2, 3)] == [False, False, False, True]


def test_a_worker_is_worn_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it holds so much more than after its first trial."""
    monkeypatch.setattr(worker, "MAX_GROWTH_MIB", 64)
    wear = worker.Wear()
    assert [wear(n) for n in (0, 1, 2)] == [False, False, False]
    held = bytearray(os.urandom(1)) * (128 * 2**20)
    assert wear(3)
    assert len(held)
