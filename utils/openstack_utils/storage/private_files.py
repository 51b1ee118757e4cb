# SPDX-License-Identifier: MIT
"""Small files with secrets in them: 0600 from their first byte, replaced whole or not at all."""

import os
import stat

from ..errors import AccessError
from .descriptors import check_regular, system_error, system_path, unlink, write_all
from .transaction import OpenFile
from .work_files import create_work_file


def write_private(path, text):
    """Write `path` with mode 0600; return whether it has changed. A link is followed to its file.

    Secrets are not for devices or FIFOs: anything but a regular file is refused, and stays.

    Raises UtilityError, AccessError where the system forbids it, or others may put another file there.
    """
    file = OpenFile(path)
    data = text.encode("utf-8", "surrogateescape")
    try:
        check_ours(path)
        check_ours(file.real)
        check_regular(path, file.real)
        if _has(file.real, data):
            return False
        file.work, file.work_descriptor = create_work_file(file)
        write_all(file.work_descriptor, data)
        os.fsync(file.work_descriptor)
        os.rename(file.work, file.real)
        file.work = ""
    except OSError as error:
        raise system_error(path, error) from None
    finally:
        unlink(file.work)
        file.close()
    return True


def check_ours(path):
    """Raise AccessError where somebody else decides what is at `path`, or will be.

    Where others may write to the folder, nothing may be there yet but a file of ours, and the folder must
    have the sticky bit, by which they cannot replace it (inode(7)). root is nobody else, nor who became root
    by sudo(8).
    """
    folder = os.path.dirname(system_path(path)) or "."
    status = os.stat(folder)
    hint = "name a folder that belongs to you alone"
    sudo = os.environ.get("SUDO_UID", "")
    ours = {0, os.geteuid()} | ({int(sudo)} if os.geteuid() == 0 and sudo.isdigit() else set())
    if status.st_uid not in ours:
        raise AccessError("%s: its folder is somebody else's" % path, hint=hint)
    # A group of one's own is how users are made on Fedora.
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid())
    if not by_group and not status.st_mode & stat.S_IWOTH:
        return
    if not status.st_mode & stat.S_ISVTX:
        raise AccessError("%s: others may write to its folder" % path, hint=hint)
    try:
        if os.lstat(system_path(path)).st_uid not in ours:
            raise AccessError("%s: somebody else has made it" % path, hint=hint)
    except FileNotFoundError:
        pass


def _has(path, data):
    """Say whether the file holds just that, for its owner's eyes only."""
    try:
        with open(path, "rb") as file:
            return file.read() == data and os.fstat(file.fileno()).st_mode & 0o777 == 0o600
    except (FileNotFoundError, PermissionError):
        return False
