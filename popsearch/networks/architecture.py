"""What two networks must have in common to be trained by one program."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Activation = Literal["relu", "gelu", "silu"]
Embedding = Literal["none", "periodic", "piecewise_linear"]

N_FREQUENCIES = 8
"""Sines and cosines for each number of a periodic embedding."""

LANES = 16
"""Widths are padded to a multiple of this: a vector register of floats, or half a GPU's tile."""


@dataclass(frozen=True)
class Architecture:
    """The shape of a network.

    Parameters
    ----------
    widths
        Units of each hidden layer.
    """

    widths: tuple[int, ...]
    activation: Activation
    batch_norm: bool
    embedding: Embedding

    def padded(self) -> "Architecture":
        """Give the shape that it is trained in.

        Units that are added have weights of zero. Their outputs are zero then (relu, gelu and silu
        keep it, so does BatchNorm), so their gradients are, and so they stay: no mask is needed.
        """
        return replace(self, widths=tuple(-(-width // LANES) * LANES for width in self.widths))


def read_widths(sizes: Sequence[int] | str | int) -> tuple[int, ...]:
    """Give the units of each hidden layer, from a list of them, from 128-64-32, or from one 64.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(sizes, int):
        sizes = [sizes]
    parts = sizes.split("-") if isinstance(sizes, str) else sizes
    if any(isinstance(part, bool | float) for part in parts):
        raise ValueError(f"widths must be whole numbers, but got {sizes}")
    return tuple(int(part) for part in parts)


def widths(depth: int, width: int, taper: float) -> tuple[int, ...]:
    """Give the units of each hidden layer, each ``taper`` times as wide as the one before."""
    return tuple(max(1, round(width * taper**layer)) for layer in range(depth))
