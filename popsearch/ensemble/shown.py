"""What a person reads of an ensemble, or of why there is none."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from popsearch import openings
from popsearch.ensemble.made import Made
from popsearch.errors import PopsearchError

SPACE = 2  # between two columns


class Progress:
    """Tells how it goes: on a terminal what is being done, elsewhere only what is to be known."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show a live line meanwhile."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("reading the best trials") as self._status:
            yield
        self._status = None

    def doing(self, line: str) -> None:
        """Show what is being done."""
        if self._status:
            self._status.update(Text(line))

    def say(self, line: str) -> None:
        """Say what was done."""
        self._console.print(line, markup=False, soft_wrap=True)

    def warn(self, line: str) -> None:
        """Say what should be known."""
        self._console.print(line, style="yellow", markup=False, soft_wrap=True)

    def complain(self, error: PopsearchError) -> None:
        """Say what went wrong, where it goes on nevertheless."""
        for fault in error.faults:
            self._console.print(fault, style="red", markup=False, soft_wrap=True)


def show(console: Console, made: Made) -> None:
    """Print what an ensemble is made of and how good it is, or why there is none."""
    for line in made.pool.left_out:
        console.print(line, style="yellow", markup=False, soft_wrap=True)
    about = made.about
    where = f"{about['rows']}, features={about['features']}, split={about['split']}"
    entered, verdict = made.entered, made.verdict
    if entered is None or verdict is None:
        why = f"stopped by {made.stopped_by}" if made.stopped_by else made.why_not
        console.print(Text(f"no ensemble of {where}: {why}"), soft_wrap=True)
        return
    console.print(Text(f"ensemble of {where}", "bold"), soft_wrap=True)
    members = made.pool.members
    families = {member.family for member in members}
    console.print(
        f"{len(entered.shares)} of the {len(members)} best trials of {', '.join(sorted(families))}",
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, SPACE, 0, 0))
    for name in ("weight", "val MSE"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for weight, part in entered.shares:
        table.add_row(f"{weight:.2f}", f"{part.trial.scores['val_mse']:.2f}", Text(str(part)))
    console.print(table)
    for label, line in _lines(made):
        console.print(Text(f"{label:<16}", "dim").append(line, "not dim"), soft_wrap=True)
    if told := openings.warning(entered.test_openings):
        console.print(told, style="yellow", markup=False, soft_wrap=True)
    if entered.champion:
        console.print(entered.champion, style="bold", markup=False, soft_wrap=True)


def _lines(made: Made) -> Iterator[tuple[str, str]]:
    entered, verdict = made.entered, made.verdict
    assert entered is not None
    assert verdict is not None
    yield (
        "held out",
        (
            f"MSE {verdict.mix_mse:.2f} when each half of the validation rows is mixed for by the "
            f"other; {made.single}: {verdict.single_mse:.2f}, {verdict.gain_low:.2f} to "
            f"{verdict.gain_high:.2f} more (95 %)"
        ),
    )
    best = min(member.trial.scores["val_mse"] for member in made.pool.members)
    yield "validation", f"MSE {entered.best.scores['val_mse']:.2f}, the best single {best:.2f}"
    test = entered.test
    if test is None:
        yield "test", f"not opened: {entered.why_not}"
        return
    r2 = "" if test.test_r2 is None else f"   R² {test.test_r2:.3f}"
    yield "test", f"MSE {test.test_mse:.2f}   MAE {test.test_mae:.3f}{r2}"
    if test.test_mse_low is not None and test.test_mse_high is not None:
        yield "95 % interval", f"MSE {test.test_mse_low:.4g} to {test.test_mse_high:.4g}"
