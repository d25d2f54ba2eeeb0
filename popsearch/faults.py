"""pydantic's faults, told the way popsearch tells them: where, what must hold, what came."""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from popsearch.errors import did_you_mean


def describe(fault: Mapping[str, Any], values: Mapping[str, Any], schema: type[BaseModel]) -> str:
    """Give one line for one entry of ``ValidationError.errors()``."""
    kind, came, loc = fault["type"], fault["input"], fault["loc"]
    where = ".".join(_path(fault, values)) or "the configuration"
    if kind == "extra_forbidden":
        return f"{where} is not a setting{did_you_mean(str(loc[-1]), _settings(loc[:-1], schema))}"
    if kind == "missing":
        return f"{where} is required; give {where}=..."
    if kind == "value_error":
        return f"{where}: {fault['ctx']['error']}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = fault["ctx"]["discriminator"].strip("'")
        if kind == "union_tag_not_found":
            return f"{where}.{tag} is required; give {where}.{tag}=..."
        known = [name.strip(" '") for name in fault["ctx"]["expected_tags"].split(",")]
        hint = did_you_mean(fault["ctx"]["tag"], known)
        return f"{where}.{tag} cannot be {fault['ctx']['tag']!r}{hint}"
    must = fault["msg"].removeprefix("Input should be ").removeprefix("Input should have ")
    must = must if must == fault["msg"] else must[0].lower() + must[1:]
    return f"{where} must be {must}, but got {came!r}"


def _path(fault: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Give the key as a user would type it: pydantic puts the tags of unions in between."""
    path: list[str] = []
    here: Any = values
    for part in fault["loc"]:
        if isinstance(here, Mapping) and part not in here and fault["type"] != "missing":
            continue
        path.append(str(part))
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            # A missing key is last in its path; a tag before it is not a key either.
            if part != fault["loc"][-1]:
                path.pop()
    return path


def _settings(loc: tuple[int | str, ...], schema: type[BaseModel]) -> list[str]:
    """Give the names of the settings that the section at ``loc`` has."""
    sections, keyed = [schema], False
    for part in loc:
        if keyed or isinstance(part, int):  # a free key of a dict, or a place in a list
            keyed = False
        elif len(sections) > 1:  # the tag of a union
            sections = [s for s in sections if part in _tags(s)]
        else:
            annotation = sections[0].model_fields[part].annotation
            sections, keyed = _sections(annotation), get_origin(annotation) is dict
    return [name for section in sections for name in section.model_fields]


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [s for part in get_args(annotation) for s in _sections(part)]


def _tags(section: type[BaseModel]) -> set[Any]:
    fields = section.model_fields.values()
    return {tag for field in fields for tag in get_args(field.annotation)}
