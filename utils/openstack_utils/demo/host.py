# SPDX-License-Identifier: MIT
"""What this host has, read before the first step: units, files, the era of its services, its address."""

import fcntl
import os
import socket
import struct

from .. import ini
from ..db.catalogue import Catalogue, Places
from ..errors import UsageError
from ..service.systemd import FOLDERS
from .plan import RELEASE, InstalledParts

SWITCH = "openvswitch"
SIOCGIFADDR = 0x8915
# What the example of swift.conf says is nobody's secret.
NOT_SECRET = (None, "", "changeme")


def look(catalogue, init):
    """Return the InstalledParts. `init` finds the units (openstack_utils.service.inits)."""
    files, others = set(), {}
    databases = Catalogue(Places(), catalogue)
    for name, project in catalogue["projects"].items():
        facts = project["releases"].get(RELEASE)
        if not facts:
            continue
        here = {path for path in facts["configuration"] if os.path.isfile(path)}
        files |= here
        if here and len(project["releases"]) > 1 and databases.has_database(name):
            release = databases.service(name).release
            if release != RELEASE:
                others[name] = release
    supports = {name: _find_support(facts) for name, facts in catalogue["supports"].items()}
    return InstalledParts(
        frozenset(init.installed()), frozenset(files), others,
        {name: units for name, units in supports.items() if units},
        "system" if has_kernel_switch() else "netdev",
    )  # fmt: skip


def _find_support(facts):
    """Return the full names of the units that start what others package; () where it is not here."""
    if facts["start"] and _has_unit(facts["start"][0]):
        return tuple(unit for unit in facts["start"] if _has_unit(unit))
    return next(((unit + ".service",) for unit in facts["units"] if _has_unit(unit + ".service")), ())


def _has_unit(name):
    return any(os.path.exists(os.path.join(folder, name)) for folder in FOLDERS)


def has_kvm(device="/dev/kvm", processor="/proc/cpuinfo"):
    """Say whether guests can run on the processor of this host.

    The device proves nothing where the host is a guest itself: without vmx or svm its guests hang.
    """
    if not os.path.exists(device):
        return False
    try:
        with open(processor, encoding="utf-8", errors="replace") as file:
            flags = [set(line.partition(":")[2].split()) for line in file if line.startswith("flags")]
    except OSError:
        return False
    # Other architectures have no such line.
    return not flags or bool(flags[0] & {"vmx", "svm"})


def has_kernel_switch():
    """Say whether the kernel that runs has Open vSwitch's module: loaded, built in, or on the disk."""
    if os.path.isdir("/sys/module/" + SWITCH):
        return True
    folder = "/lib/modules/" + os.uname().release
    for name in ("modules.dep", "modules.builtin"):
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                if any("/%s.ko" % SWITCH in line.partition(":")[0] for line in file):
                    return True
        except OSError:
            continue
    return False


def device_of(address):
    """Return the network device that has an IPv4 address; None where none has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                # struct ifreq of netdevice(7): 16 bytes of name, then a sockaddr_in.
                answer = fcntl.ioctl(asking, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None


def find_tunnel_fault(datapath, address, devices="/sys/class/net"):
    """Return why a switch in user space cannot reach other hosts from this address, a sentence; else None.

    It sends tunnels by its own bridges only, each of which is a tun device of this host; tun_flags tells them
    (Open vSwitch's documentation, "Connecting VMs Using Tunnels (Userspace)").
    """
    name = device_of(address) if datapath != "system" else None
    if name is None or name == "lo" or os.path.exists(os.path.join(devices, name, "tun_flags")):
        return None
    return (
        "the kernel has no module openvswitch, and %s is on %s, no bridge of Open vSwitch: instances do not "
        "reach those of other hosts" % (address, name)
    )


def check_files(plan, passwords):
    """Refuse files that cannot be edited, and services that somebody else has set up.

    Where no run of ours has left passwords, one that is set already is of another cloud.
    """
    paths = [edit.path for edit in plan.edits] + [path for path, _, _ in plan.forbidden]
    files = {path: ini.read(path) for path in dict.fromkeys(paths)}
    for path, file in files.items():
        if file.problems:
            problem = file.problems[0]
            raise UsageError("%s:%d: %s" % (path, problem.line, problem.reason))
    for path, section, key in plan.forbidden:
        if files[path].value(section, key):
            message = "%s: [%s] %s is set: a host that only runs instances needs no database"
            hint = "openstack-config --del %s %s %s" % (path, section, key)
            raise UsageError(message % (path, section, key), hint=hint)
    if passwords:
        return
    for edit in plan.edits:
        if edit.secret and files[edit.path].value(edit.section, edit.key) not in NOT_SECRET:
            message = "%s: [%s] %s is set, and %s is not there: somebody else has set it up"
            raise UsageError(
                message % (edit.path, edit.section, edit.key, plan.steps[0].path),
                hint="--output names the folder with the passwords of an earlier run",
            )


def address_towards(controller):
    """Return the address of this host that reaches another one. No packet is sent. Raises UsageError."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(controller, 5000, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return probe.getsockname()[0].partition("%")[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError("--join %s: %s" % (controller, reason.lower())) from None
