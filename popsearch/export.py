"""python -m popsearch export: the trials of a study as a table, for any other program."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from popsearch import command
from popsearch.comparison import is_of_a_search, refuse
from popsearch.config import Config
from popsearch.errors import StorageError, did_you_mean
from popsearch.plan import prepare
from popsearch.study import StoredTrial, storage_errors, stored

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

OWN = ("output", "curves")
SUFFIXES = (".csv", ".parquet")


def export(words: Sequence[str], console: "Console") -> None:
    """Write the trials of a study to a file, or as CSV to standard output.

    Parameters
    ----------
    words
        The name of a study, or the settings of its search; ``output=FILE`` for the trials and
        ``curves=FILE`` for their curves, as CSV or Parquet; settings of storage.

    Raises
    ------
    ConfigError
        With all that is wrong; nothing was created.
    StorageError
        If the database does not answer, or a file cannot be written.
    """
    own = {key: value for key, _, value in (word.partition("=") for word in words) if key in OWN}
    rest = [word for word in words if word.partition("=")[0] not in OWN]
    names = [word for word in rest if "=" not in word and not word.startswith("-")]
    settings = [word for word in rest if word not in names]
    jobs = command.jobs(settings)
    found = [f for key, value in own.items() for f in _file_faults(key, value)]
    found += [fault for job in jobs for fault in job.faults]
    of_a_search = any(map(is_of_a_search, settings))
    if len(names) + len(jobs) * of_a_search > 1:
        found.append(
            "one study is exported at a time; give one name, or the settings of one search"
        )
    refuse(found)
    (cfg, *_) = [Config(**job.sections) for job in jobs]
    url = cfg.storage.url
    with storage_errors(url):
        if of_a_search:
            names = [prepare(cfg).study_name]
        refuse(stored.faults(url, names))
        if not names:
            hint = did_you_mean("", stored.names(url))
            refuse([f"a study is required: give its name, or the settings of its search{hint}"])
        trials = stored.trials(url, names[0])
    if "curves" in own:
        _write(Path(own["curves"]), "curves", curves(trials))
    if "output" in own:
        _write(Path(own["output"]), "output", table(trials))
        files = " and ".join(own[key] for key in OWN if key in own)
        console.print(f"wrote {len(trials):,} trials of {names[0]} to {files}")
    elif "curves" not in own:
        sys.stdout.write(_csv(table(trials)).decode())
    else:
        console.print(
            f"wrote the curves of {len(trials):,} trials of {names[0]} to {own['curves']}"
        )


def table(trials: Sequence[StoredTrial]) -> "pa.Table":
    """Give one row for each trial: number, state, times, scores, ``params_*``, worker, reason."""
    import pyarrow as pa

    scores = list(dict.fromkeys(name for trial in trials for name in trial.scores))
    params = sorted({name for trial in trials for name in trial.params})  # as Optuna has them
    columns: dict[str, pa.Array] = {
        "number": pa.array([t.number for t in trials], pa.int64()),
        "state": pa.array([t.state for t in trials], pa.string()),
        "began": pa.array([t.began for t in trials], pa.timestamp("us")),
        "ended": pa.array([t.ended for t in trials], pa.timestamp("us")),
        "duration_s": pa.array([_duration_s(t) for t in trials], pa.float64()),
    }
    for name in scores:
        columns[name] = pa.array([t.scores.get(name) for t in trials], pa.float64())
    for name in params:
        columns[f"params_{name}"] = _plain([t.params.get(name) for t in trials])
    for name in ("worker", "reason", "run_id"):
        columns[name] = pa.array([getattr(t, name) or None for t in trials], pa.string())
    return pa.table(columns)


def curves(trials: Sequence[StoredTrial]) -> "pa.Table":
    """Give one row for each step of each trial: the best validation MSE up to there.

    ``resource`` is how much of it the step uses, in units of what the first one does.
    """
    import pyarrow as pa

    points = [(t.number, r, mse) for t in trials for r, mse in sorted(t.curve.items())]
    number, resource, val_mse = zip(*points, strict=True) if points else ((), (), ())
    return pa.table({
        "number": pa.array(number, pa.int64()),
        "resource": pa.array(resource, pa.int64()),
        "best_val_mse": pa.array(val_mse, pa.float64()),
    })  # fmt: skip


def _plain(values: Sequence[Any]) -> "pa.Array":
    """Give the values of a parameter as one type; as JSON where they are of several, or lists."""
    import pyarrow as pa

    given = [value for value in values if value is not None]
    types = {type(value) for value in given}
    if len(types) < 2 and types <= {bool, int, float, str}:
        return pa.array(values)
    if types == {int, float}:
        return pa.array(values, pa.float64())
    return pa.array([None if v is None else json.dumps(v) for v in values], pa.string())


def _duration_s(trial: StoredTrial) -> float | None:
    return (trial.ended - trial.began).total_seconds() if trial.began and trial.ended else None


def _file_faults(key: str, value: str) -> list[str]:
    path = Path(value)
    found = []
    if path.suffix not in SUFFIXES:
        found.append(f"{key}={value}: must end in {' or '.join(SUFFIXES)}")
    if path.is_dir() or not path.parent.is_dir():
        found.append(f"{key}={value}: must be a file in a folder that is there; create that first")
    return found


def _csv(made: "pa.Table") -> bytes:
    """Give a table as CSV: numbers and times as they are, texts in quotation marks."""
    import pyarrow as pa
    import pyarrow.csv

    stream = pa.BufferOutputStream()
    pyarrow.csv.write_csv(made, stream)
    written: bytes = stream.getvalue().to_pybytes()
    return written


def _write(path: Path, key: str, made: "pa.Table") -> None:
    """Write a file under its name only when it is whole.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    import pyarrow.parquet

    beside = path.with_name(f".{path.name}.tmp")
    try:
        try:
            if path.suffix == ".csv":
                beside.write_bytes(_csv(made))
            else:
                pyarrow.parquet.write_table(made, beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise StorageError(f"{key}={path}: cannot be written: {why}") from None
