"""Measure what a first look costs: 586,672 tracks as one CSV, first and from the cache.

Run: uv run python benchmarks/eda.py       (three looks of each, three minutes)

The CSV is that of benchmarks/loading.py: the shared tracks over and over. Every look is the command
as it is typed, in a process of its own, from its start to its end.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from loading import DEFAULT, MIB, ROWS, build
from rich.console import Console
from rich.progress import track
from rich.table import Table

KINDS = ("first", "table in the cache")


@dataclass(frozen=True)
class Cost:
    """Of one look; ``processor_s`` is of all threads."""

    seconds: float
    processor_s: float
    peak_mib: float
    page_mib: float


def measure(file: Path, folder: Path, cache: Path) -> Cost:
    """Look at a table of tracks once."""
    command = [sys.executable, "-m", "popsearch", "eda", "data=tracks", f"data.path={file}"]
    began = time.perf_counter()
    environment = {**os.environ, "POPSEARCH_CACHE_DIR": str(cache)}
    process = subprocess.Popen(
        [*command, f"output={folder}"], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit("the look failed")
    page = (folder / "eda.html").stat().st_size
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / MIB, page / MIB)


def main() -> None:
    """Look again and again, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DEFAULT, help="tracks.csv, plain or gzipped")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the CSV")
    parser.add_argument("--repeats", type=int, default=3, help="looks of each kind")
    args = parser.parse_args()
    if not args.data.is_file():
        sys.exit(f"{args.data} is not there: give the tracks as --data")

    costs: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(args.data, folder / "tracks.csv", args.rows)
        rounds = [(i, kind) for i in range(args.repeats) for kind in KINDS]
        for i, kind in track(rounds, "looking", transient=True):
            cost = measure(folder / "tracks.csv", folder / "look", folder / f"cache{i}")
            costs[kind].append(cost)

    load = os.getloadavg()[1]
    report = Table(title=f"{args.rows:,} tracks; median of {args.repeats}; load average {load:.1f}")
    for column in ("look", "s", "from-to", "processor s", "from-to", "peak MiB", "page MiB"):
        report.add_column(column, justify="left" if column == "look" else "right")
    for kind, found in costs.items():
        seconds, processor = [c.seconds for c in found], [c.processor_s for c in found]
        report.add_row(
            kind,
            f"{statistics.median(seconds):.1f}",
            f"{min(seconds):.1f}-{max(seconds):.1f}",
            f"{statistics.median(processor):.1f}",
            f"{min(processor):.1f}-{max(processor):.1f}",
            f"{statistics.median(c.peak_mib for c in found):.0f}",
            f"{found[0].page_mib:.2f}",
        )
    Console(width=100).print(report)


if __name__ == "__main__":
    main()
