"""The deck's eight models: its notebook done again with its flaws, and what stands beside it."""

import io
import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pandas as pd
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from popsearch import command
from popsearch.deck import scoreboard
from popsearch.deck.figures import DECK, N_ROWS
from popsearch.deck.notebook import Fitted, Network, cut
from popsearch.deck.repetition import Repeated
from popsearch.errors import ConfigError
from popsearch.interrupt import Interrupted
from popsearch.leaderboard.standings import Board, Row
from popsearch.models import Rows, Scores, TrainingDied
from popsearch.usage import CONF
from programs import popsearch, typed, wait_for

STORAGE = "sqlite:///optuna.db"
SWEEP = ["-m", "experiment=deck", "model=deck/linear,deck/gbr", "data=demo", "data.rows=200"]


def table(n_rows: int, seed: int = 0) -> Any:
    """Give a table with two features, popularity, and the years of release in no order."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(size=n_rows), "b": rng.random(n_rows)})
    X["year"] = rng.integers(1922, 2022, size=n_rows)
    y = np.clip(np.rint(30 + 8 * X["a"] + rng.normal(0, 9, n_rows)), 0, 100).to_numpy()
    return SimpleNamespace(X=X, y=y, n_rows=n_rows)


def notebook(n_rows: int = 300, seed: int = 0) -> Any:
    """Give its rows as the notebook cuts them."""
    return cut(table(n_rows, seed), ["a", "b"], "year")


def test_the_rows_are_as_many_as_in_the_deck() -> None:
    """Of 586,672 rows 410,670 train and 201,228 of them networks, validated on 86,241."""
    rows = notebook(N_ROWS)
    assert (len(rows.judged.y_train), len(rows.judged.y_val)) == (410_670, 176_002)
    assert (len(rows.curves.y_train), len(rows.curves.y_val)) == (201_228, 86_241)


def test_the_scaler_has_seen_the_test_rows() -> None:
    """Training and test rows together reach from 0 to 1 in each feature: that is the flaw."""
    rows = notebook().judged
    both = np.vstack([rows.X_train, rows.X_val])
    assert both.min(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert both.max(axis=0) == pytest.approx([1, 1])


@given(st.integers(20, 200), st.integers(0, 1000))
def test_linear_regression_is_least_squares(n_rows: int, seed: int) -> None:
    """Its test error is that of the closed form on the same rows."""
    rows = notebook(n_rows, seed).judged
    columns = [np.column_stack([np.ones(len(X)), X]) for X in (rows.X_train, rows.X_val)]
    weights = np.linalg.lstsq(columns[0], rows.y_train, rcond=None)[0]
    expected = np.square(rows.y_val - columns[1] @ weights).mean()
    assert Fitted("linear", rows).advance().val_mse[0] == pytest.approx(expected, rel=1e-9)


def test_the_tree_answers_with_popularities_it_has_seen() -> None:
    """It is a classifier: nothing between two classes is ever predicted."""
    rows = notebook().judged
    tree = Fitted("decision_tree", rows)
    tree.advance()
    predicted = rows.y_val - tree.val_residuals(0, 0)
    assert {*predicted} <= {*rows.y_train}


def test_the_forest_is_scored_with_the_tree() -> None:
    """Both figures are the same, and a forest that predicts itself has another."""
    from sklearn.ensemble import RandomForestRegressor

    rows = notebook().judged
    tree, forest = (Fitted(n, rows).advance() for n in ("decision_tree", "random_forest"))
    assert forest.val_mse == tree.val_mse
    assert forest.val_mae == tree.val_mae
    honest = RandomForestRegressor(5, random_state=0).fit(rows.X_train, rows.y_train)
    own = np.square(rows.y_val - honest.predict(rows.X_val)).mean()
    assert forest.val_mse[0] != pytest.approx(own, rel=0.01)


def test_a_network_is_keras_own() -> None:
    """Epoch for epoch its errors are those of the deck's layers, fitted by hand with the seed."""
    from networks import keras

    rows = notebook(400).curves
    network = Network("network_batch_norm", rows, epochs=3)
    ours = [network.advance() for _ in network.resources]
    network.drop([0])
    keras.utils.set_random_seed(777)
    dense, norm = keras.layers.Dense, keras.layers.BatchNormalization
    model = keras.Sequential([dense(64, "relu"), norm(), dense(64, "relu"), norm(), dense(1)])
    model.compile(optimizer="adam", loss="mse")
    known = (rows.X_val, rows.y_val)
    history = model.fit(
        rows.X_train, rows.y_train, batch_size=128, epochs=3, validation_data=known, verbose=0
    ).history
    assert [s.val_mse[0] for s in ours] == pytest.approx(history["val_loss"], rel=1e-4)
    assert [s.train_mse[0] for s in ours] == pytest.approx(history["loss"], rel=1e-4)


