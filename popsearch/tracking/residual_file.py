"""A winner's residuals on the test rows, as a small file of its study's run."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "test_residuals"


def log(client: "MlflowClient", run_id: str, number: int, residuals: NDArray[np.float32]) -> None:
    """Store the residuals of a trial, (n_rows,), as NumPy's own file; again is the same file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _name(number)
        np.save(file, residuals.astype(np.float32), allow_pickle=False)
        client.log_artifact(run_id, str(file), FOLDER)


def read(client: "MlflowClient", run_id: str, number: int) -> NDArray[np.float32] | None:
    """Give the residuals of a trial, none where the run does not have them whole.

    Raises
    ------
    MlflowException
        If the store does not answer.
    """
    path = f"{FOLDER}/{_name(number)}"
    if path not in {each.path for each in client.list_artifacts(run_id, FOLDER)}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = client.download_artifacts(run_id, path, folder)
        try:
            found: NDArray[np.float32] = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
    return found


def _name(number: int) -> str:
    return f"trial_{number:04d}.npy"
