"""The Optuna side: a study asked, told, closed and opened again."""

import functools
import itertools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

from popsearch import process
from popsearch.config import Config
from popsearch.plan import prepare
from popsearch.space import Params, contains
from popsearch.study import Asked, Study, connection, faults
from popsearch.study import study as study_module
from popsearch.tracking import Tracker
from popsearch.workers import local

CONF = Path(__file__).parent.parent / "conf"
SAMPLERS = sorted(file.stem for file in (CONF / "sampler").glob("*.yaml"))
PRUNERS = sorted(file.stem for file in (CONF / "pruner").glob("*.yaml"))
FAMILIES = sorted(file.stem for file in (CONF / "model").glob("*.yaml"))


def open_study(cfg: Config, name: str = "study") -> Study:
    """Open the study of a configuration, as a new process would."""
    plan = prepare(cfg)
    return Study(cfg, name, plan.space, plan.fidelities[-1])


def end(study: Study, asked: Asked, val_mse: float = 1.0) -> None:
    """Tell that a trial is complete."""
    study.tell(asked, "complete", {"val_mse": val_mse, "best_resource": 1, "best_step": 1})


def run(study: Study, n: int) -> list[Asked]:
    """Take n trials to their end, each with a score of its own."""
    trials = []
    for _ in range(n):
        (asked,) = study.ask()
        for step in range(1, 4):
            study.report(asked, step, 100.0 - asked.number + 1 / step)
        end(study, asked, 100.0 - asked.number)
        trials.append(asked)
    return trials


def key(asked: Asked) -> str:
    """Give a trial's point as one word."""
    return repr(sorted(asked.params.items()))


def test_a_float_of_a_known_good_set_is_a_float(compose: Any, workdir: Path) -> None:
    """A set that says 1 trains with what is stored: to scikit-learn max_features=1 is not 1.0."""
    words = ("data.rows=500", "tracking=none", "model.known_good=[{max_features:1}]")
    (asked,) = open_study(compose("model=gbr", *words)).ask()
    assert type(asked.params["max_features"]) is float


@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_works_with_every_pruner(
    sampler: str, pruner: str, compose: Any, workdir: Path
) -> None:
    """Asked, reported, told and continued: every sampler with every pruner."""
    pytest.importorskip("torch", reason="sampler=gp needs PyTorch") if sampler == "gp" else None
    cfg = compose("model=hist_gbr", "data.rows=500", f"sampler={sampler}", f"pruner={pruner}")
    first = run(open_study(cfg), 13)
    study = open_study(cfg)
    assert study.n_done() == 13
    second = run(study, 3)
    assert [a.number for a in first + second] == list(range(16))
    assert len({key(a) for a in first + second}) == 16
    best = study.best()
    assert best is not None
    assert best.number == 15


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_searched_by_every_sampler_and_every_pruner(
    family: str, compose: Any, workdir: Path
) -> None:
    """In short: each proposes within the family's bounds, and a weak trial may be stopped.

    Which pruner goes with which sampler changes from family to family.
    """
    pytest.importorskip("torch", reason="sampler=gp needs PyTorch")
    plan = prepare(compose(f"model={family}", "data.rows=500"))
    budget, n_trials = plan.fidelities[-1], 3 if family != "linear" else 1
    searched = replace(plan.space, known_good=())
    samplers = [compose(f"sampler={name}").sampler for name in SAMPLERS]
    pruners = [compose(f"pruner={name}").pruner for name in PRUNERS]
    turned = itertools.islice(itertools.cycle(pruners), FAMILIES.index(family), None)
    for sampler, pruner in zip(samplers, turned, strict=False):
        if faults(sampler, plan.space):
            continue
        cfg = plan.cfg.model_copy(update={"sampler": sampler, "pruner": pruner})
        study = Study(cfg, f"{sampler.name}-{pruner.name}", searched, budget)
        for i in range(n_trials):
            (asked,) = study.ask()
            assert list(asked.params) == list(searched.active(asked.params))
            for name, value in asked.params.items():
                assert contains(searched.params[name], value)
            stopped = [study.report(asked, fidelity, 5.0 + i) for fidelity in plan.fidelities[:3]]
            assert not (stopped[-1] and plan.fidelities[2] == budget)
            assert not (pruner.name == "none" and any(stopped))
            end(study, asked, 5.0 + i)
        assert study.n_done() == n_trials


