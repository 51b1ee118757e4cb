# SPDX-License-Identifier: MIT
"""What surrounds a build decides nothing: the umask, and a TMPDIR that others may write to."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from builder.files import sha256_file
from tests.security.conftest import LONGEST, Host
from tests.support.imaging import kickstart
from tests.support.other_user import NUMBER, run_as_plain_user

pytestmark = pytest.mark.root
TEXT = kickstart(packages="busybox", tail="%post\ntouch /made\n%end\n")


def build(host: Host, *, umask: int, temporary: Path) -> subprocess.CompletedProcess[str]:
    """Build from nothing, with such a umask and TMPDIR."""
    for name in ("out", "cache"):
        subprocess.run(["rm", "-rf", host.home / name], check=True)
    environment = {**host.bench.environment(), "HOME": str(host.home), "TMPDIR": str(temporary)}
    words = ["sh", "-c", f'umask {umask:o}; exec "$@"', "sh", *host.bench.command(TEXT)]
    if host.user == "plain":
        return run_as_plain_user(words, host.home, environment=environment, timeout=LONGEST)
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
    )


def test_umask_and_folder_for_temporary_files_do_not_matter(host: Host, tmp_path: Path) -> None:
    shared, private = tmp_path / "shared", tmp_path / "private"
    shared.mkdir()
    # Anybody may rename and replace what is made there.
    shared.chmod(0o777)
    private.mkdir()
    if host.user == "plain":
        os.chown(private, NUMBER, NUMBER)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o111)
    digests = set()
    for umask, temporary in ((0o022, private), (0, shared), (0o077, shared)):
        done = build(host, umask=umask, temporary=temporary)

        assert done.returncode == 0, done.stderr
        digests.add(sha256_file(host.bench.image))
        assert list(temporary.iterdir()) == []
        written = [path for name in ("out", "cache") for path in (host.home / name).rglob("*")]
        modes = {path: path.lstat().st_mode for path in written if not path.is_symlink()}
        # Nobody else may write to any of it, whatever the umask lets through.
        assert [path for path, mode in modes.items() if mode & (stat.S_IWGRP | stat.S_IWOTH)] == []
    assert len(digests) == 1
