# SPDX-License-Identifier: MIT
"""Are the shell scripts sound? Scriptlets, init scripts, and whatever else begins with #! and a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.rpm.check.context import CheckContext
from builder.rpm.check.package import BuiltPackage
from builder.runner import last_words

SHELL = re.compile(r"#!\s*/(?:usr/)?bin/(?:env )?((?:ba)?sh)\b")
# What insserv, chkconfig and systemd-sysv-generator read in a header (LSB 3.1, section 20.8).
BLOCK = re.compile(r"^### BEGIN INIT INFO$(.*)^### END INIT INFO$", re.MULTILINE | re.DOTALL)
HEADER = ("Provides", "Required-Start", "Required-Stop", "Default-Stop", "Short-Description", "Description")


def scriptlet_with_wrong_syntax(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    for scriptlet in package.scriptlets:
        if re.match(r"/(usr/)?bin/(ba)?sh\b", scriptlet.interpreter):
            shell = "bash" if scriptlet.interpreter.endswith("bash") else "sh"
            if reason := _complaint(context, shell, scriptlet.text):
                yield f"{scriptlet.name}: {reason}"


def script_with_wrong_syntax(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    for file in package.files:
        # What cannot be run is a template, or read by another script.
        match = SHELL.match(file.text or "") if file.permissions & 0o111 else None
        if match and (reason := _complaint(context, match[1], file.text or "")):
            yield f"{file.path}: {reason}"


def incomplete_init_header(package: BuiltPackage, _context: CheckContext) -> Iterator[str]:
    for file in package.files:
        if not file.path.startswith("/etc/rc.d/init.d/") or file.text is None:
            continue
        if not re.search(r"^# chkconfig:\s+(-|\d+)\s+\d\d\s+\d\d\s*$", file.text, re.MULTILINE):
            yield f"{file.path}: no line # chkconfig: LEVELS START STOP"
        block = BLOCK.search(file.text)
        for name in HEADER:
            if not block or not re.search(rf"^# {name}:[ \t]*\S", block[1], re.MULTILINE):
                yield f"{file.path}: {name} is missing or empty in the LSB header"


def _complaint(context: CheckContext, shell: str, text: str) -> str | None:
    """Return what a shell says of a script's syntax; None when it is content."""
    done = context.runner.run([shell, "-n"], input=text, ok=())
    return last_words(done.stderr) if done.returncode != 0 else None


RULES = (scriptlet_with_wrong_syntax, script_with_wrong_syntax, incomplete_init_header)
