# SPDX-License-Identifier: MIT
"""Elements of somebody else: what they are made of gets into the image, and nothing of the user's with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import InputError
from builder.kickstart.elements.dependencies import collect
from builder.kickstart.findings import Findings
from tests.support.elements import write_element

SECRET = "PRIVATE KEY of the user"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a key and, in it, a checkout of elements."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh/id_ed25519").write_text(SECRET)
    (tmp_path / ".ssh/id_ed25519").chmod(0o600)
    return tmp_path


def read(folder: Path) -> list[bytes]:
    """Return the contents of all files of the element `theirs`."""
    return [file.content for one in collect(("theirs",), (folder,), Findings()) for file in one.files]


@pytest.mark.parametrize("kind", ["file", "folder", "element", "through another", "relative"])
def test_a_link_in_an_element_reads_nothing_of_the_user(home: Path, kind: str) -> None:
    folder = home / "elements"
    theirs = write_element(folder, "theirs", {"README.rst": "x\n"}) / "theirs"
    match kind:
        case "file":
            (theirs / "notes").symlink_to(home / ".ssh/id_ed25519")
        case "folder":
            (theirs / "install.d").symlink_to(home / ".ssh")
        case "element":
            (theirs / "README.rst").unlink()
            theirs.rmdir()
            theirs.symlink_to(home / ".ssh")
        case "through another":
            (folder / "more").symlink_to(home / ".ssh")
            (theirs / "install.d").symlink_to(folder / "more")
        case "relative":
            (theirs / "notes").symlink_to("../../.ssh/id_ed25519")

    with pytest.raises(InputError, match="which is private"):
        read(folder)


def test_the_checkout_may_lie_in_the_home_itself(home: Path) -> None:
    (home / "theirs").symlink_to(".ssh")

    with pytest.raises(InputError, match="which is private"):
        read(home)


def test_links_within_the_elements_and_to_what_all_may_read_are_followed(home: Path) -> None:
    folder = home / "elements"
    write_element(folder, "other", {"shared": "of another element\n", "hooks/10-x": "#!/bin/sh\n"})
    theirs = write_element(folder, "theirs", {"README.rst": "x\n", ".hidden": "its own\n"}) / "theirs"
    (theirs / "shared").symlink_to("../other/shared")
    (theirs / "install.d").symlink_to("../other/hooks")
    (theirs / "release").symlink_to("/etc/os-release")
    (theirs / "static").mkdir()
    # Nothing of it is read: it is a link in the image, too.
    (theirs / "static/link").symlink_to(home / ".ssh/id_ed25519")

    found = read(folder)

    assert {b"of another element\n", b"#!/bin/sh\n", b"its own\n", Path("/etc/os-release").read_bytes()} <= {
        *found
    }
    assert SECRET.encode() not in found
