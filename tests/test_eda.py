"""The first look at a table: its numbers, its page, what it may read, and where it is stored."""

import itertools
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from scipy.stats.contingency import association as scipy_association

from popsearch import data
from popsearch.config import Config
from popsearch.data import Table
from popsearch.eda import association, distribution, groups, page, panels, pictures
from popsearch.eda.cells import Categories, Numbers
from popsearch.eda.distribution import Bars, Histogram
from popsearch.eda.look import ColumnLook, Look, look
from programs import typed

RNG = np.random.default_rng(7)
N = 1500
NUMBERS = itertools.count()


def frame() -> pd.DataFrame:
    """Give a table with all kinds of columns; y depends on some of them."""
    x, city = RNG.normal(size=N), RNG.choice(list("abcdefghijklmnop"), N)
    y = 3 * x**2 + np.where(city == "b", 4.0, 0.0) + RNG.normal(size=N)
    holes = np.where(RNG.random(N) < 0.2, np.nan, x + RNG.normal(size=N))
    return pd.DataFrame({
        "x": x, "holes": holes, "steps": RNG.integers(0, 6, N), "city": city,
        "member": RNG.choice(["yes", "no"], N), "note": [f"note {i} of many" for i in range(N)],
        "when": pd.date_range("2001-03-05", periods=N, freq="3D").strftime("%Y-%m-%d"),
        "one": 1, "none": "", "tags": RNG.choice(["a,b", "b", "c,a", None], N), "y": y,
    })  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, str]:
    """A CSV, and what is in it."""
    file = tmp_path_factory.mktemp("table") / "homes.csv"
    table = frame()
    table.to_csv(file, index=False)
    return table, str(file)


@pytest.fixture(scope="module")
def looked(written: tuple[pd.DataFrame, str], cache_folder: None) -> tuple[Look, Table, np.ndarray]:
    """A look at it, the table as popsearch has it, and the rows outside the test."""
    return looked_at(Path(written[1]))


def looked_at(file: Path, *overrides: str) -> tuple[Look, Table, np.ndarray]:
    """Look at a CSV with the target y."""
    from popsearch import command

    words = ["data=csv", f"data.path='{file}'", "data.target=y", *overrides]
    (job,) = command.jobs(words)
    assert not job.faults
    cfg = Config(**job.sections)
    table = data.load(cfg.data)
    split = data.split(table, cfg.split)
    return look(table, split, "holdout", cfg.data.order_by, lambda _: None), table, split.known


def column(found: Look, name: str) -> ColumnLook:
    """Give what is known of a column."""
    (wanted,) = (each for each in found.columns if each.name == name)
    return wanted


# ---- numbers ------------------------------------------------------------------------------------


def test_the_schema_is_what_a_search_recognises(
    looked: tuple[Look, Table, np.ndarray], written: tuple[pd.DataFrame, str]
) -> None:
    """Kinds, missing values as pandas counts them, and why a column is no feature."""
    found, table, _ = looked
    assert {c.name: c.kind for c in found.columns} == {n: c.kind for n, c in table.columns.items()}
    missing = pd.read_csv(written[1]).isna().sum()
    assert {c.name: c.n_missing for c in found.columns} == missing.drop("y").to_dict()
    left_out = {c.name: c.left_out for c in found.columns if c.left_out}
    assert left_out == {"note": "a text of its own in most rows", "none": "no values"}


def test_correlations_are_those_of_scipy(
    looked: tuple[Look, Table, np.ndarray], written: tuple[pd.DataFrame, str]
) -> None:
    """With the target, where both are there, on the rows outside the test only."""
    found, _, known = looked
    rows = written[0].iloc[known]
    for name in ("x", "holes", "steps"):
        both = rows[[name, "y"]].dropna()
        told = column(found, name).target
        assert told is not None
        assert told.pearson == pytest.approx(stats.pearsonr(both[name], both["y"])[0])
        assert told.spearman == pytest.approx(stats.spearmanr(both[name], both["y"])[0])
    constant = column(found, "one").target
    assert constant is not None
    assert constant.pearson is None


def test_what_a_feature_explains_is_the_adjusted_r2_of_its_groups(
    looked: tuple[Look, Table, np.ndarray], written: tuple[pd.DataFrame, str]
) -> None:
    """As a regression on indicators of the groups has it; a bend that Pearson misses is seen."""
    found, _, known = looked
    rows = written[0].iloc[known]
    for name, codes in (
        ("x", pd.qcut(rows["x"], 20, labels=False)),
        ("steps", rows["steps"]),
        ("city", rows["city"]),
    ):
        means = rows["y"].groupby(codes).transform("mean")
        r2 = 1 - ((rows["y"] - means) ** 2).sum() / ((rows["y"] - rows["y"].mean()) ** 2).sum()
        n, k = len(rows), codes.nunique()
        told = column(found, name).target
        assert told is not None
        assert told.explained == pytest.approx(max(0, 1 - (1 - r2) * (n - 1) / (n - k)))
    bend = column(found, "x").target
    assert bend is not None
    assert abs(bend.pearson or 0) < 0.2 < 0.8 < (bend.explained or 0)


