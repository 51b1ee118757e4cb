# SPDX-License-Identifier: MIT
"""`openstack-builder verify` as a user runs it: real boots of the JeOS, and disks that do not boot."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.guest import checks
from builder.guest.checks import across, booted
from builder.guest.verify import OUTSIDE
from tests.guest.conftest import ROOT, command
from tests.support.small_image import RUNNER

# Emulated, on a machine with other work: power-on to login took up to 250 s.
BOOT_LIMIT = "900"

# What a guest must pass; for these `not applicable` would be a way round the check.
MUST_PASS = {check.id for check in booted.CHECKS} - {
    "boot-seconds",
    "rpm-verify",
    "selinux-labels",
    "secure-boot-on",
}


@dataclass(frozen=True)
class Run:
    """One run of the command."""

    status: int
    out: str
    err: str

    @property
    def verdict(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value

    def states(self, boot: str | None) -> dict[str, str]:
        return {one["check"]: one["state"] for one in self.verdict["checks"] if one["boot"] == boot}

    def bad(self) -> list[str]:
        return [
            f"{one['check']} {one['boot'] or ''}: {one['reason']}"
            for one in self.verdict["checks"]
            if one["state"] not in ("pass", "not-applicable")
        ]


def verify(*words: str | Path, env: dict[str, str] | None = None) -> Run:
    done = subprocess.run(
        command("verify", *words),
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- real boots ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Booted:
    """A run with boots, the image's digest before it, and where its logs are."""

    run: Run
    image: Path
    digest: str
    cache: Path


def boot(image: Path, cache: Path, *words: str) -> Booted:
    before = digest(image)
    run = verify(image, "--timeout", BOOT_LIMIT, "--json", *words, env={"XDG_CACHE_HOME": str(cache)})
    return Booted(run, image, before, cache)


@pytest.fixture(scope="module")
def both(jeos_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Booted:
    """Both firmwares: SeaBIOS with a seed, OVMF with the metadata service, the disk grown."""
    return boot(
        jeos_image,
        tmp_path_factory.mktemp("cache"),
        *("--firmware", "bios,uefi", "--datasource", "nocloud,openstack", "--resize", "+1G"),
    )


SEABIOS, OVMF = "seabios nocloud virtio-blk", "ovmf openstack virtio-blk"


@pytest.mark.boot
def test_the_jeos_image_passes_under_both_firmwares(both: Booted) -> None:
    assert both.run.bad() == [], both.run.err
    assert both.run.status == 0


@pytest.mark.boot
@pytest.mark.parametrize("label", [SEABIOS, OVMF])
def test_each_boot_passes_what_it_cannot_be_let_off(both: Booted, label: str) -> None:
    states = both.run.states(label)

    assert list(states) == [check.id for check in booted.CHECKS]
    assert {check: states[check] for check in MUST_PASS if states[check] != "pass"} == {}


@pytest.mark.boot
def test_checks_of_a_run_are_each_made_once(both: Booted) -> None:
    assert both.run.states(SEABIOS)["rpm-verify"] == "pass"
    assert both.run.states(OVMF)["rpm-verify"] == "not-applicable"
    assert both.run.states(None)["identities-differ"] == "pass"
    assert list(both.run.states(None)) == [check.id for check in (*OUTSIDE, *across.CHECKS)]


@pytest.mark.boot
def test_boots_are_reported_while_they_run_and_in_the_verdict(both: Booted) -> None:
    reported = [(one["label"], one["disk_size"]) for one in both.run.verdict["boots"]]
    size = json.loads(RUNNER.run(["qemu-img", "info", "--output=json", both.image]).stdout)["virtual-size"]

    assert reported == [(SEABIOS, size + (1 << 30)), (OVMF, size + (1 << 30))]
    assert f"boot        {SEABIOS}  login after " in both.run.err


@pytest.mark.boot
def test_serial_logs_are_kept_and_nothing_else(both: Booted) -> None:
    logs = [Path(one["serial_log"]) for one in both.run.verdict["boots"]]

    assert all("login:" in log.read_text(errors="replace") for log in logs)
    folder = both.cache / "openstack-builder" / "verify"
    assert {path.name for path in folder.iterdir()} <= {"logs", "acceleration.json"}


@pytest.mark.boot
def test_the_image_is_the_same_after_its_boots(both: Booted) -> None:
    assert digest(both.image) == both.digest == both.run.verdict["sha256"]


@pytest.mark.boot
@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            ("--firmware", "bios", "--datasource", "configdrive", "--disk-bus", "virtio-scsi"),
            id="config drive, virtio-scsi",
        ),
        pytest.param(
            ("--firmware", "uefi", "--datasource", "ec2", "--disk-bus", "nvme"), id="ec2, nvme under OVMF"
        ),
        pytest.param(("--firmware", "bios", "--datasource", "ec2", "--disk-bus", "nvme"), id="ec2, nvme"),
        pytest.param(("--firmware", "bios", "--datasource", "nocloud", "--disk-bus", "ide"), id="ide"),
        pytest.param(
            ("--firmware", "bios", "--datasource", "openstack", "--second-boot"), id="started twice"
        ),
        pytest.param(
            ("--firmware", "uefi", "--datasource", "configdrive", "--second-boot"),
            id="started twice under OVMF",
        ),
    ],
)
def test_the_jeos_image_passes_with(jeos_image: Path, tmp_path: Path, words: Sequence[str]) -> None:
    run = boot(jeos_image, tmp_path, *words).run

    assert run.bad() == [], run.err
    assert run.status == 0
    if "--second-boot" in words:
        assert run.states(None)["identity-kept"] == "pass"


