"""Networks that are trained side by side by one program."""

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from popsearch.networks import embeddings, memory
from popsearch.networks.architecture import Architecture
from popsearch.networks.embeddings import Bins
from popsearch.networks.program import program
from popsearch.networks.weights import Layers, cut, initial, stack, still

ORDER_SEED = 777  # rows come in an order of their own in each epoch, the same for all networks
N_SEEN = 10_000


@dataclass(frozen=True)
class Network:
    """All that one network is trained with.

    Parameters
    ----------
    architecture
        Its shape.
    batch_size
        Rows of a batch, which is made a little larger or smaller so that all are equal.
    is_cosine, horizon
        Whether the learning rate falls along a cosine, and the epochs until it would be 0.
    embedding_scale
        Standard deviation of the first frequencies of a periodic embedding.
    seed
        Of the first weights and of dropout.
    """

    architecture: Architecture
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float
    is_cosine: bool
    horizon: int
    embedding_scale: float
    seed: int
    precision: str = "float32"

    @property
    def program_key(self) -> tuple[Architecture, int, str]:
        """What networks of one group have in common."""
        return self.architecture.padded(), self.batch_size, self.precision


@dataclass(frozen=True, eq=False)
class DeviceRows:
    """Training and validation rows where the networks are trained.

    Parameters
    ----------
    tensors
        Rows to train on and rows to score, and what the embeddings learned.
    n_seen
        The first so many training rows are scored: they are in random order, and as many as there
        are validation rows tell as much.
    target_mean, target_scale
        Targets are trained with this mean taken off and divided by this scale.
    """

    tensors: Any
    n_train: int
    n_seen: int
    n_val: int
    n_features: int
    bins: Bins
    numbers: NDArray[np.int32]
    target_mean: float
    target_scale: float

    @classmethod
    def put(
        cls,
        X_train: NDArray[np.float64],
        y_train: NDArray[np.float64],
        X_val: NDArray[np.float64],
        y_val: NDArray[np.float64],
        scale_target: bool = True,
        dtype: str = "float32",
    ) -> "DeviceRows":
        """Give the rows on the device; all that is learned is learned of the training rows."""
        from keras import ops

        n_train, n_val = len(y_train), len(y_val)
        n_seen = min(n_train, max(n_val, N_SEEN))
        bins, numbers = Bins.fit(X_train), embeddings.numbers(X_train)
        mean = float(y_train.mean()) if scale_target else 0.0
        scale = (float(y_train.std()) or 1.0) if scale_target else 1.0

        def put(values: Any) -> Any:
            return ops.convert_to_tensor(np.asarray(values, dtype))

        tensors = {
            "X_train": put(X_train),
            "y_train": put((y_train - mean) / scale),
            "X_scored": put(np.concatenate([X_train[:n_seen], X_val])),
            "y_scored": put((np.concatenate([y_train[:n_seen], y_val]) - mean) / scale),
            "n_seen": ops.convert_to_tensor(np.int32(n_seen)),
            "fitted": {
                "bins": {
                    key: ops.convert_to_tensor(values) for key, values in bins.arrays(dtype).items()
                },
                "numbers": ops.convert_to_tensor(numbers),
            },
        }
        n_features = X_train.shape[1]
        return cls(tensors, n_train, n_seen, n_val, n_features, bins, numbers, mean, scale)

    def n_inputs(self, architecture: Architecture) -> int:
        """Give how many inputs the first layer has."""
        return embeddings.n_inputs(
            architecture.embedding, self.n_features, len(self.bins.columns), len(self.numbers)
        )


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One network's weights and moving statistics at one moment."""

    layers: Layers
    moving: Layers


