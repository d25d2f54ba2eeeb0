"""What is built and installed: a wheel that runs with no checkout beside it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, as `pip install .` does."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is needed to build the wheel")
    folder = tmp_path_factory.mktemp("dist")
    build = [uv, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_all_of_conf(wheel: Path) -> None:
    """Every file of conf/ is in the wheel, and no test."""
    names = zipfile.ZipFile(wheel).namelist()
    inside = {n.removeprefix("popsearch/conf/") for n in names if n.startswith("popsearch/conf/")}
    assert inside == {str(f.relative_to(ROOT / "conf")) for f in (ROOT / "conf").rglob("*.yaml")}
    assert not [n for n in names if n.startswith(("tests/", "benchmarks/"))]
    assert "popsearch/py.typed" in names


def test_the_wheel_runs_from_another_folder(wheel: Path, workdir: Path) -> None:
    """Unpacked far from the checkout, it composes its own conf and ends a search."""
    site = workdir / "site"
    zipfile.ZipFile(wheel).extractall(site)
    empty = workdir / "project"
    empty.mkdir()
    code = (
        "import popsearch, sys; from popsearch.__main__ import main; "
        f"assert popsearch.__file__.startswith({str(site)!r}); "
        "sys.argv = ['popsearch', 'model=ridge', 'n_trials=2', 'data.rows=500', 'tracking=none']; "
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 complete" in done.stdout
    assert sorted(p.name for p in empty.iterdir() if "optuna" not in p.name) == ["outputs"]


def test_the_command_popsearch_is_the_module(workdir: Path) -> None:
    """The console script prints what `python -m popsearch` prints."""
    script = Path(sys.executable).parent / "popsearch"
    commands = ([str(script)], [sys.executable, "-m", "popsearch"])
    helps = [subprocess.run([*c, "--help"], capture_output=True, check=True) for c in commands]
    assert helps[0].stdout == helps[1].stdout
    assert b"model=gbr" in helps[0].stdout
