# SPDX-License-Identifier: MIT
"""The binary packages of a project, as a spec declares them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builder.catalogue.packaging import Packaging, SubPackage
from builder.catalogue.services import Service
from builder.catalogue.user import SystemAccount
from builder.render.accounts import account_provides, member_provides
from builder.render.entries import Only, PayloadEntry
from builder.render.escapes import paragraph
from builder.render.services import ProjectContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """What depends on a target: things that are on each, and those that are on some only."""

    everywhere: tuple[str, ...]
    sysv: tuple[str, ...]
    systemd: tuple[str, ...]
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A binary package, as a spec declares it. `flag` is what follows %package, %files and %post.

    `leaving` are the units whose processes go on when they are stopped, but for the main one.
    `collect` is the program that fills the folder `collected` when it is installed.
    """

    name: str
    flag: str
    summary: str
    description: str
    requires: tuple[str, ...]
    recommends: tuple[str, ...]
    restarted: tuple[str, ...]
    kept: tuple[str, ...]
    leaving: tuple[str, ...]
    services: tuple[str, ...]
    files: Branch
    groups: tuple[str, ...]
    account: SystemAccount | None
    provides: tuple[str, ...]
    member_provides: tuple[str, ...]
    owners: tuple[str, ...]
    tmpfiles: str | None
    is_common: bool
    wsgi: bool
    collect: str | None
    collected: str | None

    @property
    def units(self) -> tuple[str, ...]:
        """All unit files, restarted on an upgrade or not."""
        return (*self.restarted, *self.kept)

    @property
    def restarted_services(self) -> tuple[str, ...]:
        """The services that an upgrade restarts, as SysV init knows them."""
        return tuple(name for name in self.services if f"{name}.service" in self.restarted)


def list_parts(packaging: Packaging, around: ProjectContext, entries: Sequence[PayloadEntry]) -> list[Part]:
    """Return the binary packages of a project, in the order of the catalogue."""
    return [_part(package, packaging, around, entries) for package in packaging.packages.values()]


def _part(
    package: SubPackage, packaging: Packaging, around: ProjectContext, entries: Sequence[PayloadEntry]
) -> Part:
    mine = [entry for entry in entries if entry.package == package.name]
    services = [each for each in around.release.services.values() if each.home == package.name]
    is_common = package.name == packaging.common
    account = package.account
    if is_common and around.user.provider is None:
        account = around.user
    requires = [*_of_family(package, packaging), *package.requires]
    # The catalogue names a package of the same build without its epoch, which is in one place.
    requires = [re.sub(r" = %\{version\}-%\{release\}$", f" = {packaging.same}", each) for each in requires]
    recommends = [*package.recommends]
    if any("/logrotate.d/" in entry.path for entry in mine):
        (recommends if around.modern else requires).append("logrotate")
    site = around.release.site
    return Part(
        name=package.name,
        flag=_flag(package.name, packaging.name),
        summary=package.summary,
        description=paragraph(package.description),
        requires=tuple(requires),
        recommends=tuple(recommends),
        restarted=_units(services, keep=False),
        kept=_units(services, keep=True),
        leaving=tuple(f"{service.name}.service" for service in services if service.kill == "process"),
        services=tuple(service.name for service in services),
        files=branch(mine, lambda entry: entry.listing()),
        groups=package.groups,
        account=account,
        provides=account_provides(account) if account else (),
        member_provides=member_provides(around.user, package.groups),
        owners=_owners(mine, around.user if around.user.provider else account),
        tmpfiles=next((entry.spelt for entry in mine if "/tmpfiles.d/" in entry.path), None),
        is_common=is_common,
        wsgi=any(service.wsgi for service in services),
        collect=site.collect if site and site.package == package.name else None,
        collected=str(site.static) if site else None,
    )


def _of_family(package: SubPackage, packaging: Packaging) -> list[str]:
    """Return what a package needs of its own SRPM, or of the code that others build."""
    if package.name != packaging.common:
        return [f"{packaging.common} = {packaging.same}"]
    if packaging.source is None:
        return []
    return [f"{packaging.code} = {packaging.same}"]


def _flag(name: str, main: str) -> str:
    if name == main:
        return ""
    return name.removeprefix(f"{main}-") if name.startswith(f"{main}-") else f"-n {name}"


def _units(services: Sequence[Service], *, keep: bool) -> tuple[str, ...]:
    names = []
    for service in services:
        if (service.upgrade == "keep") is keep:
            names.append(f"{service.name}.service")
            if service.instance:
                names.append(f"{service.name}@.service")
    return tuple(names)


def _owners(entries: Sequence[PayloadEntry], account: SystemAccount | None) -> tuple[str, ...]:
    """Return the accounts that rpm 4.19 would make a package require, because its files belong to them.

    That it makes `account` itself is said by its Provides, that a package of others does by its requirements.
    """
    named = {f"user({entry.owner})" for entry in entries} | {f"group({entry.group})" for entry in entries}
    made = {f"user({account.name})", f"group({account.main_group})"} if account else set()
    return tuple(sorted(named - made - {"user(root)", "group(root)"}, reverse=True))


def branch(entries: Sequence[PayloadEntry], show: Callable[[PayloadEntry], str | None]) -> Branch:
    """Return what `show` makes of the entries, by the targets that have them."""
    shown = {
        only: tuple(line for entry in entries if entry.only is only and (line := show(entry)) is not None)
        for only in Only
    }
    return Branch(
        everywhere=shown[Only.EVERYWHERE],
        sysv=shown[Only.SYSV],
        systemd=shown[Only.SYSTEMD],
        members=shown[Only.MEMBERS],
    )
