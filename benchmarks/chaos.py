"""Kill everything at random, a hundred times and more, and see whether anything is lost.

Run: uv run python benchmarks/chaos.py            (half an hour)

A search of three workers on PostgreSQL, tracked by an MLflow server on PostgreSQL; then another
whose workers are tasks on a Ray cluster of three nodes. Killed are workers and the search itself
(SIGKILL), and nodes; PostgreSQL is restarted, MLflow's server is away for a minute at a time.
Whenever the command ends without success it is given again. At the end every trial is compared
with its run: state, parameters, values, length of the curve.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chaos import Chaos
from databases import postgres_server
from servers import Server

SEARCH = ["model=hist_gbr", "data.rows=2000", "model.steps.budget=100"]


def main() -> None:
    """Run both and print what was killed, and what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--kills", type=int, default=90)
    parser.add_argument("--ray-trials", type=int, default=100)
    parser.add_argument("--ray-kills", type=int, default=30)
    parser.add_argument("--outage-s", type=float, default=60.0, help="of MLflow's server")
    parser.add_argument("--pause-s", type=float, default=8.0, help="at most, between two kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=3600.0, help="of each")
    args = parser.parse_args()
    if args.kills:
        search("three workers of one computer", args, args.trials, args.kills)
    if args.ray_kills:
        with cluster() as nodes:
            search("three tasks on Ray", args, args.ray_trials, args.ray_kills, nodes)


def search(
    title: str,
    args: argparse.Namespace,
    n_trials: int,
    n_kills: int,
    nodes: Cluster | None = None,
) -> None:
    """Run one of them."""
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
            chaos = Chaos(
                folder, database, tracking, SEARCH, args.outage_s, args.pause_s, args.seed, nodes
            )
            trials = chaos.run(n_trials, n_kills, args.limit_s)
        finally:
            tracking.stop()
    table = Table("killed at random", "times")
    for what, times in chaos.killed.most_common():
        table.add_row(what, str(times))
    console = Console(width=100)
    console.print(f"\n{title}", style="bold")
    console.print(table)
    states = Counter(trial.state.name.lower() for trial in trials)
    told = ", ".join(f"{n} {state}" for state, n in states.items())
    console.print(
        f"{len(trials)} trials ({told}), all as their runs tell, after {chaos.n_starts} starts of "
        f"the command and {time.monotonic() - began:.0f} s; "
        f"{sum('retry_of' in trial.user_attrs for trial in trials)} had been tried before"
    )


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Give a Ray cluster with three nodes of one core, and a head that runs no tasks."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(3):
        made.add_node(num_cpus=1)
    try:
        yield made
    finally:
        made.shutdown()


if __name__ == "__main__":
    main()
