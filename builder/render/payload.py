# SPDX-License-Identifier: MIT
"""What the packages of a project hold: every file and folder, with its mode, owner and origin.

The code itself (python3-PROJECT) is not here: rpm's macros for Python list it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from builder.catalogue.model import ConfigurationFile, Project, ProjectRelease
from builder.catalogue.packaging import Folder, Packaging
from builder.catalogue.services import uwsgi_path
from builder.render.accounts import member_line, sysusers_line
from builder.render.entries import ListedAs, Only, PayloadEntry
from builder.render.environment import render
from builder.render.services import (
    ProjectContext,
    render_init,
    render_sysconfig,
    render_unit,
    render_uwsgi,
)
from builder.targets import FILES

# Where %install puts a link for each command without a page of its own.
COMMAND_PAGES = "/usr/share/man/man1/*"


def commands_of(release: ProjectRelease, packaging: Packaging) -> tuple[str, ...]:
    """Return the programs of /usr/bin that the packages of a project hold."""
    if packaging.source is None:
        return ()
    run = (service.run[0].rpartition("/")[2] for service in release.services.values() if service.run)
    return tuple(dict.fromkeys((*packaging.commands, *run)))


def list_payload(project: Project, around: ProjectContext, packaging: Packaging) -> tuple[PayloadEntry, ...]:
    """Return everything that the packages hold, in the order in which %files lists it."""
    parts: tuple[Callable[[Project, ProjectContext, Packaging], Iterator[PayloadEntry]], ...] = (
        _commands,
        _services,
        _configuration,
        _manuals,
        _files,
        _site,
        _own,
        _rights,
        _housekeeping,
        _folders,
    )
    return tuple(entry for part in parts for entry in part(project, around, packaging))


def _commands(_project: Project, around: ProjectContext, packaging: Packaging) -> Iterator[PayloadEntry]:
    homes = {service.run[0]: service.home for service in around.release.services.values() if service.run}
    for command in commands_of(around.release, packaging):
        path = f"/usr/bin/{command}"
        common = command in packaging.commands
        yield PayloadEntry(package=packaging.common if common else homes[path], path=path, mode="0755")


def _services(project: Project, around: ProjectContext, _packaging: Packaging) -> Iterator[PayloadEntry]:
    only = Only.SYSTEMD if around.sysv else Only.EVERYWHERE
    for service in around.release.services.values():
        unit = f"{service.name}.service"
        yield PayloadEntry(
            package=service.home,
            path=f"/usr/lib/systemd/system/{unit}",
            only=only,
            file=unit,
            text=render_unit(service, around),
        )
        if service.instance:
            unit = f"{service.name}@.service"
            yield PayloadEntry(
                package=service.home,
                path=f"/usr/lib/systemd/system/{unit}",
                only=only,
                file=unit,
                text=render_unit(service, around, instances=True),
            )
        if around.sysv:
            yield PayloadEntry(
                package=service.home,
                path=f"/etc/rc.d/init.d/{service.name}",
                mode="0755",
                only=Only.SYSV,
                file=f"{service.name}.init",
                text=render_init(service, around),
            )
            yield PayloadEntry(
                package=service.home,
                path=f"/etc/sysconfig/{service.name}",
                kind=ListedAs.CONFIG,
                file=f"{service.name}.sysconfig",
                text=render_sysconfig(service),
            )
        if service.wsgi:
            path = uwsgi_path(service, project.project)
            yield PayloadEntry(
                package=service.home,
                path=path,
                kind=ListedAs.CONFIG,
                file=path.rpartition("/")[2],
                text=render_uwsgi(service, around),
            )


def _configuration(project: Project, around: ProjectContext, packaging: Packaging) -> Iterator[PayloadEntry]:
    names = [path.rpartition("/")[2] for path in around.release.configuration]
    for config in around.release.configuration.values():
        text = None
        if config.set is not None:
            title = f"{project.title} of OpenStack"
            text = render("configuration", title=title, sections=config.set)
        name = config.path.rpartition("/")[2]
        if names.count(name) > 1:
            name = config.path.removeprefix("/etc/").replace("/", "-")
        yield PayloadEntry(
            package=config.package or packaging.common,
            path=config.path,
            kind=_kind_of(config),
            mode=config.mode,
            owner=config.owner,
            group=config.group or around.group,
            file=name if text is not None else None,
            text=text,
            upstream=config.source,
        )


def _kind_of(config: ConfigurationFile) -> ListedAs:
    return ListedAs.GHOST if config.set is None and config.source is None else ListedAs.CONFIG


def _manuals(project: Project, around: ProjectContext, packaging: Packaging) -> Iterator[PayloadEntry]:
    """One page for all of a project; %install makes a link to it for each command without one."""
    if packaging.source is None:
        return
    commands = commands_of(around.release, packaging)
    text = render(
        "manual",
        project=project,
        facts=around.release,
        packaging=packaging,
        commands=commands,
        databases=any(database.connection for database in around.release.databases.values()),
    )
    file = f"{packaging.name}.7"
    yield PayloadEntry(package=packaging.common, path=f"/usr/share/man/man7/{file}", file=file, text=text)
    if commands and COMMAND_PAGES not in packaging.files:
        yield PayloadEntry(package=packaging.common, path=COMMAND_PAGES)


def _files(_project: Project, _around: ProjectContext, packaging: Packaging) -> Iterator[PayloadEntry]:
    for path, source in packaging.files.items():
        yield PayloadEntry(package=packaging.common, path=path, upstream=source)
    for path, target in packaging.links.items():
        yield PayloadEntry(package=packaging.common, path=path, link=target)


def _own(_project: Project, _around: ProjectContext, packaging: Packaging) -> Iterator[PayloadEntry]:
    for own in packaging.own.values():
        kind = ListedAs.CONFIG if own.config else ListedAs.FILE
        yield PayloadEntry(
            package=own.package or packaging.common,
            path=own.path,
            kind=ListedAs.MADE if own.file is None else kind,
            mode=own.mode,
            owner=own.owner,
            group=own.group,
            file=own.file,
            text=None if own.file is None else (FILES / own.file).read_text(encoding="utf-8"),
        )


def _site(project: Project, around: ProjectContext, _packaging: Packaging) -> Iterator[PayloadEntry]:
    site = around.release.site
    if site is None:
        return
    text = render(
        "site",
        title=project.title,
        site=site,
        name=site.package,
        user=around.user.name,
        group=around.group,
        modern=around.modern,
    )
    yield PayloadEntry(
        package=site.package,
        path=f"/etc/httpd/conf.d/{site.package}.conf",
        kind=ListedAs.CONFIG,
        file=f"{site.package}.conf",
        text=text,
    )


def _rights(project: Project, around: ProjectContext, packaging: Packaging) -> Iterator[PayloadEntry]:
    name = packaging.name
    user = around.user.name
    if packaging.sudo:
        title = f"{project.title} of OpenStack"
        yield PayloadEntry(
            package=packaging.common,
            path=f"/etc/sudoers.d/{name}",
            kind=ListedAs.CONFIG,
            mode="0440",
            file=f"{name}.sudoers",
            text=render("sudoers", title=title, user=user, commands=packaging.sudo),
        )
    if packaging.polkit:
        folder = "/usr/share/polkit-1/rules.d"
        template, path = "polkit.rules", f"{folder}/50-{name}.rules"
        if not around.modern:
            folder = "/etc/polkit-1/localauthority/50-local.d"
            template, path = "polkit.pkla", f"{folder}/50-{name}.pkla"
        yield PayloadEntry(
            package=packaging.common,
            path=path,
            kind=ListedAs.FILE if around.modern else ListedAs.CONFIG,
            file=path.rpartition("/")[2],
            text=render(template, user=user, action=packaging.polkit),
        )
    if around.modern:
        if around.user.provider is None:
            yield PayloadEntry(
                package=packaging.common,
                path=f"/usr/lib/sysusers.d/{name}.conf",
                file=f"{name}.sysusers",
                text=render("sysusers", lines=[sysusers_line(around.user)]),
            )
        for package in packaging.packages.values():
            if package.account:
                yield PayloadEntry(
                    package=package.name,
                    path=f"/usr/lib/sysusers.d/{package.name}.conf",
                    file=f"{package.name}.sysusers",
                    text=render("sysusers", lines=[sysusers_line(package.account)]),
                )
            if package.groups:
                members = [member_line(around.user, group) for group in package.groups]
                yield PayloadEntry(
                    package=package.name,
                    path=f"/usr/lib/sysusers.d/{package.name}-groups.conf",
                    only=Only.MEMBERS,
                    file=f"{package.name}-groups.sysusers",
                    text=render("sysusers", lines=members),
                )


def _housekeeping(_project: Project, around: ProjectContext, packaging: Packaging) -> Iterator[PayloadEntry]:
    name = packaging.name
    log = f"/var/log/{around.user.name}"
    if log in around.release.folders:
        # The folder is the daemons': as root, logrotate would follow a link that they put there.
        own = (f"su {around.user.name} {around.group}",) if around.modern else ()
        text = render("logrotate", pattern=f"{log}/*.log", directives=(*own, *around.profile.logrotate))
        yield PayloadEntry(
            package=packaging.common,
            path=f"/etc/logrotate.d/{name}",
            kind=ListedAs.CONFIG,
            file=f"{name}.logrotate",
            text=text,
        )
    if packaging.sysctl:
        folder = "/usr/lib/sysctl.d" if around.modern else "/etc/sysctl.d"
        yield PayloadEntry(
            package=packaging.common,
            path=f"{folder}/{name}.conf",
            kind=ListedAs.FILE if around.modern else ListedAs.CONFIG,
            file=f"{name}.sysctl",
            text=render("sysctl", settings=packaging.sysctl),
        )
    volatile = [
        {"path": folder.path, "mode": folder.mode, "owner": folder.owner or around.user.name,
         "group": folder.group or around.group}
        for folder in around.release.folders.values()
        if folder.is_volatile
    ]  # fmt: skip
    if volatile:
        folder = "/usr/lib/tmpfiles.d" if around.modern else "/etc/tmpfiles.d"
        yield PayloadEntry(
            package=packaging.common,
            path=f"{folder}/{name}.conf",
            kind=ListedAs.FILE if around.modern else ListedAs.CONFIG,
            only=Only.SYSTEMD if around.sysv else Only.EVERYWHERE,
            file=f"{name}.tmpfiles",
            text=render("tmpfiles", folders=volatile),
        )


def _folders(_project: Project, around: ProjectContext, packaging: Packaging) -> Iterator[PayloadEntry]:
    for folder in around.release.folders.values():
        if folder.is_volatile and around.sysv:
            yield _folder(folder, around, packaging, ListedAs.FOLDER, Only.SYSV)
            yield _folder(folder, around, packaging, ListedAs.VOLATILE, Only.SYSTEMD)
        elif folder.is_volatile:
            yield _folder(folder, around, packaging, ListedAs.VOLATILE, Only.EVERYWHERE)
        else:
            yield _folder(folder, around, packaging, ListedAs.FOLDER, Only.EVERYWHERE)
        if folder.source is not None:
            yield PayloadEntry(
                package=folder.package or packaging.common,
                path=f"{folder.path}/*",
                kind=ListedAs.CONFIG,
                upstream=f"{folder.source}/*",
            )


def _folder(
    folder: Folder, around: ProjectContext, packaging: Packaging, kind: ListedAs, only: Only
) -> PayloadEntry:
    return PayloadEntry(
        package=folder.package or packaging.common,
        path=folder.path,
        kind=kind,
        mode=folder.mode,
        owner=folder.owner or around.user.name,
        group=folder.group or around.group,
        only=only,
    )
