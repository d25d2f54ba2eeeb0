"""The rows that the benchmarks share: the real tracks, or made-up ones where they are absent."""

from pathlib import Path

from popsearch.command import jobs
from popsearch.config import Config
from popsearch.data.demo import FULL_ROWS
from popsearch.errors import ConfigError
from popsearch.plan import Plan, prepare

DEFAULT = "../shared/data/tracks.csv.gz"
HELP = f"tracks.csv, plain or packed (default: {DEFAULT}); demo data where it is absent"


def choose(file: Path) -> list[str]:
    """Give the overrides that choose the data, and say so where the file is absent."""
    if file.is_file():
        return ["data=tracks", f"data.path='{file.resolve()}'"]
    print(f"{file} is not there: this runs on {FULL_ROWS:,} rows of demo data instead")
    return ["data=demo", f"data.rows={FULL_ROWS}"]


def plan(*overrides: str) -> Plan:
    """Give the checked plan that a command line with these overrides would search."""
    (job,) = jobs(overrides)
    if job.faults:
        raise ConfigError(*job.faults)
    return prepare(Config(**job.sections))
