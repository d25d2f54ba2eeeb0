"""What is kept of a study in memory: the same as a plain reading of its database gives."""

import itertools
import math
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from popsearch import sqlite
from popsearch.study import tpe
from popsearch.study.median import MedianPruner
from popsearch.study.record import Record
from popsearch.study.storage import SnapshotStorage
from popsearch.study.tpe import BoundedTPESampler

X = FloatDistribution(0, 8)
ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
FIELDS = ("number", "state", "values", "params", "distributions", "user_attrs", "system_attrs",
          "intermediate_values", "_trial_id")  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an empty database, whose tables take seconds to make."""
    sqlite.configure()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = tmp_path_factory.mktemp("template") / "optuna.db"
    optuna.storages.RDBStorage(f"sqlite:///{file}").engine.dispose()
    sqlite.tidy(f"sqlite:///{file}")
    return file


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Callable[[], str]:
    """Give the function that makes a new database and gives its address."""
    count = itertools.count()

    def database() -> str:
        file = tmp_path / f"{next(count)}.db"
        shutil.copy(template, file)
        return f"sqlite:///{file}"

    return database


def opened(url: str, write_s: float = 0) -> tuple[optuna.Study, SnapshotStorage]:
    """Open the study of a database as a process of its own would."""
    database = optuna.storages.RDBStorage(url, skip_table_creation=True)
    storage = SnapshotStorage(database, url, write_s=write_s)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(
        storage=storage, study_name="study", sampler=sampler, load_if_exists=True
    )
    return study, storage


class Worker:
    """Does to a study what a process does, one operation at a time."""

    def __init__(self, url: str) -> None:
        self.study, self.storage = opened(url)
        self.running: list[optuna.Trial] = []

    def ask(self, x: int) -> None:
        trial = self.study.ask()
        trial.suggest_int("depth", 1, 9)
        if x % 2:
            trial.suggest_categorical("kind", ["a", "b"])
        self.running.append(trial)

    def queue(self, x: int) -> None:
        self.study.enqueue_trial({"depth": x % 3 + 1}, {"retry_of": x})

    def report(self, x: int) -> None:
        if self.running:
            trial = self.running[x % len(self.running)]
            step = len(self.storage.get_trial(trial._trial_id).intermediate_values) + 1
            trial.report(float(x), step)

    def end(self, x: int) -> None:
        if self.running:
            trial, state = self.running.pop(x % len(self.running)), ENDS[x % 3]
            if x % 4 == 0:
                trial.set_user_attr("given_back", True)
            self.study.tell(trial, float(x) if state == TrialState.COMPLETE else None, state)

    def refresh(self, x: int) -> None:
        self.storage.refresh(self.study._study_id)


OPERATIONS = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["ask", "ask", "queue", "report", "end", "end", "refresh"]),
    st.integers(0, 11),
)


def assert_same(ours: list[FrozenTrial], theirs: list[FrozenTrial]) -> None:
    """Compare trials with those of a plain reading, in all that they hold."""
    assert [t.number for t in ours] == [t.number for t in theirs]
    for a, b in zip(ours, theirs, strict=True):
        for name in FIELDS:
            assert getattr(a, name) == getattr(b, name), name


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, min_size=5, max_size=25))
def test_two_processes_know_what_the_database_holds(
    operations: list[tuple[int, str, int]], database: Callable[[], str]
) -> None:
    """Whatever two processes do in turns, each finds it all at its next refresh, own at once."""
    url = database()
    workers = [Worker(url), Worker(url)]
    plain = optuna.storages.RDBStorage(url, skip_table_creation=True)
    for who, what, x in operations:
        worker = workers[who]
        getattr(worker, what)(x)
        read = {t._trial_id: t for t in plain.get_all_trials(worker.study._study_id)}
        for trial in worker.running:
            assert_same([worker.storage.get_trial(trial._trial_id)], [read[trial._trial_id]])
    read_all = plain.get_all_trials(workers[0].study._study_id)
    for worker in workers:
        worker.refresh(0)
        study_id = worker.study._study_id
        assert_same(worker.storage.get_all_trials(study_id), read_all)
        for states in itertools.combinations(TrialState, 2):
            found = worker.storage.get_all_trials(study_id, states=states)
            assert_same(found, [t for t in read_all if t.state in states])
        assert_scans(worker.storage.record(study_id), read_all)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=8),
    again=st.integers(0, 7),
    state=st.sampled_from([TrialState.PRUNED, TrialState.FAIL]),
)
def test_values_that_wait_are_there_when_the_trial_ends(
    values: list[float], again: int, state: TrialState, database: Callable[[], str]
) -> None:
    """Its own process knows them at once; the database when it ends, each once, the last one."""
    url = database()
    study, storage = opened(url, write_s=60)
    plain = optuna.storages.RDBStorage(url, skip_table_creation=True)
    trial = study.ask()
    for step, value in [*enumerate(values), (again, 1.0)]:
        storage.set_trial_intermediate_value(trial._trial_id, step, value)
    expected = {**dict(enumerate(values)), again: 1.0}
    held = storage.get_trial(trial._trial_id).intermediate_values
    assert plain.get_trial(trial._trial_id).intermediate_values == {}
    study.tell(trial, state=state)
    for found in (held, plain.get_trial(trial._trial_id).intermediate_values):
        assert found.keys() == expected.keys()
        assert all(found[k] == v or math.isnan(found[k] - v) for k, v in expected.items())


def test_values_that_could_not_be_written_wait_on(
    database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a database refused is there with the next write that it takes."""
    url = database()
    study, storage = opened(url, write_s=60)
    plain = optuna.storages.RDBStorage(url, skip_table_creation=True)
    trial = study.ask()
    trial.report(3.0, 1)
    with monkeypatch.context() as patch:
        patch.setattr(storage._database, "check_trial_is_updatable", _refuse)
        with pytest.raises(ConnectionError):
            study.tell(trial, state=TrialState.PRUNED)
    trial.report(2.0, 2)
    study.tell(trial, state=TrialState.PRUNED)
    assert plain.get_trial(trial._trial_id).intermediate_values == {1: 3.0, 2: 2.0}


