# SPDX-License-Identifier: MIT
"""`image --bootstrap`: the target's own rpm installs, from a tree that the host's dnf has made.

The target's rpm is this host's here, with a macro of its own; tests/guest/test_bootstrap.py has one whose
database the host can neither write nor read.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture import spoil
from tests.rig.fixture.rpmwriter import write_rpm
from tests.rig.fixture.signing import new_signer
from tests.rig.fixture.synthetic import build_synthetic
from tests.support import host_rpm
from tests.support.imaging import BULKY, Bench, bench_for_everybody, kickstart, traces, wait_until_gone
from tests.support.other_user import run_as_plain_user

BOOTSTRAP = "--bootstrap"
DONE = "rpm of fixture-12"
PACKAGES = "scripted\ncapable\nsetuid\nhard-links\ndocumented"
TEXT = kickstart(packages=PACKAGES)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench whose repository has a rpm that installs the German translations only."""
    folder = tmp_path_factory.mktemp("bootstrap")
    folder.chmod(0o755)
    runner = Runner(Report(quiet=True))
    with new_signer(runner) as signer:
        repository = build_synthetic(
            folder / "repository",
            runner=runner,
            signer=signer,
            extra=[host_rpm.package(macros="%_install_langs de"), BULKY],
        )
    return Bench(folder, repository)


def reindex(folder: Path) -> None:
    """Make the metadata of a changed repository anew."""
    subprocess.run(["createrepo_c", "--quiet", folder], check=True)


def test_the_targets_own_rpm_installs_the_same_packages(bench: Bench) -> None:
    by_host = bench.build(TEXT)
    packages, french = bench.manifest()["packages"], "/usr/share/locale/fr/LC_MESSAGES/documented.mo"
    assert bench.look().exists(french)

    by_target = bench.build(TEXT, BOOTSTRAP)

    assert "bootstrap" not in by_host.stderr
    assert "rpm of fixture-12" in by_target.stderr
    assert bench.manifest()["packages"] == packages
    assert bench.manifest()["stages"][0]["name"] == "bootstrap"
    # Its macros hold, not the host's.
    assert not bench.look().exists(french)
    assert bench.look().exists("/usr/share/locale/de/LC_MESSAGES/documented.mo")
    assert bench.look().owner("/usr/bin/setuid")[0] & 0o7777 == 0o4755
    assert bench.look().inode("/usr/share/hard/a") == bench.look().inode("/usr/share/hard/e")
    assert bench.leftovers() == []


def test_a_release_before_systemd_gets_the_files_that_its_scripts_read(bench: Bench) -> None:
    head = "lang de_DE.UTF-8\nkeyboard de\ntimezone Etc/UTC\nnetwork --hostname=vm.example\n"
    head += "services --disabled=cups --enabled=sshd,cloud-init\nfirewall --enabled --port=80:tcp\n"
    tail = "%pre-install\ncd /mnt/sysimage; mkdir -p etc/sysconfig/network-scripts etc/init.d usr/sbin\n"
    tail += "touch etc/init.d/cups etc/init.d/sshd etc/init.d/cloud-init etc/init.d/firstboot\n"
    tail += "echo id:5:initdefault: >etc/inittab\n"
    for program in ("chkconfig", "lokkit"):
        tail += f"printf '#!/bin/sh\\necho {program} \"$@\" >>/etc/called\\n' >usr/sbin/{program}\n"
    text = kickstart(head=head, packages=PACKAGES, tail=f"{tail}chmod 755 usr/sbin/*\n%end\n")

    bench.build(text, "--target", "epel-6", "--ksversion", "F45")

    look = bench.look()
    assert look.text("/etc/sysconfig/i18n") == 'LANG="de_DE.UTF-8"\n'
    assert look.text("/etc/sysconfig/clock") == 'ZONE="Etc/UTC"\n'
    assert look.text("/etc/sysconfig/network") == "NETWORKING=yes\nHOSTNAME=vm.example\n"
    assert look.text("/etc/sysconfig/keyboard").splitlines() == [
        'KEYTABLE="de"', 'MODEL="pc105"', 'LAYOUT="de"', 'KEYBOARDTYPE="pc"',
    ]  # fmt: skip
    assert look.text("/etc/inittab") == "id:3:initdefault:\n"
    assert sorted(look.text("/etc/called").splitlines()) == [
        "chkconfig cloud-init on", "chkconfig cups off", "chkconfig firstboot off", "chkconfig sshd on",
        "lokkit --quiet --nostart --enabled --service=ssh --port=80:tcp",
    ]  # fmt: skip


