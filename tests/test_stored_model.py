"""The stored model of every family: no pickle, no popsearch needed, takes the user's own rows."""

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model

import fresh
from networks import BACKEND
from popsearch import command
from popsearch.blend import Blend
from popsearch.config import Config
from popsearch.finish import requirements
from popsearch.plan import Plan, build
from popsearch.tracking import carried, model
from popsearch.usage import CONF
from shops import SHOPS, shops

FAMILIES = sorted(file.stem for file in (CONF / "model").glob("*.yaml"))
WEIGHTS = (0.5, 0.3, 0.2)
LOAD = """
import json, sys
import mlflow.pyfunc
import pandas as pd
told = {}
rows = json.loads(open(sys.argv.pop()).read())
for folder in sys.argv[1:]:
    model = mlflow.pyfunc.load_model(folder)
    frame = pd.DataFrame(rows["tracks" if "id_artists" in
                              model.metadata.signature.inputs.input_names() else "shops"])
    told[folder] = {"all": model.predict(frame).tolist(),
                    "other order": model.predict(frame[list(frame)[::-1]]).tolist(),
                    "one by one": [model.predict(frame[i : i + 1])[0] for i in range(4)]}
assert "popsearch" not in sys.modules
print(json.dumps(told))
"""


def plan_of(*overrides: str) -> Plan:
    """Give the plan of a command."""
    (job,) = command.jobs(overrides)
    return build(Config(**job.sections))


def fitted(plan: Plan) -> Any:
    """Give a small refitted pipeline."""
    params = dict(plan.space.known_good[0]) if plan.space.known_good else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plan.refit(params, 3)


@dataclass(frozen=True)
class Stored:
    """A fitted model, its files as they were stored, and what it predicts for the table's rows."""

    folder: Path
    files: list[Path]
    plan: Plan
    expected: np.ndarray


