"""What is typed: python -m popsearch eda."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from popsearch import check, command, data, database, tracking
from popsearch.comparison import refuse
from popsearch.config import Config, NoTracking
from popsearch.data import Table
from popsearch.eda import page, panels, pictures, shown
from popsearch.eda.cells import NUMBERS
from popsearch.eda.look import Look, look
from popsearch.errors import StorageError, did_you_mean
from popsearch.tracking import LookPage

if TYPE_CHECKING:
    from rich.console import Console

PARTS = ("data", "split", "tracking")
PAGE = "eda.html"


def eda(words: Sequence[str], console: "Console") -> None:
    """Look at a table, and write what there is to see.

    Parameters
    ----------
    words
        Settings of ``data`` and ``split`` as for a search; of ``tracking``, which log the look
        too; and ``output=FOLDER``.

    Raises
    ------
    ConfigError
        With all that is wrong; nothing was created.
    StorageError
        If a file cannot be written, or the tracking store does not answer.
    """
    outputs = [Path(w.partition("=")[2]).expanduser() for w in words if w.startswith("output=")]
    settings = [word for word in words if not word.startswith("output=")]
    foreign = {word: fault for word in settings if (fault := _foreign(word))}
    jobs = command.jobs([word for word in settings if word not in foreign])
    found = [*foreign.values(), *(fault for job in jobs for fault in job.faults)]
    if len(jobs) > 1:
        found.append("a look is at one table, but several were asked for; give one value each")
    parts = PARTS if any(_part(word) == "tracking" for word in settings) else PARTS[:-1]
    sections = jobs[0].sections
    with _Progress(console) as progress:
        progress.tell("reading the table")
        found += check.faults({part: sections[part] for part in parts if part in sections})
        refuse([*found, *(fault for folder in outputs for fault in _folder_faults(folder))])
        cfg = Config(**sections)
        table = data.load(cfg.data)
        order_by = getattr(cfg.split, "order_by", None) or cfg.data.order_by
        folder = outputs[-1] if outputs else Path("eda", table.name)
        refuse([*_time_faults(table, order_by), *_folder_faults(folder)])
        progress.expect(len(table.columns) + 2)
        split = data.split(table, cfg.split)
        found_out = look(table, split, cfg.split.name, order_by, progress.tell)
        files = _drawn(found_out, progress)
        _write(folder, files)
        tracked = "tracking" in parts and not isinstance(cfg.tracking, NoTracking)
        if tracked and not isinstance(cfg.tracking, NoTracking):
            progress.tell("MLflow")
            with database.alone(cfg.tracking.uri, "eda"), tracking.tracking_errors(cfg.tracking):
                tracking.log_look(cfg.tracking.uri, table.name, _as_run(found_out, folder, files))
    shown.show(console, found_out)
    size = f"{sum(map(len, files.values())) / 2**20:.1f} MiB"
    console.print(f"wrote {folder / PAGE} and {len(files) - 1} pictures, {size}")
    if tracked:
        console.print(f"run {_run_name(found_out)!r} in MLflow's experiment {table.name}")


class _Progress:
    """A line that says what is done, while it is; nothing where there is no terminal."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        columns = (SpinnerColumn(), BarColumn(24), TextColumn("{task.description}", markup=False))
        hidden = not console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=hidden)
        self._task = self._progress.add_task("", total=None)
        self._n_steps = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def expect(self, n_steps: int) -> None:
        """Take up how many more things there are to do."""
        self._n_steps += n_steps
        self._progress.update(self._task, total=self._n_steps)

    def tell(self, what: str) -> None:
        """Say what is done next."""
        self._progress.update(self._task, advance=1, description=panels.short(what))


def _foreign(word: str) -> str:
    """Give why a word is no setting of a look, or nothing."""
    if word.startswith("-") or (part := _part(word)) in PARTS:
        return ""
    if "=" not in word:
        return f"{word}: must be a setting, KEY=VALUE; see eda --help"
    hint = did_you_mean(part, [*PARTS, "output"])
    return f"{word}: a look has settings of data, split and tracking, and output{hint}"


def _part(word: str) -> str:
    return word.lstrip("+~").partition("=")[0].partition(".")[0]


def _folder_faults(folder: Path) -> list[str]:
    """Give what keeps files from being written into a folder, which is made if it is not there."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        return [f"output={folder}: must be a folder, but {there} is a file"]
    if not os.access(there, os.W_OK):
        return [f"output={folder}: must be a folder that can be written to, but {there} cannot"]
    return []


def _time_faults(table: Table, order_by: str | None) -> list[str]:
    if order_by is None:
        return []
    if order_by not in table.columns:
        hint = did_you_mean(order_by, table.columns)
        return [f"data.order_by={order_by}: is not a column of data={table.name}{hint}"]
    kind = table.columns[order_by].kind
    if kind not in NUMBERS:
        return [f"data.order_by={order_by}: must be a number or a time, but is {kind}"]
    return []


def _drawn(found: Look, progress: _Progress) -> dict[str, bytes]:
    """Give all files by name, the page last."""
    wanted = pictures.of(found)
    progress.expect(len(wanted))
    files = {}
    with panels.drawing():
        for picture in wanted:
            progress.tell(picture.file)
            files[picture.file] = panels.png(picture.draw())
    return files | {PAGE: page.html(found, files).encode(errors="replace")}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, each under its name only when it is whole.

    Raises
    ------
    StorageError
        If one cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".eda-", dir=folder) as aside:
            for name, content in files.items():
                (Path(aside) / name).write_bytes(content)
            for name in files:
                (Path(aside) / name).replace(folder / name)
    except OSError as error:
        why = error.strerror or error
        raise StorageError(f"output={folder}: cannot be written: {why}; free the disk") from None


def _as_run(found: Look, folder: Path, files: Mapping[str, bytes]) -> LookPage:
    return LookPage(
        name=_run_name(found),
        fingerprint=found.fingerprint,
        markdown=page.markdown(found),
        files=[folder / name for name in files],
    )


def _run_name(found: Look) -> str:
    return f"eda {found.name} {found.fingerprint[:8]}"
