# SPDX-License-Identifier: MIT
"""Small RPMs that the tests put into machines, and among them the stubs: stand-ins for a release's code.

A stub is named one (openstack-stub-RELEASE): its programs and modules are all the same daemon, which does
nothing but log what happens to it (stub/openstack_stub.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from builder.catalogue.model import Catalogue, ProjectRelease
from builder.catalogue.packaging import Packaging
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.trees import HERE

STUB = HERE / "stub" / "openstack_stub.py"
EVENTS = "/var/log/stub/events"
PYTHON = "/usr/lib/python3/dist-packages"
UNITS = "/usr/lib/systemd/system"
# Of what the services require and the fixture distribution has not.
UNIT = "[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n"


def build_rpm(folder: Path, spec: str, sources: Mapping[str, str]) -> Path:
    """Build the one noarch RPM of `spec` in `folder`, from `sources` (%SOURCES/name → text)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        (folder / name).write_text(text)
    (folder / "package.spec").write_text(spec)
    defines = {"_topdir": folder, "_sourcedir": folder, "_rpmdir": folder, "__os_install_post": "%{nil}"}
    words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    argv: list[str | Path] = ["rpmbuild", "-bb", "--quiet", *words, folder / "package.spec"]
    Runner(Report(quiet=True)).run(argv, log=folder / "rpmbuild.log")
    (rpm,) = (folder / "noarch").glob("*.rpm")
    return rpm


def build_essex_stub(folder: Path, catalogue: Catalogue) -> Path:
    """Build openstack-stub-essex: the programs of all services, which no package has any more."""
    programs = {
        service.run[0] for release in _releases(catalogue, "essex") for service in release.services.values()
    }
    return _build(folder, "essex", programs=programs)


def build_current_stub(folder: Path, catalogue: Catalogue, releases: Iterable[int] = (1,)) -> Path:
    """Build openstack-stub-current: python3-PROJECT for all projects, and what they need of others.

    `releases` are the packages' (1 of 30.0.0-1.fx12) that it is the code of.
    """
    found = _releases(catalogue, "current")
    packages = [release.rpm for release in found if release.rpm]
    services = [service for release in found for service in release.services.values()]
    return _build(
        folder,
        "current",
        programs={"/usr/bin/uwsgi"},
        modules={module for package in packages for module in package.modules},
        provides={
            *("uwsgi", "uwsgi-plugin-python3", "httpd", "python3-mod_wsgi", "openssh-server = 1:9.2", "sudo"),
            *(f"{rpm.code} = {_version(rpm)}-{number}.fx12" for rpm in packages for number in releases),
        },
        units={unit for service in services for unit in service.requires},
    )


def _version(rpm: Packaging) -> str:
    """Return the version that the spec gives the package with the code."""
    return f"{rpm.epoch}:{rpm.version}" if rpm.epoch else rpm.version


def _releases(catalogue: Catalogue, name: str) -> list[ProjectRelease]:
    return [project.releases[name] for project in catalogue.projects.values() if name in project.releases]


def _build(
    folder: Path,
    release: str,
    *,
    programs: Set[str],
    modules: Set[str] = frozenset(),
    provides: Set[str] = frozenset(),
    units: Set[str] = frozenset(),
) -> Path:
    lines = [
        f"Name: openstack-stub-{release}", "Version: 1", "Release: 1", "Summary: A stub, for tests",
        "License: MIT", "BuildArch: noarch", *(f"Provides: {name}" for name in sorted(provides)),
        "%description", "It stands in for the code of OpenStack's services and does nothing.",
        "%install",
        f"install -D -m 755 %{{_sourcedir}}/{STUB.name} %{{buildroot}}{PYTHON}/{STUB.name}",
        "install -d %{buildroot}/usr/bin %{buildroot}/var/log/stub %{buildroot}/etc/stub",
        *(f"ln -s {PYTHON}/{STUB.name} %{{buildroot}}{program}" for program in sorted(programs)),
        *(_module_lines(module) for module in sorted(modules)),
        f"install -d %{{buildroot}}{UNITS}",
        *(f"printf '{UNIT}' >%{{buildroot}}{UNITS}/{unit}" for unit in sorted(units)),
        "%files", PYTHON, "/usr/bin/*", UNITS, "%dir /etc/stub", "%dir %attr(1777,root,root) /var/log/stub",
        "%post",
        f"install -m 666 /dev/null {EVENTS}",
    ]  # fmt: skip
    return build_rpm(folder, "\n".join(lines) + "\n", {STUB.name: f"#!/usr/bin/python3\n{STUB.read_text()}"})


def _module_lines(module: str) -> str:
    package = f"%{{buildroot}}{PYTHON}/{module}"
    return (
        f"install -d {package}\n"
        f"printf '%%s\\n' 'from openstack_stub import stand_in' 'stand_in(__name__)' >{package}/__init__.py"
    )
