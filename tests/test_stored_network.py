"""A search over networks, and the model of its winner where there is no popsearch."""

import json
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.models import Model
from sklearn.metrics import mean_squared_error

import fresh
from networks import BACKEND
from popsearch import command
from popsearch.config import Config
from popsearch.plan import Plan, prepare

NETWORKS = {  # what a study trains, with this scaler, so that each stores another kind of network
    "minmax": "depth: 2, width: 16, weight_decay: 1.0e-6, embedding: periodic",
    "quantile": "depth: 1, width: 16, weight_decay: 1.0e-6, batch_norm: true, dropout: 0.1",
}
RATES = (0.001, 0.002)
SEARCH = """
import json, sys
from popsearch.__main__ import main
for argv in json.loads(sys.argv.pop()):
    sys.argv[1:] = argv
    main()
"""
LOAD = """
import json, sys
import mlflow.pyfunc
import pandas as pd
told = {}
X = pd.read_parquet(sys.argv.pop())
for folder in sys.argv[1:]:
    try:
        model = mlflow.pyfunc.load_model(folder)
        rows = {"as they are": X, "other order": X[list(X)[::-1]], "one row": X[:1]}
        told[folder] = {name: model.predict(some).tolist() for name, some in rows.items()}
    except Exception as error:
        told[folder] = {"error": repr(error)}
import keras
assert "popsearch" not in sys.modules
told["backend"] = keras.config.backend()
print(json.dumps(told))
"""


def overrides(scaler: str) -> list[str]:
    """Give the command of a small study."""
    networks = ", ".join(f"{{{NETWORKS[scaler]}, learning_rate: {rate}}}" for rate in RATES)
    return [
        "model=mlp",
        f"model.backend={BACKEND}",
        "model.steps.budget=2",
        "model.population=2",
        "model.mean_of=2",
        f"model.scaler={scaler}",
        "~model.space.scaler",
        f"model.known_good=[{networks}]",
        "data.rows=600",
        "n_trials=2",
    ]


@dataclass(frozen=True)
class Study:
    """A finished study and the folder of its stored model."""

    plan: Plan
    result: dict[str, Any]
    model: Path


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a user does: a study for each scaler."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = fresh.start(SEARCH, json.dumps([overrides(scaler) for scaler in NETWORKS]))
    assert done.returncode == 0, done.stderr
    done.args = folder
    return done


@pytest.fixture(scope="module")
def studies(searched: "subprocess.CompletedProcess[str]") -> dict[str, Study]:
    """The studies by their scalers."""
    results = [json.loads(file.read_text()) for file in searched.args.rglob("result.json")]
    models = {Model.load(card).run_id: card.parent for card in searched.args.rglob("MLmodel")}
    found = {}
    for scaler in NETWORKS:
        (job,) = command.jobs(overrides(scaler))
        plan = prepare(Config(**job.sections))
        (result,) = (result for result in results if result["study"] == plan.study_name)
        found[scaler] = Study(plan, result, models[result["mlflow_run_id"]])
    return found


@pytest.fixture(scope="module")
def elsewhere(studies: dict[str, Study], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a process without popsearch predicts for the test rows' own columns."""
    file = tmp_path_factory.mktemp("elsewhere") / "rows.parquet"
    X, _ = studies["minmax"].plan.open_test()
    X.to_parquet(file)
    folders = [str(study.model) for study in studies.values()]
    done = fresh.start(fresh.WITHOUT_POPSEARCH + LOAD, *folders, str(file))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["backend"] == BACKEND
    return {name: told[str(study.model)] for name, study in studies.items()}


def test_a_search_says_nothing_but_its_own(searched: "subprocess.CompletedProcess[str]") -> None:
    """From start to stored model no library writes a line of its own to the terminal."""
    assert searched.stderr == ""
    assert searched.stdout.startswith("mlp on 600 synthetic tracks")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_model_predicts_where_popsearch_is_not(
    name: str, studies: dict[str, Study], elsewhere: dict[str, Any]
) -> None:
    """It takes the table's columns in any order and gives what the fitted pipeline gives."""
    found = elsewhere[name]
    assert "error" not in found, found["error"]
    plan, result = studies[name].plan, studies[name].result
    X, y = plan.open_test()
    expected = plan.refit(result["best_params"], result["best_resource"]).predict(X)
    assert expected.std() > 0.1  # it is no constant
    assert list(map(len, found.values())) == [len(X), len(X), 1]
    for rows, predictions in found.items():
        own, close = expected[: len(predictions)], 1e-5 * y.std()
        np.testing.assert_allclose(predictions, own, atol=close, rtol=0, err_msg=rows)
    mse = mean_squared_error(y, found["as they are"])
    assert mse == pytest.approx(result["test_mse"], rel=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_of_the_model_is_a_pickle(name: str, studies: dict[str, Study]) -> None:
    """No file of it is one, nor is any within its archives."""
    files = [path for path in studies[name].model.rglob("*") if path.is_file()]
    assert {".keras", ".skops", ".py"} <= {path.suffix for path in files}
    contents = {str(path): path.read_bytes() for path in files}
    for path in files:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                contents |= {f"{path}/{n}": archive.read(n) for n in archive.namelist()}
    assert not [file for file in contents if ".pkl" in file or ".pickle" in file]
    assert not [file for file, content in contents.items() if content[:1] == b"\x80"]


def test_the_model_says_what_it_needs(studies: dict[str, Study]) -> None:
    """Its requirements name Keras and the backend, its schema the table's columns."""
    study = studies["minmax"]
    needed = (study.model / "requirements.txt").read_text()
    names = {line.partition("==")[0] for line in needed.splitlines()}
    assert {"keras", BACKEND, "scikit-learn", "skops", "numpy", "pandas", "mlflow"} <= names
    assert not names & ({"popsearch", "tensorflow", "jax"} - {BACKEND})
    signature = Model.load(study.model).signature
    assert signature is not None
    assert signature.inputs.input_names() == study.plan.feature_names


def test_the_mean_of_the_best_is_scored_beside_the_winner(studies: dict[str, Study]) -> None:
    """Its test error is that of the mean of the refitted networks' predictions."""
    plan, result = studies["minmax"].plan, studies["minmax"].result
    X, y = plan.open_test()
    each = [{**result["best_params"], "learning_rate": rate} for rate in RATES]
    found = np.mean([plan.refit(params, 2).predict(X) for params in each], axis=0)
    assert result["ensemble_n"] == 2
    assert result["ensemble_mse"] == pytest.approx(mean_squared_error(y, found), rel=1e-5)
