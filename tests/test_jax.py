"""The network tests on Keras' JAX backend, in a process of its own: Keras can have one backend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = [
    "test_network_training.py",
    "test_network_group.py",
    "test_network_regressor.py",
    # The rest of that file runs whole searches, which hang on the backend little.
    "test_stored_network.py::test_the_model_predicts_where_popsearch_is_not",
]
# scikit-learn's checks take a minute, and hang on the backend little; one needs ENV's last line.
CHOSEN = "not estimator_of_scikit_learn or array_api"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
ENV = {
    "POPSEARCH_BACKEND": "jax",
    "SCIPY_ARRAY_API": "1",  # else one of scikit-learn's checks is skipped
}


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is an extra")
def test_networks_train_on_jax() -> None:
    """All that holds of networks on TensorFlow holds on JAX."""
    here = Path(__file__).parent
    child = subprocess.run(
        [*PYTEST, "-k", CHOSEN, *FILES],
        cwd=here,
        env={**os.environ, **ENV},
        capture_output=True,
        text=True,
    )
    told = child.stdout[-10_000:] + child.stderr[-2_000:]
    assert child.returncode == 0, told
    assert "skipped" not in child.stdout, told
