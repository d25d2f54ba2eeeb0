"""The schema: what every file of conf/ gives, what does not hold, and how it is told."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsearch import check, command, plan
from popsearch.config import Config, parse, read
from popsearch.errors import ConfigError
from popsearch.faults import hide_secrets
from popsearch.usage import CONF, GROUPS

Compose = Callable[..., Config]

FILES = sorted(f"{f.parent.name}={f.stem}" for f in CONF.glob("*/*.yaml"))


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    """Give the plain values of a configuration that holds: gradient boosting on demo data."""
    (job,) = command.jobs(["model=gbr"])
    return Config(**job.sections).model_dump()


def test_every_folder_of_the_configuration_is_a_known_group() -> None:
    """The groups that help and messages go through are the folders of conf/."""
    assert {folder.name for folder in CONF.iterdir() if folder.is_dir()} == set(GROUPS)


@pytest.mark.parametrize("choice", FILES)
def test_every_file_of_the_configuration_composes_and_holds(
    choice: str, compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each choice of each group gives a configuration whose section bears its name."""
    monkeypatch.setenv("POPSEARCH_STORAGE_URL", "postgresql://host/database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")  # no server has a default
    cfg = compose(choice)
    group, _, name = choice.partition("=")
    if group == "data":
        assert cfg.data.source == name
    elif group != "experiment":
        assert getattr(cfg, group).name == name


@pytest.mark.parametrize("choice", [f for f in FILES if f.startswith("model=")])
def test_every_family_can_be_planned(choice: str, compose: Compose, workdir: Path) -> None:
    """Estimator, training, steps and space of each family fit together; recipes run elsewhere."""
    for module in ("tensorflow", "keras", "torch"):
        if module in (CONF / choice.replace("=", "/")).with_suffix(".yaml").read_text():
            pytest.importorskip(module)
    assert check.faults(dict(compose(choice))) == []
    made = plan.prepare(compose(choice, "data=demo", "data.rows=500"))
    assert made.study_name.startswith(f"demo-{made.cfg.model.name}-")
    assert made.n_steps >= 1
    assert not list(workdir.iterdir())


