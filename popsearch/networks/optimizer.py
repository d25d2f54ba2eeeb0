"""One step of Adam for many networks, each with its own settings."""

import math
from typing import Any

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras' own


def rates(learning_rate: Any, is_cosine: Any, horizon: Any, step: Any) -> Any:
    """Give the learning rate of each member at a step (from 0), (n_members, 1, 1).

    Parameters
    ----------
    is_cosine
        1 where it falls to 0 along a cosine within ``horizon`` steps (Loshchilov and Hutter, 2017,
        arXiv:1608.03983), 0 where it stays.
    """
    from keras import ops

    done = ops.minimum(step / horizon, 1.0)
    return learning_rate * (1 - is_cosine * 0.5 * (1 - ops.cos(math.pi * done)))


def adamw(
    weights: Any, gradients: Any, moments: tuple[Any, Any], rate: Any, decay: Any, step: Any
) -> tuple[Any, tuple[Any, Any]]:
    """Give the weights and moments after a step (from 0).

    Adam (Kingma and Ba, 2015, arXiv:1412.6980) with decoupled weight decay (Loshchilov and Hutter,
    2019, arXiv:1711.05101), in the form and order that Keras' ``AdamW`` has. Kernels decay; biases,
    BatchNorm's weights and frequencies do not.

    Parameters
    ----------
    weights, gradients
        Lists of dictionaries of tensors with a leading member axis.
    rate, decay
        Each of shape (n_members, 1, 1).
    """
    from keras import ops

    t = step + 1
    size = rate * ops.sqrt(1 - ops.power(BETA_2, t)) / (1 - ops.power(BETA_1, t))
    new_weights, firsts, seconds = [], [], []
    for own, slopes, first, second in zip(weights, gradients, *moments, strict=True):
        first = {k: m + (slopes[k] - m) * (1 - BETA_1) for k, m in first.items()}
        second = {k: v + (ops.square(slopes[k]) - v) * (1 - BETA_2) for k, v in second.items()}
        kept = {k: w * (1 - decay * rate) if k == "kernel" else w for k, w in own.items()}
        new_weights.append(
            {k: w - first[k] * size / (ops.sqrt(second[k]) + EPSILON) for k, w in kept.items()}
        )
        firsts.append(first)
        seconds.append(second)
    return new_weights, (firsts, seconds)
