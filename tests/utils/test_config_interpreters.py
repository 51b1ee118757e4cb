# SPDX-License-Identifier: MIT
"""The same black-box calls under every Python from 3.6 to 3.15 that this machine has."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.config_tool import UTILS, config, process

VERSIONS = [f"3.{minor}" for minor in range(6, 16)]


def candidates() -> list[str]:
    """Interpreters by name on PATH, pyenv's, and the one that runs the tests."""
    found = [sys.executable]
    found += [path for path in (shutil.which(f"python{version}") for version in VERSIONS) if path]
    found += [path for path in (shutil.which("python3"), "/usr/bin/python3") if path]
    root = os.environ.get("PYENV_ROOT")
    if not root and shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False).stdout.strip()
    if root:
        found += sorted(map(str, Path(root, "versions").glob("3.*/bin/python3")))
    return found


def interpreters() -> dict[str, str]:
    """{"3.6": path, …}: one working interpreter of each version."""
    found: dict[str, str] = {}
    for path in candidates():
        try:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        except OSError:
            continue
        match = re.match(r"Python (3\.\d+)\.", done.stdout)
        if done.returncode == 0 and match and match.group(1) in VERSIONS:
            found.setdefault(match.group(1), path)
    return found


FOUND = interpreters()
# The oldest and the newest: tests that take long do with these.
ORDERED = sorted(FOUND, key=VERSIONS.index)
EXTREMES = {version: FOUND[version] for version in ORDERED[:1] + ORDERED[-1:]}
SAMPLE = "# é\n[DEFAULT]\n#debug = false\n\n[s]\na = p ;x\nm = 1\nm = 2\nl = a,b\nold: 1\n"
# Arguments; {f} is the file. One run of each, in order, on the same file.
CALLS = [
    ["--get", "{f}"], ["--get", "{f}", "s", "a"], ["--get", "--all", "{f}", "s", "m"],
    ["--get", "--json", "{f}"], ["--get", "--format=lines", "{f}"], ["--get", "--format=sh", "{f}"],
    ["--set", "{f}", "s", "a", "pä$$ 'w' "], ["--set", "--escape", "{f}", "s", "e", "$x\ny"],
    ["--set", "--verbose", "{f}", "DEFAULT", "debug", "true"], ["--add", "{f}", "s", "m", "3"],
    ["--set", "--all", "{f}", "s", "n", "1", "2"], ["--del", "{f}", "s", "m", "1"],
    ["--set", "--list", "{f}", "s", "l", "c"], ["--comment", "{f}", "s", "old"],
    ["--uncomment", "{f}", "s", "old"], ["--set", "{f}", "new", "k", "v", "--set", "{f}.2", "s", "k", "v"],
    ["--set", "--diff", "--dry-run", "{f}", "s", "a", "x"], ["--backup", "--set", "{f}", "s", "a", "y"],
    ["--inplace", "--set", "{f}", "s", "a", "longer than it was"], ["--check", "{f}"],
    ["--check", "--schema", "{f}.json", "{f}"], ["--set", "{f}", "s", "a", "1\n\n2"],
    ["--set", "{f}", "s", "b\udce9d", "\udce9"], ["--get", "{f}", "s", "nope"], ["--nope"], ["--help"],
    ["--version"], ["--dialect=crudini", "--get", "{f}", "s", "A"],
    ["--dialect=systemd", "--set", "{f}.env", "", "A", "a b"], ["--merge", "{f}"],
    ["--set", "-", "s", "a", "2"],
]  # fmt: skip
SCHEMA = '{"options": {"s": {"opts": [{"name": "a", "type": "integer value"}]}}}'


