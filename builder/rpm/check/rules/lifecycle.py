# SPDX-License-Identifier: MIT
"""What happens to services at installation, upgrade and removal, compared with Fedora's packaging guidelines.

Scriptlets (packaging guidelines, "Systemd" and "SysVInitScript"): a service is registered when it is
installed, neither switched on nor started; an upgrade restarts it where it runs, and changes nothing else; a
removal stops it and takes it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.rpm.check.context import CheckContext
from builder.rpm.check.lifecycle import Act, Event
from builder.rpm.check.package import BuiltPackage, PackagedFile
from builder.targets import Init

UNIT = re.compile(r"/usr/lib/systemd/system/([^/]+)\.service")
SCRIPT = re.compile(r"/etc/rc\.d/init\.d/([^/]+)")
START = frozenset({"start", "restart", "reload-or-restart", "enable"})
STOP = frozenset({"stop", "disable", "mask", "del"})
# Both leave a service alone that does not run.
RESTART = frozenset({"try-restart", "condrestart", "reload-or-try-restart", "try-reload-or-restart"})
HARD_RESTART = frozenset({"start", "restart", "reload-or-restart"})


def service_started_at_installation(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    yield from _list_acts(package, context, Event.INSTALL, START)


def service_not_set_up(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    wanted = {Init.SYSTEMD: "preset", Init.SYSV: "add"}.get(context.target.init)
    # Fedora 17 has no presets: nothing is wanted of its %post but daemon-reload.
    if wanted is not None:
        done = {act.service for act in _acts(package, context, Event.INSTALL) if act.verb == wanted}
        for name in sorted(_services(package) - done):
            yield f"{name}: nothing registers it when the package is installed ({wanted})"


def service_stopped_by_upgrade(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    yield from _list_acts(package, context, Event.UPGRADE, STOP | HARD_RESTART | {"enable", "preset"})


def service_not_restarted_by_upgrade(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    acts = _acts(package, context, Event.UPGRADE)
    done = {act.service for act in acts if act.verb in RESTART}
    for name in sorted(_services(package) - done - _kept(package, context)):
        if not name.endswith("@"):
            yield f"{name}: nothing restarts it when the package is upgraded (try-restart, condrestart)"


def service_left_by_removal(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    acts = _acts(package, context, Event.REMOVAL)
    out = "del" if context.target.init is Init.SYSV else "disable"
    for verb in ("stop", out):
        done = {act.service for act in acts if act.verb == verb}
        for name in sorted(_services(package) - done):
            yield f"{name}: no {verb} when the package is removed"


def _list_acts(
    package: BuiltPackage, context: CheckContext, event: Event, verbs: frozenset[str]
) -> Iterator[str]:
    """Report each act with one of `verbs` on a service, of whichever package."""
    for act in dict.fromkeys(_acts(package, context, event)):
        if act.verb in verbs:
            yield f"{act.service}: {act.verb} when the package is {event} ({act.scriptlet})"


def _acts(package: BuiltPackage, context: CheckContext, event: Event) -> tuple[Act, ...]:
    return context.lifecycle(package)[event] if package.scriptlets else ()


def _services(package: BuiltPackage) -> frozenset[str]:
    """Return the services that the package has, those that nothing can switch on excepted."""
    found = set()
    for file in package.files:
        if match := UNIT.fullmatch(file.path):
            if "[Install]" in (file.text or ""):
                found.add(match[1])
        elif match := SCRIPT.fullmatch(file.path):
            found.add(match[1])
    return frozenset(found)


def _kept(package: BuiltPackage, context: CheckContext) -> frozenset[str]:
    """Return the services that an upgrade has to leave alone: the catalogue says so, or they run once."""
    listed = {
        service.name
        for project in context.catalogue.projects.values()
        for release in project.releases.values()
        for service in release.services.values()
        if service.upgrade == "keep"
    }
    units = {match[1]: file for file in package.files if (match := UNIT.fullmatch(file.path))}
    return frozenset(listed | {name for name, file in units.items() if _runs_once(file)})


def _runs_once(unit: PackagedFile) -> bool:
    return re.search(r"^Type=oneshot$", unit.text or "", re.MULTILINE) is not None


RULES = (
    service_started_at_installation,
    service_not_set_up,
    service_stopped_by_upgrade,
    service_not_restarted_by_upgrade,
    service_left_by_removal,
)
