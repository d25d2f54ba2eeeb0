"""What is typed: every fault told at once, in one line each, before anything is created."""

import importlib.util
import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from popsearch import __main__, command, provenance, usage
from popsearch.config import Config, MlflowTracking
from popsearch.plan import prepare
from programs import typed

FaultsOf = Callable[..., list[str]]

OWN_FAMILY = """\
# Elastic net, of my own
name: elastic
estimator: sklearn.linear_model.ElasticNet
training: popsearch.models.once.FittedOnce
steps: {kind: rows, fractions: [0.5, 1.0]}
scaler: minmax
space:
  alpha: {type: float, low: 0.001, high: 1.0, log: true}
  l1_ratio: {type: float, low: 0.0, high: 1.0}
"""

WIDTHS = (
    "model=mlp ~model.space.depth ~model.space.width ~model.space.taper "
    "model.fixed.hidden_layer_sizes"
)

BAD: list[tuple[str, list[str]]] = [
    # What Hydra cannot read.
    ("foo", ["'foo' must have the form KEY=VALUE, as in n_trials=50"]),
    ("--multirum", ["--multirum is not an option; see --help"]),
    ("model=[gbr", ["'model=[gbr' cannot be read: text with special characters needs quotes"]),
    ("data.target=a,b(c", ["needs quotes within quotes, as in 'data.target=\"a,b(c\"'"]),
    ("data.drop=[größe,b]", ['as in \'data.drop=["größe","b"]\'']),
    ("model=gbr -m seed=1", ["seed=1: options such as -m stand before or after all"]),
    ("-m seed=interval(0,1)", ["does not support sweep type"]),
    ("model=gbr,ridge", ["model=gbr,ridge: several values need -m (--multirun)"]),
    # Names that are not there.
    ("model=", ["model=: there is no such model; choose from: catboost, decision_tree, "]),
    ("model=null", ["model=null: must be one name; --help lists"]),
    ("model=rigde", ["model=rigde: there is no such model; did you mean ridge?"]),
    ("experiment=quikc", ["experiment=quikc: there is no such experiment; did you mean quick?"]),
    ("sampler=tpee pruner=medan", ["did you mean tpe?", "did you mean median?"]),
    ("tracking=mlfow", ["tracking=mlfow: there is no such tracking; did you mean mlflow?"]),
    ("n_trails=3", ["n_trails is not a setting; did you mean n_trials?"]),
    ("modle=gbr", ["modle is not a setting; did you mean model?"]),
    ("data.row=3", ["data.row is not a setting; did you mean rows?"]),
    ("model=gbr model.fixed.random_stat=3", ["model.fixed.random_stat is not a setting; did you"]),
    ("n_trials.foo=3", ["n_trials is a single value or a list and has no foo"]),
    ("hydra.foo=3", ["hydra.foo=3: Could not override 'hydra.foo'."]),
    # Plus signs and tildes.
    ("+n_trials=3", ["+n_trials=3: n_trials is there already; leave out the plus sign"]),
    ("~n_trials", ["n_trials is required; give n_trials=..."]),
    ("~timeout", ["~timeout: timeout cannot be removed; give it another value, timeout=..."]),
    ("~model", ["model is required; give model=..."]),
    # Files and folders.
    ("--config-dir nope", ["--config-dir nope: there is no such folder"]),
    ("--config-path /nope", ["--config-path /nope: there is no such folder"]),
    ("--config-name nope", ["--config-name: there is no nope.yaml"]),
    ("data=csv", ["data.path is required for data=csv", "data.target is required for data=csv"]),
    ("split=grouped", ["split.group_by is required for split=grouped: data=demo has no key"]),
    ("split=time split.order_by=yeer", ["split.order_by: yeer is not a column of data=demo"]),
    ("split=kfold split.n_splits=1", ["split.n_splits must be at least 2, but got 1"]),
    ("split=kfolds", ["split=kfolds: there is no such split; did you mean kfold?"]),
    ("data=tracks data.path=nope.csv", ["data.path=nope.csv: there is no such file"]),
    ("storage.url=sqlite:///nope/x.db", ["the folder nope does not exist; create it first"]),
    ("storage.url=sqlite:////", ["storage.url=sqlite:////: must be a file, but it is a folder"]),
    ("tracking.uri=mlruns", ["tracking.uri=mlruns: must be a database or a server"]),
    # Values.
    ("n_trials=abc", ["n_trials must be a whole number, but got 'abc'"]),
    ("n_trials=", ["n_trials must be a whole number, but got ''"]),
    ("++n_trials=0", ["n_trials must be at least 1, but got 0"]),
    ("seed=${nope}", ["seed=${nope}: Interpolation key 'nope' not found"]),
    ("split.test_size=0.99 data.rows=100", ["are left for training", "are left for validation"]),
    ("features.columns=[yeer,tempo,tempo]", ["yeer is not a column", "tempo is named more than"]),
    # Estimators and ways of training.
    (
        "model.estimator=sklearn.ensemble.GradientBoostingRegresor",
        ["sklearn.ensemble has no class GradientBoostingRegresor; did you mean GradientBoostingR"],
    ),
    ("model.estimator=Ridge", ["model.estimator=Ridge: must be MODULE.CLASS"]),
    ("model.estimator=sklearn.linear_modl.Ridge", ["sklearn.linear_modl; did you mean linear_mod"]),
    ("model.estimator=builtins.int", ["must be an estimator, but has no fit, predict, get_params"]),
    ("model.estimator=sklearn.svm.SVC", ["must be a regressor, but it is a classifier"]),
    ("model.estimator=sklearn.pipeline.Pipeline", ["cannot be made without arguments"]),
    ("model.training=popsearch.models.stages.Forrest", ["did you mean Forest?"]),
    ("model.training=popsearch.models.growing.Growing", ["name one of them"]),
    ("model.training=popsearch.models.Training", ["name one of them"]),
    ("model.training=popsearch.models.Rows", ["must be a way of training, but has no advance"]),
    (
        "model=gbr model.training=popsearch.models.once.FittedOnce",
        ["model.steps.kind must be rows for FittedOnce, but got stages"],
    ),
    (
        "model=ridge model.missing=pass",
        ["model.missing=pass: Ridge takes no missing numbers; give model.missing=impute"],
    ),
    (
        "model=ridge model.training=popsearch.models.stages.Forest",
        ["model.steps.kind must be stages for Forest, but got rows"],
    ),
    # Parameters and spaces.
    ("model=gbr model.steps.param=n_estimator", ["model.steps.param=n_estimator is not a param"]),
    ("model=ridge +model.fixed.alhpa=1", ["model.fixed.alhpa is not a parameter of Ridge; did"]),
    ("model=ridge +model.fixed.alpha=1", ["model.fixed.alpha is also in model.space; remove"]),
    ("model=ridge +model.fixed.tol=-1", ["model.fixed.tol: The 'tol' parameter of Ridge must be"]),
    ("model=gbr +model.fixed.n_estimators=9", ["n_estimators is also model.steps.param"]),
    (
        "model=gbr model.space.subsample.high=1.5 model.space.max_depth.low=0",
        [
            "model.space.max_depth.low: The 'max_depth' parameter of GradientBoostingRegressor",
            "model.space.subsample.high: The 'subsample' parameter of GradientBoostingRegressor",
        ],
    ),
    (
        "model=gbr model.space.loss.choices=[hubber]",
        ["choices[0]: The 'loss'", "but got 'huber'"],
    ),
    ("model=gbr model.space.alpha.when.param=los", ["los is not in model.space; did you mean los"]),
    ("model=gbr sampler=grid", ["sampler=grid cannot search conditional parameters"]),
    ("model=ridge model.known_good=[{alpa:1}]", ["known_good[0].alpa is not in model.space; did"]),
    # Members side by side, and what is searched for every family.
    (
        "model=ridge +model.population=2",
        ["must be 1 for LeastSquares, which trains one member at a time, but got 2"],
    ),
    ("model=gbr +model.population=3", ["model.population must be 1 for GradientBoosting, which"]),
    ("model=mlp model.population=none", ["model.population: must be auto or a whole number above"]),
    ("model=mlp model.population=0", ["must be auto or a whole number above 0, but got 0"]),
    ("model=mlp model.population=1.5", ["must be auto or a whole number above 0, but got 1.5"]),
    ("model=ridge +model.mean_of=-1", ["model.mean_of must be at least 0, but got -1"]),
    (
        "model=ridge +model.space.scaler={type:categorical,choices:[minmax,robust,quantile]}",
        ["choices[1] must be one of none, minmax, standard, quantile, but got 'robust'"],
    ),
    (
        "model=ridge +model.space.scaler={type:float,low:0,high:1}",
        ["model.space.scaler.type must be categorical, but got float"],
    ),
    ("model=ridge +model.fixed.scaler=minmax", ["model.fixed.scaler is not a parameter of Ridge"]),
    # Networks.
    ("model=mlp model.backend=torch", ["model.backend must be 'tensorflow' or 'jax', but got 'to"]),
    ("model=ridge +model.backend=jax", ["model.backend is not a parameter of Ridge; choose from"]),
    (
        "model=mlp model.fixed.hidden_layer_sizes=[64,32] ~model.space.taper",
        [
            "model.space.depth would do nothing beside model.fixed.hidden_layer_sizes, which gives",
            "model.space.width would do nothing beside model.fixed.hidden_layer_sizes, which gives",
        ],
    ),
    (
        "model=mlp +model.space.hidden_layer_sizes={type:categorical,choices:[64-32,96]} "
        "~model.space.width ~model.space.taper",
        [
            "model.space.depth would do nothing beside model.space.hidden_layer_sizes, which gives",
        ],
    ),
    ("model=mlp model.population=null", ["whole number above 0, but got null"]),
    (
        f"{WIDTHS}=[64,0]",
        ["sizes must be widths, as in [128,64,32] or 128-64-32, but got [64, 0]"],
    ),
    (f"{WIDTHS}=64-x", ["model.fixed.hidden_layer_sizes must be widths, as in [128,64,32] or"]),
    (f"{WIDTHS}=[]", ["model.fixed.hidden_layer_sizes must be widths, as in [128,64,32] or"]),
    # Several kinds at once.
    (
        "model=gbr n_trials=0 data.rows=3 model.fixed.random_stat=3 split.val_size=1.2 "
        "features.columns=[yeer,tempo] +model.space.max_dept={type:int,low:1,high:3}",
        [
            "model.fixed.random_stat is not a setting; did you mean random_state?",
            "n_trials must be at least 1, but got 0",
            "data.rows must be at least 100, but got 3",
            "split.val_size must be below 1, but got 1.2",
            "model.space.max_dept is not a parameter of GradientBoostingRegressor; did you mean",
            "features.columns: yeer is not a column of data=demo; did you mean year?",
        ],
    ),
    (
        "foo --bar seed=x sampler=tpee data=csv tracking.uri=mlruns storage.url=sqlite:///no/x",
        [
            "--bar is not an option; see --help",
            "'foo' must have",
            "there is no such sampler",
            "seed must be",
            "data.path is required",
            "data.target is required",
            "the folder no does",
            "tracking.uri=mlruns",
        ],
    ),
    ("-m model=gbr,rigde,ridge n_trials=0", ["n_trials must be at least 1", "did you mean ridge?"]),
    ("model=gbr,ridge n_trials=0", ["several values need -m", "n_trials must be at least 1"]),
    # What hangs on a name that is not there cannot be judged, the rest can.
    ("model=rigde model.space.x.low=1 seed=x", ["did you mean ridge?", "seed must be a whole"]),
    ("experiment=no model.x=1 data.y=2 n_trials=0", ["no such experiment", "n_trials must be"]),
]


