"""What ends a search early, and what ends a trial: time, memory, failures, nothing better."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge

from popsearch.interrupt import Interrupted, Interrupts, Overdue
from popsearch.models import stages
from popsearch.outcome import State
from popsearch.plan import prepare
from popsearch.run import Result, run
from popsearch.stopping import Stopping
from popsearch.study import Study

SMALL = ("model=ridge", "data.rows=400", "tracking=none", "sampler=random")
SCORES = st.lists(st.none() | st.floats(1, 100), max_size=40)


@given(scores=SCORES, patience=st.integers(1, 10), share=st.sampled_from([0.0, 0.01, 0.2]))
def test_patience_counts_trials_since_the_last_that_was_better(
    scores: list[float | None], patience: int, share: float
) -> None:
    """By its definition: the scores before and after the last ``patience`` trials, each time.

    Scores that are none are of pruned trials.
    """
    stopping = Stopping(patience=patience, min_improvement=share)
    better: list[int] = [0]  # after how many trials there was a new best
    reference = np.inf
    for n, score in enumerate(scores, start=1):
        stopping.hear("complete" if score else "pruned", score, "")
        if score is not None and score < reference * (1 - share):
            reference = score
            better.append(n)
        assert stopping.reason == ("patience" if n - better[-1] >= patience else None)


@given(states=st.lists(st.sampled_from(["complete", "pruned", "failed"]), max_size=20))
def test_failures_in_a_row_stop_a_search(states: list[State]) -> None:
    """Three at the end are too many, whatever was before; they tell nothing of patience."""
    stopping = Stopping(patience=100, max_failures=3)
    for i, state in enumerate(states):
        stopping.hear(state, 1.0 if state == "complete" else None, f"cause {i % 2}\nat length")
        too_many = states[: i + 1][-3:] == ["failed"] * 3
        assert stopping.reason == ("max_failures" if too_many else None)
    again = Stopping(patience=100, max_failures=3)
    again.replay((state, None, "") for state in states)
    assert again.reason is None  # what failed may have been mended


def test_causes_are_counted() -> None:
    """The most frequent one comes first; a trial that did not fail makes an end of them."""
    stopping = Stopping(max_failures=9)
    stopping.hear("failed", None, "of before")
    stopping.hear("pruned", None, "")
    for cause in ("a: 1", "b: 2\nmore", "b: 2"):
        stopping.hear("failed", None, cause)
    assert stopping.causes == ["2 times b: 2", "a: 1"]


def run_with(compose: Any, folder: Path, *more: str) -> Result:
    """Run a small study."""
    return run(compose(*SMALL, *more), folder, "python -m popsearch model=ridge")


def trials() -> list[optuna.trial.FrozenTrial]:
    """Give the trials as a reader from outside finds them."""
    (name,) = optuna.get_all_study_names("sqlite:///optuna.db")
    return optuna.load_study(study_name=name, storage="sqlite:///optuna.db").trials


def test_a_search_ends_when_it_finds_nothing_better(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last trials are no better than the best before; the winner is tested all the same.

    The same command again adds nothing, and without patience the search goes on.
    """
    more = ("n_trials=60", "patience=6", "min_improvement=0.01")
    result = run_with(compose, workdir, *more)
    assert result.stopped_by == "patience"
    assert result.test_mse is not None
    ended = trials()
    scores = [t.value if t.value is not None else np.inf for t in ended]
    assert len(ended) < 60
    assert min(scores[-6:]) >= min(scores[:-6]) * 0.99
    assert "stopped by patience" in capsys.readouterr().out
    again = run_with(compose, workdir, *more)
    assert (again.stopped_by, len(trials())) == ("patience", len(ended))
    on = run_with(compose, workdir, f"n_trials={len(ended) + 1}")
    assert (on.stopped_by, len(trials())) == ("n_trials", len(ended) + 1)