def test_a_network_whose_process_ends_can_be_tried_again() -> None:
    """That is told apart from a training that fails; the process is gone afterwards."""
    network = Network("network", notebook(400).curves, epochs=10_000)
    network.advance()
    process = network._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    with pytest.raises(TrainingDied, match="exit code -9"):
        list(iter(network.advance, None))
    assert process.poll() is not None


def test_a_network_that_cannot_be_trained_says_why() -> None:
    """What its process wrote last is in the message."""
    rows = notebook(100).curves
    wrong = Rows(rows.X_train[:, :0], rows.y_train, rows.X_val, rows.y_val)
    with pytest.raises(TrainingDied, match=r"Error|error|shape"):
        Network("network", wrong, epochs=1).advance()


def row(family: str, val_mse: float, test_mse: float | None) -> Row:
    """Give a study's place on a board."""
    known = {"test_mse": test_mse, "test_mae": test_mse, "val_mse": val_mse, "val_mae": val_mse}
    counts = {"n_openings": 1, "n_complete": 1, "n_pruned": 0, "n_failed": 0, "time_s": 1.0}
    gaps = ["rank", "trial", "val_r2", "test_mse_low", "test_mse_high", "test_r2"]
    more = dict.fromkeys([*gaps, "predict_million_s"])
    return Row(study=f"tracks-{family}-{val_mse}", family=family, **known, **counts, **more)


def test_each_model_stands_beside_its_own_studies() -> None:
    """The tuned study is chosen by its validation error; the ratio is of test errors."""
    rows = [row("lasso", 9, 8), row("lasso", 8, 9), row("lasso", 7, None), row("deck_lasso", 9, 12)]
    board = Board({}, None, None, rows)
    found = scoreboard.lines(board, {"lasso": Repeated(13.0, 3.0, 0.1)})
    assert [line.figure for line in found] == list(DECK)
    lasso = found[1]
    assert lasso.tuned is rows[1]
    assert lasso.corrected is rows[3]
    assert lasso.ratio == pytest.approx(9 / 12)
    assert lasso.repeated is not None
    assert found[0].repeated is found[0].corrected is found[0].tuned is found[0].ratio is None


@pytest.mark.parametrize("width", [66, 80, 100, 140, 200])
def test_both_tables_fit_the_terminal(width: int) -> None:
    """Where there is no room for all columns, the errors are those that stay."""
    rows = [row(each.family, 88.88, 88.88) for each in DECK]
    rows += [row(each.corrected, 99.99, 99.99) for each in DECK]
    repeated = {each.name: Repeated(1083.96, 30.123, 2109.7) for each in DECK}
    board = Board({}, None, None, rows)
    stream = io.StringIO()
    plan = SimpleNamespace(table=table(100), cfg=SimpleNamespace(data=None, deck=None))
    plan.table.about = "tracks"
    console = Console(file=stream, width=width)
    scoreboard.show(console, plan, board, scoreboard.lines(board, repeated))  # type: ignore[arg-type]
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines[:19])) <= width
    for title in (lines[1], lines[10]):
        assert re.search(r"deck +repeated +corrected +tuned", title)
    assert re.search(r"1083.96 +99.99 +88.88", lines[2])
    assert ("0.889" in lines[2]) == (width >= 80)
    assert ("35 min 10 s" in lines[9]) == (width >= 100)