@pytest.mark.parametrize(("typed", "expected"), BAD, ids=[typed for typed, _ in BAD])
def test_bad_input_ends_in_its_lines_and_creates_nothing(
    typed: str,
    expected: list[str],
    workdir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line for each fault and no other, exit code 2, and the folder stays empty."""
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", ["popsearch", *typed.split()])
        with pytest.raises(SystemExit) as caught:
            __main__.main()
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == len(expected), err
    for line, fragment in zip(lines, expected, strict=True):
        assert line.startswith("popsearch: ")
        assert fragment in line
    assert not list(workdir.iterdir())


@pytest.mark.parametrize(
    "typed",
    [
        "storage.url=postgresql://me:hunter2@host/db",
        "n_trials=postgresql://me:hunter2@host/db",
        "tracking.ury=postgresql://me:hunter2@host/db",
        "+tracking.uri=postgresql://me:hunter2@host/db",
        "hydra.nope=postgresql://me:hunter2@host/db",
        "tracking.uri=[postgresql://me:hunter2@host/db",
        "postgresql://me:hunter2@host/db",
        "model=postgresql://me:hunter2@host/db",
    ],
)
def test_no_message_shows_a_password(typed: str, faults_of: FaultsOf) -> None:
    """An address given in the wrong place, or in a wrong way, is told without its password."""
    faults = faults_of(typed)
    assert faults
    assert "hunter2" not in " ".join(faults)


def test_gp_without_torch_says_what_to_install(
    faults_of: FaultsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Gaussian process sampler is refused where PyTorch is not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torch" else real(name, *a)
    )
    (fault,) = faults_of("model=ridge", "sampler=gp", "data.rows=500")
    assert "sampler=gp needs PyTorch, which is not installed" in fault


@pytest.mark.parametrize("value", ["1.5", "[1.5]", "[64,true]", "[null]", "128--64", "-64"])
def test_widths_are_whole_numbers(value: str, faults_of: FaultsOf) -> None:
    """Whatever else stands for the widths of a network is told in one line, not rounded."""
    (fault,) = faults_of("data.rows=500", *f"{WIDTHS}={value}".split())
    assert fault.startswith("model.fixed.hidden_layer_sizes")
    assert "must be" in fault


def test_a_backend_that_is_not_installed_is_told_with_what_to_install(
    faults_of: FaultsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks are refused where the library that Keras is to compute with is missing."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "jax" else real(name, *a)
    )
    assert faults_of("model=mlp", "model.backend=jax", "data.rows=500") == [
        "model.backend=jax is not installed; install it (pip install 'popsearch[jax]')"
    ]
    assert not faults_of("model=mlp", "data.rows=500")


def test_a_file_that_is_no_database_is_not_written_over(faults_of: FaultsOf, workdir: Path) -> None:
    """A storage that names another file is refused; an empty or a SQLite one is taken."""
    (workdir / "notes.txt").write_text("remember the milk")
    (fault,) = faults_of("model=ridge", "data.rows=500", "storage.url=sqlite:///notes.txt")
    assert "no SQLite database" in fault
    (workdir / "empty.db").touch()
    with sqlite3.connect(workdir / "old.db") as database:
        database.execute("create table t (x)")
    database.close()
    for name in ("empty.db", "old.db"):
        assert not faults_of("model=ridge", "data.rows=500", f"storage.url=sqlite:///{name}")


@pytest.fixture
def own(workdir: Path) -> Path:
    """Give a folder of the user's own, with one family."""
    folder = workdir / "own"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "elastic.yaml").write_text(OWN_FAMILY)
    return folder


