"""conf/experiment/: every recipe says what it takes and comes to, and runs as it is."""

import re
from pathlib import Path

import pytest

from popsearch.usage import CONF
from programs import typed
from track_files import written

RECIPES = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
SHORT = {
    "catalogue": ["n_trials=2"],
    "deck": ["deck.max_epochs=2"],
    "families": ["n_trials=1"],
    "mlp_wide": ["n_trials=2", "model.steps.budget=2"],
    "nightly": ["n_trials=2", "timeout=60"],
    "quick": ["n_trials=2", "data.rows=300"],
}
"""What makes a recipe short; one that is not here has to get along with two trials."""
N_STUDIES = {"deck": 8, "families": 8, "nightly": 3}


def command(recipe: str) -> list[str]:
    """Give the command that a recipe opens with, as words."""
    (line,) = re.findall(r"^# +python -m popsearch (.*)$", text(recipe), re.MULTILINE)
    return line.split()


def text(recipe: str) -> str:
    """Give the file of a recipe."""
    return (CONF / "experiment" / f"{recipe}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_opens_with_its_command_its_time_and_its_score(recipe: str) -> None:
    """The command names the recipe; time and score are measured figures on two cores."""
    opening = text(recipe).partition("\n\n")[0].replace("\n#", " ")
    assert f"experiment={recipe}" in command(recipe)
    assert re.search(r"\d+ (s|min|h)\b.* on two cores", opening), opening
    assert re.search(r"test MSE \d+\.\d\d", opening), opening


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs(recipe: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own command, with less to do, ends with a tested winner of every study."""
    words = [word for word in command(recipe) if not word.startswith(("data=", "data.path="))]
    if recipe != "quick":
        words += ["data=tracks", f"data.path={written(workdir, 400)}"]
    assert typed(*words, *SHORT.get(recipe, ["n_trials=2"])) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^test {2,}MSE", out, re.MULTILINE)) == N_STUDIES.get(recipe, 1), out
