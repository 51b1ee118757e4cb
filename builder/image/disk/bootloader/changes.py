# SPDX-License-Identifier: MIT
"""What scripts change of the boot menu by the programs made for it: grub2-mkconfig(8), grubby(8).

The programs only say what they were asked (`builder.image.isolation.shims`); here it becomes one change,
for the menu, the boot entries and /etc/kernel/cmdline alike. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.formats.kernel_arguments import from_menu, split

# Of a word of the shell: in double quotes, in single quotes, a sign that is escaped, any other.
_PARTS = re.compile(r"""("(?:\\.|[^"\\])*")|('[^']*')|(\\.)|(.)""")
_ARGUMENTS = ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What is taken from the kernel's arguments and added to them, and how the menu begins.

    `timeout` and `default` None: as they are. `custom` is GRUB's own text of more entries.
    """

    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    timeout: str | None = None
    default: str | None = None
    custom: str = ""

    def apply(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the arguments after the change; a word without `=` also removes `word=value`."""
        kept = [word for word in words if not any(_names(one, word) for one in self.removed)]
        return (*kept, *(word for word in self.added if word not in kept))


def _names(removed: str, word: str) -> bool:
    return word == removed or ("=" not in removed and word.partition("=")[0] == removed)


def read(said: Sequence[Sequence[str]], *, before: str, after: str, custom: str = "") -> Changes:
    """Return the change that programs were asked for.

    Args:
        said: the words of each call, the program's name first, in the order of the calls.
        before: /etc/default/grub as the build had written it.
        after: as it is now.
        custom: the text of the scripts in /etc/grub.d that only print entries.
    """
    changes = Changes()
    for words in said:
        if words and words[0] == "grubby":
            changes = _grubby(changes, words[1:])
    if not any(words and words[0] != "grubby" for words in said):
        return changes
    old, new = _variables(before), _variables(after)
    had = [word for name in _ARGUMENTS for word in split(old.get(name, ""))]
    has = [word for name in _ARGUMENTS for word in split(new.get(name, ""))]
    return Changes(
        removed=(*(from_menu(word) for word in had if word not in has), *changes.removed),
        added=(*(from_menu(word) for word in has if word not in had), *changes.added),
        timeout=_changed("GRUB_TIMEOUT", old, new),
        default=_changed("GRUB_DEFAULT", old, new),
        custom=custom,
    )


def _changed(name: str, old: dict[str, str], new: dict[str, str]) -> str | None:
    value = new.get(name)
    return value if value not in (None, "", "saved", old.get(name)) else None


def _grubby(changes: Changes, words: Sequence[str]) -> Changes:
    """Return the changes, one call of grubby(8) added."""
    values: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in ("--args", "--remove-args"):
            values[name] = value if equals else next(rest, "")
    removed, added = split(values.get("--remove-args", "")), split(values.get("--args", ""))
    # grubby replaces an argument of the same name, but for those that may be there more than once.
    replaced = [word.partition("=")[0] for word in added if "=" in word and not word.startswith("console=")]
    gone = {*removed, *replaced}
    kept = tuple(word for word in changes.added if not any(_names(one, word) for one in gone))
    return Changes(
        removed=(*changes.removed, *removed, *replaced),
        added=(*kept, *added),
        timeout=changes.timeout,
        default=changes.default,
    )


def _variables(text: str) -> dict[str, str]:
    """Return the plain assignments of a file that the shell sources; `+=` adds."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.match(r"\s*(?:export\s+)?([A-Z_]+)(\+?)=(.*)$", line)
        if match is None:
            continue
        value = "".join(_unquoted(match[3]))
        value = re.sub(r"\$\{?(GRUB_[A-Z_]+)\}?", lambda name: found.get(name[1], name[0]), value)
        found[match[1]] = found.get(match[1], "") + value if match[2] else value
    return found


def _unquoted(text: str) -> Iterator[str]:
    """Yield the parts of the word that the shell reads first in `text`."""
    for double, single, escaped, plain in _PARTS.findall(text):
        if double:
            yield re.sub(r"\\([\\$\"`])", r"\1", double[1:-1])
        elif single or escaped:
            yield single[1:-1] or escaped[1:]
        elif plain.isspace() or plain in ";#":
            return
        else:
            yield plain
