# SPDX-License-Identifier: MIT
"""The bound on a build's memory by a real control group (cgroup v2), under a kernel that has one.

Where tests run, memory often is version 1's. So a machine of qemu's runs the fixture's kernel, this host's
Python and our code, from an initramfs alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from builder.guest.acceleration import QEMU
from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.repository import build_repository
from tests.rig.fixture.synthetic import busybox
from tests.unit.test_imports import BUILDER

PYTHON = "/usr/bin/python3"
MAPPERS = ("/usr/bin/newuidmap", "/usr/bin/newgidmap")
pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in ("cpio", "rpm2cpio", QEMU, PYTHON, *MAPPERS)),
        reason="needs cpio, rpm2cpio, qemu, newuidmap and a Python of the host",
    ),
]
RUNNER = Runner(Report(quiet=True))
PATIENCE = 600
MOST = 128 << 20
LINKED = ("bin", "sbin", "lib", "lib64")
FOLDERS = ("dev", "etc", "home/user", "new", "proc", "root/inside", "sys", "tmp", "var/tmp")
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    "etc/subuid": "user:100000:65536\n",
    "etc/subgid": "user:100000:65536\n",
}
# Of a library as large as Python's.
LEFT_OUT = ("test", "idlelib", "tkinter", "lib2to3", "pydoc_data", "ensurepip", "turtledemo", "dist-packages")
# The root of an initramfs cannot be left (pivot_root(2)): so all of it goes to another one first.
INIT = """\
#!/usr/bin/busybox sh
b=/usr/bin/busybox
$b mount -t tmpfs -o size=80% tmpfs /new
for name in bin sbin lib lib64 usr etc root home code tmp var program.py second; do
    $b cp -a /$name /new/
done
$b mkdir /new/dev /new/proc /new/sys
$b mount -t devtmpfs devtmpfs /new/dev
exec $b switch_root /new /second
"""
SECOND = """\
#!/usr/bin/busybox sh
b=/usr/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo +memory +pids >/sys/fs/cgroup/cgroup.subtree_control
export PATH=/usr/bin:/usr/sbin LC_ALL=C.UTF-8
# As root in a session of its own; then as a user, in one that a service manager has given to that user.
$b mkdir -p /sys/fs/cgroup/session /sys/fs/cgroup/user/session
echo $$ >/sys/fs/cgroup/session/cgroup.procs
/usr/bin/python3 -B -S /program.py /root/inside 2>&1
echo +memory +pids >/sys/fs/cgroup/user/cgroup.subtree_control
$b chown -R 1000:1000 /sys/fs/cgroup/user /home/user
echo $$ >/sys/fs/cgroup/user/session/cgroup.procs
/usr/bin/python3 -B -S /program.py /home/user 2>&1
echo "kills: $($b dmesg | $b grep -c 'Memory cgroup out of memory')"
$b poweroff -f
"""
# Each build takes memory that no limit of a process counts.
PROGRAM = f"""\
import json, os, sys
from pathlib import Path
sys.path[:0] = ["/code"]
if sys.argv[1].startswith("/home"):
    os.setgroups([])
    os.setgid(1000)
    os.setuid(1000)
from builder.errors import BuildError
from builder.image.isolation import memory
from builder.image.isolation.namespaces import run_inside
from builder.report import Report
from builder.runner import Runner

made = []
make = memory._make
def note(place, most, processes):
    folder = make(place, most, processes)
    if folder:
        names = ("memory.max", "pids.max", "memory.oom.group")
        made.append([str(folder), *((folder / name).read_text().strip() for name in names)])
    return folder
memory._make = note

def take(mebibytes):
    def function(door):
        file = os.memfd_create("x")
        return sum(os.write(file, bytes(1 << 20)) for _ in range(mebibytes))
    log = Path(sys.argv[1], "log")
    try:
        return run_inside(function, log=log, most={MOST}, runner=Runner(Report(quiet=True)))
    except BuildError as error:
        return error.message

said = [take(16), take(600), take(16)]
left = [one[0] for one in made if os.path.exists(one[0])]
print("found: " + json.dumps({{"user": os.getuid(), "said": said, "made": made, "left": left}}))
"""


def libraries(*programs: str) -> set[str]:
    """Return what programs and modules are linked with."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"(?:=> |^\t)(/\S+) \(", said, re.MULTILINE))


def furnish(root: Path) -> None:
    """Fill the root: busybox, Python with its library, YAML, our code, the program."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    for name in LINKED:
        if os.path.islink(f"/{name}"):
            (root / name).symlink_to(os.readlink(f"/{name}"))
    words = [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
    library = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    shutil.copytree(library, root / library[1:], symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    modules = [os.fspath(path) for path in Path(library, "lib-dynload").glob("*.so")]
    for path in {PYTHON, *MAPPERS, *libraries(PYTHON, *MAPPERS, *modules)}:
        target = root / os.path.realpath(os.path.dirname(path))[1:] / os.path.basename(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (root / "usr/bin/busybox").write_bytes(busybox(RUNNER))
    only = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(Path(yaml.__file__).parent, root / "code/yaml", ignore=only)
    shutil.copytree(BUILDER, root / "code/builder", ignore=only)
    for name, text in (FILES | {"init": INIT, "second": SECOND, "program.py": PROGRAM}).items():
        (root / name).write_text(text)
    for name in ("init", "second", "usr/bin/busybox"):
        (root / name).chmod(0o755)
    for path in MAPPERS:
        (root / path[1:]).chmod(0o4755)


def kernel(folder: Path) -> Path:
    """Return the fixture's kernel, unpacked below `folder`."""
    unpacked = folder / "kernel"
    unpacked.mkdir()
    (package,) = build_repository(Report(quiet=True)).folder.glob("kernel-core-*.rpm")
    with subprocess.Popen(["rpm2cpio", package], stdout=subprocess.PIPE) as source:
        words = ["cpio", "--quiet", "-id", "*/vmlinuz*"]
        subprocess.run(words, stdin=source.stdout, cwd=unpacked, check=True)
    return next(path for path in unpacked.rglob("vmlinuz*") if path.is_file() and not path.is_symlink())


def test_the_kernel_ends_a_build_that_takes_more_than_its_group_may(tmp_path: Path) -> None:
    root, archive = tmp_path / "root", tmp_path / "initramfs"
    root.mkdir()
    furnish(root)
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    with archive.open("wb") as file:
        words = ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"]
        subprocess.run(words, input=names.encode(), stdout=file, cwd=root, check=True)

    done = subprocess.run(
        [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35",
         "-accel", "tcg", "-cpu", "max", "-m", "1024", "-serial", "stdio", "-kernel", kernel(tmp_path),
         "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    lines = [line for line in done.stdout.splitlines() if line.startswith("found: ")]
    assert len(lines) == 2, done.stdout[-4000:] + done.stderr
    for user, place, line in zip((0, 1000), ("", "/user"), lines, strict=True):
        found = json.loads(line.removeprefix("found: "))
        assert found["user"] == user
        assert found["said"][0] == found["said"][2] == 16 << 20, found
        assert found["said"][1] == f"the build took more than {MOST >> 20} MiB of memory, and was ended"
        assert [one[1:] for one in found["made"]] == [[str(MOST), "4096", "1"]] * 3
        assert all(one[0].startswith(f"/sys/fs/cgroup{place}/openstack-builder-") for one in found["made"])
        assert found["left"] == []
    assert int(re.findall(r"(?m)^kills: (\d+)", done.stdout)[0]) > 1