class Group:
    """Networks whose padded architecture, batch size and precision are the same.

    A network's curve hangs on its own settings and seed, not on the others: the order of the rows
    is a function of the epoch, its first weights and its dropout of its seed.

    Parameters
    ----------
    networks
        What is trained.
    rows
        What on.
    weights
        The first weights of each network; drawn by its seed where they are None.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        rows: DeviceRows,
        weights: Sequence[Layers] | None = None,
    ) -> None:
        self.networks, self._rows, self.epoch = list(networks), rows, 0
        first = self.networks[0]
        self._widths = first.architecture.padded().widths
        self._n_steps = max(1, round(rows.n_train / first.batch_size))
        batch = rows.n_train // self._n_steps
        has_dropout = any(network.dropout for network in networks)
        self._program = program(
            first.architecture.padded(), batch, memory.BLOCK, has_dropout, first.precision
        )
        self._n_rows_taken = self._n_steps * batch
        self._settings = self._first_settings()
        self._state = self._first_state(weights)

    def advance(self, scored: bool = True) -> NDArray[np.float64]:
        """Train every network by an epoch.

        Returns
        -------
        Mean squared and mean absolute errors of the scored training rows, then of the validation
        rows, (4, n_networks), in the units of the target; zeros where they are not ``scored``.
        """
        from keras import ops

        order = row_order(self.epoch, self._rows.n_train)[: self._n_rows_taken]
        state, errors = self._program(
            self._state,
            self._settings,
            self._rows.tensors,
            ops.convert_to_tensor(order),
            scored,
        )
        # Read first: a backend may tell only here that the epoch failed, which can be tried again.
        sums = ops.convert_to_numpy(errors).astype(np.float64)
        self._state = state
        self.epoch += 1
        scale, n_train, n_val = self._rows.target_scale, self._rows.n_seen, self._rows.n_val
        units = np.array([scale**2 / n_train, scale / n_train, scale**2 / n_val, scale / n_val])
        found: NDArray[np.float64] = sums * units[:, None]
        return found

    @property
    def epoch_flop(self) -> float:
        """Floating-point operations of one network in one epoch: two for each weight and pass."""
        architecture = self.networks[0].architecture
        size = memory.n_weights(architecture, self._rows.n_inputs(architecture))
        return 6.0 * size * self._n_rows_taken

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the networks at these places only; the others are forgotten."""
        from keras import ops, tree

        chosen = ops.convert_to_tensor(np.array(places, np.int32))
        take = functools.partial(ops.take, indices=chosen, axis=0)
        members = {key: values for key, values in self._state.items() if key != "step"}
        self._state = {**tree.map_structure(take, members), "step": self._state["step"]}
        self._settings = tree.map_structure(take, self._settings)
        self.networks = [self.networks[place] for place in places]

    def halves(self) -> "tuple[Group, Group]":
        """Give the two halves of the group, each as far as it is now."""
        places = range(len(self.networks))
        first, second = copy.copy(self), copy.copy(self)
        first.keep(places[: len(places) // 2])
        second.keep(places[len(places) // 2 :])
        return first, second

    def snapshot(self, place: int, best: bool) -> Snapshot:
        """Give the network at a place as it is now, or as it was when it was best."""
        from keras import ops, tree

        state = self._state["best"] if best else self._state
        widths = self.networks[place].architecture.widths
        one = tree.map_structure(
            lambda values: ops.convert_to_numpy(values[place])[None],
            {key: state[key] for key in ("weights", "moving")},
        )
        return Snapshot(cut(one["weights"], 0, widths), cut(one["moving"], 0, widths))

    def _first_settings(self) -> dict[str, Any]:
        from keras import ops

        steps = self._n_steps
        dtype = ops.dtype(self._rows.tensors["X_train"])
        columns = {
            "learning_rate": [network.learning_rate for network in self.networks],
            "weight_decay": [network.weight_decay for network in self.networks],
            "dropout": [network.dropout for network in self.networks],
            "is_cosine": [network.is_cosine for network in self.networks],
            "horizon": [network.horizon * steps for network in self.networks],
        }
        settings = {key: np.array(values, dtype) for key, values in columns.items()}
        seeds = [np.random.SeedSequence(network.seed) for network in self.networks]
        settings["key"] = np.array([seed.generate_state(1)[0] for seed in seeds], np.uint32)
        return {k: ops.convert_to_tensor(v.reshape(-1, 1, 1)) for k, v in settings.items()}

    def _first_state(self, weights: Sequence[Layers] | None) -> dict[str, Any]:
        from keras import ops, tree

        if weights is None:
            weights = [self._first_weights(network) for network in self.networks]
        dtype = ops.dtype(self._rows.tensors["X_train"])

        def put(values: NDArray[Any]) -> Any:
            return ops.convert_to_tensor(values.astype(dtype))

        stacked = tree.map_structure(put, stack(weights, self._widths))
        moving = [still(network.architecture) for network in self.networks]
        statistics = tree.map_structure(put, stack(moving, self._widths))
        zeros = tree.map_structure(ops.zeros_like, stacked)
        n = len(self.networks)
        return {
            "weights": stacked,
            "moving": statistics,
            "moments": (zeros, zeros),
            "step": ops.zeros((), "int32"),
            "best": {
                "weights": stacked,
                "moving": statistics,
                "squares": ops.convert_to_tensor(np.full(n, np.inf, dtype)),
            },
        }

    def _first_weights(self, network: Network) -> Layers:
        return initial(
            network.architecture,
            self._rows.n_inputs(network.architecture),
            len(self._rows.numbers),
            network.embedding_scale,
            network.seed,
        )


def row_order(epoch: int, n_rows: int) -> NDArray[np.int32]:
    """Give the order in which an epoch (from 0) takes the training rows, the same for all."""
    order = np.arange(n_rows, dtype=np.int32)
    np.random.default_rng((ORDER_SEED, epoch)).shuffle(order)
    return order
