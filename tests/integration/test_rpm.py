# SPDX-License-Identifier: MIT
"""openstack-builder srpm and rpm, with the real rpmbuild, as a user would run them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder import __version__
from builder.places import SPECS
from builder.rpm.build.archive import is_generated
from builder.targets import find_target
from tests.support.rpm_tool import ROOT, builder, copy_sources, query, the_rpm

TARGETS = ("fixture-12", "fedora-45", "epel-9")
PYTHON_FOLDER = {
    "fixture-12": "/usr/lib/python3/dist-packages",
    "fedora-45": "/usr/lib/python3.15/site-packages",
    "epel-9": "/usr/lib/python3.9/site-packages",
}

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with out/rpm/TARGET for the three targets of issue 2."""
    folder = tmp_path_factory.mktemp("rpm")
    done = builder("rpm", "openstack-utils", *(word for name in TARGETS for word in ("-t", name)), cwd=folder)
    assert len(done.stdout.splitlines()) == len(TARGETS)
    return folder


@pytest.mark.parametrize("target", TARGETS)
def test_everything_of_utils_is_packaged(built: Path, target: str) -> None:
    files = {line.removesuffix(".gz") for line in query(the_rpm(built, target), "-l")}
    expected = {"/usr/share/openstack-utils/services.json"}
    for path in sorted((ROOT / "utils").rglob("*")):
        part, _, rest = str(path.relative_to(ROOT / "utils")).partition("/")
        if (
            path.is_dir()
            or part == "ruff.toml"
            or is_generated(f"utils/{part}/{rest}")
            or path.name == "services.json"
        ):
            continue
        place = {
            "bin": f"/usr/bin/{rest}",
            "openstack_utils": f"{PYTHON_FOLDER[target]}/openstack_utils/{rest}",
            "man": f"/usr/share/man/man{rest[-1:]}/{rest}",
            "completion": f"/usr/share/bash-completion/completions/{rest}",
            "projects.awk": "/usr/share/openstack-utils/projects.awk",
            "README.md": "/usr/share/doc/openstack-utils/README.md",
        }
        expected.add(place[part])

    assert expected - files == set()
    assert f"{PYTHON_FOLDER[target]}/openstack_utils/services.json" not in files


def test_every_command_has_a_man_page_and_a_completion() -> None:
    commands = {path.name for path in (ROOT / "utils" / "bin").iterdir() if path.is_file()}

    assert commands - {path.stem for path in (ROOT / "utils" / "man").iterdir()} == set()
    assert commands - {path.name for path in (ROOT / "utils" / "completion").iterdir()} == set()


@pytest.mark.parametrize(
    ("target", "requires", "compressor"),
    [
        ("fixture-12", {"/usr/bin/python3", "python3", "python3-pymysql"}, "zstd"),
        ("fedora-45", {"/usr/bin/python3", "python3", "python(abi) = 3.15", "python3-PyMySQL"}, "zstd"),
        ("epel-9", {"/usr/bin/python3", "python3", "python(abi) = 3.9", "python3-PyMySQL"}, "zstd"),
    ],
)
def test_header_is_that_of_the_target(built: Path, target: str, requires: set[str], compressor: str) -> None:
    rpm = the_rpm(built, target)

    needs = {line.strip() for line in query(rpm, "--requires") if not line.startswith("rpmlib(")}
    assert needs == requires
    fields = "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{PAYLOADCOMPRESSOR} %{FILEDIGESTALGO} %{BUILDHOST}"
    dist = find_target(target).dist
    assert query(rpm, "--qf", fields) == [
        f"openstack-utils {__version__} 1{dist} noarch {compressor} 8 localhost"
    ]
    owners = query(rpm, "--qf", "[%{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:octal} %{FILENAMES}\n]")
    assert [line for line in owners if not re.match(r"root:root (0?100(644|755)|0?40755) ", line)] == []


def test_pymysql_is_brought_along_where_the_target_has_none(tmp_path: Path) -> None:
    builder("rpm", "openstack-utils", "-t", "epel-7", cwd=tmp_path)
    rpm = the_rpm(tmp_path, "epel-7")
    assert "bundled(python3-pymysql) = 1.0.2" in query(rpm, "--provides")
    assert [line for line in query(rpm, "--requires") if "mysql" in line.lower()] == []
    assert "/usr/share/licenses/openstack-utils-2026.2/LICENSE.PyMySQL" in query(rpm, "-l")

    unpack = f"rpm2cpio {rpm} | cpio -idm --quiet"
    subprocess.run(unpack, shell=True, cwd=tmp_path, check=True)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'usr/lib/python3.6/site-packages')!r})\n"
        "from openstack_utils.bundled import pymysql\n"
        "print(pymysql.__version__, pymysql.converters.escape_string('o\\'clock'))\n"
        "try: pymysql.converters.escape_item({'a': 1}, 'utf8mb4')\n"
        "except TypeError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["1.0.2 o\\'clock", "dict can not be used as parameter"]