def _refuse(*_: object) -> None:
    raise ConnectionError


def test_values_are_written_together(database: Callable[[], str]) -> None:
    """All trials' when it is time, and those of earlier writes are changed, not doubled."""
    url = database()
    study, storage = opened(url, write_s=60)
    plain = optuna.storages.RDBStorage(url, skip_table_creation=True)
    trials = [study.ask(), study.ask()]
    for every_s in (0.0, 60.0, 0.0):
        storage._values._every_s = every_s
        for trial in trials:
            known = storage.get_trial(trial._trial_id).intermediate_values
            storage.set_trial_intermediate_value(trial._trial_id, 0, float(len(known)))
            storage.set_trial_intermediate_value(trial._trial_id, len(known) + 1, 5.0)
    assert [plain.get_trial(t._trial_id).intermediate_values for t in trials] == [
        {0: 3.0, 1: 5.0, 3: 5.0, 4: 5.0}
    ] * 2


def test_of_two_with_one_error_the_better_in_the_second_objective_is_the_best() -> None:
    """So that the winner is on the front."""
    record = Record()
    for number, predict_s in enumerate([3.0, 1.0, 2.0]):
        trial = create_trial(values=[200.0, predict_s], user_attrs={"scores": {}})
        trial.number = trial._trial_id = number
        record.put(trial)
    assert [trial.number for trial in record.complete()] == [1, 2, 0]


def assert_scans(record: Record, trials: list[FrozenTrial]) -> None:
    """Compare what a record keeps ready with scans over all trials."""
    finished = [t for t in trials if t.state.is_finished()]
    counted = [t.state for t in finished if "given_back" not in t.user_attrs]
    assert record.counted == {s: counted.count(s) for s in set(counted)}
    assert sorted(t.number for t in record.settled) == [t.number for t in finished]
    scored = [t for t in finished if t.state != TrialState.FAIL]
    assert [t.number for t in record.scored] == [t.number for t in scored]
    complete = [t for t in scored if t.state == TrialState.COMPLETE]
    by_value = sorted(complete, key=lambda t: (t.value, t.number))
    assert [t.number for t in record.complete()] == [t.number for t in by_value]
    assert [t.number for t in record.complete(2)] == [t.number for t in by_value[:2]]
    for trial in trials:
        alike = [t.number for t in scored if t.params == trial.params]
        assert [t.number for t in record.alike(trial.params)] == alike
        retried = any(t.user_attrs.get("retry_of") == trial.number for t in trials)
        assert record.is_retried(trial.number) == retried
    waiting = [t.number for t in trials if t.state == TrialState.WAITING]
    assert [t.number for t in record.unfinished({TrialState.WAITING})] == waiting
    shapes = {frozenset(t.params): t.number for t in reversed(scored)}
    assert [t.number for t in record.shapes()] == sorted(shapes.values())


@given(
    order=st.permutations(range(12)), values=st.lists(st.integers(0, 5), min_size=12, max_size=12)
)
def test_a_record_is_what_scans_find(order: list[int], values: list[int]) -> None:
    """In whichever order trials end, what is kept ready equals what a scan over all finds."""
    trials = [create_trial(state=TrialState.RUNNING) for _ in order]
    record = Record()
    for number, trial in enumerate(trials):
        trial.number = trial._trial_id = number
        record.put(trial)
    for number in order:
        trial, x = trials[number], values[number]
        trial.params = {"x": x % 3, "y": 1.0} if x % 2 else {"x": x % 3}
        trial.distributions = dict.fromkeys(trial.params, X)
        trial.state, trial.values = ENDS[number % 3], [float(x)]
        record.put(trial)
        assert_scans(record, trials)


