"""The network as a scikit-learn estimator, and the Keras model that it becomes."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import check_fit2d_1sample, parametrize_with_checks

import fresh
from networks import BACKEND, network, table
from popsearch.networks import NetworkRegressor, keras_model
from popsearch.networks.group import DeviceRows, Group

if TYPE_CHECKING:
    import keras

X, Y, X_VAL, Y_VAL = table()
NORM = {"batch_norm": True, "dropout": 0.3}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "plain-norm": {"activation": "gelu", **NORM},
    "periodic": {"activation": "silu", "embedding": "periodic"},
    "periodic-norm": {"embedding": "periodic", **NORM},
    "bins": {"activation": "gelu", "embedding": "piecewise_linear"},
    "bins-norm": {"activation": "silu", "embedding": "piecewise_linear", **NORM},
}
LOAD = """
import sys
import numpy as np
import keras
X, *files = sys.argv[1:]
for file in files:
    model = keras.saving.load_model(file)
    np.save(file + ".npy", np.asarray(model(np.load(X)))[:, 0])
assert "popsearch" not in sys.modules
print(keras.config.backend())
"""


def small(**given: Any) -> NetworkRegressor:
    """An estimator that is fitted in moments."""
    settings: dict[str, Any] = {
        "hidden_layer_sizes": [100, 50],
        "activation": "silu",
        "epochs": 3,
        "batch_size": 32,
        "random_state": 0,
        "backend": BACKEND,
    }
    return NetworkRegressor(**{**settings, **given})


@dataclass(frozen=True)
class Trained:
    """Two networks of one group: the first as it was when it was best, the second as it ended."""

    curve: np.ndarray  # errors, (n_epochs, 4, n_networks)
    models: "list[keras.Sequential]"

    def errors(self, place: int) -> np.ndarray:
        """Give the errors of the epoch that a network is taken from, (4,)."""
        best = self.curve[:, 2, 0].argmin()
        return self.curve[(best, -1)[place], :, place]


@pytest.fixture(scope="module")
def trained() -> Callable[[str], Trained]:
    """Give the function that trains two networks of a variant, once."""
    known: dict[str, Trained] = {}
    rows = DeviceRows.put(X, Y, X_VAL, Y_VAL)

    def train(variant: str) -> Trained:
        if variant not in known:
            given = VARIANTS[variant]
            networks = [
                network(20, 9, seed=1, learning_rate=0.3, **given),
                network(25, 12, seed=2, **given),
            ]
            group = Group(networks, rows)
            curve = np.array([group.advance() for _ in range(4)])
            snapshots = [group.snapshot(0, best=True), group.snapshot(1, best=False)]
            pairs = zip(networks, snapshots, strict=True)
            known[variant] = Trained(curve, [keras_model.build(*pair, rows) for pair in pairs])
        return known[variant]

    return train


@pytest.fixture(scope="module")
def fitted() -> NetworkRegressor:
    """An estimator that is fitted."""
    return small().fit(X, Y)


@parametrize_with_checks([NetworkRegressor(backend=BACKEND)])
def test_it_is_an_estimator_of_scikit_learn(
    estimator: NetworkRegressor, check: Callable[[Any], None]
) -> None:
    """With its own defaults it passes every check that scikit-learn has for regressors."""
    check(estimator)


@pytest.mark.parametrize("embedding", ["periodic", "piecewise_linear"])
def test_a_single_row_can_be_embedded(embedding: str) -> None:
    """It is trained on, or refused as scikit-learn asks for."""
    check_fit2d_1sample("NetworkRegressor", small(embedding=embedding))


@pytest.mark.parametrize("embedding", ["periodic", "piecewise_linear"])
def test_columns_of_yes_and_no_need_no_embedding(embedding: str) -> None:
    """Where no column has more than two values there is nothing to embed, and it still learns."""
    flags = (X > 0.5).astype(float)
    target = flags @ [1.0, 2.0, 0.0, -1.0]
    regressor = small(embedding=embedding, epochs=60, learning_rate=0.02).fit(flags, target)
    assert regressor.score(flags, target) > 0.9


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_keras_model_is_the_trained_network(
    variant: str, trained: Callable[[str], Trained]
) -> None:
    """What Keras predicts has the very errors that were measured while the member trained."""
    for place, model in enumerate(trained(variant).models):
        seen, val = (y - keras_model.predict(model, x) for x, y in ((X, Y), (X_VAL, Y_VAL)))
        errors = [np.square(seen), np.abs(seen), np.square(val), np.abs(val)]
        expected = trained(variant).errors(place)
        np.testing.assert_allclose(np.mean(errors[:2], axis=1), expected[:2], rtol=1e-5)
        np.testing.assert_allclose(np.mean(errors[2:], axis=1), expected[2:], rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_model_is_made_of_keras_own_layers(
    variant: str, trained: Callable[[str], Trained]
) -> None:
    """It is a Sequential, and no layer in it, at any depth, is of any other package."""
    import keras

    for model in trained(variant).models:
        assert type(model) is keras.Sequential
        layers = list(model._flatten_layers())
        assert {type(layer).__module__.partition(".")[0] for layer in layers} == {"keras"}
        assert not [layer for layer in layers if isinstance(layer, keras.layers.Lambda)]


def test_saved_models_are_loaded_without_popsearch(
    trained: Callable[[str], Trained], tmp_path: Path
) -> None:
    """A process that has only Keras predicts the same from the files, for every kind of network."""
    np.save(tmp_path / "X.npy", X_VAL.astype(np.float32))
    models = {
        str(tmp_path / f"{variant}-{place}.keras"): model
        for variant in VARIANTS
        for place, model in enumerate(trained(variant).models)
    }
    for file, model in models.items():
        model.save(file)
    code = fresh.WITHOUT_POPSEARCH + LOAD
    done = fresh.start(code, str(tmp_path / "X.npy"), *models, KERAS_BACKEND=BACKEND)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [BACKEND]
    for file, model in models.items():
        here, there = keras_model.predict(model, X_VAL), np.load(f"{file}.npy")
        np.testing.assert_allclose(there, here, atol=1e-5 * Y.std(), rtol=0, err_msg=file)


@pytest.mark.parametrize(
    "given",
    [
        {"hidden_layer_sizes": "100-50"},
        {"hidden_layer_sizes": np.array([100, 50])},
        {"hidden_layer_sizes": None, "depth": 2, "width": 100, "taper": 0.5},
    ],
    ids=["text", "array", "taper"],
)
def test_widths_can_be_given_in_several_ways(
    given: dict[str, Any], fitted: NetworkRegressor
) -> None:
    """A list, a text, and depth, width and taper are the same network."""
    again = small(**given).fit(X, Y)
    assert [len(w[-1]) for w in again.model_.get_weights()[::2]] == [100, 50, 1]
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


@pytest.mark.parametrize("given", [64, "64", [64], (64,), np.array([64])])
def test_one_layer_is_given_by_its_width(given: Any) -> None:
    """A number is a list of one: Hydra reads 64 as a number."""
    assert small(hidden_layer_sizes=given).network().architecture.widths == (64,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", 0),
        ("depth", 2.5),
        ("width", "wide"),
        ("taper", 0.0),
        ("activation", "tanh"),
        ("batch_norm", "yes"),
        ("dropout", 1.0),
        ("embedding", "linear"),
        ("embedding_scale", -1.0),
        ("learning_rate", 0.0),
        ("learning_rate", np.inf),
        ("weight_decay", -0.1),
        ("schedule", "step"),
        ("batch_size", 0),
        ("epochs", 0),
        ("horizon", 0),
        ("scale_target", None),
        ("random_state", -1),
        ("backend", "torch"),
        ("precision", "float16"),
        ("hidden_layer_sizes", []),
        ("hidden_layer_sizes", [16, 0]),
        ("hidden_layer_sizes", [[16, 8]]),
        ("hidden_layer_sizes", "16-"),
        ("hidden_layer_sizes", "-16"),
        ("hidden_layer_sizes", 0),
        ("hidden_layer_sizes", True),
    ],
)
def test_a_wrong_parameter_is_told_as_scikit_learn_does(name: str, value: Any) -> None:
    """The name, what it must be and what came are said before anything is trained."""
    message = f"The '{name}' parameter of NetworkRegressor must be .* Got .* instead"
    with pytest.raises(ValueError, match=message) as caught:
        small(**{name: value}).fit(X, Y)
    assert name == "hidden_layer_sizes" or caught.type is InvalidParameterError


@pytest.mark.parametrize("given", [{}, {"epochs": 1, "batch_size": len(X)}], ids=["long", "a step"])
def test_a_training_that_diverges_says_so(given: dict[str, Any]) -> None:
    """There is no model whose predictions are no numbers, but an error with what to change."""
    regressor = small(learning_rate=1e10, **given)
    expected = pytest.raises(FloatingPointError, match=r"diverged.*learning_rate \(it is 1e\+10\)")
    with expected, np.errstate(all="ignore"):
        regressor.fit(X, Y)
    assert not hasattr(regressor, "model_")


@pytest.mark.parametrize("name", ["X", "y"])
@pytest.mark.filterwarnings("error")
def test_numbers_beyond_float32_are_refused(name: str, fitted: NetworkRegressor) -> None:
    """A number that would become infinite is refused in scikit-learn's words, in new rows too."""
    rows, targets = X.copy(), Y.copy()
    {"X": rows, "y": targets}[name][3] = -1e39
    message = f"Input {name} contains infinity or a value too large for dtype\\('float32'\\)"
    with pytest.raises(ValueError, match=message):
        small().fit(rows, targets)
    if name == "X":
        with pytest.raises(ValueError, match=message):
            fitted.predict(rows)


