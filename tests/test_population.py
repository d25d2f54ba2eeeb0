"""Trials that are asked for together: each comes to an end of its own."""

import itertools
import math
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from agreement import assert_agree
from killing import killed_at
from popsearch import space, sqlite, trial
from popsearch.config import Config
from popsearch.interrupt import Interrupts
from popsearch.models import Machine, Scores, TrainingDied
from popsearch.models.once import FittedOnce
from popsearch.outcome import Outcome
from popsearch.space import Params
from popsearch.study import Study
from popsearch.tracking import StudyRecord, open_tracker, runs
from popsearch.tracking.runs import MlflowTracker
from popsearch.workers import local
from scripted import Scripted, train

# Trial 0 has alpha 1, trial 1 has alpha 2, and so on.
ALPHAS = [f"{{alpha: {i}.0}}" for i in range(1, 9)]
N_OPENING = 24  # writes until the first trial, more or less; test_resume.py dies in those
STRIDE = 8  # every eighth write; all of them are killed with POPSEARCH_KILL_ALL=1
RIDGE = ("model=ridge", "sampler=random", f"model.known_good=[{','.join(ALPHAS)}]")


class Watched(Scripted):
    """A scripted training that tells before it takes a step."""

    def __init__(self, val_mse: Sequence[Sequence[float]], before: Callable[[int], None]) -> None:
        super().__init__(val_mse)
        self._before = before

    def advance(self) -> Scores:
        self._before(self.step + 1)
        return super().advance()


@dataclass
class Trainer:
    """Trains populations whose curves are settled by their parameter."""

    population: int
    curve: Callable[[float], Sequence[float]]
    before: Callable[[int], None] = lambda step: None
    patience: int | None = None
    n_steps: int = 4
    machine: Machine = field(default_factory=Machine)
    way: Any = FittedOnce
    val_variance: float = 1.0
    trial_timeout: float | None = None
    n_objectives: int = 1
    most_begun: int = 1
    first_look: int = 1
    n_workers: int = 1
    trained: list[list[float]] = field(default_factory=list)

    def training(self, members: list[Params]) -> Watched:
        alphas = [float(params["alpha"] or 0) for params in members]
        self.trained.append(alphas)
        curves = map(self.curve, alphas)
        return Watched([*zip(*curves, strict=True)], self.before)

    @property
    def fidelities(self) -> list[int]:
        return [*range(1, self.n_steps + 1)]

    def too_large(self, params: Params) -> str:
        return ""


class Listener:
    """Keeps what it hears of the trials, and does something when it hears a certain event."""

    def __init__(self, at: tuple[object, ...] = (), action: Callable[[], None] = print) -> None:
        self.heard: list[tuple[object, ...]] = []
        self._at, self._action = at, action

    def trial_started(self, number: int) -> None:
        self._hear("started", number)

    def step_done(self, number: int, step: int, n_steps: int, val_mse: float) -> None:
        self._hear("step", number, step)

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        self._hear("ended", number)

    def trials_lost(self, n: int, reason: str) -> None:
        self._hear("lost", n)

    def _hear(self, *event: object) -> None:
        self.heard.append(event)
        if event == self._at:
            self._action()


def search(cfg: Config, trainer: Trainer, n_trials: int, listener: Listener | None = None) -> str:
    """Search as a new process would: open what there is, settle it, and go on."""
    searched, _ = space.read(cfg.model.space, cfg.model.known_good, {})
    study = Study(cfg, "study", searched, trainer.n_steps)
    tracker = open_tracker(cfg.tracking, "demo")
    tracker.open_study(StudyRecord("study", {}, {}, "demo", 64 * "a", ""))
    local.recover(study, tracker)
    tracker.close_left_behind()
    with Interrupts(None) as interrupts:
        return local.search(trainer, study, tracker, interrupts, listener or Listener(), n_trials)


def falling(alpha: float) -> list[float]:
    """Give a curve that falls to its end, another one for each parameter."""
    return [alpha + 1 / step for step in range(1, 5)]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with empty databases, whose tables take seconds to make."""
    folder = tmp_path_factory.mktemp("templates")
    sqlite.configure()
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    client.create_experiment("demo", artifact_location=str(folder / "artifacts"))
    optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db")
    return folder


@pytest.fixture
def folder(templates: Path, workdir: Path) -> Path:
    """Work in a folder with empty databases."""
    copy_databases(templates, workdir)
    return workdir


def copy_databases(templates: Path, folder: Path) -> None:
    """Copy the databases with what belongs to them."""
    for file in templates.glob("*.db*"):
        shutil.copy(file, folder)


def stored_trials() -> list[optuna.trial.FrozenTrial]:
    """Give the trials as a reader from outside finds them."""
    return optuna.load_study(study_name="study", storage="sqlite:///optuna.db").trials


def stored_runs(folder: Path) -> list[Any]:
    """Give the runs of trials as a reader from outside finds them, in their order."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'demo'")
    query = "tags.`popsearch.kind` = 'trial'"
    found = client.search_runs([experiment.experiment_id], query)
    return sorted(found, key=lambda run: int(run.data.tags["popsearch.trial"]))


