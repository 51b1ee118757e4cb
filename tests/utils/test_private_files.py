# SPDX-License-Identifier: MIT
"""Files with secrets in them: keystonerc_*, clouds.yaml, passwords."""

import os
import stat
from pathlib import Path

import pytest
from openstack_utils.errors import AccessError, UsageError
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


def plant(folder: Path, kind: str) -> Path:
    """Make a folder in which others may have a file of theirs; return the path that is to be written."""
    shared = folder / "shared"
    shared.mkdir()
    path = shared / "passwords"
    shared.chmod(0o777 if kind == "no sticky bit" else 0o1777)
    if kind == "link of another":
        path.symlink_to(folder / "canary")
        os.lchown(path, OTHER, OTHER)
    elif kind == "file of another":
        path.write_text("ADMIN_PASSWORD=known\n")
        os.chown(path, OTHER, OTHER)
    elif kind == "folder of another":
        shared.chmod(0o700)
        os.chown(shared, OTHER, OTHER)
    elif kind == "link of ours into such a folder":
        (folder / "ours").symlink_to(path)
        os.chown(shared, OTHER, OTHER)
        return folder / "ours"
    return path


OTHER = 65533
PLANTED = (
    "no sticky bit", "link of another", "file of another", "folder of another",
    "link of ours into such a folder",
)  # fmt: skip


@pytest.mark.root
@pytest.mark.parametrize("kind", PLANTED)
def test_where_others_decide_what_is_there_nothing_is_written(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    canary = folder / "canary"
    canary.write_text("root's own")
    path = plant(folder, kind)
    before = sorted((each.name, each.lstat().st_ino) for each in folder.rglob("*"))

    with pytest.raises(AccessError, match=r"(others|somebody else)"):
        write_private(str(path), "secret")

    assert canary.read_text() == "root's own"
    assert sorted((each.name, each.lstat().st_ino) for each in folder.rglob("*")) == before


@pytest.mark.root
def test_who_became_root_by_sudo_is_nobody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(folder, OTHER, OTHER)
    monkeypatch.setenv("SUDO_UID", str(OTHER))

    assert write_private(str(folder / "keystonerc_admin"), "secret") is True


def test_a_file_of_ours_in_a_folder_of_all_is_written(folder: Path) -> None:
    folder.chmod(0o1777)

    assert write_private(str(folder / "passwords"), "old") is True
    assert write_private(str(folder / "passwords"), "new") is True
