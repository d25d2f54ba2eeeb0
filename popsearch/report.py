"""What a person reads at the end: the result in one table, and what to type next."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from popsearch import openings
from popsearch.config import NoTracking, Tracking
from popsearch.faults import hide_secrets

if TYPE_CHECKING:
    from popsearch.run import Result


def show(console: Console, result: "Result") -> None:
    """Print why the search stopped, the best trial and its scores."""
    if result.stopped_by != "n_trials":
        console.print(f"stopped by {result.stopped_by}", style="yellow")
    if result.failures:
        causes = "; ".join(result.failures)
        console.print(f"the last trials all failed: {causes}", style="red", markup=False)
    if result.best_trial is None:
        console.print(f"no complete trial yet ({_counts(result) or 'none ended'})")
    else:
        console.print(_table(result))
    if result.front:
        console.print(_front(result))
    if told := openings.warning(result.test_openings):
        console.print(told, style="yellow", markup=False, soft_wrap=True)
    if result.champion:
        console.print(result.champion, style="bold", markup=False, soft_wrap=True)
    for line in result.advice:
        console.print(line, style="cyan", markup=False, soft_wrap=True)
    floor, test = result.floor_mse, result.test_mse
    if floor is not None and test is not None and test < floor:
        console.print(
            "the test MSE is below what a perfect model reaches on these rows: look for a leak",
            style="bold red",
        )


def show_next(
    console: Console,
    result: "Result",
    command: str,
    n_trials: int | None,
    tracking: Tracking,
    page: str,
) -> None:
    """Print where to look at the trials, and how to go on.

    Parameters
    ----------
    command
        What was typed, which continues the study.
    n_trials
        As many as were wanted; none where these are all there can be.
    page
        Where the runs are shown, below the address of MLflow's server.
    """
    # `uv run` puts the environment on the path for one command only.
    prefix = "uv run " if "UV_RUN_RECURSION_DEPTH" in os.environ else ""
    if not isinstance(tracking, NoTracking) and page:
        server, address = _server(hide_secrets(tracking.uri))
        words = Text("compare trials  ", "dim")
        if server:
            words.append(prefix + server, "bold").append(", then open ")
        console.print(words.append(f"{address}/{page}"))
    if result.report:
        told = Text(f"{'report':<16}", "dim").append(_from_here(result.report))
        console.print(told, soft_wrap=True)
    if n_trials is None and result.stopped_by == "n_trials":
        return
    label, again = "go on", command
    if result.stopped_by == "patience":
        words_typed = [w for w in command.split(" ") if not w.startswith("patience=")]
        label, again = "search further", " ".join([*words_typed, "patience=null"])
    if result.stopped_by == "n_trials" and result.best_trial is not None and n_trials:
        words_typed = [w for w in command.split(" ") if not w.startswith("n_trials=")]
        label, again = "search further", " ".join([*words_typed, f"n_trials={2 * n_trials}"])
    console.print(Text(f"{label:<16}", "dim").append(prefix + again, "bold"))


def _from_here(file: str) -> str:
    """Give a path as it is typed in the folder that one is in."""
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def duration(seconds: float) -> str:
    """Give a time span as a person says it."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def rows(result: "Result") -> list[tuple[str, str]]:
    """Give what is told of a study that has a complete trial: what it is, and how much."""
    told = [("trials", _counts(result))]
    for name, value in (result.best_params or {}).items():
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        told.append((f"best {name}", shown))
    told.append(("best step", f"{result.best_step} ({result.resource}={result.best_resource})"))
    told.append(("validation", _errors(result.val_mse, result.val_mae)))
    r2 = "" if result.test_r2 is None else f"   R² {result.test_r2:.3f}"
    told.append(("test", _errors(result.test_mse, result.test_mae) + r2))
    if between := _intervals(result):
        told.append(("95 % interval", between))
    if result.ensemble_n is not None:
        errors = _errors(result.ensemble_mse, result.ensemble_mae)
        told.append((f"mean of best {result.ensemble_n}", f"{errors} (test)"))
    if result.mean_mse is not None:
        told.append(("mean predictor", f"MSE {result.mean_mse:.2f}"))
    if result.floor_mse is not None:
        beaten = "which no model can beat on these rows"
        told.append(("floor", f"MSE {result.floor_mse:.2f}, {beaten}"))
    compiling = f", {duration(result.compile_s)} of it compiling" if result.compile_s else ""
    told.append(("time", duration(result.duration_s) + compiling))
    return told


def _table(result: "Result") -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for label, told in rows(result):
        style = "bold" if label == "test" else ""
        table.add_row(Text(label, style), Text(told, style))
    return table


def _front(result: "Result") -> Table:
    """Give the trials that no other beats in all objectives."""
    table = Table(box=None, padding=(0, 2, 0, 0), title="no other trial is better in both")
    for name in result.front[0]:
        table.add_column(name, justify="right")
    for trial in result.front:
        table.add_row(*(f"{value:.4g}" for value in trial.values()))
    return table


def _counts(result: "Result") -> str:
    return ", ".join(f"{n} {state}" for state, n in result.n_trials.items() if n)


def _errors(mse: float | None, mae: float | None) -> str:
    return "not opened" if mse is None or mae is None else f"MSE {mse:.2f}   MAE {mae:.3f}"


def _intervals(result: "Result") -> str:
    """Give how far the test scores may be off by the luck of the rows."""
    scores = (
        ("MSE", result.test_mse_low, result.test_mse_high, ".4g"),
        ("MAE", result.test_mae_low, result.test_mae_high, ".4g"),
        ("R²", result.test_r2_low, result.test_r2_high, ".2f"),
    )
    return ", ".join(
        f"{name} {low:{digits}} to {high:{digits}}"
        for name, low, high, digits in scores
        if low is not None and high is not None
    )


def _server(uri: str) -> tuple[str, str]:
    """Give the command that serves the runs, empty where a server runs, and its address."""
    if uri.startswith("http"):
        return "", uri.rstrip("/")
    command = (
        "mlflow ui" if uri == "sqlite:///mlflow.db" else f"mlflow ui --backend-store-uri {uri}"
    )
    return command, "http://127.0.0.1:5000"