def test_a_search_ends_after_failures_in_a_row(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The causes are told, nothing is tested, and the next start tries again."""

    def refuse(*_: Any) -> None:
        raise ArithmeticError("singular matrix")

    with monkeypatch.context() as patch:
        patch.setattr(Ridge, "fit", refuse)
        patch.setattr("popsearch.models.once.FittedOnce.advance", refuse)
        result = run_with(compose, workdir, "n_trials=50", "max_failures=3")
    assert (result.stopped_by, result.n_trials["failed"]) == ("max_failures", 3)
    assert result.failures == ["3 times ArithmeticError: singular matrix"]
    assert result.test_mse is None
    assert "failed: 3 times ArithmeticError: singular matrix" in capsys.readouterr().out
    after = run_with(compose, workdir, "n_trials=6", "max_failures=3")
    assert (after.stopped_by, after.failures) == ("n_trials", [])
    assert after.n_trials["failed"] == 3


def test_a_trial_that_takes_too_long_fails(compose: Any, workdir: Path) -> None:
    """Its reason tells the limit; the others are not concerned, and the search goes on."""
    cfg = compose(
        "model=gbr", "data.rows=3000", "tracking=none", "trial_timeout=0.6", "n_trials=2",
        "model.known_good=[{max_features: 1.0, subsample: 1.0}]", "model.steps.patience=null",
        "model.steps.budget=100000",
    )  # fmt: skip
    started = time.monotonic()
    result = run(cfg, workdir, "")
    assert result.n_trials == {"complete": 0, "pruned": 0, "failed": 2}
    assert time.monotonic() - started < 30  # the whole budget would take an hour
    reasons = {trial.user_attrs["reason"] for trial in trials()}
    assert reasons == {"took longer than trial_timeout=0.6 seconds"}
    assert result.failures == ["2 times took longer than trial_timeout=0.6 seconds"]


def test_a_limit_of_its_own_ends_a_block_and_no_other() -> None:
    """A block that takes too long is told so at once; one that does not, and the next, are not."""
    with Interrupts(None) as interrupts:
        with pytest.raises(Overdue), interrupts.allowed(0.05):
            time.sleep(5)
        with interrupts.allowed(0.5):
            time.sleep(0.01)
        with interrupts.allowed():
            time.sleep(0.6)


def test_a_limit_waits_for_what_is_written() -> None:
    """While records are written the alarm is kept, and comes at their end."""
    written = []

    def write(interrupts: Interrupts) -> None:
        with interrupts.allowed(0.05):
            with interrupts.held():
                time.sleep(0.2)
                written.append(1)
            written.append(2)

    with Interrupts(None) as interrupts, pytest.raises(Overdue):
        write(interrupts)
    assert written == [1]


@pytest.mark.parametrize(("timeout", "limit_s"), [(0.05, 5.0), (0.05, None)])
def test_the_time_limit_of_the_search_goes_before(timeout: float, limit_s: float | None) -> None:
    """Where the whole search has less time left than the block may take, the search ends."""
    with (
        Interrupts(timeout) as interrupts,
        pytest.raises(Interrupted, match="timeout"),
        interrupts.allowed(limit_s),
    ):
        time.sleep(5)


def test_a_trial_that_would_not_fit_is_refused(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails before it trains, with what it would need and what there is."""
    monkeypatch.setattr(stages, "free_mib", lambda: 0.5)
    cfg = compose(
        "model=random_forest", "data.rows=3000", "tracking=none", "n_trials=2",
        "model.known_good=[{max_depth: 40, max_samples: 1.0}, {max_depth: 4, max_samples: 1.0}]",
    )  # fmt: skip
    result = run(cfg, workdir, "")
    first, second = trials()
    assert first.user_attrs["reason"].startswith("would need at least ")
    assert first.user_attrs["reason"].endswith("MiB of memory, and 0 MiB are free")
    assert second.state.name == "COMPLETE"
    assert result.n_trials["failed"] == 1


@pytest.mark.parametrize("bootstrap", [True, False])
@pytest.mark.parametrize("given", [{}, {"min_samples_leaf": 7}, {"max_depth": 5}])
def test_what_a_forest_needs_is_never_too_much(
    bootstrap: bool, given: dict[str, int], compose: Any
) -> None:
    """The nodes of scikit-learn's own trees take more than is told, but not three times more."""
    plan = prepare(compose("model=random_forest", "data.rows=3000", "model.steps.budget=20"))
    params = {"bootstrap": bootstrap, **given}
    told, _ = plan.way.memory_mib(plan.cfg.model, params, plan.rows)
    for kind in (RandomForestRegressor, ExtraTreesRegressor):
        forest = kind(20, random_state=0, **params).fit(plan.rows.X_train, plan.rows.y_train)
        trees = [tree.tree_ for tree in forest.estimators_]
        state = [tree.__getstate__() for tree in trees]
        taken = sum(s["nodes"].nbytes + s["values"].nbytes for s in state) / 2**20
        if "max_depth" in given:
            assert told <= 2 * taken  # not every branch is that deep
        else:
            assert told <= taken <= 3 * told


def test_trials_are_replayed_in_the_order_of_their_ends(compose: Any, workdir: Path) -> None:
    """What ended first is heard first, whatever its number."""
    cfg = compose(*SMALL)
    study = Study(cfg, "study", prepare(cfg).space, 3)
    first, second, third = study.ask(3)
    study.report(first, 1, 1.0)
    for trial, state, value in ((third, "complete", 3.0), (first, "pruned", 4.0)):
        study.tell(trial, state, {"val_mse": value})
    study.tell(second, "failed", {}, "no memory")
    ends = [("complete", 3.0, ""), ("pruned", None, ""), ("failed", None, "no memory")]
    assert [trial.ending for trial in study.news()] == ends
    assert study.news() == []