@pytest.mark.parametrize(
    ("population", "n_trials", "sizes"), [(8, 10, [8, 2]), (3, 3, [3]), (4, 2, [2]), (1, 2, [1, 1])]
)
def test_a_population_is_asked_for_at_once_and_never_one_too_many(
    population: int, n_trials: int, sizes: list[int], compose: Any, folder: Path
) -> None:
    """The last population has as many members as are left; all start before the first step."""
    cfg, listener = compose(*RIDGE), Listener()
    trainer = Trainer(population, falling)
    assert search(cfg, trainer, n_trials, listener) == "n_trials"
    assert [len(members) for members in trainer.trained] == sizes
    numbers = [event[1] for event in listener.heard if event[0] == "started"]
    assert numbers == [event[1] for event in listener.heard if event[0] == "ended"]
    assert numbers == [*range(n_trials)]
    kinds = [event[0] for event in listener.heard]
    assert kinds == [k for n in sizes for k in ["started"] * n + ["step"] * 3 * n + ends(n)]
    assert_agree(folder, "study", n_trials)
    assert search(cfg, trainer, n_trials) == "n_trials"
    assert len(trainer.trained) == len(sizes)


def ends(n: int) -> list[str]:
    """Give what is heard of the last step of n members."""
    return ["step", "ended"] * n


def test_each_member_is_closed_as_soon_as_it_ends(compose: Any, folder: Path) -> None:
    """Pruned, failed, out of patience or done: study and run know it before the next step."""
    curves = {
        1.0: [2.0, 2.0, 2.0, 2.0],  # a trial of its own, with which the others are compared
        2.0: [1.0, math.nan, 0.1, 0.1],
        3.0: [9.0, 0.1, 0.1, 0.1],
        4.0: [1.0, 1.5, 1.4, 0.1],
        5.0: [1.0, 0.9, 0.8, 0.7],
    }
    cfg = compose(*RIDGE, "pruner.n_startup_trials=1", "pruner.warmup=0")
    search(cfg, Trainer(1, curves.__getitem__), 1)
    seen = []

    def look(_: int = 0) -> None:
        states = [trial.state.name for trial in stored_trials()[1:5]]
        statuses = [run.info.status for run in stored_runs(folder)[1:]]
        seen.append([*zip(states, statuses, strict=True)])

    search(cfg, Trainer(4, curves.__getitem__, look, patience=2), 5)
    look()
    going = ("RUNNING", "RUNNING")
    pruned, failed, done = ("PRUNED", "FINISHED"), ("FAIL", "FAILED"), ("COMPLETE", "FINISHED")
    assert seen == [
        [going, going, going, going],
        [going, pruned, going, going],
        [failed, pruned, going, going],
        [failed, pruned, done, going],
        [failed, pruned, done, done],
    ]
    reported = [[*trial.intermediate_values.values()] for trial in stored_trials()[1:5]]
    assert reported == [[1.0], [9.0], [1.0, 1.0, 1.0], [1.0, 0.9, 0.8, 0.7]]
    reason = stored_runs(folder)[1].data.tags["popsearch.reason"]
    assert reason == "diverged: validation MSE is nan after 20"