@pytest.mark.parametrize(
    "again",
    [
        lambda regressor: pickle.loads(pickle.dumps(regressor)),
        copy.deepcopy,
        copy.copy,
        lambda regressor: clone(regressor).fit(X, Y),
        lambda regressor: regressor.fit(X, Y),
    ],
    ids=["pickle", "deep copy", "copy", "clone", "fit again"],
)
def test_the_same_network_predicts_the_same(
    again: Callable[[Any], Any], fitted: NetworkRegressor
) -> None:
    """Whether it was pickled, copied or fitted once more with the same random_state."""
    np.testing.assert_array_equal(again(fitted).predict(X), fitted.predict(X))


def test_the_random_state_draws_the_network(fitted: NetworkRegressor) -> None:
    """Another one is another network; a generator is taken as scikit-learn takes it."""
    other = small(random_state=1).fit(X, Y).predict(X)
    assert np.abs(other - fitted.predict(X)).max() > 0.01
    generator = small(random_state=np.random.RandomState(0)).fit(X, Y)
    np.testing.assert_array_equal(generator.predict(X), fitted.predict(X))


@pytest.mark.parametrize("n_rows", [1, 7, 63, 64, 65])
def test_a_prediction_does_not_hang_on_other_rows(n_rows: int, fitted: NetworkRegressor) -> None:
    """Not even in the last digit, however many rows are predicted at once and in which order."""
    places = np.random.default_rng(n_rows).permutation(len(X))[:n_rows]
    np.testing.assert_array_equal(fitted.predict(X[places]), fitted.predict(X)[places])


def test_constant_targets_are_learned() -> None:
    """Targets without variance have no scale to divide by, and are predicted as they are."""
    found = small(epochs=30).fit(X, np.full(len(X), 1234.5)).predict(X)
    np.testing.assert_allclose(found, 1234.5, atol=0.5)


def test_the_scale_of_targets_does_not_matter(fitted: NetworkRegressor) -> None:
    """Targets in another unit give the same predictions in that unit."""
    found = small().fit(X, 1000 * Y - 5).predict(X)
    np.testing.assert_allclose((found + 5) / 1000, fitted.predict(X), atol=1e-5)
    as_they_are = small(scale_target=False).fit(X, Y).predict(X)
    assert np.abs(as_they_are - fitted.predict(X)).max() > 0.01
