# SPDX-License-Identifier: MIT
"""diskimage-builder on the packages of one of our images, as a measured program.

Everything that it does happens in a folder of ours, in private mounts and its own pid namespace, with an
environment of its own (builder/requirements/dib.txt). It is run as it comes, with its fedora-minimal
element; what it lacks here is supplied by `dib_files/` and listed in DIFFERENCES.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from builder import files, tools
from builder.folders import remove_tree
from builder.report import Report
from builder.runner import Runner, clean_environment
from tests.rig.bench.floor import QEMU_IMG
from tests.rig.bench.measure import Failed, Measured, measure
from tests.rig.fixture.rpmpackage import Dependency, Kind, RpmFile, RpmPackage, Sense
from tests.rig.fixture.rpmwriter import write_rpm

HERE = Path(__file__).parent / "dib_files"
REQUIREMENTS = Path(__file__).resolve().parents[3] / "builder/requirements/dib.txt"
ELEMENTS = ("fedora-minimal", "block-device-mbr", "cloud-init", "openssh-server", "growroot", "jeos")
# A Fedora whose rpm database is where the fixture distribution has it.
RELEASE = "41"
DATABASE = "/usr/lib/sysimage/rpm"
# What its elements ask for and the fixture distribution does not have; one empty package provides them.
NAMES = HERE / "names.txt"
STAND_IN = "dib-names"
DIFFERENCES = (
    "it installs no boot loader (its bootloader element needs grub2-install in the image)",
    "its partition is a second loop device: this kernel may have no device-mapper for kpartx",
    "it compresses with zlib, qemu-img's own default, in one run and with our qcow2 options in the other",
    "it checks no signatures (its fedora-minimal element has gpgcheck=0); ours checks each package",
    "it installs documentation too, which our image leaves out",
    "it gets rsync, which its elements run, a library, and an empty package for names that only Fedora has",
    "sudo is a script that costs less than sudo",
)


def prepare(report: Report, runner: Runner) -> Path:
    """Return the folder of the Python environment with diskimage-builder, made when the cache has none.

    Raises:
        CommandFailed: pip failed.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = files.cache_folder("bench") / f"dib-{digest}"
    with files.locked(folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            if folder.exists():
                remove_tree(folder)
            with report.step("environment", "diskimage-builder from PyPI"):
                log = folder.with_suffix(".log")
                runner.run([sys.executable, "-m", "venv", folder], log=log)
                pip = [str(folder / "bin/pip"), "install", "-q", "--disable-pip-version-check"]
                runner.run([*pip, "--require-hashes", "-r", str(REQUIREMENTS)], log=log)
            (folder / "complete").touch()
    return folder


def write_repository(folder: Path, packages: Mapping[str, Path], url: str, runner: Runner) -> None:
    """Make a repository of `packages` (by name), and of the package that stands for what is not there."""
    for path in packages.values():
        (folder / path.name).symlink_to(path)
    source = RpmFile(path="/etc/yum.repos.d/bench.repo", kind=Kind.FILE, data=repository(url).encode())
    write_stand_in(folder, [name for name in NAMES.read_text().split() if name not in packages], source)
    runner.run(["createrepo_c", "--quiet", folder])


def write_stand_in(folder: Path, names: Iterable[str], source: RpmFile) -> None:
    """Write the package that provides `names` and has a file in /etc/yum.repos.d."""
    stand_in = RpmPackage(
        name=STAND_IN,
        version="1",
        release="1",
        summary="Names of Fedora that diskimage-builder asks for",
        # A version that no conflict with an old one is meant for.
        provides=tuple(Dependency(name, Sense.EQUAL, "999") for name in names),
        files=(source,),
    )
    (folder / stand_in.file_name).write_bytes(write_rpm(stand_in))


def repository(url: str) -> str:
    """Return the repository's file for dnf."""
    return f"[bench]\nname=Fixture Linux\nbaseurl={url}\ngpgcheck=0\n"


def write_element(folder: Path, packages: Iterable[str]) -> None:
    """Write the element that asks for `packages` by name."""
    element = folder / "jeos"
    element.mkdir(parents=True)
    (element / "package-installs.yaml").write_text("".join(f"{name}:\n" for name in packages))
    (element / "element-deps").write_text("package-installs\n")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve `folder` on the loopback meanwhile; yield its URL."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Handler, directory=os.fspath(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def run(environment: Path, work: Path, name: str, *, ours: bool) -> Measured:
    """Build the image NAME.qcow2 below `work`, whose folders elements and repos are filled.

    Args:
        ours: convert with the options of our own build.

    Raises:
        Failed: diskimage-builder failed; its log is work/NAME.log.
    """
    folders = [HERE / "bin", environment / "bin"]
    if ours:
        folders.insert(0, HERE / "zstd")
    env = {
        **clean_environment(),
        "PATH": ":".join([*map(str, folders), "/usr/sbin:/usr/bin:/sbin:/bin"]),
        "HOME": str(work / "home"),
        "TMPDIR": str(work / "tmp"),
        "TMP_DIR": str(work / "tmp"),
        "DIB_IMAGE_CACHE": str(work / "cache"),
        "DIB_RELEASE": RELEASE,
        "DIB_YUM_MINIMAL_BOOTSTRAP_REPOS": str(work / "repos"),
        "ELEMENTS_PATH": str(work / "elements"),
        "BENCH_FOLDER": str(work),
        "BENCH_QCOW2_OPTIONS": " ".join(QEMU_IMG),
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
        "USER": "root",
    }
    for variable in ("XDG_CACHE_HOME", "VIRTUAL_ENV"):
        env.pop(variable, None)
    enter = [tools.find("unshare"), "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    create = ["disk-image-create", "-n", "-o", str(work / f"{name}.qcow2"), *ELEMENTS]
    argv = [*enter, str(HERE / "enter"), *create]
    before = loops()
    try:
        return measure(argv, log=work / f"{name}.log", folders=[work], cwd=work, env=env)
    finally:
        # No namespace holds them: a run that is stopped leaves its own.
        for device in loops() - before:
            subprocess.run([tools.find("losetup"), "--detach", device], check=False)


def check_packages(image: Path, wanted: set[str], runner: Runner) -> None:
    """Compare the packages in an image that diskimage-builder made with those that it was asked for.

    Raises:
        Failed: they differ, so nothing could be compared.
    """
    folder = image.with_name("check")
    raw, database = folder / "disk.raw", folder / "database"
    database.mkdir(parents=True)
    runner.run(["qemu-img", "convert", "-O", "raw", str(image), str(raw)])
    table = json.loads(runner.run(["sfdisk", "--json", str(raw)]).stdout)["partitiontable"]
    offset = table["partitions"][0]["start"] * 512
    dump = f"rdump {DATABASE} {database}"
    runner.run(["debugfs", "-R", dump, f"{raw}?offset={offset}"])
    query = ["rpm", "--dbpath", str(database / Path(DATABASE).name), "-qa", "--qf", "%{NAME}\\n"]
    there = set(runner.run(query).stdout.split())
    remove_tree(folder)
    if there != wanted:
        raise Failed(f"diskimage-builder installed other packages: {' '.join(sorted(there ^ wanted))}")


def loops() -> set[str]:
    """Return the loop devices that lie on a disk as diskimage-builder names it."""
    found = set()
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if path.read_text().split()[0].endswith("/image0.raw"):
                found.add(f"/dev/{path.parents[1].name}")
    return found
