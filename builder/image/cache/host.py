# SPDX-License-Identifier: MIT
"""What of the host decides which packages are chosen, and what installing them leaves."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from builder.files import digest_of

# rpm with its macros, what solves, and the databases' writer.
_DECIDING = (
    "usr/bin/rpm*", "usr/lib/rpm/macros", "usr/lib/rpm/macros.d/*", "usr/lib/rpm/rpmrc", "etc/rpm/*",
    "usr/lib*/librpm*.so.*", "usr/lib/*/librpm*.so.*", "usr/lib*/libsolv*.so.*", "usr/lib/*/libsolv*.so.*",
    "usr/lib*/libdnf*.so.*", "usr/lib/*/libdnf*.so.*", "usr/lib*/libsqlite3.so.*",
    "usr/lib/*/libsqlite3.so.*", "usr/lib/python3*/*-packages/dnf/const.py",
    "usr/lib*/python3*/*-packages/libdnf5/__init__.py",
)  # fmt: skip


@cache
def solver_state(solver: str | None) -> str:
    """Return the digest of the state of those programs; `solver`: which one is wanted."""
    found = []
    for pattern in _DECIDING:
        for path in sorted(Path("/").glob(pattern)):
            info = path.lstat()
            found.append((str(path), info.st_size, info.st_mtime_ns))
    return digest_of([solver, found])
