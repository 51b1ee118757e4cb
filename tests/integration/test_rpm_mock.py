# SPDX-License-Identifier: MIT
"""--backend mock, by what it would run: mock is on no machine of Debian 12, so a fake stands for it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.rpm_tool import builder, query

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")

# Notes its arguments; builds the source RPM with this host's rpmbuild, or fails on request.
FAKE_MOCK = """\
#!/bin/bash
printf '%s\\n' "$@" >"$FAKE_NOTES"
while [ $# -gt 1 ]; do
    [ "$1" != --resultdir ] || result=$2
    shift
done
mkdir -p "$result"
if [ -n "$FAKE_ERROR" ]; then
    printf 'Executing(%%build)\\n%s\\n' "$FAKE_ERROR" >"$result/build.log"
    exit 1
fi
cp "$1" "$result/"
name=${1##*/}
echo binary >"$result/${name%.src.rpm}.noarch.rpm"
"""


def fake_mock(folder: Path, *, error: str = "") -> dict[str, str]:
    """Return the environment in which `mock` is the fake, which notes its arguments in folder/notes."""
    tool = folder / "bin" / "mock"
    tool.parent.mkdir()
    # The runner lets no variable of ours through, so what the fake has to know is in its text.
    text = FAKE_MOCK.replace("$FAKE_NOTES", str(folder / "notes")).replace("$FAKE_ERROR", error)
    tool.write_text(text)
    tool.chmod(0o755)
    return {"PATH": f"{tool.parent}:{os.environ['PATH']}"}


def test_mock_gets_the_source_rpm_and_the_targets_configuration(tmp_path: Path) -> None:
    fake = fake_mock(tmp_path)
    words = ("rpm", "openstack-utils", "-t", "epel-9", "--backend", "mock", "--with", "check", "--json")

    done = builder(*words, cwd=tmp_path, **fake)

    (manifest,) = json.loads(done.stdout)
    assert [Path(path).name for path in manifest["paths"]] == ["openstack-utils-2026.2-1.el9.noarch.rpm"]
    assert Path(tmp_path, manifest["paths"][0]).read_text() == "binary\n"
    reported = (tmp_path / "notes").read_text().splitlines()
    assert reported[:4] == ["--root", "alma+epel-9-x86_64", "--uniqueext", "openstack-utils"]
    assert reported[-2] == "--rebuild"
    assert reported[-1].endswith("/topdir/SRPMS/openstack-utils-2026.2-1.el9.src.rpm")
    assert "use_source_date_epoch_as_buildtime 1" in reported
    assert reported[reported.index("--with") + 1] == "check"
    # The same input by the other back-end is another build.
    assert "unchanged" in builder(*words, cwd=tmp_path, **fake).stderr
    local = [word for word in words if word not in ("--backend", "mock")]
    assert "unchanged" not in builder(*local, cwd=tmp_path, **fake).stderr


def test_failure_in_the_chroot_is_reported_in_rpmbuilds_words(tmp_path: Path) -> None:
    fake = fake_mock(tmp_path, error="error: File not found: /builddir/build/BUILDROOT/x-1/usr/bin/x")

    done = builder(
        "rpm", "openstack-utils", "-t", "epel-9", "--backend", "mock", cwd=tmp_path, ok=False, **fake
    )

    assert done.returncode == 1
    assert "error: rpmbuild failed for openstack-utils on epel-9: File not found: /usr/bin/x" in done.stderr
    assert "File not found" in (tmp_path / "out/rpm/epel-9/openstack-utils.log").read_text()
    assert list((tmp_path / "out").rglob("*.rpm")) == []


def test_source_rpm_of_a_service_brings_what_builds_it(tmp_path: Path) -> None:
    fake = fake_mock(tmp_path)

    builder("rpm", "openstack-placement", "-t", "epel-10", "--backend", "mock", cwd=tmp_path, **fake)

    (source,) = (tmp_path / "out/rpm/epel-10").glob("*.src.rpm")
    assert {"pyproject.py", "byte_code.py"} <= set(query(source, "-l"))
    wheels = {name.partition("-")[0] for name in query(source, "-l") if name.endswith(".whl")}
    assert wheels == {"pbr", "setuptools"}
    required = [line for line in query(source, "--requires") if not line.startswith("rpmlib(")]
    assert required == ["/usr/bin/python3.12", "systemd-rpm-macros"]


@pytest.mark.parametrize(
    ("target", "code", "message", "hint"),
    [
        ("fixture-12", 2, "mock has no configuration for fixture-12", "--backend local"),
        ("epel-9", 4, "mock is not installed", "Debian 12 has none: --backend local does without"),
    ],
)
def test_where_mock_cannot_be_used_it_is_said_first(
    tmp_path: Path, target: str, code: int, message: str, hint: str
) -> None:
    if shutil.which("mock"):
        pytest.skip("mock is installed here")
    words = ("rpm", "openstack-utils", "-t", target, "--backend", "mock")

    done = builder(*words, cwd=tmp_path, ok=False)

    assert done.returncode == code
    assert message in done.stderr
    assert hint in done.stderr
    assert not (tmp_path / "out").exists()
