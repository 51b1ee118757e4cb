# SPDX-License-Identifier: MIT
"""A folder of gpg: the user's, one that they name, or our own; and the agent that serves it.

An agent that runs already is the user's, with passphrases in it: it is used, and never stopped. One that
gpg starts on our behalf ends with our work. gpg puts its sockets below the folder where the system has no
/run/user; their names may have 107 bytes (unix(7)), so a folder with a long name is used through a short
link.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import CommandFailed, InputError
from builder.runner import Completed, Runner

# S.gpg-agent.browser is the longest of the sockets' names.
LONGEST_HOME = 107 - len("/S.gpg-agent.browser")


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyring:
    """`home` is None for gpg's default (~/.gnupg)."""

    home: Path | None
    runner: Runner

    @contextlib.contextmanager
    def opened(self) -> Iterator[OpenKeyring]:
        """Use the folder; leave the processes of this host as they were."""
        with contextlib.ExitStack() as stack:
            home = self.home
            if home is not None and len(os.fsencode(home)) > LONGEST_HOME:
                # Not named as a work folder: who works in /tmp would take it for a killed run's.
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="openstack-builder-gpg-"))
                home = Path(folder, "home")
                home.symlink_to(self.home or "")
            ring = OpenKeyring(home=home, runner=self.runner)
            if not ring.has_agent():
                stack.callback(ring.stop_agent)
            yield ring


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenKeyring:
    """A folder of gpg in use, called by a name that is short enough."""

    home: Path | None
    runner: Runner

    def gpg(
        self, *words: str, ok: Sequence[int] = (0,), input: str | None = None, hint: str | None = None
    ) -> Completed:
        """Run gpg.

        Raises:
            CommandFailed: in gpg's own words.
        """
        argv = ["gpg", "--batch", "--no-tty", "--quiet", *self._homedir(), "--no-auto-check-trustdb", *words]
        done = self.runner.run(argv, ok=(), input=input, env=terminal())
        if ok and done.returncode not in ok:
            raise CommandFailed(f"gpg: {words_of(done.stderr) or 'failed'}", hint=hint)
        return done

    def has_agent(self) -> bool:
        """Say whether an agent serves the folder now."""
        argv = ["gpg-connect-agent", "--no-autostart", *self._homedir(), "/bye"]
        done = self.runner.run(argv, ok=(), env=terminal())
        # Without an agent it says so, and ends with 0 all the same in some versions.
        return done.returncode == 0 and "no running" not in done.stderr and "no gpg-agent" not in done.stderr

    def stop_agent(self) -> None:
        """End the agent that gpg started."""
        with contextlib.suppress(CommandFailed):
            self.runner.run(["gpgconf", *self._homedir(), "--kill", "gpg-agent"], ok=())

    def _homedir(self) -> list[str]:
        return ["--homedir", str(self.home)] if self.home else []


def home_of_user(named: Path | None) -> Path | None:
    """Return the folder that gpg is to use: `named`, else GNUPGHOME, else None for its default.

    Raises:
        InputError: there is no such folder.
    """
    variable = os.environ.get("GNUPGHOME")
    home, source = (named, "--gnupghome") if named else (Path(variable) if variable else None, "GNUPGHOME")
    if home is not None and not home.is_dir():
        raise InputError(f"{source} {home}: no such folder")
    return home.absolute() if home else None


def terminal() -> dict[str, str]:
    """Return what the agent's pinentry needs of our environment to ask for a passphrase."""
    return {
        name: os.environ[name] for name in ("GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY") if name in os.environ
    }


def words_of(stderr: str) -> str:
    """Return what gpg says of a failure, without its prefixes and its notes about the folder."""
    lines = [line.removeprefix("gpg: ") for line in stderr.splitlines() if line.startswith("gpg: ")]
    lines = [line for line in lines if not line.startswith(("WARNING:", "using ", "Note:", "checking "))]
    return "; ".join(dict.fromkeys(lines))[:400]
