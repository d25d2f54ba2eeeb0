"""What a person sees: a live line while the search runs, and one table at its end."""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from popsearch.interrupt import Interrupts
from popsearch.outcome import Outcome
from popsearch.plan import Plan
from popsearch.study import Study

if TYPE_CHECKING:
    from popsearch.run import Result


class Terminal:
    """Tells how a study goes: live on a terminal, line by line elsewhere.

    Parameters
    ----------
    command
        What was typed, from which the next commands to type are made.
    """

    def __init__(self, plan: Plan, command: str) -> None:
        self._plan, self._command = plan, command
        self._console = Console(highlight=False, soft_wrap=True)
        self._progress: Progress | None = None

    def opening(self) -> None:
        """Say what is searched, and on which rows."""
        plan, split = self._plan, self._plan.split
        self._console.print(
            f"[bold]{plan.cfg.model.name}[/] on {plan.table.about}: {len(split.train):,} training, "
            f"{len(split.val):,} validation, {len(split.test):,} test rows"
        )

    @contextlib.contextmanager
    def searching(self, study: Study, wanted: float, interrupts: Interrupts) -> Iterator[None]:
        """Show the search while it goes on."""
        self._study, self._wanted, self._interrupts = study, wanted, interrupts
        self._done, self._began, self._step = study.n_done(), time.monotonic(), ""
        self._done_before = self._done
        where = f"study {study.name}"
        if self._done:
            where += f", continued after {self._done} of {wanted:.0f} trials"
        self._console.print(where, style="dim")
        if wanted < self._plan.cfg.n_trials:
            self._console.print(
                f"the space has only {wanted:.0f} points, so {wanted:.0f} trials are all there is",
                style="dim",
            )
        if not self._console.is_terminal:
            yield
            return
        columns = (SpinnerColumn(), BarColumn(24), TextColumn("{task.description}"))
        with Progress(*columns, console=self._console, transient=True) as self._progress:
            self._task = self._progress.add_task("", total=wanted)
            self._redraw()
            yield
        self._progress = None

    def trial_started(self, number: int) -> None:
        """Note that a trial begins."""
        self._step = f"trial {number}"
        self._redraw()

    def step_done(self, step: int, n_steps: int, val_mse: float) -> None:
        """Show where the running trial stands."""
        trial = self._step.split(",")[0]
        self._step = f"{trial}, step {step}/{n_steps}: {val_mse:.2f}"
        self._redraw()

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Count the trial; print it where there is no live line."""
        self._done += 1
        self._step = ""
        if self._progress is not None:
            if outcome.state == "failed":
                self._console.print(f"trial {number} failed: {outcome.reason}", style="red")
            self._redraw()
            return
        score = f"val_mse {outcome.best.val_mse:.2f}" if outcome.best else outcome.reason
        same = f", as trial {outcome.copy_of}" if outcome.copy_of is not None else ""
        best = self._study.best()
        lead = f"best {best.scores['val_mse']:.2f} (trial {best.number})" if best else ""
        self._console.print(
            f"{self._done:>4}/{self._wanted:.0f}  trial {number:<4} {outcome.state:<8}  "
            f"{score}{same}  {outcome.fit_s:.1f} s  {lead}"
        )

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Show that the winner is refitted and scored."""
        if self._console.is_terminal:
            with self._console.status("refitting the best trial, opening the test rows"):
                yield
        else:
            yield

    def closing(self, result: "Result") -> None:
        """Print the result, and what to type next."""
        if result.stopped_by != "n_trials":
            self._console.print(f"stopped by {result.stopped_by}", style="yellow")
        if result.best_trial is None:
            reasons = ", ".join(f"{n} {state}" for state, n in result.n_trials.items() if n)
            self._console.print(f"no complete trial yet ({reasons or 'none ended'})")
        else:
            self._console.print(_table(result))
        floor, test = result.floor_mse, result.test_mse
        if floor is not None and test is not None and test < floor:
            self._console.print(
                "the test MSE is below what a perfect model reaches on these rows: look for a leak",
                style="bold red",
            )
        self._next(result)

    def _next(self, result: "Result") -> None:
        # `uv run` puts the environment on the path for one command only.
        prefix = "uv run " if "UV_RUN_RECURSION_DEPTH" in os.environ else ""
        wanted = self._plan.cfg.n_trials
        finished = result.stopped_by == "n_trials"
        again = self._command
        if finished and result.n_trials["failed"] < sum(result.n_trials.values()):
            words = [w for w in again.split(" ") if not w.startswith("n_trials=")]
            again = " ".join([*words, f"n_trials={2 * wanted}"])
        lines = [("go on" if not finished else "search further", again)]
        if result.mlflow_run_id is not None:
            lines.insert(0, ("compare trials", _ui(self._plan)))
        for label, line in lines:
            self._console.print(Text.assemble((f"{label:<15}", "dim"), (prefix + line, "bold")))

    def _redraw(self) -> None:
        if self._progress is None:
            return
        counts, best = self._study.counts(), self._study.best()
        parts = [f"{self._done}/{self._wanted:.0f} trials"]
        if best:
            parts.append(f"best [bold]{best.scores['val_mse']:.2f}[/]")
        parts += [f"{counts[s]} {s}" for s in ("pruned", "failed") if counts[s]]
        parts += [self._step] if self._step else []
        parts += [f"{left} left" for left in [self._left()] if left]
        self._progress.update(self._task, completed=self._done, description=" · ".join(parts))

    def _left(self) -> str:
        """Give the time until the last trial, or until the time limit if that comes first."""
        ended = self._done - self._done_before
        guesses = [self._interrupts.left_s()]
        if ended:
            spent = time.monotonic() - self._began
            guesses.append(spent / ended * (self._wanted - self._done))
        known = [g for g in guesses if g is not None]
        return _duration(min(known)) if known else ""


