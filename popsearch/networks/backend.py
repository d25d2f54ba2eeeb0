"""What differs between Keras' backends: loading, compiling, gradients, the device."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import psutil

from popsearch.errors import ConfigError

Backend = Literal["tensorflow", "jax"]

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Device:
    """Where networks are trained.

    Parameters
    ----------
    memory_mib
        All of a GPU's memory; of the machine's, what is free.
    """

    name: str
    is_gpu: bool
    memory_mib: int


def load(backend: Backend) -> None:
    """Load Keras on this backend, where it is not loaded yet."""
    if "keras" in sys.modules:
        return
    os.environ["KERAS_BACKEND"] = backend
    # Take what is needed of a GPU, and leave the rest to others.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow warns of functions that are compiled for many shapes, which is what is wanted.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with quiet():
        import keras  # noqa: F401


def use(backend: Backend) -> None:
    """Load Keras on this backend, or see that it is loaded on it.

    Raises
    ------
    ConfigError
        If the process already has Keras on another one: that cannot be changed.
    """
    load(backend)
    loaded = loaded_backend()
    if loaded != backend:
        raise ConfigError(
            f"backend={backend}: Keras is loaded with {loaded} in this process, which cannot "
            "be changed; use each backend in a process of its own"
        )


def loaded_backend() -> str:
    """Give the backend that Keras was loaded with."""
    import keras

    name: str = keras.config.backend()
    return name


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the function as one XLA program for each shape of its arguments."""
    fast: Callable[..., Any]
    if loaded_backend() == "jax":
        import jax

        fast = jax.jit(function)
    else:
        import tensorflow as tf

        fast = tf.function(function, jit_compile=True, autograph=False)
    return fast


def gradient(loss: Callable[[Any], tuple[Any, Any]], weights: Any) -> tuple[Any, Any]:
    """Give the gradient of a loss at these weights, and what else the loss function gives.

    Parameters
    ----------
    loss
        From weights to (a scalar, anything).
    weights
        Lists and dictionaries of tensors.
    """
    if loaded_backend() == "jax":
        import jax

        gradients, more = jax.grad(loss, has_aux=True)(weights)
        return gradients, more
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        value, more = loss(weights)
    return tape.gradient(value, weights), more


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether this is what a backend raises when the device's memory is full."""
    return "RESOURCE_EXHAUSTED" in str(error) or "ResourceExhausted" in type(error).__name__


def device() -> Device:
    """Give the device that the loaded backend computes on."""
    found = _jax_gpu() if loaded_backend() == "jax" else _tensorflow_gpu()
    if found:
        return found
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = psutil.virtual_memory().available // _MIB
    return Device(f"{n_cores} CPU cores", False, free)


def _tensorflow_gpu() -> Device | None:
    import tensorflow as tf

    with quiet():
        gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return Device(str(name), True, _nvidia_memory_mib())


def _jax_gpu() -> Device | None:
    import jax

    first = jax.devices()[0]
    if first.platform != "gpu":
        return None
    limit = (first.memory_stats() or {}).get("bytes_limit", 0)
    return Device(first.device_kind, True, limit // _MIB)


def _nvidia_memory_mib() -> int:
    """Give the memory of the first NVIDIA GPU, which TensorFlow does not tell."""
    import subprocess

    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
        return int(answer.stdout.split()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 8 * 1024  # unknown: less than nearly every such card has


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what TensorFlow's C++ side says of itself off the terminal, unless it fails."""
    if sys.stderr is None:  # closed by whoever started the process
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        old = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(old, said.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(old, 2)
            os.close(old)
