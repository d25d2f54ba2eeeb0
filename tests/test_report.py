"""What is printed at the end."""

import io
from typing import Any

import pytest
from rich.console import Console

from popsearch import report
from popsearch.config import MlflowTracking
from popsearch.run import Result


def result(**more: Any) -> Result:
    """Give a result, with what matters to a test."""
    fields = dict.fromkeys(Result.__dataclass_fields__)
    known: dict[str, Any] = {name: [] for name in ("failures", "advice", "front", "test_openings")}
    known |= {"model": "ridge", "n_trials": {"complete": 2, "pruned": 1, "failed": 0}}
    return Result(**{**fields, **known, "stopped_by": "n_trials", "duration_s": 61.0, **more})


DONE: dict[str, Any] = {"best_trial": 1, "best_params": {"alpha": 0.5}, "best_step": 3}
DONE |= {"best_resource": 90, "resource": "rows", "val_mse": 2.0, "val_mae": 1.0}
TESTED = {"test_mse": 3.0, "test_mae": 1.5, "mean_mse": 9.0, "floor_mse": 2.5}


def printed(show: Any, *args: Any) -> str:
    """Give what a function prints."""
    console = Console(width=200, file=io.StringIO(), record=True)
    show(console, *args)
    return console.export_text()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:///mlflow.db", "mlflow ui, then open http://127.0.0.1:5000/#/x"),
        ("sqlite:///a.db", "mlflow ui --backend-store-uri sqlite:///a.db, then open http://127"),
        ("http://host:80/", "compare trials  http://host:80/#/x"),
        ("http://me:hunter2@host:80", "http://***@host:80/#/x"),
        ("postgresql://me:hunter2@host/db", "--backend-store-uri postgresql://***@host/db"),
    ],
)
def test_where_to_look_is_said_without_secrets(uri: str, expected: str) -> None:
    """The command or address that shows the runs fits the store; passwords are not printed."""
    tracking = MlflowTracking(name="mlflow", uri=uri)
    shown = printed(report.show_next, result(**DONE), "python -m popsearch", 3, tracking, "#/x")
    assert expected in shown
    assert "hunter2" not in shown


def test_a_finished_study_offers_to_search_further() -> None:
    """After a whole search the next command wants twice the trials; after a stop the same."""
    tracking = MlflowTracking(name="mlflow", uri="sqlite:///mlflow.db")
    command = "python -m popsearch model=ridge n_trials=3"
    shown = printed(report.show_next, result(**DONE), command, 3, tracking, "")
    assert "python -m popsearch model=ridge n_trials=6" in shown
    stopped = result(**DONE, stopped_by="Ctrl-C")
    assert command in printed(report.show_next, stopped, command, 3, tracking, "")


def test_a_space_that_is_searched_through_offers_nothing_more() -> None:
    """No trial is left to be asked for; after a stop the same command goes on."""
    tracking = MlflowTracking(name="mlflow", uri="sqlite:///mlflow.db")
    command = "python -m popsearch model=linear"
    assert command not in printed(report.show_next, result(**DONE), command, None, tracking, "")
    stopped = result(**DONE, stopped_by="Ctrl-C")
    assert command in printed(report.show_next, stopped, command, None, tracking, "")


def test_the_table_holds_scores_and_what_to_compare_them_with() -> None:
    """Best parameters, step, validation and test errors, mean predictor and floor are there."""
    shown = printed(report.show, result(**DONE, **TESTED))
    for words in ("2 complete, 1 pruned", "best alpha", "0.5", "3 (rows=90)", "MSE 2.00",
                  "MSE 3.00", "MSE 9.00", "MSE 2.50, which no model", "1 min 1 s"):  # fmt: skip
        assert words in shown
    assert "leak" not in shown
    assert "not opened" in printed(report.show, result(**DONE))


def test_the_mean_of_the_best_and_compiling_stand_in_the_table_where_there_are_any() -> None:
    """The mean's errors are said to be of the test rows; compiling is part of the time."""
    mean = {"ensemble_n": 5, "ensemble_mse": 2.75, "ensemble_mae": 1.25, "compile_s": 12.0}
    shown = printed(report.show, result(**DONE, **TESTED, **mean))
    assert "mean of best 5  MSE 2.75   MAE 1.250 (test)" in shown
    assert "1 min 1 s, 12 s of it compiling" in shown
    plain = printed(report.show, result(**DONE, **TESTED, compile_s=0.0))
    assert "mean of best" not in plain
    assert "compiling" not in plain


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0.0 s"), (9.94, "9.9 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (7325, "2 h 2 min")],
)
def test_a_time_span_reads_as_a_person_says_it(seconds: float, expected: str) -> None:
    """Seconds, minutes and hours, as coarse as the span is long."""
    assert report.duration(seconds) == expected
