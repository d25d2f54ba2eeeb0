"""The deck's figures beside ours: each model as it was, repeated, corrected and tuned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from popsearch.deck.figures import DECK, MISTAKES, N_ROWS, Figure
from popsearch.deck.repetition import Repeated
from popsearch.leaderboard.standings import Board, Row
from popsearch.plan import Plan
from popsearch.report import duration
from popsearch.source import DemoData

SPACE = 2  # between two columns
# Where a terminal is narrow, the first one first:
_LEFT_OUT = ("setting", "corrected time", "repeated time", "tuned time", "deck time", "ratio")


@dataclass(frozen=True)
class Line:
    """One of the deck's models.

    Parameters
    ----------
    repeated
        As the notebook did it; none while it is not done, or where it failed.
    corrected
        The study with the deck's setting and an honest procedure.
    tuned
        The best of the studies of its family, by validation error.
    """

    figure: Figure
    repeated: Repeated | None
    corrected: Row | None
    tuned: Row | None

    @property
    def ratio(self) -> float | None:
        """Test MSE when tuned as a share of that with the deck's setting, on the same rows."""
        tuned, corrected = _of(self.tuned, "test_mse"), _of(self.corrected, "test_mse")
        return tuned / corrected if tuned and corrected else None


def lines(board: Board, repeated: Mapping[str, Repeated]) -> list[Line]:
    """Give the deck's models with what was found on the rows of a board."""
    return [
        Line(
            figure,
            repeated.get(figure.name),
            _best(board.rows, figure.corrected),
            _best(board.rows, figure.family),
        )
        for figure in DECK
    ]


def _best(rows: Sequence[Row], family: str) -> Row | None:
    """Give the study of a family that is best on validation rows, of those that were tested."""
    own = [
        (row.val_mse, row.study, row)
        for row in rows
        if row.family == family and None not in (row.val_mse, row.test_mse)
    ]
    return min(own, default=(None, "", None))[2]


def show(console: Console, plan: Plan, board: Board, found: Sequence[Line]) -> None:
    """Print both errors of every model, and what must be known to read them."""
    console.print(Text(f"the deck's models on {plan.table.about}", "bold"), soft_wrap=True)
    console.print(_table(found, _MSE, console.width))
    console.print(_table(found, _MAE, console.width))
    for line in _below(plan, board, found):
        console.print(line, style="dim", markup=False, soft_wrap=True)


_Cells = Mapping[str, Callable[[Line], str]]

_MSE: _Cells = {
    "MSE of": lambda line: line.figure.model,
    "setting": lambda line: line.figure.setting,
    "deck": lambda line: f"{line.figure.mse:.2f}",
    "repeated": lambda line: _figure(_of(line.repeated, "mse"), 2),
    "corrected": lambda line: _figure(_of(line.corrected, "test_mse"), 2),
    "tuned": lambda line: _figure(_of(line.tuned, "test_mse"), 2),
    "ratio": lambda line: _figure(line.ratio, 3),
    "deck time": lambda line: duration(line.figure.seconds),
    "repeated time": lambda line: _seconds(_of(line.repeated, "seconds")),
    "corrected time": lambda line: _seconds(_of(line.corrected, "time_s")),
    "tuned time": lambda line: _seconds(_of(line.tuned, "time_s")),
}
_MAE: _Cells = {
    "MAE of": lambda line: line.figure.model,
    "deck": lambda line: _figure(line.figure.mae, 3),
    "repeated": lambda line: _figure(_of(line.repeated, "mae"), 3),
    "corrected": lambda line: _figure(_of(line.corrected, "test_mae"), 3),
    "tuned": lambda line: _figure(_of(line.tuned, "test_mae"), 3),
}


def _table(found: Sequence[Line], columns: _Cells, width: int) -> Table:
    """Give a table, without the columns that say least where there is no room for them."""
    cells = {name: [cell(line) for line in found] for name, cell in columns.items()}
    for name in _LEFT_OUT:
        taken = sum(max(map(len, [title, *column])) + SPACE for title, column in cells.items())
        if name in cells and taken + SPACE + 1 > width:
            del cells[name]
    table = Table(box=None, padding=(0, SPACE, 0, 0))
    table.add_column("", justify="right")
    for name in cells:
        left = name in ("setting", *(n for n in cells if n.endswith(" of")))
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for number, row in enumerate(zip(*cells.values(), strict=True), start=1):
        table.add_row(str(number), *map(Text, row))
    return table


def _below(plan: Plan, board: Board, found: Sequence[Line]) -> list[str]:
    table = plan.table
    told = []
    if isinstance(plan.cfg.data, DemoData):
        told.append("These tracks are made up: nothing but the order of the models compares.")
    elif table.n_rows < 0.99 * N_ROWS:
        told.append(
            f"The deck had {N_ROWS:,} tracks of popularity 0 to 100; these are a part of them, "
            f"{table.n_rows:,} of popularity {table.y.min():g} to {table.y.max():g}: no MSE here "
            "compares with the deck's, ratios do."
        )
    if plan.cfg.deck and (limit := plan.cfg.deck.max_epochs):
        told.append(f"The notebook's networks had {limit} epochs at most (deck.max_epochs).")
    told += [
        "deck: as it stands there. repeated: as the notebook did it, its flaws kept: the scaler "
        "fitted on all rows, models judged on the test rows, networks trained on 70 % of the "
        "rows they could have had, by the end of their validation curve.",
        "corrected: the same settings, the scaler fitted on training rows, one split, the step "
        "chosen on validation rows, the test rows opened once.",
        "tuned: the best study of the family on the same rows. ratio: tuned to corrected.",
    ]
    told += MISTAKES
    best = next((row for row in board.rows if row.test_mse is not None), None)
    if best is not None:
        told.append(
            f"Lowest test MSE of all studies on these rows: {best.test_mse:.2f}, {best.family}."
        )
    if missing := dict.fromkeys(line.figure.family for line in found if line.tuned is None):
        families = ", ".join(missing)
        told.append(f"Not tuned yet on these rows: {families}; see experiment=families.")
    return told


def _of(found: Row | Repeated | None, name: str) -> float | None:
    value: float | None = getattr(found, name) if found is not None else None
    return value


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else duration(value)
