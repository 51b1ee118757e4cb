# SPDX-License-Identifier: MIT
"""The source archive and the time stamp of a build."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from builder.errors import InputError
from builder.report import Report
from builder.rpm.build.archive import ArchiveFile, changelog_date, is_generated, make_archive, source_date
from builder.rpm.spec.packages import Package
from builder.runner import Runner

SOURCES = (
    ArchiveFile(name="a/tool", data=b"#!/bin/sh\n", executable=True),
    ArchiveFile(name="b", data=b"text\n"),
)


def test_archive_holds_no_owner_mode_or_time_of_this_machine() -> None:
    packed = make_archive(SOURCES, prefix="name-1", epoch=1700000000)

    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        entries = [
            (entry.name, oct(entry.mode), entry.mtime, entry.uid, entry.uname)
            for entry in archive.getmembers()
        ]
    assert entries == [
        ("name-1/a/tool", "0o755", 1700000000, 0, "root"),
        ("name-1/b", "0o644", 1700000000, 0, "root"),
    ]
    assert packed == make_archive(SOURCES, prefix="name-1", epoch=1700000000)
    assert packed != make_archive(SOURCES, prefix="name-1", epoch=1700000001)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("utils/openstack_utils/errors.py", False),
        ("utils/openstack_utils/services.json", True),
        ("utils/openstack_utils/__pycache__/errors.cpython-311.pyc", True),
        ("utils/bin/openstack-config~", True),
        ("utils/man/openstack-config.1", False),
    ],
)
def test_what_tools_make_is_not_packed(name: str, expected: bool) -> None:
    assert is_generated(name) is expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("%changelog\n* Sun Nov 22 2026 A <a@b> - 1-1\n- x\n", 1795348800),
        ("%changelog\n* Thu Jan 01 1970 A <a@b> - 1-1\n", 43200),
        ("Name: x\n", 0),
        ("%changelog\n", 0),
    ],
    ids=["newest entry", "epoch", "no changelog", "empty changelog"],
)
def test_date_of_the_changelog_is_noon_utc(spec: str, expected: int) -> None:
    assert changelog_date(spec) == expected


def test_given_time_stamp_wins_and_must_be_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(Report(err=io.StringIO()))
    package = Package(name="thing", spec=tmp_path / "thing.spec", version="1", text="")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    assert source_date(tmp_path, package, runner) == 1600000000

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InputError, match='SOURCE_DATE_EPOCH is "yesterday"'):
        source_date(tmp_path, package, runner)
