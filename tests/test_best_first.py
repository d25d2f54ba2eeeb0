"""Trials that are begun together, the most promising always going on first."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st

from popsearch import best_first, space, trial
from popsearch.config import Config
from popsearch.outcome import Outcome
from popsearch.plan import Plan, prepare
from popsearch.study import Study
from scripted import Scripted, train
from test_population import Listener, Trainer, search
from test_training import FAMILIES

FIRST, BUDGET = 4, 30

errors = st.lists(st.floats(0, 100), min_size=1, max_size=12)


def geometric(end: float, height: float, share: float) -> list[float]:
    """Give a curve whose falls shrink by the same share, and which comes to this end."""
    falls = [share**i for i in range(BUDGET)]
    scale = height / sum(falls)
    done = [sum(falls[: i + 1]) for i in range(BUDGET)]
    return [end + height - scale * part for part in done]


def run(
    curves: Sequence[Sequence[float]], worse_than_best: bool = False
) -> tuple[list[int], list[Outcome]]:
    """Run scripted trials; gives the order in which they ended, and how each went.

    Parameters
    ----------
    worse_than_best
        Whether a trial is pruned as soon as a better one is at its end.
    """
    order: list[int] = []
    ended: dict[int, Outcome] = {}

    def begin(place: int, curve: Sequence[float]) -> trial.Steps:
        def watch(_: int, outcome: Outcome) -> bool:
            complete = [o.curve[-1].val_mse for o in ended.values() if o.state == "complete"]
            is_last = len(outcome.curve) == len(curve)
            return (
                worse_than_best
                and not is_last
                and outcome.curve[-1].val_mse > min(complete, default=math.inf)
            )

        def hear(_: int, outcome: Outcome) -> None:
            assert place not in ended
            ended[place] = outcome
            order.append(place)

        return trial.Steps(Scripted([[value] for value in curve]), 1, watch, hear, None)

    runners = (begin(place, curve) for place, curve in enumerate(curves))
    best_first.run(runners, FIRST, BUDGET, lambda _, steps: steps.take())
    return order, [ended[place] for place in range(len(curves))]


@given(st.lists(errors, min_size=1, max_size=6))
def test_each_trial_comes_to_what_it_comes_to_alone(curves: list[list[float]]) -> None:
    """Beside others a trial takes the steps and has the scores that it has by itself."""
    order, outcomes = run(curves)
    assert sorted(order) == [*range(len(curves))]
    for curve, outcome in zip(curves, outcomes, strict=True):
        (alone,) = train(Scripted([[value] for value in curve]), 1)
        assert (outcome.state, outcome.curve) == (alone.state, alone.curve)
        assert outcome.best_step == alone.best_step


@given(st.permutations(range(6)), st.floats(0.5, 0.95))
def test_what_promises_most_ends_first(ends: list[int], share: float) -> None:
    """Curves whose falls shrink evenly are drawn on exactly: they end from the lowest up."""
    order, _ = run([geometric(10.0 + end, 20.0, share) for end in ends])
    assert [ends[place] for place in order] == sorted(ends)


def test_only_the_best_is_trained_to_its_end() -> None:
    """Of ten trials, worst first, a pruner lets one end; one after another all ten would."""
    curves = [geometric(60.0 - 4 * i, 5.0, 0.8) for i in range(10)]
    _, outcomes = run(curves, worse_than_best=True)
    assert [o.state for o in outcomes] == [*["pruned"] * 9, "complete"]
    assert all(len(o.curve) == FIRST + 1 for o in outcomes[:-1])


CONF = Path(__file__).parent.parent / "conf/model"
STAGED = [name for name in FAMILIES if "kind: stages" in (CONF / f"{name}.yaml").read_text()]


@pytest.fixture(params=STAGED)
def staged(request: Any, compose: Any) -> Plan:
    """A family that grows in stages, on few rows."""
    small = ["data.rows=1200", "model.steps.budget=40", "model.steps.every=10"]
    return prepare(compose(f"model={request.param}", *small))


def test_fits_that_wait_for_each_other_are_as_alone(staged: Plan) -> None:
    """Two fits of any family in turn have the curves of two fits in a row; settings stay."""
    drawn = [{**staged.space.known_good[0]}, {}] if staged.space.known_good else [{}, {}]
    alone: list[Outcome] = []
    for params in drawn:
        trial.Steps(
            staged.training([params]), 1, lambda *_: False, lambda _, o: alone.append(o), 2
        ).run()
    before, together = sklearn.get_config(), dict[int, Outcome]()
    runners = [
        trial.Steps(staged.training([params]), 1, lambda *_: False, lambda *_: None, 2)
        for params in drawn
    ]
    while any(runner.live for runner in runners):
        for place, runner in enumerate(runners):
            if runner.live:
                runner.take()
                together[place] = runner.outcomes[0]
                assert sklearn.get_config() == before
    assert [together[place].curve for place in range(2)] == [o.curve for o in alone]


def opened(cfg: Config) -> Study:
    """Open a study on nothing but its space."""
    searched, _ = space.read(cfg.model.space, [], {})
    return Study(cfg, "study", searched, 4)


def test_trials_are_begun_together_while_nothing_is_known(compose: Any, workdir: Path) -> None:
    """TPE's first ten are random whatever the others come to; the eleventh is not."""
    study = opened(compose("model=ridge", "tracking=none"))
    assert study.n_unguided(1) == 10
    assert study.n_unguided(2) == 5
    (asked,) = study.ask(1)
    assert study.n_unguided(1) == 9
    scores = {"val_mse": 1.0}
    study.tell(asked, "complete", scores)
    for other in study.ask(9):
        study.tell(other, "pruned", scores)
    assert study.n_unguided(1) <= 0


