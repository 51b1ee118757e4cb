# SPDX-License-Identifier: MIT
"""Checks of what makes an image safe to start a hundred times: no identity, no secret, no maker's trace."""

from __future__ import annotations

import hashlib
import re
import socket

from builder.guest.checks.authored import BY_SCRIPTS, is_by_scripts, is_kept
from builder.guest.evidence import ImageEvidence
from builder.guest.outcome import Check, Outcome, failed, judge_all, not_applicable, passed

# crypt(5) strings begin so, or are DES's 13 characters; anything else in shadow lets nobody in, but only
# these three are what tools understand as locked.
LOCKED = ("!", "*")
HASH = re.compile(r"^!?(\$[0-9a-z]+\$.+|[./0-9A-Za-z]{13}|_[./0-9A-Za-z]{19})$")

# Names that are everybody's, so that finding them proves nothing.
COMMON_NAMES = {"localhost", "localdomain", "linux", "debian", "ubuntu", "fedora", "root", "host", "build"}

HARDWARE_ADDRESS = re.compile(
    r"(?i)\b(?:HWADDR|MACADDR|mac-address|MACAddress)\s*=\s*\"?((?:[0-9a-f]{2}:){5}[0-9a-f]{2})"
)


def _shadow(evidence: ImageEvidence) -> dict[str, str]:
    rows = (line.split(":") for line in evidence.tree.lines("/etc/shadow"))
    return {row[0]: row[1] for row in rows if len(row) > 1}


def _root_locked(evidence: ImageEvidence) -> Outcome:
    if evidence.has_manifest and not evidence.manifest.settings.root_locked:
        raise not_applicable("the kickstart gives root a password")
    field = _shadow(evidence).get("root")
    if field is None:
        return failed("root is not in /etc/shadow")
    if field == "":
        return failed("root has an empty password")
    if not field.startswith(LOCKED):
        known = "a password" if HASH.match(field) else f"`{field}`, which locks nothing by convention"
        return failed(f"root has {known}")
    return passed(f"root's password is `{field[:1]}`")


def _planned_users(evidence: ImageEvidence) -> set[str]:
    """Return the accounts that the kickstart makes or gives a password."""
    if not evidence.has_manifest:
        return set()
    settings = evidence.manifest.settings
    if settings.passwords is not None:
        return set(settings.passwords)
    planned = {user.name for user in settings.users}
    return planned | (set() if settings.root_locked else {"root"})


def _no_passwords(evidence: ImageEvidence) -> Outcome:
    planned = _planned_users(evidence)
    problems, empty = [], []
    for name, field in _shadow(evidence).items():
        if field == "" and _has_empty_password_on_purpose(evidence, name):
            empty.append(name)
        elif field == "":
            problems.append(f"{name} has an empty password")
        elif HASH.match(field) and not field.startswith("!") and name not in planned:
            problems.append(f"{name} has a password that the kickstart did not give")
    for line in evidence.tree.lines("/etc/passwd"):
        name, password, uid, *_ = [*line.split(":"), "", "", ""]
        if password != "x":
            problems.append(f"{name} has `{password}` in /etc/passwd")
        if uid == "0" and name not in ("root", *_superusers(evidence)):
            problems.append(f"{name} has uid 0")
    said = f"{len(_shadow(evidence))} accounts, none with a password of its own"
    if empty:
        said += f"; without a password, {BY_SCRIPTS}: {', '.join(empty)}"
    if _superusers(evidence):
        said += f"; uid 0, by the kickstart: {', '.join(_superusers(evidence))}"
    return judge_all(problems, said)


def _has_empty_password_on_purpose(evidence: ImageEvidence, name: str) -> bool:
    # An older manifest names no accounts: then nobody is known to have wanted it.
    return evidence.has_manifest and name in (evidence.manifest.settings.passwords or ())


def _superusers(evidence: ImageEvidence) -> tuple[str, ...]:
    return evidence.manifest.settings.superusers if evidence.has_manifest else ()


def _no_host_keys(evidence: ImageEvidence) -> Outcome:
    if not evidence.tree.exists("/etc/ssh"):
        raise not_applicable("the image has no /etc/ssh")
    names = [name for name in evidence.tree.names("/etc/ssh") if re.match(r"ssh_host_.*key", name)]
    keys = [f"/etc/ssh/{name}" for name in names if not is_kept(evidence, f"/etc/ssh/{name}")]
    return judge_all(keys, "/etc/ssh has no ssh_host_*" if not names else "only those kept on purpose")


def _no_authorized_keys(evidence: ImageEvidence) -> Outcome:
    homes = {"root": "/root"}
    for line in evidence.tree.lines("/etc/passwd"):
        fields = line.split(":")
        if len(fields) > 5 and fields[5].startswith("/home"):
            homes[fields[0]] = fields[5]
    found: list[str] = []
    planned: list[str] = []
    for user, home in sorted(homes.items()):
        path = f"{home}/.ssh/authorized_keys"
        if evidence.tree.lines(path):
            (planned if _has_planned_key(evidence, user, path) else found).append(path)
    present = f"only {', '.join(planned)}, of users that the kickstart makes" if planned else "none"
    return judge_all(found, present)