def change(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Give a copy with one value changed or added; ``...`` removes it."""
    changed = copy.deepcopy(values)
    *path, last = key.split(".")
    here = changed
    for part in path:
        here = here[part]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return changed


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("n_trials", 0, "n_trials must be at least 1, but got 0"),
        ("n_trials", "3", "n_trials must be a whole number, but got '3'"),
        ("n_trials", 2.5, "n_trials must be a whole number, but got 2.5"),
        ("n_trials", True, "n_trials must be a whole number, but got True"),
        ("n_trials", None, "n_trials must be a whole number, but got null"),
        ("n_trials", ..., "n_trials is required; give n_trials=..."),
        ("n_trails", 3, "n_trails is not a setting; did you mean n_trials?"),
        ("timeout", 0, "timeout must be above 0, but got 0"),
        ("timeout", float("nan"), "timeout must be a finite number, but got nan"),
        ("seed", -1, "seed must be at least 0, but got -1"),
        ("seed", 2**32, "seed must be below 4294967296, but got 4294967296"),
        ("split.val_size", 1.2, "split.val_size must be below 1, but got 1.2"),
        ("split", 3, "split must be a group of settings, {NAME: VALUE, ...}, but got 3"),
        ("data", 3, "data must be a group of settings, {NAME: VALUE, ...}, but got 3"),
        ("data.rows", 3, "data.rows must be at least 100, but got 3"),
        ("data.source", "trakcs", "data.source cannot be 'trakcs'; did you mean tracks?"),
        ("data.source", ..., "data.source is required; give data.source=..."),
        ("data.name", "o'brien", 'data.name must be of the form ^[\\w.-]+$, but got "o\'brien"'),
        ("data.name", "x`; --", "data.name must be of the form"),
        ("data.name", "demo\n", "data.name must be of the form"),
        ("model.name", "o'brien", "model.name must be of the form ^\\w+$"),
        ("model.name", "a-b", "model.name must be of the form ^\\w+$"),
        ("model.name", "", "model.name must be of the form ^\\w+$"),
        ("model.scaler", "std", "model.scaler must be 'none', 'minmax', 'standard' or"),
        ("model.steps.evry", 3, "model.steps.evry is not a setting; did you mean every?"),
        ("model.steps.every", 0, "model.steps.every must be at least 1, but got 0"),
        ("model.steps.kind", "stage", "model.steps.kind cannot be 'stage'; did you mean stages?"),
        ("model.steps.patience", ..., "model.steps.patience is required"),
        (
            "model.steps",
            {"kind": "rows", "fractions": [0.5, 0.2, 1.0]},
            "model.steps: fractions must rise and end with 1, but got [0.5, 0.2, 1.0]",
        ),
        ("model.fixed.x", {}, "model.fixed.x: must be a single value: a number, text, true,"),
        ("model.fixed.x", [[1]], "model.fixed.x: must be a single value: a number, text, true,"),
        ("model.space", [], "model.space must be a group of settings, {NAME: VALUE, ...}"),
        ("model.space.max_depth.low", 9, "model.space.max_depth: low must not be above high"),
        ("model.space.max_depth.low", 1.5, "model.space.max_depth.low must be a whole number"),
        ("model.space.max_depth.hihg", 3, "hihg is not a setting; did you mean high?"),
        ("model.space.max_depth.high", ..., "model.space.max_depth.high is required"),
        ("model.space.max_depth.step", 0, "model.space.max_depth: step must be above 0"),
        ("model.space.max_depth.type", "integer", "model.space.max_depth.type cannot be 'integer'"),
        ("model.space.learning_rate.low", 0.0, "low must be above 0 where log is true, but got"),
        ("model.space.learning_rate.step", 0.1, "step cannot be combined with log"),
        ("model.space.loss.choices", [], "model.space.loss.choices must have at least 1 entry"),
        ("model.space.loss.choices", [1, True], "choices must differ from one another"),
        ("model.space.alpha.when", "loss", "model.space.alpha.when must be a group of settings"),
        ("model.known_good", {}, "model.known_good must be a list, but got {}"),
        ("features.columns", [], "features.columns must have at least 1 entry, but has none"),
        ("features.columns", ["year", True], "features.columns.1 must be text, but got True"),
        ("sampler.name", "tpee", "sampler.name cannot be 'tpee'; did you mean tpe?"),
        ("pruner.warmup", 1.5, "pruner.warmup must be at most 1, but got 1.5"),
        ("storage.url", "optuna.db", "storage.url: must be a file, as in sqlite:///optuna.db"),
        ("storage.url", "sqlite:///", "storage.url: must be a file, as in sqlite:///optuna.db"),
        ("tracking.uri", ..., "tracking.uri is required; give tracking.uri=..."),
    ],
)
def test_a_value_that_does_not_hold_is_one_line(
    good: dict[str, Any], key: str, value: Any, expected: str
) -> None:
    """The line says where, what must hold and what came; nothing else is told."""
    with pytest.raises(ConfigError) as caught:
        parse(change(good, key, value))
    (fault,) = caught.value.faults
    assert expected in fault
    assert "\n" not in fault


def test_sections_that_hold_are_given_beside_those_that_do_not(good: dict[str, Any]) -> None:
    """A fault in one section, or an unknown one, takes nothing from the others."""
    values = change(change(good, "data.rows", 3), "modle", {})
    sections, faults = read(values)
    assert set(faults) == {"data.rows", "modle"}
    whole = parse(good)
    assert sections == {name: part for name, part in whole if name != "data"}
    assert read(good) == (dict(whole), {})


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(data=st.data())
@settings(deadline=None)
def test_whatever_stands_in_a_configuration_it_holds_or_is_told(
    good: dict[str, Any], data: st.DataObject
) -> None:
    """Any value in any place gives a configuration or a ConfigError of whole single lines."""
    here, path = good, []
    while True:
        path.append(data.draw(st.sampled_from(sorted(here))))
        inner = here[path[-1]]
        if not isinstance(inner, dict) or not inner or data.draw(st.booleans()):
            break
        here = inner
    try:
        parse(change(good, ".".join(path), data.draw(JUNK)))
    except ConfigError as error:
        faults = error.faults
    else:
        return
    assert faults
    assert all(fault.startswith(path[0]) and "\n" not in fault for fault in faults)


@given(
    user=st.text("abcXYZ09_", min_size=1),
    password=st.text("SECRT!@:/?#%", min_size=4).map(lambda text: f"pw{text}wp"),
    scheme=st.sampled_from(["postgresql", "mysql+pymysql", "https"]),
)
def test_a_password_in_an_address_is_never_shown(user: str, password: str, scheme: str) -> None:
    """Whatever characters a password has, the text without it keeps scheme and host only."""
    shown = hide_secrets(f"storage.url={scheme}://{user}:{password}@host:5432/db")
    assert shown == f"storage.url={scheme}://***@host:5432/db"


def test_a_refused_address_is_told_without_its_password(good: dict[str, Any]) -> None:
    """The fault of a database address shows neither its user nor its password."""
    for key in ("storage.url", "split.val_size", "sampler"):
        with pytest.raises(ConfigError) as caught:
            parse(change(good, key, "postgresql://me:hunter2@host/db?token=hunter2"))
        assert "hunter2" not in str(caught.value)
        assert "host/db" in str(caught.value)
