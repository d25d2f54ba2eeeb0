"""Networks side by side: each goes its own way, in a group and in a population."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error

from networks import BACKEND, device_rows, network, ops, table, trained
from popsearch.models import Rows
from popsearch.networks import NetworkRegressor, backend, memory
from popsearch.networks.group import DeviceRows, Group, Network, Snapshot
from popsearch.networks.population import Population
from popsearch.networks.weights import stack

N_EPOCHS = 4
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch_norm": {"activation": "silu", "batch_norm": True},
}


@functools.cache
def rows() -> DeviceRows:
    """The table, on the device once."""
    return device_rows(scale_target=True)


def five(shape: str) -> list[Network]:
    """Networks of unlike settings that one program trains."""
    settings: list[tuple[tuple[int, int], dict[str, Any]]] = [
        ((32, 16), {"learning_rate": 0.03, "weight_decay": 0.1}),
        ((20, 9), {"dropout": 0.2}),
        ((17, 1), {"is_cosine": True, "horizon": 3, "dropout": 0.1}),
        ((25, 16), {"learning_rate": 0.001, "dropout": 0.5}),
        ((31, 12), {"weight_decay": 1.0, "is_cosine": True, "horizon": 9}),
    ]
    return [
        network(*widths, **given, **SHAPES[shape], seed=seed)
        for seed, (widths, given) in enumerate(settings)
    ]


@functools.cache
def together(shape: str) -> np.ndarray:
    """The errors of the five after each epoch, (n_epochs, 4, 5)."""
    return trained(Group(five(shape), rows()), N_EPOCHS)


def assert_equal(one: Snapshot, other: Snapshot) -> None:
    """Compare every weight and moving statistic of two networks."""
    for ours, theirs in zip(
        [*one.layers, *one.moving], [*other.layers, *other.moving], strict=True
    ):
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("shape", "place"), [("plain", 0), ("plain", 1), ("batch_norm", 1)])
def test_a_network_alone_has_the_same_curve(shape: str, place: int) -> None:
    """A network that is trained by itself has the errors that it has beside others.

    That holds with the dropout of the second as without it for the first, which alone is trained
    by a program that has none.
    """
    alone = trained(Group([five(shape)[place]], rows()), N_EPOCHS)
    np.testing.assert_allclose(alone[:, :, 0], together(shape)[:, :, place], rtol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_neither_place_nor_neighbours_matter(shape: str) -> None:
    """At another place, beside others, and among more a network has the same errors."""
    strangers = [
        network(*own.architecture.widths, **SHAPES[shape], learning_rate=0.1, dropout=0.9, seed=8)
        for own in five(shape)
    ]
    first, second, third, *_ = own = five(shape)
    expected = together(shape)
    mixed = trained(Group([strangers[0], third, first, strangers[3], second], rows()), N_EPOCHS)
    np.testing.assert_allclose(mixed[:, :, [2, 4, 1]], expected[:, :, :3], rtol=1e-3)
    larger = trained(Group([*strangers, *own[::-1], *strangers], rows()), N_EPOCHS)
    np.testing.assert_allclose(larger[:, :, 9:4:-1], expected, rtol=1e-3)


def test_networks_of_one_seed_learn_alike() -> None:
    """The seed tells two networks of the same settings apart, and nothing else does."""
    again = trained(
        Group([network(dropout=0.2, seed=seed) for seed in (3, 3, 4, 3, 5)], rows()), N_EPOCHS
    )
    np.testing.assert_allclose(again[:, :, 0], again[:, :, 1], rtol=1e-6)
    np.testing.assert_allclose(again[:, :, 0], again[:, :, 3], rtol=1e-6)
    assert (np.abs(again[-1, :, [2, 4]] / again[-1, :, 0] - 1) > 1e-3).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", ["rate", "weights"])
def test_a_network_that_diverges_leaves_the_others_alone(shape: str, how: str) -> None:
    """Where one network's weights grow to infinity, the others have the errors they had."""
    networks = five(shape)
    firsts = [Group._first_weights(Group(networks, rows()), own) for own in networks]
    if how == "rate":
        networks[2] = network(17, 1, **SHAPES[shape], learning_rate=1e30, dropout=0.1)
    else:
        firsts[2][0]["kernel"][0, 0] = np.inf
    errors = trained(Group(networks, rows(), firsts), N_EPOCHS)
    assert not np.isfinite(errors[-1, :, 2]).any()
    others = [0, 1, 3, 4]
    np.testing.assert_allclose(errors[:, :, others], together(shape)[:, :, others], rtol=1e-6)


