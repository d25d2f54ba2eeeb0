"""What can be typed in place of a search: python -m popsearch cache, check, eda and so on."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from popsearch.errors import ConfigError, StorageError
from popsearch.faults import hide_secrets

if TYPE_CHECKING:
    from rich.console import Console


def cache(words: list[str]) -> None:
    """List the parsed tables that are kept, or remove them.

    Raises
    ------
    ConfigError
        If it is followed by anything but ``clear``.
    StorageError
        If a table cannot be removed.
    """
    if words not in ([], ["clear"]):
        raise ConfigError(
            "cache must stand alone or be followed by clear, "
            f"but got {' '.join(words)!r}; choose from: cache, cache clear"
        )
    _clear() if words else _list()


def champion(words: list[str]) -> None:
    """List the champions of all data sets, or make a study's model the champion of its data.

    Raises
    ------
    ConfigError
        If there is no such study, or more than one is named.
    StorageError
        If a database does not answer.
    """
    from popsearch import champions

    console = _console()
    if not console.is_terminal:  # a file has no width
        console.width = 200
    champions.typed(words, console)


def check(words: list[str]) -> None:
    """Compare every trial with its run, and show where they do not tell the same.

    Parameters
    ----------
    words
        ``repair``, to make the runs agree; names of studies; and settings: those of storage
        and tracking say where to look, others name the study that they belong to.

    Raises
    ------
    ConfigError
        If there is nothing to compare; then nothing was created.
    StorageError
        If a database does not answer.
    SystemExit
        With code 1, if something remains that does not agree.
    """
    from popsearch import comparison

    places = comparison.places([word for word in words if word != "repair"])
    if not comparison.show(_console(), places, "repair" in words):
        raise SystemExit(1)


def eda(words: list[str]) -> None:
    """Look at a table before any search: its columns, and what each says about the target.

    Parameters
    ----------
    words
        Settings of data, split and tracking, and ``output=``.

    Raises
    ------
    ConfigError
        If anything is wrong with the table or the settings; then nothing was created.
    StorageError
        If a file cannot be written, or the tracking store does not answer.
    """
    from popsearch.eda import typed

    typed.eda(words, _console())


def export(words: list[str]) -> None:
    """Write the trials of a study as CSV or Parquet.

    Parameters
    ----------
    words
        The name of a study, or the settings of its search; ``output=`` and ``curves=``.

    Raises
    ------
    ConfigError
        If there is no such study, or a word is none of these; then nothing was created.
    StorageError
        If the database does not answer, or a file cannot be written.
    """
    from popsearch import export as exported

    exported.export(words, _console())


def fetch(words: list[str]) -> None:
    """Fetch the table of tracks from Kaggle, unless it is there, and print where it lies.

    Parameters
    ----------
    words
        Nothing, or ``output=FILE`` for a copy.

    Raises
    ------
    ConfigError
        If it is followed by anything else.
    DataError
        If it cannot be fetched.
    StorageError
        If the copy cannot be written.
    """
    targets = [word.removeprefix("output=") for word in words if word.startswith("output=")]
    if len(targets) < len(words) or len(words) > 1:
        raise ConfigError(
            f"fetch must stand alone or be followed by output=FILE, but got {' '.join(words)!r}"
        )
    if targets and not Path(targets[0]).absolute().parent.is_dir():
        raise ConfigError(
            f"output={targets[0]}: must be in a folder that is there; create it first"
        )
    from popsearch.data import kaggle

    path = kaggle.fetch()
    if targets:
        path = _copied(path, Path(targets[0]))
    _console().print(str(path))


def leaderboard(words: list[str]) -> None:
    """Show all studies on the same data, features and split, best first.

    Parameters
    ----------
    words
        Names of data sets, ``format=``, ``output=`` and settings.

    Raises
    ------
    ConfigError
        If there is nothing to show, or a word is none of these; then nothing was created.
    StorageError
        If a database does not answer, or the file cannot be written.
    """
    from popsearch.leaderboard import typed

    console = _console()
    if not console.is_terminal:  # a file has no width
        console.width = 200
    typed.leaderboard(words, console)


def predict(words: list[str]) -> None:
    """Predict the rows of a file with a stored model, and write the predictions to another file.

    Parameters
    ----------
    words
        ``model=``, ``input=``, ``output=``, ``keep=``, ``data=`` and settings of tracking.

    Raises
    ------
    PopsearchError
        With all that is wrong; nothing was written.
    """
    from popsearch.predict import typed

    typed.predict(words, _console())


def ensemble(words: list[str]) -> None:
    """Make an ensemble of the best trials of all studies on the same data, features and split.

    Parameters
    ----------
    words
        Names of data sets, and settings.

    Raises
    ------
    ConfigError
        If there is nothing to make it of, or a word is none of these; then nothing was created.
    StorageError
        If a database does not answer.
    SystemExit
        If a signal stopped it.
    """
    from popsearch import interrupt
    from popsearch.ensemble import typed

    console = _console()
    if not console.is_terminal:  # a file has no width
        console.width = 200
    command = shlex.join(["python", "-m", "popsearch", "ensemble", *words])
    if stopped_by := typed.ensemble(words, hide_secrets(command), console):
        raise SystemExit(interrupt.EXIT_CODES[stopped_by])


def sync(words: list[str]) -> None:
    """Send what tracking servers have yet to hear of.

    Raises
    ------
    ConfigError
        If it is followed by anything but ``all``.
    SystemExit
        With code 1, while something still waits.
    """
    if words not in ([], ["all"]):
        raise ConfigError(
            "sync must stand alone or be followed by all, "
            f"but got {' '.join(words)!r}; choose from: sync, sync all"
        )
    from popsearch.tracking import unsent

    lines, n_waiting = unsent.send_all(everyones=bool(words))
    console = _console()
    for line in lines:
        console.print(line)
    if n_waiting:
        raise SystemExit(1)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "cache": cache,
    "champion": champion,
    "check": check,
    "eda": eda,
    "ensemble": ensemble,
    "export": export,
    "fetch": fetch,
    "leaderboard": leaderboard,
    "predict": predict,
    "sync": sync,
}
"""What runs for a first word without an equals sign, by that word."""


def _list() -> None:
    from rich.table import Table

    from popsearch.data import cache as kept

    console = _console()
    found = kept.entries()
    if found:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("file", overflow="fold")
        for name in ("rows", "MiB"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("last used", no_wrap=True)
        for entry in found:
            used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used))
            table.add_row(entry.source, f"{entry.n_rows:,}", _mib(entry.n_bytes), used)
        console.print(table)
    total = _mib(sum(entry.n_bytes for entry in found))
    console.print(f"{_tables(len(found))}, {total} MiB in {kept.folder()}")


def _copied(source: Path, target: Path) -> Path:
    """Copy a file, under its name only when it is whole; into a folder with the name it has."""
    import shutil

    target = target / source.name if target.is_dir() else target
    beside = target.with_name(f".{target.name}.tmp")
    try:
        try:
            shutil.copyfile(source, beside)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise StorageError(f"output={target}: cannot be written: {why}") from None
    return target


def _clear() -> None:
    from popsearch import residuals
    from popsearch.data import cache as kept

    try:
        n_tables, n_bytes = kept.clear()
        n_bytes += residuals.clear()
    except OSError as error:
        raise StorageError(
            f"cache clear: cannot remove {error.filename}: {error.strerror or error}"
        ) from None
    _console().print(f"removed {_tables(n_tables)}, freed {_mib(n_bytes)} MiB in {kept.folder()}")


def _console() -> "Console":
    """Give a console that prints names of files as they are."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def _tables(number: int) -> str:
    return f"{number} {'table' if number == 1 else 'tables'}"


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.1f}"
