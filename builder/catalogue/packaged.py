# SPDX-License-Identifier: MIT
"""What is wrong with the packages of the catalogue: across keys, projects and targets."""

from __future__ import annotations

from collections.abc import Iterator

from builder.catalogue.claims import Claims
from builder.catalogue.model import Catalogue, Project, ProjectRelease
from builder.errors import Problem
from builder.schema import did_you_mean
from builder.targets import FILES, Init, load_targets

OURS = ("openstack-", "neutron-", "quantum-")


def check_packages(catalogue: Catalogue) -> Iterator[Problem]:
    """Return every mistake in what is packaged."""
    claims = Claims()
    for name in catalogue.releases:
        units = _units(catalogue, name)
        sysv = any(target.release == name and target.init is Init.SYSV for target in load_targets())
        for project in catalogue.projects.values():
            if name in project.releases:
                release = project.releases[name]
                yield from _claim_names(project, release, name, claims)
                yield from _check_services(release, units)
                yield from _check_places(release)
                if sysv:
                    yield from _check_sysv(release, project.user_in(name).name)


def _units(catalogue: Catalogue, release: str) -> frozenset[str]:
    """Return the names of all units of a release."""
    services = [
        service
        for project in catalogue.projects.values()
        if release in project.releases
        for service in project.releases[release].services.values()
    ]
    return frozenset(f"{name}.service" for each in services for name in (each.name, *each.aliases))


def _claim_names(project: Project, release: ProjectRelease, name: str, claims: Claims) -> Iterator[Problem]:
    owner = project.project
    for service in release.services.values():
        for unit in (service.name, *service.aliases):
            who = f"{owner} ({service.name})"
            yield from claims.claim(f"in {name} the unit", unit, who, service.where)
    if release.rpm:
        yield from claims.claim(f"in {name} the source package", release.rpm.name, owner, release.rpm.where)
        for package in (*release.rpm.packages, release.rpm.code):
            yield from claims.claim(f"in {name} the package", package, owner, release.rpm.where)
    for path, folder in release.folders.items():
        yield from claims.claim(f"in {name} the folder", path, owner, folder.where)


def _check_services(release: ProjectRelease, units: frozenset[str]) -> Iterator[Problem]:
    for service in release.services.values():
        if service.wsgi and service.wsgi.port not in release.ports:
            hint = did_you_mean(service.wsgi.port, release.ports)
            message = f'{service.name}: port "{service.wsgi.port}" is not one of ports'
            yield Problem(where=service.wsgi.where, message=message, hint=hint)
        for unit in (*service.after, *service.before, *service.requires, *service.wants):
            if unit.startswith(OURS) and unit not in units:
                hint = did_you_mean(unit, sorted(units))
                message = f"{service.name}: no project has the unit {unit}"
                yield Problem(where=service.where, message=message, hint=hint)


def _check_places(release: ProjectRelease) -> Iterator[Problem]:
    """Every service, file and folder is in a package that there is."""
    if release.rpm is None:
        return
    packages = release.rpm.packages
    placed = [(release.rpm.where, "common", release.rpm.common)]
    placed += [(service.where, service.name, service.home) for service in release.services.values()]
    placed += [(file.where, file.path, file.package or "") for file in release.configuration.values()]
    placed += [(folder.where, folder.path, folder.package or "") for folder in release.folders.values()]
    placed += [(file.where, file.path, file.package or "") for file in release.rpm.own.values()]
    if release.site:
        placed.append((release.site.where, "site", release.site.package))
    for where, what, package in placed:
        if package and package not in packages:
            message = f"{what}: {package} is not one of packages"
            yield Problem(where=where, message=message, hint=did_you_mean(package, packages))
    for own in release.rpm.own.values():
        if own.file is not None and not (FILES / own.file).is_file():
            hint = did_you_mean(own.file, sorted(path.name for path in FILES.iterdir()))
            yield Problem(where=own.where, message=f"{own.path}: specs/files has no {own.file}", hint=hint)
    for file in release.configuration.values():
        if file.source is not None and release.rpm.source is None:
            yield Problem(where=file.where, message=f"{file.path}: source: the package has no source archive")


def _check_sysv(release: ProjectRelease, user: str) -> Iterator[Problem]:
    for service in release.services.values():
        if not service.run:
            message = f"{service.name}: needs run, because a target of the release has SysV init"
            yield Problem(where=service.where, message=message)
        for folder in (f"/var/run/{user}", f"/var/log/{user}"):
            if folder not in release.folders:
                message = f"{service.name}: its init script needs {folder} among folders"
                yield Problem(where=service.where, message=message)
