"""What is written to MLflow, as plain values: carried out at once, or later, or a second time.

Every operation holds its own time, so that it means the same whenever it is carried out: MLflow
keeps a metric that it has already (same key, step, time and value) once, and so all else.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

Operation = dict[str, Any]
"""What to ``do``, the ``run`` it is about, ``at`` what time (ms), and the rest."""

_OWN = "unsent"


def own_id(number: int, worker: str) -> str:
    """Give the name of a trial's run until the server has named it."""
    return f"{_OWN}:{number}:{worker}"


def read_own_id(run_id: str) -> tuple[int, str] | None:
    """Give number and worker from a name that ``own_id`` made, none from one of a server."""
    if not run_id.startswith(f"{_OWN}:"):
        return None
    _, number, worker = run_id.split(":", 2)
    return int(number), worker


def create(run: str, experiment: str, name: str, tags: Mapping[str, str]) -> Operation:
    """Open the run of a trial, known as ``run`` from then on."""
    return _new("create", run, experiment=experiment, name=name, tags=dict(tags))


def batch(
    run: str,
    metrics: Sequence[tuple[str, float, int]] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Operation:
    """Write metrics (key, value, step), parameters, and then tags."""
    own = {"params": dict(params or {}), "tags": dict(tags or {})}
    return _new("batch", run, metrics=list(map(list, metrics)), **own)


def text(run: str, file: str, words: str) -> Operation:
    """Store a text as a file of the run."""
    return _new("text", run, file=file, text=words)


def end(
    run: str, status: str, state: str = "", scores: Mapping[str, float] | None = None
) -> Operation:
    """Close a run; ``state`` and ``scores`` of a trial are for whoever reads the operation."""
    return _new("end", run, status=status, state=state, scores=dict(scores or {}))


def carry_out(client: "MlflowClient", operation: Operation, again: bool = False) -> str:
    """Write to MLflow, and give the id that the run has there.

    Parameters
    ----------
    again
        Whether it may have been carried out before, with the answer lost.
    """
    run: str = operation["run"]
    match operation["do"]:
        case "create":
            return (_created(client, operation) if again else "") or _create(client, operation)
        case "batch":
            _batch(client, operation)
        case "text":
            client.log_text(run, operation["text"], operation["file"])
        case "end":
            client.set_terminated(run, operation["status"], operation["at"])
    return run


def _new(do: str, run: str, **more: Any) -> Operation:
    return {"do": do, "run": run, "at": int(time.time() * 1000), **more}


def _create(client: "MlflowClient", operation: Operation) -> str:
    run = client.create_run(
        operation["experiment"], operation["at"], operation["tags"], operation["name"]
    )
    run_id: str = run.info.run_id
    return run_id


def _created(client: "MlflowClient", operation: Operation) -> str:
    """Give the run that an earlier try has made: its tags and its start are nobody else's."""
    names = ("popsearch.study", "popsearch.kind", "popsearch.trial", "popsearch.worker")
    same = [f"tags.`{name}` = '{operation['tags'][name]}'" for name in names]
    same.append(f"attributes.start_time = {operation['at']}")
    found = client.search_runs([operation["experiment"]], " and ".join(same), max_results=1)
    return found[0].info.run_id if found else ""


def _batch(client: "MlflowClient", operation: Operation) -> None:
    from mlflow.entities import Metric, Param, RunTag

    client.log_batch(
        operation["run"],
        [Metric(key, value, operation["at"], step) for key, value, step in operation["metrics"]],
        [Param(key, value) for key, value in operation["params"].items()],
        [RunTag(key, value) for key, value in operation["tags"].items()],
    )
