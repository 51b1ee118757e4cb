# SPDX-License-Identifier: MIT
"""Does everything stand where the target looks for it?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.rpm.check.context import CheckContext
from builder.rpm.check.package import BuiltPackage
from builder.targets import Init

UNIT = re.compile(r".*\.(service|socket|target|timer|path|mount)$")
UNIT_FOLDERS = ("/usr/lib/systemd/system/", "/usr/lib/systemd/user/")
INIT_FOLDER = "/etc/rc.d/init.d/"


def wrong_init_system(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    sysv = context.target.init is Init.SYSV
    for file in package.files:
        if sysv and re.match(r"(/usr)?/lib/systemd/|/etc/systemd/", file.path):
            yield f"{file.path}: the target has no systemd"
        if not sysv and re.match(r"/etc/(rc\.d/)?init\.d/", file.path):
            yield f"{file.path}: the target has systemd"
    foreign = r"\bsystemctl\b|systemd-\w+" if sysv else r"\bchkconfig\b|/sbin/service\b"
    for scriptlet in package.scriptlets:
        if match := re.search(foreign, scriptlet.text):
            yield f"{scriptlet.name} calls {match[0]}"


def unit_in_wrong_folder(package: BuiltPackage, _context: CheckContext) -> Iterator[str]:
    for file in package.files:
        if "/systemd/" in file.path and UNIT.match(file.path) and not file.path.startswith(UNIT_FOLDERS):
            yield f"{file.path}: packaged units belong in {UNIT_FOLDERS[0]}"


def init_script_in_wrong_folder(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    for file in package.files:
        if context.target.init is Init.SYSV and file.path.startswith("/etc/init.d/"):
            yield f"{file.path}: /etc/init.d is a link to {INIT_FOLDER}"


def helper_too_new(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    if "systemd-helper" not in context.target.rpm.macros:
        for scriptlet in package.scriptlets:
            if "systemd-update-helper" in scriptlet.text:
                yield f"{scriptlet.name} calls systemd-update-helper, which came with systemd 249"


def python_in_wrong_folder(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    python = context.target.python
    for file in package.files:
        match = re.match(r"/usr/lib(64)?/python3(\.\d+)?/(site|dist)-packages/", file.path)
        if match and (python is None or not file.path.startswith(f"{python.sitelib}/")):
            yield f"{file.path}: the target's Python looks in {python.sitelib if python else 'nothing of it'}"
            return


def wrong_interpreter(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    python = context.target.python
    for file in package.files:
        first = (file.data or b"")[:200].partition(b"\n")[0].decode(errors="replace")
        match = re.match(r"#!\s*(/\S*python3[\d.]*)", first)
        # One in an environment that is packaged along is as good.
        if not match or not file.permissions & 0o111 or match[1] in context.paths:
            continue
        if python is None or match[1] != str(python.interpreter):
            yield f"{file.path}: starts with {match[1]}, not {python.interpreter if python else 'the target'}"


def run_folder_is_lost_at_boot(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    if context.target.init is Init.SYSV:
        return
    entries = " ".join(
        file.text or "" for file in package.files if re.search(r"/tmpfiles\.d/[^/]+\.conf$", file.path)
    )
    for file in package.files:
        match = re.fullmatch(r"(?:/var)?(/run/.+)", file.path)
        if match and file.is_folder and not re.search(rf"(/var)?{re.escape(match[1])}\s", entries):
            yield f"{file.path}: /run is empty after each boot, and no file in tmpfiles.d makes it"


RULES = (
    wrong_init_system,
    unit_in_wrong_folder,
    init_script_in_wrong_folder,
    helper_too_new,
    python_in_wrong_folder,
    wrong_interpreter,
    run_folder_is_lost_at_boot,
)
