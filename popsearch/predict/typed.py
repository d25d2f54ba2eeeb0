"""What is typed: python -m popsearch predict."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from popsearch import command, tracking
from popsearch.comparison import refuse
from popsearch.config import Config, NoTracking
from popsearch.data import files
from popsearch.errors import ConfigError, DataError, did_you_mean, disk_error
from popsearch.predict import rows
from popsearch.report import duration
from popsearch.tracking import StoredModels, tracking_errors

if TYPE_CHECKING:
    from rich.console import Console

OWN = ("model", "input", "output", "keep", "data")


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Parameters
    ----------
    keep
        Columns of the input that go into the output too.
    """

    input: Path
    output: Path
    keep: Sequence[str]


def predict(words: Sequence[str], console: "Console") -> None:
    """Predict the rows of a file with a stored model, and write the predictions to another one.

    Parameters
    ----------
    words
        ``model=``, ``input=``, ``output=``, ``keep=``, ``data=``; settings of tracking say where
        models are.

    Raises
    ------
    PopsearchError
        With all that is wrong; nothing was written.
    """
    began = time.monotonic()
    own = {key: value for key, _, value in (w.partition("=") for w in words) if key in OWN}
    faults = [
        f"{word}: must be one of {', '.join(f'{key}=' for key in OWN)} or a setting of tracking"
        f"{did_you_mean(word.partition('=')[0], OWN)}"
        for word in words
        if word.partition("=")[0] not in OWN and not word.startswith("tracking")
    ]
    jobs = command.jobs([word for word in words if word.startswith("tracking")])
    faults += [fault for job in jobs for fault in job.faults]
    order = _order(own, faults)
    refuse(faults if any(job.faults for job in jobs) else [])
    cfg = Config(**jobs[0].sections).tracking
    unreadable = tracking.faults(cfg) or tracking.stored.faults(cfg)
    refuse([*faults, *unreadable] if unreadable else [])
    assert not isinstance(cfg, NoTracking)
    with tracking_errors(cfg):
        models = StoredModels(cfg.uri)
        try:
            found = models.find(own.get("model") or "champion", own.get("data"))
        except ConfigError as error:
            raise ConfigError(*faults, *error.faults) from None
        refuse(faults)
        assert order is not None
        model = models.load(found)
    try:
        n_rows = rows.predict(model, order.input, order.output, order.keep, console)
    except OSError as error:
        raise disk_error(error) from None
    took = duration(time.monotonic() - began)
    console.print(f"wrote {order.output}: {n_rows:,} predictions of {found.name} in {took}")


def _order(own: Mapping[str, str], faults: list[str]) -> Order | None:
    """Give what is to be done, or add what is wrong with it to the faults."""
    before = len(faults)
    faults += [
        f"{key} is required; give {key}={example}"
        for key, example in (("input", "ROWS.csv"), ("output", "predictions.parquet"))
        if not own.get(key)
    ]
    keep = [name.strip().strip("'\"") for name in own.get("keep", "").strip("[]").split(",")]
    keep = [name for name in keep if name]
    if rows.PREDICTION in keep:
        faults.append(f"keep: {rows.PREDICTION} is what the predictions are called; leave it out")
    if len({*keep}) < len(keep):
        faults.append("keep: names a column more than once")
    file, output = None, Path(own.get("output", "")).expanduser()
    if own.get("input"):
        try:
            file = files.find(own["input"], "input")
        except DataError as error:
            faults.extend(error.faults)
    if own.get("output"):
        faults += _output_faults(own["output"], output)
        if file is not None and output.exists() and output.samefile(file):
            faults.append(f"output={own['output']}: must be another file than the input")
    if len(faults) > before or file is None:
        return None
    return Order(file, output, keep)


def _output_faults(typed: str, output: Path) -> list[str]:
    if output.suffix.lower() not in rows.SUFFIXES:
        return [f"output={typed}: must end in {' or '.join(rows.SUFFIXES)}"]
    if output.is_dir() or not output.parent.is_dir():
        return [f"output={typed}: must be a file in a folder that is there; create that first"]
    return []
