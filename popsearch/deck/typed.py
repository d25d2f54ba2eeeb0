"""What a sweep with ``deck`` ends with: the notebook done again, and all figures side by side."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from popsearch.config import NoTracking
from popsearch.deck import scoreboard
from popsearch.deck.figures import DECK
from popsearch.deck.repetition import Repeated, Repetition, repeat
from popsearch.ensemble.shown import Progress
from popsearch.leaderboard import standings
from popsearch.leaderboard.gathered import Place, boards, find
from popsearch.outcome import Outcome
from popsearch.plan import Plan, prepare
from popsearch.report import duration

if TYPE_CHECKING:
    from rich.console import Console

    from popsearch.config import Config


def after_sweep(
    console: "Console", configs: Sequence["Config"], studies: Collection[str], command: str
) -> str:
    """Do what is not done yet of the notebook, and show its figures beside those of the sweep.

    Parameters
    ----------
    studies
        Of the sweep.
    command
        What was typed, to be stored.

    Returns
    -------
    The signal that ended it, nothing where none did.

    Raises
    ------
    StorageError
        If a database does not answer.
    """
    wanted = [cfg for cfg in configs if cfg.deck is not None]
    places = {(cfg.data.model_dump_json(), cfg.storage.url): cfg for cfg in wanted}
    for cfg in places.values():
        assert cfg.deck is not None
        plan = prepare(cfg)
        listener = _Listener(console)
        with listener.shown():
            repeated, stopped_by = repeat(Repetition(plan, cfg.deck), command, listener)
        if stopped_by:
            return stopped_by
        _show(console, plan, repeated, studies)
    return ""


def _show(
    console: "Console", plan: Plan, repeated: dict[str, Repeated], studies: Collection[str]
) -> None:
    """Print a table for each board that the sweep has put studies on."""
    cfg, fingerprint = plan.cfg, plan.table.fingerprint
    # What is tracked of a board is not needed here, and a server that is away no hindrance.
    found = find(Place(cfg.storage.url, NoTracking(name="none")))
    keys = {standings.key(note["about"]) for n, note in found.notes.items() if n in studies}
    for board in boards(found, {fingerprint}):
        if board.key in keys:
            scoreboard.show(console, plan, board, scoreboard.lines(board, repeated))


class _Listener(Progress):
    """Tells how the notebook goes: a line for each model, on a terminal also where it stands."""

    model_of: Callable[[int], str]
    _model = ""

    def trial_started(self, number: int) -> None:
        """Show which model begins."""
        name = self.model_of(number)
        (self._model,) = (figure.model for figure in DECK if figure.name == name)
        self.doing(f"the notebook: {self._model}")

    def step_done(self, number: int, step: int, n_steps: int, val_mse: float) -> None:
        """Show how far it is."""
        if n_steps > 1:
            self.doing(f"the notebook: {self._model}, epoch {step}/{n_steps}: {val_mse:.2f}")

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Say what it came to."""
        best = outcome.best
        came = f"MSE {best.val_mse:.2f}" if best else f"failed: {outcome.reason}"
        self.say(f"the notebook: {self._model}  {came}  {duration(outcome.fit_s)}")

    def trials_lost(self, n: int, reason: str) -> None:
        """Say that it is done once more."""
        self.warn(f"{reason}; it is tried again")
