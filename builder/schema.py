# SPDX-License-Identifier: MIT
"""YAML in, frozen dataclasses out, with the file and line of every mistake.

The dataclass is the schema: its fields are the keys that a file may have, their types are what the
values must be, their defaults stand nowhere else. Text is taken as written (`version: 1.10` in a `str`
field is "1.10", `no` is "no"), so nothing has to be quoted because YAML would guess.

Types understood: str, int, float, bool, Path, Literal, StrEnum, `X | None`, `str | Dataclass` and the
like (distinguished by the form of the value), `tuple[X, ...]`, `Mapping[str, X]`, dataclasses.

A field declared `field(metadata=FROM_KEY)` takes the key under which its object is in a mapping.
A field named `where` takes "file:line" of the object, for checks that need to point at it.
A dataclass checks itself in `__post_init__`: the text of a ValueError is reported with the object's line.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from builder import yaml_text
from builder.errors import InputError, Problem

T = TypeVar("T")

FROM_KEY: Mapping[str, object] = types.MappingProxyType({"from_key": True})
WHERE = "where"

_FORMS = {yaml.ScalarNode: "a value", yaml.SequenceNode: "a list", yaml.MappingNode: "a mapping"}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class _Wrong(Exception):
    """A value does not fit; its Problem is already noted."""


def load(path: Path, kind: type[T]) -> T:
    """Read the YAML file `path` as `kind` (a dataclass, or `dict[str, Dataclass]`).

    Raises:
        InputError: the file cannot be read or does not fit, with every mistake in it.
    """
    reader = Reader()
    value = reader.read(path, kind)
    reader.check()
    assert value is not None
    return value


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the word of `words` that `word` was probably meant to be."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return near[0] if near else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a hint for a wrong `word`: the nearest of `words` if there is one, and all of them."""
    valid = list(words)
    near = nearest(word, valid)
    listed = f"one of {', '.join(valid)}"
    return f"did you mean {near}? ({listed})" if near else listed


def show_path(path: Path) -> str:
    """Return `path` as a message shows it: relative where it is below the current folder."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class Reader:
    """Reads files and collects what is wrong in all of them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def check(self) -> None:
        """Raise InputError with all problems noted so far, if there are any."""
        if self.problems:
            raise InputError(problems=self.problems)

    def read(self, path: Path, kind: type[T], text: str | None = None) -> T | None:
        """Read one file; None when something in it is wrong (then `problems` says what).

        Args:
            text: what the file is about to hold; None: what it holds.
        """
        shown = show_path(path)
        where, node = shown, None
        try:
            node = yaml_text.compose(path.read_text(encoding="utf-8") if text is None else text)
            message = "the file is empty"
        except OSError as error:
            message = (error.strerror or str(error)).lower()
        except UnicodeDecodeError:
            message = "not UTF-8 text"
        except yaml.YAMLError as error:
            line, reason = yaml_text.fault(error)
            where, message = f"{shown}:{line}", f"not YAML: {reason}"
        if node is None:
            self.problems.append(Problem(where=where, message=message))
            return None
        before = len(self.problems)
        try:
            value = _Converter(self, shown).convert(node, kind, "")
        except _Wrong:
            return None
        return typing.cast("T", value) if len(self.problems) == before else None


