# SPDX-License-Identifier: MIT
"""Files with secrets in them: keystonerc_*, clouds.yaml, passwords."""

import os
import stat
from pathlib import Path

import pytest
from openstack_utils.errors import UsageError
from openstack_utils.storage.private_files import write_private


def test_a_file_is_replaced_whole_for_its_owner_only(folder: Path) -> None:
    path = folder / "keystonerc_admin"
    path.write_text("old")
    path.chmod(0o644)

    assert write_private(str(path), "new") is True
    assert write_private(str(path), "new") is False
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)


@pytest.mark.parametrize("kind", ["fifo", "link to a device", "folder"])
def test_only_a_regular_file_is_replaced(folder: Path, kind: str) -> None:
    path = folder / "keystonerc_admin"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    before = (path.lstat().st_ino, Path("/dev/null").stat().st_mode)

    with pytest.raises(UsageError, match=r"keystonerc_admin: is (a directory|not a regular file)"):
        write_private(str(path), "secret")

    assert (path.lstat().st_ino, Path("/dev/null").stat().st_mode) == before
    assert [each.name for each in folder.iterdir()] == ["keystonerc_admin"]


def test_a_link_stays_and_its_file_is_written(folder: Path) -> None:
    (folder / "real").write_text("old")
    (folder / "link").symlink_to("real")

    write_private(str(folder / "link"), "new")

    assert (folder / "link").is_symlink()
    assert (folder / "real").read_text() == "new"
