"""One network's training, compared with Keras, finite differences, closed forms and statistics."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from networks import BACKEND, BATCH, N_TRAIN, device_rows, keras, network, ops, table, trained
from popsearch.networks import backend, embeddings, group, keras_model, optimizer
from popsearch.networks.architecture import N_FREQUENCIES
from popsearch.networks.embeddings import N_BINS, Bins
from popsearch.networks.group import DeviceRows, Group, Network, Snapshot, row_order
from popsearch.networks.network import Dropout, forward, uniform
from popsearch.networks.program import compiled
from popsearch.networks.weights import Layers, initial, stack, still

N_EPOCHS = 4
CASES: dict[str, dict[str, Any]] = {
    "relu": {},
    "gelu": {"activation": "gelu"},
    "silu": {"activation": "silu", "batch_size": 48},  # 3 batches of 53, and a row is left out
    "batch_norm": {"batch_norm": True},
    "piecewise_linear": {"embedding": "piecewise_linear"},
    "periodic": {"embedding": "periodic", "batch_norm": True},
}
SETTINGS: list[dict[str, Any]] = [
    {"learning_rate": 0.01, "weight_decay": 0.0, "is_cosine": False, "seed": 1},
    {"learning_rate": 0.02, "weight_decay": 0.5, "is_cosine": True, "horizon": 6, "seed": 2},
    {"learning_rate": 0.03, "weight_decay": 1.0, "is_cosine": True, "horizon": 3, "seed": 3},
]
# Each network is one of three in its group; Keras takes seconds for each, so not all are compared.
PLACES = {"relu": [0, 1, 2], "batch_norm": [0, 1], "gelu": [0], "silu": [1], "periodic": [1]}
STEP = 1e-6


def numbers_of(X: np.ndarray) -> list[int]:
    """The columns of more than two values."""
    return [j for j in range(X.shape[1]) if len(np.unique(X[:, j])) > 2]


def bins_of(X_train: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Numbers by how far they went through each bin between two quantiles of the training rows."""
    found = []
    for train, x in zip(X_train.T, X.T, strict=True):
        edges = np.unique(np.quantile(train, np.linspace(0, 1, N_BINS + 1)))
        found += [
            np.clip((x - low) / (high - low), 0, 1) for low, high in itertools.pairwise(edges)
        ]
    return np.array(found).T


class Waves(keras.layers.Layer):
    """Numbers, and behind them sines and cosines of each that is no yes or no."""

    def __init__(self, columns: list[int]) -> None:
        super().__init__()
        self._columns = columns

    def build(self, shape: Any) -> None:
        """Make the frequencies."""
        shape = (len(self._columns), N_FREQUENCIES)
        self.frequencies = self.add_weight(shape=shape, name="frequencies")

    def call(self, x: Any) -> Any:
        """Give all of them, a column's sines before its cosines."""
        parts = [x]
        for i, column in enumerate(self._columns):
            angles = 2 * np.pi * x[:, column : column + 1] * self.frequencies[i]
            parts += [ops.sin(angles), ops.cos(angles)]
        return ops.concatenate(parts, axis=1)


def twin(network: Network, weights: list[np.ndarray], n_steps: int) -> keras.Sequential:
    """The network as one writes it with Keras, ready for its own ``fit``."""
    X_train, *_ = table()
    shape = network.architecture
    bins = shape.embedding == "piecewise_linear"
    model = keras.Sequential(
        [keras.Input((bins_of(X_train, X_train) if bins else X_train).shape[1:])]
    )
    if shape.embedding == "periodic":
        model.add(Waves(numbers_of(X_train)))
    for width in shape.widths:
        model.add(keras.layers.Dense(width, activation=shape.activation))
        if shape.batch_norm:
            model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(1))
    model.set_weights(weights)
    rate: Any = network.learning_rate
    if network.is_cosine:
        rate = keras.optimizers.schedules.CosineDecay(rate, network.horizon * n_steps)
    adam = keras.optimizers.Adam(rate)
    if network.weight_decay:
        adam = keras.optimizers.AdamW(rate, weight_decay=network.weight_decay)
        adam.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "frequencies"])
    model.compile(adam, "mse", jit_compile=BACKEND == "jax")
    return model


