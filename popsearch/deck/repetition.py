"""The notebook's eight models as trials of one study: stored, tracked, and never done twice."""

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import psutil

from popsearch import database, threads
from popsearch.config import DeckConfig, LocalExecutor, NoPruner, RandomSampler
from popsearch.data.demo import FEATURES
from popsearch.deck import notebook
from popsearch.deck.figures import DECK, MISTAKES
from popsearch.deck.notebook import EPOCHS, Fitted, Network, Notebook
from popsearch.description import SPACE as GAP
from popsearch.family import CategoricalParam, StageSteps
from popsearch.interrupt import Interrupts
from popsearch.leaderboard.gathered import NOTEBOOK
from popsearch.models import Machine, Training, WayOfTraining
from popsearch.models.once import FittedOnce
from popsearch.plan import Plan
from popsearch.space import Params, Space
from popsearch.study import Patience, Study, storage_errors
from popsearch.tracking import StudyRecord, open_tracker, tracking_errors
from popsearch.workers import local
from popsearch.workers.batch import Watcher
from popsearch.workers.worker import waiting_time

if TYPE_CHECKING:
    from popsearch.config import Config

NAMES = [figure.name for figure in DECK]
SPACE = Space(
    {"model": CategoricalParam(type="categorical", choices=[*NAMES])},
    tuple({"model": name} for name in NAMES),
)


@dataclass(frozen=True)
class Repeated:
    """What one of the notebook's models came to: its errors, and seconds of training."""

    mse: float
    mae: float
    seconds: float


@dataclass(frozen=True)
class Repetition:
    """The notebook on a table, as what trains the trials of its study.

    Parameters
    ----------
    plan
        Of a search on the table.
    deck
        How much of the notebook is done.
    """

    plan: Plan
    deck: DeckConfig

    patience = None
    population = most_begun = n_workers = n_objectives = 1
    first_look = 0
    trial_timeout = None
    machine = Machine()
    way: ClassVar[type[WayOfTraining]] = FittedOnce

    @property
    def fidelities(self) -> list[int]:
        """One for each epoch of the longest training."""
        return [*range(1, max(self._epochs(name) for name in EPOCHS) + 1)]

    @property
    def val_variance(self) -> float:
        """Of the test rows, which the notebook judged most models by."""
        return float(self.rows.judged.y_val.var())

    @property
    def study_name(self) -> str:
        """Table and fingerprint."""
        source = self.plan.cfg.data
        content = [self.plan.table.fingerprint, source.order_by, self.deck.model_dump()]
        fingerprint = hashlib.sha256(repr(content).encode()).hexdigest()
        return f"{self.plan.table.name}-{NOTEBOOK}-{fingerprint[:8]}"

    @cached_property
    def rows(self) -> Notebook:
        """The rows as the notebook cut them."""
        return notebook.cut(self.plan.table, FEATURES, self.plan.cfg.data.order_by)

    def training(self, members: list[Params]) -> Training:
        """Give the training of one of the models."""
        (params,) = members
        name = str(params["model"])
        if name in EPOCHS:
            return Network(name, self.rows.curves, self._epochs(name))
        return Fitted(name, self.rows.judged)

    def too_large(self, params: Params) -> str:
        """Tell nothing: what the notebook could hold this computer can."""
        return ""

    def _epochs(self, name: str) -> int:
        return min(EPOCHS[name], self.deck.max_epochs or EPOCHS[name])

    def config(self) -> "Config":
        """Give a configuration under which the study searches nothing and prunes nothing."""
        cfg = self.plan.cfg
        steps = StageSteps(kind="epochs", param="epochs", budget=1, every=1, patience=None)
        own: dict[str, Any] = {"name": NOTEBOOK, "steps": steps, "fixed": {}, "known_good": []}
        return cfg.model_copy(
            update={
                "model": cfg.model.model_copy(update=own | {"space": dict(SPACE.params)}),
                "objectives": ["val_mse"],
                "sampler": RandomSampler(name="random"),
                "pruner": NoPruner(name="none"),
                "executor": LocalExecutor(name="local"),
            }
        )


class Listener(Watcher, Protocol):
    """Who is told how it goes."""

    model_of: Callable[[int], str]
    """Gives the model of a trial by its number; set before any is told."""

    def warn(self, line: str) -> None:
        """Hear what should be known."""


def repeat(
    repetition: Repetition, command: str, listener: Listener
) -> tuple[dict[str, Repeated], str]:
    """Do what is not done yet of the notebook, and give what it came to.

    Returns
    -------
    What each model came to by its name in ``DECK``; and the signal that ended it, nothing where
    none did.

    Raises
    ------
    StorageError
        If a database does not answer.
    """
    plan, cfg = repetition.plan, repetition.config()
    with (
        Interrupts(None) as interrupts,
        threads.limited(plan.n_train_rows),
        storage_errors(cfg.storage.url),
        tracking_errors(cfg.tracking),
        contextlib.ExitStack() as opened,
    ):
        patience = Patience(waiting_time(cfg.storage), interrupts.pause, listener.warn)
        with database.alone(cfg.storage.url):
            name, budget = repetition.study_name, repetition.fidelities[-1]
            study = Study(cfg, name, SPACE, budget, patience=patience)
            opened.callback(study.close)
            for key, fact in {NOTEBOOK: True, "command": command}.items():
                if study.note(key) != fact:
                    study.note(key, fact)
            listener.model_of = lambda number: str(study.trials()[number].params["model"])
            tracker = open_tracker(cfg.tracking, plan.table.name, listener.warn)
            tracker.open_study(_record(repetition, command))
            local.recover(study, tracker)
            tracker.close_left_behind()
        stopped_by = local.search(repetition, study, tracker, interrupts, listener, len(DECK))
        done = {
            str(trial.params["model"]): Repeated(
                trial.scores["val_mse"], trial.scores["val_mae"], trial.scores["fit_s"]
            )
            for trial in study.scored()
        }
        page = _page(plan, done, command)
        tracker.close_study({}, {"popsearch.stopped_by": stopped_by, "mlflow.note.content": page})
        return done, "" if stopped_by == "n_trials" else stopped_by


def _record(repetition: Repetition, command: str) -> StudyRecord:
    plan = repetition.plan
    return StudyRecord(
        name=repetition.study_name,
        tags={
            "popsearch.model": NOTEBOOK,
            "popsearch.data_fingerprint": plan.table.fingerprint,
            "popsearch.command": command,
            "mlflow.source.name": command,
            "mlflow.user": psutil.Process().username(),
        },
        texts={},
        data_name=plan.table.name,
        data_digest=plan.table.fingerprint,
        data_source=plan.table.about,
        params=list(SPACE.params),
    )


def _page(plan: Plan, done: Mapping[str, Repeated], command: str) -> str:
    """Give the run's description."""
    lines = "\n".join(
        f"| {figure.model}{GAP} | {figure.setting}{GAP} | {figure.mse:.2f} | {own.mse:.2f}{GAP} | "
        f"{own.mae:.3f} |"
        for figure in DECK
        if (own := done.get(figure.name))
    )
    return (
        f"The notebook of the deck done again on {plan.table.about}, its flaws kept: none of these "
        "errors is an honest one. The models of scikit-learn are judged on test rows that chose "
        "among them, networks by where the curve of validation rows ends.\n\n"
        f"| model | setting | MSE in the deck | MSE | MAE |\n|---|---|---|---|---|\n{lines}\n\n"
        + "\n".join(f"- {mistake}" for mistake in MISTAKES)
        + f"\n\nRepeat or continue it with:\n\n    {command}\n"
    )