@pytest.mark.parametrize("target", TARGETS)
def test_digests_are_right_and_the_manifest_has_them(built: Path, target: str) -> None:
    folder = built / "out" / "rpm" / target
    manifest = json.loads((folder / "openstack-utils.manifest.json").read_text())

    assert {artifact["source"] for artifact in manifest["artifacts"]} == {True, False}
    for artifact in manifest["artifacts"]:
        path = folder / artifact["path"]
        reported = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
        assert reported.split()[0] == artifact["sha256"]
        assert path.stat().st_size == artifact["size"]
        # Where rpm wants signatures (Fedora 45), as elsewhere.
        argv = ["rpmkeys", "--define", "_pkgverify_level digest", "-K", path]
        checked = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert "digests" in checked.stdout


def test_installed_command_works(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    rpm = [
        "rpm",
        "--root",
        str(root),
        "--dbpath",
        "/rpmdb",
        "-i",
        "--nodeps",
        "--nosignature",
        str(the_rpm(built, "fixture-12")),
    ]
    if os.geteuid() != 0:
        pytest.skip("rpm --root needs root")
    root.mkdir()
    subprocess.run(rpm, check=True, capture_output=True)
    launcher = root / "usr/bin/openstack-config"
    assert launcher.read_text().splitlines()[0] == "#!/usr/bin/python3 -IS"
    conf = tmp_path / "a.conf"
    conf.write_text("# kept\n[DEFAULT]\nkey = old\n")

    # As the launcher would run in the image: with the installed modules in its path, nothing else.
    script = (
        f"import sys, runpy; sys.path.insert(0, {str(root / 'usr/lib/python3/dist-packages')!r});"
        f"sys.argv = ['openstack-config', '--set', {str(conf)!r}, 'DEFAULT', 'key', 'new'];"
        f"runpy.run_path({str(launcher)!r}, run_name='__main__')"
    )
    subprocess.run(["/usr/bin/python3", "-I", "-B", "-c", script], check=True)

    assert conf.read_text() == "# kept\n[DEFAULT]\nkey = new\n"
    # Each command with the modules of its own room.
    for command in sorted((root / "usr/bin").glob("openstack-*")):
        script = (
            f"import sys, runpy; sys.path.insert(0, {str(root / 'usr/lib/python3/dist-packages')!r});"
            f"sys.argv = [{command.name!r}, '--version'];"
            f"runpy.run_path({str(command)!r}, run_name='__main__')"
        )
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-B", "-c", script], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{command.name} {__version__}\n"


def test_what_stands_in_the_place_of_a_result_stays(tmp_path: Path) -> None:
    out = tmp_path / "out" / "rpm" / "fixture-12"
    out.mkdir(parents=True)
    log, real = out / "openstack-utils.log", tmp_path / "real.log"
    real.write_text("old")
    log.symlink_to(real)
    source = out / f"openstack-utils-{__version__}-1.fx12.src.rpm"
    source.symlink_to("/dev/null")

    builder("srpm", "openstack-utils", "-t", "fixture-12", cwd=tmp_path)

    assert log.is_symlink()
    assert "old" != real.read_text() != ""
    assert source.is_char_device()


def test_unchanged_input_is_not_built_again(tmp_path: Path) -> None:
    source = copy_sources(tmp_path)
    words = ("rpm", "openstack-utils", "-t", "fixture-12", "--source", source)
    builder(*words, cwd=tmp_path)
    out = tmp_path / "out" / "rpm" / "fixture-12"
    first = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.glob("*.rpm")}

    again = builder(*words, cwd=tmp_path)
    assert "unchanged" in again.stderr
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.glob("*.rpm")} == first
    source_only = builder("srpm", *words[1:], cwd=tmp_path)
    assert "unchanged" in source_only.stderr
    assert source_only.stdout.strip().endswith(".src.rpm")

    # A spoilt artifact is made again; so is everything when one line of the input changes.
    spoilt = next(out.glob("*.noarch.rpm"))
    spoilt.write_bytes(b"not an rpm")
    assert "unchanged" not in builder(*words, cwd=tmp_path).stderr
    assert spoilt.read_bytes() == first[spoilt.name][1]
    spec = source / "specs" / "openstack-utils.spec"
    spec.write_text(spec.read_text().replace("Release:        1", "Release:        2"))
    assert "unchanged" not in builder(*words, cwd=tmp_path).stderr
    assert sorted(path.name.split("-")[3] for path in out.glob("*.rpm")) == [
        "2.fx12.noarch.rpm",
        "2.fx12.src.rpm",
    ]


