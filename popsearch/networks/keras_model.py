"""A trained network as an ordinary Keras model, which needs nothing of popsearch."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch.networks.architecture import N_FREQUENCIES
from popsearch.networks.embeddings import Bins
from popsearch.networks.group import DeviceRows, Network, Snapshot
from popsearch.networks.network import EPSILON, MOMENTUM

if TYPE_CHECKING:
    import keras


CHUNK = 65_536  # rows that are predicted at once


def build(network: Network, snapshot: Snapshot, rows: DeviceRows) -> "keras.Sequential":
    """Give a network as Keras layers: from features, (n_rows, n_features), to the target.

    The mean and the scale of the targets are in the last layer.
    """
    import keras
    from keras import layers

    architecture = network.architecture
    model = keras.Sequential([layers.Input((rows.n_features,), name="features")])
    match architecture.embedding:
        case "piecewise_linear":
            _add_bins(model, rows.n_features, rows.bins)
        case "periodic" if len(rows.numbers):
            frequencies = snapshot.layers[0]["frequencies"]
            model.add(_periodic(rows.n_features, rows.numbers, frequencies))
    *hidden, output = snapshot.layers
    for i, own in enumerate(hidden):
        dense = layers.Dense(len(own["bias"]), activation=architecture.activation)
        _add(model, dense, [own["kernel"], own["bias"]])
        if architecture.batch_norm:
            norm = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON)
            moving = snapshot.moving[i]
            _add(model, norm, [own["gamma"], own["beta"], moving["mean"], moving["variance"]])
        if network.dropout:
            model.add(layers.Dropout(network.dropout))
    scale, mean = rows.target_scale, rows.target_mean
    _add(model, layers.Dense(1), [output["kernel"] * scale, output["bias"] * scale + mean])
    return model


def predict(model: "keras.Sequential", X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a model's predictions of rows (n_rows, n_features), (n_rows,)."""
    from keras import ops

    X = X.astype(np.float32)
    parts = [model(X[i : i + CHUNK], training=False) for i in range(0, len(X), CHUNK)]
    found: NDArray[np.float64] = np.concatenate([ops.convert_to_numpy(part) for part in parts])
    return found[:, 0].astype(np.float64)


def _add(model: "keras.Sequential", layer: Any, weights: list[Any]) -> None:
    model.add(layer)
    layer.set_weights(weights)


def _add_bins(model: "keras.Sequential", n_features: int, bins: Bins) -> None:
    from keras import layers

    n_bins = len(bins.columns)
    kernel = np.zeros((n_features, n_bins))
    kernel[bins.columns, np.arange(n_bins)] = bins.scale
    _add(model, layers.Dense(n_bins, trainable=False, name="bins"), [kernel, bins.shift])
    model.add(layers.ReLU(max_value=1.0))


def _periodic(n_features: int, numbers: Any, frequencies: Any) -> "keras.Model":
    """Give the waves beside the features; a cosine is a sine a quarter of a period earlier."""
    import keras
    from keras import layers, ops

    n_waves = 2 * N_FREQUENCIES
    kernel, bias = np.zeros((n_features, n_waves * len(numbers))), np.zeros(n_waves * len(numbers))
    for i, column in enumerate(numbers):
        sines = slice(i * n_waves, i * n_waves + N_FREQUENCIES)
        cosines = slice(sines.stop, sines.stop + N_FREQUENCIES)
        kernel[column, sines] = kernel[column, cosines] = 2 * math.pi * frequencies[i]
        bias[cosines] = math.pi / 2
    features = keras.Input((n_features,), name="numbers")
    dense = layers.Dense(n_waves * len(numbers), name="angles")
    waves = ops.concatenate([features, ops.sin(dense(features))], axis=-1)
    dense.set_weights([kernel, bias])
    return keras.Model(features, waves, name="periodic")
