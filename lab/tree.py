"""YAML text -> plain values that know where they were written.

YAML 1.2 (`5e-4` is a number, `no` a text, a repeated key a mistake). Every value and every key
keeps its place, so that whatever is found wrong later can be shown as file:line:column, or as the
override it came from.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Keys = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_OVERRIDE_KEY = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*|\[\d+\])*")


@dataclass(frozen=True)
class Place:
    """Where something was written: line and column of a file, counted from 1, or an override."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    @property
    def order(self) -> tuple[bool, int, int]:
        """Sorts the file's places by line and column, and overrides after them."""
        return (self.line == 0, self.line, self.column)


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong, and where."""

    place: Place
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


@dataclass
class Tree:
    """Nested dicts, lists and scalars; the places of values and of keys; the mistakes so far."""

    source: str
    values: dict[str, Any] = field(default_factory=dict)
    value_places: dict[Keys, Place] = field(default_factory=dict)
    key_places: dict[Keys, Place] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def place_of(self, keys: Keys, *, key: bool = False) -> Place:
        """The place of the value at `keys` (or of its key), else of the nearest thing around it."""
        if not key and keys in self.value_places:
            return self.value_places[keys]
        for length in range(len(keys), 0, -1):
            if place := self.key_places.get(keys[:length]) or self.value_places.get(keys[:length]):
                return place
        return Place(self.source, 1, 1)


def dotted(keys: Keys) -> str:
    """`("cfg", "prompts", 0)` as the user writes it: `cfg.prompts[0]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def parse(text: str, source: str) -> Tree:
    """Read one YAML document that is a mapping. What is wrong with it is in `tree.mistakes`."""
    tree = Tree(source)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source, 1, 1)
        problem = str(error.problem or error.context or "it cannot be parsed")
        tree.mistakes.append(Mistake(place, f"not valid YAML: {problem.splitlines()[0].strip()}"))
        return tree
    except YAMLError as error:
        problem = str(error).splitlines()[0].strip()
        tree.mistakes.append(Mistake(Place(source, 1, 1), f"not valid YAML: {problem}"))
        return tree
    if node is None or (isinstance(node, ScalarNode) and node.tag == _TAG + "null"):
        return tree
    if not isinstance(node, MappingNode):
        sentence = (
            "the file should be a mapping of sections, such as `cfg:` with its settings below"
        )
        tree.mistakes.append(Mistake(_place(node, source), sentence))
        return tree
    tree.values = _Reader(tree).value(node, ())
    return tree


def override(tree: Tree, text: str) -> None:
    """Apply `section.setting=value` to the tree, the value being YAML. Sections are made as needed.

    A value that is not YAML, or only by accident (`a cat: asleep`, `[filewords] by [name]`), is
    text.
    """
    place = Place(f"override {text}")
    name, equals, value = text.partition("=")
    if not equals or not _OVERRIDE_KEY.fullmatch(name):
        tree.mistakes.append(
            Mistake(place, "this is not section.setting=value, such as cfg.seed=1 (without spaces)")
        )
        return
    keys: Keys = tuple(
        int(part) if part.isdigit() else part for part in re.findall(r"[A-Za-z_][\w-]*|\d+", name)
    )
    container = _container(tree, keys, place)
    if container is None:
        return
    for places in (tree.value_places, tree.key_places):
        for known in [known for known in places if known[: len(keys)] == keys]:
            del places[known]
        places[keys] = place
    container[keys[-1]] = _override_value(value)


def _container(tree: Tree, keys: Keys, place: Place) -> Any:
    """The mapping or list that holds `keys[-1]`, made where absent; None after noting a mistake."""
    container: Any = tree.values
    for depth, key in enumerate(keys):
        if problem := _cannot_hold(container, key):
            where = dotted(keys[:depth])
            tree.mistakes.append(Mistake(place, f"{where} {problem}; set it whole: {where}=..."))
            return None
        if depth == len(keys) - 1:
            return container
        inner = container[key] if isinstance(key, int) else container.get(key)
        if inner is None and isinstance(keys[depth + 1], str):
            inner = container[key] = {}
            tree.key_places.setdefault(keys[: depth + 1], place)
        container = inner
    return None


def _cannot_hold(container: Any, key: str | int) -> str | None:
    """Why nothing can be set at `key` in a value; None where it can."""
    if container is None:
        kind = "not set"
    elif isinstance(container, list):
        kind = f"a list of {len(container)}"
    else:
        kind = "a mapping" if isinstance(container, dict) else "a single value"
    if isinstance(key, int):
        fits = isinstance(container, list) and key < len(container)
        return None if fits else f"is {kind} here, without an item [{key}] (they count from 0)"
    return None if isinstance(container, dict) else f"is {kind} here, not a mapping"


def _override_value(text: str) -> Any:
    """The YAML value of an override; its plain text where YAML would surprise."""
    if not text.strip():
        return text
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except YAMLError:
        return text
    if isinstance(node, ScalarNode):
        plain_text = node.style is None and node.tag == _TAG + "str"  # ` #1` would be a comment
        reader = _Reader(Tree(""))
        value = text if plain_text else reader.value(node, ())
        return text if reader.tree.mistakes else value
    if node is None or not node.flow_style:
        return text
    reader = _Reader(Tree(""))
    value = reader.value(node, ())
    return text if reader.tree.mistakes else value


