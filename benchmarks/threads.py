"""What threads cost or give histogram boosting, on a machine at rest and beside other work.

uv run python benchmarks/threads.py
"""

import argparse
import os
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

FIT = """
import time, numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
rng = np.random.default_rng(0)
X = rng.normal(size=({rows}, 13))
y = X[:, 0] + np.sin(X[:, 1] * X[:, 2]) + rng.normal(size={rows})
HistGradientBoostingRegressor(max_iter=3).fit(X, y)
began = time.perf_counter()
HistGradientBoostingRegressor(max_iter=100, early_stopping=False).fit(X, y)
print(time.perf_counter() - began)
"""
SETTINGS = {
    "as it comes": {},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 40_000, 140_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit-s", type=float, default=40, help="of one fit")
    args = parser.parse_args()
    table = Table(title="seconds of one fit of 100 iterations, median (from-to), by rows")
    table.add_column("threads")
    for rows in args.rows:
        table.add_column(f"{rows:,}", justify="right")
        table.add_column("busy", justify="right")
    times: dict[tuple[str, int, bool], list[float]] = {}
    for busy in (False, True):
        other = _other_work() if busy else None
        for _ in range(args.repeats):
            for rows in args.rows:
                for name, env in SETTINGS.items():
                    seconds = _fit(rows, env, args.limit_s)
                    times.setdefault((name, rows, busy), []).append(seconds)
        if other:
            other.kill()
    for name in SETTINGS:
        cells = [times[name, rows, busy] for rows in args.rows for busy in (False, True)]
        table.add_row(name, *(_shown(c, args.limit_s) for c in cells))
    console = Console()
    console.print(table)
    console.print("busy: beside one process that keeps one core at work")


def _fit(rows: int, env: dict[str, str], limit_s: float) -> float:
    try:
        done = subprocess.run(
            [sys.executable, "-c", FIT.format(rows=rows)],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return float("inf")
    return float(done.stdout)


def _other_work() -> "subprocess.Popen[bytes]":
    """Start one process that keeps one core busy."""
    return subprocess.Popen([sys.executable, "-c", "while True: pass"])


def _shown(times: list[float], limit_s: float) -> str:
    ends = [statistics.median(times), min(times), max(times)]
    middle, low, high = (f">{limit_s:.0f}" if t == float("inf") else f"{t:.2f}" for t in ends)
    return f"{middle} ({low}-{high})"


if __name__ == "__main__":
    main()
