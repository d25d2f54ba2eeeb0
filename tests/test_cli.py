"""The program as it is started: what it prints, returns, imports and leaves in the folder."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from popsearch import __main__
from popsearch.config import Config, MlflowTracking
from popsearch.errors import StorageError
from popsearch.usage import CONF

MAIN = """
import sys
from popsearch.__main__ import main
sys.argv = ["popsearch", *{argv}]
main()
print("IMPORTED", *sorted(name for name in sys.modules if "." not in name))
"""
HEAVY = {"tensorflow", "keras", "torch", "mlflow", "sklearn", "scipy", "optuna", "pandas", "numpy"}
STUDY = ["model=ridge", "n_trials=2", "data.rows=500", "sampler=random"]
FAKE = """
from pathlib import Path
Path({marker!r}).touch()
raise ImportError("must not be imported")
"""


def start(
    *argv: str, folder: Path, path: Path | None = None
) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Run the command line in a fresh interpreter; also give the packages it had imported."""
    env = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "PYTHONPATH")}
    if path:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-c", MAIN.format(argv=list(argv))],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    last = done.stdout.splitlines()[-1:] or [""]
    return done, set(last[0].split()[1:]) if last[0].startswith("IMPORTED") else set()


def fake(package: str, folder: Path) -> Path:
    """Put a package into ``folder`` that leaves a file and fails when it is imported."""
    marker = folder / f"{package}-was-imported"
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text(FAKE.format(marker=str(marker)))
    return marker


@pytest.mark.parametrize("argv", [["--help"], ["--cfg", "job"], ["model=gbr", "-c", "job"]])
def test_looking_imports_nothing_heavy_and_leaves_nothing(argv: list[str], workdir: Path) -> None:
    """Help and configuration come without any of the libraries that take seconds."""
    before = os.times()
    done, imported = start(*argv, folder=workdir)
    after = os.times()
    assert done.returncode == 0, done.stderr
    assert "model" in done.stdout
    assert "popsearch" in imported
    assert not imported & HEAVY
    assert not list(workdir.iterdir())
    # Time of the processor: on a busy machine the clock on the wall says little.
    assert after.children_user - before.children_user < 1


def test_a_mistake_in_a_real_process_leaves_an_empty_folder(workdir: Path) -> None:
    """Two clear lines, exit code 2, no traceback, no outputs, databases or runs."""
    done, _ = start("model=gbrr", "n_trials=0", folder=workdir)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "popsearch: model=gbrr: there is no such model; did you mean gbr?",
        "popsearch: n_trials must be at least 1, but got 0",
    ]
    assert not list(workdir.iterdir())


