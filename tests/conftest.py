"""What several test files need: an empty folder, a composed configuration, a command's faults."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from popsearch import __main__, command
from popsearch.config import Config
from popsearch.errors import ConfigError

# Tests run in several processes. Threads that wait for work must not keep the others from it; read
# when a library with OpenMP is loaded, which is not yet.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Nor are pictures drawn, here and in programs that tests start, but in tests of them.
os.environ.setdefault("POPSEARCH_REPORT", "false")

# How long an example takes says more about the machine than about the code.
settings.register_profile("popsearch", deadline=None)
settings.load_profile("popsearch")


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with MLflow's own default store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep parsed tables of the tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POPSEARCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def compose() -> Callable[..., Config]:
    """Give the function that turns overrides, as typed, into the configuration of one job."""

    def compose(*overrides: str) -> Config:
        (job,) = command.jobs(overrides)
        assert not job.faults, job.faults
        return Config(**job.sections)

    return compose


@pytest.fixture
def faults_of(workdir: Path) -> Callable[..., list[str]]:
    """Give the function that tells what is wrong with a command, as typed in an empty folder."""

    def faults_of(*argv: str) -> list[str]:
        try:
            __main__.check(list(argv))
        except ConfigError as error:
            return list(error.faults)
        return []

    return faults_of
