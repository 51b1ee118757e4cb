# SPDX-License-Identifier: MIT
"""Generated specs and the files next to them, read by the programs that use them: rpm, systemd, bash."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.places import SPECS
from builder.report import Report
from builder.runner import Runner
from tests.golden import FOLDER, PAIRS, expand, golden_path

UNITS = "usr/lib/systemd/system"


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program with a limit of time."""
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize(("target", "package"), PAIRS, ids=[" ".join(pair) for pair in PAIRS])
def test_the_effect_of_a_spec_is_the_one_that_was_reviewed(target: str, package: str, tmp_path: Path) -> None:
    text = expand(target, package, tmp_path, Runner(Report(err=io.StringIO())))

    assert text == golden_path(target, package).read_text(), "is the change meant? then run `make golden`"


def test_no_golden_file_is_left_over() -> None:
    assert sorted(FOLDER.glob("*/*")) == sorted(golden_path(*pair) for pair in PAIRS)


@pytest.mark.parametrize("path", [golden_path(*pair) for pair in PAIRS], ids=lambda path: path.parent.name)
def test_no_macro_and_no_condition_is_left_in_what_rpm_reads(path: Path) -> None:
    sections = "package description build install generate_buildrequires pre post preun postun files check"
    marks = "config dir attr ghost doc license verify"
    known = {*sections.split(), *marks.split(), "{buildroot}"}
    words = re.findall(r"(?<!%)%(\{[^}]*\}|\w+)", path.read_text())

    assert {word for word in words if word not in known and not word.startswith("pyproject_")} == set()


def programs(units: Path) -> Iterator[str]:
    """Return the programs that units start, by their full path."""
    for unit in units.glob("*.service"):
        for line in re.findall(r"^Exec\w+=[+!:@-]*(\S+)", unit.read_text(), re.M):
            yield line if line.startswith("/") else f"/usr/bin/{line}"


@pytest.mark.parametrize("release", ["essex", "current"])
def test_systemd_finds_nothing_wrong_with_the_units(release: str, tmp_path: Path) -> None:
    units = tmp_path / UNITS
    units.mkdir(parents=True)
    for unit in (SPECS / release).glob("*/*.service"):
        (units / unit.name).write_text(unit.read_text())
    for program in programs(units):
        path = tmp_path / program[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    # Units of others that ours stand with.
    for name in ("sysinit", "basic", "shutdown", "network-online", "network", "multi-user", "syslog"):
        (units / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
    (units / "openvswitch.service").write_text("[Service]\nExecStart=/bin/true\n")
    names = [path.name.replace("@.", "@one.") for path in (SPECS / release).glob("*/*.service")]

    done = run("systemd-analyze", "verify", f"--root={tmp_path}", *names)

    reported = [line for line in done.stderr.splitlines() if "openvswitch.service" not in line]
    assert (done.returncode, reported) == (0, [])
    assert len(names) > 15


def test_a_broken_unit_would_be_found(tmp_path: Path) -> None:
    units = tmp_path / UNITS
    units.mkdir(parents=True)
    (units / "broken.service").write_text("[Service]\nType=simpel\nExecStart=/usr/bin/absent\n")

    done = run("systemd-analyze", "verify", f"--root={tmp_path}", "broken.service")

    assert done.returncode != 0
    assert "simpel" in done.stderr


def test_init_scripts_pass_the_shell_and_shellcheck() -> None:
    scripts = sorted(SPECS.glob("*/*/*.init"))

    done = run("shellcheck", "--shell=bash", "--severity=style", *scripts)

    assert done.returncode == 0, done.stdout
    assert len(scripts) > 15
    for script in scripts:
        assert run("bash", "-n", script).returncode == 0


def test_sysusers_makes_the_accounts_with_their_ids(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    files = sorted((SPECS / "current").glob("*/*.sysusers"))

    done = run("systemd-sysusers", f"--root={tmp_path}", *files)

    assert done.returncode == 0, done.stderr
    rows = {row.split(":")[0]: row.split(":") for row in (tmp_path / "etc/passwd").read_text().splitlines()}
    assert {name: rows[name][2] for name in ("keystone", "glance", "nova", "swift", "cinder", "heat")} == {
        "keystone": "163", "glance": "161", "nova": "162", "swift": "160", "cinder": "165", "heat": "187",
    }  # fmt: skip
    assert rows["nova"][4:] == ["OpenStack Nova Daemons", "/var/lib/nova", "/sbin/nologin"]
    groups = (tmp_path / "etc/group").read_text()
    assert re.search(r"^qemu:.*\bnova$", groups, re.M)
