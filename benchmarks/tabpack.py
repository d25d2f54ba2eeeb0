"""Measure the work that TabPack (ICML 2026) reports: 64 networks on about 724,000 rows.

Run: uv run python benchmarks/tabpack.py --backend jax       (a GPU; Keras must find it)
     uv run python benchmarks/tabpack.py --networks 2 --epochs 1    (to see it run anywhere)

64 networks of one to four hidden layers of 384 units, 724,000 x 13 training rows, batches of
1,024, 63 epochs, every epoch scored on 80,000 validation rows. The paper: 619 s on one A100.
"""

import argparse
import time

import numpy as np
from rich.progress import track

from popsearch.networks import backend
from popsearch.networks.architecture import Architecture
from popsearch.networks.group import DeviceRows, Group, Network
from popsearch.networks.program import compiled

N_TRAIN, N_VAL, N_FEATURES = 724_000, 80_000, 13
PAPER_S = 619


def network(seed: int, depth: int, epochs: int, precision: str) -> Network:
    """Give one of them; learning rates and weight decays differ as in a search."""
    rng = np.random.default_rng(seed)
    return Network(
        architecture=Architecture((384,) * depth, "relu", False, "none"),
        batch_size=1_024,
        learning_rate=float(10 ** rng.uniform(-4, -2)),
        weight_decay=float(10 ** rng.uniform(-6, -1)),
        dropout=float(rng.uniform(0, 0.5)),
        is_cosine=bool(rng.integers(2)),
        horizon=epochs,
        embedding_scale=1.0,
        seed=seed,
        precision=precision,
    )


def main() -> None:
    """Train all of them, a group for each depth, and print the time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=63)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    args = parser.parse_args()
    backend.use(args.backend)
    rng = np.random.default_rng(0)
    X = rng.random((N_TRAIN + N_VAL, N_FEATURES))
    y = np.sin(5 * X[:, 0]) + X @ rng.random(N_FEATURES) + rng.normal(size=len(X))
    rows = DeviceRows.put(X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:])

    started = time.perf_counter()
    groups = []
    for depth in range(1, 5):
        seeds = range(depth - 1, args.networks, 4)
        if seeds:
            members = [network(seed, depth, args.epochs, args.precision) for seed in seeds]
            groups.append(Group(members, rows))
    for _ in track(range(args.epochs), transient=True):
        for group in groups:
            group.advance()
    took = time.perf_counter() - started
    print(
        f"{args.networks} networks, {args.epochs} epochs on {backend.device().name} "
        f"(Keras on {args.backend}, {args.precision}): {took:.1f} s, "
        f"{compiled.seconds:.1f} s of it compiling; the paper: {PAPER_S} s on an A100"
    )


if __name__ == "__main__":
    main()
