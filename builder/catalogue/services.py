# SPDX-License-Identifier: MIT
"""What the catalogue knows of a service: what is run, and how an init system is to treat it.

A service is a daemon with its own program, or a WSGI application that uwsgi runs (release current has
no program for its APIs any more). Both become a unit, and an init script where the target has SysV init.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from builder.catalogue.options import ConfigOption
from builder.catalogue.texts import ACCOUNT, ENVIRONMENT, PATH, full
from builder.schema import FROM_KEY

UNIT_NAME = re.compile(r"[a-z][a-z0-9-]*")
UNIT = re.compile(r"[A-Za-z0-9:_.@-]+\.(service|target|socket|mount|slice)")
MODULE = re.compile(r"[a-z_][a-z0-9_.]*:[a-z_]+")

Hardening = Literal["full", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wsgi:
    """A WSGI application; `port` is a use of the release's ports, `chunked` that bodies may come so.

    `path` is where it answers without a token (its version document), `scripts` are the names of the
    programs by which httpd serves it where packages of others are installed. `reads` are the configuration
    files that its code looks for (none: those of oslo.config for `program`), `program` is the name that it
    gives itself there.
    """

    where: str = ""
    module: str
    port: str
    processes: int = 2
    threads: int = 4
    chunked: bool = False
    path: str = "/"
    scripts: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    program: str = "uwsgi"

    def __post_init__(self) -> None:
        for path in self.reads:
            full(PATH, path, "the full path of a file")
        if not MODULE.fullmatch(self.module):
            raise ValueError(f'wsgi: module "{self.module}" is not of the form keystone.wsgi.api:application')

    @property
    def file(self) -> str:
        """The file of the module, below the folder of Python's modules."""
        return self.module.partition(":")[0].replace(".", "/") + ".py"


@dataclass(frozen=True, kw_only=True, slots=True)
class Http:
    """Where a program answers over HTTP: a use of the release's ports, and a path that asks no token.

    `option` has the port where it is not the release's, the key `host` of the same section the address.
    """

    where: str = ""
    port: str
    path: str = "/"
    option: ConfigOption
    host: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A service; `run` or `wsgi` is what is started, `instance` the same for NAME@INSTANCE.

    `upgrade: keep` is for units that must never be restarted by a package: those that clean up what
    belongs to running guests. `hardening: none` is for daemons that become root (sudo, privsep).
    `stop_seconds` is how long it may take to end before systemd kills it; None: systemd's 90 s.
    """

    name: str = field(metadata=FROM_KEY)
    where: str = ""
    summary: str
    package: str | None = None
    aliases: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    wsgi: Wsgi | None = None
    http: Http | None = None
    instance: tuple[str, ...] = ()
    user: str | None = None
    type: Literal["simple", "exec", "notify", "oneshot"] = "simple"
    restart: Literal["no", "on-failure", "always"] = "on-failure"
    upgrade: Literal["restart", "keep"] = "restart"
    kill: Literal["control-group", "mixed", "process"] = "control-group"
    hardening: Hardening = "full"
    private_tmp: bool = True
    open_files: int | None = None
    stop_seconds: int | None = None
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    part_of: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            if not UNIT_NAME.fullmatch(name):
                raise ValueError(f'"{name}" is not the name of a unit (small letters, digits and hyphens)')
        if bool(self.run) == (self.wsgi is not None):
            raise ValueError("give exactly one of run and wsgi")
        if self.wsgi and self.http:
            raise ValueError("http: goes with run; wsgi has a port and a path of its own")
        for argv in filter(None, (self.run, self.instance, self.stop)):
            if not argv[0].startswith("/"):
                raise ValueError(f'"{argv[0]}" is not the full path of a program')
            full(PATH, argv[0], "the full path of a program")
            if ";" in argv:
                raise ValueError('";": ends a command in a unit')
            if blank := next((word for word in argv if not word or re.search(r"\s", word)), None):
                raise ValueError(f'"{blank}": an argument must not contain blanks')
        if self.instance and not any("%i" in word for word in self.instance):
            raise ValueError("instance: no argument holds %i")
        for unit in (*self.after, *self.before, *self.requires, *self.wants, *self.part_of):
            if not UNIT.fullmatch(unit):
                raise ValueError(f'"{unit}" is not the full name of a unit, like libvirtd.service')
        for name in self.environment:
            full(ENVIRONMENT, name, "the name of a variable")
        if self.stop_seconds is not None and self.stop_seconds < 1:
            raise ValueError(f"stop_seconds: {self.stop_seconds} is not a number of seconds, 1 or more")
        if self.user is not None:
            full(ACCOUNT, self.user, "the name of an account")
        if self.type == "oneshot" and self.restart != "no":
            raise ValueError("a oneshot service needs restart: no")

    @property
    def cleans_up(self) -> bool:
        """Whether it takes away, once at boot, what running guests may need: nothing restarts it."""
        return self.type == "oneshot" and self.upgrade == "keep"

    @property
    def home(self) -> str:
        """The package that it is in."""
        return self.package or self.name


def uwsgi_path(service: Service, project: str) -> str:
    """Return where the configuration of a service's uwsgi stands."""
    return f"/etc/{project}/{service.name}-uwsgi.ini"
