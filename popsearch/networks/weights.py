"""Weights of networks: the first ones, and those of many in one array."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from popsearch.networks.architecture import N_FREQUENCIES, Architecture

Layers = list[dict[str, NDArray[Any]]]
"""Of one network, by layer, the output last: ``kernel`` (n_in, n_out), ``bias`` (n_out,), ..."""


def initial(
    architecture: Architecture, n_inputs: int, n_numbers: int, scale: float, seed: int
) -> Layers:
    """Give a network's first weights, which hang on nothing but its shape and seed.

    Kernels are drawn as Keras draws them (Glorot and Bengio, 2010): uniform within
    ``sqrt(6 / (n_in + n_out))``.

    Parameters
    ----------
    scale
        Standard deviation of the frequencies of a periodic embedding.
    """
    rng = np.random.default_rng(seed)
    layers: Layers = []
    n_in = n_inputs
    for width in (*architecture.widths, 1):
        limit = np.sqrt(6 / (n_in + width))
        layer = {"kernel": rng.uniform(-limit, limit, (n_in, width)), "bias": np.zeros(width)}
        if architecture.batch_norm:
            layer |= {"gamma": np.ones(width), "beta": np.zeros(width)}
        layers.append(layer)
        n_in = width
    for name in ("gamma", "beta"):
        layers[-1].pop(name, None)
    if architecture.embedding == "periodic":
        layers[0]["frequencies"] = rng.normal(0, scale, (n_numbers, N_FREQUENCIES))
    return layers


def still(architecture: Architecture) -> Layers:
    """Give BatchNorm's moving statistics before the first batch, for each hidden layer."""
    if not architecture.batch_norm:
        return []
    return [{"mean": np.zeros(n), "variance": np.ones(n)} for n in architecture.widths]


def stack(members: Sequence[Layers], widths: Sequence[int]) -> Layers:
    """Give the weights of several networks as one, with zeros up to these widths.

    Returns
    -------
    Arrays with a leading member axis: kernels (n_members, n_in, n_out), others
    (n_members, 1, n_out), frequencies (n_members, n_numbers, n_frequencies).
    """
    outs = [*widths, 1]
    stacked: Layers = []
    for layer, first in enumerate(members[0]):
        n_in = outs[layer - 1] if layer else None
        stacked.append(
            {
                name: np.stack([_pad(name, m[layer][name], n_in, outs[layer]) for m in members])
                for name in first
            }
        )
    return stacked


def cut(stacked: Sequence[dict[str, Any]], member: int, widths: Sequence[int]) -> Layers:
    """Give one network's weights out of those of several, without the zeros."""
    outs = [*widths, 1]
    layers: Layers = []
    for layer, own in enumerate(stacked):
        n_in, n_out = outs[layer - 1] if layer else None, outs[layer]
        one = {name: np.asarray(values[member]) for name, values in own.items()}
        layers.append({name: _cut(name, values, n_in, n_out) for name, values in one.items()})
    return layers


def _pad(name: str, values: NDArray[Any], n_in: int | None, n_out: int) -> NDArray[Any]:
    if name == "frequencies":
        return values
    if name != "kernel":
        values = values[None]
        return np.pad(values, ((0, 0), (0, n_out - values.shape[1])))
    more_in = 0 if n_in is None else n_in - values.shape[0]
    return np.pad(values, ((0, more_in), (0, n_out - values.shape[1])))


def _cut(name: str, values: NDArray[Any], n_in: int | None, n_out: int) -> NDArray[Any]:
    if name == "frequencies":
        return values
    return values[:n_in, :n_out] if name == "kernel" else values[0, :n_out]
