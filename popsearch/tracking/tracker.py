"""What a tracker is asked to write down: the side that the search sees."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from popsearch.outcome import Outcome, State
from popsearch.space import Params

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from popsearch.data.intake import Intake

Given = Literal["given back", "failed"]


@dataclass(frozen=True)
class StudyRecord:
    """What is written down of a study when its run is opened for the first time.

    Parameters
    ----------
    texts
        Become files of the run, by name.
    params
        What is searched: columns of the trials.
    data_name, data_digest, data_source
        The table: its fingerprint is over all rows, where MLflow's own digest reads 10,000.
    """

    name: str
    tags: Mapping[str, str]
    texts: Mapping[str, str]
    data_name: str
    data_digest: str
    data_source: str
    params: Sequence[str] = ()


@dataclass(frozen=True)
class Ticket:
    """What another process needs to write on the runs of a study that is open.

    Parameters
    ----------
    run_id
        The study's own run, below which the trials stand.
    """

    study: str = ""
    experiment_id: str = ""
    run_id: str = ""


class Tracker:
    """Where a study's trials are written down for people; this one writes nothing."""

    page = ""
    """Where a browser finds the runs, below the address of the server."""

    def page_of(self, run_id: str) -> str:
        """Give where a browser finds a run, below the address of the server; empty if not yet."""
        return ""

    def open_study(self, study: StudyRecord) -> str:
        """Open the run of a study, new or old, and give its id: empty without tracking."""
        return ""

    def ticket(self) -> Ticket:
        """Give what a tracker in another process needs to join the study that is open here."""
        return Ticket()

    def join(self, ticket: Ticket) -> None:
        """Write on the runs of a study that another process has opened."""

    def start(self, number: int, params: Params) -> str:
        """Open the run of a trial, below the study's, and give its id: empty without tracking.

        While a server is away it is a name that stands for the id, here and in ``finished``.
        """
        return ""

    def step(self, run_id: str, outcome: Outcome) -> None:
        """Hear that a trial took a step; what it has is written now and then."""

    def finish(self, run_id: str, outcome: Outcome, scores: Mapping[str, float]) -> None:
        """Write a trial's scores and the rest of its curve, and close its run."""

    def close(
        self,
        run_id: str,
        reason: str,
        state: Given = "given back",
        params: Params | None = None,
    ) -> None:
        """Close the run of a trial that did not end by itself.

        Parameters
        ----------
        state
            ``failed`` where it is not tried again.
        params
            Its parameters, which a process that died may not have written.
        """

    def finished(self, run_id: str) -> tuple[State, dict[str, float]] | None:
        """Give state and scores of a run that ``finish`` has closed, else none."""
        return None

    def close_left_behind(self) -> bool:
        """Close the study's open runs whose process died; those of a live one stay.

        Returns
        -------
        Whether all that is known here has reached the store: not while a server is away.
        """
        return True

    @contextlib.contextmanager
    def watching(self, computer: str = "") -> Iterator[None]:
        """Write now and then on the study's run what this computer does, until it is closed.

        Parameters
        ----------
        computer
            Its name, where others may write on the same run.
        """
        yield

    def describe(self, tags: Mapping[str, str]) -> None:
        """Write tags on the study's run."""

    def close_study(self, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Write what is known at the end on the study's run, and close it."""

    def send_rest(self) -> None:
        """Try once more to send what waits for a server; the last call of a process."""

    def log_model(
        self,
        fitted: Any,
        intake: "Intake",
        example: "pd.DataFrame",
        packages: Sequence[str],
        card: str,
        name: str = "model",
    ) -> str | None:
        """Store a fitted pipeline or a blend as a model of the study's run, without pickle.

        Parameters
        ----------
        example
            Some rows with the user's own columns.
        packages
            What the model needs to be loaded.
        card
            What is told of it, as Markdown.

        Returns
        -------
        Its address, empty without tracking; none where it was not stored, for a server is away
        and a model cannot wait.
        """
        return ""

    def log_files(self, folder: Path, what: str) -> bool:
        """Store all files of a folder on the study's run, in the place of those of their names.

        Parameters
        ----------
        what
            Begins the sentence that tells where it is not possible: "the report is".

        Returns
        -------
        Whether they were stored: not where a server is away.
        """
        return True

    def read(self, path: str) -> bytes | None:
        """Give a file of the study's run, none where it is not there or a server is away."""
        return None

    def curves(self, run_id: str) -> dict[str, dict[float, float]]:
        """Give training and validation MSE of a trial by resource; empty where not known."""
        return {}

    def log_val_residuals(self, residuals: "Mapping[int, NDArray[np.float32]]") -> bool:
        """Store residuals on the validation rows, (n_rows,), by number of their trials.

        Returns
        -------
        Whether they were stored: not where a server is away.
        """
        return True

    def log_test_residuals(self, number: int, residuals: "NDArray[np.float32]") -> bool:
        """Store the residuals on the test rows, (n_rows,), of the trial with this number.

        Returns
        -------
        Whether they were stored: not where a server is away.
        """
        return True
