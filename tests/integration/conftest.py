# SPDX-License-Identifier: MIT
"""What the integration tests may ask for. A fixture is imported to be offered: by its own name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from builder.errors import PermissionMissing
from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.signing import new_signer
from tests.rig.fixture.synthetic import SyntheticRepository, build_synthetic
from tests.rig.machine.fixture import fixture_machine as fixture_machine
from tests.rig.machine.fixture import fixture_tree as fixture_tree
from tests.rig.machine.fixture import sysv_machine as sysv_machine
from tests.rig.machine.fixture import sysv_tree as sysv_tree
from tests.rig.plane import environment
from tests.rig.plane.fixture import plane as plane
from tests.rig.plane.mariadb import MariaDB, RootLogin
from tests.rig.plane.plane import Options, Until, private
from tests.support.filling import Keystone, private_keystone
from tests.support.imaging import BULKY, Bench
from tests.support.inside import call_inside
from tests.support.uploading import image as image
from tests.support.uploading import proxy as proxy
from tests.support.uploading import user as user

T = TypeVar("T")


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRepository:
    """The synthetic repository, signed; with a lvm2 that is only a name, for what asks for it."""
    runner = Runner(Report(quiet=True))
    folder = tmp_path_factory.mktemp("synthetic")
    # pytest's folders are for their owner only.
    folder.chmod(0o755)
    with new_signer(runner) as signer:
        return build_synthetic(folder, runner=runner, signer=signer, scriptlets={"lvm2": {}}, extra=[BULKY])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, synthetic: SyntheticRepository) -> Bench:
    """A bench for the tests of a module: they share caches."""
    return Bench(tmp_path_factory.mktemp("bench"), synthetic)


@pytest.fixture(scope="session")
def runner() -> Runner:
    """A runner that prints nothing."""
    return Runner(Report(quiet=True))


@pytest.fixture
def inside(tmp_path: Path, runner: Runner) -> Callable[[Callable[[], T]], T]:
    """Return a function that runs another one inside the namespaces of a build; /work is tmp_path there."""

    def run(function: Callable[[], T]) -> T:
        try:
            return call_inside(function, tmp_path, runner)
        except PermissionMissing as error:
            pytest.skip(error.message)

    return run


@pytest.fixture(scope="module")
def by_password() -> Iterator[MariaDB]:
    """MariaDB whose root has a password."""
    with private(Options(until=Until.MARIADB, root=RootLogin.PASSWORD)) as plane:
        yield plane.mariadb


@pytest.fixture(scope="session")
def services() -> environment.Environment:
    """The real Keystone and Glance."""
    return environment.prepare(Report(quiet=True), Runner(Report(quiet=True)))


@pytest.fixture(scope="session")
def keystone() -> Iterator[Keystone]:
    """A Keystone to be filled; a test chooses by `reset` what is in it first."""
    with private_keystone() as running:
        yield running