def test_any_character_of_a_path_is_read_and_printed(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No quotes within quotes are needed, and a terminal that knows only ASCII is no obstacle."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    file = workdir / "größe (1).csv"
    file.write_text("größe,y\n" + "".join(f"{i * i},{i % 7}\n" for i in range(60)))
    more = ["model=linear", "tracking=none", "n_trials=1", "data=csv", "data.target=y"]
    done, _ = start(*more, f"data.path={file.name}", folder=workdir)
    assert (done.returncode, done.stderr) == (0, "")
    assert "numeric      gr\\xf6\\xdfe" in done.stdout


def test_a_study_of_a_linear_model_never_imports_a_network_library(
    tmp_path: Path, workdir: Path
) -> None:
    """A whole tracked study of ridge runs where importing TensorFlow or PyTorch would fail."""
    work, fakes = workdir / "work", tmp_path / "fakes"
    work.mkdir()
    markers = [fake(package, fakes) for package in ("tensorflow", "keras")]
    done, imported = start(*STUDY, folder=work, path=fakes)
    assert done.returncode == 0, done.stderr
    assert {"mlflow", "sklearn", "optuna"} <= imported
    assert not [marker.name for marker in markers if marker.exists()]
    assert (work / "mlflow.db").exists()


def test_a_study_without_tracking_never_imports_mlflow(tmp_path: Path, workdir: Path) -> None:
    """tracking=none runs where importing MLflow would fail, and leaves nothing of it."""
    work, fakes = workdir / "work", tmp_path / "fakes"
    work.mkdir()
    marker = fake("mlflow", fakes)
    done, imported = start(*STUDY, "tracking=none", folder=work, path=fakes)
    assert done.returncode == 0, done.stderr
    assert "sklearn" in imported
    assert not marker.exists()
    assert "mlflow" not in imported
    left = {path.name for path in work.iterdir()}
    assert left >= {"optuna.db", "outputs"}
    assert not left & {"mlflow.db", "mlruns"}


def test_the_command_that_is_stored_and_shown_has_no_password(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study hears what was typed; a password in the environment reaches the address only."""
    heard: list[str] = []

    def run(cfg: Config, run_dir: Path, command: str) -> SimpleNamespace:
        assert isinstance(cfg.tracking, MlflowTracking)
        heard.extend([cfg.tracking.uri, command])
        return SimpleNamespace(stopped_by="n_trials", failures=[])

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:hunter2@host/db")
    monkeypatch.setattr("popsearch.run.run", run)
    monkeypatch.setattr("sys.argv", ["popsearch", "model=ridge", "data.rows=500"])
    __main__.main()
    assert heard == [
        "postgresql://me:hunter2@host/db",
        "python -m popsearch model=ridge data.rows=500",
    ]
    stored = "".join(file.read_text() for file in workdir.rglob("*.yaml"))  # by Hydra
    assert "model=ridge" in stored
    assert "hunter2" not in stored


@pytest.mark.parametrize(("stopped_by", "code"), [("Ctrl-C", 130), ("SIGTERM", 143)])
def test_a_stopped_study_ends_with_the_code_of_its_signal(
    stopped_by: str, code: int, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell sees that the program was interrupted."""
    monkeypatch.setattr("popsearch.run.run", lambda *_: SimpleNamespace(stopped_by=stopped_by))
    monkeypatch.setattr("sys.argv", ["popsearch", "model=ridge", "data.rows=500"])
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == code


def test_failures_end_with_code_one(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that stopped for its failures is no success to a shell."""
    told = SimpleNamespace(stopped_by="max_failures", failures=["no memory"])
    monkeypatch.setattr("popsearch.run.run", lambda *_: told)
    monkeypatch.setattr("sys.argv", ["popsearch", "model=ridge", "data.rows=500"])
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 1


def test_a_store_that_fails_ends_with_code_one(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the user's input is not to blame for is one line too, with another exit code."""

    def run(*_: object) -> None:
        raise StorageError("storage.url=sqlite:///optuna.db: the disk is full")

    monkeypatch.setattr("popsearch.run.run", run)
    monkeypatch.setattr("sys.argv", ["popsearch", "model=ridge", "data.rows=500"])
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 1
    shown = capsys.readouterr().err
    assert shown == "popsearch: storage.url=sqlite:///optuna.db: the disk is full\n"


@pytest.mark.parametrize("option", ["--config-dir=my_conf", "hydra.searchpath=[file://my_conf]"])
def test_the_printed_command_goes_on_with_the_same_study(option: str, workdir: Path) -> None:
    """What is printed to type next is taken by a shell as it stands, and continues the study."""
    family = workdir / "my_conf" / "model"
    family.mkdir(parents=True)
    text = (CONF / "model" / "ridge.yaml").read_text()
    (family / "mine.yaml").write_text(text.replace("name: ridge", "name: mine"))
    words = [option, "model=mine", "features.columns=[year, tempo]", "data.rows=500"]
    done, _ = start(*words, "n_trials=2", "tracking=none", folder=workdir)
    assert done.returncode == 0, done.stderr
    (line,) = [t for t in done.stdout.splitlines() if t.startswith("search further")]
    prefix, _, typed = line.removeprefix("search further").partition("python -m popsearch ")
    assert prefix.strip() in ("", "uv run")
    again, _ = start(*shlex.split(typed), folder=workdir)
    assert again.returncode == 0, again.stderr
    assert "continued after 2 of 4 trials" in again.stdout
