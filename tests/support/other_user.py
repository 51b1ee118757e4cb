# SPDX-License-Identifier: MIT
"""Run a command as a plain user that this host does not have: known in a mount namespace only. Needs root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from builder.places import SPECS

NAME, NUMBER = "plainuser", 64242
# The user's home and id files are bound over the host's, where only the command sees them. Folders
# that only root may enter (a Python or a checkout below /root) are opened in the same way.
SCRIPT = """
set -eu
stage=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
cp "$stage"/* /mnt
number=0
for folder in $OPENED; do
    number=$((number + 1)); mkdir "/mnt/$number"; mount --rbind "$folder" "/mnt/$number"
done
for top in $MASKED; do mount -t tmpfs -o mode=755 tmpfs "$top"; done
number=0
for folder in $OPENED; do
    number=$((number + 1)); mkdir -p "$folder"; mount --rbind "/mnt/$number" "$folder"
done
for name in passwd group subuid subgid; do mount --bind "/mnt/$name" "/etc/$name"; done
exec setpriv --reuid=NUMBER --regid=NUMBER --clear-groups "$@"
""".replace("NUMBER", str(NUMBER))


def run_as_plain_user(
    words: list[str],
    folder: Path,
    *,
    environment: dict[str, str],
    subordinate: bool = True,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run `words` as a user who owns `folder`, with a range of subordinate ids unless given others.

    Args:
        folder: made the user's, with everything in it; also the place of the files that are bound.
        timeout: seconds.
    """
    stage = folder / "stage"
    stage.mkdir(exist_ok=True)
    row = f"{NAME}:x:{NUMBER}:{NUMBER}::{folder}:/bin/sh\n"
    (stage / "passwd").write_text(Path("/etc/passwd").read_text() + row)
    (stage / "group").write_text(Path("/etc/group").read_text() + f"{NAME}:x:{NUMBER}:\n")
    for name in ("subuid", "subgid"):
        (stage / name).write_text(f"{NAME}:3000000:65536\n" if subordinate else "")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NUMBER, NUMBER, follow_symlinks=False)
    needed = {sys.base_prefix, sys.prefix, os.fspath(SPECS.parent), os.fspath(folder)}
    masked = {closed for path in needed if (closed := _closed_ancestor(Path(path)))}
    opened = {path for path in needed if _closed_ancestor(Path(path))}
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", stage, *words],
        env={**environment, "HOME": str(folder), "OPENED": " ".join(opened), "MASKED": " ".join(masked)},
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def _closed_ancestor(path: Path) -> str | None:
    """Return the topmost folder above `path` that others may not enter."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & 0o001:
            return os.fspath(folder)
    return None
