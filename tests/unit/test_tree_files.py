# SPDX-License-Identifier: MIT
"""Files of a tree: no name in it leads out, and nothing but regular files is read or written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.folders import walk
from builder.image.tree.files import TreePath, open_tree


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that no tree may reach."""
    path = tmp_path / "outside"
    path.write_text("secret")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with an /etc."""
    (tmp_path / "tree/etc").mkdir(parents=True)
    return tmp_path / "tree"


LINKS = {
    "an absolute link": lambda outside: str(outside),
    "a link with dots": lambda _: "../../outside",
    "a link to itself": lambda _: "link",
    "a link into /proc": lambda _: "/proc/self/cwd",
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_link_leads_nowhere_outside(tree: Path, outside: Path, link: Callable[[Path], str]) -> None:
    (tree / "etc/link").symlink_to(link(outside))
    path = open_tree(tree) / "etc/link"

    assert not path.is_file()
    for change in (
        path.read_bytes,
        lambda: path.write_text("changed"),
        path.truncate,
        lambda: path.chmod(0o777),
        lambda: path.chown(1, 1),
        lambda: path.utime(0, 0),
        path.touch,
        lambda: (path / "outside").write_text("changed"),
    ):
        # What such a link means in the guest may well be done, there.
        with contextlib.suppress(BuildError, FileNotFoundError):
            change()

    assert outside.read_text() == "secret"
    assert outside.stat().st_mode & 0o7777 == 0o644
    assert sorted(entry.name for entry in tree.parent.iterdir()) == ["outside", "tree"]


def test_an_absolute_link_leads_to_the_place_in_the_image(tree: Path) -> None:
    (tree / "usr").mkdir()
    (tree / "usr/shadow").write_text("of the image")
    (tree / "etc/shadow").symlink_to("/usr/shadow")
    (tree / "up").symlink_to("../../../../etc")

    path = open_tree(tree)
    (path / "up/shadow").write_text("changed", mode=0o600)

    assert (path / "/etc/shadow").read_text() == "changed"
    assert (tree / "usr/shadow").stat().st_mode & 0o777 == 0o600


def fifo(path: Path) -> None:
    """Make a fifo."""
    os.mkfifo(path)


def enormous(path: Path) -> None:
    """Make a file of 1 TiB."""
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("make", [fifo, enormous, Path.mkdir], ids=["a fifo", "a file of 1 TiB", "a folder"])
def test_what_cannot_be_read_is_named(tree: Path, make: Callable[[Path], None]) -> None:
    make(tree / "etc/fstab")

    with pytest.raises(BuildError, match="/etc/fstab of the image"):
        (open_tree(tree) / "etc/fstab").read_text()


def test_a_tree_of_great_depth_is_walked_and_removed(tree: Path) -> None:
    here = os.open(tree, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    top = os.open(tree, os.O_RDONLY)

    assert sum(1 for _ in walk(top)) == 1501
    (open_tree(tree) / "d").remove()

    os.close(top)
    assert os.listdir(tree) == ["etc"]


def test_a_link_is_removed_not_what_it_leads_to(tree: Path, outside: Path) -> None:
    (tree / "logs").mkdir()
    (tree / "logs/link").symlink_to(outside.parent)
    (tree / "logs/file").symlink_to(outside)

    (open_tree(tree) / "logs").remove()

    assert outside.exists()
    assert not (tree / "logs").exists()


def test_patterns_match_as_in_pathlib_and_follow_no_link_downwards(tree: Path, outside: Path) -> None:
    for name in ("var/log/a.log", "var/log/deep/b.log", "var/log/.hidden"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    (tree / "var/log/away").symlink_to(outside.parent)
    root = open_tree(tree)

    def found(pattern: str) -> list[str]:
        return sorted(str(path) for path in root.glob(pattern))

    assert found("var/log/*.log") == ["/var/log/a.log"]
    assert found("var/*/.[!.]*") == ["/var/log/.hidden"]
    expected = sorted(f"/{path.relative_to(tree)}" for path in tree.glob("var/log/**/*"))
    assert found("var/log/**/*") == expected
    assert "/var/log/away/outside" not in expected


def test_copies_keep_mode_and_time(tree: Path) -> None:
    (tree / "etc/one").write_text("text")
    (tree / "etc/one").chmod(0o751)
    os.utime(tree / "etc/one", (1000, 2000))
    root: TreePath = open_tree(tree)

    (root / "etc/one").copy_to(root / "etc/two")

    info = (tree / "etc/two").stat()
    assert (info.st_mode & 0o777, info.st_mtime, (tree / "etc/two").read_text()) == (0o751, 2000, "text")
