"""Calls to a database that may be away for a while."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import optuna
import sqlalchemy.exc

FIRST_S, LONGEST_S = 0.2, 10.0  # between two tries
_DISK_FULL = "53100"  # https://www.postgresql.org/docs/current/errcodes-appendix.html

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Patience:
    """Calls again, after longer and longer pauses, while the database does not answer.

    What it calls must do no harm when it is done twice: of a commit whose answer was lost nobody
    knows whether it counted.

    Parameters
    ----------
    wait_s
        Seconds until it gives up.
    pause
        Waits so many seconds; may raise to end the waiting.
    tell
        Hears once that the database is away, and once that it is back.
    """

    def __init__(
        self,
        wait_s: float = 0.0,
        pause: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._wait_s, self._pause, self._tell = wait_s, pause, tell

    def __call__(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Give what the call gives.

        Raises
        ------
        StorageInternalError, SQLAlchemyError
            The call's own, if it is of another kind or the time is over.
        """
        pause_s, deadline = FIRST_S, None
        while True:
            try:
                answer = call(*args, **kwargs)
            except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as e:
                if not _is_away(e) or not self._wait_s:
                    raise
                now = time.monotonic()
                if deadline is None:
                    deadline = now + self._wait_s
                    self._tell(
                        "the database does not answer; waiting for it up to "
                        f"{self._wait_s:g} seconds"
                    )
                if now >= deadline:
                    raise
                self._pause(min(pause_s, deadline - now))
                pause_s = min(2 * pause_s, LONGEST_S)
            else:
                if deadline is not None:
                    self._tell("the database is back")
                return answer


def _is_away(error: Exception) -> bool:
    """Tell whether it is the connection that failed, and not what was asked."""
    cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    if isinstance(cause, sqlalchemy.exc.PendingRollbackError):
        return True  # Optuna asked once more over a connection that had just broken
    broken = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError)
    return isinstance(cause, broken) and getattr(cause.orig, "sqlstate", None) != _DISK_FULL
