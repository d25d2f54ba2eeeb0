"""What single pictures show, against facts that are known otherwise."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

from popsearch.data.table import Column
from popsearch.family import CategoricalParam, FloatParam, IntParam
from popsearch.pictures import columns, curves, paper, parameters, search, tested
from popsearch.study import Asked

NUMBER = Column("numeric", 0, 0)


def trial(number: int, error: float, state: str = "complete", **params: Any) -> Asked:
    """Give a trial that ended."""
    return Asked(number, number, params, state, None, {"val_mse": error})


def made_up(n: int = 4000, missing: bool = False) -> tested.Tested:
    """Give a fitted model on a table in which one column of four tells something."""
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(n, 4)), columns=["a", "b", "told", "c"])
    y = 3 * X["told"].to_numpy() + rng.normal(size=n)
    winner = LinearRegression().fit(X, y)
    return tested.Tested(winner, X, y, winner.predict(X), "y", 0)


def test_shuffling_the_only_column_that_tells_costs_twice_its_variance() -> None:
    """For a linear model the rise is 2 w² var(x) in expectation; for the others it is nothing."""
    known = made_up()
    found = columns.importance(known)
    assert found is not None
    assert found.names[0] == "told"
    assert found.rises[0].mean() == pytest.approx(2 * 9, rel=0.1)
    assert np.abs(found.rises[1:]).max() < 0.1
    figure = columns.permutation(found, len(known.y))
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == pytest.approx(found.rises.mean(axis=1))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == found.names


def test_the_partial_dependence_is_that_of_scikit_learn() -> None:
    """Of a model that is not linear, over numbers with gaps and over categories with gaps."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"number": rng.normal(size=250), "kind": rng.choice(["a", "b"], size=250)})
    y = np.where(X["kind"] == "a", X["number"] ** 2, X["number"])
    known = {"number": NUMBER, "kind": Column("categorical", 0, 2)}
    plainly = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    winner = make_pipeline(plainly, DecisionTreeRegressor(max_depth=4)).fit(X, y)
    seen = tested.Tested(winner, X, y, y, "y", 0)
    figure = columns.dependence(seen, ["number", "kind"], known)
    assert figure is not None
    for axes, name in zip(figure.axes, ("number", "kind"), strict=True):
        (mean,) = [line for line in axes.lines if line.get_linewidth() == 2.5]
        grid = ["a", "b"] if name == "kind" else mean.get_xdata()
        found = partial_dependence(winner, X, [name], custom_values={name: np.asarray(grid)},
                                   categorical_features=["kind"], kind="average")  # fmt: skip
        assert [*mean.get_ydata()] == pytest.approx([*found["average"][0]])
        assert axes.get_xlabel() == name


def test_missing_values_do_not_keep_a_dependence_from_being_drawn() -> None:
    """A model that takes them predicts with them in the other columns."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    X[rng.random(X.shape) < 0.2] = np.nan
    y = X["a"].fillna(5).to_numpy()
    winner = HistGradientBoostingRegressor(max_iter=5).fit(X, y)
    known = tested.Tested(winner, X, y, y, "y", 0)
    assert columns.dependence(known, ["a", "b"], dict.fromkeys(X, NUMBER)) is not None


def test_a_model_that_is_too_slow_has_no_importances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and repeats are fewer where predictions take long; where all would, it is left out."""
    known = made_up(500)
    monkeypatch.setattr(columns, "BUDGET_S", 0.0)
    found = columns.importance(known)
    assert found is not None
    assert found.n_rows == columns.LEAST_ROWS
    assert found.rises.shape[1] == columns.LEAST_REPEATS
    monkeypatch.setattr(columns, "MOST_S", 0.0)
    assert columns.importance(known) is None


def test_mean_errors_are_those_of_pandas() -> None:
    """Of a column with as many rows of each value, the line is the mean error of each value."""
    years = np.repeat(np.arange(2000.0, 2010.0), 50)
    rng = np.random.default_rng(0)
    y = rng.normal(size=500) + years - 2000
    known = tested.Tested(DummyRegressor(), pd.DataFrame({"year": years}), y, 0 * y, "y", 0)
    figure = tested.residuals(known, years, "year")
    (line,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    means = pd.Series(y).groupby(years).mean()
    assert [*line.get_xdata()] == [*means.index]
    assert [*line.get_ydata()] == pytest.approx([*means])


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60), st.booleans())
@settings(max_examples=15)
def test_residuals_are_drawn_over_any_column(values: list[float | None], as_time: bool) -> None:
    """Missing values, one value only, few rows or times: there is a picture."""
    by: Any = np.array([np.nan if value is None else value for value in values])
    if as_time:
        by = pd.to_datetime(pd.Series(by), unit="s").to_numpy()
    y = np.arange(len(values), dtype=float)
    known = tested.Tested(None, pd.DataFrame(index=range(len(y))), y, y[::-1].copy(), "y", 0)
    assert tested.residuals(known, by, "x").axes[0].get_xlabel() == "x"


