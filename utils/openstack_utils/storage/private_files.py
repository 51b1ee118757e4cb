# SPDX-License-Identifier: MIT
"""Small files with secrets in them: 0600 from their first byte, replaced whole or not at all."""

import os

from .descriptors import check_regular, system_error, unlink, write_all
from .transaction import OpenFile
from .work_files import create_work_file


def write_private(path, text):
    """Write `path` with mode 0600; return whether it has changed. A link is followed to its file.

    Secrets are not for devices or FIFOs: anything but a regular file is refused, and stays.

    Raises UtilityError, AccessError where the system forbids it.
    """
    file = OpenFile(path)
    data = text.encode("utf-8", "surrogateescape")
    try:
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


def _has(path, data):
    """Say whether the file holds just that, for its owner's eyes only."""
    try:
        with open(path, "rb") as file:
            return file.read() == data and os.fstat(file.fileno()).st_mode & 0o777 == 0o600
    except (FileNotFoundError, PermissionError):
        return False
