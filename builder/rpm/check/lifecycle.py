# SPDX-License-Identifier: MIT
"""What a package's scriptlets do to services when it is installed, upgraded and removed: they are run.

In a root of their own (bubblewrap: no network, no file of this host but the programs below /usr), with the
arguments that rpm gives ($1 counts the packages of the name that are left) and stand-ins of systemctl,
chkconfig, service and the rest, which only write down how they were called.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from builder import seccomp
from builder.bubblewrap import no_environment
from builder.files import read_regular
from builder.lowered import lowered
from builder.room import filtered, withdraw
from builder.rpm.check.package import BuiltPackage, Scriptlet
from builder.runner import Child, Runner

SECONDS = 30.0
# Bytes of what the stand-ins write down.
LARGEST = 1 << 20
HOST = "host/usr"
# A call is one line, its words parted by a sign that no name of a unit has.
PART = "\x1f"
STAND_IN = f"""\
#!/bin/sh
line="${{0##*/}}"
for word; do line="$line{PART}$word"; done
printf '%s\\n' "$line" >>/calls
"""
# What would change the system, or ask one that is not there. All end well.
STAND_INS = (
    "systemctl", "chkconfig", "service", "invoke-rc.d", "update-rc.d", "systemd-tmpfiles", "systemd-sysusers",
    "useradd", "usermod", "groupadd", "groupmod", "userdel", "groupdel", "semodule", "restorecon", "fixfiles",
    "udevadm", "ldconfig", "sysctl", "reboot", "shutdown", "init", "telinit", "initctl",
)  # fmt: skip
SHELL = re.compile(r"/(usr/)?bin/(ba)?sh\b")
FOLDERS = ("usr/bin", "usr/lib/systemd", "etc", "var/lib", "var/log", "var/lock/subsys", "run", "tmp", "root")
HELPER = "usr/lib/systemd/systemd-update-helper"
# The verbs of systemd-update-helper, as what they come to (systemd, src/rpm/systemd-update-helper.in).
HELPED = {
    "install-system-units": ("preset",),
    "remove-system-units": ("disable", "stop"),
    "mark-restart-system-units": ("try-restart",),
}


class Event(StrEnum):
    """What happens to a package."""

    INSTALL = "installed"
    UPGRADE = "upgraded"
    REMOVAL = "removed"


# The scriptlets that rpm runs, with the value of $1 (rpm-scriptlets(7)): of the new package, then of the old.
RUNS = {
    Event.INSTALL: (("%pre", 1), ("%post", 1), ("%posttrans", 1)),
    Event.UPGRADE: (("%pre", 2), ("%post", 2), ("%preun", 1), ("%postun", 1), ("%posttrans", 2)),
    Event.REMOVAL: (("%preun", 0), ("%postun", 0)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """Something done to a service: a verb of systemctl or service, or `add` and `del` of chkconfig."""

    verb: str
    service: str
    scriptlet: str


def observe(package: BuiltPackage, work: Path, runner: Runner) -> dict[Event, tuple[Act, ...]]:
    """Run the scriptlets of a package for each event, and return what they do to services.

    Raises:
        ToolMissing: bubblewrap is not installed.
    """
    scriptlets = {one.name: one for one in package.scriptlets if SHELL.match(one.interpreter)}
    observed = {}
    for event, runs in RUNS.items():
        work.mkdir(parents=True, exist_ok=True)
        root = Path(tempfile.mkdtemp(prefix=f"{event}-", dir=work))
        _make_root(root, package)
        acts: list[Act] = []
        for name, argument in runs:
            if name in scriptlets:
                acts += _run(scriptlets[name], argument, root, runner)
        observed[event] = tuple(acts)
    return observed


def _make_root(root: Path, package: BuiltPackage) -> None:
    """Make what the scriptlets see as /: this host's programs, stand-ins in their place, empty folders."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    stand_in = root / "stand-in"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    for name in os.listdir("/usr/bin"):
        (root / "usr/bin" / name).symlink_to(f"/{HOST}/bin/{name}")
    for name in os.listdir("/usr/lib"):
        if name != "systemd":
            (root / "usr/lib" / name).symlink_to(f"/{HOST}/lib/{name}")
    for name in STAND_INS:
        (root / "usr/bin" / name).unlink(missing_ok=True)
        (root / "usr/bin" / name).symlink_to("/stand-in")
    (root / HELPER).symlink_to("/stand-in")
    for link, place in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("usr/sbin", "bin"), ("lib", f"{HOST}/lib"),
                        ("lib64", f"{HOST}/lib64"), ("usr/lib64", f"/{HOST}/lib64")):  # fmt: skip
        (root / link).symlink_to(place)
    for file in package.files:
        # An init script that is called by its path is a call of service.
        if re.fullmatch(r"/etc/(rc\.d/)?init\.d/[^/]+", file.path):
            script = root / file.path.lstrip("/")
            script.parent.mkdir(parents=True, exist_ok=True)
            script.symlink_to("/stand-in")
    if (root / "etc/rc.d/init.d").is_dir() and not (root / "etc/init.d").exists():
        (root / "etc/init.d").symlink_to("rc.d/init.d")


def _run(scriptlet: Scriptlet, argument: int, root: Path, runner: Runner) -> Iterator[Act]:
    (root / "calls").write_text("")
    with filtered(seccomp.PARSER) as filter, lowered([root]) as way:
        runner.run(
            [
                "bwrap", "--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session",
                *no_environment(), "--setenv", "PATH", "/sbin:/bin:/usr/sbin:/usr/bin",
                "--bind", way.place(root), "/", "--ro-bind", "/usr", f"/{HOST}",
                "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
                "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--chdir", "/", *filter.words,
                *scriptlet.interpreter.split(), "-c", scriptlet.text, "scriptlet", str(argument),
            ],
            ok=(), timeout=SECONDS,
            child=Child(apart=True, group=True, pass_fds=filter.descriptors, preexec=partial(withdraw, way)),
        )  # fmt: skip
    for line in _read_calls(root).splitlines():
        words = line.split(PART)
        for verb, service in _acts(words[0], words[1:]):
            yield Act(verb=verb, service=service, scriptlet=scriptlet.name)


def _read_calls(root: Path) -> str:
    """Return what the stand-ins wrote; nothing where a scriptlet put something else in its place."""
    with contextlib.suppress(OSError):
        return read_regular(root / "calls", LARGEST, linked=False).decode(errors="replace")
    return ""


def _acts(program: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield verb and service of a call; a unit keeps its ending, but for .service."""
    plain = [word for word in words if not word.startswith("-")]
    if program == "systemctl" and plain:
        verb, units = plain[0], plain[1:]
        now = {"enable": "start", "disable": "stop", "mask": "stop"}.get(verb) if "--now" in words else None
        for unit in units:
            for each in (verb, now):
                if each:
                    yield each, unit.removesuffix(".service")
    elif program == "systemd-update-helper" and plain:
        for unit in plain[1:]:
            for verb in HELPED.get(plain[0], ()):
                yield verb, unit.removesuffix(".service")
    elif program == "chkconfig":
        if "--add" in words or "--del" in words:
            for name in plain:
                yield ("add" if "--add" in words else "del"), name
        elif len(plain) > 1 and plain[-1] in ("on", "off"):
            yield ("enable" if plain[-1] == "on" else "disable"), plain[-2]
    elif program in ("service", "invoke-rc.d", "update-rc.d") and len(plain) > 1:
        yield plain[1], plain[0]
    elif program not in STAND_INS and plain:
        # An init script.
        yield plain[0], program
