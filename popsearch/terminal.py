"""What a person sees: a live line while the search runs, and one table at its end."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from popsearch import report, schema
from popsearch.errors import PopsearchError
from popsearch.interrupt import Interrupts
from popsearch.outcome import Outcome
from popsearch.plan import Plan
from popsearch.study import Study

if TYPE_CHECKING:
    from popsearch.run import Result


N_SHOWN = 10
"""Trials that are named, where study and tracking do not agree."""


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
        plan = self._plan
        self._console.print(
            f"[bold]{plan.cfg.model.name}[/] on {escape(plan.table.about)}: {plan.about_rows}"
        )
        if plan.machine.device:
            self._console.print(Text(f"{'on':<12} {plan.machine.device}", "dim"))
        told = schema.summary(plan.cfg.features, plan.table, plan.cfg.model.missing)
        for label, text in told:
            self._console.print(Text(f"{label:<12} {text}", "dim"))
        for line in plan.warnings:
            self.warn(f"warning: {line}")

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
        if n_earlier := self._plan.space.n_earlier:
            which = "the best trial" if n_earlier == 1 else f"the {n_earlier} best trials"
            self._console.print(
                f"begins with {which} of {self._plan.cfg.warm_start}", style="dim", markup=False
            )
        for line in self._plan.space.left_out:
            self._console.print(line, style="dim", markup=False)
        if wanted < self._plan.cfg.n_trials:
            all_there_is = (
                "1 point, so 1 trial is"
                if wanted == 1
                else f"{wanted:.0f} points, so as many trials are"
            )
            self._console.print(f"the space has only {all_there_is} all there is", style="dim")
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

    def step_done(self, number: int, step: int, n_steps: int, val_mse: float) -> None:
        """Show where a running trial stands."""
        self._step = f"trial {number}, step {step}/{n_steps}: {val_mse:.2f}"
        self._redraw()

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Count the trial; print it where there is no live line."""
        self._done = self._study.n_done()  # other processes may have ended some as well
        self._step = ""
        if self._progress is not None:
            if outcome.state == "failed":
                self._console.print(
                    f"trial {number} failed: {_short(outcome.reason)}", style="red", markup=False
                )
            self._redraw()
            return
        score = f"val_mse {outcome.best.val_mse:.2f}" if outcome.best else _short(outcome.reason)
        n_folds = len(self._plan.split.folds)
        if n_folds > 1 and outcome.state == "pruned":
            score += f" in {len(outcome.curve)} of {n_folds} folds"
        same = f", as trial {outcome.copy_of}" if outcome.copy_of is not None else ""
        best = self._study.best()
        lead = f"best {best.scores['val_mse']:.2f} (trial {best.number})" if best else ""
        self._console.print(
            f"{self._done:>4}/{self._wanted:.0f}  trial {number:<4} {outcome.state:<8}  "
            f"{score}{same}  {outcome.fit_s:.1f} s  {lead}",
            markup=False,
        )

    def trials_lost(self, n: int, reason: str) -> None:
        """Say that trials were lost, and that they are not for good."""
        what = "trial is" if n == 1 else f"{n} trials are"
        self._console.print(f"{reason}; {what} tried again", style="red", markup=False)

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Show that the winner is refitted and scored."""
        if self._console.is_terminal:
            with self._console.status("refitting the best trial, opening the test rows"):
                yield
        else:
            yield

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """Show that pictures are drawn and the report is written."""
        if self._console.is_terminal:
            with self._console.status("drawing the report"):
                yield
        else:
            yield

    def complain(self, error: PopsearchError) -> None:
        """Say what went wrong, where the study goes on nevertheless."""
        for fault in error.faults:
            self._console.print(fault, style="red", markup=False)

    def warn(self, line: str) -> None:
        """Say what should be known, and does not keep the study from going on."""
        self._console.print(line, style="yellow", markup=False)

    def disagreed(self, lines: list[str]) -> None:
        """Say where a trial and its run did not tell the same; most often there is no line."""
        for line in lines[:N_SHOWN]:
            self._console.print(f"warning: {line}", style="yellow", markup=False)
        if len(lines) > N_SHOWN:
            self._console.print(
                f"warning: and {len(lines) - N_SHOWN} more trials: see python -m popsearch check",
                style="yellow",
            )

    def closing(self, result: "Result", page: str) -> None:
        """Print the result, and what to type next; ``page`` is where the runs are shown."""
        cfg = self._plan.cfg
        report.show(self._console, result)
        wanted = cfg.n_trials if self._study.n_points() > cfg.n_trials else None
        report.show_next(self._console, result, self._command, wanted, cfg.tracking, page)

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
        return report.duration(min(known)) if known else ""


def _short(reason: str) -> str:
    """Give the beginning of a reason; all of it stands in the trial's run."""
    first = reason.strip().partition("\n")[0]
    return first if len(first) <= 120 else f"{first[:117]}..."
