# SPDX-License-Identifier: MIT
"""The scripts of a kickstart, in the order written, and what of the installer they want that no build has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from builder.kickstart.findings import Findings
from builder.kickstart.parsed import Kickstart, Line
from builder.kickstart.place import Place
from builder.kickstart.plan import Script, ScriptSection

_SHELLS = re.compile(r"/(ba|da|k|z)?sh$")
_HERE_DOCUMENT = re.compile(r"<<-?\s*[\"'\\]?(\w+)")
# Where a command begins: at the start of a line, behind an operator, or in a substitution.
_BEGINNING = r"(?:^|[;&|(`{]|\b(?:then|do|else|if|while|time|sudo))\s*!?\s*"
_FETCHES = re.compile(
    _BEGINNING + r"(?P<command>(?:/usr)?(?:/bin/)?(?:"
    r"(?:dnf5?|yum|microdnf)\b(?!.* (?:-C|--cacheonly)\b)[^;&|]*? "
    r"(?:\w*install|update|upgrade|distro-sync|group)\b[^;&|]*"
    r"|(?:curl|wget|subscription-manager)\b [^;&|]*"
    r"|git clone\b[^;&|]*|pip3? install\b[^;&|]*|rpm -\S*[iU][^;&|]*(?:https?|ftp)://[^;&|]*))"
)
# What asks for a block device by itself; shells and Python are answered (image.isolation.blank_disk).
_BLOCK_DEVICE = re.compile(r"\bfind\b.*\s-type\s+b\b|\bstat\b.*%F")
_SHOWN = 60


def plan_scripts(ks: Kickstart, *, network: bool = False) -> tuple[Script, ...]:
    """Return every %pre, %pre-install and %post script that is not empty.

    %pre and %pre-install never run in the chroot; %post does unless --nochroot. What a script wants of a
    `network` that it will not have is warned about: its failure may go unseen there.
    """
    scripts = []
    for read in ks.all_sections("%pre", "%pre-install", "%post"):
        header = read.header
        if not read.section.body.strip():
            continue
        interpreter = str(header.get("interpreter", "/bin/sh"))
        if not interpreter.startswith("/"):
            ks.findings.error(
                header.place, f"{header.name} --interpreter={interpreter}: not an absolute path", "/bin/bash"
            )
        if not network and _SHELLS.search(interpreter):
            _warn_of_fetches(read.section.lines, header.name, ks.findings)
        if header.name == "%pre":
            _warn_of_block_devices(read.section.lines, ks.findings)
        scripts.append(
            Script(
                section=ScriptSection(header.name.removeprefix("%")),
                body=read.section.body,
                interpreter=interpreter,
                chroot=header.name == "%post" and not header.get("nochroot", False),
                error_on_fail=bool(header.get("errorOnFail", False)),
                log=header.get("log"),
                place=header.place,
            )
        )
    return tuple(scripts)


def _warn_of_fetches(lines: Iterable[Line], name: str, findings: Findings) -> None:
    """Warn of the first command of a script that fetches something, and say how many there are."""
    found = list(_fetches(lines))
    if found:
        place, command = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        findings.warn(
            place,
            f"{name}: {command}{more}: needs the network, which scripts of a build do not have",
            "name packages in %packages, or build with image --network",
        )


def _fetches(lines: Iterable[Line]) -> Iterator[tuple[Place, str]]:
    """Yield (place, command) of what a shell script fetches; what it writes into files is not run here."""
    until: str | None = None
    for line in lines:
        text = line.text.strip()
        if until is not None:
            until = None if text == until else until
        elif not text.startswith("#"):
            if match := _FETCHES.search(text):
                command = match["command"].strip()
                yield line.place, command if len(command) <= _SHOWN else f"{command[:_SHOWN]}…"
            if document := _HERE_DOCUMENT.search(text):
                until = document[1]


def _warn_of_block_devices(lines: Iterable[Line], findings: Findings) -> None:
    for line in lines:
        if _BLOCK_DEVICE.search(line.text) and not line.text.lstrip().startswith("#"):
            findings.warn(
                line.place,
                "%pre: asks for a block device, and the disk of a build is a file",
                "ask whether it is there (test -e), or name the disk by --ks-arg where the script reads that",
            )
            return