def flat(layers: Layers, moving: Layers) -> list[np.ndarray]:
    """A network's arrays in the order in which Keras has them."""
    found = [layers[0]["frequencies"]] if "frequencies" in layers[0] else []
    for i, own in enumerate(layers):
        found += [own[name] for name in ("kernel", "bias", "gamma", "beta") if name in own]
        found += [moving[i][name] for name in ("mean", "variance")] if i < len(moving) else []
    return found


def tensors(values: Any, dtype: str = "float64") -> Any:
    """The same lists and dictionaries with tensors."""
    return keras.tree.map_structure(lambda v: ops.convert_to_tensor(v, dtype), values)


def first_weights(network: Network, rows: DeviceRows, rng: Any) -> Layers:
    """First weights of which none is 0 or 1, so that nothing that multiplies them is hidden."""
    n_inputs = rows.n_inputs(network.architecture)
    layers = initial(network.architecture, n_inputs, len(rows.numbers), 1.0, network.seed)
    return [{k: v + rng.normal(0, 0.1, v.shape) for k, v in own.items()} for own in layers]


@functools.cache
def case(name: str) -> tuple[Group, DeviceRows, list[Layers]]:
    """Networks of one shape after some epochs side by side, and their first weights."""
    rng = np.random.default_rng(0)
    rows = device_rows()
    networks = [network(**CASES[name], **settings) for settings in SETTINGS]
    firsts = [first_weights(own, rows, rng) for own in networks]
    side_by_side = Group(networks, rows, firsts)
    trained(side_by_side, N_EPOCHS)
    return side_by_side, rows, firsts


@functools.cache
def twins(name: str) -> dict[int, keras.Sequential]:
    """Some of the same networks, each trained by Keras alone."""
    side_by_side, _, firsts = case(name)
    X, y, *_ = table()
    if name == "piecewise_linear":
        X = bins_of(X, X)
    n_steps = round(N_TRAIN / CASES[name].get("batch_size", BATCH))
    batch = N_TRAIN // n_steps
    models = {}
    for place in PLACES.get(name, [2]):
        own = side_by_side.networks[place]
        model = twin(own, flat(firsts[place], still(own.architecture)), n_steps)
        for epoch in range(N_EPOCHS):
            order = row_order(epoch, N_TRAIN)[: n_steps * batch]
            model.fit(X[order], y[order], batch_size=batch, shuffle=False, verbose=0)
        models[place] = model
    return models


@pytest.mark.parametrize("name", CASES)
def test_weights_are_those_of_keras(name: str) -> None:
    """Weights and moving statistics are those of ``keras.Model.fit`` on the same batches.

    The networks of a group differ in learning rate, weight decay and schedule. One schedule comes
    to its end before the training does.
    """
    side_by_side, _, firsts = case(name)
    for place, model in twins(name).items():
        now = side_by_side.snapshot(place, best=False)
        before = flat(firsts[place], still(side_by_side.networks[place].architecture))
        expected = model.get_weights()
        for ours, theirs, first in zip(flat(now.layers, now.moving), expected, before, strict=True):
            size = np.abs(theirs).max()
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * size)
            assert np.abs(theirs - first).max() > 0.01 * size  # there was something to compare


