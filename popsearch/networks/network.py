"""The networks themselves: many of one architecture, a leading axis for the member."""

from dataclasses import dataclass
from typing import Any

from popsearch.networks import embeddings
from popsearch.networks.architecture import Architecture

MOMENTUM = 0.99  # of BatchNorm's moving statistics, and what it adds to a variance: Keras' own
EPSILON = 1e-3


@dataclass(frozen=True)
class Dropout:
    """What is left out of a batch, for each member by its own rate and random numbers.

    Parameters
    ----------
    rate, key
        Each of shape (n_members, 1, 1); keys are whole numbers of 32 bits.
    """

    rate: Any
    key: Any

    def __call__(self, h: Any, layer: int) -> Any:
        """Give the outputs of a layer, some of them 0 and the others larger for it."""
        from keras import ops

        kept = uniform(self.key, layer, ops.shape(h)[1:]) >= self.rate
        return ops.where(kept, h / (1 - self.rate), 0.0)


def forward(
    architecture: Architecture,
    weights: Any,
    moving: Any,
    x: Any,
    fitted: Any,
    dropout: Dropout | None = None,
    training: bool = False,
    precision: str = "float32",
) -> tuple[Any, Any]:
    """Give the predictions of a batch, (n_members, n_rows), and the new moving statistics.

    Parameters
    ----------
    weights
        A list of layers, the last one the output: ``kernel`` (n_members, n_in, n_out), ``bias``
        (n_members, 1, n_out), with BatchNorm ``gamma`` and ``beta``; ``frequencies`` in the first.
    moving
        For each hidden layer the moving ``mean`` and ``variance``, (n_members, 1, n_out).
    x
        A batch, (n_rows, n_features), the same for all members.
    fitted
        What the embedding learned of the training rows.
    """
    from keras import ops

    *hidden, output = weights
    after: list[Any] = []
    h = x
    for layer, own in enumerate(hidden):
        z = _first(architecture, own, x, fitted, precision) if layer == 0 else None
        h = (matmul(h, own["kernel"], precision) if z is None else z) + own["bias"]
        h = getattr(ops, architecture.activation)(h, **_exact(architecture.activation))
        if architecture.batch_norm:
            h, statistics = _batch_norm(h, own, moving[layer], training)
            after.append(statistics)
        if dropout is not None:
            h = dropout(h, layer)
    return matmul(h, output["kernel"], precision)[..., 0] + output["bias"][..., 0], after


def _first(architecture: Architecture, own: Any, x: Any, fitted: Any, precision: str) -> Any:
    """Give the embedded batch times the first kernel."""
    kernel = own["kernel"]
    if architecture.embedding == "piecewise_linear":
        x = embeddings.piecewise_linear(x, fitted["bins"])
    if architecture.embedding != "periodic":
        return shared_matmul(x, kernel, precision)
    n = x.shape[1]
    waves = embeddings.periodic(x, fitted["numbers"], own["frequencies"])
    return shared_matmul(x, kernel[:, :n], precision) + matmul(waves, kernel[:, n:], precision)


def _exact(activation: str) -> dict[str, bool]:
    """Give what makes an operation the same as the layer's activation of that name."""
    return {"approximate": False} if activation == "gelu" else {}


def matmul(h: Any, kernel: Any, precision: str) -> Any:
    """Give (n_members, n_rows, n_in) times (n_members, n_in, n_out)."""
    from keras import ops

    if precision == "bfloat16":
        return ops.cast(ops.matmul(_half(h), _half(kernel)), "float32")
    return ops.matmul(h, kernel)


def shared_matmul(x: Any, kernel: Any, precision: str) -> Any:
    """Give (n_rows, n_in), the same for all, times (n_members, n_in, n_out)."""
    from keras import ops

    if precision == "bfloat16":
        return ops.cast(ops.einsum("bf,mfo->mbo", _half(x), _half(kernel)), "float32")
    return ops.einsum("bf,mfo->mbo", x, kernel)


def _half(x: Any) -> Any:
    from keras import ops

    return ops.cast(x, "bfloat16")


def _batch_norm(h: Any, own: Any, moving: Any, training: bool) -> tuple[Any, Any]:
    """Give normalised outputs and the new moving statistics, as Keras' layer does.

    After Ioffe and Szegedy, 2015, arXiv:1502.03167.
    """
    from keras import ops

    mean, variance = moving["mean"], moving["variance"]
    if training:
        mean = ops.mean(h, axis=1, keepdims=True)
        variance = ops.mean(ops.square(h - mean), axis=1, keepdims=True)
        moving = {
            "mean": moving["mean"] * MOMENTUM + mean * (1 - MOMENTUM),
            "variance": moving["variance"] * MOMENTUM + variance * (1 - MOMENTUM),
        }
    scale = own["gamma"] * ops.rsqrt(variance + EPSILON)
    return (h - mean) * scale + own["beta"], moving


def uniform(key: Any, layer: int, shape: tuple[int, int]) -> Any:
    """Give random numbers in 0..1, (n_members, n_rows, n_units), that hang on the key alone.

    A backend's own generator fills a whole tensor from one key, so that a member's numbers would
    hang on its place among the others. Here each number is a hash of its member's key, its row
    and its unit: the finaliser "lowbias32" (Wellons, 2018, nullprogram.com/blog/2018/07/31), twice.
    """
    from keras import ops

    rows = ops.cast(ops.arange(shape[0], dtype="int32"), "uint32")[:, None]
    units = ops.cast(ops.arange(shape[1], dtype="int32"), "uint32")[None, :]
    place = hashed(ops.bitwise_xor(key, _uint(0x9E3779B9 * (layer + 1) & 0xFFFFFFFF)))
    bits = hashed(ops.bitwise_xor(rows * _uint(65_536) + units, place))
    return ops.cast(ops.right_shift(bits, _uint(8)), "float32") * 2.0**-24


def hashed(x: Any) -> Any:
    """Give each whole number of 32 bits another one, without a pattern."""
    from keras import ops

    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ops.bitwise_xor(x, ops.right_shift(x, _uint(shift))) * _uint(factor)
    return ops.bitwise_xor(x, ops.right_shift(x, _uint(16)))


def _uint(value: int) -> Any:
    import numpy as np
    from keras import ops

    return ops.convert_to_tensor(np.uint32(value))
