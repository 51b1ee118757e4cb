# SPDX-License-Identifier: MIT
"""What the tests of services under an init system share: RPMs, a second release of one, what stubs log."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from builder.catalogue.model import Catalogue
from builder.catalogue.services import Service
from builder.catalogue.user import SystemAccount
from builder.files import cache_folder
from builder.places import SPECS
from builder.targets import find_target
from tests.rig.machine.machine import Machine
from tests.rig.machine.stubs import EVENTS
from tests.support.rpm_tool import builder, copy_sources

# The user's own: source archives are fetched once for all tests.
CACHE = os.fspath(cache_folder().parent)


def build(folder: Path, target: str, *names: str) -> list[Path]:
    """Build the RPMs of services (all but openstack-utils) for a target; return those for a host.

    Their Python packages are elsewhere: a stub stands in for those.
    """
    words = names or ("openstack-[!u]*",)
    builder("rpm", *words, "-t", target, *_unbundled(target), cwd=folder, XDG_CACHE_HOME=CACHE)
    return _for_hosts(folder)


def build_second(folder: Path, target: str, name: str, changes: Mapping[str, str]) -> list[Path]:
    """Build release 2 of the package `name`, with text added to files next to its spec."""
    release = find_target(target).release
    source = copy_sources(folder)
    there = source / "specs" / release
    shutil.copytree(SPECS / release / name, there / name)
    spec = (SPECS / release / f"{name}.spec").read_text()
    (there / f"{name}.spec").write_text(re.sub(r"(?m)^(Release: +)1%", r"\g<1>2%", spec))
    for file, text in changes.items():
        path = there / name / file
        path.write_text(path.read_text() + text)
    words: list[str | Path] = [name, "-t", target, "--source", source, *_unbundled(target)]
    builder("rpm", *words, cwd=folder, XDG_CACHE_HOME=CACHE)
    return _for_hosts(folder)


def _unbundled(target: str) -> tuple[str, ...]:
    return ("--without", "bundled") if find_target(target).environment else ()


def _for_hosts(folder: Path) -> list[Path]:
    return [rpm for rpm in sorted(folder.glob("out/rpm/*/*.noarch.rpm")) if "-doc-" not in rpm.name]


def choose(rpms: list[Path], *names: str) -> list[Path]:
    """Return the RPMs of the packages `names`."""
    return [rpm for rpm in rpms if re.sub(r"-[^-]+-[^-]+$", "", rpm.name) in names]


def services_of(
    catalogue: Catalogue, release: str, packages: Collection[str] | None = None
) -> dict[str, tuple[Service, SystemAccount]]:
    """Return the services of a release (of the source packages `packages`), each with its project's user."""
    return {
        name: (service, there.user or project.user)
        for project in catalogue.projects.values()
        if (there := project.releases.get(release)) and there.rpm
        if packages is None or there.rpm.name in packages
        for name, service in there.services.items()
    }


def happened(machine: Machine, count: int) -> list[str]:
    """Wait until the stubs have logged `count` events; return all as `start nova-api`, and forget them."""
    deadline = time.monotonic() + 600
    while len(said := machine.read(EVENTS).splitlines()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    machine.write(EVENTS, "", mode=0o666)
    return [" ".join(line.split()[:2]) for line in said]