def test_what_was_finished_is_not_read_again(database: Callable[[], str]) -> None:
    """A refresh reads what is new and what was running, however many trials there are."""
    url = database()
    a, b = Worker(url), Worker(url)
    for x in range(1, 6):
        a.ask(x)
        a.end(x)
    b.ask(1)
    read: list[int] = []
    real = a.storage._database._get_trials

    def reading(*args: Any) -> list[FrozenTrial]:
        trials = real(*args)
        read.extend(t.number for t in trials)
        return trials

    a.storage._database._get_trials = reading  # type: ignore[method-assign]
    for expected in ([5], [5]):
        read.clear()
        a.refresh(0)
        assert read == expected
    b.end(0)
    read.clear()
    a.refresh(0)
    a.refresh(0)
    assert read == [5]


# ---- the sampler -----------------------------------------------------------------------------


def points(n: int, sampler: Any, storage: Any, most: int = tpe.MOST) -> list[Any]:
    """Give the points of n trials of a function with a branch, some of them pruned or failed."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        patch.setattr(tpe, "MOST", most)
        study = optuna.create_study(
            storage=storage, sampler=sampler(multivariate=True, group=True, seed=1)
        )
        for i in range(n):
            trial = study.ask()
            value = (trial.suggest_float("x", 0, 8) - 3) ** 2
            if trial.suggest_categorical("kind", ["a", "b"]) == "b":
                value += trial.suggest_int("depth", 1, 9)
            trial.report(value, 1 + i % 3)
            state = ENDS[(0, 1, 0, 1, 2)[i % 5]]
            study.tell(trial, value if state == TrialState.COMPLETE else None, state)
        return [trial.params for trial in study.trials]


def snapshot(url: str) -> SnapshotStorage:
    """Give the storage as a study has it."""
    return SnapshotStorage(optuna.storages.RDBStorage(url, skip_table_creation=True), {})


def test_below_the_bound_nothing_changes(database: Callable[[], str]) -> None:
    """The same seed proposes the same points as Optuna's own sampler on its own storage."""
    plain = points(60, optuna.samplers.TPESampler, optuna.storages.InMemoryStorage())
    assert points(60, BoundedTPESampler, snapshot(database())) == plain
    assert points(60, BoundedTPESampler, snapshot(database()), most=30) != plain


def scored(values: list[float]) -> list[FrozenTrial]:
    """Give complete and pruned trials with these values, numbered."""
    trials = []
    for number, value in enumerate(values):
        trial = create_trial(
            state=ENDS[number % 2], value=value, params={"x": 1.0}, distributions={"x": X},
            intermediate_values={number % 3: value},
        )  # fmt: skip
        trial.number = trial._trial_id = number
        trials.append(trial)
    return trials


@given(values=st.lists(st.integers(0, 40).map(float), min_size=80, max_size=200))
def test_the_good_trials_are_those_of_all(values: list[float]) -> None:
    """Beyond the bound TPE's good trials are the same as those it takes from all."""
    trials, study = scored(values), optuna.create_study()
    some = sorted(tpe.selected(Record(trials), 60), key=lambda t: t.number)
    assert len(some) <= 60
    split = optuna.samplers._tpe.sampler._split_trials
    assert split(study, some, 25)[0] == split(study, trials, 25)[0]
    others = [t.number for t in some]
    gaps = [b - a for a, b in itertools.pairwise(others)]
    assert max(gaps) <= math.ceil(len(values) / 35) + 1  # from the first to the last, evenly


# ---- the pruner ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give a study in a snapshot storage."""
    file = tmp_path_factory.mktemp("judged") / "optuna.db"
    shutil.copy(template, file)
    return opened(f"sqlite:///{file}")


VALUES = st.integers(-4, 4).map(float) | st.sampled_from([0.1, math.inf, math.nan])


@given(
    curves=st.lists(st.lists(VALUES, min_size=1, max_size=3), min_size=4, max_size=12),
    asked=st.lists(VALUES, min_size=1, max_size=4),
    startup=st.integers(0, 4),
    warmup=st.integers(0, 2),
)
def test_the_median_pruner_decides_as_optunas(
    curves: list[list[float]], asked: list[float], startup: int, warmup: int, judged: Any
) -> None:
    """Whatever the earlier trials reached, each decision is that of Optuna's own pruner."""
    study, storage = judged
    theirs = optuna.pruners.MedianPruner(startup, warmup)
    ours, record = MedianPruner(startup, warmup), Record()
    reference = optuna.create_study()
    trial = create_trial(
        state=TrialState.RUNNING, intermediate_values=dict(enumerate(asked, start=1))
    )
    for number, curve in enumerate([*curves, []]):
        storage._records[study._study_id] = record
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of numpy, where all is nan or inf
            assert ours.prune(study, trial) == theirs.prune(reference, trial)
        ended = create_trial(
            state=ENDS[number % 5 == 4], value=1.0,
            intermediate_values=dict(enumerate(curve, start=1)),
        )  # fmt: skip
        ended.number = ended._trial_id = number
        record.put(ended)
        reference.add_trial(ended)
