"""A study as a file: python -m popsearch export, compared with Optuna's own table."""

import io
from collections.abc import Iterator
from pathlib import Path

import optuna
import pandas as pd
import pytest

from popsearch import export
from programs import typed

SEARCH = ["model=gbr", "data.rows=400", "tracking=none", "model.steps.budget=20"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache_folder: None) -> Iterator[Path]:
    """A folder with one study."""
    place = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert typed(*SEARCH, "n_trials=6") == 0
        yield place


@pytest.fixture
def study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    """Be in that folder; the study as Optuna reads it."""
    monkeypatch.chdir(folder)
    storage = f"sqlite:///{folder}/optuna.db"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_table_is_optunas(study: optuna.Study, tmp_path: Path, ending: str) -> None:
    """Numbers, parameters, values and times are those of ``trials_dataframe``, to the last bit."""
    file = tmp_path / f"trials.{ending}"
    assert typed("export", study.study_name, f"output={file}") == 0
    found = pd.read_parquet(file) if ending == "parquet" else pd.read_csv(file)
    expected = study.trials_dataframe()
    assert found["number"].tolist() == expected["number"].tolist()
    assert found["state"].str.upper().tolist() == expected["state"].tolist()
    params = [name for name in expected if name.startswith("params_")]
    assert [name for name in found if name.startswith("params_")] == params
    for name in params:
        pd.testing.assert_series_equal(found[name], expected[name], check_dtype=False, rtol=0)
    complete = expected["state"] == "COMPLETE"
    assert 0 < complete.sum() < 6
    assert found["val_mse"][complete].tolist() == expected["value"][complete].tolist()
    for own, theirs in (("began", "datetime_start"), ("ended", "datetime_complete")):
        assert pd.to_datetime(found[own]).tolist() == expected[theirs].tolist()
    seconds = expected["duration"].dt.total_seconds()
    assert found["duration_s"].tolist() == pytest.approx(seconds.tolist())
    assert found["worker"].tolist() == [t.user_attrs["worker"] for t in study.trials]
    reasons = [t.user_attrs.get("reason") or None for t in study.trials]
    assert [None if pd.isna(each) else each for each in found["reason"]] == reasons


def test_curves_are_the_intermediate_values(study: optuna.Study, tmp_path: Path) -> None:
    """One row for each step that a trial reported."""
    file = tmp_path / "curves.parquet"
    assert typed("export", *SEARCH, f"curves={file}") == 0  # the study of this search
    found = pd.read_parquet(file)
    expected = [
        (trial.number, step, value)
        for trial in study.trials
        for step, value in sorted(trial.intermediate_values.items())
    ]
    assert len(expected) > 20
    assert [*found.itertuples(index=False, name=None)] == expected


def test_without_a_file_it_is_csv_on_standard_output(
    study: optuna.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing else, whatever is printed beside it otherwise."""
    capsys.readouterr()
    assert typed("export", study.study_name) == 0
    assert len(pd.read_csv(io.StringIO(capsys.readouterr().out))) == 6


def test_parameters_of_several_types_are_json() -> None:
    """A column of a file has one type; whole numbers stay whole where some are missing."""
    mixed = export._plain([1, "a", None, [2, 3]])
    assert mixed.to_pylist() == ["1", '"a"', None, "[2, 3]"]
    assert export._plain([3, None]).to_pylist() == [3, None]
    assert export._plain([3, 0.5]).to_pylist() == [3.0, 0.5]
    assert export._plain([True, False]).to_pylist() == [True, False]


def test_faults_are_told_at_once(
    study: optuna.Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No such study, no such folder, another ending: exit code 2, and no file."""
    before = sorted(Path.cwd().iterdir())
    assert typed("export", "a", "b", "output=t.xlsx", f"curves={tmp_path}/no/c.csv") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "output=t.xlsx: must end in .csv or .parquet" in lines[0]
    assert "must be a file in a folder that is there" in lines[1]
    assert "one study" in lines[2]
    assert typed("export", f"{study.study_name}x") == 2
    assert f"did you mean {study.study_name}?" in capsys.readouterr().err
    assert typed("export") == 2
    assert study.study_name in capsys.readouterr().err
    assert sorted(Path.cwd().iterdir()) == before


def test_there_is_no_study_yet(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder stays empty."""
    assert typed("export", "demo-gbr-1") == 2
    assert "there is none yet" in capsys.readouterr().err
    assert not list(workdir.iterdir())
