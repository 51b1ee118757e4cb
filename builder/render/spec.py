# SPDX-License-Identifier: MIT
"""The spec of a project for one release of OpenStack, for all targets that build it.

Where targets differ, the spec asks rpm: one named condition each, defined at its top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.catalogue.model import Catalogue, Project, ProjectRelease
from builder.catalogue.packaging import Packaging
from builder.places import SOURCE
from builder.render.conditions import environments, expression, makes_accounts, makes_members
from builder.render.entries import ListedAs, PayloadEntry
from builder.render.environment import render
from builder.render.escapes import paragraph
from builder.render.parts import Part, branch, list_parts
from builder.render.payload import commands_of, list_payload
from builder.render.services import ProjectContext
from builder.targets import Init, Target

COLUMN = 18
# Of builder/rpm/programs, which openstack-builder puts into the source RPM: they build and install wheels.
PROGRAMS = ("pyproject.py", "byte_code.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedFile:
    """A text file of the packager's: its path below specs/ and what is in it."""

    path: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A file next to the spec, and its number among the sources."""

    number: int
    name: str
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildTool:
    """A wheel of the Python package index that builds the code of projects."""

    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecConditions:
    """The expressions of the named conditions; None where no target of the release is so."""

    sysv: str | None
    sysusers: str | None
    members: str | None


def render_project(
    project: Project,
    release: str,
    catalogue: Catalogue,
    targets: Sequence[Target],
    tools: Sequence[BuildTool],
) -> tuple[RenderedFile, ...]:
    """Return the spec of a project for a release, and the files next to it.

    Args:
        targets: those that build the release.
        tools: what code for the environment of openstack-python-bundled is built with.
    """
    facts = project.releases[release]
    packaging = facts.rpm
    assert packaging is not None
    around = _context(project, release, catalogue, targets, url=packaging.url)
    entries = list_payload(project, around, packaging)
    parts = list_parts(packaging, around, entries)
    files = {entry.file: entry.text for entry in entries if entry.file is not None and entry.text is not None}
    if packaging.source is None:
        files[f"README.{packaging.name}"] = _readme(project, facts, packaging)
        # All that such packages hold is ours.
        files["LICENSE"] = (SOURCE / "LICENSE").read_text(encoding="utf-8")
    sources = tuple(SourceFile(number=number, name=name) for number, name in enumerate(files, 1))
    programs = {name: number for number, name in enumerate(PROGRAMS, len(sources) + 1)}
    wheels = [
        SourceFile(number=number, name=tool.file, sha256=tool.sha256)
        for number, tool in enumerate(tools, len(sources) + len(programs) + 1)
    ]
    spec = render(
        "spec",
        project=project,
        release=release,
        profile=around.profile,
        packaging=packaging,
        targets=[target.name for target in targets],
        conditions=_conditions(targets, parts, modern=around.modern),
        pythons=environments(targets),
        sources=sources,
        programs=programs,
        tools=wheels,
        documents=sources[-2:] if packaging.source is None else (),
        commands=commands_of(facts, packaging),
        site=facts.site,
        rootwrap=next((path for path in facts.configuration if path.endswith("/rootwrap.conf")), None),
        applications=[service.wsgi.file for service in facts.services.values() if service.wsgi],
        upstream="%{upstream_version}" if packaging.upstream else "%{version}",
        account=around.user if around.user.provider is None else None,
        main=next((part for part in parts if not part.flag), None),
        parts=[part for part in parts if part.flag],
        description=paragraph(packaging.description),
        about_doc=paragraph(_about_doc(packaging)),
        installs=branch(entries, lambda entry: _install(entry, sources)),
        tag=_tag,
    )
    folder = f"{release}/{packaging.name}"
    return (
        RenderedFile(path=f"{folder}.spec", text=spec),
        *(RenderedFile(path=f"{folder}/{name}", text=text) for name, text in files.items()),
    )


def _context(
    project: Project, release: str, catalogue: Catalogue, targets: Sequence[Target], *, url: str
) -> ProjectContext:
    inits = {target.init for target in targets}
    return ProjectContext(
        profile=catalogue.releases[release],
        project=project.project,
        release=project.releases[release],
        user=project.user_in(release),
        url=url,
        modern=inits == {Init.SYSTEMD},
        sysv=Init.SYSV in inits,
    )


def _conditions(targets: Sequence[Target], parts: Sequence[Part], *, modern: bool) -> SpecConditions:
    has_groups = any(part.groups for part in parts)
    return SpecConditions(
        sysv=expression(targets, lambda target: target.init is Init.SYSV),
        sysusers=expression(targets, makes_accounts) if modern else None,
        members=expression(targets, makes_members) if modern and has_groups else None,
    )


def _readme(project: Project, facts: ProjectRelease, packaging: Packaging) -> str:
    databases = any(database.connection for database in facts.databases.values())
    return render("readme", project=project, facts=facts, packaging=packaging, databases=databases)


def _install(entry: PayloadEntry, sources: Sequence[SourceFile]) -> str | None:
    """Return the command of %install that puts an entry into its place; None where another does."""
    place = f"%{{buildroot}}{entry.spelt}"
    mode = entry.mode.lstrip("0")
    if entry.kind in (ListedAs.FOLDER, ListedAs.VOLATILE):
        return f"install -d -m {mode} {place}"
    if entry.kind in (ListedAs.GHOST, ListedAs.MADE):
        # An old rpm wants to see the file, empty as it is.
        return f"install -D -m {mode} /dev/null {place}"
    if entry.link is not None:
        return f"ln -s {entry.link} {place}"
    if entry.upstream is not None and place.endswith("/*"):
        return f"install -p -D -m {mode} -t {place.removesuffix('/*')} {entry.upstream}"
    if entry.upstream is not None:
        return f"install -p -D -m {mode} {entry.upstream} {place}"
    number = next((source.number for source in sources if source.name == entry.file), None)
    return f"install -p -D -m {mode} %{{SOURCE{number}}} {place}" if number is not None else None


def _about_doc(packaging: Packaging) -> str:
    if packaging.source is None:
        return f"How to set the services of {packaging.name} up on a host."
    return f"The documentation of {packaging.name} as upstream wrote it, in reStructuredText."


def _tag(name: str, value: object) -> str:
    """Return a line of the preamble, its value in the column where all are."""
    return f"{name}:".ljust(COLUMN - 1) + f" {value}"