# -- disks that do not boot ----------------------------------------------------------------------


def make_disk(path: Path, first_sector: bytes) -> Path:
    """Write a raw disk of 8 MiB that begins with `first_sector`."""
    with path.open("wb") as file:
        file.write(first_sector)
        file.truncate(8 << 20)
    return path


def hanging_disk(path: Path) -> Path:
    """A disk whose boot code jumps to itself for ever."""
    return make_disk(path, b"\xeb\xfe" + bytes(508) + b"\x55\xaa")


BOOT_ONCE = ("--firmware", "bios", "--datasource", "nocloud", "--memory", "128")


@pytest.mark.boot
def test_a_disk_without_boot_code_fails_at_once_with_the_console(tmp_path: Path) -> None:
    disk = tmp_path / "empty.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "8M"], check=True)
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    run = verify(disk, *BOOT_ONCE, "--checks", "login,hostname", "--timeout", "900", "--json", env=env)

    label = "seabios nocloud virtio-blk"
    assert run.status == 1
    assert run.states(label) == {"login": "fail", "hostname": "not-done"}
    log = run.verdict["boots"][0]["serial_log"]
    assert f"the console says `No bootable device`; the end of {log}:" in run.err
    assert "  | No bootable device." in run.err
    assert "SeaBIOS" in Path(log).read_text(errors="replace")


@pytest.mark.boot
def test_a_disk_that_hangs_fails_after_the_given_time(tmp_path: Path) -> None:
    disk = hanging_disk(tmp_path / "hangs.raw")
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    # On a busy machine the firmware alone may take longer than that.
    for seconds in (5, 200):
        run = verify(disk, *BOOT_ONCE, "--checks", "login", "--timeout", str(seconds), env=env)
        if "Booting from Hard Disk" in run.err:
            break

    assert run.status == 1
    assert "fail            login" in run.out
    assert f"no login within {seconds} s" in run.out
    assert "Booting from Hard Disk" in run.err


