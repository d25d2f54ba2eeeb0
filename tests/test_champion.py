"""The champion of a data set: when it changes, what is kept of it, and what is told."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from popsearch import champion
from popsearch.champion import Candidate, crown
from popsearch.config import MlflowTracking, NoTracking, ServerTracking
from popsearch.data.intake import Intake
from popsearch.finish import requirements
from popsearch.tracking import Registry, Version, model
from popsearch.tracking.client import connect
from programs import typed
from servers import free_port

FIRST = np.random.default_rng(0).normal(0, 5, 800).astype(np.float32)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """Two stored models, and the MLflow database that they are in."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        uri = f"sqlite:///{folder}/mlflow.db"
        client = connect(uri)
        run_id = client.create_run(client.create_experiment("t")).info.run_id
        X = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
        pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, [1.0, 2.0, 4.0])
        intake = Intake({"a": "numeric"}, {})
        stored = [
            model.log(uri, run_id, "model", pipeline, intake, X, requirements(), f"# card {i}")
            for i in range(2)
        ]
        yield uri, stored


@pytest.fixture
def data(request: pytest.FixtureRequest) -> str:
    """A data set of the test's own, which has no champion yet."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[-40:]


@pytest.fixture
def compete(
    addresses: tuple[str, list[str]], data: str, tmp_path: Path
) -> Callable[[Candidate], str]:
    """Give the function that lets a candidate compete."""
    tracking = MlflowTracking(name="mlflow", uri=addresses[0])
    return lambda candidate: crown(f"sqlite:///{tmp_path}/o.db", tracking, data, candidate)


def candidate(address: str, residuals: Any, **other: Any) -> Candidate:
    """Give one with these residuals."""
    own = None if residuals is None else np.asarray(residuals, dtype=np.float32)
    known = {
        "family": "ridge",
        "study": "t-ridge-1",
        "model": address,
        "test_digest": "rows",
        "test_mse": 99.0 if own is None else float(np.square(own.astype(float)).mean()),
        "mean_mse": 100.0,
        "residuals": lambda: own,
    }
    return Candidate(**{**known, **other})


def test_the_first_is_the_one_that_beats_the_mean(
    addresses: tuple[str, list[str]], compete: Any, data: str
) -> None:
    """A model no better than the mean predictor is none; one that is has card, tags, residuals."""
    uri, (first, _) = addresses
    registry = Registry(uri, data)
    told = compete(candidate(first, FIRST * 3))
    assert "no better than the mean predictor (100.00)" in told
    assert registry.champion() is None
    told = compete(candidate(first, FIRST))
    assert told == f"champion of popsearch-{data}: version 1 (ridge, test MSE 25.03), the first"
    version = registry.champion()
    assert version is not None
    assert version.model == first
    assert version.tags["popsearch.study"] == "t-ridge-1"
    np.testing.assert_array_equal(registry.residuals(version), FIRST)
    stored = connect(uri).get_model_version(registry.name, "1")
    assert stored.description == "# card 0"
    folder = Path(connect(uri).get_logged_model(first[8:]).artifact_location)
    assert (folder / "model_card.md").read_text() == "# card 0"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        mlflow.set_tracking_uri(uri)
        loaded = mlflow.pyfunc.load_model(f"models:/{registry.name}@champion")
    assert loaded.predict(pd.DataFrame({"a": ["1", "2"]})).shape == (2,)
    assert compete(candidate(first, FIRST)).endswith("(ridge, test MSE 25.03), as before")


def test_it_changes_where_another_is_better_beyond_noise(
    addresses: tuple[str, list[str]], compete: Any, data: str
) -> None:
    """A small gain is not enough, a clear one is; a worse one is told to be so."""
    uri, (first, second) = addresses
    noise = np.random.default_rng(1).normal(0, 2, len(FIRST))
    compete(candidate(first, FIRST))
    told = compete(candidate(second, FIRST * 0.999 + noise / 4))
    assert "stays version 1 (ridge, test MSE 25.03): this model (ridge" in told
    assert "is not better beyond noise (MSE " in told
    assert "MSE higher by 3.90, 95 %: 2." in compete(candidate(second, FIRST + noise))
    assert Registry(uri, data).champion().model == first  # type: ignore[union-attr]
    told = compete(candidate(second, FIRST * 0.9, family="gbr"))
    assert told.endswith(
        "version 2 (gbr, test MSE 20.28), before: version 1 (ridge, test MSE 25.03)"
    )
    assert Registry(uri, data).champion().model == second  # type: ignore[union-attr]


@settings(max_examples=25)
@given(st.floats(0.85, 1.15), st.floats(0.0, 3.0), st.integers(0, 99))
def test_noise_is_what_a_paired_bootstrap_says(factor: float, spread: float, seed: int) -> None:
    """The decision is SciPy's, but for gains at the very border of its interval."""
    rng = np.random.default_rng(seed)
    own = (FIRST * factor + rng.normal(0, spread, len(FIRST))).astype(np.float32)
    gains = np.square(FIRST.astype(float)) - np.square(own.astype(float))
    interval = stats.bootstrap(
        [gains], np.mean, method="percentile", n_resamples=2000, rng=1
    ).confidence_interval

    class Known(Registry):
        def __init__(self) -> None:
            pass

        def residuals(self, version: Version) -> Any:
            return FIRST

    old = Version(1, "models:/m-1", "", {"popsearch.test_digest": "rows"})
    moves = not champion._why_not(Known(), old, candidate("models:/m-2", own), own)
    if abs(interval.low) > 0.1 * (interval.high - interval.low):
        assert moves == (interval.low > 0)


