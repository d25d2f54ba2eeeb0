"""Take the README's pictures of the pages of MLflow and Optuna Dashboard.

Run: uv run python scripts/screenshots.py                    (makes the studies first)
     uv run python scripts/screenshots.py --folder STUDIES   (of studies that are there)

Needs Chromium (apt install chromium). The studies are four families on the built-in table, 25
trials each; two minutes on two cores.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import mlflow
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browsing import Browser, browsing, serving  # noqa: E402

SEARCH = ["model=ridge,decision_tree,hist_gbr,gbr", "data.rows=5000", "n_trials=25"]
N_COLOURS = 256  # enough for pages of text and lines, at a third of the size


def search(folder: Path) -> None:
    """Make the studies that are shown."""
    subprocess.run([sys.executable, "-m", "popsearch", "-m", *SEARCH], cwd=folder, check=True)


def take(browser: Browser, name: str, to: Path, height: int = 800) -> None:
    """Store what the window shows."""
    browser.page.wait_for_timeout(1500)  # charts are drawn with a delay
    shot = browser.page.screenshot(clip={"x": 0, "y": 0, "width": 1280, "height": height})
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(N_COLOURS)
    picture.save(to / f"{name}.png", optimize=True)
    print(f"{to / name}.png  {(to / f'{name}.png').stat().st_size / 1000:.0f} kB")


def mlflow_pages(browser: Browser, address: str, folder: Path, to: Path) -> None:
    """Show the families, their curves, a study and a trial."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name in ("tracks", "demo"))
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    studies = [r for r in runs if r.data.tags.get("popsearch.kind") == "study"]
    study = min(studies, key=lambda run: run.data.metrics["test_mse"])
    best = study.data.tags["best.trial"]
    (trial,) = (
        run
        for run in runs
        if run.data.tags.get("popsearch.trial") == best
        and run.data.tags["mlflow.parentRunId"] == study.info.run_id
    )
    kind = "workflowType=machine_learning"
    home = f"{address}/#/experiments/{experiment.experiment_id}/runs"

    page = browser.open(f"{home}?{kind}&viewStateShareKey=popsearch")
    row = page.locator(".ag-row", has_text=study.info.run_name)
    row.locator("button").first.click()
    page.get_by_text(trial.info.run_name).wait_for()
    take(browser, "families", to)

    page = browser.open(f"{home}?{kind}&viewStateShareKey=popsearch-curves&compareRunsMode=CHART")
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    take(browser, "curves", to)

    page = browser.open(f"{home}/{study.info.run_id}?{kind}")
    page.get_by_text("Show more").first.click()
    take(browser, "study", to)

    page = browser.open(f"{home}/{trial.info.run_id}/model-metrics?{kind}")
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    take(browser, "trial", to)

    page = browser.open(f"{home}/{study.info.run_id}/system-metrics?{kind}")
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    take(browser, "system", to, 620)


def dashboard_pages(browser: Browser, address: str, folder: Path, to: Path) -> None:
    """Show a study as Optuna Dashboard does."""
    page = browser.open(f"{address}/dashboard")
    page.get_by_text("hist_gbr").first.click()
    page.locator(".js-plotly-plot").first.wait_for()
    take(browser, "dashboard", to)


PAGES: dict[tuple[str, ...], Callable[[Browser, str, Path, Path], None]] = {
    ("mlflow", "ui", "--port", "PORT", "--workers", "1"): mlflow_pages,
    ("optuna-dashboard", "sqlite:///optuna.db", "--port", "PORT"): dashboard_pages,
}


def main() -> None:
    """Make the studies, serve them and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, help="a folder of studies to show")
    parser.add_argument("--to", type=Path, default=ROOT / "docs/images")
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, browsing() as browser:
        folder = args.folder or Path(temporary)
        if not args.folder:
            search(folder)
        for command, show in PAGES.items():
            with serving(folder, *command) as address:
                show(browser, address, folder.resolve(), args.to)
    if browser.errors:
        print(*browser.errors, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
