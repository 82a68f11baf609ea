"""What a setting may be, and what is wrong with one, in words a user can act on.

pydantic says precisely what failed, but for each member of a union and in its own vocabulary; here
that becomes one sentence per mistake, in the vocabulary of the experiment file.
"""

import difflib
import json
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Union

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from lab.tree import Keys, dotted

_PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_PLURALS = {"a whole number": "whole numbers", "a number": "numbers", "text": "texts"}
_BOUNDS = (("ge", "of at least"), ("gt", "above"), ("le", "of at most"), ("lt", "below"))


def suggest(word: str, candidates: Sequence[str]) -> str | None:
    """The candidate that `word` was probably meant to be."""
    close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return close[0] if close else None


def or_list(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def name_in_file(name: str, info: FieldInfo) -> str:
    """The key that stands for a field in the experiment file."""
    return info.alias or name


def settings(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the key that stands for them in the experiment file."""
    return {name_in_file(name, info): info for name, info in model.model_fields.items()}


def is_section(annotation: Any) -> bool:
    """Whether an annotation is a pydantic model, that is, a mapping of settings."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def members(annotation: Any) -> list[Any]:
    """The alternatives of an annotation or field; the annotation itself if it is no union."""
    if isinstance(annotation, FieldInfo):
        return members(annotation.annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        inner = members(annotation.__origin__)
        return inner if len(inner) > 1 else [annotation]
    if origin in (Union, types.UnionType):
        return [part for member in typing.get_args(annotation) for part in members(member)]
    return [annotation]


def describe(annotation: Any) -> str:
    """What a value should be, such as `a list of numbers or a mapping with from, to, step`."""
    parts = [_describe_member(member) for member in members(annotation)]
    words = or_list(list(dict.fromkeys(parts)))
    return words + _constraints(annotation) if isinstance(annotation, FieldInfo) else words


def _describe_member(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _describe_member(annotation.__origin__) + _constraints(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if annotation in (None, type(None)):
        return "null"
    if origin is Literal:
        return or_list([str(argument) for argument in arguments])
    if is_section(annotation):
        names = list(settings(annotation))
        return "a mapping with " + ", ".join(names) if len(names) <= 5 else "a mapping of settings"
    if origin is dict or annotation is dict:
        return "a mapping"
    if origin in (list, tuple, set, frozenset, Sequence) and arguments:
        if origin is tuple and Ellipsis not in arguments:
            if len(set(arguments)) == 1:
                return f"a list of {len(arguments)} {_plural(arguments[0])}"
            return "a list of " + ", then ".join(describe(argument) for argument in arguments)
        return f"a list of {_plural(arguments[0])}"
    return "a list" if annotation in (list, tuple, set) else getattr(annotation, "__name__", "set")


def _plural(annotation: Any) -> str:
    words = describe(annotation)
    for single, plural in _PLURALS.items():
        if words.startswith(single) and " or " not in words:
            return plural + words.removeprefix(single)
    return f"items, each {words}"


def _constraints(annotation: Any) -> str:
    """The bounds that pydantic checks, from a field's or an Annotated type's metadata."""
    metadata = annotation.metadata if isinstance(annotation, FieldInfo) else annotation.__metadata__
    flat = [
        m for item in metadata for m in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]
    bounds = {
        bound: str(value) if isinstance(value, int) else f"{value:g}"
        for item in flat
        for bound, _ in _BOUNDS
        if isinstance(value := getattr(item, bound, None), int | float)
    }
    if bounds.keys() == {"ge", "le"}:
        words = [f"from {bounds['ge']} to {bounds['le']}"]
    else:
        words = [f"{phrase} {bounds[bound]}" for bound, phrase in _BOUNDS if bound in bounds]
    for item in flat:
        if (step := getattr(item, "multiple_of", None)) is not None:
            words.append(f"divisible by {step:g}")
        if least := getattr(item, "min_length", None):
            words.append("that is not empty" if least == 1 else f"of length {least} or more")
        if (most := getattr(item, "max_length", None)) is not None:
            words.append(f"of length {most} or less")
    return (" " + " and ".join(words)) if words else ""


def show(value: Any) -> str:
    """A value as the user wrote it, shortened."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= 40:
        return text
    return {dict: "this mapping", list: "this list"}.get(type(value), text[:37] + "...")


def mistakes(
    error: ValidationError, section: str, model: type[BaseModel], values: Any
) -> Iterator[tuple[Keys, bool, str]]:
    """Each mistake once: (keys, whether it is the key that is wrong, sentence)."""
    found: dict[tuple[Keys, str], bool] = {}
    items = error.errors(include_url=False)
    for item in items:
        if item["type"] == "too_short" and any(_inside_of(item, other) for other in items):
            continue  # of a list with a mistake in it pydantic says that it is empty, too
        spot = _follow(model, item["loc"], values)
        if spot is None:
            continue
        keys, annotation, misfit = spot
        kind = "misfit" if misfit else item["type"]
        if kind == "missing" and isinstance(keys[-1], int):  # a list of fixed length is too short
            keys, kind = keys[:-1], "misfit"
            annotation = _annotation_at(model, keys, values)
        whole = (section, *keys)
        of_mapping = kind == "value_error" and isinstance(item["input"], dict)
        sentence = _sentence(kind, whole, annotation, item, values, model)
        found[whole, sentence] = kind == "extra_forbidden" or of_mapping
    if not found:  # every alternative of some union was set aside: say what pydantic says
        for item in items:
            keys = tuple(key for key in item["loc"])
            found[(section,), f"{dotted((section, *keys))}: {item['msg']}"] = False
    for (keys, sentence), at_key in found.items():
        yield keys, at_key, sentence


def _inside_of(outer: Any, inner: Any) -> bool:
    """Whether a mistake is inside the value that another one is about."""
    depth = len(outer["loc"])
    return len(inner["loc"]) > depth and inner["loc"][:depth] == outer["loc"]


def _follow(model: type[BaseModel], loc: Keys, values: Any) -> tuple[Keys, Any, bool] | None:
    """Walk a pydantic location: (keys without union tags, annotation there, no alternative fits).

    None when the location is inside an alternative that the value was not meant to be.
    """
    annotation: Any = model
    value, rest = values, list(loc)
    keys: Keys = ()
    while rest:
        alternatives = [m for m in members(annotation) if m not in (None, type(None))]
        if len(alternatives) > 1:
            fitting = [member for member in alternatives if _has_shape(member, value)]
            if len(fitting) != 1:
                return keys, annotation, True
            if not _is_tag_of(fitting[0], str(rest.pop(0))):
                return None
            annotation = fitting[0]
            continue
        key = rest.pop(0)
        annotation = _inside(alternatives[0], key) if alternatives else None
        keys, value = (*keys, key), _at(value, (key,))
    return keys, annotation, False


def _annotation_at(model: type[BaseModel], keys: Keys, values: Any) -> Any:
    spot = _follow(model, keys, values)
    return spot[1] if spot else None


def _has_shape(member: Any, value: Any) -> bool:
    """Whether `value` was meant to be `member`, judged by being a mapping or a list."""
    if isinstance(value, dict):
        return is_section(_bare(member)) or typing.get_origin(_bare(member)) is dict
    return isinstance(value, list) and typing.get_origin(_bare(member)) in (list, tuple, set)


def _is_tag_of(member: Any, tag: str) -> bool:
    """Whether pydantic's union tag, such as `list[float]` or `Range`, stands for `member`."""
    bare = _bare(member)
    if is_section(bare):
        return tag == bare.__name__ or f", {bare.__name__}]" in tag
    return f"{getattr(typing.get_origin(bare), '__name__', '')}[" in tag


def _bare(annotation: Any) -> Any:
    return (
        annotation.__origin__ if typing.get_origin(annotation) is typing.Annotated else annotation
    )


def _inside(annotation: Any, key: str | int) -> Any:
    """The annotation of what stands at `key` in a value of this annotation."""
    bare = _bare(annotation)
    if is_section(bare):
        return settings(bare).get(str(key))
    arguments = typing.get_args(bare)
    if typing.get_origin(bare) is dict:
        return arguments[1]
    if typing.get_origin(bare) is tuple and Ellipsis not in arguments and isinstance(key, int):
        return arguments[key] if key < len(arguments) else None
    return arguments[0] if arguments else None


def _sentence(
    kind: str, keys: Keys, annotation: Any, item: Any, values: Any, model: type[BaseModel]
) -> str:
    where = dotted(keys)
    if kind == "extra_forbidden":
        return f"{where} is not a setting" + _hint(keys, model, values)
    if kind == "missing":
        meaning = getattr(annotation, "description", None)
        return f"{where} is missing" + (f": {first_sentence(meaning)}" if meaning else "")
    if kind in ("value_error", "assertion_error"):
        message = str(item.get("ctx", {}).get("error", "")) or item["msg"]
        return message if message.startswith(where) else f"{where}: {message}"
    value = _at(values, keys[1:]) if kind == "misfit" else item["input"]
    if annotation is None:
        return f"{where}: {item['msg']}"
    sentence = f"{where} should be {describe(annotation)}, not {show(value)}"
    alternatives = members(annotation)
    choices = [str(c) for m in alternatives if typing.get_origin(m) is Literal for c in m.__args__]
    if isinstance(value, str) and (close := suggest(value, choices)):
        return f"{sentence}; did you mean {close}?"
    if alternatives[0] is str and isinstance(value, bool | int | float):
        return f"{sentence}; put it in quotes"
    return sentence


def _hint(keys: Keys, model: type[BaseModel], values: Any) -> str:
    """Which setting an unknown one was probably meant to be, or those there are."""
    spot = _owner(model, keys[1:-1], values)
    if spot is None:
        return ""
    here, wrong = list(settings(spot)), str(keys[-1])
    if close := suggest(wrong, here):
        return f"; did you mean {close}?"
    for path in _all_settings(model, keys[:1]):  # right word, wrong level
        if path[-1] == wrong:
            return f"; did you mean {dotted(path)}?"
    return f"; {dotted(keys[:-1])} has " + (", ".join(here) if here else "no settings")


def _owner(model: type[BaseModel], keys: Keys, values: Any) -> type[BaseModel] | None:
    """The model of the mapping at `keys`, where it is plain which one is meant."""
    annotation: Any = model
    for key in (*keys, None):
        fitting = [m for m in members(annotation) if m not in (None, type(None))]
        if len(fitting) > 1:
            fitting = [m for m in fitting if _has_shape(m, values)]
        if len(fitting) != 1:
            return None
        annotation = fitting[0]
        if key is not None:
            annotation, values = _inside(annotation, key), _at(values, (key,))
    return _bare(annotation) if is_section(_bare(annotation)) else None


def _at(values: Any, keys: Keys) -> Any:
    """The value at `keys`; None where there is none."""
    for key in keys:
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _all_settings(model: type[BaseModel], prefix: Keys) -> Iterator[Keys]:
    for name, info in settings(model).items():
        yield (*prefix, name)
        for member in members(info):
            if is_section(_bare(member)):
                yield from _all_settings(_bare(member), (*prefix, name))


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line and without its full stop."""
    return " ".join(text.split()).split(". ")[0].rstrip(".")
