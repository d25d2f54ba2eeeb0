"""One of the notebook's networks, trained by Keras: a line of JSON for each epoch.

Run by ``notebook.Network``: python -m popsearch.deck.network NAME EPOCHS FILE.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from popsearch.deck.figures import SEED
from popsearch.networks import backend

NAMES = {"train_mse": "loss", "train_mae": "mae", "val_mse": "val_loss", "val_mae": "val_mae"}
"""Keras' names of the errors by ours."""


def build(name: str) -> Any:
    """Give one of the deck's networks as it was compiled there."""
    import keras
    from keras.layers import BatchNormalization, Dense

    if name == "network":
        hidden = [Dense(128, "relu"), Dense(64, "relu"), Dense(32, "relu")]
    else:
        hidden = [
            Dense(64, "relu"),
            BatchNormalization(),
            Dense(64, "relu"),
            BatchNormalization(),
        ]
    model = keras.Sequential([*hidden, Dense(1)])
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    return model


def main() -> None:
    """Train, and tell the errors of training and validation rows after each epoch."""
    name, epochs, file = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no JSON
    rows = np.load(file)
    backend.use("tensorflow")
    import keras

    keras.utils.set_random_seed(SEED)

    def tell(epoch: int, logs: dict[str, float]) -> None:
        errors = {
            "epoch": epoch + 1,
            "train_mse": logs["loss"],
            "train_mae": logs["mae"],
            "val_mse": logs["val_loss"],
            "val_mae": logs["val_mae"],
        }
        print(
            json.dumps({key: float(value) for key, value in errors.items()}), file=out, flush=True
        )

    build(name).fit(
        rows["X_train"],
        rows["y_train"],
        batch_size=128,
        epochs=epochs,
        validation_data=(rows["X_val"], rows["y_val"]),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tell)],
        verbose=0,
    )


if __name__ == "__main__":
    main()
