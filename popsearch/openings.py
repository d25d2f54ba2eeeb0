"""How often a study opened the test rows: stored before that is done, and told."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from popsearch.study import Study

Opening = Mapping[str, Any]
"""For which ``trials`` the test rows were opened, the winner first, and ``at`` what time (UTC)."""


def note(study: Study, trials: Sequence[int]) -> list[Opening]:
    """Store that the test rows are opened for these trials, and give all openings so far.

    Stored first and done then, so that none is missed where the process is killed between. The
    same trials again are what was broken off, or could not be stored: no further opening.
    """
    found = of(study)
    if all(opening["trials"] != list(trials) for opening in found):
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        found.append({"trials": list(trials), "at": now})
        study.note("test_openings", found)
    return found


def of(study: Study) -> list[Opening]:
    """Give all openings of a study, the first one first."""
    return list(study.note("test_openings") or [])


def tags(openings: Sequence[Opening]) -> dict[str, str]:
    """Give what the study's run says of them; nothing before the first."""
    if not openings:
        return {}
    return {
        "popsearch.test_openings": str(len(openings)),
        "popsearch.test_opened": _told(openings),
    }


def warning(openings: Sequence[Opening]) -> str:
    """Give what is to be said where the test rows were opened more than once."""
    if len(openings) < 2:
        return ""
    return (
        f"this study opened its test rows {len(openings)} times ({_told(openings)}): a choice "
        "between these scores would need new rows to be tested on"
    )


def _told(openings: Sequence[Opening]) -> str:
    return ", ".join(f"for trial {each['trials'][0]} at {each['at']}" for each in openings)
