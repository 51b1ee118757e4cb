# SPDX-License-Identifier: MIT
"""Digests on a host in FIPS mode: hashlib has md5 there only for what is no security."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builder.digesting import Digests, new_digest
from builder.files import digests_of_file
from builder.glance import comparison, source
from builder.glance.images import parse
from builder.koji.payload import signature_digest

BYTES = b"bytes\n"


@pytest.fixture(autouse=True)
def stand_in_for_fips_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have hashlib refuse md5 as a Python of EL does in FIPS mode; the real mode is the kernel's."""
    new = hashlib.new

    def refusing(name: str, data: bytes = b"", *, usedforsecurity: bool = True) -> hashlib._Hash:
        if name == "md5" and usedforsecurity:
            raise ValueError("[digital envelope routines] unsupported")
        return new(name, data, usedforsecurity=usedforsecurity)

    monkeypatch.setattr(hashlib, "new", refusing)
    monkeypatch.delattr(hashlib, "md5")


def test_the_stand_in_refuses_md5() -> None:
    with pytest.raises(ValueError, match="unsupported"):
        hashlib.new("md5")


def test_digests_of_a_file_hold(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(BYTES)

    found = digests_of_file(path, "md5", "sha256")

    assert found == (new_digest_of(BYTES), hashlib.sha256(BYTES).hexdigest())


def test_digests_of_what_is_written_hold() -> None:
    with Digests("md5", "sha256") as digests:
        digests.feed(BYTES)

        assert digests.end() == (new_digest_of(BYTES), hashlib.sha256(BYTES).hexdigest())


def test_md5_of_a_cloud_that_has_nothing_else_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(BYTES)
    image = parse({
        "id": "1", "status": "active", "disk_format": "qcow2", "size": 6,
        "os_hash_algo": "md5", "os_hash_value": new_digest_of(BYTES),
    })  # fmt: skip

    local = source.LocalImage(path=path, size=6, virtual_size=6)

    assert comparison.compare(image, local, {}, "qcow2") == "md5 equal"


def test_md5_of_a_signature_header_is_computed(tmp_path: Path) -> None:
    # A lead, and a signature header without entries (rpm's lib/rpmlead.c, header_internal.h).
    header = bytes.fromhex("8eade80100000000") + bytes(8)
    path = tmp_path / "empty.rpm"
    path.write_bytes(bytes.fromhex("edabeedb").ljust(96, b"\0") + header)

    assert signature_digest(path) == new_digest_of(header)


def new_digest_of(data: bytes) -> str:
    digest = new_digest("md5")
    digest.update(data)
    return digest.hexdigest()


def test_md5_is_md5() -> None:
    assert new_digest_of(b"") == "d41d8cd98f00b204e9800998ecf8427e"