def test_a_family_of_ones_own_is_found_checked_and_listed(
    own: Path, compose: Callable[..., Config], faults_of: FaultsOf
) -> None:
    """A file in --config-dir is a family like any other."""
    cfg = compose("--config-dir", str(own), "model=elastic", "n_trials=3")
    assert cfg.model.estimator == "sklearn.linear_model.ElasticNet"
    assert "elastic              Elastic net, of my own" in usage.page(["--config-dir", str(own)])
    mine = ("--config-dir", "own", "data.rows=500")
    assert not faults_of(*mine, "model=elastic")
    (fault,) = faults_of(*mine, "model=elastc")
    assert fault == "model=elastc: there is no such model; did you mean elastic?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OWN_FAMILY.replace("{type: float,", "{{type: float,", 1), "mine.yaml is not YAML: "),
        (
            OWN_FAMILY + "name: twice\n",
            "mine.yaml is not YAML: found duplicate key name in line 10",
        ),
        (OWN_FAMILY + "defaults: [nope]\n", "model=mine: there is no model/nope.yaml"),
        (OWN_FAMILY.replace("minmax", "robust"), "model.scaler must be 'none', 'minmax',"),
        (OWN_FAMILY.replace("0.001", "tiny"), "model.space.alpha.low must be a number, but got"),
        (OWN_FAMILY.replace("l1_ratio", "l1_ration"), "model.space.l1_ration is not a parameter"),
        (OWN_FAMILY.replace("ElasticNet", "Elastic"), "has no class Elastic; did you mean Elastic"),
        ("- 1\n", "model must be a group of settings, {NAME: VALUE, ...}, but got [1]"),
        ("caf\xe9", "model=mine: its file must be UTF-8 text"),
    ],
)
def test_a_fault_in_ones_own_file_is_told_beside_the_others(
    text: str, expected: str, own: Path, faults_of: FaultsOf
) -> None:
    """One line for the file, naming it where it cannot be read; the rest is checked as well."""
    (own / "model" / "mine.yaml").write_text(text, encoding="latin-1")
    faults = faults_of("--config-dir", "own", "model=mine", "features.columns=[yeer]", "seed=x")
    assert len(faults) == 3, faults
    for fragment in (expected, "seed must be a whole number", "yeer is not a column"):
        assert any(fragment in fault for fault in faults), faults


@given(
    models=st.lists(st.sampled_from(["gbr", "ridge", "lasso", "linear"]), min_size=1, unique=True),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
)
@settings(max_examples=5, deadline=None)
def test_a_sweep_is_every_combination(models: list[str], seeds: list[int]) -> None:
    """-m gives one job for each combination, in the order typed."""
    swept = (f"model={','.join(models)}", f"seed={','.join(map(str, seeds))}")
    jobs = command.jobs(["-m", *swept, "n_trials=7"])
    found = [(job.sections["model"].name, job.sections["seed"]) for job in jobs]
    assert found == list(itertools.product(models, seeds))
    assert all(job.sections["n_trials"] == 7 and not job.faults for job in jobs)


def test_a_pattern_sweeps_all_families() -> None:
    """model=glob(*) is every file of the group."""
    jobs = command.jobs(["-m", "model=glob(*)"])
    names = sorted(f.stem for f in (usage.CONF / "model").glob("*.yaml"))
    assert [job.sections["model"].name for job in jobs] == names


NUMBERS = ("n_trials", "timeout", "seed", "data.rows", "split.val_size", "model.space.alpha.low")


@given(key=st.sampled_from(NUMBERS), text=st.text(max_size=8))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_text_for_a_number_is_taken_or_told(
    key: str, text: str, faults_of: FaultsOf
) -> None:
    """Whatever is typed as a value ends in a configuration or in faults, never in a traceback."""
    for fault in faults_of("model=ridge", "data.rows=100", f"{key}={text}"):
        assert fault
        assert "\n" not in fault


def test_help_lists_every_choice_with_what_it_is() -> None:
    """Each file of conf/ stands in the help page, with its first comment."""
    page = usage.page([])
    for group in usage.GROUPS:
        section = page.partition(f"\n{group}=\n")[2].partition("\n\n")[0]
        described = dict(line.split(maxsplit=1) for line in section.splitlines())
        assert set(described) == {file.stem for file in (usage.CONF / group).glob("*.yaml")}


def test_a_password_is_taken_from_the_environment_only(
    faults_of: Callable[..., list[str]],
    compose: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Typed, it is refused and not repeated; from the environment it reaches the address."""
    secret = "postgresql://me:hunter2@tracking.example/runs"
    (fault,) = faults_of(f"tracking.uri='{secret}'")
    assert "a password must not be typed" in fault
    assert "MLFLOW_TRACKING_URI" in fault
    assert "hunter2" not in fault
    monkeypatch.setenv("MLFLOW_TRACKING_URI", secret)
    tracking = compose().tracking
    assert isinstance(tracking, MlflowTracking)
    assert tracking.uri == secret
    cfg = compose("data.rows=500")
    assert "hunter2" not in str(provenance.texts(prepare(cfg)))


@pytest.mark.parametrize("words", [["--config-dir"], ["experiment=quick", "--config-dir"]])
def test_an_option_without_its_value_is_told_as_ours(
    words: list[str], workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usage that is shown is popsearch's, not Hydra's."""
    assert typed(*words) == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: python -m popsearch [OPTIONS] [KEY=VALUE ...]; see --help")
    assert "expected one argument" in told
