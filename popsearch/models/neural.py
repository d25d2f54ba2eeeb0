"""Networks: a whole population at once, those of one architecture in one program."""

import importlib.util
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from popsearch.family import CategoricalParam, ModelConfig, StageSteps
from popsearch.models import estimator
from popsearch.models.training import Machine, Rows, Scores, StepsKind
from popsearch.networks import backend, child, embeddings, memory
from popsearch.networks.architecture import read_widths
from popsearch.networks.regressor import NetworkRegressor
from popsearch.space import Params

# A GPU trains many small networks in the time of one, a processor hardly; and the more are asked
# for at once, the fewer of them know how the others went. By whether there is a GPU.
N_AT_ONCE = {False: 8, True: 64}
N_SIBLINGS = {False: 1, True: 16}

SIZES = "hidden_layer_sizes"


class Networks:
    """Any number of networks, advanced by ``every`` epochs a step up to ``budget``.

    They are trained in a child process: what a backend's compiler keeps of each program, it keeps
    until its process ends.
    """

    keeps_best: ClassVar[bool] = True
    steps_kind: ClassVar[StepsKind] = "epochs"

    structure: ClassVar[frozenset[str]] = frozenset(
        {
            "hidden_layer_sizes",
            "depth",
            "width",
            "taper",
            "activation",
            "batch_norm",
            "embedding",
            "batch_size",
            "scaler",
        }
    )

    def __init__(
        self, model: ModelConfig, members: Sequence[Params], rows: Rows, prunable: bool = True
    ) -> None:
        assert isinstance(model.steps, StageSteps)
        steps = model.steps
        self.resources = [*range(steps.every, steps.budget, steps.every), steps.budget]
        own: Params = {steps.param: steps.budget, "horizon": steps.budget}
        self._regressors = [estimator.build(model, {**params, **own}) for params in members]
        self._rows, self._child = rows, child.of(_backend(model))

    def advance(self) -> Scores:
        """Train every live member to the next step and score it."""
        return self._population.advance()

    def drop(self, members: Iterable[int]) -> None:
        """Train these no further; what they were at their best is kept."""
        self._population.drop(members)

    def model(self, member: int, step: int) -> NetworkRegressor:
        """Give the fitted network of a member at its best step so far: no other is kept."""
        return self._population.model(member, step)

    def val_residuals(self, member: int, step: int) -> NDArray[np.float32]:
        """Give target less prediction of every validation row; the child process predicts."""
        return self._population.val_residuals(member, step)

    def predict_s(self, member: int, step: int) -> float:
        """Give the seconds in which the child process predicts the validation rows."""
        return self._population.predict_s(member, step)

    @cached_property
    def _population(self) -> child.RemotePopulation:
        # With the first step, so that what fails there fails these members and not the search.
        return self._child.population(self._regressors, self._rows, self.resources)

    @classmethod
    def faults(cls, model: ModelConfig) -> list[str]:
        """Give what of the configuration this way of training cannot do."""
        chosen, found = _backend(model), []
        if importlib.util.find_spec(chosen) is None:
            extra = "popsearch[jax]" if chosen == "jax" else chosen
            found.append(
                f"model.backend={chosen} is not installed; install it (pip install '{extra}')"
            )
        param = model.space.get(SIZES)
        choices = param.choices if isinstance(param, CategoricalParam) else []
        settings: dict[str, Any] = {
            f"model.space.{SIZES}.choices[{i}]": v for i, v in enumerate(choices)
        }
        for where, values in (
            (f"model.fixed.{SIZES}", [model.fixed.get(SIZES)]),
            (f"model.space.{SIZES}", choices or [None]),
        ):
            found += [
                f"model.space.{name} would do nothing beside {where}, which gives all "
                f"widths; remove one of them (~model.space.{name})"
                for name in ("depth", "width", "taper")
                if name in model.space and None not in values
            ]
        settings[f"model.fixed.{SIZES}"] = model.fixed.get(SIZES)
        return found + [
            f"{where} must be widths, as in [128,64,32] or 128-64-32, but got {value!r}"
            for where, value in settings.items()
            if isinstance(value, int | str | list) and not _are_widths(value)
        ]

    @classmethod
    def machine(cls, model: ModelConfig) -> Machine:
        """Give the device that Keras computes on; loads Keras."""
        chosen = _backend(model)
        host = child.of(chosen)
        device = host.device()
        size = f", {device.memory_mib:,} MiB" if device.is_gpu else ""
        return Machine(
            device=f"{device.name}{size}, Keras on {chosen}",
            n_siblings=N_SIBLINGS[device.is_gpu],
            compile_s=host.compile_s(),
            packages=("keras", chosen),
        )

    @classmethod
    def n_side_by_side(cls, model: ModelConfig, n_features: int) -> int:
        """Give how many networks to train at once: bounded by memory, and by what is of use."""
        device = child.of(_backend(model)).device()
        fits = min(
            memory.n_side_by_side(estimator.build(model, params).network(), n_features, device)
            for params in memory.largest(model.space)
        )
        return min(fits, N_AT_ONCE[device.is_gpu])

    @classmethod
    def memory_mib(cls, model: ModelConfig, params: Params, rows: Rows) -> tuple[float, float]:
        """Give what one network takes, without the rows, and the memory of the device."""
        network = estimator.build(model, params).network()
        n_inputs = embeddings.most_inputs(network.architecture.embedding, rows.X_train.shape[1])
        return memory.member_mib(network, n_inputs), child.of(_backend(model)).device().memory_mib

    @classmethod
    def refit(
        cls,
        model: ModelConfig,
        params: Params,
        resource: int,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> NetworkRegressor:
        """Train on all of these rows to the best epoch, the schedule being that of the search."""
        assert isinstance(model.steps, StageSteps)
        own: Params = {model.steps.param: resource, "horizon": model.steps.budget}
        return child.of(_backend(model)).fit(estimator.build(model, {**params, **own}), X, y)


def _backend(model: ModelConfig) -> backend.Backend:
    return model.backend or "tensorflow"


def _are_widths(value: Any) -> bool:
    try:
        sizes = read_widths(value)
    except (TypeError, ValueError):
        return False
    return bool(sizes) and min(sizes) > 0
