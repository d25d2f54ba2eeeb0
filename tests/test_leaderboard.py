"""The leaderboard: who is on it, in which order, with which rank, and where it is shown."""

import datetime
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from rich.console import Console
from scipy import stats

from popsearch.leaderboard import shown, standings
from popsearch.leaderboard.standings import Row
from popsearch.study import StoredTrial
from popsearch.tracking import StoredBoards
from programs import typed

SWEEP = ("-m", "model=ridge,decision_tree", "data.rows=600", "n_trials=3")
ABOUT = {"data": "demo", "rows": "few", "features": "all", "split": "holdout",
         "data_fingerprint": "a", "features_digest": "b", "split_digest": "c"}  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cache_folder: None) -> Iterator[Path]:
    """A folder with a sweep of two families."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert typed(*SWEEP) == 0
        yield folder


@pytest.fixture
def place(swept: Path, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    """Be in that folder; a client of its runs."""
    monkeypatch.chdir(swept)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return mlflow.MlflowClient(f"sqlite:///{swept}/mlflow.db")


def boards(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """Give what the command writes as JSON."""
    capsys.readouterr()
    assert typed("leaderboard", "format=json", *words) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def pages(client: mlflow.MlflowClient) -> list[Any]:
    """Give the runs that show a leaderboard."""
    return list(client.search_runs(["1"], "tags.`popsearch.kind` = 'leaderboard'"))


# ---- order and ranks ----------------------------------------------------------------------------


def row(study: str, test_mse: float | None, val_mse: float | None = 1.0) -> Row:
    """Give a row of which little is known."""
    fields = dict.fromkeys(Row.__dataclass_fields__)
    known = {"study": study, "family": study, "test_mse": test_mse, "val_mse": val_mse}
    return Row(**{**fields, **known, "n_openings": 1, "champion": False})  # type: ignore[arg-type]


def ranks(errors: dict[str, np.ndarray]) -> dict[str, int | None]:
    """Give the rank of each study, by its residuals."""
    rows = [row(name, float(np.square(own).mean())) for name, own in errors.items()]
    made = standings.board(ABOUT, [], rows, lambda each: errors[each.study])
    return {each.study: each.rank for each in made.rows}


def test_noise_makes_no_ranks() -> None:
    """Each row is compared with the first of its rank: 1, 1, 3 where only that one differs."""
    rng = np.random.default_rng(0)
    first = rng.normal(0, 5, 2000)
    steps = {name: first * factor + rng.normal(0, 0.5, 2000)
             for name, factor in (("a", 1.0), ("b", 1.002), ("c", 1.02), ("d", 1.5))}  # fmt: skip
    found = ranks(steps)
    assert found == {"a": 1, "b": 1, "c": 3, "d": 4}
    for name, alike in (("b", True), ("c", False), ("d", False)):
        differences = np.square(steps[name]) - np.square(steps["a"])
        low, high = stats.bootstrap(
            [differences], np.mean, method="percentile", rng=1
        ).confidence_interval
        assert (low <= 0 <= high) == alike


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0.5, 2)), min_size=1, max_size=6))
def test_ranks_are_those_of_a_race(studies: list[tuple[int, float]]) -> None:
    """Best first; a rank is the place of its first row, and those who share it stand together."""
    errors = {
        str(i): np.random.default_rng(seed).normal(0, scale, 200).astype(np.float32)
        for i, (seed, scale) in enumerate(studies)
    }
    found = ranks(errors)
    mses = [np.square(errors[name].astype(float)).mean() for name in found]
    assert mses == sorted(mses)
    for place, rank in enumerate(found.values(), start=1):
        assert rank is not None
        assert rank == place or rank == [*found.values()][place - 2]


def test_who_was_not_tested_stands_last_without_a_rank() -> None:
    """By validation among themselves; a study without any complete trial after them."""
    rows = [row("none", None, None), row("b", None, 2.0), row("a", None, 1.0), row("best", 9.0)]
    made = standings.board(ABOUT, [{}, {"mean_mse": 7.0}], rows, lambda each: np.ones(3))
    assert [(each.study, each.rank) for each in made.rows] == [
        ("best", 1), ("a", None), ("b", None), ("none", None)
    ]  # fmt: skip
    assert made.mean_mse == 7.0


def test_without_residuals_no_rank_is_shared() -> None:
    """Such a study has the rank of its place, and is named; the next starts a rank of its own."""
    errors = np.random.default_rng(0).normal(size=100)
    kept = {"a": errors, "b": None, "c": errors}
    rows = [row("a", 1.0), row("b", 1.0001), row("c", 1.0002)]
    made = standings.board(ABOUT, [], rows, lambda each: kept[each.study])
    assert [each.rank for each in made.rows] == [1, 2, 3]
    assert list(made.unpaired) == ["b"]


def test_time_is_that_in_which_trials_ran() -> None:
    """Side by side it counts once; breaks, trials given back and such without an end do not."""
    noon = datetime.datetime(2026, 1, 1, 12)

    def trial(number: int, began: int, ended: int | None, state: str = "complete") -> StoredTrial:
        at = [None if s is None else noon + datetime.timedelta(seconds=s) for s in (began, ended)]
        return StoredTrial(number, state, {}, {"val_mse": 9.0 - number}, {}, "", None, None, *at)

    trials = [trial(0, 0, 10), trial(1, 5, 12), trial(2, 6, 8, "pruned"), trial(3, 100, 103),
              trial(4, 20, 90, "given back"), trial(5, 104, None, "running")]  # fmt: skip
    notes = {"about": {**ABOUT, "family": "gbr"}, "test": {"trials": [1], "refit_s": 4.0}}
    found = standings.row("demo-gbr-0", notes, trials)
    assert found.time_s == 12 + 3 + 4
    assert (found.n_complete, found.n_pruned, found.n_failed) == (3, 1, 0)
    assert (found.trial, found.val_mse) == (1, 8.0)  # the one that was tested


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_narrow_terminal_loses_columns_not_figures(width: int) -> None:
    """No line is folded and no figure cut; what says least is left out first."""
    full = {"rank": 1, "val_mae": 7.387, "val_r2": 0.255, "test_mse_low": 85.99, "test_mae": 7.373,
            "test_mse_high": 88.64, "test_r2": 0.259, "n_complete": 2, "n_pruned": 8, "n_failed": 0,
            "time_s": 75.0, "predict_million_s": 4.9}  # fmt: skip
    rows = [replace(row(name, 87.33, 87.73), **full) for name in ("decision_tree", "gbr")]
    console = Console(width=width, file=io.StringIO(), record=True)
    shown.show(console, [standings.Board(ABOUT, None, None, rows)])
    _, head, *lines = console.export_text().splitlines()
    assert len(head) <= width
    for line in lines[:2]:
        for figure in ("87.33", "85.99 to 88.64"):
            assert figure in line
    assert ("val R²" in head) == (width == 200)
    assert ("time" in head) == (width >= 100)
    assert "…" not in head + "".join(lines)


# ---- from the command line ----------------------------------------------------------------------


def test_it_holds_what_the_studies_came_to(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores are those of each study's result.json; the better family stands first."""
    (board,) = boards(capsys)
    results = [json.loads(file.read_text()) for file in Path.cwd().rglob("result.json")]
    results.sort(key=lambda result: result["test_mse"])
    assert [r["family"] for r in board["rows"]] == [r["model"] for r in results]
    for found, result in zip(board["rows"], results, strict=True):
        same = ("study", "val_mse", "val_mae", "test_mse", "test_mse_low", "test_mse_high",
                "test_mae", "test_r2", "predict_million_s")  # fmt: skip
        assert {name: found[name] for name in same} == {name: result[name] for name in same}
        counts = {state: found[f"n_{state}"] for state in ("complete", "pruned", "failed")}
        assert counts == result["n_trials"]
        assert found["n_openings"] == 1
        assert found["time_s"] > 0
    assert board["mean_mse"] == results[0]["mean_mse"]
    assert board["floor_mse"] == results[0]["floor_mse"]


