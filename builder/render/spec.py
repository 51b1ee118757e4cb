# SPDX-License-Identifier: MIT
"""The spec of a project for one release of OpenStack, for all targets that build it.

Where targets differ, the spec asks rpm: one named condition each, defined at its top.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builder.catalogue.model import Catalogue, Project, ProjectRelease
from builder.catalogue.packaging import Packaging, SubPackage
from builder.catalogue.services import Service
from builder.render.accounts import account_provides, member_provides
from builder.render.conditions import expression, makes_accounts, makes_members
from builder.render.entries import Entry, Kind, Only
from builder.render.environment import render
from builder.render.payload import commands_of, list_payload
from builder.render.services import Surroundings
from builder.targets import Init, Target

COLUMN = 18
WIDTH = 78


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedFile:
    """A text file of the packager's: its path below specs/ and what is in it."""

    path: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A file beside the spec, and its number among the sources."""

    number: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """A line of %install: what is put where."""

    source: str
    path: str
    mode: str
    link: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """What depends on a target: things that are on each, and those that are on some only."""

    everywhere: tuple[str | Placement, ...]
    sysv: tuple[str | Placement, ...]
    systemd: tuple[str | Placement, ...]
    members: tuple[str | Placement, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A binary package, as a spec tells it. `flag` is what follows %package, %files and %post."""

    name: str
    flag: str
    summary: str
    description: str
    requires: tuple[str, ...]
    recommends: tuple[str, ...]
    restarted: tuple[str, ...]
    kept: tuple[str, ...]
    services: tuple[str, ...]
    files: Branch
    groups: tuple[str, ...]
    provides: tuple[str, ...]
    member_provides: tuple[str, ...]
    owners: tuple[str, ...]
    tmpfiles: str | None
    is_common: bool
    wsgi: bool

    @property
    def units(self) -> tuple[str, ...]:
        """All unit files, restarted on an upgrade or not."""
        return (*self.restarted, *self.kept)

    @property
    def restarted_services(self) -> tuple[str, ...]:
        """The services that an upgrade restarts, as SysV init knows them."""
        return tuple(name for name in self.services if f"{name}.service" in self.restarted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """The expressions behind the named conditions; None where no target of the release is so."""

    sysv: str | None
    sysusers: str | None
    members: str | None


def render_project(project: Project, release: str, catalogue: Catalogue, targets: Sequence[Target]
                   ) -> tuple[RenderedFile, ...]:  # fmt: skip
    """Return the spec of a project for a release, and the files that stand beside it.

    Args:
        targets: those that build the release.
    """
    facts = project.releases[release]
    packaging = facts.rpm
    assert packaging is not None
    inits = {target.init for target in targets}
    around = Surroundings(
        profile=catalogue.releases[release],
        project=project.project,
        release=facts,
        user=project.user_in(release),
        url=packaging.url,
        modern=Init.SYSTEMD_PLAIN not in inits and Init.SYSV not in inits,
        sysv=Init.SYSV in inits,
    )
    entries = list_payload(project, around, packaging)
    beside = {
        entry.file: entry.text for entry in entries if entry.file is not None and entry.text is not None
    }
    if packaging.source is None:
        beside[f"README.{packaging.name}"] = _readme(project, facts, packaging)
    sources = tuple(SourceFile(number=number, name=name) for number, name in enumerate(beside, 1))
    has_groups = any(package.groups for package in packaging.packages.values())
    conditions = Conditions(
        sysv=expression(targets, lambda target: target.init is Init.SYSV),
        sysusers=expression(targets, makes_accounts) if around.modern else None,
        members=expression(targets, makes_members) if around.modern and has_groups else None,
    )
    spec = render(
        "spec",
        project=project,
        release=release,
        profile=around.profile,
        packaging=packaging,
        targets=[target.name for target in targets],
        conditions=conditions,
        sources=sources,
        readme=sources[-1] if packaging.source is None else None,
        commands=commands_of(facts, packaging),
        applications=[service.wsgi.file for service in facts.services.values() if service.wsgi],
        account=around.user if around.user.provider is None else None,
        group=around.group,
        main=next((part for part in _parts(packaging, around, entries) if not part.flag), None),
        parts=[part for part in _parts(packaging, around, entries) if part.flag],
        description=_wrap(packaging.description),
        about_doc=_wrap(_about_doc(packaging)),
        installs=_branch(entries, lambda entry: _placement(entry, sources)),
        tag=_tag,
    )
    folder = f"{release}/{packaging.name}"
    return (
        RenderedFile(path=f"{folder}.spec", text=spec),
        *(RenderedFile(path=f"{folder}/{name}", text=text) for name, text in beside.items()),
    )


def _readme(project: Project, facts: ProjectRelease, packaging: Packaging) -> str:
    databases = any(database.connection for database in facts.databases.values())
    return render("readme", project=project, facts=facts, packaging=packaging, databases=databases)


def _parts(packaging: Packaging, around: Surroundings, entries: Sequence[Entry]) -> list[Part]:
    return [_part(package, packaging, around, entries) for package in packaging.packages.values()]


def _part(package: SubPackage, packaging: Packaging, around: Surroundings, entries: Sequence[Entry]) -> Part:
    mine = [entry for entry in entries if entry.package == package.name]
    services = [each for each in around.release.services.values() if each.home == package.name]
    is_common = package.name == packaging.common
    own = around.user.provider is None
    requires = [*_of_family(package, packaging), *package.requires]
    recommends = [*package.recommends]
    if any("/logrotate.d/" in entry.path for entry in mine):
        (recommends if around.modern else requires).append("logrotate")
    return Part(
        name=package.name,
        flag=_flag(package.name, packaging.name),
        summary=package.summary,
        description=_wrap(package.description),
        requires=tuple(requires),
        recommends=tuple(recommends),
        restarted=_units(services, keep=False),
        kept=_units(services, keep=True),
        services=tuple(service.name for service in services),
        files=_branch(mine, lambda entry: entry.listing()),
        groups=package.groups,
        provides=account_provides(around.user) if is_common and own else (),
        member_provides=member_provides(around.user, package.groups),
        owners=_owners(mine) if not is_common or not own else (),
        tmpfiles=next((entry.spelt for entry in mine if "/tmpfiles.d/" in entry.path), None),
        is_common=is_common,
        wsgi=any(service.wsgi for service in services),
    )


def _of_family(package: SubPackage, packaging: Packaging) -> list[str]:
    """Return what a package needs of its own SRPM, or of the code that others build."""
    if package.name != packaging.common:
        return [f"{packaging.common} = %{{version}}-%{{release}}"]
    if packaging.source is None:
        return []
    return [f"{packaging.code} = %{{version}}-%{{release}}"]


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


def _owners(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the accounts that rpm 4.19 would make a package require, because its files belong to them."""
    named = {f"user({entry.owner})" for entry in entries} | {f"group({entry.group})" for entry in entries}
    return tuple(sorted(named - {"user(root)", "group(root)"}, reverse=True))


def _branch(entries: Sequence[Entry], show: Callable[[Entry], str | Placement | None]) -> Branch:
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


def _placement(entry: Entry, sources: Sequence[SourceFile]) -> Placement | None:
    if entry.kind in (Kind.FOLDER, Kind.VOLATILE):
        return Placement(source="", path=entry.spelt, mode=entry.mode.lstrip("0"))
    if entry.kind is Kind.GHOST:
        # An old rpm wants to see the file, empty as it is.
        return Placement(source="/dev/null", path=entry.spelt, mode=entry.mode.lstrip("0"))
    if entry.link is not None:
        return Placement(source="", path=entry.spelt, mode="", link=entry.link)
    if entry.text is None and entry.upstream is None:
        return None
    source = entry.upstream
    if entry.file is not None:
        number = next(source.number for source in sources if source.name == entry.file)
        source = f"%{{SOURCE{number}}}"
    assert source is not None
    return Placement(source=source, path=entry.spelt, mode=entry.mode.lstrip("0"))


def _about_doc(packaging: Packaging) -> str:
    if packaging.source is None:
        return f"How to set the services of {packaging.name} up on a host."
    return f"The documentation of {packaging.name} as upstream wrote it, in reStructuredText."


def _wrap(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def _tag(name: str, value: object) -> str:
    """Return a line of the preamble, its value in the column where all are."""
    return f"{name}:".ljust(COLUMN - 1) + f" {value}"
