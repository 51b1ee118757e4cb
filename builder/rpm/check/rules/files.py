# SPDX-License-Identifier: MIT
"""Text, modes and owners of what is packaged, and a manual page for each command."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.rpm.check.context import CheckContext
from builder.rpm.check.package import BuiltPackage

# %{name}, %{?dist}; %_bindir; %systemd_post. Not %i of a unit, %(name)s of Python, %{GLOBAL} of httpd.
MACRO = re.compile(r"%\{[?!]*[a-z_][a-z0-9_]*|%_[a-z]+dir\b|%systemd_[a-z_]+")
# Where text is the packager's and has no % of its own.
PACKAGERS = re.compile(r"/etc/(?!httpd/)|/usr/lib/(systemd|sysusers\.d|tmpfiles\.d|sysctl\.d)/|/usr/s?bin/")
COMMAND = re.compile(r"/usr/s?bin/([^/]+)")
# From sysusers.d files rpm makes what such a capability names.
DECLARED = re.compile(r"(?:user|group)\((.+)\)")
# What every system of the family has, and what packages that ours need bring (setup, httpd).
ACCOUNTS = frozenset({"root", "bin", "daemon", "adm", "lp", "sys", "tty", "disk", "mail", "nobody", "apache"})
# Path -> the only mode that makes sense there.
MODES = {
    r"/usr/lib/systemd/.*\.(service|socket|target|timer)": 0o644,
    r"/etc/rc\.d/init\.d/.*": 0o755,
    r"/etc/sudoers\.d/.*": 0o440,
    r"/usr/lib/(sysusers|tmpfiles|sysctl)\.d/.*\.conf": 0o644,
    r"/usr/s?bin/.*": 0o755,
    r"/usr/share/(man|doc|licenses)/.*[^/]": 0o644,
}


def unexpanded_macro(package: BuiltPackage, _context: CheckContext) -> Iterator[str]:
    texts = [(name, text) for name, text in package.tags.items()]
    texts += [(scriptlet.name, scriptlet.text) for scriptlet in package.scriptlets]
    texts += [("a dependency", one.whole) for one in (*package.requires, *package.provides)]
    texts += [("a path", file.path) for file in package.files]
    texts += [(file.path, file.text or "") for file in package.files if PACKAGERS.match(file.path)]
    for where, text in texts:
        if match := MACRO.search(text):
            yield f"{where}: {match[0]}"


def wrong_mode(package: BuiltPackage, _context: CheckContext) -> Iterator[str]:
    for file in package.files:
        if file.is_link:
            continue
        if file.permissions & 0o002 and not file.permissions & 0o1000:
            yield f"{file.path}: everybody may write to it ({file.permissions:04o})"
        if file.permissions & 0o6000 and not file.is_folder:
            yield f"{file.path}: runs as its owner ({file.permissions:04o})"
        for pattern, mode in MODES.items():
            if not file.is_folder and re.fullmatch(pattern, file.path) and file.permissions != mode:
                yield f"{file.path}: {file.permissions:04o} instead of {mode:04o}"


def unknown_owner(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    needed = {one.name for one in package.requires}
    siblings = [other for other in context.siblings[package.source] if other.name in needed]
    known = _accounts(package).union(*(_accounts(sibling) for sibling in siblings))
    for account in sorted({name for file in package.files for name in (file.user, file.group)}):
        if account not in known:
            yield f"{account}: owns files, and nothing makes the account before they are written"


def _accounts(package: BuiltPackage) -> frozenset[str]:
    """Return the accounts that there are when the files of a package are written."""
    dependencies = (*package.provides, *package.requires)
    declared = {found[1] for one in dependencies if (found := DECLARED.fullmatch(one.name))}
    sysusers = "\n".join(file.text or "" for file in package.files if "/sysusers.d/" in file.path)
    declared |= set(re.findall(r"^[ug]!?[ \t]+(\S+)", sysusers, re.MULTILINE))
    commands = [
        line
        for scriptlet in package.scriptlets
        if scriptlet.name == "%pre"
        for line in scriptlet.text.replace("\\\n", " ").splitlines()
        if re.search(r"\b(useradd|groupadd)\b", line)
    ]
    made = {word for line in commands for word in line.split()}
    return ACCOUNTS | declared | made


def undeclared_account(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    if not context.target.rpm.is_at_least("4.19"):
        return
    declared = {one.name for one in (*package.provides, *package.requires)}
    owners = {f"user({file.user})" for file in package.files if file.user not in ACCOUNTS}
    owners |= {f"group({file.group})" for file in package.files if file.group not in ACCOUNTS}
    for capability in sorted(owners - declared):
        yield f"{capability}: neither provided nor required, and files have this owner"


def member_line_too_new(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    if not context.target.rpm.is_at_least("4.20"):
        for file in package.files:
            if "/sysusers.d/" in file.path and re.search(r"^m\s", file.text or "", re.MULTILINE):
                yield f"{file.path}: rpm {context.target.rpm.version} leaves lines of type m out"


def other_mode_than_the_catalogue(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    for project in context.catalogue.projects.values():
        release = project.releases.get(context.target.release)
        for path, wanted in (release.configuration if release else {}).items():
            file = package.by_path.get(path)
            if file is None:
                continue
            user = project.user_in(context.target.release)
            group = wanted.group or user.group or user.name
            found = f"{file.permissions:04o} {file.user}:{file.group}"
            expected = f"{int(wanted.mode, 8):04o} {wanted.owner}:{group}"
            if found != expected:
                yield f"{path}: {found}, in the catalogue {expected}"
            if not file.config:
                yield f"{path}: is not marked %config"


def command_without_manual(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    pages = {
        match[1]
        for sibling in context.siblings[package.source]
        for file in sibling.files
        if (match := re.fullmatch(r"/usr/share/man/man[18]/(.+)\.[18](\.gz)?", file.path))
    }
    for file in package.files:
        match = COMMAND.fullmatch(file.path)
        if match and match[1] not in pages:
            yield file.path


RULES = (
    unexpanded_macro,
    wrong_mode,
    unknown_owner,
    undeclared_account,
    member_line_too_new,
    other_mode_than_the_catalogue,
    command_without_manual,
)
