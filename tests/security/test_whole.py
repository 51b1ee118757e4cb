# SPDX-License-Identifier: MIT
"""Killed at any step, or on a full disk, a command leaves each file old or new; the next run completes it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.files import WORK_PREFIX
from tests.support import config_tool
from tests.support.rpm_tool import PROGRAM, ROOT, copy_sources

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")
EFFECTS = "rename renameat2"
Files = dict[str, str]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that kills the program at a step of its work on files."""
    target = tmp_path_factory.mktemp("shim") / "fault.so"
    source = Path(config_tool.__file__).with_name("fault_shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target


@dataclass(frozen=True)
class Job:
    """A command, where it works, and how to give it something new to do; `place`: what it changes.

    A word that is a path is what is in that file.
    """

    folder: Path
    words: tuple[str | Path, ...]
    place: Path
    renew: Callable[[], None]
    code: Path = ROOT

    def run(self, *before: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run it, to its end or to a fault; `before`: words before its own."""
        return subprocess.run(
            [*before, *self._argv()],
            cwd=self.folder, env=self._environment() | more, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in the background."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            self._argv(), cwd=self.folder, env=self._environment(), stdout=quiet, stderr=quiet
        )

    def _argv(self) -> list[str]:
        return [*PROGRAM, *(word.read_text() if isinstance(word, Path) else word for word in self.words)]

    def _environment(self) -> dict[str, str]:
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(self.code)}
        return own | {"XDG_CACHE_HOME": str(self.folder / "cache")}

    def files(self) -> Files:
        """Return the digest of each finished file."""
        return {
            str(path.relative_to(self.place)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.place.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.place).parts)
        }

    def left(self) -> list[Path]:
        """Return the work files and folders that are there."""
        return [path for top in (self.place, self.folder / "cache") for path in top.rglob(f"{WORK_PREFIX}*")]


def job_of_rpm(folder: Path) -> Job:
    """Build a package, and a repository with it."""
    spec = copy_sources(folder) / "specs/openstack-utils.spec"
    words = ("rpm", "openstack-utils", "-t", "epel-9", "--repo", "--source", str(folder / "source"))

    def renew() -> None:
        spec.write_text(spec.read_text().replace("%build\n", f"%build\n# {random.random()}\n", 1))

    return Job(folder, words, folder / "out", renew)


def job_of_repo(folder: Path) -> Job:
    """Make a repository of a package that is there."""
    built = job_of_rpm(folder)
    done = built.run()
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "out/rpm/epel-9/repo")
    address = folder / "address"

    def renew() -> None:
        address.write_text(f"https://mirror.example/{random.random()}")

    renew()
    return Job(folder, ("repo", str(folder / "out/rpm"), "--url", address), folder / "out", renew)


def job_of_specs(folder: Path) -> Job:
    """Write specs anew that somebody has changed."""
    code = folder / "checkout"
    code.mkdir()
    for name in ("builder", "specs", "utils"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, code)
    specs = sorted((code / "specs/current").glob("*.spec"))[:4]

    def renew() -> None:
        for spec in specs:
            spec.write_text(f"# {random.random()}\n" + spec.read_text())

    return Job(folder, ("specs",), code / "specs", renew, code)


JOBS = {"rpm": job_of_rpm, "repo": job_of_repo, "specs": job_of_specs}


@pytest.fixture(scope="module", params=JOBS)
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A command that has run once."""
    made = JOBS[request.param](tmp_path_factory.mktemp(request.param))
    done = made.run()
    assert done.returncode == 0, done.stderr
    return made


def each_is_old_or_new(job: Job, old: Files) -> None:
    """Compare what a run that was cut off has left with what was there, and with what the next one makes."""
    between = {name: digest for name, digest in job.files().items() if not name.endswith(".log")}
    done = job.run()
    assert done.returncode == 0, done.stderr
    new = job.files()
    assert between.keys() <= old.keys() | new.keys()
    assert [name for name, digest in between.items() if digest not in (old.get(name), new.get(name))] == []
    assert [name for name in old if name in new and name not in between and not name.endswith(".log")] == []
    assert job.left() == []


def test_killed_before_each_of_its_effects(job: Job, shim: Path) -> None:
    mark = job.folder / "mark"
    for step in range(1, 40):
        job.renew()
        old = job.files()
        done = job.run(
            LD_PRELOAD=str(shim), FAULT_STEP=str(step), FAULT_ACTION="kill", FAULT_CALLS=EFFECTS,
            FAULT_MARK=str(mark),
        )  # fmt: skip
        if not mark.exists():
            assert done.returncode == 0, done.stderr
            assert step > 1, "the library saw no step: is it loaded?"
            return
        mark.unlink()
        assert done.returncode == -signal.SIGKILL
        each_is_old_or_new(job, old)
    pytest.fail("no end of steps")


def test_killed_at_random_moments(job: Job) -> None:
    job.renew()
    began = time.monotonic()
    assert job.run().returncode == 0
    usual = time.monotonic() - began
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for _ in range(3):
        job.renew()
        old = job.files()
        process = job.start()
        time.sleep(moments.uniform(0.2, 1) * usual)
        process.kill()
        process.wait()
        each_is_old_or_new(job, old)


FULL = """
set -eu
mount --make-rprivate /
mkdir "$1/was"; cp -a "$2/." "$1/was"
mount -t tmpfs -o size=512m tmpfs "$2"
cp -a "$1/was/." "$2"
dd if=/dev/zero of="$2/filling" bs=4k 2>/dev/null || true
truncate -s -"$3" "$2/filling"
place=$2 keep=$1; shift 3
status=0; "$@" || status=$?
rm "$place/filling"; mkdir "$keep/is"; cp -a "$place/." "$keep/is"
exit $status
"""


@pytest.mark.root
@pytest.mark.parametrize("room", ["0", "8k", "64k"])
def test_a_disk_that_is_full_is_said_in_one_line_and_nothing_is_lost(
    job: Job, tmp_path: Path, room: str
) -> None:
    job.renew()
    old = job.files()

    done = job.run("unshare", "--mount", "sh", "-c", FULL, "sh", str(tmp_path), str(job.place), room)

    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    seen = Job(job.folder, job.words, tmp_path / "is", job.renew)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert len(errors) == 1, done.stderr
        assert "no space left" in errors[0].lower()
    assert old.keys() <= seen.files().keys()
    changed = {name for name, digest in old.items() if seen.files()[name] != digest}
    assert not done.returncode or changed < old.keys()
    assert list((tmp_path / "is").rglob(f"{WORK_PREFIX}*")) == []
    done = job.run()
    assert done.returncode == 0, done.stderr


CONVERT = """
import sys
from dataclasses import replace
from pathlib import Path
from builder.errors import BuildError
from builder.glance import converted, source
from builder.report import Report
from builder.runner import Runner
report = Report(quiet=True)
try:
    local = replace(source.read(Path(sys.argv[1])), digests={"sha256": "ab" * 32})
    with converted.converted(local, "qcow2", Runner(report), report):
        print("converted")
except BuildError as error:
    print(error.message)
print(sorted(path.name for path in Path(sys.argv[1]).parent.iterdir()))
"""


@pytest.mark.root
@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img (qemu-utils)")
def test_an_upload_that_fills_the_disk_with_its_copy_leaves_the_image_alone(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "disk.raw").write_bytes(bytes(510) + b"\x55\xaa" + os.urandom(24 << 20))
    script = 'mount -t tmpfs -o size=32m tmpfs "$1"; cp "$2" "$1"; shift 2; exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", str(folder), str(tmp_path / "disk.raw")]

    done = subprocess.run(
        [*words, sys.executable, "-c", CONVERT, str(folder / "disk.raw")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert not done.returncode, done.stderr
    said, left = done.stdout.splitlines()
    assert "no space left" in said.lower() or "free" in said, done.stderr
    assert left == "['disk.raw']"
