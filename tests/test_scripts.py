"""scripts/: each says how it is used, and does what the command of popsearch does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


def start(script: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder."""
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("script", sorted(file.stem for file in SCRIPTS.glob("*.py")))
def test_every_script_has_a_help_page(script: str, workdir: Path) -> None:
    """It prints how it is used, and creates nothing."""
    done = start(script, "--help", folder=workdir)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    assert not list(workdir.iterdir())


def test_caches_are_cleaned(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is removed, and how much is said."""
    tables = workdir / "cache" / "tables"
    tables.mkdir(parents=True)
    kept = tables / f"{'0' * 64}-00000000.arrow"
    kept.write_bytes(b"0" * 2**20)
    monkeypatch.setitem(os.environ, "POPSEARCH_CACHE_DIR", str(workdir / "cache"))
    done = start("clean_caches", folder=workdir)
    assert done.returncode == 0, done.stderr
    assert "removed 1 table, freed 1.0 MiB" in done.stdout
    assert not kept.exists()