def _table(result: "Result") -> Table:
    table = Table(title=None, show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")

    def error(mse: float | None, mae: float | None) -> str:
        return f"MSE {mse:.2f}   MAE {mae:.3f}" if mse is not None and mae is not None else "-"

    counts = [f"{n} {state}" for state, n in result.n_trials.items() if n]
    table.add_row("trials", ", ".join(counts))
    for name, value in (result.best_params or {}).items():
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        table.add_row(f"best {name}", shown)
    table.add_row("best step", f"{result.best_step} (resource {result.best_resource})")
    table.add_row("validation", error(result.val_mse, result.val_mae))
    table.add_row("[bold]test[/]", f"[bold]{error(result.test_mse, result.test_mae)}[/]")
    if result.mean_mse is not None:
        table.add_row("mean predictor", f"MSE {result.mean_mse:.2f}")
    if result.floor_mse is not None:
        table.add_row("floor", f"MSE {result.floor_mse:.2f}, which no model can beat on these rows")
    table.add_row("time", _duration(result.duration_s))
    return table


def _ui(plan: Plan) -> str:
    tracking = plan.cfg.tracking
    if tracking.name == "none" or tracking.uri == "sqlite:///mlflow.db":
        return "mlflow ui"
    return f"mlflow ui --backend-store-uri {tracking.uri}"


def _duration(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def compare(results: "list[Result]") -> None:
    """Print the studies of a sweep side by side, best validation score first."""
    table = Table(box=None, padding=(0, 2, 0, 0), title="all studies of this sweep")
    table.add_column("model", style="bold")
    for name in ("validation MSE", "test MSE", "test MAE", "trials", "time"):
        table.add_column(name, justify="right")
    for r in sorted(results, key=lambda r: r.val_mse if r.val_mse is not None else float("inf")):
        figures = [
            f"{v:.{digits}f}" if v is not None else "-"
            for v, digits in ((r.val_mse, 2), (r.test_mse, 2), (r.test_mae, 3))
        ]
        n = sum(r.n_trials.values())
        table.add_row(r.model, *figures, str(n), _duration(r.duration_s))
    Console(highlight=False).print(table)