def test_the_history_shows_all_trials_also_those_far_above() -> None:
    """A trial with a thousand times the error of the others is there, at the picture's edge."""
    trials = [trial(n, 1 + n / 10, "pruned" if n % 3 else "complete") for n in range(20)]
    trials.append(trial(20, 1e6))
    axes = search.history(trials, 2).axes[0]
    dots = [line for line in axes.lines if line.get_linestyle() == "None"]
    shown = sorted(int(x) for line in dots if line.get_marker() in "o^" for x in line.get_xdata())
    assert shown == [*range(21)]
    assert axes.get_ylim()[1] < 10
    (best,) = [line for line in axes.lines if line.get_label() == "best so far"]
    complete = [t.scores["val_mse"] for t in trials if t.state == "complete"]
    assert [*best.get_ydata()][:-1] == [*np.minimum.accumulate(complete)]


SPACE: dict[str, Any] = {
    "rate": FloatParam(type="float", low=1e-4, high=1.0, log=True),
    "depth": IntParam(type="int", low=2, high=10),
    "kind": CategoricalParam(type="categorical", choices=["a", None, True]),
}


def test_a_line_of_the_parallel_picture_is_a_trial() -> None:
    """Ends and middle of each range are where they are, logarithms of logarithmic ones."""
    trials = [
        trial(0, 1.0, rate=1e-4, depth=2, kind="a"),
        trial(1, 2.0, rate=1e-2, depth=6, kind=None),
        trial(2, 3.0, depth=10, kind=True),
    ]
    axes = parameters.parallel(trials, SPACE).axes[0]
    lines = axes.collections[0].get_segments()
    heights = {tuple(np.round(line[:-1, 1], 6)) for line in lines}
    assert heights == {(0, 0, 0), (0.5, 0.5, 0.5), (parameters.ABSENT, 1, 1)}
    assert [label.get_text() for label in axes.get_xticklabels()] == [*SPACE, "validation MSE"]


def test_slices_have_every_trial_that_has_the_parameter() -> None:
    """Each small picture holds the values and errors of those trials, on the parameter's scale."""
    trials = [trial(n, 1 + n % 4, rate=10.0 ** -(n % 4), depth=2 + n, kind="a") for n in range(8)]
    trials[3] = trial(3, 2.0, "pruned", depth=5, kind=None)
    figure = parameters.slices(trials, SPACE)
    seen = {axes.get_xlabel(): axes for axes in figure.axes if axes.get_visible()}
    assert [*seen] == [*SPACE]
    for name, axes in seen.items():
        dots = [line for line in axes.lines if line.get_marker() in "o^"]
        n_with_it = sum(name in t.params for t in trials)
        assert sum(len(line.get_xdata()) for line in dots) == n_with_it
    assert seen["rate"].get_xscale() == "log"
    assert [label.get_text() for label in seen["kind"].get_xticklabels()] == ["a", "None", "True"]


def test_learning_curves_have_the_best_on_top() -> None:
    """Both curves of the best trial and all others are there; its best step is marked."""
    others = {n: {1.0: 9.0 - n, 2.0: 8.0 - n} for n in range(3)}
    known = curves.Curves(others, {1.0: 5.0, 2.0: 2.0}, {1.0: 6.0, 2.0: 4.0}, 2.0, "trees")
    axes = curves.learning_curves(known).axes[0]
    assert len(axes.collections[0].get_segments()) == 3
    drawn = {line.get_label(): line for line in axes.lines}
    assert [*drawn["best trial, training"].get_ydata()] == [5.0, 2.0]
    assert [*drawn["best trial, validation"].get_ydata()] == [6.0, 4.0]
    assert drawn["best trial, validation"].get_zorder() >= axes.collections[0].get_zorder()
    low, high = axes.get_ylim()
    assert low < 2.0
    assert high > 6.0


@given(st.text(st.characters(max_codepoint=0x17F), max_size=60))
@settings(max_examples=12)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_any_text_can_stand_beside_an_axis(text: str) -> None:
    """Formulas, line breaks and letters of many languages neither fail nor become long."""
    figure = paper.figure(2, 1)
    axes = figure.add_subplot()
    axes.set_xlabel(shown := paper.plain(text))
    assert len(shown.replace(r"\$", "$")) <= paper.LONGEST
    drawn = Image.open(io.BytesIO(paper.png(figure)))
    assert drawn.size == (240, 120)


@given(st.lists(st.floats(0, 1e12), min_size=1))
def test_the_axis_of_errors_holds_the_least_and_most_of_the_others(values: list[float]) -> None:
    """Also where all are equal, or one is far from the rest."""
    low, high = paper.reach(values)
    assert low < min(values) < high or low <= min(values) < high
    assert np.mean(np.asarray(values) <= high) >= 0.6