def test_binned_means_are_those_of_pandas(
    looked: tuple[Look, Table, np.ndarray], written: tuple[pd.DataFrame, str]
) -> None:
    """Mean, quartiles and number of rows in each of 20 bins; missing ones are a group more."""
    found, _, known = looked
    rows = written[0].iloc[known]
    for name in ("x", "holes"):
        told = column(found, name).target
        assert told is not None
        y = rows["y"].groupby(pd.qcut(rows[name], 20, labels=False))
        assert told.by.n[:20].tolist() == y.size().tolist()
        np.testing.assert_allclose(told.by.mean[:20], y.mean())
        np.testing.assert_allclose(told.by.q25[:20], y.quantile(0.25))
        np.testing.assert_allclose(told.by.q75[:20], y.quantile(0.75))
    assert told.by.names[20:] == ["(missing)"]
    assert told.by.mean[20] == pytest.approx(rows["y"][rows["holes"].isna()].mean())


def test_the_most_frequent_categories_are_told_apart(
    looked: tuple[Look, Table, np.ndarray], written: tuple[pd.DataFrame, str]
) -> None:
    """The mean of each of ten, and of the others together; a label counts wherever it stands."""
    found, _, known = looked
    rows = written[0].iloc[known]
    told = column(found, "city").target
    assert told is not None
    y = rows["y"].groupby(rows["city"])
    shown = dict(zip(told.by.names, told.by.mean, strict=True))
    assert sorted(told.by.n[:10], reverse=True) == y.size().nlargest(10).tolist()
    others = rows["y"][~rows["city"].isin([*shown])].mean()
    assert shown.pop("(others)") == pytest.approx(others)
    assert shown == pytest.approx(y.mean()[[*shown]].to_dict())


def test_labels_are_shown_one_by_one() -> None:
    """Where cells list several: a row counts for each of its own."""
    cells = Categories(np.array([0, 1, 1, 0, 2]), ["a", "b", "c"])
    by = groups.target_by(groups.most_frequent(cells), np.array([1.0, 2.0, 4.0, 5.0, 9.0]))
    assert dict(zip(by.names, by.mean, strict=True)) == {"a": 3.0, "b": 3.0, "c": 9.0}


def test_pairs_of_features_are_measured_by_what_they_are(
    looked: tuple[Look, Table, np.ndarray], written: tuple[pd.DataFrame, str]
) -> None:
    """Spearman of numbers as scipy has it, exact where nothing is missing; symmetric."""
    found = looked[0].related
    values = pd.DataFrame(found.values, found.names, found.names)
    np.testing.assert_array_equal(values, values.T)
    rows = written[0]
    expected = stats.spearmanr(rows["x"], rows["steps"])[0]
    assert values.loc["x", "steps"] == pytest.approx(expected)
    near = rows[["x", "holes"]].dropna()
    expected = stats.spearmanr(near["x"], near["holes"])[0]
    assert values.loc["x", "holes"] == pytest.approx(expected, abs=0.01)
    assert values.loc["one"].isna().all()


def test_two_categories_are_measured_as_scipy_does() -> None:
    """Cramér's V, whose correction for chance vanishes where there are many rows."""
    a = RNG.integers(0, 4, 20_000)
    b = np.where(RNG.random(20_000) < 0.5, a, RNG.integers(0, 3, 20_000))
    expected = scipy_association(pd.crosstab(a, b).to_numpy(), method="cramer")
    assert association.cramers_v(a, b) == pytest.approx(expected, abs=0.005)
    assert association.cramers_v(RNG.permutation(a), b) == pytest.approx(0, abs=0.02)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=3, max_size=40))
def test_ranks_and_correlations_hold_for_any_numbers(pairs: list[tuple[float, float]]) -> None:
    """Spearman is scipy's wherever scipy has one, between -1 and 1."""
    x, y = np.array(pairs).T
    found = association.spearman(x, y)
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-9)