def test_random_trials_can_all_be_begun_together(compose: Any, workdir: Path) -> None:
    """What sampler=random proposes never depends on earlier trials."""
    study = opened(compose("model=ridge", "tracking=none", "sampler=random"))
    assert study.n_unguided(1) == math.inf


RIDGE = ("model=ridge", "storage=sqlite", "tracking=none", "model.known_good=[]")


def flat(alpha: float) -> list[float]:
    """Give a curve that does not fall."""
    return [alpha] * 4


def test_a_batch_is_as_large_as_what_is_random(compose: Any, workdir: Path) -> None:
    """Of 13 trials ten start before the first ends; the last three one by one."""
    listener = Listener()
    cfg = compose(*RIDGE, "sampler=tpe")
    assert search(cfg, Trainer(1, flat, most_begun=10), 13, listener) == "n_trials"
    events = [event[0] for event in listener.heard if event[0] != "step"]
    assert events == [*["started"] * 10, *["ended"] * 10, *["started", "ended"] * 3]


def test_a_search_of_few_trials_begins_no_more(compose: Any, workdir: Path) -> None:
    """Where three trials are wanted, three are begun."""
    trainer = Trainer(1, flat, most_begun=10)
    assert search(compose(*RIDGE), trainer, 3) == "n_trials"
    assert len(trainer.trained) == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=gbr"], 10),
        (["model=gbr", "pruner=none"], 1),
        (["model=gbr", "pruner=median"], 1),
        (["model=gbr", "split=kfold"], 1),
        (["model=gbr", "objectives=[val_mse,predict_s]"], 1),
        (["model=gbr", "pruner.n_begun=3"], 3),
        (["model=ridge"], 1),
    ],
)
def test_only_curves_of_stages_are_compared_by_their_promise(
    words: list[str], expected: int, compose: Any
) -> None:
    """Rungs of rows, folds, other pruners and two objectives promise nothing."""
    assert prepare(compose(*words, "data.rows=1000")).most_begun == expected


def test_what_waits_must_fit_into_memory(compose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of trials that take 40 % of the free memory one is begun, of those of 20 % two."""
    plan = prepare(compose("model=gbr", "data.rows=1000"))
    x_mib = plan.rows.X_train.nbytes / 2**20
    for share, expected in ((0.4, 1), (0.2, 2)):
        free = 100 * x_mib
        needed = (share * free - x_mib, free)
        monkeypatch.setattr(plan.way, "memory_mib", lambda *_, found=needed: found)
        vars(plan).pop("most_begun", None)
        assert plan.most_begun == expected
