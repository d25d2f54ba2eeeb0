"""Pictures and the report of studies that were really run."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from pages import Page, numbers
from popsearch import command as commands
from popsearch.config import Config
from popsearch.pictures import search
from popsearch.plan import Plan
from popsearch.run import Result, run
from popsearch.tracking.runs import MlflowTracker

HOSTILE = "</script><script>alert(1)</script> $x"
TYPED = "python -m popsearch model=gbr 'data.path=<b>\"orders\".csv'"
QUICK = ("model=ridge", "data.rows=300", "report=true", "tracking=none")
GBR = (
    "model=gbr", "n_trials=14", "report=true", "model.steps.budget=40",
    "data=csv", "data.path=table.csv", "data.target=y",
)  # fmt: skip
OF_TEST = {
    "partial_dependence", "permutation_importance", "predicted_vs_true", "residuals_by_column",
    "residuals_by_target",
}  # fmt: skip
OF_SEARCH = {
    "learning_curves", "optimization_history", "parallel_coordinate", "param_importances", "slice",
}  # fmt: skip


def configured(*overrides: str) -> Config:
    """Give the configuration of one job."""
    (job,) = commands.jobs(overrides)
    assert not job.faults, job.faults
    return Config(**job.sections)


@dataclass(frozen=True)
class Searched:
    """A study that was run once, for many tests: its folder, its result, and its trials."""

    folder: Path
    result: Result
    trials: list[optuna.trial.FrozenTrial]

    @property
    def report(self) -> Page:
        return Page(self.folder / "out" / "report.html")

    @property
    def artifacts(self) -> Path:
        (folder,) = self.folder.glob(f"mlruns/*/{self.result.mlflow_run_id}/artifacts")
        return folder


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    """Search on a table in which one column tells all, and whose names are those of an attacker."""
    folder = tmp_path_factory.mktemp("searched")
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"noise": rng.normal(size=800), HOSTILE: rng.uniform(1, 9, size=800)})
    table["city"] = rng.choice(["<i>Rome", "Paris & co", "東京"], size=800)
    table["at"] = pd.date_range("2021-01-01", periods=800, freq="h").astype(str)
    table.loc[::9, "city"] = None
    table.loc[::7, "noise"] = np.nan
    table["y"] = 5 * table[HOSTILE] + rng.normal(size=800)
    table.to_csv(folder / "table.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        (folder / "out").mkdir()
        result = run(configured(*GBR), folder / "out", TYPED)
        url = "sqlite:///optuna.db"
        trials = optuna.load_study(study_name=result.study, storage=url).trials
        yield Searched(folder, result, trials)


def test_every_picture_is_in_the_folder_in_mlflow_and_in_the_report(searched: Searched) -> None:
    """PNGs of all, interactive pages of those of the search, and one report, all readable."""
    for folder in (searched.folder / "out", searched.artifacts):
        pngs = {path.stem: path.read_bytes() for path in (folder / "plots").glob("*.png")}
        assert set(pngs) == OF_TEST | OF_SEARCH
        assert all(png.startswith(b"\x89PNG") and len(png) > 2_000 for png in pngs.values())
    pages = {path.stem for path in (searched.artifacts / "plots").glob("*.html")}
    assert pages == OF_SEARCH
    assert searched.report.tags["img"] == len(OF_TEST | OF_SEARCH)
    assert len(searched.report.figures) == len(OF_SEARCH)
    files = [folder / "report.html" for folder in (searched.folder / "out", searched.artifacts)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size < 6_000_000
    assert searched.result.report == str(files[0])


def test_the_history_has_a_point_for_every_trial_with_its_error(searched: Searched) -> None:
    """Those of the complete trials are what Optuna's database says, pruned ones are there too."""
    (figure,) = Page(searched.artifacts / "plots" / "optimization_history.html").figures
    traces = {trace["name"]: trace for trace in figure["data"] if trace.get("name")}
    complete = {t.number: t.value for t in searched.trials if t.state == TrialState.COMPLETE}
    pruned = {t.number for t in searched.trials if t.state == TrialState.PRUNED}
    assert complete
    assert pruned
    shown = zip(numbers(traces["complete"]["x"]), numbers(traces["complete"]["y"]), strict=False)
    assert {n: v for n, v in shown if np.isfinite(v)} == pytest.approx(complete)
    assert {*numbers(traces["pruned, when it was stopped"]["x"])} == pruned
    best = [v for v in numbers(traces["best so far"]["y"]) if np.isfinite(v)]
    assert best[-1] == pytest.approx(min(complete.values()))