def _place(node: Node, source: str) -> Place:
    return Place(source, node.start_mark.line + 1, node.start_mark.column + 1)


class _Reader:
    """Turns nodes into values, and notes places and mistakes in a tree as it goes."""

    def __init__(self, tree: Tree):
        self.tree = tree
        self._constructor = YAML(typ="safe", pure=True).constructor
        self._open: set[int] = set()

    def value(self, node: Node, keys: Keys) -> Any:
        if node.start_mark.index < node.end_mark.index:  # nothing is written nowhere
            self.tree.value_places[keys] = _place(node, self.tree.source)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if node.tag not in (_TAG + "seq", _TAG + "map"):
            return self._unknown_tag(node)
        if id(node) in self._open:
            return self._mistake(node, f"{dotted(keys)} contains itself")
        self._open.add(id(node))
        if isinstance(node, SequenceNode):
            value: Any = [self.value(item, (*keys, i)) for i, item in enumerate(node.value)]
        else:
            value = self._mapping(node, keys)
        self._open.discard(id(node))
        return value

    def _mapping(self, node: Node, keys: Keys) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._mistake(key_node, "a key should be a word, not a list or a mapping")
                continue
            inner = (*keys, key_node.value)
            if key_node.value in values:
                first = self.tree.key_places[inner]
                sentence = f"{dotted(inner)} is written twice, first on line {first.line}"
                self._mistake(key_node, sentence)
                continue
            self.tree.key_places[inner] = _place(key_node, self.tree.source)
            values[key_node.value] = self.value(value_node, inner)
        return values

    def _scalar(self, node: ScalarNode) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind in (
            "str",
            "timestamp",
        ):  # no setting is a date: 2024-05-01 is a name like any other
            return node.value
        if kind not in ("null", "bool", "int", "float"):
            return self._unknown_tag(node)
        try:
            return self._constructor.construct_object(node)
        except (ValueError, YAMLError):
            return node.value

    def _unknown_tag(self, node: Node) -> None:
        self._mistake(node, f"the YAML tag {node.tag} means nothing here; remove it")

    def _mistake(self, node: Node, sentence: str) -> None:
        self.tree.mistakes.append(Mistake(_place(node, self.tree.source), sentence))


def read_text(path: Path) -> str:
    """The file's text, UTF-8 with or without a byte order mark."""
    return path.read_bytes().decode("utf-8-sig")
