"""Keras' backends: what is loaded when, what is said of it, and what networks cost."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fresh
from networks import BACKEND, network
from popsearch import command
from popsearch.config import Config
from popsearch.errors import ConfigError
from popsearch.family import ModelConfig
from popsearch.models import estimator
from popsearch.networks import backend, embeddings, memory
from popsearch.networks.architecture import Architecture
from popsearch.networks.backend import Device

OTHER: dict[str, backend.Backend] = {"tensorflow": "jax", "jax": "tensorflow"}
FRAMEWORKS = {"keras", "tensorflow", "jax", "jaxlib"}
KERAS = """
import os
from types import SimpleNamespace
os.write(2, b"said by C++\\n")
{more}
config = SimpleNamespace(backend=lambda: os.environ["KERAS_BACKEND"])
"""
USE = """
import os, sys
from popsearch.networks import backend
backend.use("tensorflow")
os.write(2, b"said later\\n")
"""
LISTED = "\nprint(*{name.partition('.')[0] for name in sys.modules})"
MAIN = (
    "import sys\nfrom popsearch.__main__ import main\ntry:\n    main()\nfinally:"
    + LISTED.replace("\n", "\n    ")
)
CPU, GPU = Device("made up", False, 10_000), Device("made up", True, 10_000)

once = pytest.mark.skipif(BACKEND != "tensorflow", reason="the same whatever the backend is")
widths = st.lists(st.integers(1, 200), min_size=1, max_size=4)


def test_a_process_keeps_its_backend() -> None:
    """The other one is refused in a line that says what to do; the same one is no fault."""
    backend.use(BACKEND)
    assert backend.loaded_backend() == BACKEND
    with pytest.raises(ConfigError) as caught:
        backend.use(OTHER[BACKEND])
    (fault,) = caught.value.faults
    assert f"backend={OTHER[BACKEND]}: Keras is loaded with {BACKEND}" in fault
    assert "a process of its own" in fault
    assert backend.loaded_backend() == BACKEND


def test_a_backend_comes_without_a_word() -> None:
    """Loading it, asking for its device and training write nothing to the terminal."""
    code = f"""
