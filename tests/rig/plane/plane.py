# SPDX-License-Identifier: MIT
"""The plane as a whole: MariaDB, Keystone and Glance on loopback, started together and stopped together.

Its servers die with the process that started them (the runner sees to that), so a plane never outlives
its owner: a test run, the demo, or the keeper that `python -m tests.rig.plane up` leaves running.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import yaml

from builder import files
from builder.report import Report
from builder.runner import Runner
from tests.rig.plane import environment, glance, keystone, mariadb, process, settings, template
from tests.rig.plane.accounts import Identity
from tests.rig.plane.glance import Glance
from tests.rig.plane.keystone import Keystone, Tables
from tests.rig.plane.mariadb import MariaDB, RootLogin

CLOUD = "plane"
DEMO_CLOUD = "plane-demo"


class Until(StrEnum):
    """The last server to start; those before it in this list come with it."""

    MARIADB = "mariadb"
    KEYSTONE = "keystone"
    GLANCE = "glance"


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What kind of plane: how far, what is in Keystone's database, how MariaDB's root logs in.

    `databases` are more databases to have, each with an account of its name. The settings are options
    of keystone.conf and glance-api.conf that are added to the plane's own or replace them.
    Without Tables.BOOTSTRAPPED there is no Glance: it needs an account.
    """

    until: Until = Until.GLANCE
    tables: Tables = Tables.BOOTSTRAPPED
    root: RootLogin = RootLogin.PASSWORD
    databases: tuple[str, ...] = ()
    keystone_settings: settings.Sections = field(default_factory=dict)
    glance_settings: settings.Sections = field(default_factory=dict)

    @property
    def has_keystone(self) -> bool:
        """Say whether Keystone is started."""
        return self.until is not Until.MARIADB

    @property
    def has_glance(self) -> bool:
        """Say whether Glance is started."""
        return self.until is Until.GLANCE and self.tables is Tables.BOOTSTRAPPED


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """A running plane. `clouds_file` (0600) knows the clouds `plane` (admin) and `plane-demo` (a member)."""

    folder: Path
    mariadb: MariaDB
    keystone: Keystone | None = None
    glance: Glance | None = None
    environment: environment.Environment | None = None
    clouds_file: Path
    admin_password: str

    @property
    def servers(self) -> tuple[process.Server, ...]:
        """The processes, in the order of their start."""
        services = (self.mariadb, self.keystone, self.glance)
        return tuple(service.server for service in services if service is not None)

    @property
    def client_environment(self) -> Mapping[str, str]:
        """What a client needs in its environment to find the plane as admin."""
        return client_environment(self.clouds_file)


def client_environment(clouds_file: Path) -> dict[str, str]:
    """Return the environment for a client of the plane with this clouds.yaml."""
    return {"OS_CLIENT_CONFIG_FILE": str(clouds_file), "OS_CLOUD": CLOUD, **settings.without_proxy()}


@contextmanager
def running(folder: Path, options: Options, report: Report, runner: Runner) -> Iterator[Plane]:
    """Start a plane in `folder` (new or empty), and stop its servers at the end; the files stay.

    Raises:
        BuildError: a server does not come up; its log is named.
        ToolMissing: MariaDB is not installed.
    """
    files_for = _prepare(options, report, runner)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    admin_password, glance_password, demo_password = (settings.new_password() for _ in range(3))
    own = ("keystone", "glance") if options.has_glance else ("keystone",) if options.has_keystone else ()
    database = identity = images = None
    with ExitStack() as stack, report.step("plane", "mariadb") as step:
        database = stack.enter_context(
            mariadb.running(
                folder / "mariadb",
                runner,
                template=files_for.template,
                databases=(*own, *options.databases),
                root=options.root,
            )
        )
        venv = files_for.environment
        if venv is not None:
            step.detail = "mariadb keystone"
            identity = stack.enter_context(
                keystone.running(
                    folder / "keystone",
                    venv,
                    runner,
                    database_url=database.url("keystone"),
                    admin_password=admin_password,
                    tables=options.tables,
                    extra=options.keystone_settings,
                )
            )
        if venv is not None and identity is not None and options.has_glance:
            step.detail = "mariadb keystone glance"
            images = stack.enter_context(
                glance.running(
                    folder / "glance",
                    venv,
                    runner,
                    database_url=database.url("glance"),
                    keystone_url=identity.url,
                    password=glance_password,
                    extra=options.glance_settings,
                )
            )
        if identity is not None:
            keystone.wait(identity.server, identity.port, "/v3")
            if options.tables is Tables.BOOTSTRAPPED:
                admin = Identity(identity.port, admin_password)
                _make_accounts(admin, images, glance_password, demo_password)
        if images is not None:
            keystone.wait(images.server, images.port, "/versions")
        clouds = folder / "clouds.yaml"
        if identity is not None:
            files.write_atomic(clouds, _clouds(identity, admin_password, demo_password), mode=0o600)
        step.detail = _ports(database, identity, images)
        # The step ends here, the servers go on: they are stopped when the caller has done.
        servers = stack.pop_all()
    with servers:
        yield Plane(
            folder=folder,
            mariadb=database,
            keystone=identity,
            glance=images,
            environment=files_for.environment,
            clouds_file=clouds,
            admin_password=admin_password,
        )


@contextmanager
def private(
    options: Options | None = None, report: Report | None = None, runner: Runner | None = None
) -> Iterator[Plane]:
    """Start a plane of one's own in a temporary folder; stop and remove it at the end."""
    report = report or Report(quiet=True)
    with files.work_folder(Path(tempfile.gettempdir()), "plane") as folder:
        with running(folder, options or Options(), report, runner or Runner(report)) as plane:
            yield plane


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prepared:
    template: Path
    environment: environment.Environment | None


def prepare(options: Options, report: Report, runner: Runner) -> None:
    """Make what the cache lacks for such a plane (environment, tables), without starting it."""
    _prepare(options, report, runner)


def _prepare(options: Options, report: Report, runner: Runner) -> _Prepared:
    if not options.has_keystone:
        return _Prepared(template=template.prepare_empty(report, runner), environment=None)
    venv = environment.prepare(report, runner)
    if options.tables is Tables.EMPTY:
        return _Prepared(template=template.prepare_empty(report, runner), environment=venv)
    return _Prepared(template=template.prepare_synced(venv, report, runner), environment=venv)


def _make_accounts(admin: Identity, images: Glance | None, password: str, demo_password: str) -> None:
    if images is not None:
        service = admin.create_project("service")
        admin.create_user("glance", password, service, "admin", "service")
        admin.create_service("image", "glance", images.url)
    demo = admin.create_project("demo")
    admin.create_user("demo", demo_password, demo, "member")


def _clouds(identity: Keystone, admin_password: str, demo_password: str) -> str:
    def cloud(name: str, password: str) -> dict[str, object]:
        return {
            "auth": {
                "auth_url": identity.url,
                "username": name,
                "password": password,
                "project_name": name,
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            "region_name": keystone.REGION,
            "identity_api_version": 3,
        }

    clouds = {CLOUD: cloud("admin", admin_password), DEMO_CLOUD: cloud("demo", demo_password)}
    return yaml.safe_dump({"clouds": clouds}, sort_keys=False)


def _ports(database: MariaDB, identity: Keystone | None, images: Glance | None) -> str:
    named = (("mariadb", database), ("keystone", identity), ("glance", images))
    return ", ".join(f"{name} on port {server.port}" for name, server in named if server is not None)
