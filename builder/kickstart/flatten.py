# SPDX-License-Identifier: MIT
"""A kickstart as one file: every %include replaced by what it includes, every other line as it is.

So comments stay, sections stay open across an include inside them, and the plan is the same as before.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from builder.errors import InputError, Problem
from builder.kickstart.includes import HINT, is_private
from builder.kickstart.source import MAX_DEPTH, first_word, read_regular


def flatten(path: Path) -> str:
    """Return the text of the kickstart `path` with its includes resolved.

    An include of a file that does not exist, or of an address, stays as it is: a %pre script may write the
    one, and nothing is fetched for the other.

    Raises:
        InputError: a file cannot be read, is not text, or includes itself.
    """
    lines = _lines(path, str(path), ())
    return "".join(f"{line}\n" for line in lines)


def _lines(path: Path, shown: str, above: tuple[str, ...]) -> list[str]:
    try:
        if above and path.is_file() and is_private(path, Path(above[0])):
            raise InputError(f"{shown}: is private, and included by {above[0]}", hint=HINT)
        data = read_regular(path)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{shown}:{number}: not UTF-8 text", hint="is it a kickstart?") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown}: {reason.lower()}", hint="give the path of a kickstart") from error
    real = os.path.realpath(path)
    if real in above or len(above) >= MAX_DEPTH:
        raise InputError(problems=[Problem(where=shown, message="the file includes itself")])
    lines = []
    for number, line in enumerate(text.replace("\r\n", "\n").splitlines(), 1):
        name = _included(line, f"{shown}:{number}") if first_word(line) == "%include" else None
        included = path.parent / name if name else None
        if name is None or included is None or _is_elsewhere(name, included):
            lines.append(line)
            continue
        below = os.path.normpath(os.path.join(os.path.dirname(shown), name))
        lines += _lines(included, below, (*above, real))
    return lines


def _included(line: str, where: str) -> str:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InputError(
            problems=[Problem(where=where, message=f"%include: {str(error).lower()}")]
        ) from error
    if len(words) != 2 or not words[1]:
        raise InputError(problems=[Problem(where=where, message="%include takes one file name")])
    return words[1]


def _is_elsewhere(name: str, path: Path) -> bool:
    """Say whether the include is not ours to resolve: an address, or what a %pre script writes."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name):
        return True
    if not os.path.isabs(name):
        return False
    return not path.exists()
