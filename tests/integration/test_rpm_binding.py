# SPDX-License-Identifier: MIT
"""Which binding of rpm `make setup` leaves: the system's, one that rpm-py-installer builds, or an error.

The real rpm-py-installer compiles rpm from sources of the network; its stand-in here brings a module.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "builder/requirements/rpm-binding"
SYSTEMS = sorted(Path("/usr/lib").glob("python3*/*-packages/rpm"))
STAND_IN = """\
import pathlib, site
import setuptools
from setuptools.command.egg_info import egg_info

class Install(egg_info):
    def run(self):
        super().run()
        pathlib.Path(site.getsitepackages()[0], "rpm.py").write_text("def labelCompare(*labels): return 0\\n")

class NoWheel(setuptools.Command):
    user_options = [("dist-dir=", "d", "")]
    def initialize_options(self): pass
    def finalize_options(self): pass
    def run(self): raise Exception("no wheel, as of the real one")

commands = {"egg_info": Install, "bdist_wheel": NoWheel}
setuptools.setup(name="rpm-py-installer", version="1.1.0", py_modules=[], cmdclass=commands)
"""


@dataclass(frozen=True)
class Bare:
    """An environment without the shim, with pip of ours."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin/python"

    def run(self, requirements: Path, *, hidden: bool) -> subprocess.CompletedProcess[str]:
        """Run the program without a network; `hidden`: the system has no binding."""
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        hide = "".join(f"mount --bind {empty} {path}\n" for path in SYSTEMS) if hidden else ""
        script = f'{hide}exec "$@"'
        pip = {"PYTHONPATH": str(self.folder / "pip"), "PIP_NO_INDEX": "1"}
        pip |= {"PIP_FIND_LINKS": str(requirements.parent), "PYTHONWARNINGS": "ignore"}
        return subprocess.run(
            ["unshare", "--mount", "--net", "sh", "-ec", script, "sh", PROGRAM, self.python, requirements],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **pip},
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """Return such an environment."""
    folder = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (folder / "pip").mkdir()
    site = next(Path(entry) for entry in sys.path if (Path(entry) / "pip/__init__.py").is_file())
    for pattern in ("pip", "setuptools", "setuptools-*", "_distutils_hack"):
        for path in site.glob(pattern):
            (folder / "pip" / path.name).symlink_to(path)
    return Bare(folder)


def archive(folder: Path, text: str = STAND_IN) -> Path:
    """Write an archive of the stand-in, and return the list that pins it."""
    path = folder / "rpm-py-installer-1.1.0.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for name, content in {
            "setup.py": text,
            "PKG-INFO": "Name: rpm-py-installer\nVersion: 1.1.0\n",
        }.items():
            member = tarfile.TarInfo(f"rpm-py-installer-1.1.0/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content.encode()))
    pinned = folder / "list.txt"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pinned.write_text(f"rpm-py-installer==1.1.0 --hash=sha256:{digest}\n")
    return pinned


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts in a namespace of its own")


def test_the_systems_binding_is_enough() -> None:
    done = subprocess.run([PROGRAM, sys.executable, "/nowhere"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_where_it_does_not_load_one_is_built(bare: Bare, tmp_path: Path) -> None:
    done = bare.run(archive(tmp_path), hidden=True)

    assert done.returncode == 0, done.stderr
    assert "building one by rpm-py-installer" in done.stderr
    loaded = subprocess.run(
        [bare.python, "-c", "import rpm; print(rpm.__file__)"], capture_output=True, text=True
    )
    assert str(bare.folder) in loaded.stdout


def test_where_neither_can_be_had_both_reasons_are_said(bare: Bare, tmp_path: Path) -> None:
    unreachable = "raise SystemExit('urllib.error.URLError: <urlopen error no route to the sources>')\n"

    done = bare.run(archive(tmp_path, unreachable), hidden=True)

    assert done.returncode == 4
    error, *hint = done.stderr.partition("error: ")[2].splitlines()
    assert "cannot load the system's" in error
    assert "no route to the sources" in error
    assert "python3-rpm" in hint[0]


def test_an_archive_with_another_digest_is_not_run(bare: Bare, tmp_path: Path) -> None:
    pinned = archive(tmp_path)
    archive(tmp_path, STAND_IN + "# changed\n")
    pinned.write_text("rpm-py-installer==1.1.0 --hash=sha256:" + "0" * 64 + "\n")

    done = bare.run(pinned, hidden=True)

    assert done.returncode == 4
    assert not list(bare.folder.glob("lib/python3*/site-packages/rpm.py"))


def kept(python: Path | str) -> str:
    """Return what pip is given of our own list."""
    words = [PROGRAM, "--kept", python, PROGRAM.parent / "core.txt"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_the_shim_does_not_replace_one_that_was_built(bare: Bare, tmp_path: Path) -> None:
    whole = (PROGRAM.parent / "core.txt").read_text()
    assert (kept(bare.python), kept(sys.executable)) == (whole, whole)

    assert bare.run(archive(tmp_path), hidden=True).returncode == 0

    lines = kept(bare.python).splitlines()
    gone = [line for line in whole.splitlines() if line not in lines]
    assert gone[0].startswith("rpm==")
    assert all(line.startswith("    --hash=") for line in gone[1:])
    names = [line.partition("==")[0] for line in whole.splitlines() if line[:1].isalpha()]
    assert [line.partition("==")[0] for line in lines if line[:1].isalpha()] == [
        name for name in names if name != "rpm"
    ]