def test_checkout_is_packed_as_git_has_it(tmp_path: Path) -> None:
    source = copy_sources(tmp_path)
    (source / ".gitignore").write_text("*.ignored\n")
    for name in ("utils/openstack_utils/scratch.ignored", "utils/openstack_utils/__pycache__/a.pyc"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("x")
    (source / "utils/openstack_utils/fresh.py").write_text("# not added yet\n")
    git = ["git", "-C", str(source), "-c", "user.name=n", "-c", "user.email=e@example.com"]
    date = {**os.environ, "GIT_COMMITTER_DATE": "1600000000 +0000", "GIT_AUTHOR_DATE": "1600000000 +0000"}
    for words in (["init", "-q"], ["add", "LICENSE", "specs", "utils/bin"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True, env=date)

    done = builder("srpm", "openstack-utils", "-t", "epel-9", "--source", source, "--json", cwd=tmp_path)

    (manifest,) = json.loads(done.stdout)
    assert manifest["source_date_epoch"] == 1600000000
    # rpm 6 calls it ./openstack-utils-….
    archive = subprocess.run(
        f"rpm2cpio {manifest['paths'][0]} | cpio -i --quiet --to-stdout '*openstack-utils-*.gz' | tar tzv",
        shell=True, cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"openstack-utils-{__version__}/utils/openstack_utils/fresh.py" in archive
    assert f"openstack-utils-{__version__}/services.json" in archive
    assert "ignored" not in archive
    assert "pyc" not in archive
    assert {line.split()[0] for line in archive.splitlines()} == {"-rw-r--r--", "-rwxr-xr-x"}


def test_the_version_is_the_projects() -> None:
    spec = (SPECS / "openstack-utils.spec").read_text()

    assert re.findall(r"^Version:\s+(\S+)$", spec, re.MULTILINE) == [__version__]
    newest = re.search(r"^%changelog\n\* .* - (\S+)-(\d+)$", spec, re.MULTILINE)
    assert newest
    assert newest.groups() == (__version__, *re.findall(r"^Release:\s+(\d+)%", spec, re.MULTILINE))


def test_spec_alone_agrees_with_targets_where_macros_name_no_python() -> None:
    spec = (SPECS / "openstack-utils.spec").read_text()
    python = find_target("epel-6").python

    assert python
    assert re.findall(r"%global __python3\s+(\S+)", spec) == [str(python.interpreter)]
    assert re.findall(r"%global python3_sitelib\s+(\S+)", spec) == [str(python.sitelib)]


def test_rpmlint_finds_nothing(built: Path) -> None:
    rpmlint = Path(sys.executable).with_name("rpmlint")
    if not rpmlint.exists():
        pytest.skip("rpmlint is not in the virtual environment")
    rpms = sorted((built / "out").rglob("*.rpm"))

    done = subprocess.run(
        [rpmlint, "-c", SPECS / "checks/rpmlint", SPECS / "openstack-utils.spec", *rpms],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "0 errors, 0 warnings" in done.stdout, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("target", ["fedora-44", "epel-6", "epel-7", "epel-8", "epel-10"])
def test_the_other_targets_build(tmp_path: Path, target: str) -> None:
    builder("rpm", "openstack-utils", "-t", target, cwd=tmp_path)

    rpm = the_rpm(tmp_path, target)
    row = find_target(target)
    assert row.python
    files = query(rpm, "-l")
    assert f"{row.python.sitelib}/openstack_utils/__init__.py" in files
    assert str(row.python.interpreter) in query(rpm, "--requires")
    payload = {"xzdio": "xz", "zstdio": "zstd"}[row.rpm.payload.partition(".")[2]]
    assert query(rpm, "--qf", "%{PAYLOADCOMPRESSOR}") == [payload]
