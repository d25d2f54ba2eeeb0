"""A storage that hands every call on to another one, again where that is away."""

from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from popsearch.study.patience import Patience


class Passthrough(BaseStorage):
    """Storage that hands every call on; what a subclass does differently it overrides.

    Parameters
    ----------
    inner
        The storage that answers.
    patience
        Makes the calls, again where the database is away.
    """

    def __init__(self, inner: BaseStorage, patience: Patience | None = None) -> None:
        self._inner, self._patience = inner, patience or Patience()

    # ---- trials -----------------------------------------------------------------------------

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Give the trials of a study in order of number."""
        return self._patience(self._inner.get_all_trials, study_id, deepcopy, states)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Give one trial."""
        return self._patience(self._inner.get_trial, trial_id)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Store a new trial and give its id."""
        return self._patience(self._inner.create_new_trial, study_id, template_trial)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Store a parameter of a running trial."""
        self._patience(
            self._inner.set_trial_param, trial_id, param_name, param_value_internal, distribution
        )

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Store what a running trial reached at a step."""
        self._patience(self._inner.set_trial_intermediate_value, trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store a user attribute of a running trial."""
        self._patience(self._inner.set_trial_user_attr, trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store an attribute that a sampler or pruner keeps."""
        self._patience(self._inner.set_trial_system_attr, trial_id, key, value)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Store a new state; false where another worker took the waiting trial first."""
        return self._patience(self._inner.set_trial_state_values, trial_id, state, values)

    # ---- studies ----------------------------------------------------------------------------

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Create a study."""
        return self._patience(self._inner.create_new_study, directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._patience(self._inner.delete_study, study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Store a user attribute of a study."""
        self._patience(self._inner.set_study_user_attr, study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Store a system attribute of a study."""
        self._patience(self._inner.set_study_system_attr, study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Give the id of a study."""
        return self._patience(self._inner.get_study_id_from_name, study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Give the name of a study."""
        return self._patience(self._inner.get_study_name_from_id, study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Give the directions of a study."""
        return self._patience(self._inner.get_study_directions, study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Give the user attributes of a study."""
        return self._patience(self._inner.get_study_user_attrs, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Give the system attributes of a study."""
        return self._patience(self._inner.get_study_system_attrs, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Give all studies."""
        return self._patience(self._inner.get_all_studies)
