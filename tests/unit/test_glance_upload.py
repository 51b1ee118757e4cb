# SPDX-License-Identifier: MIT
"""Descriptions, properties, digests and marks of uploads, without a cloud."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.errors import InputError, RemoteError
from builder.glance import comparison, description, source, uploader
from builder.glance.images import CloudImage, parse
from builder.glance.patches import changes
from builder.manifest import as_data, manifest_path
from tests.support.manifests import MANIFEST

CHANGED: dict[str, Any] = {
    "name": "jeos-fixture",
    "os": {"id": "fedora", "version_id": "45", "pretty_name": "Fedora Linux 45"},
    "firmware": ["uefi"],
    "virtual_size": 5 << 30,
    "min_disk": 5,
    "packages": [{"nevra": "a-1-1.noarch", "name": "qemu-guest-agent", "sha256": None, "size": 1}],
}


def qcow2(path: Path, *, version: int = 3, backing: int = 0, size: int = 3 << 30, tail: bytes = b"") -> Path:
    header = b"QFI\xfb" + version.to_bytes(4, "big") + backing.to_bytes(8, "big") + bytes(8)
    path.write_bytes(header + size.to_bytes(8, "big") + bytes(72) + tail)
    return path


def manifest_for(image: Path, **artifact: Any) -> Path:
    data = image.read_bytes()
    real = {"path": image.name, "size": len(data)}
    real |= {name: hashlib.new(name, data).hexdigest() for name in source.ALGORITHMS}
    path = manifest_path(image)
    path.write_text(json.dumps(as_data(MANIFEST) | CHANGED | {"artifact": real | artifact}))
    return path


def test_manifest_gives_name_sizes_and_properties(tmp_path: Path) -> None:
    image = qcow2(tmp_path / "a.qcow2")
    manifest_for(image)

    made = description.describe(source.read(image), properties={"os_type": "", "os_version": "46"})

    assert (made.name, made.min_disk, made.min_ram) == ("jeos-fixture", 5, 512)
    assert made.properties == {
        "os_distro": "fedora",
        "os_version": "46",
        "architecture": "x86_64",
        "os_admin_user": "ec2-user",
        "hw_firmware_type": "uefi",
        "hw_qemu_guest_agent": "yes",
        "openstack_utils_sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
        "openstack_utils_sha512": hashlib.sha512(image.read_bytes()).hexdigest(),
    }
    assert "visibility" not in made.fields()


@pytest.mark.parametrize(
    ("size", "min_disk"),
    [(1, 1), (1 << 30, 1), ((1 << 30) + 1, 2)],
    ids=["a byte", "a GiB", "more than a GiB"],
)
def test_min_disk_without_manifest_is_the_virtual_size_rounded_up(
    tmp_path: Path, size: int, min_disk: int
) -> None:
    image = qcow2(tmp_path / "b.qcow2", size=size)
    local = source.read(image)
    known = source.LocalImage(
        path=image, size=local.size, virtual_size=local.virtual_size, digests=source.compute_digests(image)
    )

    made = description.describe(known)

    assert (made.name, made.min_disk, made.min_ram) == ("b", min_disk, 0)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        pytest.param(lambda path: path.write_bytes(b"raw" * 999), "not a disk image", id="no boot sector"),
        pytest.param(lambda path: path.write_bytes(b""), "not a disk image", id="empty"),
        pytest.param(
            lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd" * 9), "compressed with zstd", id="zst"
        ),
        pytest.param(lambda path: path.write_bytes(b"QED\0" * 9), "its format is qed", id="qed"),
        pytest.param(lambda path: qcow2(path, version=1), "version 1", id="qcow1"),
        pytest.param(lambda path: qcow2(path, backing=512), "backing file", id="overlay"),
        pytest.param(lambda _: None, "no such file", id="missing"),
        pytest.param(lambda path: path.mkdir(), "not a regular file", id="folder"),
        pytest.param(lambda path: manifest_for(qcow2(path), size=7), "by its manifest", id="other size"),
        pytest.param(
            lambda path: manifest_for(qcow2(path), path="x.qcow2"), "describes x.qcow2", id="other file"
        ),
        pytest.param(
            lambda path: manifest_path(qcow2(path)).write_text("{"), "not JSON", id="broken manifest"
        ),
        pytest.param(
            lambda path: manifest_path(qcow2(path)).write_text("[]"),
            "not a manifest",
            id="no manifest",
        ),
    ],
)
def test_file_that_cannot_be_uploaded_is_refused(tmp_path: Path, write: Any, said: str) -> None:
    path = tmp_path / "c.qcow2"
    write(path)

    with pytest.raises(InputError, match=said):
        source.read(path)


def test_body_withholds_its_last_chunk_when_the_digest_is_wrong(tmp_path: Path) -> None:
    image = qcow2(tmp_path / "d.qcow2", tail=bytes(3 * source.CHUNK))
    manifest_for(image, sha512="0" * 128)
    sent: list[bytes] = []

    with pytest.raises(InputError, match="sha512"):
        sent.extend(source.Body(source.read(image), lambda _: None))

    assert 0 < sum(map(len, sent)) < image.stat().st_size


def test_body_starts_anew_with_each_iteration(tmp_path: Path) -> None:
    image = qcow2(tmp_path / "e.qcow2", tail=os.urandom(2 * source.CHUNK))
    manifest_for(image)
    body = source.Body(source.read(image), lambda _: None)
    next(iter(body))

    assert b"".join(body) == image.read_bytes()
    assert body.sent == len(body) == image.stat().st_size
    assert body.digests["sha512"] == hashlib.sha512(image.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("words", "problems"),
    [
        pytest.param(["a"], 1, id="no value"),
        pytest.param(["=a"], 1, id="no key"),
        pytest.param(["a b=c"], 1, id="blank in the key"),
        pytest.param(["name=x", "status=active", "openstack_utils_x=1", "os_glance_x=1"], 4, id="reserved"),
        pytest.param(["a=1", "a=2"], 1, id="twice"),
    ],
)
def test_wrong_properties_are_all_reported(words: list[str], problems: int) -> None:
    with pytest.raises(InputError) as caught:
        description.parse_properties(words)

    assert len(caught.value.problems) == problems


def test_properties_keep_what_follows_the_first_equals_sign() -> None:
    assert description.parse_properties(["a=b=c", "d="]) == {"a": "b=c", "d": ""}


def remote(**fields: Any) -> CloudImage:
    return parse({"id": "1", "status": "active", "disk_format": "qcow2", "size": 5, **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"os_hash_algo": "sha256", "os_hash_value": "S"}, "sha256 equal", id="sha256"),
        pytest.param({"os_hash_algo": "blake2b", "os_hash_value": "B"}, "blake2b equal", id="read again"),
        pytest.param({"checksum": "M"}, "md5 equal", id="only md5"),
        pytest.param({}, comparison.NO_HASH, id="nothing"),
        pytest.param({"disk_format": "raw", "size": 9}, comparison.CONVERTED, id="converted"),
    ],
)
def test_what_could_be_compared_is_reported(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"bytes")
    known = {"M": "md5", "S": "sha256", "B": "blake2b"}
    values = {
        key: hashlib.new(known[v], b"bytes").hexdigest() if v in known else v for key, v in fields.items()
    }
    local = source.LocalImage(path=path, size=5, virtual_size=5)
    digests = {name: hashlib.new(name, b"bytes").hexdigest() for name in source.ALGORITHMS}

    assert comparison.compare(remote(**values), local, digests, "qcow2") == said


def test_other_size_in_the_same_format_is_no_conversion(tmp_path: Path) -> None:
    local = source.LocalImage(path=tmp_path / "f", size=6, virtual_size=6)

    with pytest.raises(RemoteError, match="5 bytes, 6 were sent"):
        comparison.compare(remote(), local, {}, "qcow2")


def test_orphan_gets_what_it_lacks_and_loses_what_is_not_wanted() -> None:
    orphan = parse(
        {"id": "1", "status": "queued", "name": "n", "min_disk": 1, "a": "1", "b": "1", "os_glance_x": "1"}
    )

    assert changes(orphan, {"name": "n", "min_disk": 2, "a": "2", "c": "3"}) == [
        {"op": "replace", "path": "/min_disk", "value": 2},
        {"op": "replace", "path": "/a", "value": "2"},
        {"op": "add", "path": "/c", "value": "3"},
        {"op": "remove", "path": "/b"},
    ]


def test_mark_distinguishes_a_living_process_from_a_dead_one() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "from builder.glance import uploader; print(uploader.own_mark()); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    mark = child.stdout.readline().strip()
    alive = uploader.life_of(mark)
    child.communicate("\n")

    assert alive is uploader.Life.ALIVE
    assert uploader.life_of(mark) is uploader.Life.DEAD
    assert uploader.life_of("elsewhere/" + mark.partition("/")[2]) is uploader.Life.UNKNOWN
    assert uploader.life_of("") is uploader.Life.UNKNOWN


def test_mark_of_a_machine_that_was_started_again_is_dead() -> None:
    machine, _, rest = uploader.own_mark().split("/", 2)

    assert uploader.life_of(f"{machine}/another/{rest}") is uploader.Life.DEAD