def test_its_tree_is_made_once_and_the_same_inputs_give_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    bench.build(TEXT, BOOTSTRAP)
    cold = Bench(tmp_path, bench.repository)

    again = bench.build(kickstart(packages=PACKAGES + "\nodd-names"), BOOTSTRAP).stderr
    same = bench.build(TEXT + "%post\ntrue\n%end\n", BOOTSTRAP).stderr
    cold.build(TEXT + "%post\ntrue\n%end\n", BOOTSTRAP)

    assert "rpm of fixture-12  from the cache" in again
    assert "the tree from the cache" in same
    assert cold.image.read_bytes() == bench.image.read_bytes()


def seconds_to_its_end(bench: Bench) -> float:
    """Build with `--bootstrap`; return the seconds until the bootstrap was done."""
    begun = time.monotonic()
    command, environment = bench.command(TEXT, BOOTSTRAP), bench.environment()
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stderr
        assert any(DONE.encode() in line for line in process.stderr)
        seconds = time.monotonic() - begun
        process.stderr.read()
    return seconds


def killed(bench: Bench, seconds: float) -> bool:
    """Start a build with `--bootstrap`, kill it after `seconds`; say whether that was in the bootstrap."""
    said = bench.folder / "said"
    with said.open("w") as stream:
        command, environment = bench.command(TEXT, BOOTSTRAP), bench.environment()
        process = subprocess.Popen(command, env=environment, stderr=stream, stdout=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        process.wait()
    wait_until_gone(bench.out)
    return DONE not in said.read_text()


def moments(seconds: float) -> Iterator[float]:
    """Yield when to kill what took so many seconds: it may take a tenth of them, or ten times as many."""
    yield from (seconds / part for part in (32, 16, 8, 4, 2))
    for eighths in itertools.count(5):
        yield seconds * eighths / 8


def test_killed_in_the_bootstrap_it_leaves_the_old_image_and_the_next_run_is_whole(
    bench: Bench, tmp_path: Path
) -> None:
    bench.build(TEXT, BOOTSTRAP)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    at = moments(seconds_to_its_end(Bench(first, bench.repository)))
    own = Bench(second, bench.repository)
    own.build(TEXT)
    old = own.image.read_bytes()
    within = 0

    # Later each time, until one got beyond it.
    while killed(own, next(at)):
        within += 1
        assert own.image.read_bytes() == old
        assert traces(own.folder) == []
        assert all(name.startswith(".openstack-builder-") for name in own.leftovers())

    assert within >= 2
    own.build(TEXT, BOOTSTRAP)
    assert own.image.read_bytes() == bench.image.read_bytes()
    assert own.leftovers() == []


def test_another_rpm_of_the_target_has_the_tree_installed_anew(bench: Bench, tmp_path: Path) -> None:
    runner = Runner(Report(quiet=True))
    own = Bench(tmp_path, bench.repository)
    own.build(TEXT, BOOTSTRAP)
    newer, key = tmp_path / "newer", tmp_path / "key"
    newer.mkdir()
    with new_signer(runner) as signer:
        package = replace(host_rpm.package(macros="%_install_langs fr"), release="2")
        (newer / package.file_name).write_bytes(write_rpm(package, sign=signer.sign))
        key.write_bytes(signer.public_key)
    reindex(newer)

    said = own.build(TEXT, BOOTSTRAP, "--add-repo", f"newer={newer}", "--gpgkey", str(key)).stderr

    assert "the tree from the cache" not in said
    assert own.look().exists("/usr/share/locale/fr/LC_MESSAGES/documented.mo")
    assert not own.look().exists("/usr/share/locale/de/LC_MESSAGES/documented.mo")


def test_a_target_whose_database_the_host_cannot_write_asks_for_it_by_itself(bench: Bench) -> None:
    if "bdb " in subprocess.run(["rpm", "--showrc"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this host's rpm writes Berkeley DB")

    said = bench.build(TEXT, "--target", "epel-8").stderr

    assert "rpm of epel-8" in said
    assert bench.look().exists("/var/lib/rpm/rpmdb.sqlite")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
def test_a_plain_user_can_do_it_and_gets_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    own = bench_for_everybody(tmp_path, bench.repository)

    done = run_as_plain_user(own.command(TEXT, BOOTSTRAP), own.folder, environment=own.environment())

    assert done.returncode == 0, done.stderr
    bench.build(TEXT, BOOTSTRAP)
    assert own.image.read_bytes() == bench.image.read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            kickstart(packages="failing-pre"), ("rpm of fixture-12: ", "failing-pre"), id="a scriptlet fails"
        ),
        pytest.param(
            kickstart(packages="failing-post\nfailing-pre"),
            ("rpm of fixture-12: ", "failing-pre"),
            id="one fails, and one that harms nobody",
        ),
        pytest.param(kickstart(packages="bulky"), ("the disk is too small",), id="a small disk"),
        pytest.param(
            kickstart(packages="capble"), ("did you mean capable?",), id="a name that is nearly one"
        ),
    ],
)
def test_what_cannot_be_is_an_error_and_changes_nothing(
    bench: Bench, text: str, words: tuple[str, ...]
) -> None:
    bench.build(TEXT, BOOTSTRAP)
    before = bench.image.stat().st_mtime_ns

    done = bench.build(text, BOOTSTRAP, ok=False)

    assert done.returncode in (1, 2), done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert bench.image.stat().st_mtime_ns == before
    assert bench.leftovers() == []


