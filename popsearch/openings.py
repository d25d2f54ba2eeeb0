"""How often a study opened the test rows: stored before that is done, and told."""

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from popsearch.study import Study


@dataclass(frozen=True)
class Opening:
    """One time that the test rows were opened.

    Parameters
    ----------
    trials
        Those that were scored on them, the winner first.
    at
        When that was first done, in UTC as in ISO 8601.
    """

    trials: list[int]
    at: str

    def __str__(self) -> str:
        return f"for trial {self.trials[0]} at {self.at}"


def note(study: Study, trials: Sequence[int]) -> list[Opening]:
    """Store that the test rows are opened for these trials, and give all openings so far.

    Stored first and done then, so that none is missed where the process is killed between. The
    same trials again are what was broken off, or could not be stored: no further opening.
    """
    found = of(study)
    if all(opening.trials != list(trials) for opening in found):
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        found.append(Opening(list(trials), now))
        study.note("test_openings", [asdict(opening) for opening in found])
    return found


def of(study: Study) -> list[Opening]:
    """Give all openings of a study, the first one first."""
    stored: list[dict[str, Any]] = study.note("test_openings") or []
    return [Opening(**each) for each in stored]


def tags(openings: Sequence[Opening]) -> dict[str, str]:
    """Give what the study's run says of them; nothing before the first."""
    if not openings:
        return {}
    told = "; ".join(map(str, openings))
    return {"popsearch.test_openings": str(len(openings)), "popsearch.test_opened": told}


def warning(openings: Sequence[Opening]) -> str:
    """Give what is to be said where the test rows were opened more than once."""
    if len(openings) < 2:
        return ""
    return (
        f"this study opened its test rows {len(openings)} times ({'; '.join(map(str, openings))}): "
        "do not choose between these scores, or new rows are needed to test the choice"
    )
