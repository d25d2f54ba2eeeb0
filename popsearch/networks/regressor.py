"""One network as a scikit-learn estimator."""

import pickle
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from popsearch.networks import backend
from popsearch.networks.architecture import (
    Activation,
    Architecture,
    Embedding,
    read_widths,
    widths,
)
from popsearch.networks.group import DeviceRows, Group, Network

BLOCK = 64  # rows that are predicted together


class NetworkRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A network of dense layers, trained in one compiled loop.

    Trained with Adam and decoupled weight decay on the mean squared error. After each hidden layer
    come the activation, BatchNorm and dropout, in this order.

    Parameters
    ----------
    hidden_layer_sizes
        Units of each hidden layer, as ``[128, 64, 32]`` or ``"128-64-32"``, or of the only one;
        where it is given,
        depth, width and taper do not count.
    depth, width, taper
        Number of hidden layers, units of the first, and how wide each is beside the one before.
    embedding
        What numbers are made into: ``none``, ``periodic`` (waves of trained frequencies) or
        ``piecewise_linear`` (bins between quantiles).
    embedding_scale
        Standard deviation of the first frequencies of a periodic embedding.
    schedule
        ``constant``, or ``cosine``: the learning rate falls to 0 along a cosine.
    batch_size
        Rows of a batch. Batches are made equal: there are as many as comes nearest to it.
    horizon
        Epochs until the cosine is at 0; None is ``epochs``.
    scale_target
        Whether targets are trained with mean 0 and variance 1; predictions are in their own units.
    random_state
        Of the first weights and of dropout. Rows come in the same order whatever it is.
    backend
        Keras' backend, one for a process.
    precision
        Of the matrix products; all else is float32.

    Attributes
    ----------
    model_
        The trained network, an ordinary ``keras.Sequential``.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", str, Integral, None],
        "depth": [Interval(Integral, 1, None, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
        "taper": [Interval(Real, 0, None, closed="neither")],
        "activation": [StrOptions({"relu", "gelu", "silu"})],
        "batch_norm": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "embedding": [StrOptions({"none", "periodic", "piecewise_linear"})],
        "embedding_scale": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({"constant", "cosine"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "horizon": [Interval(Integral, 1, None, closed="left"), None],
        "scale_target": ["boolean"],
        "random_state": ["random_state"],
        "backend": [StrOptions({"tensorflow", "jax"})],
        "precision": [StrOptions({"float32", "bfloat16"})],
    }

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | str | int | None = None,
        depth: int = 2,
        width: int = 64,
        taper: float = 1.0,
        activation: Activation = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        embedding: Embedding = "none",
        embedding_scale: float = 1.0,
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        schedule: str = "constant",
        batch_size: int = 128,
        epochs: int = 20,
        horizon: int | None = None,
        scale_target: bool = True,
        random_state: int | None = None,
        backend: backend.Backend = "tensorflow",
        precision: str = "float32",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.depth = depth
        self.width = width
        self.taper = taper
        self.activation = activation
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.embedding = embedding
        self.embedding_scale = embedding_scale
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.horizon = horizon
        self.scale_target = scale_target
        self.random_state = random_state
        self.backend = backend
        self.precision = precision

    def fit(self, X: Any, y: Any) -> Self:
        """Train for all epochs on rows (n_rows, n_features) and targets (n_rows,).

        Raises
        ------
        ValueError
            If a parameter or the rows do not hold.
        FloatingPointError
            If the training diverged.
        """
        from popsearch.networks import keras_model

        self._validate_params()
        network = self.network()
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        _hold_in_float32(X=X, y=y)
        backend.use(self.backend)
        rows = DeviceRows.put(X, y, X[:1], y[:1], self.scale_target)
        group = Group([network], rows)
        for _ in range(self.epochs - 1):
            group.advance(scored=False)
        errors = group.advance()
        model = keras_model.build(network, group.snapshot(0, best=False), rows)
        if not all(np.isfinite(values).all() for values in (errors, *model.get_weights())):
            raise FloatingPointError(
                "the training diverged: errors or weights are no numbers; lower learning_rate "
                f"(it is {self.learning_rate:g})"
            )
        self.model_ = model
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Give the predictions of rows (n_rows, n_features), (n_rows,)."""
        from popsearch.networks import keras_model

        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        _hold_in_float32(X=X)
        # In whole blocks: the last digits hang on how many rows come with a row.
        blocks = np.pad(X, ((0, -len(X) % BLOCK), (0, 0)))
        return keras_model.predict(self.model_, blocks)[: len(X)]

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {**super().__getstate__()}
        if "model_" in state:
            with backend.quiet():  # Keras loads TensorFlow for it, on any backend
                state["model_"] = pickle.dumps(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "model_" in state:
            backend.load(state["backend"])
            with backend.quiet():
                state = {**state, "model_": pickle.loads(state["model_"])}
        super().__setstate__(state)

    def network(self) -> Network:
        """Give what a group of networks needs to know to train this one."""
        return Network(
            architecture=Architecture(
                self._widths(), self.activation, bool(self.batch_norm), self.embedding
            ),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            dropout=self.dropout,
            is_cosine=self.schedule == "cosine",
            horizon=self.horizon or self.epochs,
            embedding_scale=self.embedding_scale,
            seed=int(check_random_state(self.random_state).randint(2**31)),
            precision=self.precision,
        )

    def _widths(self) -> tuple[int, ...]:
        given = self.hidden_layer_sizes
        if given is None:
            return widths(self.depth, self.width, self.taper)
        try:
            sizes = read_widths(given)
        except (TypeError, ValueError):
            sizes = ()
        if not sizes or min(sizes) < 1:
            raise ValueError(
                "The 'hidden_layer_sizes' parameter of NetworkRegressor must be widths, as in "
                f"[128, 64, 32] or '128-64-32'. Got {given!r} instead."
            )
        return sizes


def _hold_in_float32(**arrays: NDArray[np.float64]) -> None:
    """Refuse numbers that are too large for float32, in scikit-learn's words."""
    for name, values in arrays.items():
        with np.errstate(over="ignore", invalid="ignore"):
            assert_all_finite(values.astype(np.float32), input_name=name)