def test_kept_networks_go_on() -> None:
    """After some leave, in whatever order the others are kept, these go on as before."""
    group = Group(five("batch_norm"), rows())
    trained(group, 2)
    group.keep([4, 1])
    assert group.networks == [five("batch_norm")[place] for place in (4, 1)]
    errors = trained(group, N_EPOCHS - 2)
    np.testing.assert_allclose(errors, together("batch_norm")[2:, :, [4, 1]], rtol=1e-3)


def test_halves_go_on() -> None:
    """Both halves of a group go on as the whole does, which they leave as it is."""
    whole = Group(five("batch_norm"), rows())
    trained(whole, 2)
    first, second = whole.halves()
    expected = together("batch_norm")[2:]
    np.testing.assert_allclose(trained(first, N_EPOCHS - 2), expected[:, :, :2], rtol=1e-3)
    np.testing.assert_allclose(trained(second, N_EPOCHS - 2), expected[:, :, 2:], rtol=1e-3)
    np.testing.assert_allclose(trained(whole, N_EPOCHS - 2), expected, rtol=1e-3)
    for place in range(5):
        half, own = (first, place) if place < 2 else (second, place - 2)
        for best in (False, True):
            assert_equal(half.snapshot(own, best), whole.snapshot(place, best))


def test_the_best_is_of_the_epoch_with_the_lowest_error() -> None:
    """The best state is that after the scored epoch with the lowest squared validation error."""
    group = Group(five("batch_norm"), rows())
    squares, states = [], []
    for epoch in range(12):
        is_scored = epoch % 3 != 1
        errors = group.advance(scored=is_scored)
        assert is_scored or not errors.any()
        if is_scored:
            squares.append(errors[2])
            states.append([group.snapshot(place, best=False) for place in range(5)])
    places = np.argmin(squares, axis=0)
    assert len({*places}) > 1  # not all at the end
    for place, epoch in enumerate(places):
        assert_equal(group.snapshot(place, best=True), states[epoch][place])


# ---- populations


BUDGET = 6
MEMBERS: list[dict[str, Any]] = [
    {"hidden_layer_sizes": "20-9", "learning_rate": 0.01, "dropout": 0.1},
    {"hidden_layer_sizes": "32-16", "learning_rate": 0.03, "dropout": 0.2},
    {"hidden_layer_sizes": "17-1", "schedule": "cosine", "dropout": 0.1},
    {"hidden_layer_sizes": "25-16", "weight_decay": 0.1, "dropout": 0.1},
    {"hidden_layer_sizes": "31-12", "learning_rate": 0.02, "dropout": 0.3},
]
MEMBERS = [
    {**own, "activation": "silu", "batch_norm": True, "batch_size": 32, "random_state": i}
    for i, own in enumerate(MEMBERS)
]


def population(*members: dict[str, Any], every: int = 1) -> Population:
    """A population with these parameters, scored after each so many epochs."""
    given = {"backend": BACKEND, "epochs": BUDGET}
    regressors = [NetworkRegressor(**{**given, **params}) for params in members]
    return Population(regressors, Rows(*table()), [*range(every, BUDGET, every), BUDGET])


def curves(training: Population, n_steps: int = BUDGET) -> np.ndarray:
    """Train on for so many steps and give the errors, (n_steps, 4, n_members)."""
    return np.array([training.advance()[1:] for _ in range(n_steps)])


def sizes(training: Population) -> list[int]:
    """How many networks each group has."""
    return sorted(len(part.group.networks) for part in training._parts)


def assert_best(training: Population, member: int, squares: np.ndarray) -> None:
    """Compare a member's model with the lowest of its validation errors."""
    step = int(np.argmin(squares))
    predictions = training.model(member, step).predict(table()[2])
    assert mean_squared_error(table()[3], predictions) == pytest.approx(squares[step], rel=1e-4)


