# SPDX-License-Identifier: MIT
"""The payload digest of an RPM file, by which a hub knows it: the md5 of its header and payload (SIGMD5).

Source: rpm's docs/manual/format_v4.md; Koji keeps the tag as `payloadhash`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from builder.errors import InputError
from builder.koji.profile import library


def payload_digest(path: Path) -> str:
    """Return the md5 of header and payload in hex, computed from the file's bytes.

    Raises:
        InputError: the file is not an RPM, or its bytes are not those that its own SIGMD5 names.
    """
    koji = library()
    try:
        start, size = koji.find_rpm_sighdr(str(path))
        stored = koji.RawHeader(koji.rip_rpm_sighdr(str(path))).get(koji.RPM_SIGTAG_MD5)
    except (koji.GenericError, OSError, ValueError, IndexError) as error:
        raise InputError(f"{path.name}: not an RPM, or a damaged one") from error
    with path.open("rb") as file:
        file.seek(start + size)
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if stored is not None and bytes(stored).hex() != found:
        raise InputError(f"{path.name}: damaged: its payload is not the one that its header names")
    return found
