"""Python code in a process of its own, as a user's is: without what this one has loaded."""

import os
import subprocess
import sys
from pathlib import Path

WITHOUT_POPSEARCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "popsearch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def start(
    code: str, *argv: str, path: Path | None = None, **env: str
) -> "subprocess.CompletedProcess[str]":
    """Run code in a fresh interpreter; modules in the folder ``path`` come before all others."""
    left_out = ("KERAS_BACKEND", "MLFLOW_TRACKING_URI")
    given = {name: value for name, value in os.environ.items() if name not in left_out}
    if path:
        given["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        env={**given, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def imported(output: str) -> set[str]:
    """Give the packages that a process printed, in its last line, to have imported."""
    return set(output.splitlines()[-1].split())
