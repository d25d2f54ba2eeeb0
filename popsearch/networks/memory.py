"""What networks cost, in memory and work, and how many fit side by side."""

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from popsearch.family import CategoricalParam, Param
from popsearch.networks import backend, embeddings
from popsearch.networks.architecture import Architecture
from popsearch.space import Params

if TYPE_CHECKING:
    from popsearch.networks.group import Group, Network

SHARE = 0.5  # of the device's memory that a population may take
FLOAT_BYTES = 4
BLOCK = 1024  # rows that are scored at once: their activations stay in a core's cache
_SIZES = ("hidden_layer_sizes", "depth", "width", "taper", "embedding", "batch_size")
# Operations that a device does in the time that a program takes to be compiled.
COMPILE_FLOP = {"cpu": 1e11, "gpu": 1e13}


def n_weights(architecture: Architecture, n_inputs: int) -> int:
    """Give how many weights a padded network has in its kernels."""
    sizes = (n_inputs, *architecture.padded().widths, 1)
    return sum(a * b for a, b in itertools.pairwise(sizes))


def member_mib(network: "Network", n_inputs: int) -> float:
    """Give the memory that a network takes while it is trained, in MiB.

    Weights are held with two moments, a gradient and the best so far, before and after a step;
    of every layer's outputs some four are held until the gradient has passed.
    """
    architecture = network.architecture
    outputs = n_inputs + sum(architecture.padded().widths)
    weights = 9 * n_weights(architecture, n_inputs)
    return FLOAT_BYTES * (weights + 4 * max(network.batch_size, BLOCK) * outputs) / 2**20


def n_side_by_side(network: "Network", n_features: int, device: backend.Device) -> int:
    """Give how many networks like this one the device's memory holds, at least 1."""
    n_inputs = embeddings.most_inputs(network.architecture.embedding, n_features)
    free = device.memory_mib * SHARE
    return max(1, int(free / member_mib(network, n_inputs)))


def largest(space: Mapping[str, Param]) -> Iterator[Params]:
    """Give the sets of parameters among which the largest network of a space is."""
    choices = []
    for name, param in space.items():
        if isinstance(param, CategoricalParam):
            values = param.choices if name in _SIZES else param.choices[:1]
        else:
            values = [param.high]
        choices.append([(name, value) for value in values if name != "scaler"])
    return (dict(pairs) for pairs in itertools.product(*filter(None, choices)))


def pays(group: "Group", n_dropped: int, epochs_left: int) -> bool:
    """Tell whether to train dropped members on costs more than a program without them.

    Counted, not timed, so that the same search does the same every time.
    """
    work = n_dropped * epochs_left * group.epoch_flop
    return n_dropped > 0 and work > COMPILE_FLOP["gpu" if backend.device().is_gpu else "cpu"]
