# SPDX-License-Identifier: MIT
"""The payload digest of RPMs, as Koji's own library finds it; and RPMs that are none."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import koji
import pytest

from builder.errors import InputError
from builder.koji.payload import payload_digest
from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.synthetic import build_synthetic

LEAD = b"\xed\xab\xee\xdb\x03\x00" + bytes(90)


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real RPMs."""
    made = build_synthetic(tmp_path_factory.mktemp("rpms"), runner=Runner(Report(quiet=True)))
    return sorted(made.folder.rglob("*.rpm"))


def header(entries: int, size: int, body: bytes = b"") -> bytes:
    """Return a signature header that says so of itself."""
    return b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", entries, size) + body


def entry(kind: int, offset: int, count: int) -> bytes:
    """Return a header with one entry, of the digest, and 16 bytes."""
    return header(1, 16, struct.pack(">IIII", 1004, kind, offset, count) + b"a" * 16)


# What a hub may send in the place of an RPM.
HOSTILE = {
    "nothing": b"",
    "half a lead": LEAD[:50],
    "no lead": bytes(200),
    "no header": LEAD + bytes(100),
    "more entries than bytes": LEAD + header(0xFFFFFFFF, 16),
    "as many entries as there may be": LEAD + header(0xFFFF, 0x0FFFFFFF),
    "more data than bytes": LEAD + header(1, 0xFFFFFFF0, bytes(16)),
    "a count without an end": LEAD + entry(8, 0, 0xFFFFFFFF),
    "an offset that leads out": LEAD + entry(7, 0xFFFFFFF0, 16),
    "a digest that is a number": LEAD + entry(4, 0, 1),
    "a digest that is a text": LEAD + entry(9, 0, 1),
    "a digest of no bytes": LEAD + entry(7, 0, 0),
    "another digest": LEAD + entry(7, 0, 16) + b"payload",
}


def test_digest_is_the_one_that_koji_and_the_rpm_name(rpms: list[Path]) -> None:
    for rpm in rpms:
        signature = koji.RawHeader(koji.rip_rpm_sighdr(str(rpm)))
        assert payload_digest(rpm) == signature.get(koji.RPM_SIGTAG_MD5).hex()


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_rpm_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.rpm"
    path.write_bytes(data)

    with pytest.raises(InputError, match=r"x\.rpm: (not an RPM, or )?a? ?damaged"):
        payload_digest(path)


def test_an_rpm_with_any_bytes_changed_is_read_or_refused(tmp_path: Path, rpms: list[Path]) -> None:
    data, path, choose = rpms[0].read_bytes(), tmp_path / "x.rpm", random.Random(12)
    digest, same = payload_digest(rpms[0]), 0
    for _ in range(1000):
        altered = bytearray(data)
        for _ in range(choose.randrange(1, 8)):
            # The lead, and the signature header with what it says of itself.
            altered[choose.randrange(400)] = choose.randrange(256)
        path.write_bytes(altered)
        try:
            same += payload_digest(path) == digest
        except InputError:
            continue
    assert 0 < same < 1000
