# SPDX-License-Identifier: MIT
"""The manifest: its contract, what a build writes into it, and what must not be in it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.errors import InputError
from builder.image import manifest
from builder.image.build import Facts
from builder.image.disk import layout
from builder.image.observed import Observed
from builder.kickstart.plan import Bootloader, Disk, ImagePlan, Partition, Password
from builder.kickstart.settings.accounts import Accounts, SshKey, User
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.network import Network, NetworkInterface
from builder.kickstart.settings.security import Security, SELinux
from builder.kickstart.settings.services import Services
from builder.manifest import as_data, read_manifest, write_manifest
from builder.sizes import MIB
from tests.support.manifests import MANIFEST

PLAN = ImagePlan(
    name="jeos-test",
    target="fixture-12",
    releasever="12",
    kickstarts=("a.ks",),
    settings=(
        Network(hostname="guest"),
        Security(selinux=SELinux.ENFORCING),
        Accounts(
            root_password=Password(plain="very secret"),
            users=(User(name="admin", groups=("wheel",), password=Password(hash="$6$salt$secret")),),
        ),
        Services(services_enabled=("sshd",)),
    ),
    bootloader=Bootloader(timeout=5),
    default_user="ec2-user",
)


def write(folder: Path) -> Path:
    """Write the sample manifest next to an image of its own; return its path."""
    image = folder / "jeos-test.qcow2"
    image.write_bytes(b"image" * 2_000_000)
    path, _ = write_manifest(folder, dataclasses.replace(MANIFEST, artifact=manifest.describe_file(image)))
    return path


def test_what_is_written_is_read_again_in_every_field(tmp_path: Path) -> None:
    path, _ = write_manifest(tmp_path, MANIFEST)

    assert read_manifest(path) == MANIFEST
    assert json.loads(json.dumps(as_data(read_manifest(path)))) == json.loads(path.read_text())


def test_the_manifest_keeps_its_contract(tmp_path: Path) -> None:
    path, _ = write_manifest(tmp_path, MANIFEST)
    written = json.loads(path.read_text())

    assert {name: list(value) for name, value in written.items() if isinstance(value, dict)} == {
        "os": ["id", "version_id", "pretty_name"],
        "inputs": [
            *(
                "kickstart",
                "repositories",
                "gpgcheck",
                "builder",
                "source_date_epoch",
                "fingerprint",
                "elements",
            ),
        ],
        "settings": [
            *("hostname", "timezone", "lang", "keymap", "selinux", "root_locked", "services_enabled"),
            *("services_disabled", "kernel_arguments", "boot_timeout", "users", "passwords", "ssh_keys"),
            *("kept", "changed", "turned_off", "removed", "superusers", "hardware_addresses"),
        ],
        "artifact": ["path", "size", "sha256", "sha512", "md5"],
    }
    assert list(written) == [
        *("format", "name", "target", "architecture", "os", "default_user", "firmware", "virtual_size"),
        *("disk_format", "min_disk", "partitions", "volumes", "packages", "inputs", "warnings", "settings"),
        *("stages", "artifact", "others"),
    ]
    assert written["partitions"][0] == {
        "number": 1,
        "mountpoint": "/",
        "fstype": "ext4",
        "uuid": "u",
        "partuuid": "p",
        "label": None,
        "start": MIB,
        "size": 5,
        "subvolumes": [],
    }
    assert written["packages"][0] == {
        "nevra": "kernel-6-1.x86_64", "name": "kernel", "sha256": None, "size": 7,
        "sigmd5": None, "key": None,
    }  # fmt: skip
    assert written["stages"] == [{"name": "install", "seconds": 1.25}]


def test_settings_are_those_of_the_kickstart_without_its_secrets() -> None:
    made = manifest.describe_settings(PLAN, Facts(kernel_arguments=("root=UUID=1", "ro")))

    assert (made.hostname, made.selinux, made.boot_timeout) == ("guest", "enforcing", 5)
    assert made.root_locked is False
    assert made.kernel_arguments == "root=UUID=1 ro"
    assert [user.name for user in made.users] == ["admin"]
    assert "secret" not in repr(made)


def observed(**changes: object) -> Observed:
    """Return what an image of PLAN says of itself, with `changes`."""
    as_planned: dict[str, object] = {
        "hostname": "guest", "timezone": "Etc/UTC", "lang": "C.UTF-8", "keymap": "us",
        "selinux": "enforcing", "passwords": {"root": "$6$a"}, "root_locked": False,
        "enabled": ("sshd.service",),
    }  # fmt: skip
    return Observed(**{**as_planned, **changes})  # type: ignore[arg-type]


def test_what_a_script_changes_counts_and_not_what_a_command_had_said() -> None:
    facts = Facts(
        after_packages=observed(passwords={}, superusers=("admin",)),
        after_commands=observed(),
        at_end=observed(
            hostname="other", timezone="Europe/Vienna", passwords={"admin": "$6$b", "live": ""},
            root_locked=True, enabled=(), superusers=("admin", "toor"),
        ),
        authored={"/root/.ssh/authorized_keys": "%post", "/root/note": "%post"},
        kept=("/root/note",),
        removed=("lsof",),
    )  # fmt: skip
    accounts = dataclasses.replace(PLAN.of(Accounts), ssh_keys=(SshKey(user="admin", key="k"),))
    services = Services(services_enabled=("sshd", "other"))
    plan = dataclasses.replace(PLAN, settings=(PLAN.of(Network), PLAN.of(Security), accounts, services))

    made = manifest.describe_settings(plan, facts)

    assert (made.hostname, made.timezone, made.root_locked) == ("other", "Europe/Vienna", True)
    assert made.services_enabled == ("other",)
    assert made.passwords == ("admin", "live")
    assert (made.turned_off, made.removed) == (("sshd.service",), ("lsof",))
    assert made.superusers == ("toor",)
    assert made.ssh_keys == ("/root/.ssh/authorized_keys", "admin")
    assert made.kept == ("/root/note",)
    assert "$6$" not in repr(made)


def test_addresses_of_network_lines_are_known() -> None:
    interfaces = (NetworkInterface(mac="52:54:00:11:22:33"), NetworkInterface(device="eth0"))
    plan = dataclasses.replace(PLAN, settings=(Network(interfaces=interfaces),))

    assert manifest.describe_settings(plan, Facts()).hardware_addresses == ("52:54:00:11:22:33",)


def test_setting_that_the_build_failed_to_make_is_still_asked_for() -> None:
    facts = Facts(after_commands=observed(lang=None), at_end=observed(lang=None))

    assert manifest.describe_settings(PLAN, facts).lang == PLAN.of(Locale).lang


def test_partitions_are_those_of_the_layout() -> None:
    placed = layout.place(
        Disk(
            partitions=(
                Partition(mountpoint=None, fstype="biosboot", size=1),
                Partition(mountpoint="/", fstype="ext4", size=1500, label="root"),
            )
        ),
        seed="s",
        content={},
    )
    made = manifest.describe_partitions(placed)

    assert (made[1].number, made[1].mountpoint, made[1].fstype, made[1].label) == (2, "/", "ext4", "root")
    assert (made[1].uuid, made[1].partuuid) == (placed.partitions[1].uuid, placed.partitions[1].partuuid)
    assert (made[1].start, made[1].size) == (2 * MIB, 1500 * MIB)


def test_digests_are_those_of_the_file(tmp_path: Path) -> None:
    artifact = read_manifest(write(tmp_path)).artifact

    raw = (tmp_path / "jeos-test.qcow2").read_bytes()
    assert dataclasses.asdict(artifact) == {
        "path": "jeos-test.qcow2",
        "size": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "sha512": hashlib.sha512(raw).hexdigest(),
        "md5": hashlib.md5(raw).hexdigest(),
    }


def test_sha256sum_verifies_what_was_written(tmp_path: Path) -> None:
    write(tmp_path)

    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "jeos-test.qcow2: OK\njeos-test.manifest.json: OK\n"


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["settings"].pop(name)


def test_a_manifest_of_an_older_or_newer_builder_is_read(tmp_path: Path) -> None:
    path, _ = write_manifest(tmp_path, MANIFEST)
    data = json.loads(path.read_text())
    del data["settings"]["boot_timeout"]
    data["settings"]["from_the_future"] = data["from_the_future"] = {"a": 1}
    path.write_text(json.dumps(data))

    assert read_manifest(path) == MANIFEST


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(_without("hostname"), "settings.hostname is missing", id="key missing"),
        pytest.param(lambda data: data.update(format=2), "not a manifest of format 1", id="other format"),
        pytest.param(lambda data: data.update(os=[]), "os: not a mapping", id="list for a mapping"),
        pytest.param(lambda data: data.update(firmware="bios"), "firmware: not a list", id="text for a list"),
        pytest.param(
            lambda data: data["partitions"][0].update(start="1"),
            "partitions[0].start: not a whole number",
            id="text for a number",
        ),
        pytest.param(
            lambda data: data["partitions"][0].update(size=True),
            "partitions[0].size: not a whole number",
            id="truth for a number",
        ),
        pytest.param(
            lambda data: data["inputs"].update(gpgcheck=None),
            "inputs.gpgcheck: not true or false",
            id="nothing for a truth",
        ),
    ],
)
def test_a_damaged_manifest_is_refused_by_file_and_field(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    path, _ = write_manifest(tmp_path, MANIFEST)
    data = json.loads(path.read_text())
    spoil(data)
    path.write_text(json.dumps(data))

    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "not JSON", id="no JSON"),
        pytest.param("[" * 100_000, "not JSON: it is nested too deeply", id="too deep"),
        pytest.param("[]", "not a manifest of format 1", id="no mapping"),
        pytest.param('"\\ud800', "not JSON", id="half a pair"),
    ],
)
def test_what_is_not_a_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.manifest.json"
    path.write_text(text)

    with pytest.raises(InputError, match=message):
        read_manifest(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43"\n', ("fedora", "43", "Fedora Linux 43")),
        ("ID='rocky'\n# ID=no\nVERSION_ID=\"9.4\"\n", ("rocky", "9.4", "Linux")),
        ("", ("linux", "", "Linux")),
    ],
)
def test_os_release(tmp_path: Path, text: str, expected: tuple[str, str, str]) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(text)

    found = manifest.read_os_release(tmp_path)

    assert (found.id, found.version_id, found.pretty_name) == expected
