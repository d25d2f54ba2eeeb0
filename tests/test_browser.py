"""What a person sees: MLflow's pages and Optuna Dashboard's, in a real browser."""

import contextlib
import io
import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest
from playwright.sync_api import Locator, Page, expect

from browsing import CHROMIUM, Browser, browsing, serving
from popsearch import __main__
from popsearch.tracking import system, views

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium")

FAMILIES = ("ridge", "lasso", "elastic_net", "decision_tree")
N_TRIALS = 25
SMALL = ("data.rows=1500", f"n_trials={N_TRIALS}")
SWEEP = ("-m", f"model={','.join(FAMILIES)}", *SMALL, "report=false")
AGAIN = ("model=ridge", *SMALL, "report=true")  # nothing to search: only its report is written
KIND = "workflowType=machine_learning"
DRAWN = ".js-plotly-plot .scatterlayer .trace"


@dataclass(frozen=True)
class Place:
    """A folder with studies, and what their sweep printed."""

    folder: Path
    said: str

    @property
    def runs(self) -> list[Any]:
        """All runs there."""
        client = mlflow.MlflowClient(f"sqlite:///{self.folder}/mlflow.db")
        return list(client.search_runs(["1"], max_results=1000))

    def of_kind(self, kind: str, score: str) -> list[Any]:
        """Give the runs of studies or trials, the one with the lowest error first."""
        own = [r for r in self.runs if r.data.tags.get("popsearch.kind") == kind]
        return sorted(own, key=lambda run: float(run.data.metrics[score]))

    def study(self, family: str) -> Any:
        """Give the run of a family's study."""
        (run,) = (r for r in self.runs if r.data.tags.get("popsearch.model") == family)
        return run

    def trials(self, family: str) -> list[Any]:
        """Give the runs of a family's trials, the best first."""
        parent = self.study(family).info.run_id
        trials = self.of_kind("trial", "val_mse")
        return [r for r in trials if r.data.tags.get("mlflow.parentRunId") == parent]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, cache_folder: None) -> Place:
    """A hundred trials of four families."""
    folder, said = tmp_path_factory.mktemp("searched"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(system, "FIRST_S", 0.1)  # these studies take a second
        for words in (SWEEP, AGAIN):
            patch.setattr("sys.argv", ["popsearch", *words])
            __main__.main()
    return Place(folder, said.getvalue())


@pytest.fixture(scope="module")
def mlflow_ui(place: Place) -> Iterator[str]:
    """The address of ``mlflow ui``, as the README starts it."""
    with serving(place.folder, "mlflow", "ui", "--port", "PORT", "--workers", "1") as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all."""
    with browsing() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, in whose console nothing may have been complained of at the end."""
    yield chromium
    errors, chromium.errors = chromium.errors, []
    assert errors == []


def run_page(address: str, run: Any, tab: str = "") -> str:
    """Give where a run is shown."""
    return f"{address}/#/experiments/1/runs/{run.info.run_id}{tab}?{KIND}"


def view_page(address: str, view: str) -> str:
    """Give where a view of all runs is shown."""
    return f"{address}/#/experiments/1/runs?{KIND}&viewStateShareKey={view}"


def run_names(page: Page) -> Locator:
    """Give the cells with the names of the runs that are listed."""
    return page.locator(".ag-row [col-id='attributes.`Run Name`'] a")


def columns(page: Page) -> list[str]:
    """Give the titles of the columns, from left to right."""
    cells = [
        (cell.bounding_box() or {"x": 0.0})["x"] for cell in page.locator(".ag-header-cell").all()
    ]
    titles = page.locator(".ag-header-cell").all_inner_texts()
    return [title.strip() for _, title in sorted(zip(cells, titles, strict=True)) if title.strip()]


def test_the_address_that_is_printed_lists_families_and_their_trials(
    place: Place, mlflow_ui: str, browser: Browser
) -> None:
    """Each family is a row with its scores; a click shows its trials below it."""
    address, *_ = {*re.findall(r"then open http://127.0.0.1:5000(\S+)", place.said)}
    page = browser.open(mlflow_ui + address)
    studies = place.of_kind("study", "test_mse")  # of the four families, and their ensemble
    expect(run_names(page)).to_have_count(len(studies) + 1)  # and the leaderboard
    assert {*run_names(page).all_inner_texts()} > {run.info.run_name for run in studies}
    shown = columns(page)
    assert shown[0] == "Run Name"
    scores = ["val_mse", "test_mse", "test_mae", "test_r2", "n_complete", "n_pruned"]
    assert [title for title in shown if title in scores] == scores
    study = place.study("ridge")
    row = page.locator(".ag-row", has_text=study.info.run_name)
    row.locator("button").first.click()
    for number in (N_TRIALS - 1, N_TRIALS - 2):
        expect(page.get_by_text(f"ridge {number:04d}", exact=True)).to_be_visible()


def test_the_studies_are_listed_by_test_error(
    place: Place, mlflow_ui: str, browser: Browser
) -> None:
    """However many trials there are: the best family first, and nothing but studies."""
    page = browser.open(view_page(mlflow_ui, "popsearch-studies"))
    ranked = place.of_kind("study", "test_mse")
    expect(run_names(page)).to_have_count(len(ranked))
    assert run_names(page).all_inner_texts() == [run.info.run_name for run in ranked]


def test_the_trials_of_all_families_are_listed_by_error(
    place: Place, mlflow_ui: str, browser: Browser
) -> None:
    """The best of all is first, with its scores and the parameters of every family."""
    browser.page.set_viewport_size({"width": 2600, "height": 800})
    page = browser.open(view_page(mlflow_ui, "popsearch-trials"))
    best = place.of_kind("trial", "val_mse")
    expect(run_names(page).first).to_have_text(best[0].info.run_name)
    names = run_names(page).all_inner_texts()
    assert names[:5] == [run.info.run_name for run in best[:5]]
    assert {"val_mse", "alpha", "l1_ratio", "max_depth", "min_samples_leaf"} <= {*columns(page)}


def test_the_curves_of_the_best_trials_are_drawn_together(
    place: Place, mlflow_ui: str, browser: Browser
) -> None:
    """One chart has the validation errors at each step of the first twenty."""
    page = browser.open(view_page(mlflow_ui, "popsearch-curves") + "&compareRunsMode=CHART")
    chart = page.locator(".js-plotly-plot").first
    lines = chart.locator(".scatterlayer .trace")
    shown = place.of_kind("trial", "val_mse")[: views.N_SHOWN]
    curves = [run for run in shown if "curve/val_mse" in run.data.metrics]  # an ensemble has none
    assert len(curves) > views.N_SHOWN - 3
    expect(lines).to_have_count(2 * len(curves))  # MLflow draws each as it is, and smoothed
    expect(page.get_by_text("curve/val_mse", exact=True).first).to_be_visible()


def test_a_trial_shows_its_curve_and_how_to_use_its_parameters(
    place: Place, mlflow_ui: str, browser: Browser
) -> None:
    """One line with a point for each rung of rows; the description has words to be typed."""
    trial = place.trials("decision_tree")[0]
    page = browser.open(run_page(mlflow_ui, trial, "/model-metrics"))
    for name in ("train_mae", "train_mse", "val_mae", "val_mse"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.locator(DRAWN).first.locator(".points path")).to_have_count(3)
    page = browser.open(run_page(mlflow_ui, trial))
    expect(page.get_by_text("model.known_good=[{max_depth: ")).to_be_visible()


def test_a_study_tells_what_came_of_it(place: Place, mlflow_ui: str, browser: Browser) -> None:
    """Its description has the scores, the command, and a link to the best trial."""
    study, best = place.study("lasso"), place.trials("lasso")[0]
    page = browser.open(run_page(mlflow_ui, study))
    page.get_by_text("Show more").first.click()
    table = page.locator("table", has_text="95 % interval")
    expect(table).to_contain_text(f"MSE {study.data.metrics['test_mse']:.2f}")
    expect(page.locator("pre", has_text="python -m popsearch model=lasso")).to_be_visible()
    there = table.get_by_role("link").get_attribute("href")
    page = browser.open(f"{mlflow_ui}/{there}")
    expect(page.get_by_role("heading", name=best.info.run_name)).to_be_visible()


def test_a_study_shows_what_the_computer_did(
    place: Place, mlflow_ui: str, browser: Browser
) -> None:
    """The page of system metrics draws the CPU's load and the memory in use."""
    page = browser.open(run_page(mlflow_ui, place.study("decision_tree"), "/system-metrics"))
    expect(page.get_by_text("cpu_utilization_percentage", exact=True)).to_be_visible()
    expect(page.get_by_text("system_memory_usage_percentage", exact=True)).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()


def test_the_report_opens(place: Place, mlflow_ui: str, browser: Browser) -> None:
    """On the page of the study's run, with its pictures drawn."""
    study = place.study("ridge")
    page = browser.open(run_page(mlflow_ui, study, "/artifacts/report.html"))
    report = page.frame_locator("iframe")
    expect(report.locator("h1")).to_have_text(re.compile("^ridge on 1,500 synthetic tracks"))
    pictures = report.locator("figure img")
    expect(pictures).to_have_count(len(list(place.folder.glob("outputs/*/*/plots/*.png"))))
    for picture in pictures.all():
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def test_the_leaderboard_is_a_page(place: Place, mlflow_ui: str, browser: Browser) -> None:
    """Its run's description ranks the families."""
    (board,) = (r for r in place.runs if r.data.tags["popsearch.kind"] == "leaderboard")
    page = browser.open(run_page(mlflow_ui, board))
    for family in FAMILIES:
        expect(page.locator("td", has_text=re.compile(f"^{family}$"))).to_have_count(1)


def test_optuna_dashboard_opens_our_storage(place: Place, browser: Browser) -> None:
    """It lists the studies; one shows its history, and all trials with their parameters."""
    study = optuna.load_study(
        study_name=place.study("decision_tree").info.run_name,
        storage=f"sqlite:///{place.folder}/optuna.db",
    )
    command = ("optuna-dashboard", "sqlite:///optuna.db", "--port", "PORT")
    with serving(place.folder, *command) as address:
        answer = urllib.request.urlopen(f"{address}/api/studies").read()
        names = {each["study_name"] for each in json.loads(answer)["study_summaries"]}
        assert names == {run.info.run_name for run in place.of_kind("study", "test_mse")}
        page = browser.open(f"{address}/dashboard")
        page.get_by_text(study.study_name).click()
        expect(page.locator(DRAWN).first).to_be_visible()
        expect(page.get_by_text(str(study.best_value))).to_be_visible()
        number = page.url.rstrip("/").rpartition("/")[2]
        answer = urllib.request.urlopen(f"{address}/api/studies/{number}").read()
        trials = json.loads(answer)["trials"]
        assert len(trials) == N_TRIALS
        told = {param["name"]: param["param_external_value"] for param in trials[3]["params"]}
        assert {name: float(value) for name, value in told.items()} == study.trials[3].params
