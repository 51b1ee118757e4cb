# SPDX-License-Identifier: MIT
"""Where a result goes: only a regular file is ever replaced; what is a stream gets the bytes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.errors import InputError
from builder.files import replace_folder, write_atomic

ROOT = Path(__file__).resolve().parents[2]


def test_a_regular_file_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    before = path.stat().st_ino

    write_atomic(path, "new")

    assert (path.read_text(), path.stat().st_ino != before) == ("new", True)


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("old")
    (tmp_path / "middle").symlink_to("real/file")
    (tmp_path / "link").symlink_to("middle")

    write_atomic(tmp_path / "link", "new")

    assert (tmp_path / "link").readlink() == Path("middle")
    assert (tmp_path / "real/file").read_text() == "new"


def test_a_fifo_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()

    write_atomic(path, b"text\n")
    reader.join(600)

    assert got == [b"text\n"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_socket_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        write_atomic(path, b"text\n")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b"text\n"
    assert stat.S_ISSOCK(path.stat().st_mode)


@pytest.mark.parametrize("link", [False, True], ids=["itself", "through a link"])
def test_a_device_stays_a_device(tmp_path: Path, link: bool) -> None:
    path = tmp_path / "null"
    if link:
        path.symlink_to("/dev/null")
    else:
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            path.open("wb").close()
        except PermissionError:
            pytest.skip("no device nodes for this user on this file system")

    write_atomic(path, "text")

    assert path.is_char_device()


@pytest.mark.parametrize("redirect", ["pipe", "file"])
def test_dev_stdout_is_the_stdout_that_the_shell_opened(tmp_path: Path, redirect: str) -> None:
    script = "from pathlib import Path; from builder.files import write_atomic; " + (
        "write_atomic(Path('/dev/stdout'), 'text\\n')"
    )
    command = f'{sys.executable} -c "{script}"'
    out = tmp_path / "out"
    out.write_text("before\n")
    shell = f"{command} | cat >> {out}" if redirect == "pipe" else f"{command} >> {out}"

    subprocess.run(["sh", "-c", shell], check=True, cwd=ROOT)

    assert out.read_text() == "before\ntext\n"


def test_what_cannot_be_written_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "to folder").symlink_to("folder")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "circle").symlink_to("circle")

    for name, message in (
        ("folder", "is a folder"),
        ("to folder", "is a folder"),
        ("nowhere", "does not exist"),
        ("circle", "in a circle"),
    ):
        with pytest.raises(InputError, match=message):
            write_atomic(tmp_path / name, "text")
    assert sorted(os.listdir(tmp_path)) == ["circle", "folder", "nowhere", "to folder"]


@pytest.mark.parametrize("kind", ["file", "fifo", "link"])
def test_a_folder_replaces_only_a_folder(tmp_path: Path, kind: str) -> None:
    new, path = tmp_path / "new", tmp_path / "there"
    new.mkdir()
    if kind == "file":
        path.write_text("mine")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        (tmp_path / "folder").mkdir()
        path.symlink_to("folder")
    before = path.lstat()

    with pytest.raises(InputError, match="exists and is not a folder"):
        replace_folder(new, path, "mark")

    assert (path.lstat().st_mode, path.lstat().st_ino) == (before.st_mode, before.st_ino)


def test_services_output_to_a_device_leaves_the_device(tmp_path: Path) -> None:
    path = tmp_path / "null"
    path.symlink_to("/dev/null")

    done = subprocess.run(
        [sys.executable, "-m", "builder", "services", "-o", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, path.is_symlink(), path.is_char_device()) == (0, True, True)