def transcript(path: Path, python: "str | None") -> "list[tuple[object, ...]]":
    """Everything the calls print and leave, with the folder's own name taken out."""
    path.write_text(SAMPLE)
    path.with_name("fé.json").write_text(SCHEMA)
    said: list[tuple[object, ...]] = []
    for call in CALLS:
        arguments = [os.fsencode(word.replace("{f}", os.fspath(path))) for word in call]
        stdin = "[s]\nmerged = 1\n"
        if python is None:
            result = config(*arguments, stdin=stdin)
        else:
            # A locale without UTF-8 must not matter.
            result = process(*arguments, stdin=stdin, python=python, environment={"LC_ALL": "C"})
        reported = [part.replace(str(path.parent), "") for part in (result.out, result.err)]
        said.append((result.code, *reported, path.read_bytes()))
    said.append(tuple(sorted((p.name, p.read_bytes()) for p in path.parent.iterdir())))
    return said


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> "list[tuple[object, ...]]":
    return transcript(tmp_path_factory.mktemp("expected") / "fé", None)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_interpreter_behaves_the_same(
    folder: Path,
    expected: "list[tuple[object, ...]]",
    version: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if version not in FOUND:
        pytest.skip(f"Python {version} is not installed: not run, only checked by vermin")
    with capsys.disabled():
        print(f"\nopenstack-config under Python {version}: {FOUND[version]} ", end="")
    found = transcript(folder / "fé", FOUND[version])

    for call, one, other in zip([*CALLS, "files left"], expected, found, strict=True):
        assert one == other, call


def test_vermin_finds_nothing_newer_than_3_6() -> None:
    modules = sorted((UTILS / "openstack_utils").rglob("*.py")) + sorted((UTILS / "bin").iterdir())
    vermin = shutil.which("vermin", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert vermin, "vermin is not installed"
    options = ["-q", "-t=3.6-", "--violations", "--no-tips"]
    done = subprocess.run([vermin, *options, *modules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert len(modules) > 15


NEWER = [
    r"\.removeprefix\(",
    r"\.removesuffix\(",
    "capture_output=",
    "missing_ok=",
    r"\(\w+ := ",
    r"\btext=True",
]


@pytest.mark.parametrize("pattern", NEWER)
def test_no_construct_that_vermin_overlooks(pattern: str) -> None:
    for module in (UTILS / "openstack_utils").rglob("*.py"):
        assert not re.search(pattern, module.read_text()), module


IMPORTED_AT_START = {"argparse", "json", "difflib", "tempfile", "hashlib", "subprocess", "re", "enum"}


@pytest.mark.parametrize("arguments", [["--get", "{f}", "s", "a"], ["--set", "{f}", "s", "a", "2"]])
def test_nothing_slow_is_imported(folder: Path, arguments: list[str]) -> None:
    path = folder / "f"
    path.write_text(SAMPLE)
    words = [word.replace("{f}", str(path)) for word in arguments]
    script = (
        f"import sys; sys.path.insert(0, {str(UTILS)!r}); before = set(sys.modules)\n"
        "from openstack_utils.config.command import main\n"
        f"assert main({words!r}) == 0\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    assert not IMPORTED_AT_START & set(done.stderr.split())


def test_the_launcher_finds_an_installed_package(folder: Path) -> None:
    """In site-packages under sys.prefix, as the RPM installs it, without the site module."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    package = folder / "usr" / "lib" / name / "site-packages" / "openstack_utils"
    shutil.copytree(UTILS / "openstack_utils", package)
    launcher = folder / "usr" / "bin" / "openstack-config"
    launcher.parent.mkdir()
    shutil.copy(UTILS / "bin" / "openstack-config", launcher)
    script = (
        f"import runpy, sys; sys.prefix = {str(folder / 'usr')!r}\n"
        f"sys.argv = ['openstack-config', '--version']\nrunpy.run_path({str(launcher)!r})"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("openstack-config ")


def test_the_launcher_finds_a_package_that_only_site_knows(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "v"], check=True)
    packages = next((folder / "v" / "lib").glob("python3*/site-packages"))
    shutil.copytree(UTILS / "openstack_utils", packages / "openstack_utils")
    launcher = folder / "v" / "bin" / "openstack-config"
    shutil.copy(UTILS / "bin" / "openstack-config", launcher)
    done = subprocess.run(
        [folder / "v" / "bin" / "python", "-IS", launcher, "--version"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
