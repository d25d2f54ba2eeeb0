"""Linear models fitted on condensed rows, against scikit-learn's own fit on all of them."""

import gc
import re
import warnings
import weakref
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, Lasso, Ridge

from popsearch.family import ModelConfig
from popsearch.models import Rows, estimator, linear
from popsearch.models.linear import LeastSquares
from popsearch.models.once import FittedOnce
from popsearch.plan import prepare
from scripted import train

FRACTIONS = [0.25, 1.0]
ALPHAS = [1e-4, 1e-2, 1.0, 1e3]


def family(name: str, fractions: list[float] = FRACTIONS, **fixed: Any) -> ModelConfig:
    """Give a family of one linear estimator with these fixed values."""
    steps: Any = {"kind": "rows", "fractions": fractions}
    return ModelConfig(
        name="linear",
        estimator=f"sklearn.linear_model.{name}",
        training="popsearch.models.linear.LeastSquares",
        steps=steps,
        scaler="none",
        fixed=fixed,
    )


def table(
    n_train: int, kinds: list[str], seed: int = 0, noise: float = 1.0, n_val: int = 20
) -> Rows:
    """Give random rows whose columns are of these kinds."""
    rng = np.random.default_rng(seed)
    n = n_train + n_val
    columns: list[Any] = []
    for kind in kinds:
        column = rng.normal(size=n)
        if kind == "constant":
            column = np.full(n, 0.1)
        elif kind == "zero":
            column = np.zeros(n)
        elif kind == "copy" and columns:
            column = columns[-1]
        elif kind == "binary":
            column = (column > 1).astype(float)
        elif kind == "far":
            column = 2000 + 10 * column
        columns.append(column)
    X = np.column_stack(columns)
    y = 5 + X @ rng.normal(size=len(kinds)) + noise * rng.normal(size=n)
    return Rows(X[:n_train], y[:n_train], X[n_train:], y[n_train:])


def plain(model: ModelConfig, rows: Rows, n: int) -> Any:
    """Give what the estimator's own fit on the first n rows gives."""
    return estimator.build(model, {}).fit(rows.X_train[:n], rows.y_train[:n])


def texts(action: Any) -> tuple[Any, list[str]]:
    """Give what comes of an action, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = action()
    return result, [str(warning.message) for warning in caught]


@st.composite
def families(draw: Any) -> ModelConfig:
    """Any of the three estimators, with settings that a user may give."""
    name = draw(st.sampled_from(["Ridge", "Lasso", "ElasticNet"]))
    fixed = {
        "alpha": draw(st.sampled_from(ALPHAS)),
        "fit_intercept": draw(st.booleans()),
    }
    if name == "Ridge":
        fixed["solver"] = draw(st.sampled_from(["auto", "svd", "cholesky"]))
    else:
        fixed["precompute"] = draw(st.booleans())
        fixed["positive"] = draw(st.booleans())
        fixed["selection"] = draw(st.sampled_from(["cyclic", "random"]))
        fixed["random_state"] = 0
    if name == "ElasticNet":
        fixed["l1_ratio"] = draw(st.sampled_from([0.01, 0.5, 1.0]))
    return family(name, **fixed)


@settings(max_examples=300)
@given(
    model=families(),
    n=st.integers(2, 60),
    kinds=st.lists(
        st.sampled_from(["normal", "binary", "far", "constant", "zero", "copy"]),
        min_size=1,
        max_size=12,
    ),
    seed=st.integers(0, 2**32 - 1),
    noise=st.sampled_from([0.0, 1.0]),
)
def test_it_is_the_library_s_own_fit(
    model: ModelConfig, n: int, kinds: list[str], seed: int, noise: float
) -> None:
    """On any small table every step's model is the plain fit: values, attributes and warnings."""
    rows = table(n, kinds, seed, noise)
    training = LeastSquares(model, [{}], rows)
    for step, resource in enumerate(training.resources):
        _, ours_told = texts(training.advance)
        theirs, theirs_told = texts(lambda n=resource: plain(model, rows, n))
        ours = training.model(0, step)
        assert type(ours) is type(theirs)
        assert ours.get_params() == theirs.get_params()
        assert vars(ours).keys() == vars(theirs).keys()
        scale = np.abs(theirs.coef_).max() + 1e-9
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-6 * scale)
        scale = np.abs(rows.y_val).max()
        np.testing.assert_allclose(
            ours.predict(rows.X_val), theirs.predict(rows.X_val), rtol=1e-6, atol=1e-6 * scale
        )
        assert len(ours_told) == len(theirs_told)


