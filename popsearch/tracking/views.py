"""Views of an experiment's runs that MLflow's pages offer under Views: columns, order, charts.

MLflow keeps a view that was saved in the browser as a tag of the experiment; these are the same,
written by us. What stands in one is MLflow's own form, so a test opens each in a browser.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

TAG = "mlflow.sharedViewState."
FAMILIES, STUDIES = "popsearch", "popsearch-studies"
TRIALS, CURVES = "popsearch-trials", "popsearch-curves"
LONGEST = 5000  # characters that MLflow takes in a tag
KIND = "workflowType=machine_learning"  # else MLflow shows its pages for chatbots
N_SHOWN = 20  # trials that are drawn at first, the best of all

_RUN_NAME, _CREATED, _DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"
_OF_STUDIES = ("val_mse", "test_mse", "test_mae", "test_r2", "n_complete", "n_pruned")
_OF_TRIALS = ("val_mse", "train_mse", "val_mae", "best_resource", "fit_s")
_PARAMS = "params.`"


def _best(kind: str, score: str) -> dict[str, Any]:
    """Give what lists runs of one kind, those with the lowest error first."""
    only = {"searchFilter": f"tags.`popsearch.kind` = '{kind}'"}
    return {**only, "orderByKey": f"metrics.`{score}`", "orderByAsc": True}


def missing(tags: Mapping[str, str], params: Sequence[str]) -> dict[str, str]:
    """Give the tags that an experiment needs for the views, where it does not have them.

    Parameters
    ----------
    tags
        What the experiment has.
    params
        What a study searches: columns of the trials, beside those of earlier studies.
    """
    earlier = _columns_of_params(tags.get(TAG + TRIALS, ""))
    columns = list(dict.fromkeys([*earlier, *(f"{_PARAMS}{name}`" for name in params)]))
    trials, studies = _best("trial", "val_mse"), _table(_OF_STUDIES, [], 210)
    wanted = {
        # MLflow lists the newest first.
        TAG + CURVES: _view("Curves", 1, **trials, **_charts()),
        TAG + TRIALS: _view("Trials", 2, **trials, **_table(_OF_TRIALS, columns, 160)),
        # Trials stand below their study only where runs are listed by time, and of these MLflow
        # loads a hundred at once. The studies alone are listed whole.
        TAG + STUDIES: _view("Studies", 3, **_best("study", "test_mse"), **studies),
        TAG + FAMILIES: _view("Families and their trials", 4, **studies),
    }
    return {
        tag: value
        for tag, value in wanted.items()
        if tags.get(tag) != value and len(value) <= LONGEST
    }


def page(experiment_id: str) -> str:
    """Give where the families are shown, below the address of MLflow's server."""
    return f"#/experiments/{experiment_id}/runs?{KIND}&viewStateShareKey={FAMILIES}"


def page_of(experiment_id: str, run_id: str) -> str:
    """Give where a run is shown, below the address of MLflow's server."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{KIND}"


def _view(name: str, at: int, **state: Any) -> str:
    return json.dumps({"name": name, "createdAt": at, "updatedAt": at, "state": json.dumps(state)})


def _table(metrics: Sequence[str], more: Sequence[str], name_width: int) -> dict[str, Any]:
    """Give a table with these columns; MLflow would sort them by name."""
    columns = [*(f"metrics.`{name}`" for name in metrics), *more]
    return {
        "selectedColumns": columns,
        "columnOrder": [_RUN_NAME, *columns, _DURATION, _CREATED],
        "columnWidths": {_RUN_NAME: name_width},
    }


def _charts() -> dict[str, Any]:
    """Give the curves of the best trials, and what each costs."""
    section = {"uuid": "popsearch", "name": "Trials", "display": True, "isReordered": True}
    axes = {axis: {"key": key, "type": "METRIC"} for axis, key in _COSTS.items()}
    charts = [
        *(_chart(key, "LINE", metricKey=key, selectedMetricKeys=[key]) for key in _DRAWN),
        _chart("fit_s and val_mse", "SCATTER", **axes),
        _chart("val_mse", "BAR", metricKey="val_mse"),
    ]
    return {
        "runsHiddenMode": f"FIRST_{N_SHOWN}_RUNS",
        "compareRunCharts": charts,
        "compareRunSections": [section],
        "isAccordionReordered": True,  # else MLflow puts the charts of all metrics before these
    }


_DRAWN = ("curve/val_mse", "curve/train_mse")
_COSTS = {"xaxis": "fit_s", "yaxis": "val_mse"}


def _chart(name: str, kind: str, **more: Any) -> dict[str, Any]:
    own = {"uuid": f"popsearch {name}", "type": kind, "displayName": name}
    place = {"metricSectionId": "popsearch", "deleted": False, "isGenerated": False}
    return {**own, **place, "runsCountToCompare": N_SHOWN, "lineSmoothness": 0, **more}


def _columns_of_params(value: str) -> list[str]:
    """Give the columns of parameters that a view has, none where it cannot be read."""
    try:
        columns = json.loads(json.loads(value)["state"])["selectedColumns"]
        return [column for column in columns if column.startswith(_PARAMS)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