def test_known_good_sets_come_first(compose: Any, workdir: Path) -> None:
    """The first trials are the family's known-good sets, in their order, once."""
    cfg = compose("model=ridge", "data.rows=500")
    assert [a.params for a in run(open_study(cfg), 2)] == [{"alpha": 1.0}, {"alpha": 5.0}]
    assert run(open_study(cfg), 1)[0].params not in ({"alpha": 1.0}, {"alpha": 5.0})


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes"])
def test_a_continued_study_proposes_new_points(sampler: str, compose: Any, workdir: Path) -> None:
    """However often it is continued, a study with the same seed repeats no point."""
    cfg = compose("model=ridge", "data.rows=500", f"sampler={sampler}")
    trials = [asked for _ in range(4) for asked in run(open_study(cfg), 4)]
    assert len({key(a) for a in trials}) == 16


def test_the_same_seed_gives_the_same_trials(compose: Any, workdir: Path) -> None:
    """With one worker, seed and history settle what is proposed; another seed differs."""
    cfg, other = (compose("model=hist_gbr", "data.rows=500", f"seed={s}") for s in (1, 2))
    a, b = (run(open_study(cfg, name), 14) for name in ("a", "b"))
    c = run(open_study(other, "c"), 14)
    assert [x.params for x in a] == [x.params for x in b]
    assert [x.params for x in a[1:]] != [x.params for x in c[1:]]


def test_a_grid_visits_every_point_once(compose: Any, workdir: Path) -> None:
    """A grid search ends when all combinations were visited, continued or not."""
    cfg = compose(
        "model=hist_gbr", "data.rows=500", "sampler=grid", "sampler.n_points=2",
        "~model.space.max_features", "~model.space.l2_regularization", "model.known_good=[]",
    )  # fmt: skip
    study = open_study(cfg)
    assert study.n_points() == 2**3
    trials = run(study, 3) + run(open_study(cfg), 5)
    assert len({key(a) for a in trials}) == 8


def test_a_twin_is_an_ended_trial_with_equal_parameters(compose: Any, workdir: Path) -> None:
    """Only a trial that ended, with exactly the same parameters, answers for another."""
    study = open_study(compose("model=ridge", "data.rows=500"))
    (first,) = study.ask()
    assert study.twin(first) is None
    end(study, first, 3.0)
    (second,) = study.ask()
    assert study.twin(second) is None
    again = Asked(second.id, second.number, dict(first.params))
    twin = study.twin(again)
    assert twin is not None
    assert (twin.number, twin.scores["val_mse"]) == (first.number, 3.0)


def test_an_interrupted_trial_is_asked_again(compose: Any, workdir: Path) -> None:
    """A trial given back does not count; its parameters are the next to be tried."""
    cfg = compose("model=ridge", "data.rows=500")
    study = open_study(cfg)
    run(study, 2)
    (asked,) = study.ask()
    study.give_back(asked, "stopped: Ctrl-C", died=False)
    assert study.n_done() == 2
    (again,) = open_study(cfg).ask()
    assert again.params == asked.params


def test_a_trial_of_a_live_process_is_left_alone(compose: Any, workdir: Path) -> None:
    """Another opening of the study does not touch trials whose process still runs."""
    cfg = compose("model=ridge", "data.rows=500")
    open_study(cfg).ask()
    assert open_study(cfg).left_behind() == []


def test_a_trial_of_a_dead_process_is_found(compose: Any, workdir: Path) -> None:
    """A running trial whose process is gone is found, given back once, and tried again."""
    cfg = compose("model=ridge", "data.rows=500")
    study = open_by_the_dead(cfg)
    (asked,) = study.ask()
    after = open_study(cfg)
    (left,) = after.left_behind()
    assert left.params == asked.params
    after.give_back(left, "its process died", died=True)
    assert after.left_behind() == []
    assert after.n_done() == 0
    assert [a.params for a in run(after, 3)].count(asked.params) == 1


def test_parameters_that_kill_are_given_up(compose: Any, workdir: Path) -> None:
    """Parameters that killed three processes count as failed and are not tried a fourth time."""
    cfg = compose("model=ridge", "data.rows=500")
    deadly, deaths = {"alpha": 1.0}, 0
    for _ in range(5):
        deaths += run_until(open_by_the_dead(cfg), deadly)
        after = open_study(cfg)
        for left in after.left_behind():
            after.give_back(left, "its process died", died=True)
    assert deaths == 3
    assert open_study(cfg).counts()["failed"] == 1


