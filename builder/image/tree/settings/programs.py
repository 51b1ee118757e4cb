# SPDX-License-Identifier: MIT
"""Programs of the image, run for a line of the kickstart: what they refuse is reported with that line."""

from __future__ import annotations

from collections.abc import Sequence

from builder.errors import CommandFailed, InputError
from builder.image.build import Build
from builder.image.isolation.sandbox import run_in_image
from builder.image.tree import tree
from builder.kickstart.place import Place

FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


def has_program(name: str) -> bool:
    """Say whether the image has a program of that name in its PATH."""
    return any(tree.path(f"{folder}/{name}").exists() for folder in FOLDERS)


def run_for(
    build: Build, what: str, argv: Sequence[str], *, place: Place | None, input: str | None = None
) -> None:
    """Run a program of the image; what it says goes into the log.

    Args:
        what: the command and its value, as in `user op`.
        place: the line that asks for it.

    Raises:
        InputError: it failed, with the line.
    """
    try:
        run_in_image(build, argv, input=input, log=build.log)
    except CommandFailed as error:
        raise InputError(
            message_at(place, what, f"the image's {argv[0]} refuses it"),
            hint="see its output in the log",
            log=build.log,
        ) from error


def message_at(place: Place | None, what: str, why: str) -> str:
    """Return a message that begins with its line."""
    return f"{place}: {what}: {why}" if place else f"{what}: {why}"
