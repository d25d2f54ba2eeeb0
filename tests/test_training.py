"""The training contract, held by every family of conf/model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.metrics import mean_absolute_error, mean_squared_error

from popsearch import trial
from popsearch.config import Config
from popsearch.family import StageSteps
from popsearch.models import Rows, estimator
from popsearch.outcome import Outcome
from popsearch.plan import Plan, prepare
from popsearch.space import Params

FAMILIES = sorted(
    file.stem for file in (Path(__file__).parent.parent / "conf/model").glob("*.yaml")
)


@pytest.fixture(params=FAMILIES)
def plan(request: Any, compose: Any) -> Plan:
    """One family on a small demo table, with few stages where it has stages."""
    overrides = [f"model={request.param}", "data.rows=1500"]
    cfg: Config = compose(*overrides)
    if isinstance(cfg.model.steps, StageSteps):
        cfg = compose(*overrides, "model.steps.budget=35", "model.steps.every=10")
    return prepare(cfg)


def train(plan: Plan, params: Params) -> tuple[Any, Outcome]:
    """Train one set of parameters to its last step."""
    training, outcomes = plan.training([params]), list[Outcome]()
    trial.Steps(training, 1, lambda _, outcome: False, lambda _, o: outcomes.append(o), None).run()
    (outcome,) = outcomes
    return training, outcome


def keeps_all_steps(plan: Plan) -> bool:
    """Whether the model of every step is there, or only that of the best."""
    return plan.cfg.model.steps.kind != "epochs"


def close(plan: Plan) -> float:
    """How near two figures must be: networks have 32 bits, and CatBoost has its targets so."""
    if plan.cfg.model.name == "catboost":
        return 1e-6
    return 1e-9 if keeps_all_steps(plan) else 2e-4


def plain_fit(plan: Plan, params: Params, resource: int, rows: Rows) -> Any:
    """What the estimator's own fit gives, with nothing of the search in between."""
    steps = plan.cfg.model.steps
    more: dict[str, Any] = {steps.param: resource} if isinstance(steps, StageSteps) else {}
    if steps.kind == "epochs":  # the schedule is that of the whole budget
        more |= {"horizon": steps.budget}
    if "HistGradientBoosting" in plan.cfg.model.estimator:
        more |= {"early_stopping": False}  # else it may take fewer stages than it is given
    return estimator.build(plan.cfg.model, params, **more).fit(rows.X_train, rows.y_train)


def test_all_known_good_sets_are_in_the_space(plan: Plan) -> None:
    """The shipped sets fit the shipped space: none is left out."""
    assert plan.space.left_out == ()
    assert len(plan.space.known_good) == len(plan.cfg.model.known_good) > 0


def test_resources_rise_to_the_budget(plan: Plan) -> None:
    """Steps use more and more of the resource, and the last one all of it."""
    training = plan.training([plan.space.known_good[0]])
    resources = list(training.resources)
    assert resources == sorted(set(resources))
    assert len(resources) == plan.n_steps
    steps = plan.cfg.model.steps
    budget = steps.budget if isinstance(steps, StageSteps) else len(plan.rows.y_train)
    assert resources[-1] == budget


def test_known_good_sets_train(plan: Plan) -> None:
    """Each set that is tried first trains to its end; the best beats the mean predictor."""
    outcomes = [train(plan, params)[1] for params in plan.space.known_good]
    assert [o.state for o in outcomes] == ["complete"] * len(outcomes)
    assert min(o.best.val_mse for o in outcomes if o.best) < plan.val_variance


def test_scores_are_those_of_the_model(plan: Plan) -> None:
    """At every step the scores are scikit-learn's metrics of the model of that step."""
    training, outcome = train(plan, plan.space.known_good[-1])
    rows = plan.rows
    for step, point in enumerate(outcome.curve):
        if not keeps_all_steps(plan) and step != outcome.best_step - 1:
            continue
        model = training.model(0, step)
        val = model.predict(rows.X_val)
        assert point.val_mse == pytest.approx(mean_squared_error(rows.y_val, val), rel=close(plan))
        assert point.val_mae == pytest.approx(mean_absolute_error(rows.y_val, val), rel=close(plan))
        seen = len(rows.y_train) if training.keeps_best else point.resource
        train_prediction = model.predict(rows.X_train[:seen])
        expected = mean_squared_error(rows.y_train[:seen], train_prediction)
        assert point.train_mse == pytest.approx(expected, rel=close(plan))
        expected = mean_absolute_error(rows.y_train[:seen], train_prediction)
        assert point.train_mae == pytest.approx(expected, rel=close(plan))