def _has_planned_key(evidence: ImageEvidence, user: str, path: str) -> bool:
    known = evidence.manifest.settings.ssh_keys if evidence.has_manifest else None
    if known is not None:
        return user in known or path in known
    # An older manifest names no keys: a user of the kickstart may have one by its `sshkey`.
    return user in _planned_users(evidence) - {"root"}


def _machine_id(evidence: ImageEvidence) -> Outcome:
    if not evidence.tree.exists("/etc/machine-id"):
        return failed("/etc/machine-id is not there: a read-only start could not make one")
    content = evidence.tree.text("/etc/machine-id").strip()
    if content not in ("", "uninitialized") and not is_kept(evidence, "/etc/machine-id"):
        return failed(f"/etc/machine-id is `{content[:40]}`")
    legacy = "/var/lib/dbus/machine-id"
    if evidence.tree.link(legacy) is None and evidence.tree.text(legacy).strip():
        return failed(f"{legacy} holds an id of its own")
    return passed(f"/etc/machine-id is {content or 'empty'}")


def _no_random_seed(evidence: ImageEvidence) -> Outcome:
    places = (
        "/var/lib/systemd/random-seed",
        "/var/lib/random-seed",
        "/boot/loader/random-seed",
        "/boot/efi/loader/random-seed",
        "/var/lib/systemd/credential.secret",
    )
    found = [path for path in places if evidence.tree.exists(path) and not is_kept(evidence, path)]
    return judge_all(found, "none")


def _resolv_conf(evidence: ImageEvidence) -> Outcome:
    path = "/etc/resolv.conf"
    target = evidence.tree.link(path)
    if target is not None:
        return passed(f"a link to {target}")
    if is_kept(evidence, path):
        return passed("written by the kickstart")
    servers = [line for line in evidence.tree.lines(path) if line.startswith(("nameserver", "search"))]
    return judge_all([f"{path} has `{line}`" for line in servers], "empty or absent")


def _network(evidence: ImageEvidence) -> Outcome:
    problems = []
    rules = evidence.tree.names("/etc/udev/rules.d")
    problems += [
        f"/etc/udev/rules.d/{name}"
        for name in rules
        if re.match(r"7[05]-persistent-(net|cd)", name)
        and evidence.tree.lines(f"/etc/udev/rules.d/{name}")
        and not is_kept(evidence, f"/etc/udev/rules.d/{name}")
    ]
    folders = (
        "/etc/sysconfig/network-scripts",
        "/etc/NetworkManager/system-connections",
        "/etc/systemd/network",
        "/etc/netplan",
    )
    for folder in folders:
        for path in evidence.tree.files(folder):
            named = {address.lower() for address in HARDWARE_ADDRESS.findall(evidence.tree.text(path))}
            if named - _planned_addresses(evidence) and not is_by_scripts(evidence, path):
                problems.append(f"{path} is bound to a MAC")
    leases = [
        path
        for folder in ("/var/lib/dhclient", "/var/lib/dhcp", "/var/lib/NetworkManager")
        for path in evidence.tree.files(folder)
        if ("lease" in path or "secret_key" in path) and not is_kept(evidence, path)
    ]
    problems += [f"{path} is left" for path in leases]
    return judge_all(problems, "no rule, connection or lease bound to a machine")


def _planned_addresses(evidence: ImageEvidence) -> frozenset[str]:
    """Return the hardware addresses, in lower case, that network lines of the kickstart name."""
    named = evidence.manifest.settings.hardware_addresses if evidence.has_manifest else ()
    return frozenset(address.lower() for address in named)


def _hostname(evidence: ImageEvidence) -> Outcome:
    content = " ".join(evidence.tree.lines("/etc/hostname"))
    planned = evidence.manifest.settings.hostname if evidence.has_manifest else None
    if planned and content != planned:
        return failed(f"/etc/hostname is `{content}`, the kickstart says `{planned}`")
    if not planned and content.split(".")[0] not in ("", "localhost", "fedora"):
        return failed(f"/etc/hostname is `{content}`, which the kickstart did not ask for")
    return passed(f"/etc/hostname is `{content}`" if content else "/etc/hostname is empty or absent")


def _builder_name(evidence: ImageEvidence) -> Outcome:
    name = socket.gethostname().split(".")[0]
    if len(name) < 4 or name.lower() in COMMON_NAMES:
        raise not_applicable(f"this host's name, `{name}`, is too common to look for")
    pattern = re.compile(rb"(?<![\w-])" + re.escape(name.encode()) + rb"(?![\w-])", re.IGNORECASE)
    found = []
    for folder in ("/etc", "/root", "/var/lib", "/var/log", "/boot/loader"):
        for path in evidence.tree.files(folder):
            if path.startswith(evidence.rpm.folder) or evidence.tree.size(path) > 4 << 20:
                continue
            content = evidence.tree.bytes(path)
            # Scripts do not learn the name of the host: in what they wrote it is a word of the author's.
            by_others = not _is_as_packaged(evidence, path, content) and path not in evidence.changed
            if pattern.search(content) and by_others:
                found.append(f"{path} has `{name}`")
    return judge_all(found, f"`{name}` is in no file that neither a package nor a script brought")


