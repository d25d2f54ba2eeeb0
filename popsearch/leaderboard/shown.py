"""Boards for a terminal, and as CSV, JSON and Markdown."""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from popsearch.leaderboard.standings import Board, Row
from popsearch.report import duration

Format = Literal["table", "csv", "json", "markdown"]
SPACE = 2  # between two columns
_ABOUT = ("data", "features", "split")
_LEFT_OUT = ("val R²", "val MAE", "test R²", "test MAE", "time", "trials", "s/1M", "val MSE")


def show(console: Console, boards: Sequence[Board], marked: Collection[str] = ()) -> None:
    """Print each board, without the columns that say least where a terminal is narrow.

    Parameters
    ----------
    marked
        Studies to be told from the others.
    """
    for board in boards:
        others = marked and any(row.study not in marked for row in board.rows)
        columns = {
            name: [cell(row) for row in board.rows] for name, cell in _columns(board).items()
        }
        for name in _LEFT_OUT:
            widths = [max(map(len, [name, *cells])) + SPACE for name, cells in columns.items()]
            if sum(widths) > console.width:
                del columns[name]
        table = Table(box=None, padding=(0, SPACE, 0, 0))
        for name in columns:
            left = name in ("family", "study", "")
            table.add_column(name, justify="left" if left else "right", no_wrap=True)
        for row, *cells in zip(board.rows, *columns.values(), strict=True):
            style = "dim" if others and row.study not in marked else ""
            table.add_row(*map(Text, cells), style=style)
        console.print(Text(title(board), "bold"), soft_wrap=True)
        console.print(table)
        for line in _below(board):
            console.print(line, style="dim", markup=False, soft_wrap=True)
        if others:
            console.print("dimmed: of earlier commands", style="dim")


def title(board: Board) -> str:
    """Give the line above a board."""
    about = board.about
    return f"{about['rows']}, features={about['features']}, split={about['split']}"


def records(boards: Iterable[Board]) -> list[dict[str, Any]]:
    """Give the rows of all boards as plain values, each with what its board is of."""
    return [
        {"board": board.key, **{name: board.about[name] for name in _ABOUT}, **asdict(row)}
        for board in boards
        for row in board.rows
    ]


def as_csv(boards: Sequence[Board]) -> str:
    """Give all rows of all boards with a header."""
    rows = records(boards)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def as_json(boards: Sequence[Board]) -> str:
    """Give a list of boards, each with its rows."""
    content = [
        {
            "board": board.key,
            **board.about,
            "mean_mse": board.mean_mse,
            "floor_mse": board.floor_mse,
            "unpaired": list(board.unpaired),
            "rows": [asdict(row) for row in board.rows],
        }
        for board in boards
    ]
    return json.dumps(content, indent=2) + "\n"


def as_markdown(boards: Sequence[Board]) -> str:
    """Give a table for each board, with what it is of above it and the references below."""
    parts = []
    for board in boards:
        columns = _columns(board)
        lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        for row in board.rows:
            cells = (cell(row).replace("|", r"\|") for cell in columns.values())
            lines.append("| " + " | ".join(cells) + " |")
        below = "".join(f"\n{line}\n" for line in _below(board))
        parts.append(f"### {title(board)}\n\n" + "\n".join(lines) + f"\n{below}")
    return "\n".join(parts)


FORMATS: dict[str, Callable[[Sequence[Board]], str]] = {
    "csv": as_csv,
    "json": as_json,
    "markdown": as_markdown,
}
"""Writers of boards by the word that is typed."""


def _columns(board: Board) -> dict[str, Callable[[Row], str]]:
    columns: dict[str, Callable[[Row], str]] = {
        "rank": lambda row: "-" if row.rank is None else str(row.rank),
        "family": lambda row: row.family,
        "study": lambda row: row.study.rpartition("-")[2],
        "val MSE": lambda row: _figure(row.val_mse, 2),
        "val MAE": lambda row: _figure(row.val_mae, 3),
        "val R²": lambda row: _figure(row.val_r2, 3),
        "test MSE": lambda row: _figure(row.test_mse, 2),
        "95 %": _between,
        "test MAE": lambda row: _figure(row.test_mae, 3),
        "test R²": lambda row: _figure(row.test_r2, 3),
        "trials": lambda row: f"{row.n_complete}/{row.n_pruned}/{row.n_failed}",
        "time": lambda row: duration(row.time_s),
        "s/1M": lambda row: _significant(row.predict_million_s),
        "": lambda row: "champion" if row.champion else "",
    }
    if len({row.family for row in board.rows}) == len(board.rows):
        del columns["study"]  # the family says which
    if not any(row.champion for row in board.rows):
        del columns[""]
    return columns


def _below(board: Board) -> list[str]:
    lines = []
    if board.mean_mse is not None:
        floor = "" if board.floor_mse is None else f", floor: {board.floor_mse:.2f}"
        lines.append(f"mean predictor: {board.mean_mse:.2f}{floor} (test MSE)")
    again = [row.family for row in board.rows if row.n_openings > 1]
    if again:
        lines.append(f"test rows opened more than once: {', '.join(again)}")
    if board.unpaired:
        lines.append(
            "without residuals on the test rows, so that no rank is shared with them: "
            + ", ".join(board.unpaired)
        )
    lines.append("trials: complete/pruned/failed; s/1M: seconds to predict a million rows")
    return lines


def _between(row: Row) -> str:
    if row.test_mse_low is None or row.test_mse_high is None:
        return "-"
    return f"{row.test_mse_low:.2f} to {row.test_mse_high:.2f}"


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _significant(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}" if value < 10 else f"{value:.0f}"
