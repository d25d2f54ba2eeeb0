"""Networks: a whole population at once, those of one architecture in one program."""

import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from popsearch.family import CategoricalParam, ModelConfig, StageSteps
from popsearch.models import estimator
from popsearch.models.training import Machine, Rows, Scores, StepsKind
from popsearch.networks import backend, memory
from popsearch.networks.architecture import read_widths
from popsearch.networks.group import DeviceRows, Group, Snapshot
from popsearch.networks.program import compiled
from popsearch.networks.regressor import NetworkRegressor
from popsearch.space import Params

# A GPU trains many small networks in the time of one, a processor hardly; and the more are asked
# for at once, the fewer of them know how the others went. By whether there is a GPU.
N_AT_ONCE = {False: 8, True: 64}
N_SIBLINGS = {False: 1, True: 16}


class Networks:
    """Any number of networks, advanced by ``every`` epochs a step up to ``budget``.

    Members that one program can train are a group. A group that does not fit into the device's
    memory is halved, and dropped members leave theirs as soon as to train them any further would
    cost more than to compile the program without them.
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
        self._regressors: list[NetworkRegressor] = [
            estimator.build(model, {**params, **own}) for params in members
        ]
        backend.use(self._regressors[0].backend)
        self._rows = rows
        self._device_rows: dict[bool, DeviceRows] = {}
        self._parts = self._divide()
        self._n_steps = 0
        self._best = np.full(len(members), np.inf)
        self._best_steps = np.full(len(members), -1)
        self._gone: dict[int, Snapshot] = {}

    def advance(self) -> Scores:
        """Train every live member to the next step and score it."""
        epoch = self.resources[self._n_steps]
        errors = np.full((4, len(self._regressors)), np.nan)
        waiting, done = self._parts, []
        while waiting:
            part, *waiting = waiting
            if not part.live:
                done.append(part)
                continue
            try:
                errors[:, part.members] = part.train(epoch)
            except Exception as error:
                if not backend.is_out_of_memory(error) or len(part.members) == 1:
                    raise
                waiting = [*part.halves(), *waiting]
            else:
                done.append(part)
        self._parts = done
        better = errors[2] < self._best
        self._best = np.where(better, errors[2], self._best)
        self._best_steps = np.where(better, self._n_steps, self._best_steps)
        self._n_steps += 1
        return Scores(np.full(len(self._regressors), epoch), *errors)

    def drop(self, members: Iterable[int]) -> None:
        """Train these no further; what they were at their best is kept."""
        dropped = {*members}
        for part in self._parts:
            part.live -= dropped
            left = self.resources[-1] - part.group.epoch
            if part.live and memory.pays(part.group, len(part.members) - len(part.live), left):
                self._gone |= part.compact()

    def model(self, member: int, step: int) -> NetworkRegressor:
        """Give the fitted network of a member at its best step so far: no other is kept."""
        from popsearch.networks import keras_model

        if step != self._best_steps[member]:
            best = self._best_steps[member]
            raise LookupError(f"member {member} is kept as it was at step {best}, not at {step}")
        regressor = self._regressors[member]
        snapshot = self._gone.get(member)
        for part in self._parts:
            if member in part.members:
                snapshot = part.group.snapshot(part.members.index(member), best=True)
        assert snapshot is not None
        rows = self._put(regressor.scale_target)
        regressor.model_ = keras_model.build(regressor.network(), snapshot, rows)
        regressor.n_features_in_ = rows.n_features
        return regressor

    @classmethod
    def faults(cls, model: ModelConfig) -> list[str]:
        """Give what of the configuration this way of training cannot do."""
        chosen, found = _backend(model), []
        if importlib.util.find_spec(chosen) is None:
            found.append(
                f"model.backend={chosen} is not installed; install it "
                f"(pip install 'popsearch[{chosen}]') or leave model.backend=tensorflow"
            )
        sizes = "hidden_layer_sizes"
        if model.fixed.get(sizes) is not None:
            found += [
                f"model.space.{name} would do nothing beside model.fixed.{sizes}, which gives all "
                f"widths; remove one of them (~model.space.{name})"
                for name in ("depth", "width", "taper")
                if name in model.space
            ]
        param = model.space.get(sizes)
        given = {f"model.fixed.{sizes}": model.fixed.get(sizes)}
        if isinstance(param, CategoricalParam):
            given |= {f"model.space.{sizes}.choices[{i}]": v for i, v in enumerate(param.choices)}
        return found + [
            f"{where} must be widths, as in [128,64,32] or 128-64-32, but got {value!r}"
            for where, value in given.items()
            if value is not None and not _are_widths(value)
        ]

    @classmethod
    def machine(cls, model: ModelConfig) -> Machine:
        """Give the device that Keras computes on; loads Keras."""
        chosen = _backend(model)
        backend.use(chosen)
        device = backend.device()
        size = f", {device.memory_mib:,} MiB" if device.is_gpu else ""
        return Machine(
            device=f"{device.name}{size}, Keras on {chosen}",
            n_siblings=N_SIBLINGS[device.is_gpu],
            compile_s=compiled.seconds,
            packages=("keras", chosen),
        )

    @classmethod
    def n_side_by_side(cls, model: ModelConfig, n_features: int) -> int:
        """Give how many networks to train at once: bounded by memory, and by what is of use."""
        backend.use(_backend(model))
        fits = min(
            memory.n_side_by_side(estimator.build(model, params).network(), n_features)
            for params in memory.largest(model.space)
        )
        return min(fits, N_AT_ONCE[backend.device().is_gpu])

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
        fitted: NetworkRegressor = estimator.build(model, {**params, **own}).fit(X, y)
        return fitted

    def _divide(self) -> "list[_Part]":
        """Give the members by what one program can train and the memory can hold."""
        alike: dict[Any, list[int]] = defaultdict(list)
        networks = [regressor.network() for regressor in self._regressors]
        for member, (network, regressor) in enumerate(zip(networks, self._regressors, strict=True)):
            alike[network.program_key, regressor.scale_target].append(member)
        parts = []
        for (_, scale_target), members in alike.items():
            rows = self._put(scale_target)
            size = memory.n_side_by_side(networks[members[0]], rows.n_features)
            for i in range(0, len(members), size):
                some = members[i : i + size]
                parts.append(_Part(Group([networks[m] for m in some], rows), some))
        return parts

    def _put(self, scale_target: bool) -> DeviceRows:
        """Give the rows on the device, put there once."""
        if scale_target not in self._device_rows:
            rows = self._rows
            self._device_rows[scale_target] = DeviceRows.put(
                rows.X_train, rows.y_train, rows.X_val, rows.y_val, scale_target
            )
        return self._device_rows[scale_target]


def _backend(model: ModelConfig) -> backend.Backend:
    return model.backend or "tensorflow"


def _are_widths(value: Any) -> bool:
    try:
        sizes = read_widths(value)
    except (TypeError, ValueError):
        return False
    return bool(sizes) and min(sizes) > 0


class _Part:
    """A group, and which members of the population it has in its places."""

    def __init__(self, group: Group, members: Sequence[int]) -> None:
        self.group, self.members = group, list(members)
        self.live = {*members}

    def train(self, epoch: int) -> NDArray[np.float64]:
        """Train to this epoch and give the errors of all places, (4, n_places)."""
        while self.group.epoch < epoch - 1:
            self.group.advance(scored=False)
        return self.group.advance()

    def halves(self) -> "list[_Part]":
        """Give two parts of half the size."""
        middle = len(self.members) // 2
        first, second = (
            _Part(group, members)
            for group, members in zip(
                self.group.halves(), (self.members[:middle], self.members[middle:]), strict=True
            )
        )
        first.live &= self.live
        second.live &= self.live
        return [first, second]

    def compact(self) -> dict[int, Snapshot]:
        """Go on with the live members only, and give what the others were at their best."""
        places = [place for place, member in enumerate(self.members) if member in self.live]
        gone = {
            member: self.group.snapshot(place, best=True)
            for place, member in enumerate(self.members)
            if member not in self.live
        }
        self.group.keep(places)
        self.members = [self.members[place] for place in places]
        return gone
