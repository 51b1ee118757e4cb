# SPDX-License-Identifier: MIT
"""Checks of a guest that was started: its login, its cloud-init, its disk, its console, its end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from builder import json_text
from builder.formats.kernel_arguments import split
from builder.guest.checks.packaged import judge_verification
from builder.guest.instance import Datasource
from builder.guest.outcome import Check, Outcome, failed, judge_all, not_applicable, not_done, passed
from builder.guest.qemu import DiskBus
from builder.guest.record import BootRecord
from builder.sizes import MIB

BOOT_SECONDS = 60.0
SERIAL_GETTY = "serial-getty@ttyS0.service"

# How cloud-init names the source in result.json.
DATASOURCE_NAMES = {
    Datasource.NOCLOUD: "DataSourceNoCloud",
    Datasource.CONFIGDRIVE: "DataSourceConfigDrive",
    Datasource.EC2: "DataSourceEc2",
    Datasource.OPENSTACK: "DataSourceOpenStack",
}

# What the path of the disk in /sys holds, by bus.
BUS_MARKS = {
    DiskBus.VIRTIO_BLK: r"/virtio\d+/block/vd",
    DiskBus.VIRTIO_SCSI: r"/virtio\d+/host\d+/.*/block/sd",
    DiskBus.IDE: r"/ata\d+/host\d+/.*/block/sd",
    DiskBus.NVME: r"/nvme/nvme\d+/nvme\d+n\d+",
}


def _login(boot: BootRecord) -> Outcome:
    if boot.login_seconds is None:
        return failed(boot.failure or "no login")
    return passed(f"{boot.user} by key, {boot.login_seconds:.1f} s after power-on")


def _boot_seconds(boot: BootRecord) -> Outcome:
    if boot.login_seconds is None:
        raise not_done(boot.failure or "no login")
    measured = f"{boot.login_seconds:.1f} s to login under {boot.acceleration.name}"
    inside = boot.facts.get("boot-time")
    if inside and inside.status == 0 and inside.lines:
        measured += f"; {inside.lines[0].removeprefix('Startup finished in ').rstrip()}"
    if boot.acceleration.name != "kvm":
        raise not_applicable(f"{measured}: seconds of an emulated processor say nothing of a cloud's")
    if boot.login_seconds > BOOT_SECONDS:
        return failed(f"{measured}, limit {BOOT_SECONDS:.0f} s")
    return passed(measured)


def _cloud_init(boot: BootRecord) -> Outcome:
    fact = boot.fact("cloud-status")
    status = next((line.split(":", 1)[1].strip() for line in fact.lines if line.startswith("status:")), "")
    errors = [str(error) for error in _result(boot).get("errors") or ()]
    warnings = [line for line in fact.lines if line.startswith("- ")]
    if fact.status not in (0, 2) or not status.startswith(("done", "degraded")) or errors:
        return failed(f"status {status or fact.text[:100]}: {'; '.join(errors)}".rstrip(": "))
    # 2 is cloud-init's `recoverable errors` (23.4 and later): done, but something was not as configured.
    if fact.status == 2 or "degraded" in fact.text:
        reasons = "; ".join(warnings[:4]) or "cloud-init status --long gives no reason"
        return passed(f"done, degraded: {reasons}")
    return passed(f"status {status}, no error")


def _result(boot: BootRecord) -> dict[str, Any]:
    try:
        value = json_text.parse(boot.good_fact("cloud-result"))["v1"]
    except (ValueError, KeyError) as error:
        raise not_done("/run/cloud-init/result.json is not readable") from error
    return dict(value)


def _datasource(boot: BootRecord) -> Outcome:
    used = str(_result(boot).get("datasource"))
    expected = DATASOURCE_NAMES[boot.plan.datasource]
    return passed(used) if used.startswith(expected) else failed(f"{used}, not {expected}")


def _user(boot: BootRecord) -> Outcome:
    user = boot.good_fact("user")
    planned = boot.manifest.default_user if boot.manifest else None
    if planned and user != planned:
        return failed(f"logged in as {user}, the manifest says {planned}")
    return passed(f"{user}, groups {boot.good_fact('groups')}")


def _sudo(boot: BootRecord) -> Outcome:
    fact = boot.fact("sudo")
    if fact.status == 0 and fact.text == "0":
        return passed("sudo -n is root")
    if _gives_no_sudo(boot.scripted_cloud_config):
        raise not_applicable("the default user has no sudo, by scripts of the kickstart")
    return failed(f"sudo -n: {fact.text[:200]}")


def _gives_no_sudo(config: Mapping[str, Any]) -> bool:
    """Return whether a configuration says who the default user is, and gives no sudo without a password."""
    system = config.get("system_info")
    user = system.get("default_user") if isinstance(system, dict) else None
    return isinstance(user, dict) and "NOPASSWD" not in str(user.get("sudo"))


def _root_refused(boot: BootRecord) -> Outcome:
    if boot.scripted_cloud_config.get("disable_root") is False:
        raise not_applicable("cloud-init lets root in with the cloud's key, by scripts of the kickstart")
    if boot.root_login is None:
        raise not_done(boot.failure or "it was not tried")
    out = boot.root_login.stdout.strip()
    if "uid=0" in out:
        return failed("root may log in with the cloud's key")
    said = ((boot.root_login.stderr.strip() or out).splitlines() or ["ssh gave no reason"])[-1][:120]
    if boot.root_login.returncode == 0:
        return failed(f"root's login ended well: {said}")
    # 255 is ssh's own failure: only a denial is an answer of the guest, a lost connection is none.
    if boot.root_login.returncode == 255 and "denied" not in said.lower():
        raise not_done(said)
    return passed(said)


def _hostname(boot: BootRecord) -> Outcome:
    name = boot.good_fact("hostname")
    expected = boot.instance.hostname
    if boot.scripted_cloud_config.get("preserve_hostname") is True:
        raise not_applicable(f"{name}: cloud-init leaves the name alone, by scripts of the kickstart")
    if name.split(".")[0] == expected:
        return passed(name)
    return failed(f"{name}, the metadata says {expected}")


def _root_grown(boot: BootRecord) -> Outcome:
    grows = boot.scripted_cloud_config.get("growpart")
    # cloud-init's cc_growpart takes both for "off".
    if isinstance(grows, dict) and grows.get("mode") in ("off", False):
        raise not_applicable("cloud-init leaves the disk alone, by scripts of the kickstart")
    numbers = [int(line) for line in boot.good_fact("root-partition").split()]
    if len(numbers) != 3:
        raise not_applicable("the root file system is not on a partition")
    start, size, disk = (number * 512 for number in numbers)
    if disk != boot.disk_size:
        return failed(f"the disk has {disk} bytes, it was given {boot.disk_size}")
    slack = disk - (start + size)
    if slack > 2 * MIB:
        return failed(f"{slack // MIB} MiB after the root partition are not used")
    # The partition, or a logical volume on it: then others have the rest of the partition.
    held, own = int(boot.good_fact("root-size")), int(boot.good_fact("root-volume")) * 512
    # ext4, xfs and btrfs keep a few percent for themselves.
    if held < own * 0.9:
        return failed(f"the file system has {held // MIB} MiB of {own // MIB} MiB")
    planned = () if boot.manifest is None else boot.manifest.volumes
    others = sum(one.size for one in planned if one.mountpoint != "/")
    if own + others < size - 16 * MIB:
        return failed(f"the volume of / has {own // MIB} MiB of a partition of {size // MIB} MiB")
    return passed(f"/ has {held // MIB} MiB of a disk of {disk // MIB} MiB")


def _failed_units(boot: BootRecord) -> Outcome:
    fact = boot.fact("failed-units")
    if fact.status != 0:
        raise not_done(f"systemctl: {fact.text[:200]}")
    units = [line.split()[0].lstrip("●*") or line for line in fact.lines]
    return judge_all([f"{unit} failed" for unit in units], f"system {boot.fact('system-state').text}")


def _running(boot: BootRecord) -> Outcome:
    state = boot.fact("system-state")
    if state.text == "running":
        return passed("running")
    if state.status == 124:
        return failed("the system did not come up: jobs are still waiting")
    return failed(f"systemctl is-system-running: {state.text[:100]}")


def _serial_console(boot: BootRecord) -> Outcome:
    # GRUB moves the quotes of a word with a blank to its ends: the same to the kernel.
    words = [word.replace('"', "") for word in split(boot.good_fact("command-line"))]
    consoles = [word for word in words if word.startswith("console=")]
    given = boot.manifest.settings.kernel_arguments if boot.manifest else ""
    planned = [word.replace('"', "") for word in split(given)]
    problems = [f"the kernel was not given {word}" for word in planned if word not in words]
    if boot.manifest and not any(word.startswith("console=ttyS0") for word in planned):
        return judge_all(problems, "no serial console, as the kickstart says")
    has_prompt = f"/etc/systemd/system/{SERIAL_GETTY}" not in boot.changed
    if not any(word.startswith("console=ttyS0") for word in consoles):
        problems.append("the kernel was given no console=ttyS0")
    if (
        not any(word.startswith("console=") for word in planned)
        and consoles[-1:] != [word for word in consoles if word.startswith("console=ttyS0")][-1:]
    ):
        problems.append(f"the last console is {consoles[-1]}")
    if "quiet" not in words and not re.search(r"(?m)^\[ *\d+\.\d+\] ", boot.serial):
        problems.append("the serial log holds no message of the kernel")
    if has_prompt and not re.search(r"\blogin:", boot.serial):
        problems.append("the serial log holds no login prompt")
    if has_prompt and boot.fact("serial-getty").text != "active":
        problems.append(f"serial-getty@ttyS0 is {boot.fact('serial-getty').text}")
    seen = "a login prompt" if has_prompt else "no login prompt, by scripts of the kickstart,"
    return judge_all(problems, f"{' '.join(consoles)}; kernel messages and {seen} on ttyS0")


def _firmware(boot: BootRecord) -> Outcome:
    used = boot.good_fact("firmware")
    return passed(used) if used == boot.plan.firmware else failed(f"{used}, not {boot.plan.firmware}")


def _secure_boot(boot: BootRecord) -> Outcome:
    if not boot.plan.secure:
        raise not_applicable("the boot was without Secure Boot (--secure-boot)")
    value = boot.good_fact("secure-boot")
    return passed("the firmware says that it is on") if value == "1" else failed(f"it is off: {value}")


def _disk_bus(boot: BootRecord) -> Outcome:
    device = boot.good_fact("root-device")
    if re.search(BUS_MARKS[boot.plan.disk_bus], device):
        return passed(f"{boot.plan.disk_bus}: {boot.good_fact('root-source')}")
    return failed(f"the root is on {device}, not on {boot.plan.disk_bus}")


def _network(boot: BootRecord) -> Outcome:
    links = [line.split() for line in boot.fact("links").lines]
    ours = next((link for link in links if len(link) == 3 and link[1] == boot.instance.mac), None)
    if ours is None:
        return failed(f"no network card has the MAC {boot.instance.mac}")
    words = boot.good_fact("command-line").split()
    if "net.ifnames=0" in words and ours[0] != "eth0":
        return failed(f"net.ifnames=0, but the card is {ours[0]}")
    return passed(f"{ours[0]} with a random MAC is {ours[2]}")


def _host_keys(boot: BootRecord) -> Outcome:
    keys = host_keys(boot)
    return judge_all([] if keys else ["/etc/ssh has no host key"], ", ".join(sorted(keys)))


def host_keys(boot: BootRecord) -> dict[str, str]:
    """Return the public host keys, by type."""
    rows = (line.split() for line in boot.fact("host-keys").lines)
    return {row[0]: row[1] for row in rows if len(row) > 1 and "-" in row[0]}


def _machine_id(boot: BootRecord) -> Outcome:
    value = boot.good_fact("machine-id")
    return passed(value) if re.fullmatch(r"[0-9a-f]{32}", value) else failed(f"`{value[:60]}`")


def _random_device(boot: BootRecord) -> Outcome:
    device = boot.good_fact("random-device")
    return passed(device) if device.startswith("virtio") else failed(f"rng_current is `{device}`")


def _rpm_verify(boot: BootRecord) -> Outcome:
    if not boot.was_asked_all:
        raise not_applicable("done in the first boot of this run")
    fact = boot.fact("rpm-verify")
    problems, changed = judge_verification(fact.lines, boot.changed)
    said = f"; configuration, or by scripts: {', '.join(changed)}" if changed else ""
    return judge_all(problems, f"rpm -Va is clean{said}")


def _labels(boot: BootRecord) -> Outcome:
    mode = {"none": "not running", "0": "permissive", "1": "enforcing"}.get(boot.good_fact("selinux"), "?")
    planned = boot.manifest.settings.selinux if boot.manifest else None
    if planned in ("enforcing", "permissive") and mode != planned:
        return failed(f"SELinux is {mode} in the guest, the kickstart says {planned}")
    if mode == "not running":
        raise not_applicable("SELinux is not running in the guest")
    problems = [f"denied: {line}" for line in boot.fact("denials").lines]
    if "labels" in boot.facts:
        problems += [line for line in boot.fact("labels").lines if "relabel" in line.lower()]
    return judge_all(problems, f"{mode}, nothing denied, every label as in the policy")


def _shutdown(boot: BootRecord) -> Outcome:
    if boot.login_seconds is None:
        raise not_done(boot.failure or "no login")
    if boot.shutdown_seconds is None:
        return failed(f"still there {boot.shutdown_limit:.0f} s after the power button")
    return passed(f"off {boot.shutdown_seconds:.1f} s after the power button")


CHECKS: tuple[Check[BootRecord], ...] = (
    Check(
        id="login",
        rows=(4, 10),
        explanation="The guest starts, and the default user gets in by ssh with the key of the metadata.",
        judge=_login,
    ),
    Check(
        id="boot-seconds",
        rows=(26,),
        explanation="Login is possible within 60 s of power-on; where the CPU is emulated the seconds are "
        "only reported.",
        judge=_boot_seconds,
    ),
    Check(
        id="firmware-used",
        rows=(4,),
        explanation="The guest was started by the firmware that this boot is about.",
        judge=_firmware,
    ),
    Check(
        id="secure-boot-on",
        rows=(31,),
        explanation="With --secure-boot: the firmware that started the guest says that Secure Boot is on.",
        judge=_secure_boot,
    ),
    Check(
        id="disk-bus-used",
        rows=(6,),
        explanation="The root is on the disk bus that this boot is about.",
        judge=_disk_bus,
    ),
    Check(
        id="cloud-init-done",
        rows=(10,),
        explanation="cloud-init status is done, without errors; warnings are reported.",
        judge=_cloud_init,
    ),
    Check(
        id="datasource-used",
        rows=(10,),
        explanation="cloud-init took the metadata from where this boot offers them.",
        judge=_datasource,
    ),
    Check(
        id="default-user",
        rows=(10,),
        explanation="The user that logged in is the manifest's default user.",
        judge=_user,
    ),
    Check(
        id="passwordless-sudo",
        rows=(10,),
        explanation="The default user becomes root by sudo without a password.",
        judge=_sudo,
    ),
    Check(
        id="root-ssh-refused",
        rows=(10,),
        explanation="root does not get in by ssh with the same key.",
        judge=_root_refused,
    ),
    Check(
        id="hostname",
        rows=(12,),
        explanation="The guest has the name that the metadata give it.",
        judge=_hostname,
    ),
    Check(
        id="root-grown",
        rows=(2, 3),
        explanation="Root partition and root file system fill the disk, however large it was made.",
        judge=_root_grown,
    ),
    Check(
        id="no-failed-units",
        rows=(26,),
        explanation="systemctl --failed lists nothing.",
        judge=_failed_units,
    ),
    Check(
        id="system-running",
        rows=(26,),
        explanation="systemctl is-system-running says `running`: nothing failed, no job waits for ever.",
        judge=_running,
    ),
    Check(
        id="serial-console",
        rows=(5,),
        explanation="The kernel writes to ttyS0, which is its last console unless the kickstart says "
        "otherwise, and a login prompt is there.",
        judge=_serial_console,
    ),
    Check(
        id="network",
        rows=(7, 8),
        explanation="A card with a random MAC gets its address; it is eth0 with net.ifnames=0.",
        judge=_network,
    ),
    Check(
        id="host-keys-made",
        rows=(9,),
        explanation="The guest has made ssh host keys.",
        judge=_host_keys,
    ),
    Check(
        id="machine-id-set",
        rows=(13,),
        explanation="The guest has a machine id.",
        judge=_machine_id,
    ),
    Check(
        id="random-device",
        rows=(26,),
        explanation="The kernel uses the virtio random-number device.",
        judge=_random_device,
    ),
    Check(
        id="rpm-verify",
        rows=(17,),
        explanation="rpm -Va in the guest finds owners, groups, modes, capabilities and links as packaged; "
        "configuration files, and what scripts of the kickstart changed, may differ.",
        judge=_rpm_verify,
    ),
    Check(
        id="selinux-labels",
        rows=(16,),
        explanation="SELinux runs as the kickstart says; then nothing was denied, and setfiles would change "
        "no label.",
        judge=_labels,
    ),
    Check(
        id="clean-shutdown",
        rows=(25,),
        explanation="The guest turns itself off within 30 s of the power button (five times that where the "
        "CPU is emulated).",
        judge=_shutdown,
    ),
)