def test_every_figure_has_its_setting() -> None:
    """conf/model/deck has a file for each of the eight, of the family that is looked for."""
    files = {file.stem: file.read_text() for file in (CONF / "model" / "deck").glob("*.yaml")}
    assert files.keys() == {figure.name for figure in DECK}
    for figure in DECK:
        assert f"\nname: {figure.corrected}\n" in files[figure.name]
        assert (CONF / "model" / f"{figure.family}.yaml").is_file()


def test_the_notebook_is_done_once(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also when it is stopped on its way: each model once, told by its name, its run agrees.

    The same command adds none then, and shows the same.
    """
    advance = Fitted.advance

    def stops(self: Fitted) -> Scores:
        if self._name == "gbr":
            raise Interrupted("Ctrl-C")
        return advance(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fitted, "advance", stops)
        assert typed(*SWEEP, "deck.max_epochs=2") == 130
    told = capsys.readouterr().out
    assert typed(*SWEEP, "deck.max_epochs=2") == 0
    first = capsys.readouterr().out
    told += first
    for figure in DECK:
        assert told.count(f"the notebook: {figure.model}  MSE") == 1
    assert "The notebook's networks had 2 epochs at most" in first
    assert typed(*SWEEP, "deck.max_epochs=2") == 0
    again = capsys.readouterr().out
    assert "the notebook:" not in again
    last = "the deck's models on"
    assert first.partition(last)[2].splitlines()[:20] == again.partition(last)[2].splitlines()[:20]
    (name,) = [n for n in optuna.get_all_study_names(STORAGE) if "-notebook-" in n]
    trials = optuna.load_study(study_name=name, storage=STORAGE).trials
    done = [t.params["model"] for t in trials if t.state.name == "COMPLETE"]
    assert sorted(done) == sorted(figure.name for figure in DECK)
    assert trials[-1].params["model"] == "gbr"  # begun as the sixth, and given back
    assert typed("check") == 0
    assert "study and tracking agree" in capsys.readouterr().out
    assert typed("leaderboard") == 0
    assert "notebook" not in capsys.readouterr().out


def test_ctrl_c_ends_the_notebook_and_the_same_command_goes_on(workdir: Path) -> None:
    """What was done stays, the network in training is given back, its process is gone."""
    words = ["-m", "experiment=deck", "model=deck/linear", "data=demo", "data.rows=200"]
    process = popsearch(*words)
    wait_for(process, "the notebook: gradient boosting")
    time.sleep(6)  # the network's process begins
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not any(child.is_running() for child in children)
    (name,) = [n for n in optuna.get_all_study_names(STORAGE) if "-notebook-" in n]
    states = [t.state.name for t in optuna.load_study(study_name=name, storage=STORAGE).trials]
    assert states[:7] == ["COMPLETE"] * 6 + ["FAIL"]
    assert "RUNNING" not in states


WRONG = [
    (["experiment=deck"], "experiment=deck sweeps over model: it needs -m (--multirun)"),
    (["-m", *SWEEP[1:], "features=all"], "deck: the notebook is done again on data=tracks"),
    (["-m", *SWEEP[1:], "deck.max_epochs=0"], "deck.max_epochs must be at least 1, but got 0"),
]


@pytest.mark.parametrize(("words", "fault"), WRONG)
def test_what_cannot_be_is_told(
    words: list[str], fault: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2, and nothing is created."""
    assert typed(*words) == 2
    assert fault in capsys.readouterr().err
    assert not list(workdir.iterdir())


def test_an_experiment_says_what_is_swept_over() -> None:
    """What it says is written out before Hydra reads the command; what is typed goes before it."""
    words = command.with_sweep(["-m", "experiment=families", "n_trials=3"])
    assert words[:3] == ["-m", "experiment=families", "n_trials=3"]
    assert words[3].startswith("model=linear,lasso,")
    assert words[4:] == ["hydra.sweeper.params=null"]
    typed_too = command.with_sweep(["experiment=families", "model=ridge,gbr", "-m"])
    assert [word for word in typed_too if word.startswith("model=")] == ["model=ridge,gbr"]
    assert typed_too[-1] == "-m"
    assert command.with_sweep(["experiment=quick"]) == ["experiment=quick"]
    with pytest.raises(ConfigError, match="needs -m"):
        command.with_sweep(["experiment=families"])
