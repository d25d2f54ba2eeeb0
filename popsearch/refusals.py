"""Hydra's refusals of what was typed, told the way popsearch tells them."""

import shlex
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from popsearch.errors import did_you_mean, quoted, setting
from popsearch.faults import hide_secrets
from popsearch.usage import GROUPS

# ValueError: a choice that is no name, a file that is not UTF-8.
REFUSALS = (HydraException, OmegaConfBaseException, YAMLError, ValueError)


def unreadable(override: str, error: Exception) -> str:
    """Give one line for an override that is not of Hydra's grammar."""
    shown = hide_secrets(override)
    key, given, value = override.partition("=")
    if not given:
        return f"{shown!r} must have the form KEY=VALUE, as in n_trials=50"
    if not isinstance(error, OverrideParseException):
        return f"{shown!r} cannot be read: {why(error)}"
    if value.startswith("["):
        names = [name.strip(" '\"") for name in value.strip("[]").split(",")]
        again = setting(key, names)
    else:
        again = shlex.quote(f"{key}={quoted(value)}")
    return (
        f"{shown!r} cannot be read: text with special characters needs quotes within quotes, as "
        f"in {hide_secrets(again)}"
    )


def describe(override: str, error: Exception, cfg: DictConfig) -> str:
    """Give one line for an override that Hydra refused.

    Parameters
    ----------
    cfg
        The configuration that it was to change.
    """
    shown = hide_secrets(override)
    name, _, value = override.partition("=")
    key = name.lstrip("+~").partition("@")[0]
    if key in GROUPS and not name.startswith("~"):
        if isinstance(error, MissingConfigException) and error.missing_cfg_file == f"{key}/{value}":
            return f"{shown}: there is no such {key}{did_you_mean(value, error.options or [])}"
        if type(error) is ValueError:
            return f"{shown}: must be one name; --help lists the names there are"
        return f"{shown}: {why(error)}"
    if key.partition(".")[0] == "hydra":
        return f"{shown}: {why(error)}"
    here: Any = cfg
    parts = key.split(".")
    for i, part in enumerate(parts):
        before = ".".join(parts[:i])
        if not isinstance(here, DictConfig):
            return f"{before} is a single value or a list and has no {part}; give {before}=..."
        if part not in here:
            known = list(dict.fromkeys([*map(str, here), *(GROUPS if i == 0 else ())]))
            return f"{'.'.join(parts[: i + 1])} is not a setting{did_you_mean(part, known)}"
        here = here[part]
    if name.startswith("~"):
        return f"{shown}: {key} cannot be removed; give it another value, {key}=..."
    if name.startswith("+"):
        return f"{shown}: {key} is there already; leave out the plus sign"
    return f"{shown}: {why(error)}"


def why(error: Exception) -> str:
    """Give the reason in one line, with file and line where they are known."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"{mark.name} is not YAML: {error.problem} in line {mark.line + 1}"
    if isinstance(error, UnicodeDecodeError):
        return "its file must be UTF-8 text"
    if isinstance(error, MissingConfigException):
        missing = error.missing_cfg_file or ""
        hint = did_you_mean(missing.rpartition("/")[2], error.options or [])
        return f"there is no {missing}.yaml{hint}"
    return hide_secrets(_first_line(error))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
