# SPDX-License-Identifier: MIT
"""Processes and ports of a plane: free ports, servers that we started, and who is still alive.

A process is known by its pid and its start time (proc(5), field 22 of stat), so that a pid used again by
somebody else is never stopped.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError
from builder.runner import last_words

# Below Linux's range for outgoing connections (32768 and up), so that no client is given our port.
PORTS = range(20000, 32000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A process: its pid, and when it was started in clock ticks since the boot."""

    pid: int
    started: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server that we started: what it is called, its process and the log of its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, is_ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `is_ready()`.

        Raises:
            BuildError: the server died, or was not ready in time; its log is named.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            status = self.process.poll()
            if status is not None:
                raise self._ended(status)
            if time.monotonic() > deadline:
                raise BuildError(f"{self.name} was not ready after {seconds:.0f} s", log=self.log)
            time.sleep(0.05)

    def wait_for_end(self, *, seconds: float) -> None:
        """Wait until the process has ended by itself.

        Raises:
            BuildError: with another status than 0, or not in time; its log is named.
        """
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise BuildError(f"{self.name} did not end within {seconds:.0f} s", log=self.log) from None
        if status != 0:
            raise self._ended(status)

    def stop(self, *, seconds: float = 15) -> None:
        """End the server: SIGTERM, and SIGKILL when that was not enough."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def _ended(self, status: int) -> BuildError:
        said = last_words(self.log.read_text(errors="replace")) if self.log.exists() else ""
        said = said.removeprefix("error: ") or "it said nothing"
        return BuildError(f"{self.name} ended with status {status}: {said}", log=self.log)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            # Servers set it too: a port in TIME_WAIT is as good as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise BuildError("no free port on 127.0.0.1", hint=f"end something that listens in {PORTS}")


def identify(pid: int) -> Identity | None:
    """Return who has the process id `pid` now; None: nobody, or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything: fields are counted from after it.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else Identity(pid=pid, started=int(fields[19]))


def is_alive(identity: Identity) -> bool:
    """Say whether that very process still runs."""
    return identify(identity.pid) == identity


def end(identity: Identity, *, seconds: float = 20) -> None:
    """End that very process, if it still runs: SIGTERM, then SIGKILL."""
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        if is_alive(identity):
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, number)
        while is_alive(identity) and time.monotonic() < deadline:
            time.sleep(0.05)
