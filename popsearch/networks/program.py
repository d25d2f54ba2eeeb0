"""The compiled loop: an epoch of every member of a group, and its errors, in one call."""

import functools
import time
from dataclasses import dataclass
from typing import Any

from popsearch.networks import backend
from popsearch.networks.architecture import Architecture
from popsearch.networks.network import Dropout, forward, hashed
from popsearch.networks.optimizer import adamw, rates

N_PROGRAMS = 64  # that are kept; each holds some MiB


@dataclass
class Compiled:
    """How many programs this process has compiled, and the seconds that took."""

    n: int = 0
    seconds: float = 0.0


compiled = Compiled()


class Program:
    """Trains networks of one architecture on batches of one size.

    Parameters
    ----------
    batch_size
        Rows of a batch.
    block
        Rows that are scored at once.
    has_dropout
        False leaves dropout out of the program.
    """

    def __init__(
        self,
        architecture: Architecture,
        batch_size: int,
        block: int,
        has_dropout: bool,
        precision: str,
    ) -> None:
        self._architecture, self._precision = architecture, precision
        self._batch, self._block, self._has_dropout = batch_size, block, has_dropout
        self._run = backend.compiled(self._epoch)
        self._known: set[Any] = set()

    def __call__(
        self,
        state: Any,
        settings: Any,
        rows: Any,
        order: Any,
        scored: bool,
    ) -> tuple[Any, Any]:
        """Give the state after an epoch, and the errors of it.

        Parameters
        ----------
        state
            ``weights``, ``moving``, ``moments``, ``step``, and the best so far.
        settings
            What the members may differ in, each of shape (n_members, 1, 1).
        rows
            ``X_train``, ``y_train``; ``X_scored``, ``y_scored``, of which the first ``n_seen`` are
            training rows and the others validation rows; ``fitted``.
        order
            The training rows in batches one after the other, (n_steps * batch_size,).
        scored
            False saves the scoring; the errors are 0 then.

        Returns
        -------
        The state; sums of squares and of absolute values of the residuals, of the training rows
        and then of the validation rows, (4, n_members).
        """
        n_steps = order.shape[0] // self._batch
        names = ("X_train", "X_scored")
        shapes = (settings["learning_rate"].shape[0], *(tuple(rows[name].shape) for name in names))
        if shapes not in self._known:
            # A call without a step costs nothing but the compiler's time.
            started = time.perf_counter()
            self._run(state, settings, rows, order, *_numbers(0, 0))
            compiled.n += 1
            compiled.seconds += time.perf_counter() - started
            self._known.add(shapes)
        n_blocks = -(-rows["X_scored"].shape[0] // self._block) if scored else 0
        after: tuple[Any, Any] = self._run(
            state, settings, rows, order, *_numbers(n_steps, n_blocks)
        )
        return after

    def _epoch(
        self, state: Any, settings: Any, rows: Any, order: Any, n_steps: Any, n_blocks: Any
    ) -> tuple[Any, Any]:
        from keras import ops

        X = ops.take(rows["X_train"], order, axis=0)
        y = ops.take(rows["y_train"], order, axis=0)

        def one(i: Any, training: Any) -> tuple[Any, Any]:
            start = i * self._batch
            batch_x = ops.slice(X, (start, 0), (self._batch, X.shape[1]))
            batch_y = ops.slice(y, (start,), (self._batch,))
            return i + 1, self._step(training, settings, batch_x, batch_y, rows["fitted"])

        training = {k: state[k] for k in ("weights", "moving", "moments", "step")}
        _, training = ops.while_loop(
            lambda i, _: i < n_steps, one, (ops.zeros((), "int32"), training)
        )
        errors = self._errors(training, rows, n_blocks)
        return {**training, "best": _better(state["best"], training, errors[2], n_blocks)}, errors

    def _step(self, now: Any, settings: Any, x: Any, y: Any, fitted: Any) -> Any:
        """Give the state of training after one batch."""
        from keras import ops

        dropout = None
        if self._has_dropout:
            step = ops.cast(now["step"], "uint32")
            dropout = Dropout(settings["dropout"], hashed(ops.bitwise_xor(settings["key"], step)))

        def loss(weights: Any) -> tuple[Any, Any]:
            prediction, moving = forward(
                self._architecture,
                weights,
                now["moving"],
                x,
                fitted,
                dropout,
                training=True,
                precision=self._precision,
            )
            # The sum over the members: the gradient of each is that of its own mean.
            return ops.sum(ops.mean(ops.square(prediction - y), axis=1)), moving

        gradients, moving = backend.gradient(loss, now["weights"])
        step = ops.cast(now["step"], settings["learning_rate"].dtype)
        rate = rates(settings["learning_rate"], settings["is_cosine"], settings["horizon"], step)
        weights, moments = adamw(
            now["weights"], gradients, now["moments"], rate, settings["weight_decay"], step
        )
        return {"weights": weights, "moving": moving, "moments": moments, "step": now["step"] + 1}

    def _errors(self, now: Any, rows: Any, n_blocks: Any) -> Any:
        """Give what the residuals of the first blocks of rows sum up to, (4, n_members)."""
        from keras import ops

        X, y = rows["X_scored"], rows["y_scored"]
        n = X.shape[0]
        size = min(self._block, n)
        places = ops.arange(size, dtype="int32")

        def one(i: Any, sums: Any) -> tuple[Any, Any]:
            start = ops.minimum(i * size, n - size)  # the last block overlaps the one before
            block = ops.slice(X, (start, 0), (size, X.shape[1]))
            prediction, _ = forward(
                self._architecture,
                now["weights"],
                now["moving"],
                block,
                rows["fitted"],
                precision=self._precision,
            )
            residuals = prediction - ops.slice(y, (start,), (size,))
            place = places + start
            is_new, is_seen = place >= i * size, place < rows["n_seen"]
            kinds = ops.stack(
                [
                    ops.logical_and(is_new, is_seen),
                    ops.logical_and(is_new, ops.logical_not(is_seen)),
                ]
            )
            kinds = ops.cast(kinds, y.dtype)  # (2, n_rows)
            both = [ops.square(residuals), ops.absolute(residuals)]
            # Not a matrix product, whose precision may be lower.
            found = [ops.sum(kinds[k] * values, axis=1) for k in (0, 1) for values in both]
            return i + 1, sums + ops.stack(found)

        zero = ops.zeros_like(now["weights"][-1]["bias"][:, 0, 0])
        _, sums = ops.while_loop(
            lambda i, _: i < n_blocks, one, (ops.zeros((), "int32"), ops.stack([zero] * 4))
        )
        return sums


@functools.lru_cache(maxsize=N_PROGRAMS)
def program(
    architecture: Architecture, batch_size: int, block: int, has_dropout: bool, precision: str
) -> Program:
    """Give the program for such networks: the one that is there, or a new one."""
    return Program(architecture, batch_size, block, has_dropout, precision)


def _better(best: Any, now: Any, squares: Any, n_blocks: Any) -> Any:
    """Give the best state of each member, now that these are its squares in validation."""
    from keras import ops, tree

    is_better = ops.logical_and(squares < best["squares"], n_blocks > 0)

    def choose(new: Any, old: Any) -> Any:
        return ops.where(ops.reshape(is_better, (-1, 1, 1)), new, old)

    kept = {k: tree.map_structure(choose, now[k], best[k]) for k in ("weights", "moving")}
    return {**kept, "squares": ops.where(is_better, squares, best["squares"])}


def _numbers(*values: int) -> list[Any]:
    """Give whole numbers as arguments that a program is not compiled anew for."""
    from keras import ops

    return [ops.convert_to_tensor(value, "int32") for value in values]
