"""Measure what the whole process costs, from the command to its end, and which imports it pays.

Run: uv run python benchmarks/startup.py   (five runs of each command: three minutes)

Imports are counted once a command with ``-X importtime``, which is slower than without: each
package's own time, so that the shares of a command do not overlap.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

SEARCH = ["-m", "popsearch", "model=ridge", "n_trials=1", "data.rows=500"]
COMMANDS = {  # in this order, so that AGAIN finds the databases of the one before it
    "python -c pass": ["-c", "pass"],
    "--help": ["-m", "popsearch", "--help"],
    "--cfg job": ["-m", "popsearch", "--cfg", "job"],
    "one trial, tracking=none": [*SEARCH, "tracking=none"],
    "one trial, fresh folder": SEARCH,
    "the same again, nothing to do": SEARCH,
    "import sklearn.ensemble": ["-c", "import sklearn.ensemble"],
    "import mlflow": ["-c", "import mlflow"],
}
AGAIN = "the same again, nothing to do"
LINE = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s*([\w.]+)", re.MULTILINE)
SHOWN = 4
MIN_MS = 20.0


def run(arguments: list[str], folder: Path) -> tuple[float, str]:
    """Run Python with these arguments in a folder; give the seconds and what it said on stderr."""
    # The databases must be those of the folder, whatever this shell says about MLflow.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return seconds, done.stderr


def imports(stderr: str) -> str:
    """Give the packages whose modules took longest to import, in ms each."""
    by_package: Counter[str] = Counter()
    for microseconds, module in LINE.findall(stderr):
        by_package[module.split(".")[0]] += int(microseconds)
    parts = [f"{name} {us / 1000:.0f}" for name, us in by_package.most_common(SHOWN)]
    large = [part for part in parts if float(part.split()[1]) >= MIN_MS]
    return f"{sum(by_package.values()) / 1e6:.1f} s: {', '.join(large)}" if large else "-"


def round_of(extra: list[str], progress: Progress) -> dict[str, tuple[float, str]]:
    """Run every command once, each in a fresh folder but the one that is to find databases."""
    found = {}
    with tempfile.TemporaryDirectory() as parent:
        task = progress.add_task("running", total=len(COMMANDS))
        for i, (name, arguments) in enumerate(COMMANDS.items()):
            if name != AGAIN:
                folder = Path(parent) / str(i)
                folder.mkdir()
            found[name] = run([*extra, *arguments], folder)
            progress.advance(task)
        progress.remove_task(task)
    return found


def main() -> None:
    """Time every command, one after another and again, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each command")
    n = parser.parse_args().repeats

    with Progress(transient=True) as progress:
        imported = {
            name: imports(stderr)
            for name, (_, stderr) in round_of(["-X", "importtime"], progress).items()
        }
        rounds = [round_of([], progress) for _ in range(n)]
    report = Table(title=f"seconds of a whole process, median of {n}")
    report.add_column("command")
    report.add_column("s", justify="right")
    report.add_column("from-to", justify="right")
    report.add_column(f"imports: all, and the {SHOWN} largest packages in ms")
    for name in COMMANDS:
        seconds = [one[name][0] for one in rounds]
        report.add_row(
            name,
            f"{statistics.median(seconds):.2f}",
            f"{min(seconds):.2f}-{max(seconds):.2f}",
            imported[name],
        )
    Console(width=100).print(report)


if __name__ == "__main__":
    main()
