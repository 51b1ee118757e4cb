# SPDX-License-Identifier: MIT
"""The bound on a build's memory by a real control group (cgroup v2), in a guest whose kernel has one."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from builder.guest import ssh
from builder.guest.firmware import FirmwareKind
from builder.guest.instance import new_instance
from builder.guest.qemu import OVERLAY, make_overlay
from tests.guest.test_kernel_update import RUNNER, as_root, booted, send
from tests.unit.test_imports import BUILDER

pytestmark = [pytest.mark.slow, pytest.mark.boot]
MOST = 128 << 20
# Run by the guest's own Python as root: it takes memory that no limit of a process counts.
PROGRAM = f"""\
import json, os, sys
from pathlib import Path
sys.path.insert(0, "/root/code")
from builder.errors import BuildError
from builder.image.isolation import memory
from builder.image.isolation.namespaces import run_inside
from builder.report import Report
from builder.runner import Runner

MOST = {MOST}
made = []
make = memory._make
def note(place, most, processes):
    folder = make(place, most, processes)
    if folder:
        made.append([str(folder), *((folder / name).read_text().strip() for name in ("memory.max", "pids.max",
            "memory.oom.group"))])
    return folder
memory._make = note

def flood(door):
    files = []
    for _ in range(16):
        files.append(os.memfd_create("x"))
        for _ in range(64):
            os.write(files[-1], bytes(1 << 20))
    return len(files)

def little(door):
    file = os.memfd_create("x")
    return os.write(file, bytes(16 << 20))

def attempt(function):
    log = Path("/root/inside/log")
    log.parent.mkdir(exist_ok=True)
    try:
        return run_inside(function, log=log, most=MOST, runner=Runner(Report(quiet=True)))
    except BuildError as error:
        return error.message

said = [attempt(little), attempt(flood), attempt(little)]
print(json.dumps({{"said": said, "made": made, "left": [one[0] for one in made if os.path.exists(one[0])]}}))
"""


def test_the_kernel_ends_a_build_that_takes_more_than_its_group_may(jeos_image: Path, tmp_path: Path) -> None:
    code = tmp_path / "code.tar.gz"
    with tarfile.open(code, "w:gz") as archive:
        for path in sorted(BUILDER.rglob("*")):
            if path.suffix in (".py", ".yaml"):
                archive.add(path, path.relative_to(BUILDER.parent))
    folder = tmp_path / "guest"
    folder.mkdir()
    instance = new_instance(ssh.make_key(RUNNER, folder))
    make_overlay(RUNNER, jeos_image, "qcow2", folder / OVERLAY, 6 << 30)

    with booted(jeos_image, folder, instance, FirmwareKind.BIOS) as login:
        send(login, code, "/tmp/code.tar.gz")
        as_root(login, "mkdir /root/code && tar -xzf /tmp/code.tar.gz -C /root/code\n")
        controllers = as_root(login, "cat /sys/fs/cgroup/cgroup.controllers\n").split()
        found = json.loads(as_root(login, f"/usr/bin/python3 -B - <<'PROGRAM'\n{PROGRAM}PROGRAM\n"))
        killed = as_root(login, "dmesg | grep -c 'Memory cgroup out of memory' || true\n")

    assert "memory" in controllers
    assert found["said"][0] == found["said"][2] == 16 << 20
    assert found["said"][1] == f"the build took more than {MOST >> 20} MiB of memory, and was ended"
    assert [one[1:] for one in found["made"]] == [[str(MOST), "4096", "1"]] * 3
    assert all("/openstack-builder-" in one[0] for one in found["made"])
    assert found["left"] == []
    assert int(killed) > 0
