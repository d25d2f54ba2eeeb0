"""The model card: what a stored model is, how good on which data, how to use and repeat it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from popsearch import openings
from popsearch.leaderboard import standings
from popsearch.plan import Plan
from popsearch.report import duration
from popsearch.study import Study

if TYPE_CHECKING:
    from popsearch.finish import TestScores

FILE = "model_card.md"


def of_winner(plan: Plan, study: Study, scores: "TestScores") -> str:
    """Give the card of a study's refitted winner."""
    best = study.best()
    assert best is not None
    row = standings.row(
        study.name, {"about": {"family": plan.cfg.model.name}, "test": vars(scores)}, study.trials()
    )
    shown = {name: f"{v:.4g}" if isinstance(v, float) else v for name, v in best.params.items()}
    what = f"{plan.cfg.model.estimator} ({plan.resource}={int(best.scores['best_resource'])})"
    counts = f"{row.n_complete} complete, {row.n_pruned} pruned, {row.n_failed} failed trials"
    return text(
        plan,
        plan.cfg.model.name,
        facts={
            "model": f"{what}, refitted on training and validation rows",
            "parameters": ", ".join(f"{name}={v}" for name, v in shown.items()) or "none searched",
            "search": f"study {study.name}, trial {best.number}: {counts}, {duration(row.time_s)}",
        },
        scores={"validation": (row.val_mse, row.val_mae, row.val_r2)},
        test=vars(scores),
        warnings=[*plan.warnings, *filter(None, [openings.warning(openings.of(study))])],
        command=study.note("command") or "",
    )


def text(
    plan: Plan,
    family: str,
    facts: Mapping[str, str],
    scores: Mapping[str, tuple[float | None, float | None, float | None]],
    test: Mapping[str, Any],
    warnings: Sequence[str],
    command: str,
) -> str:
    """Give a card as Markdown.

    Parameters
    ----------
    family
        What the model is called.
    facts
        More rows of the first table.
    scores
        MSE, MAE and R² on other rows than those of the test.
    test
        Scores on the test rows, as ``TestScores`` has them.
    command
        What was typed, and repeats it.
    """
    data, target = plan.table.name, plan.table.target
    about = {
        "data": f"{plan.table.about}; fingerprint {plan.table.fingerprint[:16]}",
        "rows": f"{plan.about_rows}, split={plan.cfg.split.name}, seed {plan.cfg.split.seed}",
        "features": f"features={plan.cfg.features.name}: {', '.join(plan.feature_names)}",
        **facts,
    }
    low = {f"test_{name}": _between(test, name) for name in ("mse", "mae", "r2")}
    figures = [
        *((name, *map(_figure, each)) for name, each in scores.items()),
        ("test", *(_figure(test.get(name)) + between for name, between in low.items())),
        ("mean predictor (test)", _figure(test.get("mean_mse")), "-", "-"),
    ]
    if test.get("floor_mse") is not None:
        figures.append(("floor: no model can beat it (test)", _figure(test["floor_mse"]), "-", "-"))
    name = f"models:/popsearch-{data}@champion"
    parts = [
        f"# {family} for {target} of {data}",
        f"Predicts `{target}` from the table's own columns, in any order; any cell may be missing.",
        _table(("", "what"), about.items()),
        "## Scores",
        _table(("rows", "MSE", "MAE", "R²"), figures),
        "In brackets: 95 % bootstrap intervals over the test rows, which no model was chosen by.",
        "## Warnings",
        "\n".join(f"- {warning}" for warning in warnings) or "None.",
        "## Columns",
        _table(("column", "may be absent"), _columns(plan)),
        "## Use",
        "As champion (else put the model's own address in its place):",
        f'```python\nimport mlflow\n\nmlflow.pyfunc.load_model("{name}").predict(rows)\n```',
        f"```\nmlflow models serve --model-uri {name} --env-manager local --port 5001\n"
        f"python -m popsearch predict model=champion data={data} "
        "input=ROWS.csv output=predictions.parquet\n```",
        "## Repeat",
        f"```\n{command}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _columns(plan: Plan) -> list[tuple[str, str]]:
    intake = plan.intake
    return [(name, "yes" if name in intake.optional else "no") for name in intake.needs]


def _table(header: Sequence[str], rows: Any) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in r) + " |" for r in lines
    )


def _between(test: Mapping[str, Any], name: str) -> str:
    low, high = test.get(f"test_{name}_low"), test.get(f"test_{name}_high")
    return "" if low is None or high is None else f" ({_figure(low)} to {_figure(high)})"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
