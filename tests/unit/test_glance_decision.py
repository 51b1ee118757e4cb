# SPDX-License-Identifier: MIT
"""What is done about images that already exist, by status, uploader and age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from builder.glance.decision import Decision, decide, is_same
from builder.glance.description import SHA256, UPLOADER
from builder.glance.images import CloudImage
from builder.glance.uploader import Life

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DIGESTS = {"md5": "m", "sha256": "s", "sha512": "h"}
LIVES = {"alive": Life.ALIVE, "dead": Life.DEAD}


def image(
    status: str,
    *,
    id: str = "1",
    sha256: str | None = "s",
    by: str = "elsewhere",
    age: timedelta = timedelta(0),
    size: int | None = None,
    algorithm: str | None = None,
    value: str | None = None,
    checksum: str | None = None,
    disk_format: str = "qcow2",
) -> CloudImage:
    properties = ({UPLOADER: by} if by else {}) | ({SHA256: sha256} if sha256 else {})
    return CloudImage(
        id=id,
        name="jeos",
        status=status,
        visibility="shared",
        size=size,
        disk_format=disk_format,
        checksum=checksum,
        hash_algorithm=algorithm,
        hash_value=value,
        updated_at=(NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ"),
        properties=properties,
    )


def decision(*images: CloudImage) -> Decision:
    return decide(
        images,
        size=9,
        digests=DIGESTS,
        disk_format="qcow2",
        now=NOW,
        life_of=lambda mark: LIVES.get(mark, Life.UNKNOWN),
    )


@pytest.mark.parametrize(
    ("there", "same"),
    [
        pytest.param(image("active", size=9, algorithm="sha512", value="h"), True, id="hash equal"),
        pytest.param(
            image("active", size=9, algorithm="sha512", value="x", checksum="m"), False, id="hash differs"
        ),
        pytest.param(image("active", size=8, algorithm="sha512", value="h"), False, id="size differs"),
        pytest.param(image("queued", size=9, algorithm="sha512", value="h"), False, id="not active"),
        pytest.param(image("active", size=9, checksum="m"), True, id="md5 alone"),
        pytest.param(
            image("active", size=9, algorithm="blake2b", value="b", checksum="m"), True, id="unknown hash"
        ),
        pytest.param(image("active", size=9, algorithm="blake2b", value="b"), False, id="nothing known"),
        pytest.param(image("active", size=7, disk_format="raw", by=""), True, id="converted, of these bytes"),
        pytest.param(image("active", size=7, disk_format="raw"), False, id="converted, not yet compared"),
        pytest.param(
            image("active", size=7, disk_format="raw", by="", sha256="x"), False, id="converted, of others"
        ),
    ],
)
def test_same_bytes_are_known_by_the_hash_of_the_cloud(there: CloudImage, same: bool) -> None:
    assert is_same(there, 9, DIGESTS, "qcow2") is same


@pytest.mark.parametrize(
    ("there", "found"),
    [
        pytest.param(image("queued", by="dead"), "reuse", id="queued by a dead process"),
        pytest.param(image("saving", by="dead"), "discard", id="saving by a dead process"),
        pytest.param(image("queued", by="alive"), "busy", id="queued by a living process"),
        pytest.param(image("saving", by="alive", age=timedelta(days=9)), "busy", id="saving, alive for days"),
        pytest.param(image("queued", age=timedelta(minutes=59)), "busy", id="queued elsewhere, fresh"),
        pytest.param(image("queued", age=timedelta(minutes=61)), "reuse", id="queued elsewhere, old"),
        pytest.param(image("saving", age=timedelta(hours=23)), "busy", id="saving elsewhere, fresh"),
        pytest.param(image("saving", age=timedelta(hours=25)), "discard", id="saving elsewhere, old"),
        pytest.param(image("queued", by="dead", sha256="other"), "nothing", id="other bytes"),
        pytest.param(image("queued", by="dead", sha256=None), "nothing", id="not ours"),
        pytest.param(image("killed", by="dead"), "discard", id="killed by Glance"),
        pytest.param(image("active", by="dead", size=9), "discard", id="active, never compared"),
        pytest.param(image("active", by="alive", size=9), "nothing", id="active, being compared"),
        pytest.param(image("active", by="", size=9), "nothing", id="active, of other bytes by now"),
    ],
)
def test_unfinished_image_is_used_deleted_or_left_alone(there: CloudImage, found: str) -> None:
    made = decision(there)

    got = {"reuse": made.reuse, "busy": made.busy, "discard": made.discard[0] if made.discard else None}
    assert {name for name, value in got.items() if value} == ({found} - {"nothing"})
    assert made.finished is None


def test_finished_image_counts_before_every_orphan() -> None:
    finished = image("active", id="2", size=9, algorithm="sha512", value="h")

    assert decision(image("queued", by="alive"), finished).finished is finished


def test_one_orphan_is_used_and_the_others_are_deleted() -> None:
    made = decision(
        image("saving", id="1", by="dead"),
        image("queued", id="2", by="dead"),
        image("queued", id="3", by="dead"),
    )

    assert made.reuse is not None
    assert made.reuse.id == "2"
    assert [orphan.id for orphan in made.discard] == ["1", "3"]