@pytest.mark.parametrize("alpha", [1e-6, 0.01, 0.3])
@pytest.mark.parametrize("name", ["Lasso", "ElasticNet"])
def test_descent_takes_the_library_s_steps(name: str, alpha: float) -> None:
    """Iterations and dual gap are those of the plain fit, at the library's loose tolerance."""
    rows = table(3000, ["normal", "binary", "far", "normal", "copy", "zero"])
    model = family(name, alpha=alpha)
    training = LeastSquares(model, [{}], rows)
    for step, resource in enumerate(training.resources):
        training.advance()
        ours, theirs = training.model(0, step), plain(model, rows, resource)
        assert ours.n_iter_ == theirs.n_iter_ > 1
        rounding = 1e-10 * rows.y_train.var()
        assert ours.dual_gap_ == pytest.approx(theirs.dual_gap_, rel=1e-9, abs=rounding)


@pytest.mark.parametrize("centred", [True, False])
def test_condensed_rows_have_the_gram_matrix_of_all(centred: bool) -> None:
    """As many rows as columns and target, over several blocks, with the sums of products of all."""
    rows = table(10_000, ["normal", "far", "binary", "copy", "zero"])
    X, y = rows.X_train, rows.y_train
    few = linear.condense(X, y, centred)
    assert few.X.shape == (6, 5)
    if centred:
        X, y = X - X.mean(axis=0), y - y.mean()
    np.testing.assert_allclose(few.X.T @ few.X, X.T @ X, rtol=1e-10, atol=1e-6)
    np.testing.assert_allclose(few.X.T @ few.y, X.T @ y, rtol=1e-10, atol=1e-6)
    assert few.y @ few.y == pytest.approx(y @ y, rel=1e-12)
    np.testing.assert_array_equal(few.X[:, 4], 0)


