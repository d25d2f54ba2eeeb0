"""Residuals of trials, as small files of their study's run."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlflow import MlflowClient

Of = Literal["test", "val"]
"""Residuals of a winner on the test rows, or of the best trials on the validation rows."""


def log(
    client: "MlflowClient",
    run_id: str,
    number: int,
    residuals: NDArray[np.float32],
    of: Of = "test",
) -> None:
    """Store the residuals of a trial, (n_rows,), as NumPy's own file; again is the same file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _name(number)
        np.save(file, residuals.astype(np.float32), allow_pickle=False)
        client.log_artifact(run_id, str(file), _folder(of))


def log_new(
    client: "MlflowClient", run_id: str, residuals: Mapping[int, NDArray[np.float32]]
) -> None:
    """Store residuals on the validation rows by number of their trials: those not yet there."""
    there = {Path(each.path).name for each in client.list_artifacts(run_id, _folder("val"))}
    for number, own in residuals.items():
        if _name(number) not in there:
            log(client, run_id, number, own, "val")


def read(
    client: "MlflowClient", run_id: str, number: int, of: Of = "test"
) -> NDArray[np.float32] | None:
    """Give the residuals of a trial, none where the run does not have them whole.

    Raises
    ------
    MlflowException
        If the store does not answer.
    """
    path = f"{_folder(of)}/{_name(number)}"
    if path not in {each.path for each in client.list_artifacts(run_id, _folder(of))}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = client.download_artifacts(run_id, path, folder)
        try:
            found: NDArray[np.float32] = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
    return found


def _folder(of: Of) -> str:
    return f"{of}_residuals"


def _name(number: int) -> str:
    return f"trial_{number:04d}.npy"
