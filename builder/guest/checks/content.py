# SPDX-License-Identifier: MIT
"""Checks of what is in the image: packages, their files, settings, services, cloud-init, console."""

from __future__ import annotations

import re

from builder.errors import listed
from builder.formats import rpmquery
from builder.formats.kernel_arguments import from_entry, from_menu, split
from builder.guest.checks.authored import (
    BY_SCRIPTS,
    is_by_scripts,
    is_changed,
    is_kept,
    removed,
    turned_off,
)
from builder.guest.evidence import ImageEvidence
from builder.guest.outcome import Check, Outcome, failed, judge_all, not_applicable, passed
from builder.kickstart.disk.filesystems import KINDS

ENTRIES, GRUB_CONFIGS = "/boot/loader/entries", ("/boot/grub2/grub.cfg", "/boot/grub/grub.cfg")
DISABLED = "/etc/cloud/cloud-init.disabled"
DATASOURCES = ("OpenStack", "ConfigDrive", "Ec2", "NoCloud")
GROWERS = ("cloud-utils-growpart", "growpart", "cloud-guest-utils", "dracut-modules-growroot")

# Files that a package brings and that a build, or the making of the file, changes. Path -> why.
CHANGED_BY_BUILD = {
    "/etc/machine-id": "emptied for the first boot",
}


def _rpm_database(evidence: ImageEvidence) -> Outcome:
    folder = evidence.rpm.folder
    # A write-ahead log that is not empty: the database was not closed, a copy of it alone is not whole.
    problems = [
        f"{folder}/{name} is left"
        for name in evidence.tree.names(folder)
        if name.startswith("__db") or (name.endswith("-wal") and evidence.tree.size(f"{folder}/{name}"))
    ]
    done = evidence.rpm.ask("rpmdb", "--verifydb", ok=())
    if done.returncode:
        problems.append(f"rpmdb --verifydb: {(done.stderr or done.stdout).strip()[:200]}")
    return judge_all(problems, f"{folder}, {len(evidence.rpm.packages)} packages")


def _keys_imported(evidence: ImageEvidence) -> Outcome:
    if evidence.has_manifest and not evidence.manifest.inputs.gpgcheck:
        raise not_applicable("the image was built with --no-gpgcheck")
    folder = "/etc/yum.repos.d"
    wanted = set()
    for path in evidence.tree.files(folder):
        for line in evidence.tree.lines(path):
            if line.startswith("gpgkey="):
                wanted.update(re.findall(r"file://(\S+)", line))
    count = sum(
        name == "gpg-pubkey" for name, _ in evidence.rpm.query(*map(rpmquery.tag, ("NAME", "VERSION")))
    )
    missing = [
        f"{path} is not there, a repository names it"
        for path in sorted(wanted)
        if "$" not in path and not evidence.tree.exists(path) and not is_by_scripts(evidence, path)
    ]
    if not count and not wanted and not is_changed(f"{folder}/*.repo", evidence.changed, missing=True):
        return failed("no key in the rpm database and none named by a repository: dnf could check nothing")
    return judge_all(missing, f"{count} keys in the rpm database, {len(wanted)} named by repositories")


def _packages(evidence: ImageEvidence) -> Outcome:
    planned = {one.nevra for one in evidence.manifest.packages if one.name != "gpg-pubkey"}
    actual = set(evidence.rpm.packages)
    problems = [f"{nevra} is not in the image" for nevra in sorted(planned - actual)]
    problems += [f"{nevra} is not in the manifest" for nevra in sorted(actual - planned)]
    return judge_all(problems, f"{len(actual)} packages, as in the manifest")


def _package_files(evidence: ImageEvidence) -> Outcome:
    problems, count, by_scripts = [], 0, []
    for known in evidence.rpm.files.values():
        if known.is_ghost or known.is_config or known.path in CHANGED_BY_BUILD:
            continue
        if not evidence.tree.exists(known.path):
            if is_changed(known.path, evidence.changed, missing=True):
                by_scripts.append(known.path)
            elif not known.is_optional:
                problems.append(f"{known.path} is missing")
            continue
        count += 1
        # An old package has md5 digests; rpm -V inside the guest covers those.
        if len(known.sha256) == 64 and evidence.tree.sha256(known.path) != known.sha256:
            if is_changed(known.path, evidence.changed):
                by_scripts.append(known.path)
            else:
                problems.append(f"{known.path} has other content")
    said = f"{count} files as packaged"
    if by_scripts:
        said += f", but for what scripts changed: {listed(by_scripts)}"
    return judge_all(problems, said)


