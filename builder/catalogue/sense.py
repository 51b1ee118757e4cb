# SPDX-License-Identifier: MIT
"""What is well-formed in the catalogue and makes no sense: modes, folders, licences, databases, logs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from builder.catalogue.model import Catalogue, Project, ProjectRelease
from builder.errors import Problem

# Below these a package has a folder of its own, called after itself.
ROOTS = ("/etc", "/var/lib", "/var/log", "/var/run", "/run", "/var/cache", "/var/spool", "/usr/share")
# Data that a site serves (hier(7)); who has which is for the administrator.
SITE = "/srv/"
LOG = re.compile(r"(/var/log/[\w.-]+)/[\w.-]+")


def check_sense(catalogue: Catalogue) -> Iterator[Problem]:
    """Return what no packager can have meant."""
    for project in catalogue.projects.values():
        for name, release in project.releases.items():
            yield from _check_modes(release)
            yield from _check_folders(project, name)
            yield from _check_databases(release)
            yield from _check_logs(release)
            if release.rpm is not None and (fault := find_license_fault(release.rpm.license)):
                yield Problem(where=release.rpm.where, message=f"license: {fault}")


def find_license_fault(text: str) -> str | None:
    """Return what is wrong with a licence, which ought to be an expression of SPDX; None when nothing is."""
    try:
        canonical = canonicalize_license_expression(text)
    except InvalidLicenseExpression as error:
        return f'"{text}" is not an SPDX expression ({error})'
    return None if canonical == text else f'"{text}" is written {canonical} in SPDX'


def _check_modes(release: ProjectRelease) -> Iterator[Problem]:
    own = release.rpm.own.values() if release.rpm else ()
    files = [*release.configuration.values(), *own]
    for file in files:
        mode = int(file.mode, 8)
        if fault := _fault_of_file(mode):
            yield Problem(where=file.where, message=f"{file.path}: mode {file.mode}: {fault}")
    for configuration in release.configuration.values():
        if int(configuration.mode, 8) & 0o111:
            message = f"{configuration.path}: mode {configuration.mode}: configuration is not executable"
            yield Problem(where=configuration.where, message=message)
    for folder in release.folders.values():
        if fault := _fault_of_folder(int(folder.mode, 8)):
            yield Problem(where=folder.where, message=f"{folder.path}: mode {folder.mode}: {fault}")


def _fault_of_file(mode: int) -> str | None:
    if mode & 0o002:
        return "everybody may write it"
    return None if mode & 0o400 else "its owner may not read it"


def _fault_of_folder(mode: int) -> str | None:
    if mode & 0o002:
        return "everybody may write there"
    if mode & 0o500 != 0o500:
        return "its owner may not read and enter it"
    for shift, who in ((3, "the group"), (0, "everybody")):
        bits = mode >> shift & 7
        if bits & 4 and not bits & 1:
            return f"{who} may list it and not enter it"
    return None


def _check_folders(project: Project, name: str) -> Iterator[Problem]:
    release = project.releases[name]
    names = {project.project, *project.aliases, project.user_in(name).name}
    if release.rpm is not None:
        names |= {release.rpm.name, release.rpm.common, *release.rpm.packages}
    for folder in release.folders.values():
        root = next((root for root in ROOTS if folder.path.startswith(f"{root}/")), None)
        own = folder.path.removeprefix(root or "").split("/")[1] if root else ""
        mine = own in names or own.startswith(f"{project.project}-") or folder.path.startswith(SITE)
        if not mine:
            places = ", ".join(f"/etc/{each}" for each in sorted(names)[:3])
            yield Problem(
                where=folder.where, message=f"{folder.path} is not a folder of {project.project}'s own",
                hint=f"like {places}; others belong to other packages, or to the system",
            )  # fmt: skip


def _check_databases(release: ProjectRelease) -> Iterator[Problem]:
    made = {name for command in release.sync for name in command.databases}
    for database in release.databases.values():
        if database.name not in made and not database.made_by_daemon:
            message = f"database {database.name}: no command of sync makes its tables"
            yield Problem(where=database.where, message=message)


def _check_logs(release: ProjectRelease) -> Iterator[Problem]:
    """A daemon cannot make a folder in /var/log: it does not start, or says nothing."""
    # The value of log_dir is a folder itself.
    texts = [
        (file.where, f"{value}/log" if key == "log_dir" else value)
        for file in release.configuration.values()
        for options in (file.set or {}).values()
        for key, value in options.items()
    ]
    texts += [
        (each.where, word) for each in release.services.values() for word in (*each.run, *each.instance)
    ]
    for where, text in texts:
        for folder in LOG.findall(text):
            if folder not in release.folders:
                yield Problem(
                    where=where, message=f"{folder} is not among folders: nobody makes it for the log"
                )
