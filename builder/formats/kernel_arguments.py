# SPDX-License-Identifier: MIT
"""Kernel arguments: how GRUB's shell must find them written, so that the kernel gets them as they are.

Words are split as the kernel does (Documentation/admin-guide/kernel-parameters.rst): double quotes protect
blanks, and stay. GRUB's shell takes quotes away and puts them around a word with a blank again (GRUB's
lib/cmdline.c), which means the same to the kernel.
"""

from __future__ import annotations

import re

# blscfg of Fedora and EL replaces $name in options before GRUB's shell reads them, and knows no escape: a
# variable of grubenv brings the dollar, with the backslash that the shell wants.
DOLLAR = "dollar"
DOLLAR_VALUE = "\\$"

_WORD = re.compile(r'(?:[^\s"]|"[^"]*"|"[^"]*$)+')
# Of GRUB's shell (GRUB manual, "Quoting"): outside of double quotes, and within them.
_OUTSIDE, _WITHIN = "'\\;{}&|<>$", "\\$"


def split(text: str) -> list[str]:
    """Return the words of a command line."""
    return _WORD.findall(text)


def for_menu(word: str) -> str:
    """Return a word as a `linux` line of grub.cfg has it."""
    return _written(word, dollar="\\$", dollar_within="\\$")


def for_entry(word: str) -> str:
    """Return a word as the options of a boot entry have it, and /etc/kernel/cmdline for later ones."""
    return _written(word, dollar=f'"${DOLLAR}"', dollar_within=f'""${DOLLAR}""')


def for_menu_of(entry: str) -> str:
    """Return a word of a boot entry as a `linux` line has it."""
    return entry.replace(f'""${DOLLAR}""', "\\$").replace(f'"${DOLLAR}"', "\\$")


def spoiled(word: str, *, hexadecimal: bool) -> bool:
    """Say whether GRUB gives the kernel something else, however the word is written.

    It puts a backslash before each ' and \\ (grub_create_loader_cmdline of GRUB's lib/cmdline.c; seen with
    2.06). `hexadecimal`: it leaves \\xHH as it is, as Fedora's and EL's GRUB does.
    """
    return re.search(r"['\\]", re.sub(r"\\x[0-9A-Fa-f]{2}", "", word) if hexadecimal else word) is not None


def from_menu(word: str) -> str:
    """Return what `for_menu` was given."""
    return re.sub(r"\\([\\'\";{}&|<>$])", r"\1", word)


def from_entry(word: str) -> str:
    """Return what `for_entry` was given."""
    return from_menu(for_menu_of(word))


def _written(word: str, *, dollar: str, dollar_within: str) -> str:
    out, within = [], False
    for letter in word:
        if letter == '"':
            within = not within
        if letter == "$":
            out.append(dollar_within if within else dollar)
        elif letter in (_WITHIN if within else _OUTSIDE):
            out.append("\\" + letter)
        else:
            out.append(letter)
    return "".join(out)
