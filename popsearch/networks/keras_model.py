"""A trained network as an ordinary Keras model, which needs nothing of popsearch."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch.networks import embeddings
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
    from keras import layers, ops

    architecture = network.architecture
    model = keras.Sequential([layers.Input((rows.n_features,), name="features")])
    features = keras.Input((rows.n_features,), name="numbers")
    match architecture.embedding:
        case "piecewise_linear":
            bins = embeddings.piecewise_linear(features, rows.bins.arrays("float32"))
            model.add(keras.Model(features, bins, name="bins"))
        case "periodic" if len(rows.numbers):
            frequencies = snapshot.layers[0]["frequencies"]
            waves = embeddings.periodic(features, rows.numbers, frequencies[None])[0]
            both = ops.concatenate([features, waves], axis=-1)
            model.add(keras.Model(features, both, name="periodic"))
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
