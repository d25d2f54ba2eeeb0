"""What the run of a trial is called, and what it says of itself."""

import json
import re
import shlex

from popsearch.space import Params


def name(number: int, study: str) -> str:
    """Give a name that sorts, and says of which family it is where all of them are listed."""
    family = "".join(study.rsplit("-", 2)[1:2]) or "trial"
    return f"{family} {number:04d}"


def description(number: int, study: str, params: Params) -> str:
    """Give, in Markdown, whose trial it is and what to type to train its parameters again.

    That is for another search, which decides on validation rows by itself: a command for this
    trial alone would open the test rows for it.
    """
    whose = f"Trial {number} of {study}, whose run has the command that repeats both."
    if not params:
        return whose
    given = ", ".join(f"{key}: {_typed(value)}" for key, value in params.items())
    word = shlex.quote(f"model.known_good=[{{{given}}}]")
    return f"{whose}\n\nTo begin another search with its parameters, add\n\n    {word}\n"


def _typed(value: object) -> str:
    """Give a value as Hydra reads it on a command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    plain = not isinstance(value, str) or re.fullmatch(r"\w+", value)
    return str(value) if plain else json.dumps(value)
