"""Predictions for files of any size, and over HTTP: the same as the fitted pipeline's."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from popsearch import command
from popsearch.config import Config
from popsearch.data.files import arrowfile, csvfile
from popsearch.plan import prepare
from popsearch.tracking import LoadedModel
from programs import typed
from servers import free_port
from shops import SHOPS, shops

SEARCH = (*SHOPS, "model=hist_gbr", "n_trials=1", "model.steps.budget=40")
N_ROWS = 400
SHARED = Path(__file__).parents[2] / "shared" / "data" / "tracks.csv.gz"


@dataclass(frozen=True)
class Place:
    """A folder in which a study has ended, and what its winner predicts for the table's rows."""

    folder: Path
    study: str
    expected: np.ndarray


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, cache_folder: None) -> Place:
    """A study on shops, whose winner is the champion."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        shops(N_ROWS).to_csv("shops.csv", index=False)
        assert typed(*SEARCH) == 0
        (job,) = command.jobs(SEARCH)
        plan = prepare(Config(**job.sections))
        (file,) = folder.rglob("result.json")
        result = json.loads(file.read_text())
        assert "version 1" in result["champion"]
        winner = plan.refit(result["best_params"], result["best_resource"])
        return Place(folder, plan.study_name, winner.predict(plan.seen))


@pytest.fixture
def place(searched: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Be in that folder."""
    monkeypatch.chdir(searched.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return searched


def read(file: str = "shops.csv") -> pd.DataFrame:
    """Give the rows of a CSV, the table's own without another name."""
    return pd.read_csv(file, dtype={"zip": str})


def write(name: str) -> None:
    """Write the table as another kind of file, without the target."""
    rows = read().drop(columns="sales")
    text = rows.to_csv(index=False).encode()
    match name.partition(".")[2]:
        case "csv":
            Path(name).write_bytes(text)
        case "csv.gz":
            Path(name).write_bytes(gzip.compress(text))
        case "zip":
            with zipfile.ZipFile(name, "w") as archive:
                archive.writestr("rows.csv", text)
        case "parquet":
            rows.to_parquet(name)
        case "feather":
            pyarrow.feather.write_feather(pa.Table.from_pandas(rows), name)
        case "arrow":
            table = pa.Table.from_pandas(rows, preserve_index=False)
            with pa.OSFile(name, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("in.csv", "out.csv"),
        ("in.csv.gz", "out.parquet"),
        ("in.zip", "out.csv"),
        ("in.parquet", "out.parquet"),
        ("in.feather", "out.csv"),
        ("in.arrow", "out.parquet"),
    ],
)
def test_a_file_of_every_kind_is_predicted_in_parts(
    name: str,
    output: str,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Many parts give what the pipeline gives for all rows at once, in their order."""
    write(name)
    monkeypatch.setattr(csvfile, "_LARGE_BLOCK", 4096)
    monkeypatch.setattr(arrowfile, "BATCH", 64)
    parts: list[int] = []
    real = LoadedModel.predict

    def counted(self: LoadedModel, rows: pd.DataFrame) -> Any:
        parts.append(len(rows))
        return real(self, rows)

    monkeypatch.setattr(LoadedModel, "predict", counted)
    assert typed("predict", f"input={name}", f"output={output}", "keep=[code, zip]") == 0
    assert len(parts) >= 5
    assert sum(parts) == N_ROWS
    found = pd.read_parquet(output) if output == "out.parquet" else read(output)
    assert list(found) == ["code", "zip", "prediction"]
    np.testing.assert_allclose(found["prediction"], place.expected, rtol=1e-12)
    assert list(found["code"]) == list(read()["code"])
    assert list(found["zip"]) == list(read()["zip"])
    told = capsys.readouterr().out
    assert f"wrote {output}: 400 predictions of popsearch-shops version 1 in " in told


@pytest.mark.parametrize("word", ["STUDY", "popsearch-shops/1", "popsearch-shops@champion",
                                  "models:/popsearch-shops/1", "m-"])  # fmt: skip
def test_a_model_has_several_names(word: str, place: Place) -> None:
    """The study, a registered version or alias, and MLflow's own addresses."""
    write("in.csv")
    ids = [path.name for path in place.folder.glob("mlruns/1/models/m-*")]
    word = {"STUDY": place.study, "m-": ids[0]}.get(word, word)
    assert typed("predict", f"model={word}", "input=in.csv", "output=named.csv") == 0
    found = pd.read_csv("named.csv")
    np.testing.assert_allclose(found["prediction"], place.expected, rtol=1e-12)


def test_rows_may_lack_what_had_gaps_and_have_more(place: Place) -> None:
    """A column in which cells were missing may be absent as a whole; others are not looked at."""
    rows = read().drop(columns=["town", "sales"]).assign(more="x")
    rows.to_csv("fewer.csv", index=False)
    assert typed("predict", "input=fewer.csv", "output=fewer.parquet") == 0
    rows.assign(town=None).to_csv("empty.csv", index=False)
    assert typed("predict", "input=empty.csv", "output=empty.parquet") == 0
    assert pd.read_parquet("fewer.parquet").equals(pd.read_parquet("empty.parquet"))


MISTAKES: list[tuple[str, list[str]]] = [
    ("", ["input is required; give input=ROWS.csv", "output is required; give output=predictions"]),
    (
        "input=in.cvs output=out.xlsx keep=[prediction] modle=x",
        [
            "modle=x: must be one of model=",
            "keep: prediction is what",
            "input=in.cvs: there is no such file",
            "output=out.xlsx: must end in .csv or .parquet",
        ],
    ),
    ("input=in.csv output=no/o.csv", ["output=no/o.csv: must be a file in a folder that is there"]),
    ("input=in.csv output=in.csv", ["output=in.csv: must be another file than the input"]),
    (
        "input=in.csv output=o.csv model=shops-hist_gbt",
        ["model=shops-hist_gbt: must be champion, a registered NAME/VERSION, a study or"],
    ),
    ("input=in.csv output=o.csv data=shop", ["data=shop: has no champion; did you mean shops?"]),
    (
        "input=in.csv output=o.csv model=popsearch-shops",
        ["model=popsearch-shops: add a version or an alias, as in popsearch-shops@champion"],
    ),
    (
        "input=in.csv output=o.csv model=popsearch-shops/7",
        ["model=popsearch-shops/7: cannot be loaded from sqlite:///mlflow.db: "],
    ),
    (
        "input=in.csv output=o.csv tracking.uri=sqlite:///none.db",
        ["tracking.uri=sqlite:///none.db: must be a database of runs, but there is none yet"],
    ),
    ("input=lacks.csv output=o.csv", ["input=lacks.csv: column zip is missing"]),
    (
        "input=wrong.csv output=o.csv",
        ["input=wrong.csv: size must be a finite number or empty in every row, but row 300 has 'b"],
    ),
    ("input=short.csv output=o.csv", ["input=short.csv: must have a header line and rows"]),
    ("input=ragged.csv output=o.csv", ["input=ragged.csv: every row must have 8 fields"]),
    ("input=in.csv output=o.csv keep=[sales]", ["input=in.csv: column sales is missing"]),
]


@pytest.mark.parametrize(("words", "expected"), MISTAKES)
def test_a_mistake_is_told_and_writes_nothing(
    words: str,
    expected: list[str],
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All faults at once, exit code 2; a bad cell with its row, however many parts came before."""
    write("in.csv")
    rows = read().drop(columns="sales")
    rows.drop(columns="zip").to_csv("lacks.csv", index=False)
    rows["size"] = rows["size"].astype(object)
    rows.loc[299, "size"] = "big"
    rows.to_csv("wrong.csv", index=False)
    rows[:0].to_csv("short.csv", index=False)
    Path("ragged.csv").write_text(Path("in.csv").read_text() + "1,2\n")
    monkeypatch.setattr(csvfile, "_LARGE_BLOCK", 4096)
    before = sorted(path.name for path in place.folder.iterdir())
    capsys.readouterr()
    assert typed("predict", *words.split()) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == len(expected)
    for line, said in zip(told, expected, strict=True):
        assert line.startswith(f"popsearch: {said}")
    assert sorted(path.name for path in place.folder.iterdir()) == before


def test_where_there_is_no_champion_it_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and what to do; several champions are told apart by data=."""
    from popsearch.tracking import served

    write("in.csv")
    version = served.champions("sqlite:///mlflow.db")["shops"]
    argv = ("predict", "input=in.csv", "output=several.csv")
    for found, said in (
        ({}, "model=champion: there is no champion yet in sqlite:///mlflow.db; search first"),
        ({"a": version, "b": version}, "there are several; say which: data=a or data=b"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(served, "champions", lambda uri, found=found: found)
            capsys.readouterr()
            assert typed(*argv) == 2
            assert said in capsys.readouterr().err


def test_the_module_is_the_same_command(place: Place) -> None:
    """Started as python -m popsearch.predict; a bar is only for terminals."""
    write("in.csv")
    done = subprocess.run(
        [sys.executable, "-m", "popsearch.predict", "input=in.csv", "output=module.parquet"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("wrote module.parquet: 400 predictions of popsearch-shops")
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
    np.testing.assert_allclose(
        pd.read_parquet("module.parquet")["prediction"], place.expected, rtol=1e-12
    )


# ---- over HTTP ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(searched: Place) -> Iterator[str]:
    """Where `mlflow models serve` answers for the champion."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["--model-uri", "models:/popsearch-shops@champion", "--port", str(port)]
    with (searched.folder / "serve.log").open("w") as log:
        served = subprocess.Popen(
            command, cwd=searched.folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(900):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
            except OSError:
                time.sleep(0.1)
            else:
                break
        else:
            raise AssertionError((searched.folder / "serve.log").read_text())
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(served.pid, signal.SIGTERM)
        served.wait(timeout=30)


def ask(address: str, content: dict[str, Any]) -> Any:
    """Post rows and give what is answered."""
    request = urllib.request.Request(
        address, json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    return json.loads(urllib.request.urlopen(request, timeout=60).read())


def test_it_is_served_over_http(place: Place, address: str) -> None:
    """Raw rows with gaps, as a table or as records, are predicted as by the pipeline."""
    rows = shops(N_ROWS).head(40)
    rows = rows.astype(object).where(rows.notna(), None)
    split = {"columns": list(rows), "data": rows.to_numpy().tolist()}
    for content in ({"dataframe_split": split}, {"dataframe_records": rows.to_dict("records")}):
        found = ask(address, content)["predictions"]
        np.testing.assert_allclose(found, place.expected[:40], rtol=1e-12)
    one = {name: value for name, value in rows.iloc[0].items() if value is not None}
    (found,) = ask(address, {"dataframe_records": [one]})["predictions"]
    assert found == pytest.approx(place.expected[0], rel=1e-12)
    new = {"zip": "00000", "town": "Nowhere", "kind": None, "size": 12, "opened": "2030-01-31"}
    (found,) = ask(address, {"dataframe_records": [new]})["predictions"]
    assert np.isfinite(found)


def test_over_http_a_mistake_is_a_bad_request(address: str) -> None:
    """With what must hold, as in a file."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(address, {"dataframe_records": [{"zip": "1", "size": "wide"}]})
    assert caught.value.code == 400
    told = json.loads(caught.value.read())["message"]
    assert "size must be a finite number or empty in every row, but row 1 has 'wide'" in told
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(address, {"dataframe_records": [{"size": 1}]})
    assert caught.value.code == 400


@pytest.mark.skipif(not SHARED.exists(), reason=f"needs the shared tracks at {SHARED}")
def test_a_model_of_tracks_predicts_the_kaggle_file(workdir: Path) -> None:
    """Its own columns, straight from the file: dates as text, several artists to a cell."""
    pd.read_csv(SHARED, nrows=1500).to_csv("tracks.csv", index=False)
    source = ("data=tracks", "data.path=tracks.csv", "features=catalogue")
    search = (*source, "model=ridge", "n_trials=1")
    assert typed(*search) == 0
    assert typed("predict", "input=tracks.csv", "output=out.parquet", "keep=[id,name]") == 0
    (job,) = command.jobs(search)
    plan = prepare(Config(**job.sections))
    (file,) = workdir.rglob("result.json")
    result = json.loads(file.read_text())
    winner = plan.refit(result["best_params"], result["best_resource"])
    found = pd.read_parquet("out.parquet")
    np.testing.assert_allclose(found["prediction"], winner.predict(plan.seen), rtol=1e-9)
    assert list(found) == ["id", "name", "prediction"]
