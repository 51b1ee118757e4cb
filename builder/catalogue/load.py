# SPDX-License-Identifier: MIT
"""Reads the catalogue and checks what no single file can know: that nothing is claimed twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.catalogue.claims import Claims
from builder.catalogue.model import TEMPLATE, Catalogue, Project, ProjectRelease
from builder.catalogue.order import check_order
from builder.catalogue.packaged import check_packages
from builder.catalogue.sense import check_sense
from builder.catalogue.supports import Support
from builder.catalogue.texts import check_texts
from builder.errors import Problem
from builder.places import SPECS
from builder.releases import RELEASES, ReleaseProfile
from builder.schema import Reader, did_you_mean, show_path


def load_catalogue(specs: Path = SPECS, changed: Mapping[Path, str] | None = None) -> Catalogue:
    """Return the catalogue of `specs` (releases.yaml, supports.yaml and services/*.yaml).

    Args:
        changed: texts of files of projects that are not written yet.

    Raises:
        InputError: with file and line of every mistake in any of the files.
    """
    reader = Reader()
    releases = reader.read(specs / RELEASES, dict[str, ReleaseProfile])
    projects: dict[str, Project] = {}
    for path in sorted((specs / "services").glob("*.yaml")):
        project = reader.read(path, Project, (changed or {}).get(path))
        if project is None:
            continue
        if project.project != path.stem:
            message = f"project is {project.project}, but the file is {show_path(path)}"
            reader.problems.append(Problem(where=project.where, message=message))
        projects[project.project] = project
    supports = reader.read(specs / "supports.yaml", dict[str, Support])
    is_whole = not reader.problems
    catalogue = Catalogue(releases=releases or {}, projects=projects, supports=supports or {})
    for value in (*catalogue.releases.values(), *catalogue.projects.values()):
        reader.problems.extend(check_texts(value))
    reader.problems.extend(check_claims(catalogue))
    reader.problems.extend(check_releases(catalogue))
    reader.problems.extend(check_sense(catalogue))
    # A file with a mistake is not in the catalogue, and what others need of it would seem to be missing.
    if is_whole:
        reader.problems.extend(check_accounts(catalogue))
        reader.problems.extend(check_order(catalogue))
        reader.problems.extend(check_packages(catalogue))
    reader.check()
    return catalogue


def check_claims(catalogue: Catalogue) -> Iterator[Problem]:
    """Return what two projects have that one may have: names, accounts, ports, databases."""
    claims = Claims()
    # Older projects first: a clash is reported at the newcomer.
    for project in sorted(catalogue.projects.values(), key=_since):
        owner = project.project
        for name in (owner, *project.aliases):
            yield from claims.claim("the name", name, owner, project.where)
        for user in project.accounts():
            yield from claims.claim("the user", user.name, owner, user.where)
            if user.uid is not None:
                yield from claims.claim("the uid", user.uid, owner, user.where)
            if (gid := user.uid if user.gid is None else user.gid) is not None:
                yield from claims.claim("the gid", gid, owner, user.where)
        for name, release in project.releases.items():
            for port in release.ports.values():
                yield from claims.claim(f"in {name} the port", port, owner, release.where)
            for database in release.databases.values():
                yield from claims.claim(f"in {name} the database", database.name, owner, database.where)


def check_releases(catalogue: Catalogue) -> Iterator[Problem]:
    """Return what is wrong across the keys of a release, or with its name."""
    for project in catalogue.projects.values():
        for name, release in project.releases.items():
            # None is known where releases.yaml itself has a mistake.
            if catalogue.releases and name not in catalogue.releases:
                hint = did_you_mean(name, catalogue.releases)
                yield Problem(where=release.where, message=f'unknown release "{name}"', hint=hint)
            yield from _check_release(release)
            yield from _check_supports(release, catalogue)


def _since(project: Project) -> str:
    """Return the date of a project's first entry in a changelog; empty for one without packages."""
    packagings = (release.rpm for release in project.releases.values() if release.rpm)
    return min((packaging.changelog[-1].date for packaging in packagings), default="")


def check_accounts(catalogue: Catalogue) -> Iterator[Problem]:
    """Return what is wrong with the accounts in Keystone: who makes them, and roles that nobody makes."""
    for name in catalogue.releases:
        releases = [
            project.releases[name] for project in catalogue.projects.values() if name in project.releases
        ]
        makers = [release.accounts for release in releases if release.accounts]
        for more in makers[1:]:
            yield Problem(
                where=more.where, message=f"accounts: another project already makes the accounts of {name}"
            )
        for account in (release.account for release in releases if release.account):
            if not makers:
                yield Problem(where=account.where, message=f"account: no project of {name} has accounts")
                continue
            for role in account.roles:
                if role not in makers[0].roles:
                    hint = did_you_mean(role, makers[0].roles)
                    yield Problem(where=account.where, message=f'unknown role "{role}"', hint=hint)


def _check_release(release: ProjectRelease) -> Iterator[Problem]:
    files = release.configuration
    options = [option for database in release.databases.values() for option in database.connection]
    options += [command.requires for command in release.sync if command.requires]
    for option in options:
        if option.file not in files:
            message = f"{option.file} is not among the configuration files"
            yield Problem(where=option.where, message=message, hint=did_you_mean(option.file, files))
    databases = release.databases.values()
    named = [(each.where, each.alongside) for each in databases if each.alongside is not None]
    for command in release.sync:
        named += [(command.where, name) for name in command.databases]
        named += [(command.where, name) for name in TEMPLATE.findall(" ".join(command.run))]
    for where, name in named:
        if name not in release.databases:
            hint = did_you_mean(name, release.databases)
            yield Problem(where=where, message=f'unknown database "{name}"', hint=hint)
    for command in (*release.sync, *((release.check,) if release.check else ())):
        for word in command.run:
            if word.startswith("/etc/") and word not in files:
                message = f"{word} is not among the configuration files"
                yield Problem(where=command.where, message=message, hint=did_you_mean(word, files))
    yield from _check_cloud(release)
    for service in release.services.values():
        if service.http and service.http.port not in release.ports:
            hint = did_you_mean(service.http.port, release.ports)
            yield Problem(where=service.http.where, message=f'unknown port "{service.http.port}"', hint=hint)
        if service.http and service.http.option.file not in files:
            message = f"{service.http.option.file} is not among the configuration files"
            yield Problem(where=service.http.where, message=message)
    for endpoint in release.endpoints.values():
        for port in sorted(endpoint.ports() - set(release.ports.values())):
            message = f"{endpoint.type}: port {port} is not one of ports"
            yield Problem(where=endpoint.where, message=message)


def _check_supports(release: ProjectRelease, catalogue: Catalogue) -> Iterator[Problem]:
    cloud = release.cloud
    if cloud is None:
        return
    for support in cloud.stands_on.values():
        if support not in catalogue.supports:
            hint = did_you_mean(support, catalogue.supports)
            yield Problem(where=cloud.where, message=f'cloud: unknown support "{support}"', hint=hint)


def _check_cloud(release: ProjectRelease) -> Iterator[Problem]:
    cloud = release.cloud
    if cloud is None:
        return
    for name in (*cloud.start, *cloud.compute, *cloud.volumes, *cloud.stands_on):
        if name not in release.services:
            hint = did_you_mean(name, release.services)
            yield Problem(where=cloud.where, message=f'cloud: unknown service "{name}"', hint=hint)
    for each in cloud.options:
        if each.file not in release.configuration:
            message = f"{each.file} is not among the configuration files"
            hint = did_you_mean(each.file, release.configuration)
            yield Problem(where=each.where, message=message, hint=hint)
        if each.login and release.account is None:
            yield Problem(where=each.where, message="cloud: login: the project has no account to log in as")