@dataclasses.dataclass(slots=True)
class _Converter:
    """Turns the nodes of one file into values of a type."""

    reader: Reader
    file: str

    def where(self, node: yaml.Node) -> str:
        """Return "file:line" of a node."""
        return f"{self.file}:{node.start_mark.line + 1}"

    def wrong(self, node: yaml.Node, message: str, hint: str | None = None) -> _Wrong:
        """Note a problem at `node`; the caller raises what this returns, or goes on."""
        self.reader.problems.append(Problem(where=self.where(node), message=message, hint=hint))
        return _Wrong()

    # `label` is the way to the value, as messages name it: "epel-9: gpgkeys: fingerprint".

    def convert(self, node: yaml.Node, kind: Any, label: str) -> Any:
        """Return the value of `node` as `kind`; a mistake is noted and _Wrong raised."""
        origin = typing.get_origin(kind)
        if origin in (Union, types.UnionType):
            return self.convert_union(node, typing.get_args(kind), label)
        if origin is tuple:
            return self.convert_list(node, typing.get_args(kind)[0], label)
        if origin is not None and origin is not Literal and issubclass(origin, Mapping):
            return self.convert_mapping(node, typing.get_args(kind)[1], label)
        if dataclasses.is_dataclass(kind):
            return self.convert_object(node, typing.cast("type", kind), label)
        return self.convert_scalar(node, kind, label)

    def convert_union(self, node: yaml.Node, kinds: tuple[Any, ...], label: str) -> Any:
        if _is_null(node) and types.NoneType in kinds:
            return None
        rest = [kind for kind in kinds if kind is not types.NoneType]
        for kind in rest:
            if isinstance(node, _form_of(kind)):
                return self.convert(node, kind, label)
        return self.convert(node, rest[0], label)

    def convert_list(self, node: yaml.Node, kind: Any, label: str) -> tuple[Any, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.wrong(node, f"{_prefix(label)}expected a list, found {_FORMS[type(node)]}")
        return tuple(self.convert_all((child, kind, label) for child in node.value))

    def convert_all(self, items: Iterable[tuple[yaml.Node, Any, str]]) -> list[Any]:
        """Convert every item before giving up, so that all mistakes are reported at once."""
        values, failed = [], False
        for node, kind, label in items:
            try:
                values.append(self.convert(node, kind, label))
            except _Wrong:
                failed = True
        if failed:
            raise _Wrong
        return values

    def pairs(self, node: yaml.Node, label: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        """Return (key, key node, value node) of a mapping; a key given twice is a mistake."""
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(node, f"{_prefix(label)}expected a mapping, found {_FORMS[type(node)]}")
        seen: dict[str, yaml.Node] = {}
        found: list[tuple[str, yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.wrong(key, f"{_prefix(label)}a key must be text")
            if key.value in seen:
                line = seen[key.value].start_mark.line + 1
                self.wrong(key, f'{_prefix(label)}"{key.value}" is given twice (first in line {line})')
            seen[key.value] = key
            found.append((key.value, key, value))
        return found

    def convert_mapping(self, node: yaml.Node, kind: Any, label: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        failed = False
        for key, key_node, child in self.pairs(node, label):
            inner = _join(label, key)
            try:
                if dataclasses.is_dataclass(kind):
                    row = typing.cast("type", kind)
                    found[key] = self.convert_object(child, row, inner, key_node=key_node)
                else:
                    found[key] = self.convert(child, kind, inner)
            except _Wrong:
                failed = True
        if failed:
            raise _Wrong
        return found

    def convert_object(
        self, node: yaml.Node, kind: type, label: str, *, key_node: yaml.Node | None = None
    ) -> Any:
        """Return `kind` made from a mapping; `key_node` is the key under which the mapping stands."""
        hints = _hints(kind)
        given: dict[str, Any] = {}
        fields = {field.name: field for field in dataclasses.fields(kind) if field.name != WHERE}
        for name, field in list(fields.items()):
            if key_node is not None and field.metadata.get("from_key"):
                given[name] = key_node.value
                del fields[name]
        failed = False
        for name, name_node, child in self.pairs(node, label):
            if name not in fields:
                self.wrong(name_node, f'{_prefix(label)}unknown key "{name}"', did_you_mean(name, fields))
                failed = True
                continue
            try:
                given[name] = self.convert(child, hints[name], _join(label, name))
            except _Wrong:
                failed = True
                given[name] = None
        for name, field in fields.items():
            if name not in given and _is_required(field):
                self.wrong(key_node or node, f'{_prefix(label)}the key "{name}" is missing')
                failed = True
        if failed:
            raise _Wrong
        if WHERE in hints:
            given[WHERE] = self.where(key_node or node)
        try:
            return kind(**given)
        except ValueError as error:
            raise self.wrong(key_node or node, f"{_prefix(label)}{error}") from error

    def convert_scalar(self, node: yaml.Node, kind: Any, label: str) -> Any:
        if not isinstance(node, yaml.ScalarNode) or _is_null(node):
            found = "nothing" if _is_null(node) else _FORMS[type(node)]
            raise self.wrong(node, f"{_prefix(label)}expected {_name_of(kind)}, found {found}")
        text = str(node.value)
        choices = _choices(kind)
        if choices:
            if text not in choices:
                raise self.wrong(node, f'{_prefix(label)}unknown value "{text}"', did_you_mean(text, choices))
            return choices[text]
        try:
            if kind is bool:
                return _TRUTH[text.lower()]
            return kind(text)
        except (ValueError, KeyError) as error:
            message = f'{_prefix(label)}expected {_name_of(kind)}, found "{text}"'
            raise self.wrong(node, message) from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields; working them out takes longer than reading a file."""
    return typing.get_type_hints(kind)


def _prefix(label: str) -> str:
    return f"{label}: " if label else ""


def _join(label: str, name: str) -> str:
    return f"{label}: {name}" if label else name


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _choices(kind: Any) -> dict[str, Any]:
    """Return text -> value for a type with a closed set of values, else nothing."""
    if typing.get_origin(kind) is Literal:
        return {str(value): value for value in typing.get_args(kind)}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {member.value: member for member in kind}
    return {}


def _form_of(kind: Any) -> type[yaml.Node]:
    """Return the kind of YAML node that a type is written as."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        return yaml.SequenceNode
    if dataclasses.is_dataclass(kind):
        return yaml.MappingNode
    if origin is not None and origin is not Literal and issubclass(origin, Mapping):
        return yaml.MappingNode
    return yaml.ScalarNode


def _name_of(kind: Any) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "yes or no", Path: "a path"}
    return names.get(kind, "a value")