def _locale(evidence: ImageEvidence) -> Outcome:
    tree, problems, seen = evidence.tree, [], []
    settings = evidence.manifest.settings
    if settings.lang:
        actual = tree.settings("/etc/locale.conf").get("LANG")
        seen.append(f"lang {actual}")
        if actual != settings.lang:
            problems.append(f"LANG in /etc/locale.conf is {actual}, not {settings.lang}")
    if settings.keymap:
        actual = tree.settings("/etc/vconsole.conf").get("KEYMAP")
        seen.append(f"keymap {actual}")
        if actual != settings.keymap:
            problems.append(f"KEYMAP in /etc/vconsole.conf is {actual}, not {settings.keymap}")
    if settings.timezone:
        link = tree.link("/etc/localtime") or ""
        actual = link.partition("zoneinfo/")[2]
        seen.append(f"timezone {actual}")
        if actual != settings.timezone:
            problems.append(f"/etc/localtime is a link to `{link}`, not to {settings.timezone}")
        elif not tree.is_file("/etc/localtime"):
            problems.append(f"/etc/localtime is a link to a file that does not exist: {link}")
    if not seen:
        raise not_applicable("the manifest names no lang, keymap or timezone")
    return judge_all(problems, ", ".join(seen))


def _services(evidence: ImageEvidence) -> Outcome:
    enabled = _enabled_units(evidence)
    settings = evidence.manifest.settings
    wanted = settings.services_enabled
    unwanted = settings.services_disabled
    if not wanted and not unwanted:
        raise not_applicable("the kickstart enables and disables nothing")
    problems = [f"{name} is not enabled" for name in wanted if not _unit_names(evidence, name) & enabled]
    problems += [f"{name} is enabled" for name in unwanted if _unit_names(evidence, name) & enabled]
    return judge_all(problems, f"{len(wanted)} enabled, {len(unwanted)} disabled, as the kickstart says")


def _enabled_units(evidence: ImageEvidence) -> set[str]:
    """Names of the units that /etc/systemd/system makes something want, and of their aliases."""
    found = set()
    folder = "/etc/systemd/system"
    for name in evidence.tree.names(folder):
        if name.endswith((".wants", ".requires")):
            found.update(evidence.tree.names(f"{folder}/{name}"))
        elif evidence.tree.link(f"{folder}/{name}") not in (None, "/dev/null"):
            found.add(name)
    # What is masked is not started, whoever wants it.
    return {name for name in found if evidence.tree.link(f"{folder}/{name}") != "/dev/null"}


def _unit_names(evidence: ImageEvidence, name: str) -> set[str]:
    """Return the unit's full name and its aliases (links in /usr/lib, `Alias=`, both ways)."""
    unit = name if "." in name else f"{name}.service"
    names = {unit}
    for folder in ("/etc/systemd/system", "/usr/lib/systemd/system"):
        for other in evidence.tree.names(folder):
            target = evidence.tree.link(f"{folder}/{other}")
            if target and target != "/dev/null":
                pair = {other, target.rsplit("/", 1)[-1]}
                if pair & names:
                    names |= pair
            elif other.endswith(".service"):
                aliases = re.findall(r"(?m)^Alias=(.*)$", evidence.tree.text(f"{folder}/{other}"))
                if unit in " ".join(aliases).split():
                    names.add(other)
    return names


def _cloud_init(evidence: ImageEvidence) -> Outcome:
    enabled = _enabled_units(evidence)
    # cloud-init 24 renamed cloud-init.service to cloud-init-network.service (Fedora 43).
    stages = (
        ("cloud-init-local.service", "cloud-init-main.service"),
        ("cloud-init.service", "cloud-init-network.service"),
        ("cloud-config.service",),
        ("cloud-final.service",),
    )
    config = evidence.cloud_config
    off = [names for names in stages if not set(names) & enabled]
    if evidence.tree.exists(DISABLED) and is_by_scripts(evidence, DISABLED):
        raise not_applicable(f"turned off {BY_SCRIPTS}: {DISABLED}")
    if off and all(set(names) & turned_off(evidence) for names in off):
        raise not_applicable(f"turned off by the kickstart: {', '.join(names[0] for names in off)}")
    problems = [f"{names[0]} is not enabled" for names in off]
    if evidence.tree.exists(DISABLED):
        problems.append(f"{DISABLED} is there")
    sources = config.get("datasource_list")
    unknown = evidence.unknown_datasources
    if unknown and {str(name) for name in sources or ()} <= {*unknown, "None"}:
        problems.append(f"cloud-init of the image knows no datasource {', '.join(unknown)}")
    if "datasource_list" in evidence.scripted_cloud_config:
        return judge_all(problems, f"enabled; datasources {sources}, {BY_SCRIPTS}")
    if sources is not None:
        problems += [f"datasource_list lacks {name}" for name in DATASOURCES if name not in sources]
    return judge_all(problems, f"enabled; datasources {', '.join(sources) if sources else 'all'}")


