"""What a study's run says of itself, in Markdown: what it is, what came of it, how to repeat it."""

from typing import TYPE_CHECKING

from popsearch import openings, report
from popsearch.faults import hide_secrets
from popsearch.plan import Plan

if TYPE_CHECKING:
    from popsearch.run import Result

LONGEST = 8000  # characters that MLflow takes in a tag
SPACE = 2 * "\N{NO-BREAK SPACE}"  # MLflow draws a table without any between its columns


def of_study(plan: Plan, command: str, result: "Result | None" = None, best: str = "") -> str:
    """Describe a study's run.

    Parameters
    ----------
    result
        What the study came to, once it has ended.
    best
        Where its best trial is shown; nothing where that is not known.
    """
    parts = [f"{plan.cfg.model.estimator} on {plan.table.about}: {plan.about_rows}."]
    if result is not None:
        parts += _ending(result, best)
    parts.append(f"Repeat or continue it with:\n\n    {hide_secrets(command)}\n")
    return "\n\n".join(parts)[:LONGEST]


def _ending(result: "Result", best: str) -> list[str]:
    rows = report.rows(result) if result.best_trial is not None else []
    if rows and best:
        rows.insert(1, ("best trial", f"[trial {result.best_trial}]({best})"))
    rows.append(("stopped by", result.stopped_by))
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    table = "\n".join(
        ["| | |", "|---|---|", *(f"| {label}{SPACE} | {text} |" for label, text in cells)]
    )
    told = [openings.warning(result.test_openings), *result.failures, *result.advice]
    if listed := "\n".join(f"- {line}" for line in told if line):
        return [table, listed]
    return [table]
