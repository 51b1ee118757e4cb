# SPDX-License-Identifier: MIT
"""Rooms for programs of the image, looked at from inside the build."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.image.isolation import sandbox
from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.synthetic import busybox
from tests.support.inside import as_build, call_inside, furnish

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def shell() -> bytes:
    """A shell that needs nothing else."""
    return busybox(Runner(Report(quiet=True)))


def test_nothing_of_a_room_runs_on_when_its_program_has_ended(tmp_path: Path, shell: bytes) -> None:
    def inside() -> list[list[str]]:
        furnish(shell)
        build = as_build()
        seen = []
        busy = "while :; do : ; done & while :; do echo x >/tmp/$$; rm /tmp/*; done & exit 0"
        for _ in range(20):
            sandbox.run_in_image(build, ["/bin/sh", "-c", busy])
            seen.append(sorted(name for name in os.listdir("/proc") if name.isdigit()))
        return seen

    seen = call_inside(inside, tmp_path, Runner(Report(quiet=True)))

    assert seen == [["1"]] * 20


def test_a_link_where_a_room_mounts_is_refused(tmp_path: Path, shell: bytes) -> None:
    def inside() -> str:
        furnish(shell)
        build = as_build()
        os.rmdir("/tree/run")
        os.symlink("/work", "/tree/run")
        try:
            sandbox.run_in_image(build, ["/bin/sh", "-c", "true"])
        except Exception as error:
            return str(error)
        return "run"

    assert "/run of the image is not a folder" in call_inside(inside, tmp_path, Runner(Report(quiet=True)))


def test_the_inside_sees_no_process_of_the_host_and_no_way_back(tmp_path: Path) -> None:
    def inside() -> dict[str, object]:
        refused = []
        from builder.image.isolation import mounts

        for target, flags in (("/usr", 32 | mounts.MS_BIND), ("/etc", 32 | mounts.MS_BIND)):
            try:
                mounts.mount(None, target, None, flags)
                Path(target, "written").touch()
            except OSError:
                refused.append(target)
        for target in ("/usr", "/proc", "/sys/fs"):
            try:
                mounts.unmount(target)
            except OSError:
                refused.append(target)
        return {
            "refused": refused,
            "processes": [name for name in os.listdir("/proc") if name.isdigit()],
            "root": sorted(os.listdir("/")),
            "cgroups": os.path.exists("/sys/fs/cgroup"),
        }

    found = call_inside(inside, tmp_path, Runner(Report(quiet=True)))

    assert found["refused"] == ["/usr", "/etc", "/usr", "/proc", "/sys/fs"]
    assert found["processes"] == ["1"]
    assert not found["cgroups"]
    assert not Path("/usr/written").exists()