def _cloud_user(evidence: ImageEvidence) -> Outcome:
    user, scripted = default_user(evidence), evidence.scripted_cloud_config
    if user is None and ("users" in scripted or "system_info" in scripted):
        return passed(f"no default user, {BY_SCRIPTS}")
    if user is None:
        return failed("cloud-init's configuration names no default user")
    planned = evidence.manifest.default_user if evidence.has_manifest else None
    if planned and user != planned:
        return failed(f"cloud-init's default user is {user}, the manifest says {planned}")
    if scripted.get("disable_root") is False:
        return passed(f"default user {user}; root may log in with the cloud's key, {BY_SCRIPTS}")
    if evidence.cloud_config.get("disable_root") is False:
        return failed("disable_root is false: root may log in with the cloud's key")
    return passed(f"default user {user}")


def default_user(evidence: ImageEvidence) -> str | None:
    """Return the name of cloud-init's default user; None: there is none."""
    system = evidence.cloud_config.get("system_info")
    user = system.get("default_user") if isinstance(system, dict) else None
    name = user.get("name") if isinstance(user, dict) else None
    return str(name) if name else None


def _grow_tools(evidence: ImageEvidence) -> Outcome:
    problems = []
    if removed(evidence) & set(GROWERS):
        raise not_applicable(f"growpart was removed {BY_SCRIPTS}")
    if not evidence.rpm.has_package(*GROWERS) and not evidence.tree.is_file("/usr/bin/growpart"):
        problems.append("growpart is not installed")
    kind = KINDS.get(evidence.root.type)
    tool = kind.grown_by if kind else None
    if tool is None:
        raise not_applicable(f"nothing grows a {evidence.root.type} file system")
    if not any(evidence.tree.is_file(f"{folder}/{tool}") for folder in ("/usr/sbin", "/usr/bin", "/sbin")):
        problems.append(f"{tool} is not installed")
    return judge_all(problems, f"growpart and {tool}")


def _console(evidence: ImageEvidence) -> Outcome:
    lines = kernel_command_lines(evidence)
    if not lines:
        return failed("no boot entry was found in /boot")
    planned = _planned_arguments(evidence)
    problems, by_scripts = [], []
    for where, words in lines:
        if is_by_scripts(evidence, _path_of(where)):
            by_scripts.append(where)
            continue
        consoles, expected = _consoles(words), _consoles(planned)
        problems += [f"{where} lacks {word}" for word in planned if word not in words]
        if evidence.has_manifest and consoles != expected:
            problems.append(
                f"{where} has {' '.join(consoles) or 'no console='}, not {' '.join(expected) or 'none'}"
            )
        if not evidence.has_manifest and (not consoles or not consoles[-1].startswith("console=ttyS0")):
            problems.append(f"{where}: the last console is not ttyS0")
    timeouts = re.findall(r"(?m)^\s*set timeout=(\d+)", _grub_config(evidence))
    waits = timeouts and min(int(value) for value in timeouts) > 1 and not _plans_timeout(evidence)
    if waits and not any(is_by_scripts(evidence, path) for path in GRUB_CONFIGS):
        problems.append(f"the boot menu waits {min(timeouts)} s")
    said = " ".join(_consoles(lines[0][1])) or "no console=, as the kickstart says"
    if by_scripts:
        said += f"; written {BY_SCRIPTS}: {', '.join(by_scripts)}"
    return judge_all(problems, f"{len(lines)} boot entries: {said}")


def _path_of(where: str) -> str:
    """Return the file of what `kernel_command_lines` names."""
    return f"{ENTRIES}/{where}" if where.endswith(".conf") else GRUB_CONFIGS[0]


def _consoles(words: list[str]) -> list[str]:
    return [word for word in words if word.startswith("console=")]


def _planned_arguments(evidence: ImageEvidence) -> list[str]:
    return split(evidence.manifest.settings.kernel_arguments) if evidence.has_manifest else []


def _plans_timeout(evidence: ImageEvidence) -> bool:
    return evidence.has_manifest and (evidence.manifest.settings.boot_timeout or 0) > 1


def _grub_config(evidence: ImageEvidence) -> str:
    return next(filter(None, map(evidence.tree.text, GRUB_CONFIGS)), "")


