"""Networks of any shapes, trained side by side: those of one architecture in one program."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from popsearch.models.training import Rows, Scores, predict_s, residuals
from popsearch.networks import backend, memory
from popsearch.networks.group import DeviceRows, Group, Snapshot

if TYPE_CHECKING:
    from popsearch.networks.regressor import NetworkRegressor


class Population:
    """Any number of networks, advanced step by step.

    Members that one program can train are a group. A group that does not fit into the device's
    memory is halved, and dropped members leave theirs as soon as to train them any further would
    cost more than to compile the program without them.

    Parameters
    ----------
    regressors
        What each member is, unfitted.
    rows
        Training and validation rows.
    resources
        Epochs after each step.
    """

    def __init__(
        self, regressors: "Sequence[NetworkRegressor]", rows: Rows, resources: Sequence[int]
    ) -> None:
        self._regressors, self._rows, self._resources = list(regressors), rows, resources
        backend.use(self._regressors[0].backend)
        self._device_rows: dict[bool, DeviceRows] = {}
        self._parts = self._divide()
        self._n_steps = 0
        self._best = np.full(len(self._regressors), np.inf)
        self._best_steps = np.full(len(self._regressors), -1)
        self._gone: dict[int, Snapshot] = {}

    def advance(self) -> Scores:
        """Train every live member to the next step and score it."""
        epoch = self._resources[self._n_steps]
        errors = np.full((4, len(self._regressors)), np.nan)
        waiting, done = self._parts, []
        while waiting:
            part, *waiting = waiting
            if not part.live:
                done.append(part)
                continue
            try:
                errors[:, part.members] = part.train(epoch)
                errors[:, list(self._gone)] = np.nan  # trained on only because it is cheaper
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
            for member in part.live & dropped:
                self._gone[member] = part.best(member)
            part.live -= dropped
            left = self._resources[-1] - part.group.epoch
            if part.live and memory.pays(part.group, len(part.members) - len(part.live), left):
                part.compact()

    def model(self, member: int, step: int) -> "NetworkRegressor":
        """Give the fitted network of a member at its best step so far: no other is kept."""
        from popsearch.networks import keras_model

        if step != self._best_steps[member]:
            best = self._best_steps[member]
            raise LookupError(f"member {member} is kept as it was at step {best}, not at {step}")
        regressor = self._regressors[member]
        if (snapshot := self._gone.get(member)) is None:
            snapshot = next(part.best(member) for part in self._parts if member in part.members)
        rows = self._put(regressor.scale_target)
        regressor.model_ = keras_model.build(regressor.network(), snapshot, rows)
        regressor.n_features_in_ = rows.n_features
        return regressor

    def val_residuals(self, member: int, step: int) -> NDArray[np.float32]:
        """Give target less prediction of every validation row, of a member at its best step."""
        return residuals(self._rows, self.model(member, step))

    def predict_s(self, member: int, step: int) -> float:
        """Give the seconds in which a member at its best step predicts the validation rows."""
        return predict_s(self._rows, self.model(member, step))

    def _divide(self) -> "list[_Part]":
        """Give the members by what one program can train and the memory can hold."""
        alike: dict[Any, list[int]] = defaultdict(list)
        networks = [regressor.network() for regressor in self._regressors]
        for member, (network, regressor) in enumerate(zip(networks, self._regressors, strict=True)):
            alike[network.program_key, regressor.scale_target].append(member)
        parts = []
        for (_, scale_target), members in alike.items():
            rows = self._put(scale_target)
            size = memory.n_side_by_side(networks[members[0]], rows.n_features, backend.device())
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

    def best(self, member: int) -> Snapshot:
        """Give what a member was at its best."""
        return self.group.snapshot(self.members.index(member), best=True)

    def compact(self) -> None:
        """Go on with the live members only."""
        places = [place for place, member in enumerate(self.members) if member in self.live]
        self.group.keep(places)
        self.members = [self.members[place] for place in places]
