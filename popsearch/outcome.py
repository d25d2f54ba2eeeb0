"""How a trial went: the record that training hands to study and tracking."""

from dataclasses import dataclass, field
from typing import Literal

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Point:
    """The errors of one member after one step.

    Parameters
    ----------
    resource
        What it had used by then, which is the point's place on the curve.
    refit
        How much of the resource a refit of it takes.
    """

    resource: int
    refit: int
    train_mse: float
    train_mae: float
    val_mse: float
    val_mae: float


@dataclass
class Outcome:
    """How one trial went.

    Parameters
    ----------
    curve
        One point for every step that was taken.
    best_step
        The step (counted from 1) whose model the trial stands for, 0 before there is one.
    fit_s
        Seconds of training and scoring; of those side by side an equal share.
    reason
        Why it failed, with ``trace`` for whoever mends it.
    warnings
        What libraries warned of while it trained, each once.
    predict_s
        Seconds in which it predicts the validation rows, where that is an objective.
    copy_of
        The number of an earlier trial with the same parameters, whose scores these are.
    """

    state: State = "complete"
    curve: list[Point] = field(default_factory=list)
    best_step: int = 0
    fit_s: float = 0.0
    reason: str = ""
    trace: str = ""
    predict_s: float | None = None
    copy_of: int | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def best(self) -> Point | None:
        """The point at the best step, none before the first."""
        return self.curve[self.best_step - 1] if self.best_step else None

    def scores(self, val_variance: float) -> dict[str, float]:
        """Give the figures at the best step, by the names they have everywhere.

        Parameters
        ----------
        val_variance
            Variance of the validation targets, which makes an MSE an R².
        """
        figures: dict[str, float] = {"fit_s": self.fit_s}
        if best := self.best:
            figures |= {
                "val_mse": best.val_mse,
                "val_mae": best.val_mae,
                "train_mse": best.train_mse,
                "train_mae": best.train_mae,
                "best_step": self.best_step,
                "best_resource": best.refit,
            }
            if self.predict_s is not None:
                figures["predict_s"] = self.predict_s
            if val_variance:  # of equal targets none can be explained
                figures["val_r2"] = 1 - best.val_mse / val_variance
        return figures