def _is_as_packaged(evidence: ImageEvidence, path: str, content: bytes) -> bool:
    known = evidence.rpm.files.get(path)
    return known is not None and hashlib.sha256(content).hexdigest() == known.sha256


def _lvm(evidence: ImageEvidence) -> Outcome:
    path = "/etc/lvm/devices/system.devices"
    if not evidence.tree.exists("/etc/lvm"):
        raise not_applicable("the image has no LVM")
    if is_kept(evidence, path):
        return passed(f"{path} is the kickstart's")
    return judge_all([path] if evidence.tree.exists(path) else [], f"no {path}")


def _no_junk(evidence: ImageEvidence) -> Outcome:
    tree, problems = evidence.tree, []
    for folder in ("/tmp", "/var/tmp"):
        # A file system of its own has lost+found there.
        mounted = any(mount.point == folder for mount in evidence.mounts)
        problems += [f"{folder}/{name}" for name in tree.names(folder) if not mounted or name != "lost+found"]
    for folder in ("/var/cache/dnf", "/var/cache/yum", "/var/cache/libdnf5", "/var/lib/dnf/modulefailsafe"):
        problems += list(tree.files(folder))[:3]
    logs = ("/var/log/dnf", "/var/log/yum", "/var/log/hawkey", "/var/log/anaconda", "/var/log/cloud-init")
    for path in tree.files("/var/log"):
        if path.startswith(logs) or "/journal/" in path or tree.size(path):
            problems.append(path)
    for name in tree.names("/root"):
        path = f"/root/{name}"
        # Of a folder that was there before, what a script put into it is kept, not the folder.
        inside = [path] if tree.is_file(path) else list(tree.files(path))
        if path not in evidence.rpm.files and any(not is_kept(evidence, one) for one in inside):
            problems.append(path)
    problems += [path for path in ("/var/lib/cloud/instance", "/var/lib/cloud/data") if tree.exists(path)]
    problems += [
        f"{folder}/.build" for folder in (evidence.rpm.folder, "") if tree.exists(f"{folder}/.build")
    ]
    problems = [path for path in problems if not is_kept(evidence, path)]
    return judge_all(problems, "no package cache, log, kickstart or leftover in /tmp, /var, /root")


CHECKS: tuple[Check[ImageEvidence], ...] = (
    Check(
        id="root-locked",
        rows=(11,),
        explanation="root has no usable password, unless the kickstart sets one.",
        judge=_root_locked,
    ),
    Check(
        id="no-passwords",
        rows=(11,),
        explanation="No account has an empty password, or one that the kickstart did not give; "
        "only root has uid 0.",
        judge=_no_passwords,
    ),
    Check(
        id="no-host-keys",
        rows=(9,),
        explanation="No ssh host key in the image: every guest makes its own.",
        judge=_no_host_keys,
    ),
    Check(
        id="no-authorized-keys",
        rows=(9, 10),
        explanation="No public key may log in but the kickstart's own: keys come from the cloud.",
        judge=_no_authorized_keys,
    ),
    Check(
        id="machine-id-empty",
        rows=(13,),
        explanation="/etc/machine-id is empty or `uninitialized`; D-Bus has no other.",
        judge=_machine_id,
    ),
    Check(
        id="no-random-seed",
        rows=(14,),
        explanation="No random seed or credential secret that all guests would share.",
        judge=_no_random_seed,
    ),
    Check(
        id="resolv-conf",
        rows=(15,),
        explanation="/etc/resolv.conf is a link, empty or absent, never the builder's.",
        judge=_resolv_conf,
    ),
    Check(
        id="no-fixed-network",
        rows=(7,),
        explanation="No udev rule, connection or lease that belongs to one network card.",
        judge=_network,
    ),
    Check(
        id="hostname-unset",
        rows=(12,),
        explanation="/etc/hostname is what the kickstart says, or nothing: the cloud gives the name.",
        judge=_hostname,
    ),
    Check(
        id="no-builder-name",
        rows=(12,),
        explanation="The name of the host that runs this check is in no file of the image.",
        judge=_builder_name,
    ),
    Check(
        id="no-lvm-devices",
        rows=(29,),
        explanation="LVM's list of devices is not in the image, unless the kickstart wrote one: with it no "
        "other disk would be seen.",
        judge=_lvm,
    ),
    Check(
        id="no-junk",
        rows=(18, 19),
        explanation="No package cache, logs, temporary files, kickstart copies or traces of a first boot.",
        judge=_no_junk,
    ),
)
