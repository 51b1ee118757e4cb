# SPDX-License-Identifier: MIT
"""The manifest: its contract, its digests, and what must not be in it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from builder.image import manifest
from builder.image.disk import layout
from builder.image.disk.placement import MIB
from builder.kickstart.plan import (
    Disk,
    ImagePlan,
    Partition,
    Password,
    SELinux,
    User,
)

PLAN = ImagePlan(
    name="jeos-test",
    target="fixture-12",
    releasever="12",
    kickstarts=("a.ks",),
    hostname="guest",
    selinux=SELinux.ENFORCING,
    root_password=Password(plain="very secret"),
    users=(User(name="admin", groups=("wheel",), password=Password(hash="$6$salt$secret")),),
    services_enabled=("sshd",),
    default_user="ec2-user",
)
LAYOUT = layout.place(
    Disk(
        partitions=(
            Partition(mountpoint=None, fstype="biosboot", size=1),
            Partition(mountpoint="/", fstype="ext4", size=1500, label="root"),
        )
    ),
    seed="s",
    content={},
)


def make(folder: Path) -> dict[str, object]:
    image = folder / "jeos-test.qcow2"
    image.write_bytes(b"image" * 2_000_000)
    made = manifest.Made(
        os=manifest.OperatingSystem(id="fixture", version_id="12", pretty_name="Fixture Linux 12"),
        firmware=("bios", "uefi"),
        packages=(
            manifest.Package(nevra="zlib-1-1.x86_64", name="zlib", sha256=None, size=5),
            manifest.Package(nevra="bash-5-1.x86_64", name="bash", sha256="ab", size=7),
        ),
        repositories=(manifest.UsedRepository(name="f", url="file:///f", repomd_sha256="cd"),),
        kickstarts={"a.ks": "ef"},
        kernel_arguments=("root=UUID=1", "ro"),
        stages=(("install", 1.23456),),
        source_date_epoch=1_750_000_000,
        artifact=manifest.digest_artifact(image),
    )
    return manifest.build(PLAN, LAYOUT, made)


def test_the_manifest_keeps_its_contract(tmp_path: Path) -> None:
    told = make(tmp_path)

    assert list(told) == [
        *("format", "name", "target", "architecture", "os", "default_user", "firmware", "virtual_size"),
        *(
            "disk_format",
            "min_disk",
            "partitions",
            "packages",
            "inputs",
            "warnings",
            "settings",
            "stages",
            "artifact",
        ),
    ]
    assert (told["format"], told["virtual_size"], told["min_disk"]) == (1, 1503 * MIB, 2)
    assert [row["nevra"] for row in told["packages"]] == ["bash-5-1.x86_64", "zlib-1-1.x86_64"]  # type: ignore[attr-defined]
    assert told["partitions"][1] == {  # type: ignore[index]
        "number": 2,
        "mountpoint": "/",
        "fstype": "ext4",
        "uuid": LAYOUT.root.uuid,
        "partuuid": LAYOUT.root.partuuid,
        "label": "root",
        "start": 2 * MIB,
        "size": 1500 * MIB,
    }
    assert told["settings"]["root_locked"] is False  # type: ignore[index]
    assert told["settings"]["kernel_arguments"] == "root=UUID=1 ro"  # type: ignore[index]
    assert told["stages"] == [{"name": "install", "seconds": 1.23}]


def test_no_secret_is_in_the_manifest(tmp_path: Path) -> None:
    text = json.dumps(make(tmp_path))

    assert "secret" not in text
    assert "admin" in text


def test_digests_are_those_of_the_file(tmp_path: Path) -> None:
    artifact = make(tmp_path)["artifact"]

    raw = (tmp_path / "jeos-test.qcow2").read_bytes()
    assert artifact == {
        "path": "jeos-test.qcow2",
        "size": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "sha512": hashlib.sha512(raw).hexdigest(),
        "md5": hashlib.md5(raw).hexdigest(),
    }


def test_sha256sum_verifies_what_was_written(tmp_path: Path) -> None:
    path, sums = manifest.write(tmp_path, make(tmp_path))

    done = subprocess.run(
        ["sha256sum", "--check", "--strict", sums.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "jeos-test.qcow2: OK\njeos-test.manifest.json: OK\n"
    assert json.loads(path.read_text())["name"] == "jeos-test"


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

    told = manifest.read_os_release(tmp_path)

    assert (told.id, told.version_id, told.pretty_name) == expected
