"""The first look at a table in MLflow: one run for each table, renewed with every look."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from popsearch import sqlite
from popsearch.tracking import boards
from popsearch.tracking.client import connect, experiment

KIND = "eda"
FOLDER = "eda"  # among the run's artifacts


@dataclass(frozen=True)
class LookPage:
    """What the run of a table's first look shows.

    Parameters
    ----------
    name
        Of the run.
    fingerprint
        Of the data: there is one run for each.
    markdown
        Its description.
    files
        On this computer, the page that holds all others last.
    """

    name: str
    fingerprint: str
    markdown: str
    files: Sequence[Path]

    @property
    def digest(self) -> str:
        """Hash of the description and of the page, which has the pictures in it."""
        told = self.markdown.encode() + self.files[-1].read_bytes()
        return hashlib.sha256(told).hexdigest()


def log_look(uri: str, data: str, page: LookPage) -> bool:
    """Write a look on its run, in the experiment of the data set, if anything on it is new.

    Returns
    -------
    Whether it was written.
    """
    client = connect(sqlite.absolute(uri))
    digest = page.digest
    own = experiment(client, data), KIND, page.fingerprint, page.name, digest
    if (run_id := boards.renewed(client, *own)) is None:
        return False
    for file in page.files:
        client.log_artifact(run_id, str(file), FOLDER)
    boards.complete(client, run_id, {"mlflow.note.content": page.markdown}, digest)
    return True
