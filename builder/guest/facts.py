# SPDX-License-Identifier: MIT
"""What a running guest reports about itself: one script, run once by ssh, and its output parsed.

One script, because each login costs seconds in an emulated guest. A fact is the output and the exit
status of one command; what it means is for the checks. The guest may be hostile: a fact has a bound, as each
of its lines has, and taking the output apart costs no more than reading it.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Characters of one fact, and of one of its lines: `rpm -Va` says the most, a path has 4095 bytes.
LARGEST = 1 << 20
LONGEST_LINE = 4200


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """What a command printed (both streams) and its exit status."""

    output: str
    status: int

    @property
    def text(self) -> str:
        """The output without blanks around it."""
        return self.output.strip()

    @property
    def lines(self) -> list[str]:
        """The lines that are not empty."""
        return [line.strip() for line in self.output.splitlines() if line.strip()]


# Sets `part` to the partition that holds the root: through a logical volume, its last physical volume.
_ROOT_PARTITION = (
    'part=$(basename "$(readlink -f "$(findmnt -nvro SOURCE /)")"); '
    'for one in /sys/class/block/$part/slaves/*; do [ ! -e "$one" ] || part=$(basename "$one"); done'
)

# Waiting comes first: everything after it sees a guest that has come up. WAIT is put in by the script.
COMMANDS: Mapping[str, str] = {
    "cloud-status": "timeout WAIT cloud-init status --wait --long",
    "system-state": "timeout WAIT systemctl is-system-running --wait",
    "failed-units": "systemctl --failed --no-legend --plain --no-pager",
    "cloud-result": "sudo -n cat /run/cloud-init/result.json",
    "user": "id -un",
    "groups": "id -Gn",
    "sudo": "sudo -n id -u",
    "hostname": "cat /proc/sys/kernel/hostname",
    "command-line": "cat /proc/cmdline",
    "firmware": "if [ -d /sys/firmware/efi ]; then echo uefi; else echo bios; fi",
    # The last byte of the variable (UEFI Specification, 3.3): 1 where it is on.
    "secure-boot": (
        "od -An -t u1 -j 4 -N 1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    ),
    "root-source": "findmnt -nro SOURCE /",
    "root-size": "df -B1 --output=size / | tail -n 1",
    "root-partition": (
        f"{_ROOT_PARTITION}; "
        "cat /sys/class/block/$part/start /sys/class/block/$part/size "
        "/sys/class/block/$part/../size"
    ),
    "root-device": f'{_ROOT_PARTITION}; readlink -f "/sys/class/block/$part"',
    "root-volume": (
        'part=$(basename "$(readlink -f "$(findmnt -nvro SOURCE /)")"); cat "/sys/class/block/$part/size"'
    ),
    "links": (
        "for link in /sys/class/net/*; do "
        'echo "$(basename $link) $(cat $link/address) $(cat $link/operstate)"; done'
    ),
    "host-keys": "cat /etc/ssh/ssh_host_*_key.pub",
    "machine-id": "cat /etc/machine-id",
    "random-device": "cat /sys/class/misc/hw_random/rng_current",
    "serial-getty": "systemctl is-active serial-getty@ttyS0.service",
    "boot-time": "systemd-analyze time",
    "selinux": "if [ -e /sys/fs/selinux/enforce ]; then cat /sys/fs/selinux/enforce; else echo none; fi",
    "denials": "sudo -n dmesg | grep 'avc:  denied' | head -n 5",
}

_STATUSES = frozenset(map(str, range(256)))

# Taken in one boot of a run only: the packages are the same in all of them.
COSTLY: Mapping[str, str] = {
    # The content of the files is compared from outside, where hashing is not emulated (package-files).
    "rpm-verify": "sudo -n rpm -Va --nofiledigest",
    "labels": (
        "if [ -e /sys/fs/selinux/enforce ]; then "
        "sudo -n setfiles -n -v -e /proc -e /sys -e /dev -e /run "
        '"/etc/selinux/$(. /etc/selinux/config; echo $SELINUXTYPE)/contexts/files/file_contexts" /; fi'
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FactScript:
    """The script to run, and the mark that its output is taken apart by."""

    text: str
    mark: str


def make_script(*, wait: float, costly: bool) -> FactScript:
    """Return the script that collects every fact; it gives the guest `wait` seconds to come up."""
    mark = f"@{secrets.token_hex(8)}@"
    lines = [
        "export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH",
        f'fact() {{ printf \'\\n{mark} begin %s\\n\' "$1"; /bin/sh -c "$2" 2>&1 </dev/null; '
        f"printf '\\n{mark} end %s\\n' \"$?\"; }}",
    ]
    for name, command in {**COMMANDS, **(COSTLY if costly else {})}.items():
        lines.append(f"fact {name} {shlex.quote(command.replace('WAIT', f'{wait:.0f}'))}")
    return FactScript(text="\n".join(lines) + "\n", mark=mark)


def parse_facts(mark: str, output: str) -> dict[str, Fact]:
    """Take the output of the script apart.

    A fact that was not asked for, or whose end is missing, is left out. Of each, LARGEST characters are kept.
    """
    found: dict[str, Fact] = {}
    name, body, room = "", list[str](), 0
    for line in _lines(output):
        if line.startswith(f"{mark} begin "):
            name, body, room = line.removeprefix(f"{mark} begin "), [], LARGEST
        elif line.startswith(f"{mark} end "):
            status = line.removeprefix(f"{mark} end ")
            if (name in COMMANDS or name in COSTLY) and status in _STATUSES:
                found[name] = Fact(output="\n".join(body), status=int(status))
            name = ""
        elif room > 0:
            body.append(line)
            room -= len(line) + 1
    return found


def _lines(text: str) -> Iterator[str]:
    """Yield the lines, each up to its bound."""
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start : min(end, start + LONGEST_LINE)].removesuffix("\r")
        start = end + 1
