# SPDX-License-Identifier: MIT
"""A service as the init systems of one release read it: unit, template unit, init script, uwsgi.ini."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from builder.catalogue.model import ProjectRelease
from builder.catalogue.services import Service, uwsgi_path
from builder.catalogue.user import SystemAccount
from builder.releases import ReleaseProfile
from builder.render import escapes
from builder.render.environment import render

# What a daemon that never becomes root does not need; systemd 252 (the oldest of release current) knows
# all of them. In this order in the unit. MemoryDenyWriteExecute is not here: cffi needs such memory.
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "PrivateDevices": "yes",
    "ProtectSystem": "full",
    "ProtectHome": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
}


# Then it has started all the same: its application may wait for a database.
ANSWER_SECONDS = 60
# UWSGI_FAILED_APP_CODE of uwsgi.h.
UWSGI_FAILED_APP = 22


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """The values of a unit file, in the order in which it has them."""

    description: str
    documentation: str | None
    after: tuple[str, ...]
    before: tuple[str, ...]
    wants: tuple[str, ...]
    requires: tuple[str, ...]
    part_of: tuple[str, ...]
    type: str
    user: str
    group: str
    environment: tuple[str, ...]
    environment_file: str | None
    prepare: tuple[str, ...]
    command: str
    answer: str
    stop: str
    kill: str
    restart: str
    stopped_while_loading: int | None
    open_files: int | None
    stop_seconds: int | None
    private_tmp: bool
    hardening: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectContext:
    """What a service has in common with the others of its project and release.

    `modern` is False where a target has the systemd of Fedora 17, `sysv` True where one has none.
    """

    profile: ReleaseProfile
    project: str
    release: ProjectRelease
    user: SystemAccount
    url: str
    modern: bool
    sysv: bool

    @property
    def group(self) -> str:
        """The group of the project's user."""
        return self.user.main_group


def render_unit(service: Service, around: ProjectContext, *, instances: bool = False) -> str:
    """Return the unit file of a service, or of its instances (NAME@.service)."""
    user = service.user or around.user.name
    hardened = around.modern and service.hardening == "full"
    wants = tuple(unit for unit in around.profile.after if unit == "network-online.target")
    unit = Unit(
        description=escapes.unit(service.summary) + (", %i" if instances else ""),
        documentation=around.url if around.modern else None,
        after=(*around.profile.after, *service.after),
        before=service.before,
        wants=(*wants, *service.wants),
        requires=service.requires,
        part_of=service.part_of,
        type="notify" if service.wsgi else service.type,
        user=user,
        group="root" if user == "root" else around.group,
        environment=tuple(escapes.unit_assignment(*item) for item in service.environment.items()),
        environment_file=f"/etc/sysconfig/{service.name}" if around.sysv else None,
        prepare=service.prepare,
        command=command_of(service, around, instances=instances),
        answer=_answer_of(service, around),
        stop=" ".join(map(escapes.unit_word, service.stop)),
        kill=service.kill,
        restart=service.restart if around.modern else "no",
        stopped_while_loading=UWSGI_FAILED_APP if service.wsgi else None,
        open_files=service.open_files,
        stop_seconds=service.stop_seconds,
        private_tmp=service.private_tmp,
        hardening=tuple(HARDENING.items()) if hardened else (),
        aliases=tuple(f"{name}{'@' if instances else ''}.service" for name in service.aliases),
    )
    return render("unit", unit=unit)


def command_of(service: Service, around: ProjectContext, *, instances: bool = False) -> str:
    """Return ExecStart= of a unit."""
    if service.wsgi:
        return f"uwsgi --ini {uwsgi_path(service, around.project)}"
    argv = service.instance if instances else service.run
    options = " $OPTIONS" if around.sysv else ""
    return " ".join(escapes.unit_word(word, instance=instances) for word in argv) + options


def _answer_of(service: Service, around: ProjectContext) -> str:
    """Return the command that ends when a WSGI service has answered; nothing for other services.

    uwsgi and gunicorn say that they are ready when they listen; their workers load the application then, for
    seconds. A connection waits for that; one that is refused, where the port is another, does not.
    """
    if service.wsgi is None:
        return ""
    url = f"http://127.0.0.1:{around.release.ports[service.wsgi.port]}{service.wsgi.path}"
    return f"-/usr/bin/curl --silent --output /dev/null --max-time {ANSWER_SECONDS} {escapes.unit_word(url)}"


def render_uwsgi(service: Service, around: ProjectContext) -> str:
    """Return the configuration of the uwsgi that runs a WSGI service."""
    assert service.wsgi is not None
    return render("uwsgi.ini", service=service, port=around.release.ports[service.wsgi.port])


def render_init(service: Service, around: ProjectContext) -> str:
    """Return the SysV init script of a service."""
    words = [word for word in service.run[1:] if word.startswith("/etc/")]
    values = {
        "name": service.name,
        "summary": service.summary,
        "program": service.run[0].rpartition("/")[2],
        "exec": service.run[0],
        # Twice: the script hands the words to another shell.
        "arguments": shlex.quote(shlex.join(service.run[1:])),
        "config": words[0] if words else f"/etc/sysconfig/{service.name}",
        "user": service.user or around.user.name,
        "folder": f"/var/run/{around.user.name}",
        "log": f"/var/log/{around.user.name}",
    }
    return render("init", init=values)


def render_sysconfig(service: Service) -> str:
    """Return /etc/sysconfig/NAME, which Fedora 17's unit and the init script read."""
    return render("sysconfig", service=service)
