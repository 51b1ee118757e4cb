# SPDX-License-Identifier: MIT
"""pytest fixtures: the trees, made once; and a fresh machine over each for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.apt import has_apt
from tests.rig.machine import fixture_root, sysv_root
from tests.rig.machine.machine import Machine, booted, reason_not_to_boot
from tests.rig.machine.trees import Tree


@pytest.fixture(scope="session")
def fixture_tree() -> Tree:
    """The root with systemd; `booted(fixture_tree, runner)` shares a machine between tests."""
    return _tree(fixture_root.fixture_tree)


@pytest.fixture(scope="session")
def sysv_tree() -> Tree:
    """The root with sysvinit."""
    return _tree(sysv_root.sysv_tree)


@pytest.fixture
def fixture_machine(fixture_tree: Tree) -> Iterator[Machine]:
    """A machine with systemd, as fresh as its tree."""
    with booted(fixture_tree, Runner(Report(quiet=True))) as machine:
        yield machine


@pytest.fixture
def sysv_machine(sysv_tree: Tree) -> Iterator[Machine]:
    """A machine with sysvinit, as fresh as its tree."""
    with booted(sysv_tree, Runner(Report(quiet=True))) as machine:
        yield machine


def _tree(make: Callable[[Report], Tree]) -> Tree:
    reason = reason_not_to_boot()
    if reason is None and not has_apt():
        reason = "the trees are made of Debian's packages, and apt-get is not installed"
    if reason:
        pytest.skip(reason)
    return make(Report(quiet=True))