def test_the_best_curves_are_those_in_mlflow(searched: Searched) -> None:
    """Training and validation errors of the best trial, step by step; others are in one trace."""
    (figure,) = Page(searched.artifacts / "plots" / "learning_curves.html").figures
    traces = {trace["name"]: trace for trace in figure["data"]}
    client = mlflow.MlflowClient(f"sqlite:///{searched.folder}/mlflow.db")
    best = searched.trials[searched.result.best_trial or 0]
    for name in ("train", "val"):
        stored = client.get_metric_history(best.user_attrs["mlflow_run_id"], f"curve/{name}_mse")
        trace = traces[f"best trial, {'training' if name == 'train' else 'validation'}"]
        shown = dict(zip(numbers(trace["x"]), numbers(trace["y"]), strict=True))
        assert shown == {float(point.step): point.value for point in stored}
        assert len(shown) > 5
    others = [t for t in searched.trials if t.number != best.number]
    n_points = sum(len(t.intermediate_values) for t in others)
    assert len(numbers(traces["other trials, best so far"]["y"])) == n_points


def test_the_report_says_what_was_done_and_how_to_repeat_it(searched: Searched) -> None:
    """Command, rows, scores and interval are there; names are shown as they are."""
    text = " ".join(searched.report.text.split())
    result = searched.result
    assert TYPED in text
    assert result.test_mse is not None
    assert f"mean squared error of {result.test_mse:.2f}" in text
    assert f"{result.test_mse_low:.4g} to {result.test_mse_high:.4g}" in text
    assert f"Always predicting the mean would give {result.mean_mse:.2f}" in text
    assert "392 training, 168 validation, 240 test rows" in text
    assert "alert(1)" in text
    for name, value in (result.best_params or {}).items():
        assert name in text
        assert (f"{value:.4g}" if isinstance(value, float) else str(value)) in text


def test_pages_load_nothing_and_names_cannot_become_code(searched: Searched) -> None:
    """No address is in a page, its scripts are ours, and the library inside is plotly's."""
    pages = [searched.folder / "out" / "report.html", *searched.artifacts.glob("plots/*.html")]
    for file in pages:
        page = Page(file)
        assert all(value.startswith("data:image/png;base64,") for value in page.loaded)
        assert page.tags.get("link", 0) == page.tags.get("iframe", 0) == 0
        assert page.tags["script"] == len(page.figures) + 2  # the library, and what unpacks it
        assert "<i>" not in file.read_text()
        assert page.library.lstrip().startswith("/**\n* plotly.js")
        for text in (*page.scripts.get("", []), *page.scripts.get("text/css", [])):
            assert "http" not in text
            assert "@import" not in text


def test_nothing_is_drawn_twice_and_more_trials_do_not_open_the_test_rows(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command names the same report; a longer search keeps the pictures of the test."""
    cfg = configured(*GBR)
    monkeypatch.setattr(Plan, "open_test", lambda plan: pytest.fail("the test rows were opened"))
    again, longer = searched.folder / "again", searched.folder / "longer"
    for folder in (again, longer):
        folder.mkdir()
    assert run(cfg, again, TYPED).report == searched.result.report
    assert not (again / "plots").exists()
    result = run(cfg.model_copy(update={"n_trials": 16}), longer, TYPED)
    assert result.best_trial == searched.result.best_trial
    assert result.report == str(longer / "report.html")
    for name in OF_TEST:
        old = searched.folder / "out" / "plots" / f"{name}.png"
        assert (longer / "plots" / f"{name}.png").read_bytes() == old.read_bytes()


def test_pictures_of_the_test_come_from_mlflow_where_the_folder_is_gone(
    searched: Searched, tmp_path: Path
) -> None:
    """On another computer, or after a tidy-up, the report is whole all the same."""
    cfg = configured(*GBR)
    gone = [searched.folder / "out", searched.folder / "longer"]
    for folder in gone:
        if folder.exists():
            folder.rename(folder.with_suffix(".gone"))
    try:
        result = run(cfg, tmp_path, TYPED)
        assert result.report == str(tmp_path / "report.html")
        assert Page(tmp_path / "report.html").tags["img"] == len(OF_TEST | OF_SEARCH)
    finally:
        for folder in gone:
            if folder.with_suffix(".gone").exists():
                folder.with_suffix(".gone").rename(folder)


def pictures(folder: Path) -> set[str]:
    """Give the names of the pictures in a folder."""
    return {path.stem for path in (folder / "plots").glob("*.png")}


@pytest.mark.parametrize(
    ("more", "has", "has_not"),
    [
        (["model=linear", "n_trials=1"], {"learning_curves"}, {"slice", "param_importances"}),
        (["split=kfold", "n_trials=3"], {"slice"}, {"learning_curves"}),
        (["n_trials=4", "objectives=[val_mse,predict_s]"], {"pareto_front", "slice"}, set()),
        (["split=time", "split.order_by=year", "n_trials=2"], {"residuals_by_column"}, set()),
    ],
)
def test_what_would_show_nothing_is_left_out(
    more: list[str], has: set[str], has_not: set[str], workdir: Path, capsys: Any
) -> None:
    """Without parameters, steps or a second objective there is no picture of them, and no error."""
    run(configured(*QUICK, *more), workdir, "")
    drawn = pictures(workdir)
    assert has | {"optimization_history", "predicted_vs_true"} <= drawn
    assert not has_not & drawn
    assert "not drawn" not in capsys.readouterr().out
    assert Page(workdir / "report.html").tags["img"] == len(drawn)


def test_a_search_in_which_all_fails_has_a_report_that_says_so(workdir: Path) -> None:
    """There is no picture, and the causes are told."""
    result = run(configured(*QUICK, "trial_timeout=1e-9", "max_failures=2"), workdir, "")
    assert result.best_trial is None
    page = Page(workdir / "report.html")
    assert "None of 2 trials came to its end" in page.text
    assert "took longer than trial_timeout" in page.text
    assert page.tags.get("img", 0) == 0


def test_an_error_in_a_picture_costs_that_picture_only(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """It is told in a line; the others are drawn and the scores stand."""

    def broken(*_: Any) -> Any:
        raise ValueError("no\nluck")

    monkeypatch.setattr(search, "history", broken)
    monkeypatch.setattr("popsearch.pictures.columns.importance", broken)
    result = run(configured(*QUICK, "n_trials=3"), workdir, "")
    out = capsys.readouterr().out
    assert "the picture optimization_history is not drawn: ValueError: no luck" in out
    assert "the picture permutation_importance is not drawn: ValueError: no luck" in out
    drawn = pictures(workdir)
    assert {"learning_curves", "predicted_vs_true", "residuals_by_column"} <= drawn
    assert "optimization_history" not in drawn
    assert result.test_mse is not None


def test_a_report_that_cannot_be_written_costs_no_score(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """On a full disk, or where a store of files refuses, a line tells of it."""

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("popsearch.pictures.album._write", full)
    result = run(configured(*QUICK, "n_trials=1"), workdir, "")
    out = capsys.readouterr().out
    assert "the report is not written: OSError: [Errno 28] No space left on device" in out
    assert result.report is None
    assert result.test_mse is not None


def interrupting(_: Any, *args: Any) -> Any:
    """Stand for a picture during which the user presses Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)
    raise AssertionError("goes on after Ctrl-C")