def find_qemu(folder: Path) -> list[int]:
    """Return the processes of qemu that run in `folder` or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                is_qemu = (entry / "comm").read_text().startswith("qemu-system")
                if is_qemu and Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def start_hanging(tmp_path: Path, cache: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a verify that waits for a guest that hangs; return it and its qemu."""
    process = subprocess.Popen(
        command("verify", hanging_disk(tmp_path / "hangs.raw"), *BOOT_ONCE, "--timeout", "3000"),
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    logs = cache / "openstack-builder" / "verify" / "logs"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        # Not the probe for KVM, which comes first: the boot's own qemu has begun its log.
        if any(log.stat().st_size for log in logs.glob("*.serial.log")):
            return process, find_qemu(cache)[0]
        time.sleep(0.1)
    process.kill()
    pytest.fail("no qemu was started within 600 s")


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 600
    while Path("/proc", str(pid)).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Path("/proc", str(pid)).exists()


@pytest.mark.boot
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_interrupted_it_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    process, qemu = start_hanging(tmp_path, tmp_path / "cache")

    process.send_signal(number)

    assert process.wait(timeout=600) == 130
    assert wait_until_gone(qemu)
    left = {path.name for path in (tmp_path / "cache" / "openstack-builder" / "verify").iterdir()}
    assert left <= {"logs", "acceleration.json"}


@pytest.mark.boot
def test_killed_it_leaves_no_qemu_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process, qemu = start_hanging(tmp_path, cache)

    process.kill()
    process.wait()

    assert wait_until_gone(qemu)
    folder = cache / "openstack-builder" / "verify"
    assert len(list(folder.glob(".openstack-builder-verify-*"))) == 1
    verify(tmp_path / "hangs.raw", "--no-boot", env={"XDG_CACHE_HOME": str(cache)})
    assert list(folder.glob(".openstack-builder-verify-*")) == []


# -- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error"),
    [
        pytest.param((), "error: verify needs an image", id="no image"),
        pytest.param(("missing.qcow2",), "error: missing.qcow2: there is no such file", id="no file"),
        pytest.param((".",), ": not a regular file", id="folder"),
        pytest.param(("x",), "not a disk image: the file is empty", id="empty file"),
        pytest.param(("notes",), "not a disk image: a raw disk begins with a boot sector", id="no disk"),
        pytest.param(("x", "--checks", "rot-locked"), "hint:  did you mean root-locked?", id="near check"),
        pytest.param(("x", "--checks", ","), "error: --checks names no check", id="no check"),
        pytest.param(("x", "--firmware", "efi"), "`efi` is not a list of bios, uefi", id="firmware"),
        pytest.param(("x", "--disk-bus", "floppy"), "virtio-blk, virtio-scsi, ide, nvme", id="bus"),
        pytest.param(("x", "--resize", "1G"), "`1G` is not an increment such as +1G", id="resize"),
        pytest.param(("x", "--timeout", "0"), "`0` is not a number above 0", id="timeout"),
    ],
)
def test_bad_usage_is_reported(tmp_path: Path, words: tuple[str, ...], error: str) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "notes").write_text("not a disk\n" * 99)
    run = verify(*(str(tmp_path / word) if word in ("x", "notes") else word for word in words))

    assert run.status == 2
    assert error in run.err


def test_an_image_of_another_kind_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "disk.qed"
    RUNNER.run(["qemu-img", "create", "-q", "-f", "qed", image, "1M"])

    run = verify(image, "--no-boot", env={"XDG_CACHE_HOME": str(tmp_path)})

    assert run.status == 2
    assert "its format is qed, not qcow2, raw" in run.err


def test_checks_are_listed_with_what_they_are_about() -> None:
    rows = json.loads(verify("--list-checks", "--json").out)

    names = [row["id"] for row in rows]
    assert len(names) == len(set(names)) == len((*OUTSIDE, *booted.CHECKS, *across.CHECKS))
    assert all(row["explanation"].endswith(".") and row["rows"] for row in rows)
    assert all(name in verify("--list-checks").out for name in ("root-locked", "identities-differ"))


def test_the_checklist_names_the_checks_of_each_row() -> None:
    text = Path(checks.__file__).with_name("README.md").read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    listed = {
        (int(cells[0]), name)
        for cells in table
        if len(cells) == 4 and cells[0].isdecimal() and "of the build" not in cells[3]
        for name in cells[3].split(", ")
    }

    known = {(row, check.id) for check in (*OUTSIDE, *booted.CHECKS, *across.CHECKS) for row in check.rows}
    assert sorted(known - listed) == [], "builder/guest/checks/README.md: the row does not name the check"
    assert sorted(listed - known) == [], "builder/guest/checks/README.md: there is no such check of that row"