@pytest.mark.parametrize("name", CASES)
def test_keras_model_predicts_the_same(name: str) -> None:
    """The Keras model of a network predicts what it did in the group, and what its twin does."""
    side_by_side, rows, _ = case(name)
    X_train, _, X, _ = table()
    seen = bins_of(X_train, X) if name == "piecewise_linear" else X
    for place, model in twins(name).items():
        own = side_by_side.networks[place]
        now = side_by_side.snapshot(place, best=False)
        ours = keras_model.predict(keras_model.build(own, now, rows), X)
        weights = stack([now.layers], own.architecture.widths)
        moving = stack([now.moving], own.architecture.widths)
        x = ops.convert_to_tensor(X.astype(np.float32))
        inside, _ = forward(own.architecture, weights, moving, x, rows.tensors["fitted"])
        np.testing.assert_allclose(ours, ops.convert_to_numpy(inside)[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ours, keras_model.predict(model, seen), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_units_that_pad_a_layer_stay_zero(name: str) -> None:
    """Layers of 20 and 9 units are trained as 32 and 16, of which all that is added stays 0."""
    side_by_side, *_ = case(name)
    n_in: Any = None
    for own, n_out in zip(side_by_side._state["weights"], (20, 9, 1), strict=True):
        kernel = ops.convert_to_numpy(own["kernel"])
        assert kernel.shape[2] == {20: 32, 9: 16, 1: 1}[n_out]
        assert not kernel[:, :, n_out:].any()
        assert n_in is None or not kernel[:, n_in:].any()
        for key in {"bias", "gamma", "beta"} & {*own}:
            assert not ops.convert_to_numpy(own[key])[:, :, n_out:].any()
        n_in = n_out


@pytest.fixture
def float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let JAX have float64, and take its own means and waves: Keras takes them in float32 there."""
    if BACKEND != "jax":
        yield
        return
    import jax

    for name in ("mean", "sin", "cos"):
        monkeypatch.setattr(ops, name, getattr(jax.numpy, name))
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_differences(name: str, float64: None) -> None:
    """Every weight's slope is what a small change of it does to the loss, in float64."""
    X, y, *more = table(n_train=40)
    rows = DeviceRows.put(X, y, *more, scale_target=False, dtype="float64")
    given = {key: value for key, value in CASES[name].items() if key != "batch_size"}
    networks = [network(5, 3, **given, seed=seed) for seed in (1, 2)]
    shape, rng = networks[0].architecture, np.random.default_rng(0)
    weights = stack([first_weights(own, rows, rng) for own in networks], shape.widths)

    def losses(weights: Any) -> Any:
        n_members = weights[-1]["bias"].shape[0]
        moving = tensors(stack([still(shape)] * n_members, shape.widths))
        x, fitted = rows.tensors["X_train"], rows.tensors["fitted"]
        predictions, _ = forward(shape, weights, moving, x, fitted, training=True)
        return ops.mean(ops.square(predictions - rows.tensors["y_train"]), axis=1)

    slopes, _ = backend.gradient(lambda weights: (ops.sum(losses(weights)), ()), tensors(weights))
    for member in range(2):
        # Each weight, a little more and a little less of it, is a network of its own.
        n = sum(values[member].size for own in weights for values in own.values())
        shifted = [{k: np.repeat(v[[member]], 2 * n, 0) for k, v in own.items()} for own in weights]
        places = [(v, place) for own in shifted for v in own.values() for place in range(v[0].size)]
        for i, (values, place) in enumerate(places):
            values[2 * i].flat[place] += STEP
            values[2 * i + 1].flat[place] -= STEP
        higher, lower = ops.convert_to_numpy(losses(tensors(shifted))).reshape(n, 2).T
        found = [
            ops.convert_to_numpy(slope[key])[member].ravel()
            for slope, own in zip(slopes, weights, strict=True)
            for key in own
        ]
        expected = (higher - lower) / (2 * STEP)
        np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-6, atol=1e-8)


def test_first_weights_are_drawn_as_keras_draws_them() -> None:
    """Kernels are even within Glorot's bounds, all else is 0 or 1, and seeds make them differ."""
    shape = network(300, 200, batch_norm=True).architecture
    layers = initial(shape, 100, 0, 1.0, seed=1)
    keras_own = keras.initializers.GlorotUniform(seed=1)
    for own, (n_in, n_out) in zip(layers, [(100, 300), (300, 200), (200, 1)], strict=True):
        assert own["kernel"].shape == (n_in, n_out)
        assert not own["bias"].any()
        drawn = ops.convert_to_numpy(keras_own((n_in, n_out)))
        assert stats.ks_2samp(own["kernel"].ravel(), drawn.ravel()).pvalue > 0.001
    assert all((own["gamma"] == 1).all() and not own["beta"].any() for own in layers[:2])
    assert "gamma" not in layers[2]
    again, other = (initial(shape, 100, 0, 1.0, seed)[0]["kernel"] for seed in (1, 2))
    np.testing.assert_array_equal(layers[0]["kernel"], again)
    assert abs(np.corrcoef(again.ravel(), other.ravel())[0, 1]) < 0.03


def test_random_numbers_are_uniform_and_unrelated() -> None:
    """Random numbers are even in 0..1 and tell nothing of those beside them."""
    keys = np.array([0, 1, 2, 77, 2**31, 2**32 - 1], np.uint32).reshape(-1, 1, 1)
    layers = [
        ops.convert_to_numpy(uniform(ops.convert_to_tensor(keys), layer, (256, 128)))
        for layer in (0, 1)
    ]
    together = np.array(layers)  # (n_layers, n_members, n_rows, n_units)
    assert together.shape == (2, 6, 256, 128)
    assert together.min() >= 0
    assert together.max() < 1
    for own in together.reshape(12, -1):
        assert stats.kstest(own, "uniform").pvalue > 0.001
    for axis in range(4):
        n = together.shape[axis]
        one = together.take(range(n - 1), axis).ravel()
        next_one = together.take(range(1, n), axis).ravel()
        assert abs(np.corrcoef(one, next_one)[0, 1]) < 4 / np.sqrt(one.size)


def test_dropout_scales_what_it_keeps() -> None:
    """A share of 1 - rate is kept and divided by it; where the rate is 0, nothing changes."""
    rates = np.array([0.0, 0.1, 0.5, 0.9])
    h = np.random.default_rng(0).uniform(1, 2, (4, 200, 100)).astype(np.float32)
    rate, key = rates.astype(np.float32), np.array([5, 6, 7, 8], np.uint32)
    drop = Dropout(*(ops.convert_to_tensor(values.reshape(-1, 1, 1)) for values in (rate, key)))
    after = ops.convert_to_numpy(drop(ops.convert_to_tensor(h), 0))
    np.testing.assert_array_equal(after[0], h[0])
    kept = after != 0
    whole = h / (1 - rates[:, None, None])
    np.testing.assert_allclose(after[kept], whole[kept], rtol=1e-6)
    errors = np.sqrt(rates * (1 - rates) / h[0].size)
    assert (np.abs(kept.mean(axis=(1, 2)) - (1 - rates)) <= 4 * errors).all()


def test_masks_of_a_training() -> None:
    """In training each step and seed has masks of its own, as large as the rate says.

    All rows are one row, all outputs of the hidden layer are 1, the prediction is 0 and the target
    is 1/2, and nothing is learned. Then a slope of the output's kernel is the share of rows in
    which its unit was kept, divided by 1 - rate.
    """
    n_units, n_steps = 64, 8
    X, y = np.ones((N_TRAIN, 4)), np.full(N_TRAIN, 0.5)
    rows = DeviceRows.put(X, y, X[:1], y[:1], scale_target=False)
    rates, seeds = np.array([0.25, 0.5, 0.5, 0.5]), [1, 2, 3, 3]
    networks = [
        network(n_units, batch_size=N_TRAIN, learning_rate=0.0, dropout=rate, seed=seed)
        for rate, seed in zip(rates, seeds, strict=True)
    ]
    first: Layers = [
        {"kernel": np.zeros((4, n_units)), "bias": np.ones(n_units)},
        {"kernel": np.zeros((n_units, 1)), "bias": np.zeros(1)},
    ]
    side_by_side = Group(networks, rows, [first] * 4)
    moments = [np.zeros((4, n_units))]
    for _ in range(n_steps):
        side_by_side.advance()
        moments.append(ops.convert_to_numpy(side_by_side._state["moments"][0][1]["kernel"])[..., 0])
    slopes = (np.array(moments[1:]) - 0.9 * np.array(moments[:-1])) / 0.1
    counts = -slopes * (N_TRAIN * (1 - rates))[:, None]  # (n_steps, n_members, n_units)
    np.testing.assert_allclose(counts, np.rint(counts), atol=0.01)
    counts = np.rint(counts)
    n = N_TRAIN * n_units * n_steps
    shares = counts.sum(axis=(0, 2)) / n
    assert (np.abs(shares - (1 - rates)) < 4 * np.sqrt(rates * (1 - rates) / n)).all()
    spread = (counts - N_TRAIN * (1 - rates[:, None])) ** 2 / (N_TRAIN * rates * (1 - rates))[
        :, None
    ]
    tails = stats.chi2(n_steps * n_units).sf(spread.sum(axis=(0, 2)))
    assert ((tails > 0.001) & (tails < 0.999)).all()
    np.testing.assert_array_equal(counts[:, 2], counts[:, 3])
    each = [counts[step, member] for step in range(n_steps) for member in range(3)]
    relations = np.corrcoef(each) - np.eye(len(each))
    assert np.abs(relations).max() < 5 / np.sqrt(n_units)


@pytest.mark.parametrize("scale_target", [False, True])
def test_errors_are_those_of_the_predictions(
    scale_target: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors after an epoch are those of the predictions then, in the units of the target.

    There are more rows than are scored at once, of the training rows the first are scored, and
    nothing is dropped out.
    """
    monkeypatch.setattr(group, "N_SEEN", 900)
    X_train, y_train, X_val, y_val = table(n_train=1500, n_val=300)
    y_train, y_val = 100 * y_train, 100 * y_val
    rows = DeviceRows.put(X_train, y_train, X_val, y_val, scale_target)
    networks = [
        network(batch_size=500, batch_norm=True, dropout=0.5, learning_rate=rate, seed=seed)
        for seed, rate in enumerate([0.01, 0.1])
    ]
    side_by_side = Group(networks, rows)
    errors = trained(side_by_side, 3)[-1]
    for place, own in enumerate(networks):
        now = side_by_side.snapshot(place, best=False)
        model = keras_model.build(own, now, rows)
        expected = []
        for X, y in ((X_train[:900], y_train[:900]), (X_val, y_val)):
            residuals = y - keras_model.predict(model, X)
            expected += [np.mean(residuals**2), np.mean(np.abs(residuals))]
        np.testing.assert_allclose(errors[:, place], expected, rtol=1e-4)


@given(epoch=st.integers(0, 1000), n_rows=st.integers(1, 300))
def test_an_order_takes_each_row_once(epoch: int, n_rows: int) -> None:
    """An epoch takes every row once, in the same order each time it is asked for."""
    order = row_order(epoch, n_rows)
    np.testing.assert_array_equal(np.sort(order), np.arange(n_rows))
    np.testing.assert_array_equal(order, row_order(epoch, n_rows))


def test_epochs_have_orders_of_their_own() -> None:
    """Two epochs take the rows in orders that have nothing in common, and neither is sorted."""
    orders = [np.arange(2000), *(row_order(epoch, 2000) for epoch in range(5))]
    relations = np.corrcoef(orders) - np.eye(6)
    assert np.abs(relations).max() < 4 / np.sqrt(2000)


def test_rates_are_those_of_keras() -> None:
    """A rate stays, or is that of Keras' ``CosineDecay`` at every step and after the last one."""
    horizon = 20
    decay = keras.optimizers.schedules.CosineDecay(0.3, horizon)
    column = np.array([[[0.3]], [[0.2]]], np.float32)
    is_cosine = np.array([[[1.0]], [[0.0]]], np.float32)
    for step in range(horizon + 5):
        now = np.float32(step)
        found = optimizer.rates(column, is_cosine, np.full((2, 1, 1), horizon, np.float32), now)
        expected = float(ops.convert_to_numpy(decay(step)))
        np.testing.assert_allclose(np.ravel(found), [expected, 0.2], rtol=1e-5, atol=1e-7)


def test_a_program_is_compiled_once() -> None:
    """Networks of the same shapes are trained by the program that is there, whatever their rates.

    Neither a second epoch, nor one that is not scored, nor other rows need another program.
    """
    side_by_side, *_ = case("relu")
    n, seconds = compiled.n, compiled.seconds
    assert n > 0
    assert seconds > 0
    others = [network(learning_rate=rate, weight_decay=rate, seed=9) for rate in (0.1, 0.2, 0.3)]
    again = Group(others, device_rows(scale_target=True))
    again.advance(scored=False)
    again.advance()
    assert (compiled.n, compiled.seconds) == (n, seconds)
    program = again._program
    assert program is side_by_side._program
    run = program._run
    made = run._cache_size() if BACKEND == "jax" else run.experimental_get_tracing_count()
    assert made == len(program._known)


COLUMNS = arrays(
    np.float64,
    st.tuples(st.integers(2, 60), st.integers(1, 3)),
    elements=st.integers(-40, 40).map(lambda v: v / 8),
)


@given(X=COLUMNS, x=st.lists(st.floats(-50, 50), min_size=2, max_size=20))
def test_bins_are_how_far_a_number_went(X: np.ndarray, x: list[float]) -> None:
    """Bins are in 0..1, rise with the number, and add up to its place among the quantiles.

    The place is 0 at the lowest training row and below, and the number of bins at the highest and
    above. A column of one value has one bin.
    """
    bins = Bins.fit(X)
    for j, own in enumerate(X.T):
        edges = np.unique(np.quantile(own, np.linspace(0, 1, N_BINS + 1)))
        asked = np.sort([*own, *x])
        mine = bins.columns == j
        values = np.clip((asked[:, None] - bins.edges[mine]) / bins.widths[mine], 0, 1)
        assert np.isfinite(values).all()
        assert (np.diff(values, axis=0) >= 0).all()
        if len(edges) == 1:
            assert values.shape[1] == 1
            assert not values[asked <= edges[0]].any()
            continue
        assert values.shape[1] == len(edges) - 1 <= N_BINS
        places = np.interp(asked, edges, np.arange(len(edges)))
        np.testing.assert_allclose(values.sum(axis=1), places, atol=1e-7)


def test_embeddings_of_a_batch() -> None:
    """On the device bins and waves are what NumPy makes of the numbers; yes and no has no waves."""
    X_train, _, X, _ = table()
    rows = device_rows()
    x = ops.convert_to_tensor(X.astype(np.float32))
    fitted = rows.tensors["fitted"]
    found = ops.convert_to_numpy(embeddings.piecewise_linear(x, fitted["bins"]))
    np.testing.assert_allclose(found, bins_of(X_train, X), atol=1e-5)
    assert list(rows.numbers) == numbers_of(X_train) == [0, 2, 3]
    frequencies = np.random.default_rng(0).normal(size=(2, 3, N_FREQUENCIES)).astype(np.float32)
    waves = ops.convert_to_numpy(embeddings.periodic(x, fitted["numbers"], frequencies))
    angles = 2 * np.pi * X[None, :, [0, 2, 3], None] * frequencies[:, None]
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
    np.testing.assert_allclose(waves, expected.reshape(2, len(X), -1), atol=1e-5)


def test_numbers_have_three_values_somewhere() -> None:
    """A column is a number where any row has a third value, be it the last one."""
    X = np.zeros((3000, 4))
    X[::2, 1] = X[::2, 2] = 1
    X[-1, 2] = 2
    X[:, 3] = range(3000)
    assert list(embeddings.numbers(X)) == [2, 3]


def test_targets_are_scaled_by_the_training_rows() -> None:
    """Targets have mean 0 and variance 1 in the training rows; constant ones are only shifted."""
    X_train, y_train, X_val, y_val = table()
    rows = DeviceRows.put(X_train, y_train, X_val, y_val)
    scaled = ops.convert_to_numpy(rows.tensors["y_train"])
    np.testing.assert_allclose(scaled, (y_train - y_train.mean()) / y_train.std(), atol=1e-5)
    scored = ops.convert_to_numpy(rows.tensors["y_scored"])[rows.n_seen :]
    np.testing.assert_allclose(scored, (y_val - y_train.mean()) / y_train.std(), atol=1e-5)
    constant = DeviceRows.put(X_train, np.full(N_TRAIN, 7.0), X_val, y_val)
    assert (constant.target_mean, constant.target_scale) == (7.0, 1.0)


def test_narrow_bins_predict_the_same() -> None:
    """Where rows crowd far from 0, in bins a ten-thousandth wide, Keras predicts the same too."""
    X_train, y_train, X_val, y_val = table()
    for X in (X_train, X_val):
        X[:, 0] = 1 - np.abs(X[:, 0]) / 1000
    rows = DeviceRows.put(X_train, y_train, X_val, y_val)
    own = network(32, 16, embedding="piecewise_linear")
    first = first_weights(own, rows, np.random.default_rng(0))
    weights = tensors(stack([first], (32, 16)), "float32")
    run = backend.compiled(
        lambda x: forward(own.architecture, weights, [], x, rows.tensors["fitted"])[0]
    )
    inside = ops.convert_to_numpy(run(ops.convert_to_tensor(X_val.astype(np.float32))))[0]
    model = keras_model.build(own, Snapshot(first, []), rows)
    theirs = (keras_model.predict(model, X_val) - rows.target_mean) / rows.target_scale
    np.testing.assert_allclose(inside, theirs, rtol=1e-5, atol=1e-5)
