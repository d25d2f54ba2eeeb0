"""pydantic's faults, told the way popsearch tells them: where, what must hold, what came."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from popsearch.errors import did_you_mean

_MUST = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a group of settings, {{NAME: VALUE, ...}}",
    "model_type": "a group of settings, {{NAME: VALUE, ...}}",
    "model_attributes_type": "a group of settings, {{NAME: VALUE, ...}}",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "of the form {pattern}",
    "literal_error": "{expected}",
}
_SCALAR = "a single value: a number, text, true, false or null"


def tell(
    errors: Iterable[Mapping[str, Any]], values: Mapping[str, Any], schema: type[BaseModel]
) -> dict[str, str]:
    """Give one line for each faulty key, by that key, from ``ValidationError.errors()``."""
    lines: dict[str, str] = {}
    for fault in errors:
        where = ".".join(_path(fault, values))
        if where in lines:  # one fault for each type that a scalar may have
            lines[where] = f"{where} must be {_SCALAR}, but got {_shown(fault['input'])}"
        else:
            lines[where] = _line(fault, where or "the configuration", schema)
    return lines


def hide_secrets(text: str) -> str:
    """Give a text with the names and passwords of its addresses made unreadable."""
    text = re.sub(r"://[^\s'\"]*@", "://***@", text)
    return re.sub(r"((?:password|passwd|pwd|token|secret)=)[^&\s'\"]*", r"\1***", text)


def _line(fault: Mapping[str, Any], where: str, schema: type[BaseModel]) -> str:
    kind, loc = fault["type"], fault["loc"]
    context = {k: f"{v:g}" if type(v) is float else v for k, v in fault.get("ctx", {}).items()}
    if kind == "extra_forbidden":
        return f"{where} is not a setting{did_you_mean(str(loc[-1]), _settings(loc[:-1], schema))}"
    if kind == "missing":
        return f"{where} is required; give {where}=..."
    if kind == "value_error":
        return f"{where}: {context['error']}"
    if kind == "union_tag_not_found":
        tag = context["discriminator"].strip("'")
        return f"{where}.{tag} is required; give {where}.{tag}=..."
    if kind == "union_tag_invalid":
        tag = context["discriminator"].strip("'")
        known = [name.strip(" '") for name in context["expected_tags"].split(",")]
        return f"{where}.{tag} cannot be {context['tag']!r}{did_you_mean(context['tag'], known)}"
    if kind == "too_short":
        return f"{where} must have at least {context['min_length']} entry, but has none"
    must = _MUST[kind].format(**context) if kind in _MUST else _plain(fault["msg"])
    return f"{where} must be {must}, but got {_shown(fault['input'])}"


def _plain(message: str) -> str:
    text = message.removeprefix("Input should be ").replace("valid integer", "whole number")
    return text[:1].lower() + text[1:]


def _shown(value: Any) -> str:
    text = "null" if value is None else hide_secrets(repr(value))
    return text if len(text) <= 80 else text[:77] + "..."


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
            if part != fault["loc"][-1] or fault["type"] != "missing":
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