def full_above(n_members: int, from_epoch: int = 0) -> Callable[..., np.ndarray]:
    """An ``advance`` for which the memory holds so many networks only."""
    advance = Group.advance

    def advance_or_fail(group: Group, scored: bool = True) -> np.ndarray:
        if group.epoch >= from_epoch and len(group.networks) > n_members:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")
        return advance(group, scored)

    return advance_or_fail


def test_members_train_in_groups_of_one_architecture() -> None:
    """Members of several architectures and batch sizes have the curves they have alone."""
    first, second, *_ = MEMBERS
    others = [{**first, "batch_size": 80}, {**first, "batch_norm": False}]
    others += [{**first, "hidden_layer_sizes": sizes} for sizes in ("20-40", "20", "20-9-1")]
    others += [{**first, "activation": "relu"}, {**first, "embedding": "piecewise_linear"}]
    others += [{**first, "scale_target": False}]
    assert sizes(population(first, *others, second)) == [1] * len(others) + [2]
    members = [others[0], first, second]
    found = curves(population(*members), 2)
    for place, own in enumerate(members):
        np.testing.assert_allclose(found[..., place], curves(population(own), 2)[..., 0], rtol=1e-3)


@pytest.mark.parametrize("from_epoch", [0, 3])
def test_a_group_that_does_not_fit_is_split(
    monkeypatch: pytest.MonkeyPatch, from_epoch: int
) -> None:
    """Where the memory is full, at once or later, a group is halved until its parts fit.

    The scores are those of the whole group.
    """
    expected = curves(population(*MEMBERS))
    monkeypatch.setattr(Group, "advance", full_above(2, from_epoch))
    training = population(*MEMBERS)
    np.testing.assert_allclose(curves(training), expected, rtol=1e-3)
    assert sizes(training) == [1, 2, 2]
    assert_best(training, 1, expected[:, 2, 1])


def test_a_member_that_does_not_fit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the memory does not hold even one network, the backend's own words are raised."""
    monkeypatch.setattr(Group, "advance", full_above(0))
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        population(*MEMBERS).advance()


def test_no_other_fault_splits_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not for lack of memory is raised at the first time."""
    calls = []

    def advance(group: Group, scored: bool = True) -> None:
        calls.append(group)
        raise ValueError("something else")

    monkeypatch.setattr(Group, "advance", advance)
    with pytest.raises(ValueError, match="something else"):
        population(*MEMBERS).advance()
    assert len(calls) == 1


def test_full_memory_is_known_by_what_the_backend_raises() -> None:
    """What Keras' backend raises where the memory is full is known as that, and nothing else."""
    if BACKEND == "jax":
        with pytest.raises(RuntimeError) as caught:
            ops.ones((2**48,))  # a thousand TiB
        assert backend.is_out_of_memory(caught.value)
    else:  # TensorFlow would look for such memory for ten seconds
        import tensorflow as tf

        full = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        assert backend.is_out_of_memory(full)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # each backend has its own
        ops.matmul(ops.ones((2, 3)), ops.ones((2, 3)))
    assert not backend.is_out_of_memory(caught.value)


class Spoilt:
    """What JAX gives where it runs out of memory: it says so when the numbers are asked for."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")


def test_an_epoch_that_fails_leaves_the_group_as_it_was() -> None:
    """After an epoch that was not done, even if only its errors say so, a group can go on."""
    group = Group(five("plain"), rows())
    errors = [group.advance()]
    program = group._program
    group._program = lambda *_: (Spoilt(), Spoilt())  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        group.advance()
    group._program = program
    assert group.epoch == 1
    errors.append(group.advance())
    np.testing.assert_allclose(errors, together("plain")[:2], rtol=1e-6)


def test_groups_are_no_larger_than_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the memory holds two, five members of one shape are groups of two and of one."""
    expected = curves(population(*MEMBERS), 2)
    monkeypatch.setattr(memory, "n_side_by_side", lambda network, n_features, device: 2)
    training = population(*MEMBERS)
    assert sizes(training) == [1, 2, 2]
    np.testing.assert_allclose(curves(training, 2), expected, rtol=1e-3)


