"""The views of an experiment; that a browser shows them is in test_browser.py."""

import json
from typing import Any

import pytest

from popsearch.tracking import views


def state(tags: dict[str, str], view: str) -> dict[str, Any]:
    """Give what a view holds, as MLflow's pages read it."""
    found: dict[str, Any] = json.loads(json.loads(tags[views.TAG + view])["state"])
    return found


def params(tags: dict[str, str]) -> list[str]:
    """Give the columns of parameters, in their order."""
    own = state(tags, views.TRIALS)
    shown = [column for column in own["columnOrder"] if column in own["selectedColumns"]]
    return [name[8:-1] for name in shown if name.startswith("params.`")]


def test_views_are_written_once() -> None:
    """What an experiment has is not written again, by the next study of the same family."""
    first = views.missing({}, ["alpha"])
    assert len({json.loads(value)["name"] for value in first.values()}) == 4
    assert views.missing({**first, "other": "tag"}, ["alpha"]) == {}


def test_the_trials_show_the_parameters_of_all_families() -> None:
    """Those of a further family come behind the earlier ones, and none is there twice."""
    tags = views.missing({}, ["alpha"])
    more = views.missing(tags, ["max_depth", "alpha"])
    assert [*more] == [views.TAG + views.TRIALS]
    assert params(more) == ["alpha", "max_depth"]
    assert views.missing({**tags, **more}, ["alpha"]) == {}


@pytest.mark.parametrize("value", ["", "null", "[]", '{"state": "{}"}', '{"state": 1}', "{"])
def test_a_view_that_cannot_be_read_is_written_anew(value: str) -> None:
    """Whatever stands there, the experiment gets the view."""
    tag = views.TAG + views.TRIALS
    assert params({tag: views.missing({tag: value}, ["alpha"])[tag]}) == ["alpha"]


def test_what_mlflow_would_not_take_is_not_written() -> None:
    """A view with too many columns stays as it was; the others are written."""
    many = [f"parameter_{i}" for i in range(500)]
    assert views.TAG + views.TRIALS not in views.missing({}, many)
    assert len(views.missing({}, many)) == 3