def kernel_command_lines(evidence: ImageEvidence) -> list[tuple[str, list[str]]]:
    """Return (where, words) of every kernel command line that the boot loader may use.

    Boot entries (the Boot Loader Specification) and `linux` lines of grub.cfg; `$kernelopts` and the like
    are left out.
    """
    found = []
    variables = _grub_environment(evidence)
    for name in evidence.tree.names(ENTRIES):
        if name.endswith(".conf"):
            options = re.findall(r"(?m)^options\s+(.*)$", evidence.tree.text(f"{ENTRIES}/{name}"))
            found.append((name, [from_entry(word, variables) for word in split(" ".join(options))]))
    menu = re.findall(r"(?m)^\s*linux(?:efi|16)?\s+\S+\s*(.*)$", _grub_config(evidence))
    written = [rest for rest in menu if not re.search(r"(?<!\\\\)\$", rest)]
    return found + [("grub.cfg", [from_menu(word) for word in split(rest)]) for rest in written]


def _grub_environment(evidence: ImageEvidence) -> dict[str, str]:
    """Return the variables of grubenv (GRUB's lib/envblk.c: a backslash quotes what follows)."""
    text = evidence.tree.text("/boot/grub2/grubenv")
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name: re.sub(r"\\(.)", r"\1", value) for name, equals, value in pairs if equals}


def _selinux(evidence: ImageEvidence) -> Outcome:
    actual = evidence.tree.settings("/etc/selinux/config").get("SELINUX")
    policy = evidence.tree.settings("/etc/selinux/config").get("SELINUXTYPE", "targeted")
    has_policy = evidence.tree.is_file(f"/etc/selinux/{policy}/contexts/files/file_contexts")
    planned = evidence.manifest.settings.selinux if evidence.has_manifest else None
    if actual is None and not has_policy and planned in (None, "disabled"):
        raise not_applicable("the image has no SELinux policy, and none is asked for")
    problems = []
    if planned and actual != planned:
        problems.append(f"/etc/selinux/config says {actual}, the kickstart {planned}")
    if actual in ("enforcing", "permissive") and not has_policy:
        problems.append(f"SELinux is {actual} without a policy")
    if evidence.tree.exists("/.autorelabel") and not is_kept(evidence, "/.autorelabel"):
        problems.append("/.autorelabel: the first boot would label every file and start again")
    return judge_all(problems, f"{actual}, policy {policy}")


CHECKS: tuple[Check[ImageEvidence], ...] = (
    Check(
        id="rpm-database",
        rows=(18,),
        explanation="rpmdb --verifydb finds no fault in the database, and no lock or log of rpm is left.",
        judge=_rpm_database,
    ),
    Check(
        id="repository-keys",
        rows=(18,),
        explanation="The public keys that dnf needs are in the image.",
        judge=_keys_imported,
    ),
    Check(
        id="packages-as-manifest",
        rows=(27,),
        explanation="The rpm database holds exactly the packages of the manifest.",
        judge=_packages,
    ),
    Check(
        id="package-files",
        rows=(17, 27),
        explanation="Every packaged file but configuration, and what scripts of the kickstart changed, is "
        "there with the content its package gave it (owners, modes and capabilities: rpm-verify).",
        judge=_package_files,
    ),
    Check(
        id="grow-tools",
        rows=(3,),
        explanation="growpart and the root file system's own resizer are in the image.",
        judge=_grow_tools,
    ),
    Check(
        id="console-arguments",
        rows=(5,),
        explanation="Every boot entry has the kickstart's arguments, ttyS0 last unless it says otherwise; "
        "the boot menu waits no longer than a second. What scripts wrote into it is theirs.",
        judge=_console,
    ),
    Check(
        id="cloud-init-enabled",
        rows=(10,),
        explanation="cloud-init's four stages are enabled; OpenStack, ConfigDrive, Ec2 and NoCloud are "
        "among its datasources, unless the kickstart turns it off or names others.",
        judge=_cloud_init,
    ),
    Check(
        id="cloud-user",
        rows=(10,),
        explanation="cloud-init's default user is the manifest's; root may not log in.",
        judge=_cloud_user,
    ),
    Check(
        id="services",
        rows=(20,),
        explanation="Services are enabled and disabled as the kickstart says.",
        judge=_services,
    ),
    Check(
        id="locale",
        rows=(24,),
        explanation="Language, keymap and time zone are the kickstart's.",
        judge=_locale,
    ),
    Check(
        id="selinux-settings",
        rows=(16,),
        explanation="SELinux's mode is the kickstart's, its policy is there, no relabelling is waiting.",
        judge=_selinux,
    ),
)
