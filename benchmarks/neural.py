"""Measure what an epoch of networks costs: keras.Model.fit against popsearch's compiled loop.

Run: uv run python benchmarks/neural.py                      (two cores: a minute and a half)
     uv run python benchmarks/neural.py --backend jax --populations 1 16 64 256 1024 --repeats 3
                                                             (a GPU; Keras must find it)

The work is the deck's: 201,228 x 13 training rows, batches of 128, its two networks. All variants
take turns in one process, so that a machine that slows down slows all of them; medians are shown.
``fit`` is Keras' own, alone and with validation rows; ours is one epoch of a whole population,
alone and with the scoring of as many training rows as validation rows, and of those.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from popsearch.networks import backend
from popsearch.networks.architecture import Architecture
from popsearch.networks.group import DeviceRows, Group, Network
from popsearch.networks.program import compiled

N_TRAIN, N_VAL, N_FEATURES, BATCH = 201_228, 86_241, 13, 128
DECK_EPOCHS = 300
DECK = {"128-64-32": ((128, 64, 32), False), "64-64 BatchNorm": ((64, 64), True)}


def rows(seed: int = 0) -> tuple[Any, Any]:
    """Give features and targets of all rows: what they are does not change what they cost."""
    rng = np.random.default_rng(seed)
    X = rng.random((N_TRAIN + N_VAL, N_FEATURES), dtype=np.float32)
    y = np.sin(5 * X[:, 0]) + X @ rng.random(N_FEATURES, dtype=np.float32)
    return X, (y + rng.normal(size=len(y))).astype(np.float32)


def keras_model(widths: tuple[int, ...], batch_norm: bool) -> Any:
    """Give the deck's network as a person writes it."""
    import keras

    layers: list[Any] = [keras.layers.Input((N_FEATURES,))]
    for width in widths:
        layers.append(keras.layers.Dense(width, activation="relu"))
        layers += [keras.layers.BatchNormalization()] * batch_norm
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def group(n: int, widths: tuple[int, ...], batch_norm: bool, on_device: DeviceRows) -> Group:
    """Give so many of the deck's networks, with seeds of their own."""
    shape = Architecture(widths, "relu", batch_norm, "none")
    return Group(
        [
            Network(
                architecture=shape,
                batch_size=BATCH,
                learning_rate=1e-3,
                weight_decay=0.0,
                dropout=0.0,
                is_cosine=False,
                horizon=DECK_EPOCHS,
                embedding_scale=1.0,
                seed=seed,
            )
            for seed in range(n)
        ],
        on_device,
    )


def seconds(work: Callable[[], object]) -> float:
    """Give how long a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def variants(
    name: str, populations: list[int], X: Any, y: Any, on_device: DeviceRows
) -> dict[tuple[str, int, bool], Callable[[], object]]:
    """Give one epoch of each variant, by what trains, how many networks, and whether scored."""
    widths, batch_norm = DECK[name]
    model = keras_model(widths, batch_norm)
    train, val = (X[:N_TRAIN], y[:N_TRAIN]), (X[N_TRAIN:], y[N_TRAIN:])
    options = {"batch_size": BATCH, "epochs": 1, "verbose": 0}
    found: dict[tuple[str, int, bool], Callable[[], object]] = {
        ("fit", 1, False): lambda: model.fit(*train, **options),
        ("fit", 1, True): lambda: model.fit(
            *train, validation_data=val, validation_batch_size=4096, **options
        ),
    }
    for n in populations:
        ours = group(n, widths, batch_norm, on_device)
        found["popsearch", n, False] = lambda ours=ours: ours.advance(scored=False)
        found["popsearch", n, True] = lambda ours=ours: ours.advance()
    return found


def main() -> None:
    """Time all variants in turn and print what an epoch of a network costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--populations", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--repeats", type=int, default=7, help="epochs of each variant")
    args = parser.parse_args()
    backend.use(args.backend)
    print(f"{backend.device().name}, Keras on {args.backend}")
    X, y = rows()
    on_device = DeviceRows.put(X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:])

    table = Table(title=f"seconds of an epoch, median of {args.repeats}")
    for column in ("network", "trained by", "networks", "scored", "epoch", "from-to"):
        table.add_column(column, justify="left" if column in ("network", "trained by") else "right")
    for column in ("per network", "to fit", f"{DECK_EPOCHS} epochs of one"):
        table.add_column(column, justify="right")
    for name in DECK:
        work = variants(name, args.populations, X, y, on_device)
        for once in work.values():
            once()  # compiles, and fills the caches
        times: dict[Any, list[float]] = {key: [] for key in work}
        for _ in range(args.repeats):
            for key, once in work.items():
                times[key].append(seconds(once))
        for (what, n, scored), taken in times.items():
            each = statistics.median(taken) / n
            ratio = statistics.median(times["fit", 1, scored]) / each
            table.add_row(
                name,
                what,
                f"{n:,}",
                "yes" if scored else "no",
                f"{statistics.median(taken):.3f}",
                f"{min(taken):.3f}-{max(taken):.3f}",
                f"{each:.4f}",
                f"{ratio:.1f}",
                f"{each * DECK_EPOCHS:.1f} s",
            )
    Console(width=120).print(table)
    print(f"{compiled.n} programs were compiled, in {compiled.seconds:.1f} s")


if __name__ == "__main__":
    main()
