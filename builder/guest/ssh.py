# SPDX-License-Identifier: MIT
"""Logging in: a throw-away key, and commands run by ssh with none of the user's own configuration.

ssh runs in a room: a guest that takes it over finds its own socket there, and neither network nor home.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from builder.errors import CommandFailed
from builder.guest.qemu import PORT_RELAY, PYTHON, SSH, connected, relay_files
from builder.room import run_apart
from builder.runner import Completed, Runner, SaysTooMuch

# ssh replaces what follows a %, and has a shell read the line, in the folder of the socket.
_PROXY = shlex.join([PYTHON, "-I", "-S", os.fspath(PORT_RELAY), SSH]).replace("%", "%%")
# A kind of key that a host, or a guest, in FIPS mode takes as well (crypto-policies(7)).
_KIND, _BITS = "ecdsa", "384"
KEY = f"id_{_KIND}"
# Bytes that a guest may say: the script's answers take some hundred KiB.
LARGEST_ANSWER = 8 << 20


def make_key(runner: Runner, folder: Path) -> str:
    """Make a key pair in `folder` and return the public key's line."""
    key = folder / KEY
    kind = ["-t", _KIND, "-b", _BITS]
    runner.run(["ssh-keygen", "-q", *kind, "-N", "", "-C", "openstack-builder-verify", "-f", key])
    return key.with_suffix(".pub").read_text(encoding="utf-8").strip()


def has_banner(folder: Path) -> bool:
    """Say whether an ssh server answers the guest's socket in `folder` with its greeting.

    slirp accepts a connection at once, whether or not the guest listens: only the greeting counts.
    """
    with contextlib.suppress(OSError), connected(folder, SSH, 5) as peer:
        return peer.recv(4) == b"SSH-"
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """How to get into the guest."""

    runner: Runner
    folder: Path
    user: str

    def run(self, script: str, *, timeout: float, user: str | None = None) -> Completed:
        """Run `script` with the guest's /bin/sh, given by stdin.

        Returns status 255 with ssh's own words on stderr where no login was possible or `timeout` seconds
        were not enough.

        Raises:
            SaysTooMuch: the guest talks without an end: to ask again would be in vain.
        """
        argv = [
            "ssh", "-F", "/dev/null", "-T", "-i", KEY, "-o", f"ProxyCommand={_PROXY}",
            "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "GlobalKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8",
            # The name may come from the image: as -l's own word it cannot be an option.
            "-l", user or self.user, "--", "guest", "/bin/sh -s",
        ]  # fmt: skip
        try:
            return run_apart(
                self.runner,
                argv,
                readable=[self.folder, *relay_files()],
                # ssh wants its user to have a name.
                placed={"/etc/passwd": f"verify:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n"},
                folder=self.folder,
                input=script,
                most=LARGEST_ANSWER,
                ok=(),
                longest=timeout,
            )
        except SaysTooMuch:
            raise
        except CommandFailed as error:
            return Completed(returncode=255, stdout="", stderr=error.message)
