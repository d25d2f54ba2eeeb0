"""Waiting for a database that is away."""

from collections.abc import Callable

import optuna
import pytest
import sqlalchemy.exc
from hypothesis import given
from hypothesis import strategies as st

from popsearch.study.patience import FIRST_S, LONGEST_S, Patience


class Sqlstate(Exception):
    """An error of a driver, with the code that PostgreSQL gave it."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("gone")
        self.sqlstate = sqlstate


def away(sqlstate: str | None = None) -> Exception:
    """Give what SQLAlchemy raises over a broken connection."""
    return sqlalchemy.exc.OperationalError("SELECT 1", {}, Sqlstate(sqlstate))


def wrapped(error: Exception) -> Exception:
    """Give what Optuna makes of it."""
    outer = optuna.exceptions.StorageInternalError("during the commit")
    outer.__cause__ = error
    return outer


def failing(errors: list[Exception]) -> Callable[[], str]:
    """Give a call that raises these, one after another, and then answers."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return call


@given(n=st.integers(0, 20))
def test_it_calls_again_until_there_is_an_answer(n: int) -> None:
    """After pauses that double up to a limit; the user hears of it twice, if at all."""
    pauses: list[float] = []
    told: list[str] = []
    patience = Patience(1e9, pauses.append, told.append)
    assert patience(failing([wrapped(away()) if i % 2 else away() for i in range(n)])) == "answer"
    assert pauses == [min(FIRST_S * 2**i, LONGEST_S) for i in range(n)]
    assert len(told) == (2 if n else 0)


@pytest.mark.parametrize(
    "error",
    [
        away("53100"),  # the disk is full
        sqlalchemy.exc.ProgrammingError("SELECT 1", {}, Sqlstate("42P01")),
        wrapped(ValueError("too long")),
    ],
)
def test_what_waiting_does_not_mend_is_raised(error: Exception) -> None:
    """At once."""
    with pytest.raises(type(error)):
        Patience(1e9, lambda _: pytest.fail("waited"))(failing([error]))


def test_it_gives_up_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the error itself."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def pause(seconds: float) -> None:
        clock[0] += seconds

    with pytest.raises(sqlalchemy.exc.OperationalError):
        Patience(30, pause)(failing([away() for _ in range(1000)]))
    assert 29.9 < clock[0] <= 30.1


def test_a_file_is_not_waited_for() -> None:
    """Without a time to wait the first error counts."""
    with pytest.raises(sqlalchemy.exc.OperationalError):
        Patience(0, lambda _: pytest.fail("waited"))(failing([away()]))