@pytest.mark.parametrize("flush_s", [0.0, 60.0])
def test_a_run_holds_its_own_curve_only(
    flush_s: float, compose: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many runs are open and written to in turns, each has its own points, once."""
    monkeypatch.setattr(runs, "FLUSH_S", flush_s)

    def curve(alpha: float) -> list[float]:
        # Lowest at step 7 - alpha, so that those end first that began last.
        return [alpha + abs(step + alpha - 7) / 100 for step in range(1, 9)]

    cfg = compose(*RIDGE, "pruner=none")
    search(cfg, Trainer(6, curve, patience=1, n_steps=8), 6)
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    for i, run in enumerate(stored_runs(folder), start=1):
        taken = curve(float(i))[: 8 - i]  # one step without a better score ends it
        assert run.data.params == {"alpha": f"{i}.0"}
        for key, share in {"val_mse": 1, "val_mae": 8, "train_mse": 2, "train_mae": 4}.items():
            history = client.get_metric_history(run.info.run_id, f"curve/{key}")
            points = sorted((point.step, point.value) for point in history)
            assert points == [(10 * n, value / share) for n, value in enumerate(taken, start=1)]
    assert i == 6


@pytest.mark.parametrize(
    ("moment", "n_ended"),
    [
        (("started", 1), 0),  # waits until the training begins
        ("training", 1),
        (("step", 2, 3), 1),  # the third member has reported its step, the fourth not yet
        ("closing", 1),  # waits until run and study agree
        (("ended", 0), 1),
        (("ended", 2), 3),  # the fourth member took its last step too, but was not told
    ],
)
def test_a_stopped_population_is_queued_again_but_for_what_ended(
    moment: Any, n_ended: int, compose: Any, folder: Path
) -> None:
    """Ctrl-C gives back exactly the trials that have not ended, and each is tried again, once."""

    def curve(alpha: float) -> list[float]:
        return [1.0, 2.0, 3.0, 4.0] if alpha == 1 else falling(alpha)

    def stop(step: int = 3) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    first, listener, finish = Trainer(4, curve, patience=1), Listener(), MlflowTracker.finish
    if moment == "training":
        first.before = stop
    elif moment != "closing":
        listener = Listener(moment, stop)
    cfg = compose(*RIDGE)
    with pytest.MonkeyPatch.context() as patch:
        if moment == "closing":
            patch.setattr(MlflowTracker, "finish", lambda *args: stop() or finish(*args))
        assert search(cfg, first, 4, listener) == "Ctrl-C"
    ended = [1.0, 2.0, 3.0][:n_ended]
    states = {t.params["alpha"]: t for t in stored_trials()[:4]}
    for alpha, tried in states.items():
        assert tried.state.name == ("COMPLETE" if alpha in ended else "FAIL")
        assert tried.user_attrs.get("given_back", False) == (alpha not in ended)
    if moment == ("step", 2, 3):
        assert [*states[3.0].intermediate_values] == [1, 2, 3]
    statuses = ["FINISHED" if alpha in ended else "KILLED" for alpha in sorted(states)]
    assert [run.info.status for run in stored_runs(folder)] == statuses
    again = Trainer(4, curve)
    assert search(cfg, again, 8) == "n_trials"
    trained = [alpha for members in again.trained for alpha in members]
    assert sorted(trained) == [alpha for alpha in range(1, 9) if alpha not in ended]
    assert_agree(folder, "study", 8)


def test_a_population_killed_at_any_write_is_continued(
    templates: Path, compose: Any, workdir: Path
) -> None:
    """Whichever write a process dies before, in the end every set of parameters was tried once."""
    cfg = compose(*RIDGE[:2], f"model.known_good=[{','.join(ALPHAS[:3])}]")

    def work() -> None:
        search(cfg, Trainer(2, lambda alpha: falling(alpha)[:2], n_steps=2), 3)

    stride = 1 if os.environ.get("POPSEARCH_KILL_ALL") else STRIDE
    for write in itertools.count(N_OPENING, stride):
        folder = workdir / str(write)
        folder.mkdir()
        copy_databases(templates, folder)
        os.chdir(folder)
        died = killed_at(write, work)
        assert not killed_at(0, work)
        trials = assert_agree(folder, "study", 3)
        assert sorted(trial.params["alpha"] for trial in trials) == [1, 2, 3]
        if not died:
            break
    assert write > N_OPENING + 30  # at least ten writes a trial: they were all tried


def test_what_killed_three_processes_has_failed(compose: Any, folder: Path) -> None:
    """It is not tried a fourth time, and its last run says so; the earlier ones were given back."""
    cfg = compose("model=ridge", "model.known_good=[{alpha: 1.0}]")

    def die(step: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(3):
        assert killed_at(0, lambda: search(cfg, Trainer(1, falling, before=die), 1))
    assert search(cfg, Trainer(1, falling), 1) == "n_trials"
    (failed,) = assert_agree(folder, "study", 1)
    assert failed.state.name == "FAIL"
    assert failed.user_attrs["retries"] == 2
    assert failed.user_attrs["reason"] == "its process died"


def test_members_that_are_alike_are_trained_once(compose: Any, folder: Path) -> None:
    """Of equal parameters in one population one trains, and the others say whose scores they have.

    A member that failed has no scores to give; its twin is tried by itself.
    """
    few = ("~model.space.alpha", "+model.space.alpha={type:categorical,choices:[1.0,2.0,3.0]}")
    cfg = compose("model=ridge", "sampler=random", "model.known_good=[]", *few)

    def curve(alpha: float) -> list[float]:
        return [math.nan] * 4 if alpha == 3 else falling(alpha)

    trainer = Trainer(12, curve)
    search(cfg, trainer, 12)
    trials = stored_trials()
    by_alpha = {alpha: [t for t in trials if t.params["alpha"] == alpha] for alpha in (1, 2, 3)}
    assert all(len(alike) > 1 for alike in by_alpha.values())  # as this seed draws them
    assert trainer.trained == [[*dict.fromkeys(t.params["alpha"] for t in trials)]] + [[3.0]] * (
        len(by_alpha[3]) - 1
    )
    found = stored_runs(folder)
    for alpha in (1, 2):
        first, *others = by_alpha[alpha]
        assert "popsearch.copy_of" not in found[first.number].data.tags
        for other in others:
            run = found[other.number]
            assert run.data.tags["popsearch.copy_of"] == str(first.number)
            assert run.info.status == "FINISHED"
            assert run.data.metrics["fit_s"] == 0
            assert other.value == run.data.metrics["val_mse"] == falling(alpha)[-1]
    assert {trial.state.name for trial in by_alpha[3]} == {"FAIL"}


def test_what_a_library_raises_ends_this_population_only(compose: Any, folder: Path) -> None:
    """Members without a score of their own fail with the reason; the search goes on."""
    trainer = Trainer(3, falling)

    def refuse(step: int) -> None:
        if len(trainer.trained) == 1 and step == 2:
            raise ArithmeticError("singular matrix")

    trainer.before = refuse
    assert search(compose(*RIDGE), trainer, 5) == "n_trials"
    assert [trial.state.name for trial in stored_trials()[:5]] == ["FAIL"] * 3 + ["COMPLETE"] * 2
    reasons = [run.data.tags.get("popsearch.reason") for run in stored_runs(folder)]
    assert reasons == ["ArithmeticError: singular matrix"] * 3 + [None] * 2


def test_trials_are_tried_again_where_what_trains_them_dies(compose: Any, folder: Path) -> None:
    """Once among others, then each alone: only what dies every time is failed."""
    trainer = Trainer(3, falling)

    def die(step: int) -> None:
        if 2 in trainer.trained[-1] and step == 2:
            raise TrainingDied("it ended (exit code -9)")

    trainer.before = die
    listener = Listener()
    assert search(compose(*RIDGE), trainer, 8, listener) == "n_trials"
    assert trainer.trained == [[1, 2, 3], [4, 5, 6], [7, 8, 1], [2, 3], [2], [3]]
    assert [event[1] for event in listener.heard if event[0] == "lost"] == [3, 2, 1]
    ended = [trial for trial in stored_trials() if "given_back" not in trial.user_attrs]
    assert [trial.state.name for trial in ended].count("COMPLETE") == 7
    (failed,) = (trial for trial in ended if trial.state.name == "FAIL")
    assert (failed.params["alpha"], failed.user_attrs["reason"]) == (2, "it ended (exit code -9)")
    runs = {run.info.run_id: run for run in stored_runs(folder)}
    assert runs[failed.user_attrs["mlflow_run_id"]].info.status == "FAILED"
    statuses = sorted(run.info.status for run in runs.values())
    assert statuses == ["FAILED", *["FINISHED"] * 7, *["KILLED"] * 5]


@given(
    curves=st.lists(
        st.lists(st.floats(0, 9) | st.just(math.nan), min_size=6, max_size=6),
        min_size=1,
        max_size=5,
    ),
    patience=st.integers(1, 6),
    raises_at=st.none() | st.integers(0, 5),
)
def test_the_seconds_of_the_members_add_up(
    curves: list[list[float]], patience: int, raises_at: int | None
) -> None:
    """What a population takes is shared by those that train, whatever ends them and when."""
    now = 0.0

    class Slow(Scripted):
        """Takes as many seconds as it has steps behind it."""

        def advance(self) -> Scores:
            nonlocal now
            now += 1 + self.step
            return super().advance()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "time", SimpleNamespace(perf_counter=lambda: now))
        rows = [*zip(*curves, strict=True)]
        outcomes = train(Slow(rows, raises_at), len(curves), patience=patience)
    assert sum(outcome.fit_s for outcome in outcomes) == pytest.approx(now)