def test_steps_change_nothing(plan: Plan) -> None:
    """The last step's model predicts what one plain fit predicts; a network's that of its best."""
    params = plan.space.known_good[-1]
    training, outcome = train(plan, params)
    step = len(outcome.curve) if keeps_all_steps(plan) else outcome.best_step
    plain = plain_fit(plan, params, outcome.curve[step - 1].resource, plan.rows)
    ours = training.model(0, step - 1).predict(plan.rows.X_val)
    np.testing.assert_allclose(ours, plain.predict(plan.rows.X_val), rtol=close(plan))


def test_refit_is_a_plain_fit_of_the_best_step(plan: Plan) -> None:
    """Refitting gives an ordinary estimator with the resource of the best step."""
    params, rows = plan.space.known_good[-1], plan.rows
    resource = list(plan.training([params]).resources)[-2]
    model = plan.way.refit(plan.cfg.model, params, resource, rows.X_train, rows.y_train)
    is_other = plan.cfg.model.name == "catboost"  # which is none, but has all that one has
    assert isinstance(model, BaseEstimator) or is_other
    assert type(model).__name__ == plan.cfg.model.estimator.rpartition(".")[2]
    plain = plain_fit(plan, params, resource, rows)
    ours, theirs = model.predict(rows.X_val), plain.predict(rows.X_val)
    np.testing.assert_allclose(ours, theirs, rtol=close(plan))


def test_histogram_boosting_takes_all_stages_of_many_rows(compose: Any) -> None:
    """Above 10,000 rows, where the library would stop early, a refit takes what was best."""
    plan = prepare(compose("model=hist_gbr", "data.rows=23000", "model.steps.budget=60"))
    params, rows = {**plan.space.known_good[0], "learning_rate": 0.5}, plan.rows
    assert len(rows.y_train) > 10_000
    model = plan.way.refit(plan.cfg.model, params, 60, rows.X_train, rows.y_train)
    assert model.n_iter_ == 60
    training, _ = train(plan, params)
    ours = training.model(0, 5).predict(rows.X_val)
    np.testing.assert_allclose(ours, model.predict(rows.X_val), rtol=1e-9)


def test_a_dropped_member_keeps_its_steps(plan: Plan) -> None:
    """After a drop the models of the steps so far are there, and the fit has ended."""
    params = plan.space.known_good[-1]
    _, whole = train(plan, params)
    training = plan.training([params])
    scores = [training.advance(), training.advance()]
    training.drop([0])
    training.drop([0])  # twice is once
    best = int(np.argmin([s.val_mse[0] for s in scores]))
    step = 1 if keeps_all_steps(plan) else best
    model = training.model(0, step)
    expected = mean_squared_error(plan.rows.y_val, model.predict(plan.rows.X_val))
    assert scores[step].val_mse[0] == pytest.approx(expected, rel=close(plan))
    assert scores[1].val_mse[0] == pytest.approx(whole.curve[1].val_mse, rel=close(plan))


def test_training_repeats(plan: Plan) -> None:
    """The same parameters and seed give the same curve."""
    params = plan.space.known_good[0]
    assert train(plan, params)[1].curve == train(plan, params)[1].curve


def test_rungs_only_where_something_can_be_pruned(compose: Any) -> None:
    """With pruning off a model that is fitted once is fitted once."""
    plan = prepare(compose("model=ridge", "data.rows=1500", "pruner=none"))
    assert list(plan.training([{"alpha": 1.0}]).resources) == [len(plan.rows.y_train)]


def test_linear_features_are_scaled_on_training_rows(compose: Any) -> None:
    """Linear families see 0..1 in the training rows, others see the values as they are."""
    scaled = prepare(compose("model=ridge", "data.rows=1500")).rows
    assert scaled.X_train.min(axis=0) == pytest.approx(np.zeros(13))
    assert scaled.X_train.max(axis=0) == pytest.approx(np.ones(13))
    plain = prepare(compose("model=gbr", "data.rows=1500"))
    train_rows = plan_values(plain, plain.split.folds[0].train)
    np.testing.assert_array_equal(plain.rows.X_train, train_rows)


def plan_values(plan: Plan, rows: Any) -> Any:
    """The table's own values of these rows."""
    return plan.table.X[plan.cfg.features.columns].to_numpy()[rows]
