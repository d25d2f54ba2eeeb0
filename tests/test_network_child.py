"""The process that networks are trained in: replaced, killed, failing, left alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from networks import BACKEND
from popsearch.models import Rows, TrainingDied
from popsearch.networks import NetworkRegressor, child
from popsearch.networks.child import Child, RemotePopulation


def rows(n: int = 200) -> Rows:
    """Some rows of three features."""
    rng = np.random.default_rng(0)
    X = rng.random((n, 3))
    y = X.sum(axis=1)
    return Rows(X[: n // 2], y[: n // 2], X[n // 2 :], y[n // 2 :])


def population(host: Child) -> RemotePopulation:
    """A population of one small network in the process."""
    regressor = NetworkRegressor(width=16, depth=1, epochs=3, random_state=0, backend=BACKEND)
    return host.population([regressor], rows(), [1, 2, 3])


@pytest.fixture(scope="module")
def host() -> Iterator[Child]:
    """One process for all tests of this file, as far as they let it live."""
    host = Child(BACKEND)
    yield host
    host.stop()


def pid(host: Child) -> int:
    """The number of the process as it is now."""
    return int(host._process.pid)


def test_scores_are_those_of_a_training_in_this_process(host: Child) -> None:
    """A process between changes nothing."""
    from popsearch.networks.population import Population

    regressor = NetworkRegressor(width=16, depth=1, epochs=3, random_state=0, backend=BACKEND)
    here = Population([regressor], rows(), [1, 2, 3])
    there = population(host)
    for _ in range(3):
        np.testing.assert_allclose(here.advance().val_mse, there.advance().val_mse, rtol=1e-5)
    best = here._best_steps[0]
    ours, theirs = (part.model(0, best).predict(rows().X_val) for part in (here, there))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_residuals_come_from_there(host: Child) -> None:
    """Target less prediction of every validation row, at the best step: their mean is the score."""
    there = population(host)
    val_mse = [there.advance().val_mse[0] for _ in range(3)]
    found = there.val_residuals(0, int(np.argmin(val_mse)))
    assert found.dtype == np.float32
    assert np.square(found.astype(float)).mean() == pytest.approx(min(val_mse), rel=1e-5)


def test_what_fails_there_is_told_here_with_its_traceback(host: Child) -> None:
    """The reason is the error's own, the note holds where it was raised; the process lives on."""
    living = population(host)
    before = pid(host)
    with pytest.raises(RuntimeError, match=r"^LookupError: member 0 is kept as it was") as caught:
        living.model(0, 2)
    assert "population.py" in "".join(caught.value.__notes__)
    assert np.isfinite(living.advance().val_mse).all()
    assert pid(host) == before


def test_a_process_that_dies_takes_what_it_trained_and_no_more(host: Child) -> None:
    """A crash, or the system when memory is full: the next population trains in a new process."""
    dying = population(host)
    psutil.Process(pid(host)).kill()
    with pytest.raises(TrainingDied, match="the process that trains networks ended"):
        dying.advance()
    assert np.isfinite(population(host).advance().val_mse).all()


def test_a_process_that_compiled_many_programs_is_replaced(
    host: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between populations, never under one; the seconds of all are counted."""
    monkeypatch.setattr(child, "N_PROGRAMS", 1)
    first = population(host)
    first.advance()
    before, spent = pid(host), host.compile_s()
    second = population(host)  # the first one lives, so its process does
    assert pid(host) == before
    del first, second
    third = population(host)
    assert pid(host) != before
    third.advance()
    assert host.compile_s() > spent > 0


def test_a_script_without_a_guard_is_run_once(tmp_path: Path) -> None:
    """A process that starts another one from its first lines is not run again in it."""
    script = tmp_path / "script.py"
    script.write_text(
        "from popsearch.networks import child\n"
        "print('begun', flush=True)\n"
        f"print(child.of('{BACKEND}').device().name)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines().count("begun") == 1
    assert len(done.stdout.splitlines()) == 2


def test_the_process_ends_with_its_parent() -> None:
    """A parent that is killed leaves nothing behind."""
    code = (
        "import os, signal\n"
        "from popsearch.networks import child\n"
        f"host = child.of('{BACKEND}')\n"
        "host.device()\n"
        "print(host._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    left = int(ended.stdout)
    if psutil.pid_exists(left):
        psutil.Process(left).wait(timeout=30)
    assert not psutil.pid_exists(left)
