# SPDX-License-Identifier: MIT
"""The test machine: its command line, firmware, seeds, metadata service, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from builder.errors import ToolMissing
from builder.guest import acceleration, metadata, qemu
from builder.guest.acceleration import Acceleration
from builder.guest.firmware import Firmware, FirmwareKind, find_firmware
from builder.guest.instance import (
    Datasource,
    Instance,
    config_drive_files,
    new_instance,
    nocloud_files,
    smbios,
)
from builder.guest.metadata import answer
from builder.guest.qemu import DiskBus, Guest, Machine, command_line
from builder.guest.seed import write_iso
from builder.report import Report
from builder.runner import Runner
from tests.support.imaging import processes_of

RUNNER = Runner(Report(quiet=True))
KEY = "ssh-ed25519 AAAA verify"
INSTANCE = Instance(
    uuid="11111111-1111-4111-8111-111111111111",
    hostname="verify-abc123",
    mac="52:54:00:01:02:03",
    public_key=KEY,
)
TCG = Acceleration(name="tcg", reason="a test")
BIOS = Firmware(kind=FirmwareKind.BIOS)


def machine(**changes: Any) -> Machine:
    values: dict[str, Any] = {"acceleration": TCG, "firmware": BIOS, "mac": INSTANCE.mac}
    return Machine(**{**values, **changes})


# -- command line --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({}, ["tcg,thread=multi", "virtio-blk-pci,drive=disk0,bootindex=1"], id="plain"),
        pytest.param({"acceleration": Acceleration(name="kvm", reason="")}, ["kvm", "host"], id="kvm"),
        pytest.param({"disk_bus": DiskBus.VIRTIO_SCSI}, ["virtio-scsi-pci,id=scsi0"], id="virtio-scsi"),
        pytest.param({"disk_bus": DiskBus.IDE}, ["pc,graphics=off"], id="ide is on i440fx"),
        pytest.param({"disk_bus": DiskBus.NVME}, ["nvme,serial=verify,drive=disk0,bootindex=1"], id="nvme"),
        pytest.param({"memory": 2048}, ["2048"], id="memory"),
        pytest.param(
            {"seed": "seed.iso"}, ["if=none,id=seed0,format=raw,readonly=on,file=seed.iso"], id="seed"
        ),
        pytest.param(
            {"metadata_command": "python3 /a,b/relay.py metadata.sock"},
            [
                "user,id=net0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:2222-:22,"
                f"{qemu.METADATA_NET},guestfwd=tcp:169.254.169.254:80-cmd:"
                "python3 /a,,b/relay.py metadata.sock"
            ],
            id="metadata service, a comma in its path",
        ),
        pytest.param(
            {
                "firmware": Firmware(
                    kind=FirmwareKind.UEFI, code=Path("/usr/share/OVMF/CODE.fd"), variables=Path("/x")
                ),
                "variables": "firmware.vars",
            },
            [
                "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/CODE.fd",
                "if=pflash,unit=1,format=raw,file=firmware.vars",
            ],
            id="uefi",
        ),
        pytest.param(
            {"firmware": Firmware(kind=FirmwareKind.UEFI, secure=True, code=Path("/x"))},
            ["q35,graphics=off,smm=on", "driver=cfi.pflash01,property=secure,value=on"],
            id="secure boot",
        ),
    ],
)
def test_command_line_has(changes: dict[str, Any], words: list[str]) -> None:
    argv = command_line(machine(**changes))

    assert [word for word in words if word not in argv] == []


def test_the_guest_cannot_reach_the_host() -> None:
    argv = command_line(machine())

    network = argv[argv.index("-netdev") + 1]
    assert "restrict=on" in network
    assert "hostfwd=tcp:127.0.0.1:" in network


# -- instance and metadata -----------------------------------------------------------------------


def test_two_instances_have_nothing_in_common() -> None:
    one, other = new_instance(KEY), new_instance(KEY)

    assert one.uuid != other.uuid
    assert one.mac != other.mac
    assert one.hostname != other.hostname
    assert one.mac.startswith("52:54:00:")
    assert not one.uuid.startswith("ec2")


@pytest.mark.parametrize("_", range(20))
def test_only_the_ec2_uuid_looks_like_amazons(_: int) -> None:
    instance = new_instance(KEY)

    assert len(instance.uuid) == len(instance.ec2_uuid) == 36
    assert instance.ec2_uuid.startswith("ec2")
    assert "ec2" not in (smbios(instance, Datasource.OPENSTACK) or "").split("uuid=")[1][:3]
    assert smbios(instance, Datasource.NOCLOUD) is None


@pytest.mark.parametrize(
    ("source", "path", "body"),
    [
        pytest.param(Datasource.EC2, "/latest/meta-data/instance-id", INSTANCE.ec2_id, id="ec2 id"),
        pytest.param(Datasource.EC2, "/2009-04-04/meta-data/public-keys/", "0=verify", id="ec2 keys"),
        pytest.param(Datasource.EC2, "/2009-04-04/meta-data/public-keys/0/openssh-key", KEY, id="ec2 key"),
        pytest.param(Datasource.EC2, "/latest/meta-data/placement/", "availability-zone", id="ec2 folder"),
        pytest.param(Datasource.EC2, "/latest/user-data", "#cloud-config\n{}\n", id="ec2 user data"),
        pytest.param(Datasource.EC2, "/2030-01-01/meta-data/", None, id="ec2 version of later"),
        pytest.param(Datasource.EC2, "/openstack", None, id="ec2 is not OpenStack"),
        pytest.param(Datasource.EC2, "/latest/meta-data/nothing", None, id="ec2 unknown"),
        pytest.param(Datasource.EC2, "/latest/meta-data/mac/more", None, id="ec2 below a value"),
        pytest.param(Datasource.OPENSTACK, "/openstack/", "2012-08-10\n2018-08-27\nlatest", id="versions"),
        pytest.param(Datasource.OPENSTACK, "/openstack/2030/meta_data.json", None, id="version of later"),
        pytest.param(Datasource.OPENSTACK, "/openstack/latest/vendor_data2.json", None, id="not served"),
        pytest.param(Datasource.OPENSTACK, "/latest/meta-data/hostname", INSTANCE.hostname, id="nova's ec2"),
        pytest.param(Datasource.OPENSTACK, "/", "2009-04-04\n2021-03-23\nlatest", id="root"),
    ],
)
def test_metadata_service_answers(source: Datasource, path: str, body: str | None) -> None:
    assert answer(INSTANCE, source, "GET", path) == body


def test_openstack_documents_name_key_and_network_card() -> None:
    def document(name: str) -> Any:
        text = answer(INSTANCE, Datasource.OPENSTACK, "GET", f"/openstack/latest/{name}")
        return json.loads(text or "")

    assert document("meta_data.json")["public_keys"] == {"verify": KEY}
    assert document("network_data.json")["links"][0]["ethernet_mac_address"] == INSTANCE.mac


def test_tokens_are_for_ec2_only() -> None:
    assert answer(INSTANCE, Datasource.EC2, "PUT", "/latest/api/token")
    assert answer(INSTANCE, Datasource.OPENSTACK, "PUT", "/latest/api/token") is None
    assert answer(INSTANCE, Datasource.EC2, "PUT", "/latest/user-data") is None


def test_seeds_hold_the_key() -> None:
    assert json.loads(nocloud_files(INSTANCE)["meta-data"])["public-keys"] == [KEY]
    drive = config_drive_files(INSTANCE)
    assert json.loads(drive["openstack/latest/meta_data.json"])["public_keys"] == {"verify": KEY}


def test_seed_medium_has_label_and_long_names(tmp_path: Path) -> None:
    iso = write_iso(RUNNER, tmp_path, "config-2", config_drive_files(INSTANCE))

    reported = RUNNER.run(["blkid", "-p", "-o", "export", iso]).stdout
    assert "LABEL=config-2" in reported
    assert "TYPE=iso9660" in reported
    listing = RUNNER.run(["isoinfo", "-R", "-f", "-i", iso]).stdout
    assert "/openstack/latest/meta_data.json" in listing.split()


def test_relay_joins_a_connection_to_the_service(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 60)
    deep.mkdir(parents=True)

    with metadata.serve(deep, INSTANCE, Datasource.EC2):
        # What qemu does for each connection of the guest: the command, in the folder, with a socket.
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", metadata.RELAY, metadata.SOCKET],
            cwd=deep,
            stdin=theirs,
            stdout=theirs,
        )
        theirs.close()
        connection = http.client.HTTPConnection("169.254.169.254")
        connection.sock = ours
        connection.request("GET", "/latest/meta-data/local-hostname")
        reply = connection.getresponse()
        body = reply.read().decode()
        ours.close()

        assert (reply.status, body) == (200, INSTANCE.hostname)
        assert process.wait(timeout=600) == 0
    assert "local-hostname" in (deep / metadata.LOG).read_text(encoding="utf-8")


def test_a_guest_started_again_finds_the_service_again(tmp_path: Path) -> None:
    for _ in range(2):
        with metadata.serve(tmp_path, INSTANCE, Datasource.OPENSTACK):
            assert (tmp_path / metadata.SOCKET).is_socket()


# -- firmware and acceleration -------------------------------------------------------------------


def descriptor(folder: Path, name: str, **changes: Any) -> None:
    code, variables = folder / "CODE.fd", folder / "VARS.fd"
    code.touch()
    variables.touch()
    value = {
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(code), "format": "raw"},
            "nvram-template": {"filename": str(variables), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": ["acpi-s3"],
    }
    (folder / name).write_text(json.dumps({**value, **changes}), encoding="utf-8")


def test_firmware_is_found_by_its_descriptor(tmp_path: Path) -> None:
    (tmp_path / "10-broken.json").write_text("{", encoding="utf-8")
    descriptor(tmp_path, "20-secure.json", features=["secure-boot", "requires-smm"])
    descriptor(tmp_path, "60-plain.json")

    firmware = find_firmware(FirmwareKind.UEFI, "q35", (tmp_path,))

    assert firmware.code == tmp_path / "CODE.fd"
    assert firmware.name == "ovmf"


def test_secure_boot_is_on_with_the_keys_enrolled_and_guarded(tmp_path: Path) -> None:
    descriptor(tmp_path, "20-setup.json", features=["secure-boot", "requires-smm"])
    descriptor(tmp_path, "30-enrolled.json", features=["secure-boot", "requires-smm", "enrolled-keys"])
    descriptor(tmp_path, "60-plain.json")

    firmware = find_firmware(FirmwareKind.UEFI, "q35", (tmp_path,), secure=True)
    (tmp_path / "30-enrolled.json").unlink()

    assert firmware.secure
    with pytest.raises(ToolMissing, match="Secure Boot"):
        find_firmware(FirmwareKind.UEFI, "q35", (tmp_path,), secure=True)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"features": ["secure-boot"]}, id="secure boot"),
        pytest.param({"interface-types": ["bios"]}, id="no UEFI"),
        pytest.param({"targets": [{"architecture": "aarch64", "machines": ["virt-*"]}]}, id="other machine"),
        pytest.param({"mapping": {"device": "memory", "filename": "/x"}}, id="no flash"),
    ],
)
def test_firmware_that_does_not_fit_is_passed_over(tmp_path: Path, changes: dict[str, Any]) -> None:
    descriptor(tmp_path, "50.json", **changes)

    with pytest.raises(ToolMissing) as caught:
        find_firmware(FirmwareKind.UEFI, "q35", (tmp_path,))

    assert "ovmf" in (caught.value.hint or "")


def test_seabios_needs_no_file() -> None:
    assert find_firmware(FirmwareKind.BIOS, "pc", ()).name == "seabios"


def test_without_kvm_there_is_tcg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, _mode: path != "/dev/kvm")

    found = acceleration.find_acceleration(RUNNER, tmp_path, None)

    assert found.name == "tcg"
    assert "/dev/kvm" in found.reason


@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="/dev/kvm cannot be opened here")
def test_a_kernel_that_does_not_boot_means_tcg_and_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(acceleration, "PROBE_SECONDS", 2.0)
    kernel = tmp_path / "no-kernel"
    kernel.write_bytes(b"not a kernel" * 100)

    found = acceleration.find_acceleration(RUNNER, tmp_path, kernel)
    again = acceleration.find_acceleration(RUNNER, tmp_path, None)

    assert found.name == "tcg"
    assert again == found


# -- the process ---------------------------------------------------------------------------------


def start(folder: Path) -> Machine:
    RUNNER.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / qemu.OVERLAY, "1M"])
    return machine(memory=64)


def test_no_qemu_is_left_when_the_body_fails(tmp_path: Path) -> None:
    seen: list[Guest] = []

    def fail() -> None:
        with qemu.running(RUNNER, tmp_path, start(tmp_path)) as guest:
            seen.append(guest)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert not seen[0].is_running
    deadline = time.monotonic() + 600
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(tmp_path) == []


def test_a_guest_that_ignores_the_button_is_given_up(tmp_path: Path) -> None:
    with qemu.running(RUNNER, tmp_path, start(tmp_path)) as guest:
        deadline = time.monotonic() + 600
        while not (tmp_path / qemu.QMP).exists() and time.monotonic() < deadline:
            time.sleep(0.05)

        assert guest.power_down(1.0) is None
        assert guest.is_running


def test_qemu_that_does_not_start_gives_the_reason(tmp_path: Path) -> None:
    with qemu.running(RUNNER, tmp_path, machine()) as guest:
        guest.process.wait(timeout=600)

        assert qemu.OVERLAY in guest.last_words()


def test_qemu_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from builder.guest import qemu\n"
        "from tests.guest.test_machine import RUNNER, start\n"
        "folder = Path(sys.argv[1])\n"
        "with qemu.running(RUNNER, folder, start(folder)) as guest:\n"
        "    print(guest.process.pid, flush=True); time.sleep(6000)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    deadline = time.monotonic() + 600
    while Path("/proc", str(child)).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path("/proc", str(child)).exists()
    assert processes_of(tmp_path) == []
