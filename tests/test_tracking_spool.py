"""A tracking server that goes away, and comes back, with real processes on both sides."""

import json
import math
import os
import pickle
import resource
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow.sklearn  # noqa: F401  imported here, so that the killed processes need not
import optuna
import psutil
import pytest
import sklearn.linear_model  # noqa: F401
import skops.io  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from killing import in_a_process
from popsearch import commands, process, usage
from popsearch.config import MlflowTracking, NoTracking
from popsearch.errors import ConfigError, StorageError
from popsearch.outcome import Outcome, Point
from popsearch.run import run
from popsearch.study import Study
from popsearch.tracking import (
    StudyRecord,
    Ticket,
    Tracker,
    faults,
    join_tracker,
    open_tracker,
    operations,
    outbox,
    sending,
    server,
    system,
)
from popsearch.tracking.operations import Operation
from popsearch.tracking.runs import MlflowTracker
from popsearch.tracking.spool import Spool, file_of
from servers import Gateway, Server, free_port

STUDY = ("model=gbr", "data.rows=400", "model.steps.budget=20", "pruner=none")
CURVES = ("train_mse", "train_mae", "val_mse", "val_mae")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server; a test that stops it starts it again."""
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gateway(real: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A way to the server that a test can close."""
    gateway = Gateway(real, tmp_path_factory.mktemp("gateway"))
    yield gateway
    gateway.close()


@pytest.fixture
def client(real: Server) -> MlflowClient:
    """MLflow's own client, straight to the server."""
    return MlflowClient(real.address)


def at_uri(address: str) -> MlflowTracking:
    """Give the configuration of a server's address."""
    return MlflowTracking(name="mlflow", uri=address)


def record(name: str) -> StudyRecord:
    """Give what is known of a study when it is opened."""
    return StudyRecord(name, {}, {"config.yaml": "a: 1"}, "demo", 64 * "a", "made up")


def outcome(n_steps: int, state: Any = "complete") -> Outcome:
    """Give how a trial went that got better with every step."""
    curve = [Point(i, i, 1.0 / i, 2.0 / i, 3.0 / i, 4.0 / i) for i in range(1, n_steps + 1)]
    return Outcome(state, curve=curve, best_step=n_steps, fit_s=0.5)


def kill_me() -> None:
    """End this process as the kernel does that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(
    patch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    actions: dict[int, Callable[[], object]],
    after: bool = True,
) -> None:
    """Do something at certain calls (counted from 1) of a method, after it or before."""
    method, n = getattr(owner, name), 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal n
        n += 1
        if not after:
            actions.get(n, lambda: None)()
        answer = method(*args, **kwargs)
        if after:
            actions.get(n, lambda: None)()
        return answer

    patch.setattr(owner, name, counted)


def runs_of(client: MlflowClient, study: str) -> dict[str, list[Any]]:
    """Give the runs of a study's trials, by the number of the trial."""
    experiments = [e.experiment_id for e in client.search_experiments()]
    query = f"tags.`popsearch.study` = '{study}' and tags.`popsearch.kind` = 'trial'"
    found: dict[str, list[Any]] = {}
    for one in client.search_runs(experiments, query, max_results=5000):
        found.setdefault(one.data.tags["popsearch.trial"], []).append(one)
    return found