def test_dropped_members_leave_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it pays a program goes on without dropped members, and the others do as before.

    What was dropped is kept as it was at its best.
    """
    expected = curves(population(*MEMBERS))
    monkeypatch.setattr(memory, "pays", lambda group, n_dropped, epochs_left: n_dropped > 0)
    training = population(*MEMBERS)
    found = [curves(training, 2)]
    training.drop([3, 1])
    assert sizes(training) == [3]
    found.append(curves(training, 2))
    training.drop([0])
    training.drop([0])
    assert sizes(training) == [2]
    found.append(curves(training, 2))
    left = np.concatenate(found)
    n_steps = [4, 2, 6, 2, 6]  # that each was trained for
    for member, n in enumerate(n_steps):
        own = left[:n, :, member]
        np.testing.assert_allclose(own, expected[:n, :, member], rtol=1e-3)
        if member < 3:
            assert_best(training, member, own[:, 2])


def test_a_dropped_member_is_kept_as_it_was() -> None:
    """What is dropped is kept as it was at its best till then, though its program goes on."""
    lowest = np.argmin(curves(population(*MEMBERS))[:, 2], axis=0)
    assert lowest[0] > 1  # they would become better
    assert lowest[3] > 1
    training = population(*MEMBERS)
    before = curves(training, 2)
    training.drop([0, 3])
    assert sizes(training) == [5]  # five small networks are not worth a program of their own
    after = curves(training, 4)
    for member in (1, 2, 4):
        assert_best(training, member, np.concatenate([before, after])[:, 2, member])
    for member in (0, 3):
        assert_best(training, member, before[:, 2, member])


def test_a_population_of_which_all_are_dropped_rests() -> None:
    """Where all members are dropped their models are there, and nothing is trained."""
    training = population(*MEMBERS[:2])
    before = curves(training, 2)
    training.drop([1, 0])
    assert np.isnan(curves(training, 1)).all()
    for member in range(2):
        assert_best(training, member, before[:, 2, member])


def test_steps_of_several_epochs() -> None:
    """A step of several epochs is scored at its end, and the last one ends at the budget."""
    expected = curves(population(*MEMBERS))
    training = population(*MEMBERS, every=4)
    found = curves(training, 2)
    np.testing.assert_allclose(found, expected[[3, 5]], rtol=1e-3)
    assert_best(training, 4, found[:, 2, 4])


def test_only_the_best_step_is_kept() -> None:
    """The model of a step that is not a member's best is refused, with the one that is there."""
    training = population(*MEMBERS)
    best = int(np.argmin(curves(training)[:, 2, 1]))
    with pytest.raises(LookupError, match=f"member 1 is kept as it was at step {best}, not at"):
        training.model(1, (best + 1) % BUDGET)


def test_to_compact_pays_where_much_would_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropped members leave where all that they would still do is more than to compile costs."""
    group = Group(five("plain"), rows())
    # Forwards, and twice backwards: two operations for each weight, of 160 rows, 3 of 5 epochs.
    work = 2 * 5 * 160 * 6 * (4 * 32 + 32 * 16 + 16)
    for cost, does in ((work - 1, True), (work + 1, False)):
        monkeypatch.setattr(memory, "COMPILE_FLOP", {"cpu": cost, "gpu": cost})
        assert memory.pays(group, 2, 5) == does
        assert not memory.pays(group, 0, 5)


def test_widths_are_padded_and_cut() -> None:
    """What is cut out of padded weights is what was put in."""
    layers = [five("batch_norm")[place] for place in (0, 2)]
    firsts = [Group._first_weights(Group(layers, rows()), own) for own in layers]
    stacked = stack(firsts, (32, 16))
    assert stacked[0]["kernel"].shape == (2, 4, 32)
    group = Group(layers, rows(), firsts)
    for place, first in enumerate(firsts):
        found = group.snapshot(place, best=False).layers
        for ours, own in zip(found, first, strict=True):
            assert ours.keys() == own.keys()
            for name in own:
                np.testing.assert_array_equal(ours[name], own[name].astype(np.float32))