def test_histograms_count_every_value() -> None:
    """Whole numbers fall evenly into bins, few values are counted one by one, the rest is told."""
    ages = RNG.integers(0, 100, 5000).astype(float)
    found = distribution.of(Numbers(ages), "numeric")
    assert isinstance(found, Histogram)
    assert set(np.diff(found.edges)) == {3.0}
    assert found.counts.sum() + found.n_beyond == 5000
    far = np.append(RNG.normal(size=5000), [1e9])
    found = distribution.of(Numbers(far), "numeric")
    assert isinstance(found, Histogram)
    assert found.edges[-1] < 10
    assert found.counts.sum() + found.n_beyond == 5001
    stars = distribution.of(Numbers(np.array([1.0, 2.0, 2.0, np.nan, 1.0])), "numeric")
    assert isinstance(stars, Bars)
    assert dict(zip(stars.names, stars.counts, strict=True)) == {"1": 2, "2": 2}


# ---- the test rows ------------------------------------------------------------------------------


def test_the_target_of_test_rows_changes_nothing(
    looked: tuple[Look, Table, np.ndarray], written: tuple[pd.DataFrame, str], tmp_path: Path
) -> None:
    """Other values there: the same pictures, and a page that differs in the fingerprint only."""
    found, _, known = looked
    changed = written[0].copy()
    test = np.setdiff1d(np.arange(N), known)
    changed.loc[test, "y"] = RNG.normal(1e4, 1, len(test))
    file = tmp_path / "homes.csv"
    changed.to_csv(file, index=False)
    other, _, _ = looked_at(file)
    assert other.fingerprint != found.fingerprint
    pages = []
    for each in (found, other):
        with panels.drawing():
            pngs = {picture.file: panels.png(picture.draw()) for picture in pictures.of(each)}
        pages.append(page.html(each, pngs).replace(each.fingerprint[:16], ""))
    assert pages[0] == pages[1]
    assert f"read on {len(known):,} rows" in pages[0].replace("\n", " ")


# ---- time ---------------------------------------------------------------------------------------


def test_means_by_year_are_those_of_pandas(
    looked: tuple[Look, Table, np.ndarray], written: tuple[pd.DataFrame, str]
) -> None:
    """Rows and features of all rows, the target of those outside the test."""
    found, _, known = looked
    periods = found.periods
    assert periods is not None
    assert periods.by == "year of when"
    rows = written[0]
    year = rows["when"].str[:4].astype(int)
    assert periods.at.tolist() == sorted(set(year))
    assert periods.n_rows.tolist() == year.value_counts().sort_index().tolist()
    np.testing.assert_allclose(periods.features["holes"], rows["holes"].groupby(year).mean())
    y = rows["y"].iloc[known].groupby(year.iloc[known])
    np.testing.assert_allclose(periods.target.mean, y.mean())
    np.testing.assert_allclose(periods.target.q75, y.quantile(0.75))


# ---- pages --------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects what a browser would fetch or run, and the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [str(v) for key, v in attrs if key in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(file: Path) -> Reader:
    """Parse a page."""
    reader = Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    return reader


