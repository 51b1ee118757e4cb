# SPDX-License-Identifier: MIT
"""Values as JSON and back, for the door between inside and outside: the dataclass is the schema.

What comes from the inside is taken for hostile: a type that does not fit, a name that is not a field, or more
than the bounds allow is an error, and nothing but plain data is ever made from it.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import cache
from typing import Any, TypeVar, Union

from builder.errors import BuildError

T = TypeVar("T")

# Of one text, and of one list or mapping: an image has some ten thousand packages at most.
LONGEST_TEXT = 1 << 20
MOST_ITEMS = 100_000
_LARGEST_NUMBER = 1 << 63
_SCALARS = (str, int, bool)


class WireError(BuildError):
    """What came through the door does not fit."""


def pack(value: Any) -> Any:
    """Return `value` (a dataclass, or plain data) as JSON's types."""
    if type(value) in _SCALARS:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: pack(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [pack(one) for one in value]
    if isinstance(value, dict):
        return {str(name): pack(one) for name, one in value.items()}
    return value


def unpack(value: Any, kind: type[T]) -> T:
    """Return `value`, which JSON gave, as `kind`.

    Types understood: str, int, float, bool, `X | None`, `tuple[X, ...]`, `tuple[X, Y]`, `list[X]`,
    `dict[str, X]`, dataclasses.

    Raises:
        WireError: it does not fit.
    """
    return typing.cast("T", _unpack(value, kind, kind.__name__))


def _unpack(value: Any, kind: Any, where: str) -> Any:
    if kind in _SCALARS:
        return _scalar(value, kind, where)
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [one for one in typing.get_args(kind) if one is not types.NoneType]
        return None if value is None else _unpack(value, inner[0], where)
    if origin in (list, tuple):
        return origin(_items(value, typing.get_args(kind), where))
    if origin is dict:
        _check(isinstance(value, dict) and len(value) <= MOST_ITEMS, where)
        inside = typing.get_args(kind)[1]
        if inside in _SCALARS:  # some ten thousand files
            for name, one in value.items():
                _scalar(name, str, where)
                _scalar(one, inside, where)
            return dict(value)
        return {_unpack(name, str, where): _unpack(one, inside, where) for name, one in value.items()}
    if dataclasses.is_dataclass(kind):
        return _object(value, typing.cast("type", kind), where)
    return _scalar(value, kind, where)


def _items(value: Any, kinds: tuple[Any, ...], where: str) -> list[Any]:
    _check(isinstance(value, list) and len(value) <= MOST_ITEMS, where)
    if kinds[-1] is ... or len(kinds) == 1:
        return [_unpack(one, kinds[0], where) for one in value]
    _check(len(value) == len(kinds), where)
    return [_unpack(one, kind, where) for one, kind in zip(value, kinds, strict=True)]


def _object(value: Any, kind: type, where: str) -> Any:
    hints = _hints(kind)
    _check(isinstance(value, dict) and set(value) <= set(hints), where)
    given = {name: _unpack(one, hints[name], f"{where}.{name}") for name, one in value.items()}
    try:
        return kind(**given)
    except TypeError as error:
        raise WireError(f"{where}: a field is missing") from error


def _scalar(value: Any, kind: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if (
        type(value) is not kind
        or (kind is str and len(value) > LONGEST_TEXT)
        or (kind is int and abs(value) >= _LARGEST_NUMBER)
    ):
        _check(False, where)
    return value


def _check(good: bool, where: str) -> None:
    if not good:
        raise WireError(f"the build sandbox sent no valid {where}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