def assert_whole(client: MlflowClient, folder: Path, result: Any, n_trials: int) -> None:
    """Compare every trial of Optuna's study with its one run on the server."""
    storage = f"sqlite:///{folder}/optuna.db"
    trials = optuna.load_study(study_name=result.study, storage=storage).trials
    counted = [t for t in trials if "given_back" not in t.user_attrs]
    assert len(counted) == n_trials
    runs = runs_of(client, result.study)
    assert set(runs) == {str(trial.number) for trial in trials}
    for trial in trials:
        (one,) = runs[str(trial.number)]
        assert one.data.tags["mlflow.parentRunId"] == result.mlflow_run_id
        if trial not in counted:
            assert one.info.status == "KILLED"
            continue
        assert one.info.status == "FINISHED"
        assert one.data.tags["popsearch.state"] == "complete"
        assert one.data.params == {key: str(value) for key, value in trial.params.items()}
        scores = {k: v for k, v in one.data.metrics.items() if not k.startswith("curve/")}
        assert scores == trial.user_attrs["scores"]
        for key in CURVES:
            history = client.get_metric_history(one.info.run_id, f"curve/{key}")
            assert len(history) == len({m.step for m in history})
            assert len(history) == len(trial.intermediate_values) > 1
            assert scores[key] in [m.value for m in history]
        began, ended = trial.datetime_start.timestamp(), trial.datetime_complete.timestamp()
        # What was sent when the server was back was long ended then; times are cut to milliseconds.
        assert began - 0.002 < one.info.start_time / 1000 <= one.info.end_time / 1000 < ended
    parent = client.get_run(result.mlflow_run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["val_mse"] == result.val_mse


# ---- a whole search ------------------------------------------------------------------------


def test_what_the_computer_does_waits_with_the_trials(
    gateway: Gateway, client: MlflowClient, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads write while a server is away; each look is there once, and none is lost."""
    monkeypatch.setattr(system, "FIRST_S", 0.1)
    told: list[str] = []
    tracker = open_tracker(at_uri(gateway.address), "demo", told.append)
    run_id = tracker.open_study(record("demo-ridge-system"))
    key = "system/cpu_utilization_percentage"
    with tracker.watching():
        gateway.set("down")
        file = file_of("demo-ridge-system", process.identity())
        while not file.exists() or file.read_text().count(key) < 5:
            tracker.describe({"written": "meanwhile"})
            time.sleep(0.05)
        looks = file.read_text().count(key)
        gateway.set()
        tracker.close_study({"val_mse": 1.0}, {})
    assert not file.exists()
    assert [line for line in told if "does not answer" in line] == told[:1]
    history = client.get_metric_history(run_id, key)
    times = [metric.timestamp for metric in history]
    assert len(times) == len({*times}) >= looks
    run = client.get_run(run_id)
    assert (run.info.status, run.data.metrics["val_mse"]) == ("FINISHED", 1.0)


def test_a_server_that_stops_and_starts_again_misses_nothing(
    real: Server,
    client: MlflowClient,
    compose: Any,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Stopped between two trials and started after three more, it has all of each trial once."""
    actions = {2: lambda: real.stop(signal.SIGKILL), 5: real.start}
    at_call(monkeypatch, Study, "tell", actions)
    result = run(compose(*STUDY, "n_trials=7", f"tracking.uri={real.address}"), workdir, "")
    assert_whole(client, workdir, result, 7)
    assert not list((workdir / "mlruns" / "unsent").iterdir())
    out = capsys.readouterr().out
    assert out.count("does not answer (connection refused): the search goes on") == 1
    assert out.count("answers again: what waited was sent") == 1
    assert "not stored" not in out


def test_a_server_that_stays_away_costs_the_model_and_nothing_else(
    gateway: Gateway,
    client: MlflowClient,
    compose: Any,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The result is there, what waits is told with the command, the same command stores more."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gateway.address.replace("//", "//me:hunter2@"))
    at_call(monkeypatch, Study, "tell", {1: lambda: gateway.set("down")})
    cfg = compose(*STUDY, "data.seed=1", "n_trials=3", "tracking=server")
    result = run(cfg, workdir, "")
    assert result.test_mse is not None
    out = capsys.readouterr().out
    assert f"the fitted model is not stored, for {gateway.address} does not answer" in out
    assert f"{gateway.address} still does not answer" in out
    assert "3 runs not sent" in out  # two trials, and the study's own
    assert "python -m popsearch sync" in out
    (file,) = (workdir / "mlruns" / "unsent").iterdir()
    assert "hunter2" not in out + file.read_text()
    gateway.set()
    again = run(cfg, workdir, "")
    assert again.test_mse == result.test_mse
    assert "sent what waited in mlruns/unsent: 3 runs" in capsys.readouterr().out
    assert_whole(client, workdir, again, 3)
    (experiment,) = {one[0].info.experiment_id for one in runs_of(client, again.study).values()}
    stored = client.search_logged_models([experiment])
    assert [m.source_run_id for m in stored if m.source_run_id == again.mlflow_run_id]
    kept = client.list_artifacts(str(again.mlflow_run_id), "test_residuals")
    assert [file.path for file in kept] == [f"test_residuals/trial_{again.best_trial:04d}.npy"]
    assert again.test_openings == result.test_openings  # the same opening, for the same trial
    assert len(again.test_openings) == 1


@pytest.mark.parametrize(("told", "synced"), [(True, True), (False, False)])
def test_killed_while_the_server_is_away(
    told: bool,
    synced: bool,
    gateway: Gateway,
    client: MlflowClient,
    compose: Any,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A trial that ended is not trained again, also where only a file knows that it ended."""
    another = f"data.seed={10 + 2 * told + synced}"  # a study of its own on the server
    cfg = compose(*STUDY, another, "n_trials=5", f"tracking.uri={gateway.address}")

    def killed() -> None:
        with pytest.MonkeyPatch.context() as patch:
            at_call(patch, Study, "tell", {1: lambda: gateway.set("down")})
            # In the fifth trial, whose run is open, or where that of the fourth is closed.
            where: Any = (Study, "link", 5) if told else (MlflowTracker, "finish", 4)
            at_call(patch, *where[:2], {where[2]: kill_me})
            run(cfg, workdir, "")

    assert in_a_process(killed)
    assert len(list((workdir / "mlruns" / "unsent").iterdir())) == 1
    if synced:
        with pytest.raises(SystemExit) as ended:
            commands.sync([])
        assert ended.value.code == 1
        assert f"{gateway.address} does not take them" in capsys.readouterr().out
        gateway.set()
        commands.sync([])
        n_sent = 4 if told else 3
        assert capsys.readouterr().out == f"sent to {gateway.address}: {n_sent} runs\n"
        commands.sync([])
        assert capsys.readouterr().out == "nothing waits in mlruns/unsent\n"
    gateway.set()
    result = run(cfg, workdir, "")
    assert_whole(client, workdir, result, 5)
    assert sum(result.n_trials.values()) == 5
    n_runs = sum(map(len, runs_of(client, result.study).values()))
    assert n_runs == (6 if told else 5)  # the trial in which it was killed was tried again


# ---- lost answers and kills ----------------------------------------------------------------


@pytest.mark.parametrize("path", ["runs/create", "runs/log-batch", "runs/update"])
def test_a_lost_answer_makes_no_double(
    path: str,
    gateway: Gateway,
    client: MlflowClient,
    workdir: Path,
) -> None:
    """What a server did without being able to say so is not done twice, and nobody is alarmed."""
    told: list[str] = []
    study = f"lost-{path.rpartition('/')[2]}"
    tracker = open_tracker(at_uri(gateway.address), "lost", told.append)
    tracker.open_study(record(study))
    gateway.heard.clear()
    for number in range(3):
        gateway.set(f"lose {path}" if number == 1 else "")
        run_id = tracker.start(number, {"alpha": number})
        tracker.finish(run_id, outcome(4), {"val_mse": 0.5})
    n_heard = sum(path in heard for heard in gateway.heard)
    assert n_heard == (3 if path == "runs/create" else 4)  # a run that is found is not made again
    runs = runs_of(client, study)
    assert {number: len(found) for number, found in runs.items()} == {"0": 1, "1": 1, "2": 1}
    for number, (one,) in runs.items():
        assert (one.info.status, one.data.params) == ("FINISHED", {"alpha": number})
        assert len(client.get_metric_history(one.info.run_id, "curve/val_mse")) == 4
    assert told == []


def test_a_create_whose_answer_is_lost_while_it_is_sent_later(
    gateway: Gateway, client: MlflowClient, workdir: Path
) -> None:
    """The first that is sent from a file may be there already, however often that happens."""
    tracker = open_tracker(at_uri(gateway.address), "lost")
    tracker.open_study(record("lost-again"))
    gateway.set("down")
    run_id = tracker.start(0, {})
    tracker.finish(run_id, outcome(1), {})
    for _ in range(2):
        gateway.set("lose runs/create")
        tracker.send_rest()
    gateway.set()
    tracker.send_rest()
    ((one,),) = runs_of(client, "lost-again").values()
    assert one.info.status == "FINISHED"


def test_killed_at_every_moment_of_the_sending(
    gateway: Gateway, client: MlflowClient, workdir: Path
) -> None:
    """However often the sender dies between an answer and its note, all is there once."""

    def leave() -> None:
        tracker = open_tracker(at_uri(gateway.address), "killed")
        tracker.open_study(record("killed"))
        gateway.set("down")
        for number in range(3):
            run_id = tracker.start(number, {"alpha": number})
            tracker.finish(run_id, outcome(3, "pruned"), {"val_mse": 0.5})

    assert not in_a_process(leave)
    gateway.set()

    def send() -> None:
        with pytest.MonkeyPatch.context() as patch:
            at_call(patch, Spool, "acknowledge", {2: kill_me}, after=False)
            commands.sync([])

    n_kills = 0
    while in_a_process(send):
        n_kills += 1
    assert n_kills == 8  # of nine operations each sender did one, but the last
    runs = runs_of(client, "killed")
    assert sorted(runs) == ["0", "1", "2"]
    for number, (one,) in runs.items():
        assert (one.info.status, one.data.params) == ("FINISHED", {"alpha": number})
        assert one.data.tags["popsearch.state"] == "pruned"
        assert len(client.get_metric_history(one.info.run_id, "curve/val_mse")) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_a_server_refuses_is_raised(status: int, gateway: Gateway, workdir: Path) -> None:
    """An error that waiting does not mend is raised, and nothing is written to a file."""
    tracker = open_tracker(at_uri(gateway.address), "refused")
    tracker.open_study(record("refused"))
    gateway.set(str(status))
    with pytest.raises(MlflowException):
        tracker.start(0, {})
    assert not (workdir / "mlruns").exists()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_a_server_cannot_now_it_may_later(
    status: int, gateway: Gateway, client: MlflowClient, workdir: Path
) -> None:
    """A server that is there without being able to do its work is waited for."""
    told: list[str] = []
    tracker = open_tracker(at_uri(gateway.address), "busy", told.append)
    tracker.open_study(record(f"busy-{status}"))
    gateway.set(str(status))
    run_id = tracker.start(0, {})
    gateway.set()
    tracker.finish(run_id, outcome(1), {})
    tracker.send_rest()
    ((one,),) = runs_of(client, f"busy-{status}").values()
    assert one.info.status == "FINISHED"
    assert [line.partition(f"(HTTP {status})")[1] != "" for line in told] == [True, False]


def test_what_was_refused_later_is_put_aside_and_told(
    gateway: Gateway, client: MlflowClient, workdir: Path
) -> None:
    """A run that somebody deleted meanwhile does not keep the others from being sent."""
    told: list[str] = []
    tracker = open_tracker(at_uri(gateway.address), "deleted", told.append)
    tracker.open_study(record("deleted"))
    deleted = tracker.start(0, {"alpha": 1.0})
    gateway.set("down")
    tracker.finish(deleted, outcome(1), {})
    tracker.finish(tracker.start(1, {}), outcome(1), {})
    client.delete_run(deleted)
    gateway.set()
    tracker.send_rest()
    (file,) = (workdir / "mlruns" / "unsent").iterdir()
    assert f"refused some of it: see {file}" in told[-1]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["do"], line["run"]) for line in lines] == [("batch", deleted), ("end", deleted)]
    ((one,),) = runs_of(client, "deleted").values()
    assert (one.data.tags["popsearch.trial"], one.info.status) == ("1", "FINISHED")


# ---- joining, and what is known of a run -----------------------------------------------------


def test_a_process_joins_a_study_without_a_question(
    gateway: Gateway, client: MlflowClient, workdir: Path
) -> None:
    """A small picklable ticket is enough to write below the study's run."""
    first = open_tracker(at_uri(gateway.address), "joined")
    parent = first.open_study(record("joined"))
    ticket = pickle.loads(pickle.dumps(first.ticket()))
    gateway.heard.clear()
    second = join_tracker(at_uri(gateway.address), ticket)
    assert gateway.heard == []
    assert second.page == first.page
    second.finish(second.start(0, {}), outcome(2), {})
    ((one,),) = runs_of(client, "joined").values()
    assert one.data.tags["mlflow.parentRunId"] == parent
    assert one.info.status == "FINISHED"


def test_without_tracking_a_ticket_is_empty() -> None:
    """What joins a study that is not tracked writes nothing."""
    cfg = NoTracking(name="none")
    ticket = open_tracker(cfg, "demo").ticket()
    assert ticket == Ticket()
    assert type(join_tracker(cfg, ticket)) is Tracker


def test_a_file_tells_how_a_trial_ended_while_the_server_is_away(
    gateway: Gateway, workdir: Path
) -> None:
    """A worker's end is known from its file: by its own name, and by the server's id."""
    lead = open_tracker(at_uri(gateway.address), "known")
    lead.open_study(record("known"))

    def work() -> None:
        tracker = join_tracker(at_uri(gateway.address), lead.ticket())
        online = tracker.start(0, {})
        gateway.set("down")
        tracker.finish(online, outcome(2), {"val_mse": 0.25})
        offline = tracker.start(1, {})
        tracker.finish(offline, outcome(2, "pruned"), {"val_mse": 0.5})
        still_open, given_back = tracker.start(2, {}), tracker.start(3, {})
        tracker.close(given_back, "stopped: Ctrl-C")
        (workdir / "ids").write_text(json.dumps([online, offline, still_open, given_back]))

    assert not in_a_process(work)
    ids = json.loads((workdir / "ids").read_text())
    expected = [("complete", {"val_mse": 0.25}), ("pruned", {"val_mse": 0.5}), None, None]
    assert [lead.finished(run_id) for run_id in ids] == expected
    assert lead.finished("0" * 32) is None  # nobody can be asked
    lead.close_left_behind()  # does nothing, but no harm either
    gateway.set()
    lead.close_left_behind()
    assert not list((workdir / "mlruns" / "unsent").iterdir())
    assert [lead.finished(run_id) for run_id in ids] == expected
    assert lead.finished("0" * 32) is None


def test_a_run_that_the_local_store_does_not_know_is_not_finished(workdir: Path) -> None:
    """Neither the id of another machine's file nor the name of a run that was never sent."""
    tracker = open_tracker(at_uri("sqlite:///mlflow.db"), "demo")
    tracker.open_study(record("local"))
    assert tracker.finished("0" * 32) is None
    assert tracker.finished(operations.own_id(3, process.identity())) is None


# ---- before the search ---------------------------------------------------------------------


def test_a_server_that_does_not_answer_is_told_before_anything_is_created(
    faults_of: Callable[..., list[str]], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with the reason, for either kind of tracking, and without the password."""
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hunter2@127.0.0.1:{port}")
    for name in ("server", "mlflow"):
        (fault,) = faults_of("model=ridge", "data.rows=500", f"tracking={name}")
        assert fault == (
            f"tracking.uri=http://***@127.0.0.1:{port}: the server does not answer "
            "(connection refused); start it, or go on without: tracking=none"
        )
    monkeypatch.setattr(server, "FIRST_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        uri = f"tracking.uri=http://127.0.0.1:{deaf.getsockname()[1]}"
        (fault,) = faults_of("model=ridge", "data.rows=500", uri)
    assert "does not answer (no answer in time)" in fault
    assert not list(workdir.iterdir())


@pytest.mark.parametrize("uri", ["http://host:port", "http://[::1", "http://", "https:///x"])
def test_an_address_without_a_host_or_with_a_wrong_port_is_told(uri: str) -> None:
    """What cannot be an address is refused as such, and not as a server that is away."""
    (fault,) = faults(at_uri(uri))
    assert fault.startswith(f"tracking.uri={uri}: must be http://HOST:PORT or https://HOST")


def test_a_server_that_wants_a_password_is_told(gateway: Gateway, faults_of: Any) -> None:
    """A server that is there and lets nobody in is refused before the search too."""
    gateway.set("401")
    (fault,) = faults_of("model=ridge", "data.rows=500", f"tracking.uri={gateway.address}")
    assert "the server cannot be used: HTTP 401; it wants a name and password" in fault


@pytest.mark.parametrize(
    ("typed", "got"),
    [
        ([], "none"),
        (["tracking.uri=sqlite:///a.db"], "'sqlite:///a.db'"),
        (["tracking.uri=host:5000"], "'host:5000'"),
        (["tracking.uri=5000"], "'5000'"),
    ],
)
def test_the_kind_of_address_is_checked(
    typed: list[str], got: str, faults_of: Callable[..., list[str]]
) -> None:
    """tracking=server needs the address of one, and says where it can stand."""
    (fault,) = faults_of("model=ridge", "data.rows=500", "tracking=server", *typed)
    assert fault == (
        "tracking.uri: must be the address of a server, http://HOST:PORT or https://HOST, but got "
        f"{got}; give tracking.uri=... or set the environment variable MLFLOW_TRACKING_URI"
    )


# ---- the file ------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
OPERATIONS = st.one_of(
    st.builds(operations.create, TEXTS, TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3)),
    st.builds(
        operations.batch,
        TEXTS,
        st.lists(st.tuples(TEXTS, st.floats(), st.integers(0, 2**40)), max_size=3),
        st.dictionaries(TEXTS, TEXTS, max_size=2),
        st.dictionaries(TEXTS, TEXTS, max_size=2),
    ),
    st.builds(operations.text, TEXTS, TEXTS, TEXTS),
    st.builds(operations.end, TEXTS, TEXTS, TEXTS, st.dictionaries(TEXTS, st.floats(), max_size=2)),
)


@given(st.lists(OPERATIONS, min_size=1, max_size=6), st.data())
def test_a_file_gives_back_what_was_written(written: list[Operation], data: st.DataObject) -> None:
    """Cut anywhere, it holds its beginning: whole operations, and what of them is done."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "study~host~1~0.00.jsonl")
        ends, done = [], []
        for operation in written:
            spool.append(operation, "http://host")
            ends.append(spool.path.stat().st_size)
        found = list(spool.pending())
        assert same([operation for _, operation in found], written)
        assert [end for end, _ in found] == ends
        for end, operation in found[: data.draw(st.integers(0, len(written)))]:
            spool.acknowledge(end, operation["run"], "id")
            done.append(spool.path.stat().st_size)
        cut = data.draw(st.integers(0, spool.path.stat().st_size))
        os.truncate(spool.path, cut)
        n_written, n_done = (sum(end <= cut for end in places) for places in (ends, done))
        torn = Spool(spool.path)
        with torn.alone():
            left = [operation for _, operation in torn.pending()]
            assert same(left, written[n_done:n_written])
            for end, operation in torn.pending():
                torn.acknowledge(end, operation["run"], "id")
        again = Spool(spool.path)
        assert list(again.pending()) == []
        assert again.address == ("http://host" if n_written else again.address)
        assert set(again.runs.values()) <= {"id"}


def same(some: list[Operation], others: list[Operation]) -> bool:
    """Tell whether two lists hold the same values; one that is no number equals itself here."""
    return repr(some) == repr(others)


def test_a_full_disk_is_told_and_leaves_the_file_whole(workdir: Path) -> None:
    """An operation that cannot be written is an error; those before it stay readable."""
    spool = Spool(file_of("full", process.identity()))
    first = operations.text("run", "a.txt", "first")
    spool.append(first, "http://host")
    before = spool.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(StorageError, match="finished trials are kept"):
            spool.append(operations.text("run", "b.txt", "second"), "http://host")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert spool.path.read_bytes() == before
    assert [operation for _, operation in Spool(spool.path).pending()] == [first]


def test_files_of_living_and_of_other_hosts_processes_are_left_alone(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who still runs sends its file itself; whether it does elsewhere only the user knows."""
    dead = f"{socket.gethostname()}/999999/0.00"
    parent = psutil.Process().parent()
    alive = f"{socket.gethostname()}/{parent.pid}/{parent.create_time():.2f}"
    for worker in (dead, alive, "elsewhere/1/0.00"):
        Spool(file_of("study", worker)).append(
            operations.end("run", "FINISHED"), "http://127.0.0.1:9"
        )
    assert [spool.worker for spool in sending.left_behind()] == [dead]
    both = {spool.worker for spool in sending.left_behind(everyones=True)}
    assert both == {dead, "elsewhere/1/0.00"}
    with pytest.raises(SystemExit):
        commands.sync([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert sum("still runs, and sends it itself" in line for line in lines) == 1
    assert sum("python -m popsearch sync all" in line for line in lines) == 1
    assert sum("does not take them (connection refused)" in line for line in lines) == 1


def test_tries_become_rarer(
    gateway: Gateway, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two tries of a server that stays away lie one second, then two, four, up to 30."""
    now = 0.0
    monkeypatch.setattr(outbox, "time", SimpleNamespace(monotonic=lambda: now))
    tracker = open_tracker(at_uri(gateway.address), "rarer")
    tracker.open_study(record("rarer"))
    gateway.set("down")
    gateway.heard.clear()
    tries = []
    tracker.start(0, {})
    for second in range(1, 150):
        now = float(second)
        gateway.heard.clear()
        tracker.start(second, {})
        if gateway.heard:
            tries.append(second)
    assert tries == [1, 3, 7, 15, 31, 61, 91, 121]


def test_a_metric_that_a_server_has_is_not_added(client: MlflowClient, workdir: Path) -> None:
    """What all of this rests on: the same batch again adds no row, also one with a NaN."""
    experiment = client.create_experiment("repeated")
    run_id = client.create_run(experiment).info.run_id
    metrics = [("a", 0.1, 1), ("a", 0.1, 2), ("b", math.nan, 1)]
    operation = operations.batch(run_id, metrics, {"p": "1"}, {"t": "x"})
    for _ in range(2):
        operations.carry_out(client, operation)
    assert [m.step for m in client.get_metric_history(run_id, "a")] == [1, 2]
    assert len(client.get_metric_history(run_id, "b")) == 1


def test_the_command_stands_alone_or_before_all(workdir: Path) -> None:
    """Another word is refused, and the help page names both forms."""
    with pytest.raises(ConfigError, match="but got 'al'; choose from: sync, sync all"):
        commands.sync(["al"])
    assert "\n  sync  " in usage.page([])
    assert "\n  sync all  " in usage.page([])
