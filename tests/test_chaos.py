"""Whatever dies, and whenever: the same command again ends in the right number of trials."""

import pytest

from chaos import Chaos
from databases import postgres_server
from servers import Server


def test_everything_is_killed_and_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Workers, the search itself, PostgreSQL, and MLflow's server, whose runs are there as well.

    Each trial that counts has one run with the same parameters, values and curve; none is left
    running, none is there twice. The long form is benchmarks/chaos.py.
    """
    folder = tmp_path_factory.mktemp("chaos")
    with postgres_server() as database, postgres_server() as runs:
        tracking = Server(folder, runs.get_uri().replace("://", "+psycopg://", 1))
        tracking.start()
        try:
            search = ["model=ridge", "data.rows=2000"]
            chaos = Chaos(folder, database, tracking, search, outage_s=4, pause_s=1.5, seed=1)
            chaos.run(n_trials=80, n_kills=10, limit_s=400)
        finally:
            tracking.stop()
    assert chaos.killed.total() == 10
    assert set(chaos.killed) == {"worker", "parent", "database", "tracking"}
