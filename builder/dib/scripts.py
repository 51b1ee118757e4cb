# SPDX-License-Identifier: MIT
"""What a plan sets in the image, and its %post scripts, as scripts of the phases where they mean the same.

pre-install.d runs in the image before packages are installed, post-install.d after. The boot loader is
installed in finalise.d at 50; %post, which follows it in the installer, comes there at 60 and later.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from builder.errors import Problem
from builder.kickstart.plan import ImagePlan, Password, Script, ScriptSection
from builder.kickstart.settings.accounts import Accounts, User
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.network import Network
from builder.kickstart.settings.security import Firewall, Security
from builder.kickstart.settings.services import TOOLS_OFF, Services, SetUp

HEAD = "#!/bin/bash\nset -euo pipefail\n"
# Ends the body of a script in a here-document; nobody's script has this line.
END = "end-of-script-7f3a"
# What the build set for dnf, and what dnf left: caches and logs of the builder's host in every guest.
LEAVE_DNF = """\
sed -i '/^# openstack-builder$/,+1d' /etc/dnf/dnf.conf
rm -rf /var/cache/dnf/* /var/cache/libdnf5/* /var/log/dnf*.log* /var/log/hawkey.log* /root/.cache
"""


def check_scripts(plan: ImagePlan) -> Iterator[Problem]:
    """Yield the scripts that no phase of an element can run as their author meant it."""
    for script in plan.scripts:
        if script.section == ScriptSection.PRE_INSTALL:
            yield Problem(
                where=str(script.place),
                message="%pre-install: elements have no phase between the disk and the packages",
                hint="move it to %post, or build with openstack-builder image",
            )
        if script.section == ScriptSection.POST and not script.chroot:
            yield Problem(
                where=str(script.place),
                message="%post --nochroot: no phase of an element has the image at /mnt/sysimage",
                hint="let it run in the image, or build with openstack-builder image",
            )
        if END in script.body.splitlines():
            yield Problem(where=str(script.place), message=f"a script must not contain the line {END}")


def phase_scripts(plan: ImagePlan) -> Iterator[tuple[str, str]]:
    """Yield path and text of every script of the element."""
    yield f"pre-install.d/05-{plan.name}-dnf", HEAD + _dnf(plan)
    if groups := _groups(plan):
        yield f"install.d/00-{plan.name}-groups", HEAD + f"dnf -y install {shlex.join(groups)}\n"
    if plan.packages.added_groups:
        added = [f"@{name}" for name in plan.packages.added_groups]
        text = f"dnf -y install {shlex.join(added)} || echo {shlex.quote(f'without {shlex.join(added)}')}\n"
        yield f"install.d/01-{plan.name}-added-groups", HEAD + text
    yield f"post-install.d/50-{plan.name}-settings", HEAD + "".join(f"{line}\n" for line in _settings(plan))
    posts = [script for script in plan.scripts if script.section == ScriptSection.POST]
    for number, script in enumerate(posts, 60):
        yield f"finalise.d/{number}-{plan.name}-post", _post(script)
    yield f"finalise.d/99-{plan.name}-dnf", HEAD + LEAVE_DNF


def _groups(plan: ImagePlan) -> list[str]:
    """Return the groups as dnf's command line has them."""
    packages = plan.packages
    groups = [*packages.groups, *packages.optional_groups, *packages.mandatory_groups]
    if packages.core and "core" not in groups:
        groups.insert(0, "core")
    environment = [f"@^{packages.environment}"] if packages.environment else []
    return [*environment, *(f"@{name}" for name in groups)]


def _dnf(plan: ImagePlan) -> str:
    """Return dnf's settings for the build only: each line is marked, and removed at the end."""
    lines = []
    if not plan.packages.weak:
        lines.append("install_weak_deps=False")
    if not plan.packages.docs:
        lines.append("tsflags=nodocs")
    if plan.packages.ignore_missing:
        lines.append("strict=False")
    # dnf.conf(5) has no comments after a value.
    return "".join(
        f"printf '%s\\n' '# openstack-builder' {shlex.quote(line)} >>/etc/dnf/dnf.conf\n" for line in lines
    )


def _settings(plan: ImagePlan) -> Iterator[str]:
    """Yield the lines for what they can set; `losses` finds the rest."""
    hostname = plan.of(Network).hostname
    yield from _locale(plan.of(Locale))
    if hostname:
        yield f"echo {shlex.quote(hostname)} >/etc/hostname"
    yield from _accounts(plan.of(Accounts))
    yield from _security(plan.of(Security))
    yield from _services(plan.of(Services))


def _locale(locale: Locale) -> Iterator[str]:
    lang, keymap = f'LANG="{locale.lang}"', f'KEYMAP="{locale.keyboard.keymap}"'
    yield f"echo {shlex.quote(lang)} >/etc/locale.conf"
    for name in (locale.lang, *locale.extra_langs):
        # locale(1) complains where the C library cannot load it.
        complains = f'[ -z "$(LC_ALL={shlex.quote(name)} locale 2>&1 >/dev/null)" ]'
        said = shlex.quote(f"warning: lang {name}: the image has no such locale")
        yield f"! command -v locale >/dev/null || {complains} || echo {said} >&2"
    yield f"echo {shlex.quote(keymap)} >/etc/vconsole.conf"
    yield f"ln -sfn {shlex.quote(f'../usr/share/zoneinfo/{locale.timezone.name}')} /etc/localtime"


def _accounts(accounts: Accounts) -> Iterator[str]:
    for group in accounts.groups:
        number = f"--gid {group.gid} " if group.gid is not None else ""
        name = shlex.quote(group.name)
        yield f"getent group {name} >/dev/null || groupadd {number}{name}"
    for user in accounts.users:
        yield _add_user(user)
        yield from _password(user.name, user.password)
    yield from _password("root", accounts.root_password)
    for key in accounts.ssh_keys:
        yield from _ssh_key(key.user, key.key)


def _security(security: Security) -> Iterator[str]:
    if security.selinux is not None:
        yield f"sed -i 's/^SELINUX=.*/SELINUX={security.selinux.value}/' /etc/selinux/config"
    if security.authselect:
        yield f"authselect {shlex.join(security.authselect)}"
    if security.firewall is not None:
        yield from _firewall(security.firewall)