def test_all_formats_hold_the_same(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV and Markdown are read by others as the JSON says; a file's name says its format."""
    (board,) = boards(capsys)
    assert typed("leaderboard", "demo", "output=board.csv") == 0
    assert capsys.readouterr().out == "wrote board.csv\n"
    frame = pd.read_csv("board.csv")
    assert frame["study"].tolist() == [r["study"] for r in board["rows"]]
    np.testing.assert_allclose(frame["test_mse"], [r["test_mse"] for r in board["rows"]])
    assert typed("leaderboard", "format=markdown") == 0
    lines = [li for li in capsys.readouterr().out.splitlines() if li.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    table = pd.DataFrame(cells[2:], columns=cells[0])
    assert table["family"].tolist() == [r["family"] for r in board["rows"]]
    assert table["test MSE"].tolist() == [f"{r['test_mse']:.2f}" for r in board["rows"]]
    assert typed("leaderboard") == 0
    shown = capsys.readouterr().out
    head = next(line for line in shown.splitlines() if line.startswith("rank"))
    for name in ("val R²", "95 %", "test MAE", "trials", "time", "s/1M"):
        assert name in head
    Path("board.csv").unlink()


def test_the_module_is_the_same_command(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Started as python -m popsearch.leaderboard, in a process of its own."""
    expected = boards(capsys, "tracking=none")
    done = subprocess.run(
        [sys.executable, "-m", "popsearch.leaderboard", "format=json", "tracking=none"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == expected


def test_other_rows_or_features_are_another_board(
    place: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each by itself; a search's settings choose the board that it would be on."""
    others = ["split.seed=1", "data.rows=601", "features.columns=[year,tempo]", "split=time"]
    size = ["model=linear", "n_trials=1", "tracking=none", "storage.url=sqlite:///others.db"]
    for other in others:
        rows = [] if other.startswith("data.rows") else ["data.rows=600"]
        assert typed(*size, other, *rows) == 0
    found = boards(capsys, *size[2:])
    assert [len(board["rows"]) for board in found] == [1, 1, 1, 1]
    (chosen,) = boards(capsys, *size[2:], "data.rows=600", "split.seed=1")
    assert chosen in found
    assert typed("leaderboard", *size[2:], "data.rows=600") == 2
    assert "no study yet on these data, features and split" in capsys.readouterr().err


def test_residuals_come_from_the_run_where_none_are_kept_here(
    place: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path
) -> None:
    """Another computer gives the same ranks; without the runs the studies are named."""
    expected = boards(capsys)
    monkeypatch.setenv("POPSEARCH_CACHE_DIR", str(tmp_path))
    assert boards(capsys) == expected
    (alone,) = boards(capsys, "tracking=none")
    assert alone["unpaired"] == [r["study"] for r in expected[0]["rows"]]
    assert [r["rank"] for r in alone["rows"]] == [1, 2]


def test_mlflow_shows_it_on_one_run(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, a picture, metrics and a description; the same again writes nothing."""
    (page,) = pages(place)
    (board,) = boards(capsys)
    assert [run.info.end_time for run in pages(place)] == [page.info.end_time]
    file = f"leaderboard-audio-holdout-{board['board']}"
    table = place.load_table("1", f"{file}.json", [page.info.run_id])
    assert table["test_mse"].tolist() == [r["test_mse"] for r in board["rows"]]
    assert json.loads(page.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": f"{file}.json", "type": "table"}
    ]
    picture = Path(place.download_artifacts(page.info.run_id, f"{file}.png"))
    assert picture.read_bytes().startswith(b"\x89PNG")
    for each in board["rows"]:
        name = each["study"].removeprefix("demo-")
        assert page.data.metrics[f"test_mse/{name}"] == each["test_mse"]
    assert "| rank | family |" in page.data.tags["mlflow.note.content"]


def test_a_champion_is_marked_and_the_page_renewed(
    place: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The study whose run the alias leads to, in every form; the data set keeps its one page."""
    (before,) = pages(place)
    (board,) = boards(capsys)
    study = next(row["study"] for row in board["rows"] if not row["champion"])
    query = f"tags.`popsearch.study` = '{study}' and tags.`popsearch.kind` = 'study'"
    (run,) = place.search_runs(["1"], query)
    old = place.get_model_version_by_alias("popsearch-demo", "champion").version
    version = place.create_model_version("popsearch-demo", "somewhere", run.info.run_id)
    place.set_registered_model_alias("popsearch-demo", "champion", version.version)
    try:
        (board,) = boards(capsys)
        (row,) = [row for row in board["rows"] if row["champion"]]
        assert row["study"] == study
        assert typed("leaderboard") == 0
        (line,) = [li for li in capsys.readouterr().out.splitlines() if "champion" in li]
        assert line.split()[1] == row["family"]
        (page,) = pages(place)
        assert page.info.run_id == before.info.run_id
        assert page.data.tags["mlflow.note.content"] != before.data.tags["mlflow.note.content"]
    finally:
        place.set_registered_model_alias("popsearch-demo", "champion", old)
        place.delete_model_version("popsearch-demo", version.version)


# ---- after a sweep ------------------------------------------------------------------------------


def test_a_sweep_ends_with_it(
    compose: Any, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also without tracking; a study of an earlier command stands among them, and is told."""
    few = ("data.rows=500", "n_trials=1", "tracking=none")
    assert typed("model=lasso", *few) == 0
    assert "rank" not in capsys.readouterr().out
    assert typed("-m", "model=ridge,linear", *few) == 0
    out = capsys.readouterr().out
    _, _, shown = out.rpartition("rank  family")
    assert {line.split()[1] for line in shown.splitlines()[1:4]} == {"lasso", "ridge", "linear"}
    assert "dimmed: of earlier commands" in out
    assert not (workdir / "mlflow.db").exists()


def test_a_store_of_runs_that_fails_costs_the_page_only(
    swept: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is printed, and one line says what is not stored; for the command it is an end."""
    monkeypatch.chdir(swept)
    for name in ("write", "champion"):
        with monkeypatch.context() as patch:

            def fail(*_: Any) -> None:
                raise MlflowException("the disk is full")

            patch.setattr(StoredBoards, name, fail)
            capsys.readouterr()
            assert typed(*SWEEP) == 0
            out = capsys.readouterr().out
            assert "rank  family" in out
            assert "the leaderboard is not stored: tracking.uri=" in out
            assert "the disk is full" in out
            assert typed("leaderboard") == 1
            assert "the disk is full" in capsys.readouterr().err


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "storage.url=sqlite:///optuna.db: must be a database of studies, but there is none"),
        (["storage.url=sqlite:///empty.db"], "must be a database of studies, but there is none"),
        (["storage.url=sqlite:///no/x.db"], "the folder no does not exist"),
        (["format=cvs"], "format=cvs: there is no such format; did you mean csv?"),
        (["format="], "format=: there is no such format; choose from: table, csv, json, markdown"),
        (["output=board.txt"], "output=board.txt: must end in .csv, .json, .md, or format must be"),
        (["output=no/board.csv"], "output=no/board.csv: must be a file in a folder that is there"),
        (["format=csv", "output=."], "output=.: must be a file"),
        (["tracking=mlfow"], "there is no such tracking; did you mean mlflow?"),
        (["storage.ulr=x"], "storage.ulr is not a setting; did you mean url?"),
        (["--csv"], "--csv is not an option; see --help"),
        (["n_trials=0", "format=xml"], "n_trials must be at least 1"),
    ],
)
def test_a_mistake_creates_nothing(
    argv: list[str], expected: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clear lines, code 2, and the folder as it was."""
    (workdir / "empty.db").touch()
    assert typed("leaderboard", *argv) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.out == ""
    assert [path.name for path in workdir.iterdir()] == ["empty.db"]
    assert (workdir / "empty.db").stat().st_size == 0


def test_all_mistakes_are_told_at_once(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A format and two settings; names of data by themselves, with the near one."""
    assert typed("leaderboard", "format=xml", "n_trials=0", "seed=x") == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert typed("leaderboard", "demmo", "tracks", "demo") == 2
    assert capsys.readouterr().err.splitlines() == [
        "popsearch: demmo: must be a data set with studies in sqlite:///optuna.db; did you mean "
        "demo?",
        "popsearch: tracks: must be a data set with studies in sqlite:///optuna.db; choose from: "
        "demo",
    ]
