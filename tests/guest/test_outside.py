# SPDX-License-Identifier: MIT
"""Every check from outside passes on a good image and fails on one that is damaged where it looks."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import InputError
from builder.guest.firmware import FirmwareKind
from builder.guest.outcome import CheckResult, CheckState
from builder.guest.rpmdatabase import FOLDERS, FORMATS
from builder.guest.verify import OUTSIDE, VerifyOptions, verify
from builder.manifest import find_manifest
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB
from builder.targets import rpm_databases
from tests.support import small_image
from tests.support.damages import DAMAGES, ENTRY, HOST, plan_rounds, wrong_link_count
from tests.support.efi import efi_program
from tests.support.small_image import RUNNER, SmallImage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def good_image(tmp_path_factory: pytest.TempPathFactory) -> SmallImage:
    return small_image.make_small_image(tmp_path_factory.mktemp("small"))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.example.org")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def look(image: Path, *checks: str) -> dict[str, CheckResult]:
    options = VerifyOptions(boot=False, checks=checks or None)
    verdict = verify(RUNNER, image, find_manifest(image), options)
    return {result.check: result for result in verdict.results}


def test_a_good_image_passes_every_check(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "good").finish(convert=True)

    results = look(image)

    assert {name: result.reason for name, result in results.items() if result.state != CheckState.PASS} == {}
    assert list(results) == [check.id for check in OUTSIDE]


@pytest.mark.parametrize(
    ("secure_boot", "state", "reason"),
    [
        pytest.param(False, CheckState.NOT_APPLICABLE, "boots only where Secure Boot is off", id="any boot"),
        pytest.param(True, CheckState.FAIL, "/boot/efi/EFI/BOOT/BOOTX64.EFI is not signed", id="Secure Boot"),
    ],
)
def test_an_unsigned_loader_is_wrong_only_where_secure_boot_is_asked_for(
    good_image: SmallImage, tmp_path: Path, *, secure_boot: bool, state: CheckState, reason: str
) -> None:
    image = good_image.copy(tmp_path / "unsigned")
    small_image.replace_loader(image, efi_program(signatures=0))
    disk = image.finish()

    options = VerifyOptions(boot=False, secure_boot=secure_boot, checks=("boot-signed",))
    (result,) = verify(RUNNER, disk, find_manifest(disk), options).results

    assert result.state == state
    assert reason in result.reason


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(VerifyOptions(firmware=(FirmwareKind.BIOS, FirmwareKind.UEFI)), id="asked for"),
        pytest.param(VerifyOptions(secure_boot=True), id="Secure Boot"),
    ],
)
def test_a_firmware_that_the_image_does_not_boot_by_is_refused_at_once(
    good_image: SmallImage, tmp_path: Path, options: VerifyOptions
) -> None:
    image = good_image.copy(tmp_path / "bios")
    image.manifest["firmware"] = ["bios"]
    disk = image.finish()

    with pytest.raises(InputError, match="its manifest says that it does not boot by UEFI") as caught:
        verify(RUNNER, disk, find_manifest(disk), options)

    assert caught.value.hint == "--firmware bios"


ROUNDS = {number: tuple(together) for together in plan_rounds() for number in together}


@pytest.fixture(scope="module")
def looks() -> dict[tuple[int, ...], dict[str, CheckResult]]:
    """What was seen of the damaged images made so far, by the damages in them."""
    return {}


@pytest.mark.parametrize(
    "number", [pytest.param(number, id=f"{row[1]}: {row[0]}") for number, row in enumerate(DAMAGES)]
)
def test_damage_is_found(
    good_image: SmallImage,
    tmp_path: Path,
    looks: dict[tuple[int, ...], dict[str, CheckResult]],
    number: int,
) -> None:
    together = ROUNDS[number]
    if together not in looks:
        image = good_image.copy(tmp_path / "damaged")
        for other in together:
            DAMAGES[other][2](image)
        looks[together] = look(image.finish(), *(DAMAGES[other][1] for other in together))
    _, check, _, reason = DAMAGES[number]

    result = looks[together][check]

    assert result.state == CheckState.FAIL
    assert reason in result.reason


def test_every_check_from_outside_has_a_damage_that_it_finds() -> None:
    # Those are of qcow2, and have tests of their own.
    checks = {check.id for check in OUTSIDE} - {"format-valid", "format-standalone"}

    assert sorted(checks - {row[1] for row in DAMAGES}) == [], "tests/support/damages.py: a row for each"


def test_a_database_that_this_hosts_rpm_cannot_read_is_not_taken_for_an_empty_one(
    good_image: SmallImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Debian 12's rpm reads no ndb, later ones read every format; of one that is to come none knows.
    monkeypatch.setitem(FORMATS, "Packages.later", "later")
    known = rpm_databases(RUNNER.run(["rpm", "--showrc"]).stdout)
    name, format = next((name, format) for name, format in FORMATS.items() if format not in known)
    image = good_image.copy(tmp_path / "another")
    image.put(f"{FOLDERS[0]}/{name}", "not looked at")

    results = look(image.finish(), "rpm-database", "package-files")

    for result in results.values():
        assert result.state == CheckState.NOT_DONE
        assert f"is {format}, which this host's rpm cannot read" in result.reason


def test_qcow2_with_a_backing_file_is_refused_without_opening_that(
    good_image: SmallImage, tmp_path: Path
) -> None:
    base = good_image.copy(tmp_path / "base").disk
    overlay = tmp_path / "overlay.qcow2"
    RUNNER.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", overlay])
    base.unlink()

    results = look(overlay)

    assert results["format-standalone"].state == CheckState.FAIL
    assert str(base) in results["format-standalone"].reason
    assert results["root-locked"].state == CheckState.NOT_DONE


def test_leaked_clusters_fail_the_format(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "leak").finish(convert=True)
    raw = bytearray(image.read_bytes())
    # Point the first cluster in use of the first L2 table nowhere: its data is leaked.
    level1 = int.from_bytes(raw[40:48], "big")
    level2 = int.from_bytes(raw[level1 : level1 + 8], "big") & 0x00FFFFFFFFFFFE00
    raw[level2 : level2 + 8] = bytes(8)
    image.write_bytes(raw)

    result = look(image, "format-valid")["format-valid"]

    assert result.state == CheckState.FAIL
    assert "leaks" in result.reason


def test_a_snapshot_fails_the_format(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "snapshot").finish(convert=True)
    RUNNER.run(["qemu-img", "snapshot", "-c", "before", image])

    assert look(image, "format-standalone")["format-standalone"].state == CheckState.FAIL


def test_checksum_file_of_another_image_fails(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "sums").finish()
    image.with_name("SHA256SUMS").write_text(f"{'0' * 64}  {image.name}\n", encoding="utf-8")

    result = look(image, "checksums")["checksums"]

    assert (result.state, "SHA256SUMS" in result.reason) == (CheckState.FAIL, True)


def test_a_damaged_file_system_leaves_the_checks_of_its_files_undone(
    good_image: SmallImage, tmp_path: Path
) -> None:
    image = good_image.copy(tmp_path / "dirty")
    wrong_link_count(image)

    results = look(image.finish(), "root-locked", "no-host-keys")

    assert {result.state for result in results.values()} == {CheckState.NOT_DONE}


def test_links_of_the_image_never_lead_out_of_it(good_image: SmallImage, tmp_path: Path) -> None:
    outside = tmp_path / "host-secret"
    outside.write_text("root:$6$of$the-host:1::::::\n", encoding="utf-8")
    image = good_image.copy(tmp_path / "links")
    image.link("/etc/shadow", f"../../../../../../../../..{outside}")

    result = look(image.finish(), "root-locked")["root-locked"]

    assert result.reason == "root is not in /etc/shadow"


def test_an_image_without_manifest_is_held_to_what_needs_none(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "alone").disk

    results = look(image)

    not_applicable = {name for name, result in results.items() if result.state == CheckState.NOT_APPLICABLE}
    assert {"packages-as-manifest", "partitions-as-manifest", "locale", "services"} <= not_applicable
    assert results["root-locked"].state == CheckState.PASS


def test_users_of_the_kickstart_may_have_password_and_key(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "user")
    image.manifest["settings"]["users"] = [{"name": "op", "groups": [], "locked": False}]
    image.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\nop:x:1000:1000::/home/op:/bin/sh\n")
    image.put("/etc/shadow", "root:!:1::::::\nop:$y$j9T$x$y:1::::::\n")
    image.put("/home/op/.ssh/authorized_keys", "ssh-ed25519 AAAA op\n")

    results = look(image.finish(), "no-passwords", "no-authorized-keys")

    assert {result.state for result in results.values()} == {CheckState.PASS}


@pytest.mark.parametrize(
    ("do", "changed"),
    [
        (lambda image: image.put("/usr/bin/tool", "by a script\n"), "/usr/bin/tool"),
        (lambda image: image.remove("/usr/bin/tool"), "/usr/bin"),
    ],
    ids=["content", "removed"],
)
def test_scripts_of_the_kickstart_may_change_what_packages_brought(
    good_image: SmallImage, tmp_path: Path, do: Callable[[SmallImage], None], changed: str
) -> None:
    image = good_image.copy(tmp_path / "scripts")
    do(image)
    image.manifest["settings"]["changed"] = [changed]

    found = look(image.finish(), "package-files")["package-files"]

    assert found.state == CheckState.PASS, found.reason
    assert found.reason.endswith("but for what scripts changed: /usr/bin/tool")


def _config(text: str) -> Callable[[SmallImage], None]:
    return lambda image: image.put(MINE, text)


FSTAB, MINE, PROFILE = "/etc/fstab", "/etc/cloud/cloud.cfg.d/99-mine.cfg", "/etc/systemd/network/10-a.network"
WANTS = "/etc/systemd/system/cloud-init.target.wants"
STAGES = [f"{name}.service" for name in ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")]
# What an author may do: (what is done, what the manifest knows of it, the check that else finds it).
BY_THE_AUTHOR: dict[str, tuple[Callable[[SmallImage], None], dict[str, object], str]] = {
    "swap file": (
        lambda image: image.put(FSTAB, f"{small_image.FILES[FSTAB]}/swapfile none swap sw 0 0\n"),
        {"changed": [FSTAB]}, "no-swap",
    ),
    "disk that is not there yet": (
        lambda image: image.put(FSTAB, f"{small_image.FILES[FSTAB]}LABEL=data /srv ext4 nofail 0 2\n"),
        {"changed": [FSTAB]}, "fstab",
    ),
    "root by its label": (
        lambda image: image.put(FSTAB, "LABEL=root / ext4 defaults 0 1\n"), {"changed": [FSTAB]}, "fstab",
    ),
    "no fstab": (lambda image: image.put(FSTAB, ""), {"changed": [FSTAB]}, "fstab"),
    "cloud-init switched off": (
        lambda image: image.put("/etc/cloud/cloud-init.disabled", ""),
        {"changed": ["/etc/cloud/cloud-init.disabled"]}, "cloud-init-enabled",
    ),
    "cloud-init disabled": (
        lambda image: image.remove(*(f"{WANTS}/{name}" for name in STAGES)),
        {"turned_off": STAGES}, "cloud-init-enabled",
    ),
    "one source of metadata": (
        _config("datasource_list: [OpenStack]\n"), {"changed": [MINE]}, "cloud-init-enabled",
    ),
    "root by key": (_config("disable_root: false\n"), {"changed": [MINE]}, "cloud-user"),
    "no default user": (
        _config("users: []\nsystem_info: {default_user: null}\n"), {"changed": [MINE]}, "cloud-user",
    ),
    "nothing that grows": (
        lambda image: image.remove("/usr/bin/growpart"), {"removed": ["cloud-utils-growpart"]}, "grow-tools",
    ),
    "no password asked for": (
        lambda image: image.put("/etc/shadow", "root:!:1::::::\nlive::1::::::\n"),
        {"passwords": ["live"]}, "no-passwords",
    ),
    "second root": (
        lambda image: image.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n"),
        {"superusers": ["toor"]}, "no-passwords",
    ),
    "connection of one card, by a script": (
        lambda image: image.put(PROFILE, "[Match]\nMACAddress=52:54:00:11:22:33\n"),
        {"changed": [PROFILE]}, "no-fixed-network",
    ),
    "connection of one card, by a network line": (
        lambda image: image.put(PROFILE, "[Match]\nMACAddress=52:54:00:11:22:AA\n"),
        {"hardware_addresses": ["52:54:00:11:22:aa"]}, "no-fixed-network",
    ),
    "the checking host is named": (
        lambda image: image.put("/etc/motd", f"mirror: http://{HOST}/\n"),
        {"changed": ["/etc/motd"]}, "no-builder-name",
    ),
    "boot entry": (
        lambda image: image.put(ENTRY, "options quiet\n"), {"changed": [ENTRY]}, "console-arguments",
    ),
    "boot menu that waits": (
        lambda image: image.put("/boot/grub2/grub.cfg", "set timeout=9\nlinux /boot/vmlinuz quiet\n"),
        {"changed": ["/boot/grub2/grub.cfg"]}, "console-arguments",
    ),
    "keys removed": (
        lambda image: image.remove("/etc/pki/rpm-gpg/RPM-GPG-KEY-os"),
        {"changed": ["/etc/pki/rpm-gpg"]}, "repository-keys",
    ),
    "key in a folder that was there": (
        lambda image: image.put("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA a\n"),
        {"kept": ["/root/.ssh/authorized_keys"]}, "no-junk",
    ),
    "labels at the first boot": (
        lambda image: image.put("/.autorelabel", ""), {"kept": ["/.autorelabel"]}, "selinux-settings",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_THE_AUTHOR)
def test_what_the_author_did_is_no_fault_and_what_nobody_asked_for_is(
    name: str, good_image: SmallImage, tmp_path: Path
) -> None:
    do, known, check = BY_THE_AUTHOR[name]
    image = good_image.copy(tmp_path / "author")
    do(image)
    unasked = look(image.finish(), check)[check]
    image.manifest["settings"] |= known

    found = look(image.finish(), check)[check]

    assert unasked.state == CheckState.FAIL, unasked.reason
    assert found.state in (CheckState.PASS, CheckState.NOT_APPLICABLE), found.reason
    assert found.reason != unasked.reason


def test_a_changed_fstab_must_find_the_root_all_the_same(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "root")
    image.put(FSTAB, "LABEL=rooot / ext4 defaults 0 1\n")
    image.manifest["settings"]["changed"] = [FSTAB]

    found = look(image.finish(), "fstab")["fstab"]

    assert (found.state, found.reason) == (CheckState.FAIL, "/: no file system is LABEL=rooot")


def test_a_kickstart_may_leave_room_after_the_root(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "room")
    with image.disk.open("r+b") as file:
        file.truncate(small_image.DISK + 100 * MIB)
    before = look(image.finish(), "root-last")["root-last"]
    image.manifest["virtual_size"] = small_image.DISK + 100 * MIB

    found = look(image.finish(), "root-last")["root-last"]

    assert before.state == CheckState.FAIL
    assert (found.state, found.reason) == (
        CheckState.PASS, "partition 3 is the last; 101 MiB are free after it, as planned",
    )  # fmt: skip


SOURCES = "/usr/lib/python3.13/site-packages/cloudinit/sources"


@pytest.mark.parametrize(
    ("listed", "state", "warned"),
    [
        pytest.param("[OpenStack, None]", CheckState.PASS, [], id="all known"),
        pytest.param("[openstack]", CheckState.PASS, [], id="in another case"),
        pytest.param("[OpenStak, OpenStack]", CheckState.PASS, ["OpenStak"], id="one unknown"),
        pytest.param("[OpenStak, None]", CheckState.FAIL, ["OpenStak"], id="no other"),
        pytest.param("OpenStack", CheckState.PASS, [], id="no list"),
    ],
)
def test_a_datasource_that_cloud_init_of_the_image_does_not_know_is_named(
    good_image: SmallImage,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    listed: str,
    state: CheckState,
    warned: list[str],
) -> None:
    image = good_image.copy(tmp_path / "sources")
    for name in ("OpenStack", "None"):
        image.put(f"{SOURCES}/DataSource{name}.py", "")
    image.put(MINE, f"datasource_list: {listed}\n")
    image.manifest["settings"]["changed"] = [MINE]

    disk = image.finish()
    options = VerifyOptions(boot=False, checks=("cloud-init-enabled",))

    (found,) = verify(Runner(Report()), disk, find_manifest(disk), options).results

    assert found.state == state, found.reason
    said = [line for line in capsys.readouterr().err.splitlines() if "datasource_list names" in line]
    assert len(said) == len(warned)
    assert all(f"names {name}, which the image's cloud-init does" in " ".join(said) for name in warned)


def test_a_masked_service_is_not_enabled(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "masked")
    image.link("/etc/systemd/system/ssh.service", "/dev/null")

    found = look(image.finish(), "services")["services"]

    assert (found.state, found.reason) == (CheckState.FAIL, "sshd is not enabled")


def test_a_kickstart_without_a_console_is_held_to_that(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "console")
    image.manifest["settings"]["kernel_arguments"] = "quiet"
    image.put(ENTRY, "options quiet\n")
    image.put("/boot/grub2/grub.cfg", "set timeout=0\nlinux /boot/vmlinuz quiet\n")

    found = look(image.finish(), "console-arguments")["console-arguments"]

    assert found.state == CheckState.PASS, found.reason
    assert found.reason.endswith("no console=, as the kickstart says")


def test_lost_and_found_of_a_file_system_is_no_left_over(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "own")
    image.put("/tmp/lost+found/x", "")
    before = look(image.finish(), "no-junk")["no-junk"]

    image.put("/etc/fstab", "/dev/vg/tmp /tmp ext3 defaults 1 2\n")

    assert before.reason == "/tmp/lost+found"
    assert look(image.finish(), "no-junk")["no-junk"].state == CheckState.PASS


def test_kickstart_that_asks_for_swap_gets_it(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "swap")
    image.manifest["partitions"][0]["fstype"] = "swap"

    assert look(image.finish(), "no-swap")["no-swap"].state == CheckState.FAIL


def test_the_image_is_only_read(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "read").finish(convert=True)
    before = (hashlib.sha256(image.read_bytes()).hexdigest(), image.stat().st_mtime_ns)
    image.chmod(0o444)

    look(image)

    assert (hashlib.sha256(image.read_bytes()).hexdigest(), image.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("asked", "waits", "expected"),
    [
        pytest.param(5, 5, CheckState.PASS, id="as the kickstart asks"),
        pytest.param(None, 5, CheckState.FAIL, id="the kickstart says nothing"),
        pytest.param(0, 5, CheckState.FAIL, id="the kickstart asks for none"),
        pytest.param(None, 1, CheckState.PASS, id="a second"),
    ],
)
def test_boot_menu_may_wait_as_long_as_the_kickstart_asks(
    good_image: SmallImage, tmp_path: Path, asked: int | None, waits: int, expected: CheckState
) -> None:
    image = good_image.copy(tmp_path / "timeout")
    image.manifest["settings"]["boot_timeout"] = asked
    image.put("/boot/grub2/grub.cfg", f"set timeout={waits}\nlinux /boot/vmlinuz {small_image.ARGUMENTS}\n")

    assert look(image.finish(), "console-arguments")["console-arguments"].state == expected


def test_an_image_named_by_a_relative_path_is_read(good_image: SmallImage, tmp_path: Path) -> None:
    image = good_image.copy(tmp_path / "good").finish(convert=True)

    done = subprocess.run(
        [sys.executable, "-m", "builder", "verify", image.name, "--no-boot", "--json"],
        cwd=image.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    counts = json.loads(done.stdout)["counts"]
    assert counts["pass"] > 20
    assert counts["not-done"] == 0