def test_the_page_needs_nothing_else(
    written: tuple[pd.DataFrame, str], workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every picture is in it and beside it; nothing is fetched, nothing runs; no MLflow store."""
    words = ["data=csv", f"data.path={written[1]}", "data.target=y"]
    assert typed("eda", *words) == 0
    out = capsys.readouterr().out
    folder = workdir / "eda" / "homes"
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["eda-columns-1.png", "eda-missing.png", "eda-relations.png",
                     "eda-target-1.png", "eda-time.png", "eda.html"]  # fmt: skip
    reader = read(folder / "eda.html")
    assert len(reader.fetched) == 5
    assert all(source.startswith("data:image/png;base64,") for source in reader.fetched)
    assert "script" not in reader.tags
    assert [file.name for file in workdir.iterdir()] == ["eda"]
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            assert len(image.convert("L").getcolors()) > 5
    assert re.search(r"^x +\d\d\.\d %", out, re.MULTILINE)
    assert "wrote eda/homes/eda.html and 5 pictures" in out


def test_hostile_names_are_shown_as_they_are(workdir: Path) -> None:
    """Markup, mathtext, templates, line breaks and long names break neither page nor picture."""
    names = ["<script>alert(1)</script>", "$\\frac{1$", "{{ 1/0 }}", "two\nlines", "n" * 500,
             "</style><u>", "%s %d", "日本"]  # fmt: skip
    n = 60
    table = pd.DataFrame({name: RNG.normal(size=n) for name in names})
    table["&lt;"] = RNG.choice(["<u>", "$5", "$\\x$", "a & b"], n)
    table["y"] = RNG.normal(size=n)
    table.to_csv("t.csv", index=False)
    assert typed("eda", "data=csv", "data.path=t.csv", "data.target=y", "output=o/p") == 0
    reader = read(Path("o/p/eda.html"))
    assert not {"script", "u"} & set(reader.tags)
    for name in names[:3]:
        assert name in reader.text
    assert "n" * 500 not in reader.text


def test_a_wide_table_has_a_page_that_ends(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 200 features the telling ones are drawn, and how many are not is said."""
    n = 120
    table = pd.DataFrame(RNG.normal(size=(n, 200)), columns=[f"f{i}" for i in range(200)])
    table["y"] = table["f150"] * 3 + RNG.normal(size=n)
    table.to_csv("wide.csv", index=False)
    assert typed("eda", "data=csv", "data.path=wide.csv", "data.target=y") == 0
    assert "\nf150 " in capsys.readouterr().out
    reader = read(Path("eda/wide/eda.html"))
    assert len(reader.fetched) == 5
    assert "153 more columns are not drawn" in reader.text
    assert "152 more features that explain less are not drawn" in reader.text
    assert "170 more features that explain less of the target are not drawn" in reader.text


CELLS: dict[str, st.SearchStrategy[object]] = {
    "numbers": st.floats(-1e300, 1e300, allow_subnormal=False) | st.none(),
    "whole": st.integers(-(10**6), 10**6),
    "words": st.sampled_from(["a", "b c", "<", "$", ""]),
    "texts": st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
    .filter(lambda text: not re.search(r"\d", text)),
    "flags": st.sampled_from(["yes", "no"]),
    "dates": st.dates().map(str),
    "constant": st.just(4.5),
    "nothing": st.none(),
}  # fmt: skip


@settings(  # to make a failing table smaller takes minutes
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_table_can_be_looked_at(tmp_path: Path, draw: st.DataObject) -> None:
    """Small tables of any columns: pictures, and a page that names every column."""
    n = draw.draw(st.integers(10, 25))
    kinds = draw.draw(st.lists(st.sampled_from([*CELLS]), max_size=4))
    columns = {f"{kind}_{i}": draw.draw(st.lists(CELLS[kind], min_size=n, max_size=n))
               for i, kind in enumerate(kinds)}  # fmt: skip
    file = tmp_path / f"{next(NUMBERS)}.parquet"  # one process reads a file once
    y = {"y": [float(i % 7) for i in range(n)]}
    pd.DataFrame({**columns, **y}).to_parquet(file)
    found, _, _ = looked_at(file)
    with panels.drawing():
        pngs = {picture.file: panels.png(picture.draw()) for picture in pictures.of(found)}
    reader = Reader()
    reader.feed(page.html(found, pngs))
    assert all(name in reader.text for name in columns)
    assert page.markdown(found)


# ---- what is typed ------------------------------------------------------------------------------


def test_all_faults_are_told_and_nothing_is_created(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings of a search, a bad split, an output that is a file, words: exit code 2."""
    Path("taken").touch()
    words = ["model=gbr", "look", "data.rows=many", "split.test_size=2", "output=taken"]
    assert typed("eda", *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    for text in ("model=gbr", "look: must be a setting", "data.rows must be a whole number",
                 "split.test_size must be below 1", "output=taken: must be a folder"):  # fmt: skip
        assert sum(text in line for line in lines) == 1
    assert typed("eda", "data=csv", "data.path=none.csv", "data.target=y", "tracking=mlflow") == 2
    assert "there is no such file" in capsys.readouterr().err
    assert typed("eda", "data.order_by=yeer") == 2
    assert "data.order_by=yeer: is not a column of data=demo; did you mean year?" in (
        capsys.readouterr().err
    )
    assert [file.name for file in workdir.iterdir()] == ["taken"]


def test_a_look_is_one_run_of_its_data(
    workdir: Path, capsys: pytest.CaptureFixture[str], compose: Callable[..., Config]
) -> None:
    """Logged where tracking is typed; a second look renews the run, and only if it differs."""
    words = ["eda", "data.rows=300", "tracking=mlflow", "output=here"]
    assert typed(*words) == 0
    client = mlflow.MlflowClient(f"sqlite:///{workdir}/mlflow.db")
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == f"eda demo {run.data.tags['popsearch.data_fingerprint'][:8]}"
    assert run.info.status == "FINISHED"
    assert "| year | numeric |" in run.data.tags["mlflow.note.content"]
    names = {file.path for file in client.list_artifacts(run.info.run_id, "eda")}
    assert names == {f"eda/{file.name}" for file in Path("here").iterdir()}
    ended = run.info.end_time
    assert typed(*words) == 0
    (same,) = client.search_runs([experiment.experiment_id])
    assert same.info.end_time == ended
    assert typed(*words, "split.seed=1") == 0
    (renewed,) = client.search_runs([experiment.experiment_id])
    assert renewed.info.run_id == run.info.run_id
    assert renewed.info.end_time > ended
    assert f"run {run.info.run_name!r} in MLflow's experiment demo" in capsys.readouterr().out