def run_until(study: Study, deadly: Params) -> bool:
    """End three trials, unless one of them has the deadly parameters: then die in it."""
    for _ in range(3):
        (asked,) = study.ask()
        if asked.params == deadly:
            return True
        end(study, asked)
    return False


def test_a_death_while_giving_back_queues_once(compose: Any, workdir: Path) -> None:
    """Killed at any write of giving back, the parameters are queued exactly once in the end."""
    cfg = compose("model=ridge", "data.rows=500")
    writes = ("set_trial_user_attr", "create_new_trial", "set_trial_state_values")
    for i, (write, after) in enumerate(itertools.product(writes, (False, True))):
        name = f"study{i}"
        study = open_by_the_dead(cfg, name)
        (asked,) = study.ask()
        with pytest.raises(RuntimeError, match="killed"):
            kill_at(open_study(cfg, name), write, after, asked)
        last = open_study(cfg, name)
        for left in last.left_behind():
            last.give_back(left, "its process died", died=True)
        trials = optuna.load_study(study_name=name, storage=cfg.storage.url).trials
        queued = [t for t in trials if t.user_attrs.get("retry_of") == asked.number]
        assert len(queued) == 1, (write, after)
        assert not [t for t in trials if t.state == optuna.trial.TrialState.RUNNING]


def kill_at(study: Study, write: str, after: bool, asked: Asked) -> None:
    """Give a trial back, dying before or after the first write of a kind."""
    inner = study._storage._inner
    real = getattr(inner, write)

    def dying(*args: Any, **kwargs: Any) -> None:
        if after:
            real(*args, **kwargs)
        raise RuntimeError("killed")

    setattr(inner, write, dying)
    study.give_back(asked, "its process died", died=True)


def open_by_the_dead(cfg: Config, name: str = "study") -> Study:
    """Open a study as a process that is gone by now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "identity", dead_process)
        return open_study(cfg, name)


def dead_process() -> str:
    """The identity of a process that is not running."""
    import socket

    pid = max(psutil.pids()) + 1000
    return f"{socket.gethostname()}/{pid}/0.00"


def test_reads_from_memory_are_what_the_database_holds(compose: Any, workdir: Path) -> None:
    """Every trial known from memory equals the one that a fresh reader finds in the file."""
    cfg = compose("model=hist_gbr", "data.rows=500")
    study = open_study(cfg)
    run(study, 5)
    (running,) = study.ask()
    study.report(running, 1, 5.0)
    study.write_curve(running)
    fresh = optuna.load_study(study_name="study", storage=cfg.storage.url).trials
    ours = study._storage.get_all_trials(study._study._study_id)
    assert len(fresh) == len(ours)
    for a, b in zip(fresh, ours, strict=True):
        for name in ("number", "state", "values", "params", "distributions", "user_attrs",
                     "system_attrs", "intermediate_values", "_trial_id"):  # fmt: skip
            assert getattr(a, name) == getattr(b, name), name
    assert ours[-1].number == running.number


def test_trials_of_other_processes_are_seen(compose: Any, workdir: Path) -> None:
    """Two openings of a study see each other's trials when they ask for the next."""
    cfg = compose("model=ridge", "data.rows=500")
    a, b = open_study(cfg), open_study(cfg)
    numbers = [run(s, 1)[0].number for s in (a, b, a, b)]
    assert numbers == [0, 1, 2, 3]
    a.ask()
    assert a.n_done() == 4


def test_a_file_that_was_left_by_another_computer(
    compose: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's name changes with every start; its trial is tried again after the grace.

    Before it is over, the trial counts as running, and no other begins in its place.
    """
    quick = functools.partial(connection.connect, heartbeat_s=1, grace_s=2)
    monkeypatch.setattr(study_module, "connect", quick)
    cfg = compose("model=ridge", "data.rows=400", "model.known_good=[]")
    space = prepare(cfg).space
    monkeypatch.setattr(process, "identity", lambda: "container-1/1/1.00")
    earlier = Study(cfg, "study", space, 1)
    (lost,) = earlier.ask()
    earlier.close()
    monkeypatch.setattr(process, "identity", lambda: "container-2/1/1.00")
    study = Study(cfg, "study", space, 1)
    assert study.left_behind() == []
    assert study.ask(n_trials=1) == []
    time.sleep(2.5)
    local.recover(study, Tracker())
    (again,) = study.ask(n_trials=1)
    assert again.params == lost.params
