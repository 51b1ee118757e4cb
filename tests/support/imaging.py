# SPDX-License-Identifier: MIT
"""What the tests of `image` share: the synthetic repository, the command, a look into the result."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder.places import SPECS
from builder.sizes import MIB
from tests.rig.fixture.rpmpackage import FileFlag, RpmFile, RpmPackage
from tests.rig.fixture.synthetic import SyntheticRepository

ROOT = SPECS.parent
# Seconds until something counts as hanging, on a machine with much other work.
LONGEST = 1800.0
HEAD = """\
lang C.UTF-8
timezone Etc/UTC --utc
rootpw --lock
bootloader --location=mbr --append="console=ttyS0" --timeout=1
clearpart --all --initlabel --disklabel=gpt
zerombr
part biosboot --fstype=biosboot --size=1
part /boot/efi --fstype=efi --size=32
part / --fstype=ext4 --size=96
"""
# It says that it takes 200 MiB, and brings nothing: more than HEAD's disk holds, as a solver sees it.
BULKY = RpmPackage(
    name="bulky",
    version="1",
    release="1",
    arch="noarch",
    summary="Synthetic package bulky",
    license="MIT",
    files=(RpmFile(path="/var/lib/bulky", data=bytes(200 * MIB), flags=FileFlag.GHOST),),
)
PACKAGES = "%packages --nocore\nkernel\ngrub2-pc-modules\ngrub2-efi-x64-modules\n{more}\n%end\n"


def kickstart(*, head: str = "", packages: str = "", tail: str = "", base: str = HEAD) -> str:
    """Return a kickstart for the synthetic repository."""
    return base + head + "\n" + PACKAGES.format(more=packages) + tail


@dataclass(frozen=True)
class Bench:
    """A folder to build images in, and the repository to build them from."""

    folder: Path
    repository: SyntheticRepository

    @property
    def out(self) -> Path:
        """Where images land."""
        return self.folder / "out"

    @property
    def image(self) -> Path:
        """The image of `test.ks`."""
        return self.out / "test" / "test.qcow2"

    @property
    def log(self) -> Path:
        """The log of the image of `test.ks`."""
        return self.out / "test.log"

    def command(self, text: str, *options: str, repo: str | None = None) -> list[str]:
        """Write the kickstart `text` as test.ks and return the command that builds it."""
        (self.folder / "test.ks").write_text(text)
        address = repo or str(self.repository.folder)
        words = [sys.executable, "-m", "builder", "image", str(self.folder / "test.ks")]
        words += ["--target", "fixture-12", "--repo", f"synthetic={address}", "--out", str(self.out)]
        # The same tests for both solvers: SOLVER=libdnf5 pytest tests/integration/test_image.py
        words += ["--solver", os.environ["SOLVER"]] if "SOLVER" in os.environ else []
        key = [] if "--no-gpgcheck" in options else ["--gpgkey", str(self.repository.key)]
        return [*words, *key, *options]

    def environment(self) -> dict[str, str]:
        """Return the environment of the command: its caches are below the folder."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self.folder / "cache")}

    def build(
        self, text: str, *options: str, repo: str | None = None, ok: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        done = subprocess.run(
            self.command(text, *options, repo=repo),
            env=self.environment(), capture_output=True, text=True, timeout=LONGEST, check=False,
        )  # fmt: skip
        assert not ok or done.returncode == 0, done.stderr
        return done

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of the image."""
        found: dict[str, Any] = json.loads((self.out / "test" / "test.manifest.json").read_text())
        return found

    def look(self) -> Look:
        """Return a look into the root file system of the image."""
        raw = self.folder / "look.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", self.image, raw], check=True)
        root = next(one for one in self.manifest()["partitions"] if one["mountpoint"] == "/")
        return Look(f"{raw}?offset={root['start']}")

    def leftovers(self) -> list[str]:
        """Return what is in the out folder in addition to finished images and logs."""
        if not self.out.exists():
            return []
        finished = re.compile(r"test|test(\.pre)?\.log")
        return [path.name for path in self.out.iterdir() if not finished.fullmatch(path.name)]


@dataclass(frozen=True)
class Look:
    """Reads an ext4 file system through debugfs(8)."""

    device: str

    def ask(self, request: str) -> str:
        """Return what debugfs answers."""
        return subprocess.run(
            ["debugfs", "-R", request, self.device], capture_output=True, text=True, check=True
        ).stdout

    def text(self, path: str) -> str:
        """Return the text of a file."""
        return self.ask(f"cat {path}")

    def exists(self, path: str) -> bool:
        """Say whether there is something at `path`."""
        return "Inode:" in self.ask(f"stat {path}")

    def owner(self, path: str) -> tuple[int, int, int]:
        """Return (mode, uid, gid)."""
        said = self.ask(f"stat {path}")
        mode = re.search(r"Mode:\s+(\d+)", said)
        ids = re.search(r"User:\s+(\d+)\s+Group:\s+(\d+)", said)
        assert mode, said
        assert ids, said
        return int(mode[1], 8), int(ids[1]), int(ids[2])

    def inode(self, path: str) -> str:
        """Return the number of the inode."""
        return self.ask(f"stat {path}").split("Inode:")[1].split()[0]


def traces(*marks: str | Path) -> list[str]:
    """Return the host's mounts and loop devices that name one of `marks`: a folder of the test, say.

    What else the machine mounts meanwhile is none of a test's business.
    """
    loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=False).stdout
    lines = [*Path("/proc/self/mounts").read_text().splitlines(), *loops.splitlines()]
    return [line for line in lines if any(str(mark) in line for mark in marks)]


def processes_of(folder: Path | str) -> list[str]:
    """Return the command lines of processes that work on `folder`, or name another word of one test."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words and entry.parent.name != str(os.getpid()):
            found.append(words)
    return found


def wait_until_gone(folder: Path) -> None:
    """Wait until the kernel has taken down the processes that worked on `folder`; fail where it does not."""
    deadline = time.monotonic() + LONGEST
    while found := processes_of(folder):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def bench_for_everybody(folder: Path, repository: SyntheticRepository) -> Bench:
    """Return a bench in `folder` with a copy of the repository, which every user may read."""
    folder.chmod(0o755)
    copy = folder / "repository"
    shutil.copytree(repository.folder, copy)
    assert repository.key is not None
    return Bench(folder, replace(repository, folder=copy, key=copy / repository.key.name))