@pytest.mark.parametrize("estimator_class", [Ridge, Lasso, ElasticNet])
def test_later_trials_fit_on_few_rows(
    estimator_class: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are condensed once for each rung, whatever the number of trials."""
    condensed, fitted = [], []
    fit, condense = estimator_class.fit, linear.condense  # type: ignore[attr-defined]

    def heard_fit(self: Any, X: Any, y: Any) -> Any:
        fitted.append(len(y))
        return fit(self, X, y)

    def heard_condense(X: Any, y: Any, centred: bool) -> Any:
        condensed.append(len(y))
        return condense(X, y, centred)

    monkeypatch.setattr(estimator_class, "fit", heard_fit)
    monkeypatch.setattr(linear, "condense", heard_condense)
    rows, model = table(400, ["normal", "far", "binary"]), family(estimator_class.__name__)
    for alpha in ALPHAS:
        train(LeastSquares(model, [{"alpha": alpha}], rows), 1)
    assert condensed == [100, 400]
    assert fitted == [4] * 2 * len(ALPHAS)


@pytest.mark.parametrize("name", ["Ridge", "Lasso"])
def test_rows_stay_as_they_are(name: str) -> None:
    """With ``copy_X=False`` neither the rows nor what was condensed of them change."""
    rows, same = (table(200, ["normal", "far"]) for _ in range(2))
    model = family(name, copy_X=False)
    training = LeastSquares(model, [{}], rows)
    train(training, 1)
    np.testing.assert_array_equal(rows.X_train, same.X_train)
    (again,) = train(LeastSquares(model, [{}], rows), 1)
    (first,) = train(LeastSquares(model, [{}], same), 1)
    assert again.curve == first.curve
    assert training.model(0, 1).get_params()["copy_X"] is False


def test_trials_do_not_depend_on_those_before() -> None:
    """After others a trial's curve is the very one that it has as the first."""
    model, used = family("Lasso"), table(300, ["normal"] * 5)
    sets = [{"alpha": alpha, "fit_intercept": i} for alpha in ALPHAS for i in (True, False)]
    for params in sets:
        train(LeastSquares(model, [params], used), 1)
    for params in sets:
        fresh = table(300, ["normal"] * 5)
        (ours,) = train(LeastSquares(model, [params], used), 1)
        (first,) = train(LeastSquares(model, [params], fresh), 1)
        assert ours.curve == first.curve


def test_what_was_condensed_goes_with_the_rows() -> None:
    """Nothing is kept of rows that no study holds any more."""
    gc.collect()
    n_kept = len(linear._OF_ROWS)
    rows = table(300, ["normal"] * 3)
    train(LeastSquares(family("Ridge"), [{}], rows), 1)
    kept = [weakref.ref(few) for few in linear._OF_ROWS[rows].values()]
    assert len(kept) == 2
    del rows
    gc.collect()
    assert len(linear._OF_ROWS) == n_kept
    assert [few() for few in kept] == [None, None]


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("Ridge", {"solver": "sag", "random_state": 0}),
        ("Ridge", {"solver": "lsqr"}),
        ("Ridge", {"positive": True}),
        ("Ridge", {"alpha": 0.0}),
        ("Ridge", {"alpha": [0.5]}),
        ("LinearRegression", {}),
        ("HuberRegressor", {}),
        ("Lasso", {"selection": "random", "random_state": 0}),
        ("ElasticNet", {"alpha": 0.0}),
    ],
)
def test_what_the_gram_matrix_does_not_decide_is_fitted_on_all_rows(
    name: str, fixed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other solvers and estimators, and what is nearly singular, are bit by bit the plain fit."""
    rows = table(200, ["normal", "normal", "copy"])
    model = family(name).model_copy(update={"fixed": fixed})
    monkeypatch.setattr(linear, "_fit", lambda *_: pytest.fail("fitted on few rows"))
    ours, theirs = (way(model, [{}], rows) for way in (LeastSquares, FittedOnce))
    for step in range(2):
        assert ours.advance() == theirs.advance()
        np.testing.assert_array_equal(ours.model(0, step).coef_, theirs.model(0, step).coef_)


def test_missing_numbers_are_told_in_the_library_s_words() -> None:
    """A trial on rows with a missing number fails as the plain fit does."""
    rows = table(200, ["normal", "normal"])
    rows.X_train[150, 1] = np.nan
    training = LeastSquares(family("Ridge"), [{}], rows)
    training.advance()  # the first rung does not reach it
    with pytest.raises(ValueError, match="Input X contains NaN"):
        training.advance()


def test_not_converged_is_told_with_the_trial() -> None:
    """The library's warning stands in the trial's record, with the figures of the plain fit."""
    rows, model = table(2000, ["normal"] * 6), family("Lasso", [1.0], alpha=1e-4, max_iter=1)
    (outcome,) = train(LeastSquares(model, [{}], rows), 1)
    (ours,) = outcome.warnings
    _, (theirs,) = texts(lambda: plain(model, rows, 2000))
    figure = re.compile(r"\d\.\d+e[-+]\d+")
    assert figure.sub("", ours) == figure.sub("", theirs)
    numbers = [[float(text) for text in figure.findall(told)] for told in (ours, theirs)]
    assert len(numbers[0]) == 2
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-5)


@pytest.mark.parametrize("name", ["ridge", "lasso", "elastic_net"])
@pytest.mark.parametrize("split", ["holdout", "kfold"])
def test_curves_are_those_of_plain_fits(name: str, split: str, compose: Any) -> None:
    """Every fold has its own condensed rows: all errors are those of fits on all of its rows."""
    plan = prepare(compose(f"model={name}", "data.rows=600", f"split={split}"))
    assert plan.way is LeastSquares
    for params in [*plan.space.known_good, {"alpha": 1e-3}]:
        (ours,) = train(plan.training([params]), 1)
        (theirs,) = train(replace(plan, way=FittedOnce).training([params]), 1)
        assert len(ours.curve) == plan.n_steps
        np.testing.assert_allclose(
            [astuple(point) for point in ours.curve],
            [astuple(point) for point in theirs.curve],
            rtol=1e-9,
        )
