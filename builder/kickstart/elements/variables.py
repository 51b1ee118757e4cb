# SPDX-License-Identifier: MIT
"""The environment of elements: what they get of the user's, and what environment.d makes of it.

environment.d is bash, and is run by bash when the phases run. Only `when:` of package-installs.yaml has to
know of it before: for that, lines that do nothing but set a variable are read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from builder.errors import InputError
from builder.kickstart.plan import Element, Variable

# What elements are made to read; the rest of an environment is the user's own.
PREFIX = "DIB_"
LARGEST = 1 << 20
# The inside has the host's: a file there need not be handed over.
_HOST = ("/usr/", "/etc/", "/bin/", "/lib", "/dev/", "/proc/", "/sys/", "/run/")
# export NAME=${NAME:-value}, NAME=value, export NAME="value"
_LINE = re.compile(r"(?:export\s+)?(?P<name>\w+)=(?P<value>.*?)\s*(?:#.*)?")
_DEFAULT = re.compile(r"\$\{(?P<name>\w+):?-(?P<value>[^${}`]*)\}")
_PLAIN = re.compile(r"[^\s$`\"'\\;&|<>()]*")


def take_variables(environment: Mapping[str, str], more: Iterable[str]) -> tuple[Variable, ...]:
    """Return what elements get of `environment`: DIB_*, and the names in `more`.

    Raises:
        InputError: a name in `more` is not set, or is none.
    """
    for name in more:
        if not re.fullmatch(r"[A-Za-z_]\w*", name) or name not in environment:
            raise InputError(
                f"--element-env {name}: there is no such variable in the environment",
                hint=f"set it: {name}=… openstack-builder image …",
            )
    names = {name for name in environment if name.startswith(PREFIX) and re.fullmatch(r"\w+", name)}
    return tuple(_take(name, environment[name]) for name in sorted(names | set(more)))


def _take(name: str, value: str) -> Variable:
    content = None
    path = Path(value)
    if value.startswith("/") and "\n" not in value and not value.startswith(_HOST) and path.is_file():
        if path.stat().st_size > LARGEST:
            raise InputError(
                f"{name}: {value} holds more than {LARGEST >> 20} MiB",
                hint="put it into the element, or into a package",
            )
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{name}: {value}: {(error.strerror or str(error)).lower()}") from error
    return Variable(name=name, value=value, content=content)


def evaluate(elements: tuple[Element, ...], known: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables after environment.d, as far as its lines say so; None: a program decides.

    Args:
        known: what is set before.
    """
    found: dict[str, str | None] = dict(known)
    for text in environment_texts(elements):
        for line in text.splitlines():
            match = _LINE.fullmatch(line)
            if match is None:
                # Whatever else sets a variable: it is not known any more.
                for name in re.findall(r"(\w+)=", line):
                    found[name] = None
                continue
            found[match["name"]] = _value(match["value"], found)
    return found


def _value(text: str, found: Mapping[str, str | None]) -> str | None:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        inner = text[1:-1]
        if text[0] == "'":
            return inner if "'" not in inner else None
        if not re.search(r'[$`\\"]', inner):
            return inner
        text = inner
    if default := _DEFAULT.fullmatch(text):
        before = found.get(default["name"], "")
        return None if before is None else before or default["value"].strip("\"'")
    return text if _PLAIN.fullmatch(text) else None


def environment_texts(elements: tuple[Element, ...]) -> list[str]:
    """Return the texts of environment.d in their order: by name, byte by byte (dib-run-parts)."""
    files = [
        (file.path, file.content.decode(errors="replace"))
        for element in elements
        for file in element.files
        if re.fullmatch(r"environment\.d/[0-9A-Za-z_.-]+", file.path) and file.link is None
    ]
    return [text for _, text in sorted(files, key=lambda pair: pair[0].encode())]
