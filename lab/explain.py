"""A model of settings as a page of help, and the experiment file as a JSON schema for editors."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import PydanticUndefined, to_jsonable_python

from lab import wording
from lab.errors import UserError

_WIDTH = 96


def explain(model: type[BaseModel], section: str) -> str:
    """Each setting of a section with its kind, default and meaning.

    `section` may go deeper, as in `cfg.video` or `cfg.video.fps`: then only that is explained.

    Raises:
        UserError: when there is no such setting.
    """
    top, *rest = section.split(".")
    prefix, inner = top, model
    for depth, key in enumerate(rest):
        fields = wording.settings(inner)
        if key not in fields:
            close = wording.suggest(key, list(fields))
            hint = f"did you mean {prefix}.{close}?" if close else f"it has {', '.join(fields)}"
            raise UserError(f"{prefix}.{key} is not a setting of {prefix}; {hint}")
        nested = _nested(fields[key])
        if nested is None or depth == len(rest) - 1:
            remaining = rest[depth + 1 :]
            if remaining:
                raise UserError(f"{prefix}.{key} is a single value; it has no {remaining[0]}")
            return _setting(f"{prefix}.{key}", fields[key])
        prefix, inner = f"{prefix}.{key}", nested[0]
    lines = [f"{prefix}: {wording.first_sentence(inner.__doc__ or '')}.", ""]
    lines += [_setting(f"{prefix}.{key}", info) for key, info in wording.settings(inner).items()]
    return "\n".join(lines).rstrip() + "\n"


def _nested(annotation: Any) -> tuple[type[BaseModel], str] | None:
    """The settings inside a value, and what stands between its name and theirs: `[i]` in a list,
    `.NAME` in a mapping with names of the user's own."""
    for member in wording.members(annotation):
        if wording.is_section(member):
            return member, ""
        if get_origin(member) in (list, tuple) and (inner := _nested(get_args(member)[0])):
            return inner[0], f"[i]{inner[1]}"
        if get_origin(member) is dict and (inner := _nested(get_args(member)[1])):
            return inner[0], f".NAME{inner[1]}"
    return None


def _setting(name: str, info: Any) -> str:
    """One setting, and those below it if it is a mapping."""
    lines = [f"{name}  {_kind(info)}"]
    lines += textwrap.wrap(
        " ".join((info.description or "").split()),
        _WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
    )
    text = "\n".join(lines) + "\n"
    if nested := _nested(info):
        model, between = nested
        inner = [
            _setting(f"{name}{between}.{key}", field)
            for key, field in wording.settings(model).items()
        ]
        text += "\n" + "\n".join(inner).rstrip() + "\n"
    return text


def _kind(info: Any) -> str:
    described = wording.describe(info)
    default = info.get_default(call_default_factory=not info.default_factory_takes_validated_data)
    if default is PydanticUndefined:
        return f"({described}; required)"
    if isinstance(default, BaseModel) and len(wording.members(info)) == 1:
        return f"({described})"  # each of its settings says its own default
    value = json.dumps(to_jsonable_python(default, by_alias=True), ensure_ascii=False)
    return f"({described}; default {value})"


def json_schema(models: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The schema of the experiment file: `name`, and one property for each section."""
    references, definitions = models_json_schema(
        [(model, "validation") for model in models.values()], by_alias=True
    )
    properties: dict[str, Any] = {
        "name": {
            "type": "string",
            "description": "Names the folder under outputs/; the file's stem if absent.",
        }
    }
    for section, model in models.items():
        properties[section] = {
            "anyOf": [references[model, "validation"], {"type": "null"}],
            "description": wording.first_sentence(model.__doc__ or section) + ".",
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An experiment",
        "description": "One section for each job that is wanted; they run in this order.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": definitions.get("$defs", {}),
    }
