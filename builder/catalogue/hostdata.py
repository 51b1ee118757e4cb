# SPDX-License-Identifier: MIT
"""services.json: the catalogue as the utilities on a host read it.

It is rendered when openstack-utils is packaged (/usr/share/openstack-utils/services.json) and by
`make setup` for a checkout. Defaults are filled in, so that its reader needs none of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

from builder.catalogue.cloud import render_cloud
from builder.catalogue.hostservices import render_host_services, render_supports
from builder.catalogue.model import Account, Accounts, Catalogue, Project, SyncCommand
from builder.catalogue.options import ConfigOption
from builder.catalogue.order import project_order

FORMAT = 1


def render_services(catalogue: Catalogue) -> str:
    """Return the text of services.json; equal catalogues give equal bytes."""
    data = {
        "format": FORMAT,
        "releases": {
            release.name: {
                "title": release.title,
                "version": release.version,
                "drivers": dict(release.drivers),
                "charset": release.charset,
            }
            for release in catalogue.releases.values()
        },
        "order": project_order(catalogue),
        "supports": render_supports(catalogue),
        "projects": {project.project: _project(project) for project in catalogue.projects.values()},
    }
    return json.dumps(data, indent=1) + "\n"


def _project(project: Project) -> dict[str, object]:
    user = project.user
    return {
        "title": project.title,
        "aliases": list(project.aliases),
        "needs": list(project.needs),
        "user": {
            "name": user.name,
            "uid": user.uid,
            "gid": user.uid if user.gid is None else user.gid,
            "group": user.group or user.name,
            "home": _text(user.home),
            "shell": _text(user.shell),
            "comment": user.comment,
        },
        "releases": {name: _release(project, name) for name in project.releases},
    }


def _release(project: Project, name: str) -> dict[str, object]:
    release = project.releases[name]
    user = project.user_in(name)
    group = user.group or user.name
    check = release.check
    return {
        "configuration": {
            file.path: {"mode": file.mode, "owner": file.owner, "group": file.group or group}
            for file in release.configuration.values()
        },
        "ports": dict(release.ports),
        "databases": {
            database.name: {
                "connection": [_option(option) for option in database.connection],
                "alongside": database.alongside,
                "account": database.account or user.name,
                "engines": list(database.engines),
                "migrations": database.migrations,
            }
            for database in release.databases.values()
        },
        "sync": [_sync(command) for command in release.sync],
        "check": {"run": list(check.run), "behind": list(check.behind)} if check else None,
        "endpoints": {
            endpoint.type: {
                "name": endpoint.name,
                "description": endpoint.description,
                "public": endpoint.public,
                "internal": endpoint.internal,
                "admin": endpoint.admin,
            }
            for endpoint in release.endpoints.values()
        },
        **render_host_services(project, release),
        "account": _account(release.account) if release.account else None,
        "accounts": _accounts(release.accounts) if release.accounts else None,
        "cloud": render_cloud(release.cloud) if release.cloud else None,
    }


def _account(account: Account) -> dict[str, object]:
    return {"user": account.user, "roles": list(account.roles), "optional": account.optional}


def _accounts(accounts: Accounts) -> dict[str, object]:
    return {
        "service_project": accounts.service_project,
        "projects": dict(accounts.projects),
        "roles": list(accounts.roles),
        "implied": {role: list(implied) for role, implied in accounts.implied.items()},
        "users": {user.name: {"email": user.email} for user in accounts.users.values()},
        "assignments": [
            {"user": each.user, "project": each.project, "roles": list(each.roles)}
            for each in accounts.assignments
        ],
        "ec2": [{"user": each.user, "project": each.project} for each in accounts.ec2],
    }


def _option(option: ConfigOption) -> dict[str, object]:
    return {
        "file": option.file,
        "section": option.section,
        "key": option.key,
        "optional": option.optional,
    }


def _sync(command: SyncCommand) -> dict[str, object]:
    return {
        "databases": list(command.databases),
        "run": list(command.run),
        "done": list(command.done),
        "requires": _option(command.requires) if command.requires else None,
    }


def _text(path: Path) -> str:
    return path.as_posix()