@pytest.mark.parametrize(
    ("where", "is_scored"),
    [
        ("popsearch.pictures.search.history", True),
        ("popsearch.pictures.drawings.predicted_vs_true", False),
    ],
)
def test_after_ctrl_c_in_a_picture_the_same_command_draws_it(
    where: str, is_scored: bool, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was finished is lost, and the test rows count as opened once."""
    cfg = configured(*QUICK, "n_trials=3")
    with monkeypatch.context() as patch:
        patch.setattr(where, interrupting)
        result = run(cfg, workdir, "")
    assert result.stopped_by == "Ctrl-C"
    assert (result.test_mse is not None) is is_scored
    assert result.report is None
    again = run(cfg, workdir, "")
    assert again.stopped_by == "n_trials"
    assert len(again.test_openings) == 1
    assert {"optimization_history", "predicted_vs_true"} <= pictures(workdir)
    assert again.report == str(workdir / "report.html")


def test_what_a_server_could_not_take_is_written_by_the_same_command(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is in the folder at once; it is drawn again until MLflow has it."""
    cfg = configured("model=ridge", "data.rows=300", "report=true", "n_trials=2")
    folders = [workdir / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(MlflowTracker, "log_files", lambda *_: False)
        assert run(cfg, folders[0], "").report == str(folders[0] / "report.html")
    assert not [*workdir.glob("mlruns/*/*/artifacts/report.html")]
    second = run(cfg, folders[1], "").report
    assert second == str(folders[1] / "report.html")
    assert [*workdir.glob("mlruns/*/*/artifacts/report.html")]
    assert run(cfg, folders[2], "").report == second


def test_without_a_report_nothing_is_drawn_and_later_that_is_said(workdir: Path) -> None:
    """With report=false there is no file; the test rows are not opened again to make up for it."""
    plain = configured(*QUICK, "n_trials=2", "report=false")
    assert run(plain, workdir, "").report is None
    assert not (workdir / "plots").exists()
    result = run(plain.model_copy(update={"report": True}), workdir, "")
    assert len(result.test_openings) == 1
    assert not OF_TEST & pictures(workdir)
    assert "There are no pictures of the test rows" in Page(workdir / "report.html").text


@pytest.mark.parametrize("value", ["maybe", "3"])
def test_report_is_true_or_false(value: str, faults_of: Callable[..., list[str]]) -> None:
    """Another value is refused in one line, before anything is created."""
    (fault,) = faults_of("model=ridge", f"report={value}")
    assert fault.startswith("report must be true or false")