import numpy as np
from popsearch.networks import NetworkRegressor, backend
backend.use({BACKEND!r})
print(backend.device().is_gpu, backend.loaded_backend())
NetworkRegressor(epochs=1, backend={BACKEND!r}).fit(np.eye(8), np.arange(8)).predict(np.eye(8))
"""
    done = fresh.start(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(backend.device().is_gpu), BACKEND]


@once
@pytest.mark.parametrize(
    ("more", "expected"),
    [("", "said later\n"), ("raise ImportError('no libcuda')", "said by C++\n")],
    ids=["loads", "fails"],
)
def test_what_a_backend_says_is_shown_where_it_fails(
    more: str, expected: str, tmp_path: Path
) -> None:
    """What its C++ side writes is hidden when it loads, and stands before the error when not."""
    (tmp_path / "keras.py").write_text(KERAS.format(more=more))
    done = fresh.start(USE, path=tmp_path)
    assert done.stderr.startswith(expected)
    assert (done.returncode == 0) == (not more)
    assert ("no libcuda" in done.stderr) == bool(more)


@once
def test_a_backend_loads_where_nobody_listens(tmp_path: Path) -> None:
    """A process whose stderr was closed has no place to hide words from."""
    (tmp_path / "keras.py").write_text(KERAS.format(more="").replace("os.write", "# os.write"))
    code = "import os, sys\nos.close(2)\nsys.stderr = None\n" + USE.replace("os.write", "# ")
    assert fresh.start(code + "\nprint('loaded')", path=tmp_path).stdout == "loaded\n"


@once
@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["model=mlp", "--cfg", "job"],
        ["model=mlp", "model.space.depth.low=0", "model.backend=jax"],
        ["model=mlp", "model.fixed.hidden_layer_sizes=wide"],
    ],
    ids=" ".join,
)
def test_to_look_at_a_command_needs_no_framework(argv: list[str], workdir: Path) -> None:
    """Help, the configuration and its faults come without seconds of loading."""
    done = fresh.start(MAIN, *argv)
    loaded = fresh.imported(done.stdout)
    assert "popsearch" in loaded
    assert not loaded & FRAMEWORKS
    assert done.returncode == (2 if "model" in done.stderr else 0)
    assert bool(done.stderr) == any("=0" in word or "wide" in word for word in argv)


@once
def test_networks_are_imported_without_a_framework() -> None:
    """Whoever only names the estimator, or makes one, does not wait for Keras."""
    code = "import sys\nfrom popsearch.networks import NetworkRegressor, child, memory\n"
    done = fresh.start(code + "NetworkRegressor(depth=3).network()" + LISTED)
    assert done.returncode == 0, done.stderr
    assert not fresh.imported(done.stdout) & FRAMEWORKS


@once
def test_other_families_are_searched_without_a_framework(workdir: Path) -> None:
    """A search over ridge, up to the stored model, loads neither Keras nor a backend."""
    done = fresh.start(MAIN, "model=ridge", "n_trials=1", "data.rows=300")
    assert done.returncode == 0, done.stderr
    assert list(workdir.rglob("*.skops"))
    loaded = fresh.imported(done.stdout)
    assert {"mlflow", "sklearn", "optuna"} <= loaded
    assert not loaded & FRAMEWORKS


def test_a_function_is_compiled_once_for_each_shape() -> None:
    """Python runs while it is compiled only, and the numbers are those of NumPy."""
    from keras import ops

    shapes: list[Any] = []

    def squares(x: Any) -> Any:
        shapes.append(tuple(x.shape))
        return ops.sum(ops.square(x), axis=1)

    fast = backend.compiled(squares)
    for x in (np.eye(2), 3 * np.eye(2), np.ones((3, 2)), np.eye(2)):
        found = ops.convert_to_numpy(fast(ops.convert_to_tensor(x, "float32")))
        np.testing.assert_array_equal(found, np.sum(x**2, axis=1))
    assert shapes == [(2, 2), (3, 2)]


def test_the_gradient_is_that_of_the_formula() -> None:
    """For weights in lists and dictionaries, with what else the loss function gives."""
    from keras import ops

    a, b = np.array([1.0, -2.0], "float32"), np.array([0.5, 3.0], "float32")
    weights = [{"a": ops.convert_to_tensor(a)}, {"b": ops.convert_to_tensor(b)}]

    def loss(weights: Any) -> tuple[Any, Any]:
        products = ops.square(weights[0]["a"]) * weights[1]["b"]
        return ops.sum(products), products

    gradients, more = backend.gradient(loss, weights)
    np.testing.assert_allclose(ops.convert_to_numpy(gradients[0]["a"]), 2 * a * b)
    np.testing.assert_allclose(ops.convert_to_numpy(gradients[1]["b"]), a**2)
    np.testing.assert_allclose(ops.convert_to_numpy(more), a**2 * b)


def test_a_full_memory_is_told_from_other_errors() -> None:
    """What the backend raises for more than there is, and nothing else, is out of memory."""
    with pytest.raises(Exception, match=r"(?i)out of memory") as full:
        _fill_the_memory()
    assert backend.is_out_of_memory(full.value)
    assert not backend.is_out_of_memory(ValueError("shapes do not fit"))


def _fill_the_memory() -> None:
    if BACKEND == "tensorflow":  # which tries for ten seconds before it gives up
        import tensorflow as tf

        raise tf.errors.ResourceExhaustedError(None, None, "Out of memory while allocating 1TiB")
    from keras import ops

    ops.zeros((2**46,))


def test_the_device_is_this_machine() -> None:
    """Where there is no GPU its cores are named, and memory that is really free."""
    device = backend.device()
    assert device.memory_mib > 100
    assert device.is_gpu or device.name.endswith("CPU cores")


@settings(max_examples=10)  # Keras takes its time for each
@given(widths, st.integers(1, 50))
def test_weights_are_counted_as_keras_counts_them(sizes: list[int], n_inputs: int) -> None:
    """The kernels of a network whose layers are padded to a multiple of 16 units."""
    import keras

    padded = [16 * np.ceil(size / 16).astype(int) for size in sizes]
    model = keras.Sequential([keras.layers.Input((n_inputs,))])
    for units in (*padded, 1):
        model.add(keras.layers.Dense(int(units), use_bias=False, kernel_initializer="zeros"))
    architecture = Architecture(tuple(sizes), "relu", False, "none")
    assert memory.n_weights(architecture, n_inputs) == model.count_params()


@given(
    widths,
    st.sampled_from(["wider", "deeper", "batch", "features", "memory"]),
    st.integers(2, 50),
)
def test_fewer_large_networks_fit_side_by_side(sizes: list[int], what: str, factor: int) -> None:
    """Whatever makes a network larger leaves room for fewer; one is trained in any case."""
    batch, n_features, device = 2048, 10, CPU
    fits = memory.n_side_by_side(network(*sizes, batch_size=batch), n_features, device)
    match what:
        case "wider":
            sizes = [size * factor for size in sizes]
        case "deeper":
            sizes = sizes + sizes[-1:] * factor
        case "batch":
            batch *= factor
        case "features":
            n_features *= factor
        case "memory":
            device = Device("made up", False, CPU.memory_mib // factor)
    larger = memory.n_side_by_side(network(*sizes, batch_size=batch), n_features, device)
    assert 1 <= larger <= fits
    full = Device("made up", False, 0)
    assert memory.n_side_by_side(network(*sizes), n_features, full) == 1


@pytest.mark.parametrize("embedding", ["none", "periodic", "piecewise_linear"])
@given(columns=st.lists(st.sampled_from(["number", "flag", "constant"]), min_size=1, max_size=5))
def test_no_table_gives_more_inputs_than_expected(embedding: Any, columns: list[str]) -> None:
    """What the memory is divided by is enough for any table of so many features."""
    rng = np.random.default_rng(0)
    kinds = {"number": rng.random(99), "flag": rng.random(99) > 0.5, "constant": np.ones(99)}
    X = np.column_stack([kinds[column] for column in columns]).astype(float)
    n_bins, n_numbers = len(embeddings.Bins.fit(X).columns), len(embeddings.numbers(X))
    found = embeddings.n_inputs(embedding, len(columns), n_bins, n_numbers)
    assert found <= embeddings.most_inputs(embedding, len(columns))


SPACES: dict[str, dict[str, Any]] = {  # beside what mlp has
    "ranges": {},
    "choices": {
        "depth": {"type": "categorical", "choices": [1, 4, 2]},
        "width": {"type": "categorical", "choices": [16, 300, 32]},
        "taper": {"type": "float", "low": 0.5, "high": 1.5},
    },
    "lists": {
        "hidden_layer_sizes": {"type": "categorical", "choices": ["16-8", "256-256", "512"]},
        "batch_size": {"type": "int", "low": 64, "high": 8192},
    },
}


@pytest.mark.parametrize("name", SPACES)
def test_the_largest_network_is_looked_at(name: str) -> None:
    """None that a space can give takes more memory than the largest of those that are tried."""
    (job,) = command.jobs(("model=mlp",))
    own = Config(**job.sections).model.model_dump()
    model = ModelConfig(**{**own, "space": {**own["space"], **SPACES[name]}})

    def mib(params: dict[str, Any]) -> float:
        found = estimator.build(model, params).network()
        return memory.member_mib(found, embeddings.most_inputs(found.architecture.embedding, 13))

    largest = max(map(mib, memory.largest(model.space)))
    values = {
        key: list(getattr(param, "choices", ())) or [param.low, param.high]
        for key, param in model.space.items()
        if key in ("hidden_layer_sizes", "depth", "width", "taper", "embedding", "batch_size")
    }
    every = [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]
    assert largest == max(map(mib, every))


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 10**6), st.floats(1, 1e15))
def test_the_more_work_is_saved_the_more_it_pays(
    n_dropped: int, more: int, epochs: int, flop: float
) -> None:
    """Where it pays it pays with more members, more epochs or more work too, and on a CPU first."""
    with pytest.MonkeyPatch.context() as patch:

        def pays(n: int, left: int, flop: float, device: Device = CPU) -> bool:
            patch.setattr(backend, "device", lambda: device)
            group: Any = SimpleNamespace(epoch_flop=flop)
            return memory.pays(group, n, left)

        here = pays(n_dropped, epochs, flop)
        assert here <= pays(n_dropped + more, epochs, flop)
        assert here <= pays(n_dropped, epochs + more, flop)
        assert here <= pays(n_dropped, epochs, flop * (1 + more))
        assert here >= pays(n_dropped, epochs, flop, GPU)
        assert not pays(0, epochs, flop)
        assert pays(1, 10, 1e11)
        assert not pays(1, 10, 1e11, GPU)
