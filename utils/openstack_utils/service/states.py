# SPDX-License-Identifier: MIT
"""How a service stands, read from what `systemctl show` and init scripts say. Pure but for /proc."""

import os
import re
import time
from typing import NamedTuple, Optional

PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID", "Result", "ExecStart",
    "ExecMainStatus", "ActiveEnterTimestampMonotonic", "InactiveEnterTimestampMonotonic",
    "NeedDaemonReload",
)  # fmt: skip
ENABLED = ("enabled", "enabled-runtime", "generated")
ACTIVE, INACTIVE, FAILED, UNKNOWN = "active", "inactive", "failed", "unknown"
# The exit codes of `service NAME status` (LSB): 1 and 2 are dead with a pid file or a lock left.
LSB = {0: ACTIVE, 1: FAILED, 2: FAILED, 3: INACTIVE}
PID = re.compile(rb"\(pid +([0-9]+)")
# What a unit's command may be, that is not the service itself.
HOSTS = ("uwsgi", "httpd", "apache2", "podman", "docker")


class ServiceState(NamedTuple):
    """How a service stands: `since` in seconds since the epoch, `result` why it failed."""

    unit: str
    active: str
    sub: str = ""
    boot: str = ""
    pid: Optional[int] = None
    since: Optional[float] = None
    result: str = ""
    runs_in: str = ""

    @property
    def is_enabled(self):
        return self.boot in ENABLED

    @property
    def is_active(self):
        return self.active in (ACTIVE, "reloading")


def read_show(text, offset=None):
    """Return {unit: ServiceState} of the output of `systemctl show`; units that are not there are left out.

    `offset` is what makes the epoch of systemd's monotonic clock, by default from this host's clocks.
    """
    if offset is None:
        offset = time.time() - time.monotonic()
    states = {}
    for block in re.split(r"\n\s*\n", text.strip()):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        unit = _without_suffix(values.get("Id", ""))
        if unit and values.get("LoadState") != "not-found":
            states[unit] = _state(unit, values, offset)
    return states


def _state(unit, values, offset):
    active = values.get("ActiveState") or UNKNOWN
    mark = "InactiveEnter" if active in (INACTIVE, FAILED) else "ActiveEnter"
    micros = values.get(mark + "TimestampMonotonic", "")
    # Never yet: 0.
    since = offset + int(micros) / 1e6 if micros.isdigit() and int(micros) else None
    pid = values.get("MainPID", "")
    boot = values.get("UnitFileState") or ""
    return ServiceState(
        unit,
        active,
        values.get("SubState", ""),
        "masked" if values.get("LoadState") == "masked" else boot,
        int(pid) if pid.isdigit() and int(pid) else None,
        since,
        _result(values) if active == FAILED or values.get("SubState") == "auto-restart" else "",
        _host_of(values.get("ExecStart", "")),
    )


def _result(values):
    result = values.get("Result", "")
    if result == "exit-code":
        return "exit status %s" % values.get("ExecMainStatus", "?")
    return result if result != "success" else ""


def _host_of(command):
    """Return what runs the service, from ExecStart= (`{ path=/usr/sbin/uwsgi ; argv[]=...`), or ""."""
    found = re.search(r"path=([^ ;]+)", command)
    name = os.path.basename(found.group(1)) if found else ""
    return next((host for host in HOSTS if name == host or name.startswith(host + "-")), "")


def read_status(unit, code, said, boot):
    """Return the ServiceState of an init script: what `service NAME status` ended with, and said (bytes).

    `code` is None without an answer.
    """
    active = LSB.get(code, UNKNOWN)
    found = PID.search(said)
    pid = int(found.group(1)) if found and active == ACTIVE else None
    result = {1: "dead, with a pid file left", 2: "dead, with a lock left"}.get(code, "")
    return ServiceState(unit, active, "", boot, pid, started(pid) if pid else None, result)


def started(pid):
    """Return when a process was started, in seconds since the epoch; None when it is not there."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        with open("/proc/stat", "rb") as file:
            boot = next(int(line.split()[1]) for line in file if line.startswith(b"btime"))
    except (OSError, IndexError, ValueError, StopIteration):
        return None
    return boot + ticks / float(os.sysconf("SC_CLK_TCK"))


def _without_suffix(unit):
    return unit[: -len(".service")] if unit.endswith(".service") else unit