def test_what_cannot_be_compared_changes_nothing(
    addresses: tuple[str, list[str]], compete: Any, data: str
) -> None:
    """Other test rows, or residuals that are not kept: told, with what chooses it by hand."""
    _, (first, second) = addresses
    compete(candidate(first, FIRST))
    for other, why in (
        (candidate(second, FIRST / 2, test_digest="others"), "was tested on other rows"),
        (candidate(second, None), "residuals of this model are not kept"),
        (candidate(second, FIRST[:9] / 2), "residuals of the champion are not kept"),
    ):
        told = compete(other)
        assert "stays version 1" in told
        assert why in told
        assert "python -m popsearch champion t-ridge-1" in told


def test_by_hand_it_is_whatever_is_chosen(
    addresses: tuple[str, list[str]], data: str, tmp_path: Path
) -> None:
    """Also a worse one, which its version says."""
    uri, (first, second) = addresses
    how = (f"sqlite:///{tmp_path}/o.db", MlflowTracking(name="mlflow", uri=uri), data)
    crown(*how, candidate(first, FIRST))
    crown(*how, candidate(second, FIRST * 2, test_digest="others"), by_hand=True)
    version = Registry(uri, data).champion()
    assert version is not None
    assert (version.number, version.tags["popsearch.by_hand"]) == (2, "true")


def test_a_kill_before_the_alias_leaves_one_version(
    addresses: tuple[str, list[str]], compete: Any, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command again finds the version that was made and makes it the champion."""
    uri, (first, _) = addresses

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "crown", die)
        with pytest.raises(KeyboardInterrupt):
            compete(candidate(first, FIRST))
    assert Registry(uri, data).champion() is None
    assert "version 1" in compete(candidate(first, FIRST))
    assert len(connect(uri).search_model_versions(f"name='popsearch-{data}'")) == 1


def test_studies_that_end_at_once_wait_for_one_another(
    addresses: tuple[str, list[str]], compete: Any, data: str
) -> None:
    """Of equal ones the first remains; the better one is the champion, whoever comes last."""
    uri, (first, second) = addresses
    each = [candidate(first, FIRST), candidate(second, FIRST * 0.5)] * 3
    with ThreadPoolExecutor(6) as threads:
        told = list(threads.map(compete, each))
    assert Registry(uri, data).champion().model == second  # type: ignore[union-attr]
    assert sum("the first" in line for line in told) == 1
    assert len(connect(uri).search_model_versions(f"name='popsearch-{data}'")) <= 2


def test_a_server_that_is_away_ends_nothing(tmp_path: Path) -> None:
    """One line says that it is open; without tracking nothing is said."""
    away = ServerTracking(name="server", uri=f"http://127.0.0.1:{free_port()}")
    where, one = f"sqlite:///{tmp_path}/o.db", candidate("models:/m-1", FIRST)
    assert "whether it is the champion is open: tracking.uri=" in crown(where, away, "t", one)
    assert crown(where, NoTracking(name="none"), "t", one) == ""


def test_every_study_ends_with_it(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told, in result.json, listed, and chosen by hand by the name of a study."""
    few = ("data.rows=800", "n_trials=1")
    assert typed("model=linear", *few) == 0
    out = capsys.readouterr().out
    assert "champion of popsearch-demo: version 1 (linear, test MSE " in out
    assert typed("model=decision_tree", "model.known_good=[{max_depth: 2}]", *few) == 0
    assert "stays version 1 (linear, test MSE " in capsys.readouterr().out
    results = [json.loads(file.read_text()) for file in sorted(workdir.rglob("result.json"))]
    assert [result["champion"].count("version 1") for result in results] == [1, 1]
    (tree,) = [r["study"] for r in results if r["model"] == "decision_tree"]
    assert typed("champion") == 0
    assert "linear" in capsys.readouterr().out.splitlines()[1]
    assert typed("champion", tree) == 0
    assert "version 2 (decision_tree" in capsys.readouterr().out
    version = Registry("sqlite:///mlflow.db", "demo").champion()
    assert version is not None
    description = (
        connect("sqlite:///mlflow.db").get_model_version("popsearch-demo", "2").description
    )
    for said in ("# decision_tree for popularity of demo", "800 synthetic tracks, seed 777",
                 "392 training, 168 validation, 240 test rows, split=holdout, seed 777",
                 "| mean predictor (test) | ", "| floor: no model can beat it (test) | ",
                 "1 complete, 0 pruned, 0 failed trials", "## Warnings", "| duration_sec | no |",
                 "models:/popsearch-demo@champion", "mlflow models serve",
                 "python -m popsearch model=decision_tree"):  # fmt: skip
        assert said in description
    assert typed("champion", "demo-nothing") == 2
    assert typed("champion", tree, "another") == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("popsearch: champion demo-nothing: there is no such study")
    assert len(told) == 2


def test_one_killed_before_is_crowned_by_the_same_command(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner was scored and stored already; it competes then."""
    from popsearch.run import run

    cfg = compose("model=linear", "data.rows=600", "n_trials=1")

    def die(*_: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(champion, "after_study", die)
        with pytest.raises(KeyboardInterrupt):
            run(cfg, workdir, "")
    assert "version 1 (linear" in run(cfg, workdir, "").champion
