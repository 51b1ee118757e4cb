# SPDX-License-Identifier: MIT
"""Kernel arguments: how GRUB's shell must find them written, so that the kernel gets them as they are.

Words are split as the kernel does (Documentation/admin-guide/kernel-parameters.rst): double quotes protect
blanks, and stay. GRUB's shell takes quotes away and puts them around a word with a blank again (GRUB's
lib/cmdline.c), which means the same to the kernel.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping

_WORD = re.compile(r'(?:[^\s"]|"[^"]*"|"[^"]*$)+')
# Of GRUB's shell (GRUB manual, "Quoting"): outside of double quotes, and within them.
_OUTSIDE, _WITHIN = "'\\;{}&|<>$", "\\$"


def split(text: str) -> list[str]:
    """Return the words of a command line."""
    return _WORD.findall(text)


def for_menu(word: str) -> str:
    """Return a word as a `linux` line of grub.cfg has it."""
    out, within = [], False
    for letter in word:
        if letter == '"':
            within = not within
        out.append("\\" + letter if letter in (_WITHIN if within else _OUTSIDE) else letter)
    return "".join(out)


def for_defaults(word: str) -> str:
    """Return a word as GRUB_CMDLINE_LINUX has it where grub2-mkconfig writes it into boot entries.

    There it goes through sed, which takes a backslash away from all but `;`, `&` and `$` (10_linux of Fedora:
    update_bls_cmdline). In the quotes of `set kernelopts=` two backslashes are one, too.
    """
    return re.sub(r"\\(?=[|<>{}'])|\\\\", lambda found: found[0] * 2, for_menu(word))


def for_entry(word: str) -> str:
    """Return a word as the options of a boot entry have it, and /etc/kernel/cmdline for later ones.

    GRUB's blscfg replaces $name before its shell reads the line. Most releases know no escape for that (EL
    up to 9.4 and 10.0, Fedora up to 40, GRUB's own 2.14), and all put a blank after a value: so a word with
    a dollar is the value of a variable of its own, in grubenv (blscfg.c and blsuki.c: expand_val).
    """
    return f"${_variable_of(word)}" if "$" in word else for_menu(word)


def variables_for(words: Iterable[str]) -> dict[str, str]:
    """Return what grubenv must hold for `words` in boot entries: name -> value."""
    return {_variable_of(word): for_menu(word) for word in words if "$" in word}


def for_menu_of(entry: str, variables: Mapping[str, str]) -> str:
    """Return a word of a boot entry as a `linux` line has it; `variables` are those of grubenv."""
    return variables.get(entry[1:], entry) if entry.startswith("$") else entry


def _variable_of(word: str) -> str:
    return f"argument_{zlib.crc32(word.encode()):08x}"


def spoiled(word: str, *, hexadecimal: bool) -> bool:
    """Say whether GRUB gives the kernel something else, however the word is written.

    It puts a backslash before each ' and \\ (grub_create_loader_cmdline of GRUB's lib/cmdline.c; seen with
    2.06). `hexadecimal`: it leaves \\xHH as it is, as Fedora's and EL's GRUB does.
    """
    return re.search(r"['\\]", re.sub(r"\\x[0-9A-Fa-f]{2}", "", word) if hexadecimal else word) is not None


def from_menu(word: str) -> str:
    """Return what `for_menu` was given."""
    return re.sub(r"\\([\\'\";{}&|<>$])", r"\1", word)


def from_entry(word: str, variables: Mapping[str, str]) -> str:
    """Return what `for_entry` was given; `variables` are those of grubenv."""
    return from_menu(for_menu_of(word, variables))
