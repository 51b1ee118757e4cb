# SPDX-License-Identifier: MIT
"""SELinux's file contexts: which label a path of an image gets (file_contexts(5), selabel_file(5)).

As libselinux looks: of the lines that match the whole path and the kind of file the last one counts, a line
without wildcards before all that have some. `<<none>>` means no label.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

NONE = "<<none>>"
# file_contexts(5): what the second field names.
_KINDS = {
    "--": stat.S_IFREG, "-d": stat.S_IFDIR, "-l": stat.S_IFLNK, "-c": stat.S_IFCHR, "-b": stat.S_IFBLK,
    "-s": stat.S_IFSOCK, "-p": stat.S_IFIFO,
}  # fmt: skip
_META = re.compile(r"[.^$?*+|\[({]")


@dataclass(slots=True)
class _Line:
    """One line: `prefix` is the text before the first wildcard, which every path that matches begins with."""

    number: int
    prefix: str
    expression: str
    kind: int | None
    context: str
    compiled: re.Pattern[str] | None = None

    def matches(self, path: str) -> bool:
        if not path.startswith(self.prefix):
            return False
        if self.compiled is None:
            self.compiled = re.compile(self.expression, re.DOTALL)
        return self.compiled.fullmatch(path) is not None


class FileContexts:
    """The file contexts of a policy."""

    def __init__(self, texts: Iterable[str], substitutions: Iterable[str] = ()) -> None:
        """Read them.

        Args:
            texts: file_contexts, then file_contexts.homedirs, then file_contexts.local.
            substitutions: file_contexts.subs_dist, then file_contexts.subs.
        """
        self._exact: dict[str, list[_Line]] = {}
        self._by_folder: dict[str, list[_Line]] = {}
        self._pairs: list[tuple[str, str]] = []
        self._count = 0
        for text in substitutions:
            for line in text.splitlines():
                words = line.split()
                if len(words) == 2 and not words[0].startswith("#"):
                    self._pairs.append((words[0].rstrip("/"), words[1].rstrip("/")))
        for text in texts:
            for line in text.splitlines():
                self._take(line.split())

    @classmethod
    def read(cls, text: Callable[[str], str]) -> Self:
        """Read those of a policy.

        Args:
            text: returns what a file has, by what follows file_contexts in its name; "" where there is none.
        """
        return cls(map(text, ("", ".homedirs", ".local")), map(text, (".subs_dist", ".subs")))

    def _take(self, words: list[str]) -> None:
        if len(words) not in (2, 3) or words[0].startswith("#"):
            return
        self._count += 1
        expression, context = words[0], words[-1]
        kind = _KINDS.get(words[1]) if len(words) == 3 else None
        meta = _META.search(expression)
        if meta is None:
            plain = re.sub(r"\\(.)", r"\1", expression)
            self._exact.setdefault(plain, []).append(_Line(self._count, plain, expression, kind, context))
            return
        literal = expression[: meta.start()]
        if meta[0] in "?*{":
            literal = literal[:-1]  # what is before it may be missing
        if "\\" in literal:
            literal = literal[: literal.index("\\")]
        folder = literal[: literal.rfind("/") + 1]
        self._by_folder.setdefault(folder, []).append(_Line(self._count, literal, expression, kind, context))

    def lookup(self, path: str, mode: int) -> str | None:
        """Return the label of an absolute path of st_mode `mode`; None: no line matches, or <<none>>."""
        for alias, real in self._pairs:
            if path == alias or path.startswith(alias + "/"):
                path = real + path[len(alias) :]
                break
        kind = stat.S_IFMT(mode)
        found = self._last(self._exact.get(path, ()), path, kind) or self._last_of_all(path, kind)
        return found.context if found is not None and found.context != NONE else None

    def _last_of_all(self, path: str, kind: int) -> _Line | None:
        # What a line begins with before its first wildcard is the folder of the path, or one above.
        folders = ["", *(path[: place + 1] for place, letter in enumerate(path) if letter == "/")]
        found = [self._last(self._by_folder.get(folder, ()), path, kind) for folder in folders]
        return max((line for line in found if line), key=lambda line: line.number, default=None)

    @staticmethod
    def _last(lines: Sequence[_Line], path: str, kind: int) -> _Line | None:
        for line in reversed(lines):
            if line.kind in (None, kind) and line.matches(path):
                return line
        return None
