"""Numbers made into several inputs (Gorishniy et al., 2022, arXiv:2203.05556)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from popsearch.networks.architecture import N_FREQUENCIES, Embedding

N_BINS = 32


@dataclass(frozen=True, eq=False)
class Bins:
    """A piecewise linear encoding: each number by how far it went through each of its bins.

    A bin's value is 0 below it, 1 above it, and rises evenly within. A column of two values has
    one bin and stays as it is but for its scale. Unlike in the paper the first and the last bin
    end too, so that a value far outside of the training rows is as one at their border.

    Parameters
    ----------
    columns
        The column that each bin is of, (n_bins,).
    edges, widths
        ``clip((x[columns] - edges) / widths, 0, 1)`` are the values, (n_bins,). In this order
        nothing is lost where the rows crowd far from 0.
    """

    columns: NDArray[np.int32]
    edges: NDArray[np.float64]
    widths: NDArray[np.float64]

    @classmethod
    def fit(cls, X: NDArray[np.float64]) -> "Bins":
        """Give bins between quantiles of the training rows, (n_rows, n_features)."""
        columns, lower, widths = [], [], []
        for j, edges in enumerate(np.quantile(X, np.linspace(0, 1, N_BINS + 1), axis=0).T):
            edges = np.unique(edges.astype(np.float32)).astype(np.float64)  # as the device has it
            if len(edges) < 2:  # a constant says nothing, but has its place
                edges = np.array([edges[0], edges[0] + 1])
            columns.append(np.full(len(edges) - 1, j, dtype=np.int32))
            lower.append(edges[:-1])
            widths.append(np.diff(edges))
        return cls(np.concatenate(columns), np.concatenate(lower), np.concatenate(widths))

    def arrays(self, dtype: str) -> dict[str, NDArray[Any]]:
        """Give what ``piecewise_linear`` takes."""
        edges, widths = self.edges.astype(dtype), self.widths.astype(dtype)
        return {"columns": self.columns, "edges": edges, "widths": widths}


def numbers(X: NDArray[np.float64]) -> NDArray[np.int32]:
    """Give the columns of more than two values, which waves can tell more about."""
    return np.array([j for j, x in enumerate(X.T) if _has_three_values(x)], dtype=np.int32)


def _has_three_values(x: NDArray[np.float64]) -> bool:
    # The first thousand rows decide nearly always, without sorting all of them.
    return len(np.unique(x[:1000])) > 2 or len(np.unique(x)) > 2


def n_inputs(embedding: Embedding, n_features: int, n_bins: int, n_numbers: int) -> int:
    """Give how many inputs the first layer has."""
    match embedding:
        case "none":
            return n_features
        case "piecewise_linear":
            return n_bins
        case "periodic":
            return n_features + 2 * N_FREQUENCIES * n_numbers


def most_inputs(embedding: Embedding, n_features: int) -> int:
    """Give how many inputs the first layer has at most."""
    return n_inputs(embedding, n_features, n_features * N_BINS, n_features)


def piecewise_linear(x: Any, bins: Any) -> Any:
    """Give the bins' values of a batch, (n_rows, n_bins)."""
    from keras import ops

    above = ops.take(x, bins["columns"], axis=1) - bins["edges"]
    return ops.clip(above / bins["widths"], 0.0, 1.0)


def periodic(x: Any, columns: Any, frequencies: Any) -> Any:
    """Give sines and cosines of a batch, (n_members, n_rows, n_numbers * 2 * n_frequencies).

    Parameters
    ----------
    frequencies
        Periods in a unit of each number, (n_members, n_numbers, n_frequencies); they are trained.
    """
    from keras import ops

    chosen = ops.take(x, columns, axis=1)[None, :, :, None]
    angles = (2 * math.pi) * chosen * frequencies[:, None]
    waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
    n_members, n_numbers, n_frequencies = frequencies.shape
    n_rows = -1 if x.shape[0] is None else x.shape[0]  # a Keras model takes any number
    return ops.reshape(waves, (n_members, n_rows, n_numbers * 2 * n_frequencies))