def test_a_scriptlet_that_fails_and_harms_nobody_is_a_warning(bench: Bench) -> None:
    done = bench.build(kickstart(packages="failing-post"), BOOTSTRAP)

    assert any("failing-post" in line for line in done.stderr.splitlines() if line.startswith("warning: "))
    assert any("failing-post" in warning for warning in bench.manifest()["warnings"])


def test_without_a_rpm_in_the_repositories_the_error_says_so(
    tmp_path: Path, bench: Bench, synthetic: object
) -> None:
    own = Bench(tmp_path, synthetic)  # type: ignore[arg-type]

    done = own.build(TEXT, BOOTSTRAP, ok=False)

    assert done.returncode == 2
    assert "package rpm is in none of the repositories" in done.stderr


def strip_signature(rpm: Path) -> None:
    """Take the signature away, and one of the digests."""
    spoil.forget_payload_digest(rpm)


@pytest.mark.parametrize(
    "damage",
    [spoil.change_payload, spoil.change_header, spoil.change_signature, strip_signature],
    ids=["payload", "header", "signature", "no signature"],
)
def test_a_package_that_is_damaged_or_not_signed_does_not_reach_the_targets_rpm(
    bench: Bench, damage: Callable[[Path], None]
) -> None:
    rpm = bench.repository.rpms["capable"]
    whole = rpm.read_bytes()
    damage(rpm)
    reindex(bench.repository.folder)
    try:
        done = bench.build(TEXT, BOOTSTRAP, ok=False)
    finally:
        rpm.write_bytes(whole)
        reindex(bench.repository.folder)

    assert done.returncode == 1, done.stderr
    assert "a package is not signed by a key that you trust, or is damaged" in done.stderr
    assert rpm.name in done.stderr
    assert "--install" not in bench.log.read_text()
