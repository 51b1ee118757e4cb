# SPDX-License-Identifier: MIT
"""Groups for the dnf command of this host: Debian 13's knows none.

With Python 3.13 a loop over a list of libcomps 0.1.21 finds nothing, or ends by SIGSEGV. The builder does
without such a loop (`Held` in builder/image/packages/dnfworker/dnf4.py); the command gets packages instead.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

_ASK = """
import libcomps
comps, group = libcomps.Comps(), libcomps.Group()
group.id = group.name = "one"
comps.groups.append(group)
print(*[one.id for one in comps.groups])
"""


@functools.cache
def dnf_knows_groups() -> bool:
    """Return whether the host's dnf finds the groups of a repository."""
    done = subprocess.run(["/usr/bin/python3", "-c", _ASK], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout == "one\n"


def for_dnf(words: Iterable[str], comps: Path) -> list[str]:
    """Return what to say to dnf for `words` of a kickstart: groups as they are, or as their packages.

    Args:
        comps: the file of the groups.
    """
    if dnf_knows_groups():
        return list(words)
    tree = ElementTree.parse(comps).getroot()
    return [one for word in words for one in (_packages(tree, word[1:]) if word[:1] == "@" else [word])]


def _packages(tree: ElementTree.Element, name: str) -> Iterator[str]:
    environments = {one.findtext("id"): one for one in tree.iter("environment")}
    groups = {one.findtext("id"): one for one in tree.iter("group")}
    named = (
        [one.text for one in environments[name].iterfind("grouplist/groupid")]
        if name in environments
        else [name]
    )
    for group in named:
        for one in groups[group].iter("packagereq"):
            if one.text and one.get("type") in ("mandatory", "default"):
                yield one.text
