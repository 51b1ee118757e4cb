# SPDX-License-Identifier: MIT
"""The scripts of a kickstart, in the order written."""

from __future__ import annotations

from builder.kickstart.parsed import Kickstart
from builder.kickstart.plan import Script, ScriptSection


def plan_scripts(ks: Kickstart) -> tuple[Script, ...]:
    """Return every %pre, %pre-install and %post script that is not empty.

    %pre and %pre-install never run in the chroot; %post does unless --nochroot.
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
