# SPDX-License-Identifier: MIT
"""Words of `--mkfsoptions`, as getopt(3) reads them: `-i 8192`, `-i8192`."""

from __future__ import annotations

import shlex


def split(mkfsoptions: str | None) -> list[str]:
    """Return the words of `mkfsoptions`; a quote that is not closed makes it one word."""
    try:
        return shlex.split(mkfsoptions or "")
    except ValueError:
        return [mkfsoptions or ""]


def values(mkfsoptions: str | None, letter: str) -> list[str]:
    """Return every value given to the option `-letter`, in order."""
    found: list[str] = []
    words = iter(split(mkfsoptions))
    for word in words:
        if word == f"-{letter}":
            found.append(next(words, ""))
        elif word.startswith(f"-{letter}"):
            found.append(word[2:])
    return found


def without(mkfsoptions: str | None, letter: str) -> list[str]:
    """Return the words of `mkfsoptions` but the option `-letter` with its values."""
    kept: list[str] = []
    words = iter(split(mkfsoptions))
    for word in words:
        if word == f"-{letter}":
            next(words, None)
        elif not word.startswith(f"-{letter}"):
            kept.append(word)
    return kept
