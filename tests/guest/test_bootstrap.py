# SPDX-License-Identifier: MIT
"""`image --bootstrap`: a guest whose packages its own rpm has installed finds itself whole.

Fixture Linux 12, on a host of any generation: `make hosts` runs this with rpm 6. Fixture Linux 13, whose
macros make rpm keep its database in the ndb format, which the rpm of Debian 12 neither writes nor reads.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.files import cache_folder
from builder.report import Report
from builder.runner import Runner
from builder.targets import rpm_databases
from tests.guest.conftest import OUT, ROOT, command, repository_options, run, verdict_of
from tests.rig.fixture.apt import Apt, Source
from tests.rig.fixture.convert import Setting, convert
from tests.rig.fixture.deb import read_deb
from tests.rig.fixture.products import Workshop
from tests.rig.fixture.repository import LOCK, Repository, build_repository, write_metadata
from tests.rig.fixture.rpmwriter import write_rpm
from tests.rig.fixture.rules import Edit, load_distribution
from tests.rig.fixture.signing import new_signer

pytestmark = [pytest.mark.slow, pytest.mark.boot]

RUNNER = Runner(Report(quiet=True))
NDB = Edit(path="/usr/lib/rpm/macros", find=r"(?m)^%_db_backend\s.*$", replace="%_db_backend ndb")
KICKSTART = """\
repo --name=fixture --baseurl={fixture} --excludepkgs=rpm-common
repo --name=ndb --baseurl={ndb}
%include {include}/fixture.ks
%packages
-openstack-utils
%end
%post --erroronfail --log=/root/said
cd /usr/lib/sysimage/rpm
rpm -q rpm
echo "$(rpm -qa | wc -l) packages in" *
%end
"""


def with_ndb(fixture: Repository, folder: Path) -> Path:
    """Make a signed repository of rpm-common, whose macros say ndb; return the file of its key."""
    distribution = load_distribution(version="13")
    rule = distribution.rule_of("rpm-common")
    rules = {**distribution.packages, "rpm-common": replace(rule, edits=(*rule.edits, NDB))}
    distribution = replace(distribution, packages=rules)
    apt = Apt(runner=RUNNER, folder=cache_folder("fixture"), source=distribution.source)
    known = [Source(**row) for row in json.loads((fixture.folder / LOCK).read_text())["sources"]]
    source = next(one for one in known if one.name == "rpm-common")
    workshop = Workshop(cache=apt.folder / "products", mtime=distribution.mtime)
    setting = Setting(distribution=distribution, guest_python="", workshop=workshop)
    package = convert(read_deb(apt.path_of(source)), setting)
    with new_signer(RUNNER) as signer:
        (folder / package.file_name).write_bytes(write_rpm(package, sign=signer.sign))
        (folder / "key").write_bytes(signer.public_key)
    write_metadata(RUNNER, folder)
    return folder / "key"


def reasons(verdict: dict[str, Any], state: str) -> dict[str, str]:
    """Return check -> reason of those that came to `state`."""
    return {one["check"]: one["reason"] for one in verdict["checks"] if one["state"] == state}


def packages_of(image: str) -> list[tuple[str, str]]:
    """Return name and digest of each package in the manifest of `image`, in its order."""
    found = json.loads((OUT / image / f"{image}.manifest.json").read_text())["packages"]
    return [(one["nevra"], one["sha256"]) for one in found]


def test_a_guest_of_an_older_rpm_finds_itself_whole_and_has_the_same_packages() -> None:
    packages = {}
    for how in ((), ("--bootstrap",)):
        run(repository_options("image", "jeos-fixture", *how))
        packages[how] = packages_of("jeos-fixture")

    image = OUT / "jeos-fixture/jeos-fixture.qcow2"
    verdict = verdict_of(image, "--datasource", "nocloud", "--firmware", "bios")

    assert packages[()] == packages[("--bootstrap",)]
    assert "rpm -Va is clean" in reasons(verdict, "pass")["rpm-verify"]
    assert {state: reasons(verdict, state) for state in ("fail", "not-done")} == {"fail": {}, "not-done": {}}


def test_a_guest_has_the_database_of_its_own_rpm_and_finds_itself_whole(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    fixture = build_repository(Report(quiet=True), version="13")
    key = with_ndb(fixture, tmp_path)
    kickstart = tmp_path / "ndb.ks"
    places = {"fixture": f"file://{fixture.folder}", "ndb": f"file://{tmp_path}"}
    kickstart.write_text(KICKSTART.format(include=ROOT / "kickstarts/include", **places))
    packages = {}
    for how in ((), ("--bootstrap",)):
        words = command("image", kickstart, "--target", "fixture-13", "--size", "2G", "--out", OUT, *how)
        run([*words, "--gpgkey", str(fixture.key), "--gpgkey", str(key)])
        packages[how] = packages_of("ndb")
    log = (OUT / "ndb.log").read_text()

    verdict = verdict_of(OUT / "ndb/ndb.qcow2", "--datasource", "nocloud", "--firmware", "bios")

    assert packages[()] == packages[("--bootstrap",)]
    # The keys are in it, too.
    assert f"{len(packages[()]) + 2} packages in Index.db Packages.db" in log
    assert "rpm -Va is clean" in reasons(verdict, "pass")["rpm-verify"]
    assert reasons(verdict, "fail") == {}
    showrc = subprocess.run(["rpm", "--showrc"], capture_output=True, text=True, check=True).stdout
    undone = reasons(verdict, "not-done")
    assert ("packages-as-manifest" in undone) is ("ndb" not in rpm_databases(showrc))
    assert {why for why in undone.values() if "ndb, which this host's rpm cannot read" not in why} == set()
