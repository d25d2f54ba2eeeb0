"""Kill everything at random, a hundred times and more, and see whether anything is lost.

Run: uv run python benchmarks/chaos.py            (a quarter of an hour)

A search of three workers on PostgreSQL, tracked by an MLflow server on PostgreSQL. Killed are its
workers and the search itself (SIGKILL), PostgreSQL is restarted, MLflow's server is away for a
minute at a time. Whenever the command ends without success it is given again. At the end every
trial is compared with its run: state, parameters, values, length of the curve.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chaos import Chaos
from databases import postgres_server
from servers import Server

SEARCH = ["model=hist_gbr", "data.rows=2000", "model.steps.budget=100"]


def main() -> None:
    """Run it and print what was killed, and what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=2500)
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--outage-s", type=float, default=60.0, help="of MLflow's server")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=3600.0)
    args = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as name,
        postgres_server() as database,
        postgres_server() as runs,
    ):
        folder = Path(name)
        tracking = Server(folder, runs.get_uri().replace("://", "+psycopg://", 1))
        tracking.start()
        try:
            chaos = Chaos(folder, database, tracking, SEARCH, args.outage_s, args.seed)
            trials = chaos.run(args.trials, args.kills, args.limit_s)
        finally:
            tracking.stop()
    table = Table(title="killed at random")
    for column in ("what", "times"):
        table.add_column(column, justify="right")
    for what, times in chaos.killed.most_common():
        table.add_row(what, str(times))
    console = Console(width=100)
    console.print(table)
    states = Counter(trial.state.name.lower() for trial in trials)
    console.print(
        f"{len(trials)} trials of {args.trials} ({dict(states)}), all as their runs tell, after "
        f"{chaos.n_starts} starts of the command and {time.monotonic() - began:.0f} s; "
        f"{sum('retry_of' in trial.user_attrs for trial in trials)} had been tried before"
    )


if __name__ == "__main__":
    main()
