"""Measure what loading a table costs: 586,672 tracks as one CSV, first and from the cache.

Run: uv run python benchmarks/loading.py       (five loads of each, a minute or two)

The CSV is the shared tracks over and over, each time with other ids and names. Every load has a
process of its own, its imports made before; the file is in the operating system's memory. Peak is
what the process held at most beyond what it held after its imports, mapped files included.
"""

import argparse
import csv
import gzip
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

DEFAULT = "../shared/data/tracks.csv.gz"
ROWS = 586_672
MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """Of one load, and the size in memory of what came, where that is an Arrow table."""

    seconds: float
    peak_mib: float
    table_mib: float | None


# ---- what is loaded ------------------------------------------------------------------------


def build(tracks: Path, file: Path, n_rows: int) -> None:
    """Write so many rows of a tracks.csv, which may be gzipped, from its start again and again."""
    opener: Callable[..., Iterator[str]] = gzip.open if tracks.suffix == ".gz" else open
    with opener(tracks, "rt", encoding="utf-8", newline="") as source:
        header, *rows = csv.reader(source)
    name, key = header.index("name"), header.index("id")
    endless = ((copy, row) for copy in itertools.count() for row in rows)
    with file.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(header)
        for copy, row in itertools.islice(endless, n_rows):
            if copy:
                row = [*row]
                row[name] += f" {copy}"
                row[key] = f"{row[key][:-1]}{copy}"
            writer.writerow(row)


# ---- the loads -----------------------------------------------------------------------------

Load = Callable[[], object]


def by_pandas(file: str) -> Load:
    import pandas as pd

    return lambda: pd.read_csv(file)


def by_files(file: str) -> Load:
    from popsearch.data import files

    return lambda: files.read(file)


def by_search(file: str, *overrides: str) -> Load:
    """Give the load that a search with these overrides begins with."""
    import popsearch.data.csv
    import popsearch.data.tracks
    from popsearch.command import jobs
    from popsearch.errors import ConfigError

    (job,) = jobs([*overrides, f"data.path='{file}'"])
    if job.faults:
        raise ConfigError(*job.faults)
    return lambda: popsearch.data.load(job.sections["data"])


def by_tracks(file: str) -> Load:
    return by_search(file, "data=tracks")


def by_csv(file: str) -> Load:
    return by_search(file, "data=csv", "data.target=popularity")


# In this order: the second load of a kind finds in the cache what the first left there.
LOADS = {
    "pandas.read_csv": by_pandas,
    "files.read": by_files,
    "data=tracks, first": by_tracks,
    "data=tracks, second": by_tracks,
    "data=csv, first": by_csv,
    "data=csv, second": by_csv,
}


def measure(name: str, file: str, cache: str) -> Cost:
    """Load once; to be called in a process of its own."""
    import pandas  # noqa: F401 - so that it counts for none

    os.environ["POPSEARCH_CACHE_DIR"] = cache
    load = LOADS[name](file)
    before = _held("VmRSS")
    began = time.perf_counter()
    table = load()
    seconds = time.perf_counter() - began
    peak = _held("VmHWM") - before
    size = getattr(table, "nbytes", None)
    return Cost(seconds, peak / MIB, size / MIB if size is not None else None)


def _held(field: str) -> int:
    # Not ru_maxrss: in a new process it begins with the peak of the one that started it.
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


# ---- the comparison ------------------------------------------------------------------------


def main() -> None:
    """Load in every way, one after another and again, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DEFAULT, help="tracks.csv, plain or gzipped")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the CSV")
    parser.add_argument("--repeats", type=int, default=5, help="loads of each kind")
    args = parser.parse_args()
    if not args.data.is_file():
        sys.exit(f"{args.data} is not there: give the tracks as --data")

    costs: dict[str, list[Cost]] = {name: [] for name in LOADS}
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool,
    ):
        file = Path(folder) / "tracks.csv"
        pool.submit(build, args.data, file, args.rows).result()
        file_mib = file.stat().st_size / MIB
        rounds = [(i, name) for i in range(args.repeats) for name in LOADS]
        for i, name in track(rounds, "loading", transient=True):
            cost = pool.submit(measure, name, str(file), f"{folder}/cache{i}").result()
            costs[name].append(cost)

    table_mib = costs["files.read"][0].table_mib or 0.0
    report = Table(
        title=f"{args.rows:,} tracks, CSV of {file_mib:.0f} MiB, {table_mib:.0f} MiB as an Arrow "
        f"table; median of {args.repeats}"
    )
    for column in ("load", "s", "from-to", "peak MiB", "from-to", "peak / table"):
        report.add_column(column, justify="left" if column == "load" else "right")
    for name, found in costs.items():
        seconds = [cost.seconds for cost in found]
        peaks = [cost.peak_mib for cost in found]
        report.add_row(
            name,
            f"{statistics.median(seconds):.2f}",
            f"{min(seconds):.2f}-{max(seconds):.2f}",
            f"{statistics.median(peaks):.0f}",
            f"{min(peaks):.0f}-{max(peaks):.0f}",
            f"{statistics.median(peaks) / table_mib:.2f}",
        )
    Console(width=100).print(report)


if __name__ == "__main__":
    main()
