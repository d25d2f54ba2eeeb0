"""Small networks and rows to train them on, with the backend that POPSEARCH_BACKEND names."""

import os
from typing import Any, cast

import numpy as np

from popsearch.networks import backend
from popsearch.networks.architecture import Architecture
from popsearch.networks.group import DeviceRows, Group, Network

# Keras can have one backend in a process, so tests/test_jax.py runs these tests in another one.
BACKEND = cast(backend.Backend, os.environ.get("POPSEARCH_BACKEND", "tensorflow"))
backend.use(BACKEND)

import keras  # noqa: E402, F401  # tests take it from here, after the backend is chosen
from keras import ops  # noqa: E402, F401

N_TRAIN, N_VAL, BATCH = 160, 64, 32


def table(n_train: int = N_TRAIN, n_val: int = N_VAL) -> tuple[np.ndarray, ...]:
    """Rows of three numbers and a yes or no, and targets: to train on, then to validate.

    Numbers are around 0, so that units are on in some rows and off in others. One that is always
    on has a bias that BatchNorm takes away again: its gradient is nothing but rounding, of which
    Adam makes steps.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_train + n_val, 4))
    X[:, 1] = np.where(X[:, 1] > 0, 1, -1)
    y = 3 + np.sin(3 * X[:, 0]) + 2 * X[:, 1] * X[:, 2] + rng.normal(0, 0.1, len(X))
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def device_rows(scale_target: bool = False, **given: Any) -> DeviceRows:
    """The table on the device, its targets as they are."""
    return DeviceRows.put(*table(**given), scale_target=scale_target)


def network(*widths: int, **given: Any) -> Network:
    """A network of two layers with plain settings, but for those that are given."""
    shape: dict[str, Any] = {"activation": "relu", "batch_norm": False, "embedding": "none"}
    shape |= {key: given.pop(key) for key in [*shape] if key in given}
    settings: dict[str, Any] = {
        "batch_size": BATCH,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "dropout": 0.0,
        "is_cosine": False,
        "horizon": 10,
        "embedding_scale": 1.0,
        "seed": 0,
    }
    return Network(Architecture(widths or (20, 9), **shape), **{**settings, **given})


def trained(group: Group, n_epochs: int) -> np.ndarray:
    """Train on, and give the errors after each epoch, (n_epochs, 4, n_networks)."""
    return np.array([group.advance() for _ in range(n_epochs)])
