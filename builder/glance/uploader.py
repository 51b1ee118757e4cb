# SPDX-License-Identifier: MIT
"""Who uploads an image: a mark by which a later run knows whether that process still lives.

An image in `queued` or `saving` is either an orphan of a killed run or the work of another process, now.
Glance does not say which: it shows no progress. So each run writes a mark into the image: machine, boot,
pid space, pid and start time, the first three as a digest that reveals nothing about the machine. On the
same machine the answer is then exact; an upload from elsewhere is held to be dead when nothing
happened for long enough.
"""

from __future__ import annotations

import hashlib
import os
import socket
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

# Between the creation and the data pass seconds, with retries minutes; the data itself may take long.
PATIENCE = {"queued": timedelta(hours=1), "saving": timedelta(hours=24)}


class Life(Enum):
    """What is known about the process that a mark names."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


def own_mark() -> str:
    """Return the mark of this process."""
    pid = os.getpid()
    return f"{_machine()}/{_boot()}/{pid}/{_started(pid)}"


def life_of(mark: str) -> Life:
    """Say whether the process that wrote `mark` still runs; only its own machine can know."""
    try:
        machine, boot, pid, started = mark.split("/")
        number = int(pid)
    except ValueError:
        return Life.UNKNOWN
    if machine != _machine():
        return Life.UNKNOWN
    if boot != _boot():
        return Life.DEAD
    return Life.ALIVE if _started(number) == started else Life.DEAD


def pid_of(mark: str) -> str:
    """Return the process id in a mark."""
    return mark.split("/")[2]


def is_dead(mark: str, status: str, updated_at: str) -> bool:
    """Say whether nobody works on an image any more: its process is gone, or it was left long ago."""
    life = life_of(mark)
    if life is Life.UNKNOWN:
        return is_abandoned(status, updated_at, datetime.now(UTC))
    return life is Life.DEAD


def is_abandoned(status: str, updated_at: str, now: datetime) -> bool:
    """Say whether an image in `status`, last changed at `updated_at`, is old enough to have no uploader."""
    try:
        changed = datetime.fromisoformat(updated_at.replace("Z", "+00:00"))
    except ValueError:
        return False
    if changed.tzinfo is None:
        changed = changed.replace(tzinfo=UTC)
    return now - changed > PATIENCE.get(status, PATIENCE["saving"])


def _machine() -> str:
    # Containers often have no machine-id of their own, or their host's: the pid space distinguishes them.
    try:
        name = Path("/etc/machine-id").read_text().strip()
    except OSError:
        name = ""
    return _digest((name or socket.gethostname()) + os.readlink("/proc/self/ns/pid"))


def _boot() -> str:
    return _digest(Path("/proc/sys/kernel/random/boot_id").read_text().strip())


def _digest(text: str) -> str:
    return hashlib.sha256(f"openstack-builder {text}".encode()).hexdigest()[:12]


def _started(pid: int) -> str:
    """Return the start time of a process (proc(5), field 22 of stat); empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