def artists(n_rows: int) -> pd.DataFrame:
    """Give tracks with the columns of the Kaggle table."""
    from test_tracks import HEADER, good

    rows = [row for _ in range(-(-n_rows // 12)) for row in good()][:n_rows]
    frame = pd.DataFrame(rows, columns=HEADER)
    rng = np.random.default_rng(1)
    frame["popularity"] = rng.integers(0, 100, n_rows)
    frame["id_artists"] = [f"['a{i % 7}', 'b{i % 5}']" if i % 6 else None for i in range(n_rows)]
    frame["tempo"] = rng.random(n_rows) * 100
    return frame


@pytest.fixture(scope="module")
def stored(
    tmp_path_factory: pytest.TempPathFactory, cache_folder: None
) -> Iterator[dict[str, Stored]]:
    """Every family fitted on shops, three of them as a blend, and one fitted on tracks."""
    folder = tmp_path_factory.mktemp("stored")
    found: dict[str, Stored] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shops(400).to_csv("shops.csv", index=False)
        artists(120).to_csv("tracks.csv", index=False)
        uri = f"sqlite:///{folder}/mlflow.db"
        client = model_client(uri)
        run_id = client.create_run(client.create_experiment("shops")).info.run_id
        plans = {family: plan_of(*SHOPS, f"model={family}", *own(family)) for family in FAMILIES}
        plans["tracks"] = plan_of(
            "model=hist_gbr", "data=tracks", "data.path=tracks.csv", "features=catalogue"
        )
        pipelines: dict[str, Any] = {name: fitted(plan) for name, plan in plans.items()}
        pipelines["blend"] = Blend([pipelines[n] for n in ("mlp", "gbr", "ridge")], WEIGHTS)
        plans["blend"] = plans["ridge"]
        for name, pipeline in pipelines.items():
            plan = plans[name]
            needed = requirements(plan.machine.packages)
            address = model.log(uri, run_id, name, pipeline, plan.intake, plan.example, needed)
            path = Path(client.get_logged_model(address.rpartition("/")[2]).artifact_location)
            files = [file for file in path.rglob("*") if file.is_file()]
            found[name] = Stored(path, files, plan, pipeline.predict(plan.seen))
        yield found


def own(family: str) -> list[str]:
    """Give what makes a family quick here."""
    return [f"model.backend={BACKEND}"] if family == "mlp" else []


def model_client(uri: str) -> mlflow.MlflowClient:
    """Give a client as popsearch does, which MLflow tells nobody of."""
    from popsearch.tracking.client import connect

    return connect(uri)


def raw(name: str) -> pd.DataFrame:
    """Give the rows of the table as a user has them: read from JSON, with all their gaps."""
    frame = artists(120) if name == "tracks" else shops(400)
    found: pd.DataFrame = frame.astype(object).where(frame.notna(), None)
    return found


@pytest.fixture(scope="module")
def elsewhere(stored: dict[str, Stored], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one process in which popsearch cannot be imported predicts with each of them."""
    file = tmp_path_factory.mktemp("elsewhere") / "rows.json"
    rows = {name: raw(name).to_dict("records") for name in ("shops", "tracks")}
    file.write_text(json.dumps(rows, default=float))
    folders = {name: str(each.folder) for name, each in stored.items()}
    done = fresh.start(fresh.WITHOUT_POPSEARCH + LOAD, *folders.values(), str(file))
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    return {name: told[folder] for name, folder in folders.items()}


@pytest.mark.parametrize("name", [*FAMILIES, "blend", "tracks"])
def test_it_predicts_the_users_rows_where_popsearch_is_not(
    name: str, stored: dict[str, Stored], elsewhere: Any
) -> None:
    """From JSON, columns in any order, one row or all: what the fitted pipeline gives."""
    expected, found = stored[name].expected, elsewhere[name]
    assert expected.std() > 0.1  # it is no constant
    close = {"rtol": 0, "atol": 1e-5 * expected.std()}
    if name not in ("mlp", "blend", "xgboost"):  # these calculate in float32
        close = {"rtol": 1e-12, "atol": 0}
    np.testing.assert_allclose(found["all"], expected, **close)
    np.testing.assert_allclose(found["other order"], expected, **close)
    np.testing.assert_allclose(found["one by one"], expected[:4], **close)


@pytest.mark.parametrize("name", [*FAMILIES, "blend", "tracks"])
def test_nothing_of_it_is_a_pickle(name: str, stored: dict[str, Stored]) -> None:
    """No file of it is one, nor is any within its archives; boosters and networks are native."""
    files = stored[name].files
    suffixes = {path.suffix for path in files}
    assert not suffixes & {".pkl", ".pickle", ".pyc"}
    native = {"mlp": ".keras", "lightgbm": ".txt", "xgboost": ".ubj", "catboost": ".cbm"}
    assert native.get(name, ".skops") in suffixes
    contents = {str(path): path.read_bytes() for path in files}
    for path in files:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                contents |= {f"{path}/{n}": archive.read(n) for n in archive.namelist()}
    assert not [file for file, content in contents.items() if content[:1] == b"\x80"]


def test_a_blend_is_the_weighted_mean(stored: dict[str, Stored]) -> None:
    """Its predictions are those of its members, by their weights."""
    each = [stored[name].expected for name in ("mlp", "gbr", "ridge")]
    expected = sum(weight * own for weight, own in zip(WEIGHTS, each, strict=True))
    np.testing.assert_allclose(stored["blend"].expected, expected, rtol=1e-12)


def test_it_says_what_it_needs(stored: dict[str, Stored]) -> None:
    """Its schema has the user's own columns, its requirements versions, its example real rows."""
    folder = stored["lightgbm"].folder
    needed = (folder / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in needed)
    names = {line.partition("==")[0] for line in needed}
    assert {"lightgbm", "scikit-learn", "skops", "numpy", "pandas", "mlflow"} <= names
    assert "popsearch" not in names
    signature = Model.load(folder).signature
    assert signature is not None
    required = {spec.name for spec in signature.inputs.inputs if spec.required}
    assert set(signature.inputs.input_names()) == set(shops(9)) - {"code", "sales"}
    assert required == {"zip"}  # the others had gaps
    example = json.loads((folder / "input_example.json").read_text())
    first = shops(400).head(5)[example["columns"]]
    shown = pd.DataFrame(example["data"], columns=example["columns"])
    assert shown.fillna("-").map(str).equals(first.fillna("-").map(lambda v: str(v)))


def load(stored: Stored) -> Any:
    """Load a model in this process, which knows popsearch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.path", [*__import__("sys").path])
        return mlflow.pyfunc.load_model(str(stored.folder))


def test_rows_may_be_of_any_types(stored: dict[str, Stored]) -> None:
    """Whole numbers, text, truth values, times and unseen categories are read; gaps are gaps."""
    each = stored["hist_gbr"]
    found = load(each)
    as_text = raw("shops").head(3).map(lambda value: None if value is None else str(value))
    np.testing.assert_allclose(found.predict(as_text), each.expected[:3], rtol=1e-12)
    typed = raw("shops").head(3)
    typed["open"] = [None if value is None else value == "yes" for value in typed["open"]]
    typed["opened"] = pd.to_datetime(typed["opened"], format="%d/%m/%Y")
    typed["zip"] = ["2", "5", "1"]
    np.testing.assert_allclose(found.predict(typed.assign(zip=raw("shops")["zip"][:3])),
                               each.expected[:3], rtol=1e-12)  # fmt: skip
    nothing = pd.DataFrame([dict.fromkeys(typed)])
    unseen = typed.assign(town="nowhere", kind="new", zip="99999")
    assert np.isfinite(found.predict(pd.concat([nothing, unseen]))).all()
    assert found.predict(typed[["zip"]]).shape == (3,)  # the others may be missing
    assert len(found.predict(typed[:0])) == 0


def test_what_cannot_be_read_is_told(stored: dict[str, Stored]) -> None:
    """All faults at once, each with its row."""
    rows = raw("shops").head(3).assign(size=["1", "wide", "3"], opened=["2001-01-01", "x", None])
    with pytest.raises(MlflowException) as caught:
        load(stored["ridge"]).predict(rows)
    size, opened = str(caught.value).splitlines()
    assert "size must be a finite number or empty in every row, but row 2 has 'wide'" in size
    assert "opened must be a date in every row, but row 2 has 'x'" in opened


def test_the_day_comes_first_as_in_training(stored: dict[str, Stored]) -> None:
    """One row whose date could be read either way is read as the whole column was."""
    columns = stored["ridge"].plan.intake.columns(
        pd.DataFrame({"zip": ["1"], "opened": ["03/04/2010"]}), "here"
    )
    assert columns["opened"][0] == pd.Timestamp("2010-04-03")


def test_models_of_two_versions_live_in_one_process(stored: dict[str, Stored]) -> None:
    """The code that a model takes along is named by its content, apart from popsearch's own."""
    about = json.loads((stored["gbr"].folder / "artifacts/members/members.json").read_text())
    assert about["package"] == carried.Carried().name
    assert about["package"].startswith("popsearch_")
    (code,) = (stored["gbr"].folder / "code").iterdir()
    assert code.name == about["package"]
    for file in code.rglob("*.py"):
        assert "from popsearch." not in file.read_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carried.Carried, "_text", lambda self, file: f"# {file}\n")
        assert carried.Carried().name != about["package"]


def test_one_that_knows_labels_of_several_artists(stored: dict[str, Stored]) -> None:
    """A model of tracks takes the Kaggle table's columns and makes those that it was trained on."""
    each = stored["tracks"]
    names = Model.load(each.folder).signature.inputs.input_names()
    assert {"id_artists", "release_date", "duration_ms", "name"} <= set(names)
    assert not {"year", "duration_sec", "artist_ids"} & set(names)
    made = each.plan.intake.columns(raw("tracks"), "here")
    pd.testing.assert_frame_equal(made, each.plan.seen.reset_index(drop=True), check_dtype=False)
    rows: Callable[[], pd.DataFrame] = lambda: raw("tracks").head(2)  # noqa: E731
    listed = rows().assign(id_artists=[["a1", "b1"], []])
    quoted = rows().assign(id_artists=["['a1', 'b1']", None])
    np.testing.assert_array_equal(load(each).predict(listed), load(each).predict(quoted))
