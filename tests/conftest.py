"""What several test files need: an empty folder to work in, and a composed configuration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from popsearch import command
from popsearch.config import Config, parse


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with MLflow's own default store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def compose() -> Callable[..., Config]:
    """Give the function that turns overrides, as typed, into the configuration of one job."""

    def compose(*overrides: str) -> Config:
        (values,) = command.jobs(overrides)
        return parse(values)

    return compose
