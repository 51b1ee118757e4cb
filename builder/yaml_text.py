# SPDX-License-Identifier: MIT
"""YAML that people wrote: its nodes or its values, or one kind of error.

libyaml is fast, and ends the process where a text is nested more deeply than the stack goes; so its depth is
known before anything is made of it.
"""

from __future__ import annotations

import typing
from typing import Any

import yaml

# The one in C where PyYAML was built with it: six times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Nobody who writes by hand goes half as deep; without libyaml each level takes some calls of Python.
_DEEPEST = 100
# What PyYAML's constructors raise besides YAMLError.
_WRONG_VALUE = (ValueError, LookupError, AttributeError, TypeError)


def compose(text: str) -> yaml.Node | None:
    """Return the node of the one document in `text`; None where it is empty.

    Raises:
        yaml.YAMLError: it is no YAML, or nested too deeply.
    """
    _check_depth(text)
    return yaml.compose(text, _LOADER)


def load(text: str) -> Any:
    """Return what the one document in `text` says, in types of JSON and dates; None where it is empty.

    Raises:
        yaml.YAMLError: it is no YAML, nested too deeply, or a value is not what it claims to be: a date of a
            13th month, or `!!bool maybe`.
    """
    _check_depth(text)
    try:
        return yaml.load(text, _LOADER)
    except _WRONG_VALUE as error:
        raise yaml.YAMLError(f"a value is not of its type: {error}") from error


def fault(error: Exception) -> tuple[int, str]:
    """Return the line, counted from 1, and what is wrong there; 1 where the line is not known."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "context", None) or error
    return mark.line + 1 if mark else 1, str(reason)


def _check_depth(text: str) -> None:
    # A level takes a bracket, or a column at least: most texts need not be parsed twice.
    if text.count("[") + text.count("{") + max(map(len, text.splitlines()), default=0) <= _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            problem = f"nested more than {_DEEPEST} levels deep"
            mark = typing.cast("yaml.Mark", event.start_mark)
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
