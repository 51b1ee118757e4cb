# SPDX-License-Identifier: MIT
"""openstack-builder without its checkout: a wheel in an environment of its own; a copy of builder/ alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.places import SOURCE, VARIABLE
from tests.support.imaging import Bench, kickstart

# What a wheel is built from.
BUILT = (
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "builder",
    "kickstarts",
    "pyproject.toml",
    "setup.py",
    "specs",
    "utils",
)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An environment with the wheel; commands run in a folder that is not a checkout."""

    prefix: Path
    folder: Path

    @property
    def program(self) -> Path:
        """The console script."""
        return self.prefix / "bin" / "openstack-builder"

    @property
    def package(self) -> Path:
        """The package, as it is installed."""
        return next(self.prefix.glob("lib/python3*/site-packages/builder"))

    def run(self, *words: str | Path, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run openstack-builder."""
        return run([self.program, *words], cwd=self.folder, env=env, ok=ok)


def run(
    argv: list[str | Path], *, cwd: Path, env: Mapping[str, str], ok: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program with the caches below `cwd`, and no PYTHONPATH of the caller."""
    own = {"PATH": os.environ["PATH"], "HOME": str(cwd), "XDG_CACHE_HOME": str(cwd / "cache")}
    done = subprocess.run(
        argv, cwd=cwd, env={**own, **env}, capture_output=True, text=True, timeout=1800, check=False
    )
    assert not ok or done.returncode == 0, done.stderr
    return done


def copy_of(names: tuple[str, ...], folder: Path) -> Path:
    """Return a folder with copies of these files and folders of the checkout."""
    folder.mkdir()
    for name in names:
        if (SOURCE / name).is_dir():
            made = shutil.ignore_patterns("__pycache__", "services.json")
            shutil.copytree(SOURCE / name, folder / name, ignore=made)
        else:
            shutil.copy(SOURCE / name, folder)
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this checkout, installed without the network; its dependencies are the tests'."""
    top = tmp_path_factory.mktemp("installed")
    source = copy_of(BUILT, top / "checkout")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps"]
    run([*pip, "wheel", *offline, "--no-build-isolation", "-w", top, source], cwd=top, env={})
    (wheel,) = top.glob("*.whl")
    shutil.rmtree(source)
    prefix = top / "prefix"
    run([sys.executable, "-m", "venv", "--without-pip", prefix], cwd=top, env={})
    run([*pip, "--python", prefix / "bin" / "python", "install", *offline, wheel], cwd=top, env={})
    (site,) = prefix.glob("lib/python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = top / "elsewhere"
    folder.mkdir()
    # pytest's folders are for their owner only.
    for shown in (top, folder):
        shown.chmod(0o755)
    return Installed(prefix=prefix, folder=folder)


def here(*words: str, cwd: Path, **env: str) -> str:
    """Return what openstack-builder of this checkout prints."""
    argv: list[str | Path] = [sys.executable, "-m", "builder", *words]
    return run(argv, cwd=cwd, env={"PYTHONPATH": str(SOURCE), **env}).stdout


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("targets",), id="targets"),
        pytest.param(("services",), id="services"),
        pytest.param(("specs", "--check"), id="specs"),
    ],
)
def test_wheel_answers_as_the_checkout_does(
    installed: Installed, words: tuple[str, ...], tmp_path: Path
) -> None:
    assert installed.run(*words).stdout == here(*words, cwd=tmp_path)


def test_wheel_checks_every_kickstart(installed: Installed) -> None:
    done = installed.run("check", "--json")

    assert "jeos-fedora-45.ks" in done.stdout


def test_wheel_plans_an_image(installed: Installed) -> None:
    done = installed.run("image", "jeos-fedora-45", "--plan")

    assert "jeos-fedora-45" in done.stdout


def test_wheel_builds_the_same_rpm_as_the_checkout(installed: Installed, tmp_path: Path) -> None:
    words = ("rpm", "openstack-utils", "-t", "fixture-12")
    (built,) = installed.run(*words, SOURCE_DATE_EPOCH="1700000000").stdout.splitlines()
    (same,) = here(*words, cwd=tmp_path, SOURCE_DATE_EPOCH="1700000000").splitlines()

    assert digest(installed.folder / built) == digest(tmp_path / same)


def test_wheel_builds_an_image(installed: Installed, bench: Bench) -> None:
    argv = bench.command(kickstart(tail="%post\necho done >/root/done\n%end\n"))
    assert argv[1:3] == ["-m", "builder"]
    run([installed.program, *argv[3:]], cwd=installed.folder, env={})

    assert bench.look().text("/root/done") == "done\n"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("specs",), id="specs"),
        pytest.param(("bump", "openstack-utils", "-m", "New"), id="bump"),
    ],
)
def test_wheel_does_not_change_itself(installed: Installed, words: tuple[str, ...]) -> None:
    before = {path: path.stat().st_mtime_ns for path in installed.package.rglob("*") if path.is_file()}
    done = installed.run(*words, ok=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "run it in a checkout" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_wheel_brings_manual_and_completion_and_no_lists_of_requirements(installed: Installed) -> None:
    assert (installed.prefix / "share/man/man1/openstack-builder.1").is_file()
    assert (installed.prefix / "share/bash-completion/completions/openstack-builder").is_file()
    assert not (installed.package / "requirements").exists()
    assert not list(installed.package.rglob("services.json"))


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with a copy of builder/ and nothing else."""
    return copy_of(("builder",), tmp_path / "alone")


def _in_a_checkout(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    return SOURCE, {}


def _with_the_variable(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    return tmp_path, {VARIABLE: str(SOURCE)}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(_in_a_checkout, id="in a checkout"),
        pytest.param(_with_the_variable, id="with the variable"),
    ],
)
def test_copy_of_the_package_finds_the_source_tree(
    alone: Path, tmp_path: Path, place: Callable[[Path], tuple[Path, dict[str, str]]]
) -> None:
    cwd, env = place(tmp_path)
    argv: list[str | Path] = [sys.executable, "-P", "-m", "builder", "targets", "--json"]
    own = {"PYTHONPATH": str(alone), "XDG_CACHE_HOME": str(tmp_path / "cache"), **env}
    done = run(argv, cwd=cwd, env=own)

    assert '"fedora-45"' in done.stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(None, "specs/targets.yaml is neither in", id="nothing there"),
        pytest.param("/nowhere", "/nowhere: no specs/targets.yaml there", id="wrong variable"),
    ],
)
def test_copy_of_the_package_says_what_it_needs(
    alone: Path, tmp_path: Path, given: str | None, message: str
) -> None:
    argv: list[str | Path] = [sys.executable, "-m", "builder", "targets"]
    own = {"PYTHONPATH": str(alone), **({VARIABLE: given} if given else {})}
    done = run(argv, cwd=tmp_path, env=own, ok=False)

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert "checkout of openstack-utils" in done.stderr.splitlines()[1]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