def _services(services: Services) -> Iterator[str]:
    for name in services.services_enabled:
        yield f"systemctl enable {shlex.quote(name)}"
    for name in services.services_disabled:
        yield f"systemctl disable {shlex.quote(name)} || :"
    yield from _set_up(services.set_up)
    if services.default_target:
        yield f"systemctl set-default {shlex.quote(services.default_target)}"


def _set_up(wanted: SetUp) -> Iterator[str]:
    """Have a set-up program run at the first boot or not, where the image has one."""
    action = "enable" if wanted in (SetUp.WANTED, SetUp.AGAIN) else "disable"
    yield f"systemctl {action} initial-setup.service 2>/dev/null || :"
    if wanted is SetUp.AGAIN:
        yield "touch /etc/reconfigSys"
    if wanted is SetUp.FORBIDDEN:
        escaped = TOOLS_OFF.replace("\n", "\\n")
        yield f"printf '{escaped}' >/etc/sysconfig/anaconda"


def _add_user(user: User) -> str:
    name = shlex.quote(user.name)
    words = ["useradd", "--create-home"]
    for option, value in (
        ("--uid", user.uid),
        ("--gid", user.gid if user.gid is not None else user.primary_group),
        ("--home-dir", user.home),
        ("--shell", user.shell),
        ("--comment", user.gecos or None),
        ("--groups", ",".join(user.groups) or None),
    ):
        if value is not None:
            words += [option, str(value)]
    return f"id {name} >/dev/null 2>&1 || {shlex.join([*words, user.name])}"


def _password(name: str, password: Password) -> Iterator[str]:
    """Set a hash by stdin, so that no argument shows it; lock the account where it is to be locked."""
    if password.hash:
        yield f"chpasswd --encrypted <<'{END}'\n{name}:{password.hash}\n{END}"
    if password.locked:
        yield f"passwd --lock {shlex.quote(name)} >/dev/null"


def _ssh_key(user: str, key: str) -> Iterator[str]:
    home = f"~{user}" if user != "root" else "/root"
    yield f"install -d -m 700 -o {shlex.quote(user)} {home}/.ssh"
    yield f"echo {shlex.quote(key)} >>{home}/.ssh/authorized_keys"
    yield f"chown {shlex.quote(user)} {home}/.ssh/authorized_keys && chmod 600 {home}/.ssh/authorized_keys"


def _firewall(firewall: Firewall) -> Iterator[str]:
    if not firewall.enabled:
        yield "systemctl disable firewalld || :"
        return
    words = [f"--service={name}" for name in firewall.services]
    words += [f"--port={port}" for port in firewall.ports]
    words += [f"--trust={name}" for name in firewall.trusted]
    yield f"firewall-offline-cmd --enabled {shlex.join(words)}".rstrip()


def _post(script: Script) -> str:
    """Return a %post as a script of a phase: its interpreter, its log, and what its failure means."""
    log = f" >{shlex.quote(script.log)} 2>&1" if script.log else ""
    failed = f"%post of {script.place} ended with status"
    ending = 'exit "$status"' if script.error_on_fail else "exit 0 # no --erroronfail: the build goes on"
    return (
        "#!/bin/bash\nset -uo pipefail\n"
        "body=$(mktemp)\n"
        f"cat >\"$body\" <<'{END}'\n{script.body.rstrip(chr(10))}\n{END}\n"
        f'{script.interpreter} "$body"{log}\n'
        "status=$?\n"
        'rm -f "$body"\n'
        '[ "$status" != 0 ] || exit 0\n'
        f'echo {shlex.quote(failed)} "$status" >&2\n'
        f"{ending}\n"
    )
