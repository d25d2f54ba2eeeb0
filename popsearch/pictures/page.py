"""The pages: the report, and one picture by itself. Neither loads anything from elsewhere."""

import base64
import datetime
import gzip
import importlib.metadata
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from popsearch import openings, report, schema
from popsearch.family import CategoricalParam, Param
from popsearch.pictures.captions import CAPTIONS, Caption
from popsearch.plan import Plan

if TYPE_CHECKING:
    from jinja2 import Environment

    from popsearch.run import Result

PACKAGES = ("popsearch", "scikit-learn", "optuna", "numpy", "pandas")
OF_MODEL = "The best model on the test rows"
OF_SEARCH = "The search"
LACKING = (
    "There are no pictures of the test rows: they are drawn only while these are open. That was "
    "before there were pictures, or with report=false, or their files are gone."
)


@dataclass(frozen=True)
class Picture:
    """A picture as a page holds it.

    Parameters
    ----------
    png
        Its bytes, in base64.
    figure
        Its interactive form, as plotly's JSON; empty where there is none.
    """

    name: str
    png: str
    figure: str = ""

    @property
    def caption(self) -> Caption:
        """Its title, and how it is read."""
        return CAPTIONS[self.name]


def picture(name: str, png: bytes, figure: Any = None) -> Picture:
    """Give a picture from its PNG and plotly's figure."""
    # Inside a script no text may end it, whatever a column or a value is called.
    json = "" if figure is None else figure.to_json().replace("<", "\\u003c")
    return Picture(name, base64.b64encode(png).decode(), json)


def single(picture: Picture) -> str:
    """Give the page of one picture."""
    return _templates().get_template("single.html.j2").render(
        picture=picture, plotly=_plotly(), at_once=True
    )  # fmt: skip


def in_order(pictures: Iterable[Picture]) -> list[Picture]:
    """Give pictures as the report has them."""
    places = [*CAPTIONS]
    return sorted(pictures, key=lambda each: places.index(each.name))


def full(
    plan: Plan,
    result: "Result",
    command: str,
    of_model: Iterable[Picture],
    of_search: Iterable[Picture],
    missing: Sequence[str] = (),
) -> str:
    """Give the report.

    Parameters
    ----------
    command
        What repeats the study.
    missing
        A line for what is not there, and why.
    """
    own = {f"best {name}" for name in plan.space.params}  # they stand in the table of the space
    parts = [(OF_MODEL, in_order(of_model)), (OF_SEARCH, in_order(of_search))]
    interactive = any(picture.figure for _, pictures in parts for picture in pictures)
    return _templates().get_template("report.html.j2").render(
        title=f"{plan.cfg.model.name} on {plan.table.about}",
        rows=f"Rows: {plan.about_rows}. Target: {plan.table.target}.",
        target=plan.table.target,
        headline=headline(plan, result),
        result=[pair for pair in report.rows(result) if pair[0] not in own],
        notes=_notes(result),
        columns=_columns(plan),
        space=[
            (name, _range(param), _value((result.best_params or {}).get(name, "")))
            for name, param in plan.space.params.items()
        ],
        command=command,
        versions=_versions(plan),
        parts=parts,
        missing=missing,
        plotly=_plotly() if interactive else "",
        at_once=False,
    )  # fmt: skip


def headline(plan: Plan, result: "Result") -> str:
    """Give the result in a sentence or two, for someone who reads no more."""
    n_trials = sum(result.n_trials.values())
    if result.best_trial is None:
        return f"None of {n_trials} trials came to its end, so there is no model."
    text = f"The best of {n_trials} trials" if n_trials > 1 else "The only trial"
    if result.test_mse is None or result.mean_mse is None:
        return f"{text} has a validation MSE of {result.val_mse:.2f}. No test rows were opened."
    text += (
        f" predicts {plan.table.target} of {len(plan.split.test):,} rows that it has not seen "
        f"with a mean squared error of {result.test_mse:.2f}"
    )
    if result.test_mse_low is not None and result.test_mse_high is not None:
        text += f" (95 % interval {result.test_mse_low:.4g} to {result.test_mse_high:.4g})"
    text += f". Always predicting the mean would give {result.mean_mse:.2f}"
    gain = 1 - result.test_mse / result.mean_mse if result.mean_mse else 0.0
    text += f", so {gain:.0%} of the error is gone." if gain > 0 else ": the model does not help."
    return text


def _notes(result: "Result") -> list[str]:
    told = [openings.warning(result.test_openings)]
    lines = [*result.warnings, *told, *result.advice, *result.failures]
    return [line for line in lines if line]


def _columns(plan: Plan) -> list[tuple[str, str]]:
    cfg = plan.cfg
    told = schema.summary(cfg.features, plan.table, cfg.model.missing)
    search = f"{cfg.sampler.name} proposes, pruner {cfg.pruner.name}, seed {cfg.seed}"
    split = f"{cfg.split.name}, seed {cfg.split.seed}" if hasattr(cfg.split, "seed") else "time"
    return [
        ("model", cfg.model.estimator),
        ("split", split),
        ("search", search),
        *told,
    ]


def _range(param: Param) -> str:
    if isinstance(param, CategoricalParam):
        text = ", ".join(map(_value, param.choices))
    else:
        text = f"{_value(param.low)} to {_value(param.high)}{', logarithmic' if param.log else ''}"
    when = param.when
    return text if when is None else f"{text} (where {when.param} is {_value(when.equals)})"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _versions(plan: Plan) -> str:
    names = (*PACKAGES, *plan.machine.packages)
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in dict.fromkeys(names))
    today = datetime.datetime.now().astimezone().date().isoformat()
    prints = f"data {plan.table.fingerprint[:12]}, study {plan.fingerprint[:12]}"
    return (
        f"Made on {today} with Python {platform.python_version()}, {found}. Fingerprints: {prints}."
    )


@cache
def _plotly() -> str:
    """Give plotly.js, gzipped and in base64: a third of its size."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 6, mtime=0)).decode()


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
