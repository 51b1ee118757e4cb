# SPDX-License-Identifier: MIT
"""Each rule of check-rpm: a package that breaks it, and one that does not."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from builder.report import Report
from builder.rpm.check.context import CheckContext, Rule, rule_id
from builder.rpm.check.finding import load_checks
from builder.rpm.check.package import BuiltPackage, Dependency, PackagedFile, Scriptlet
from builder.rpm.check.rules import RULES, files, lifecycle, payload, places, requirements, scripts, services
from builder.runner import Runner
from builder.targets import find_target

UNIT = "/usr/lib/systemd/system/thing.service"
INIT = "/etc/rc.d/init.d/thing"
HELPER = "/usr/lib/systemd/systemd-update-helper"
INIT_TEXT = b"""\
#!/bin/sh
# chkconfig: - 98 02
### BEGIN INIT INFO
# Provides: thing
# Required-Start: $network
# Required-Stop: $network
# Default-Stop: 0 1 6
# Short-Description: A thing
# Description: A thing that runs
### END INIT INFO
"""


def file(
    path: str, mode: int = 0o100644, *, data: bytes | None = b"", user: str = "root", **more: object
) -> PackagedFile:
    """Return a file of a package."""
    plain = {"group": user, "link": "", "ghost": False, "config": False}
    return PackagedFile(path=path, mode=mode, user=user, data=data, **{**plain, **more})  # type: ignore[arg-type]


def needs(*wholes: str) -> tuple[Dependency, ...]:
    """Return dependencies."""
    return tuple(Dependency(name=whole.split()[0], whole=whole) for whole in wholes)


def script(name: str, text: str, interpreter: str = "/bin/sh") -> tuple[Scriptlet, ...]:
    """Return a package's only scriptlet."""
    return (Scriptlet(name=name, interpreter=interpreter, text=text),)


GOOD = BuiltPackage(
    path=Path("thing-1-1.el9.noarch.rpm"),
    name="thing",
    version="1",
    release="1.el9",
    is_source=False,
    source="thing-1-1.el9.src.rpm",
    built=1700000000,
    tags={"summary": "A thing", "url": "https://example.com/50%25"},
    compressor="xz",
    digest=8,
    files=(),
    requires=(),
    provides=needs("thing = 1-1.el9"),
    scriptlets=(),
)


def check(rule: Rule, target: str, tmp_path: Path, *packages: BuiltPackage) -> list[str]:
    """Return what a rule says of the first of some packages."""
    context = CheckContext(
        target=find_target(target),
        packages=packages,
        against=None,
        runner=Runner(Report(err=io.StringIO())),
        work=tmp_path,
    )
    return list(rule(packages[0], context))


# rule, target, what of the package differs from GOOD, what is said
BROKEN: dict[str, tuple[Rule, str, dict[str, object], str]] = {
    "zstd on EL 7": (payload.unreadable_payload, "epel-7", {"compressor": "zstd"}, "rpm 4.11 of the target"),
    "sha512 digests": (
        payload.unreadable_digests,
        "epel-9",
        {"digest": 10, "files": (file("/a"),)},
        "sha512",
    ),
    "rich dependency on EL 6": (
        payload.feature_too_new,
        "epel-6",
        {"requires": needs("rpmlib(RichDependencies) <= 4.12.0-1")},
        "came with rpm 4.12",
    ),
    "unheard of feature": (
        payload.feature_too_new,
        "epel-10",
        {"requires": needs("rpmlib(Telepathy) <= 9")},
        "not known here",
    ),
    "no dist tag": (payload.other_dist_tag, "epel-9", {"release": "1"}, "does not end with .el9"),
    "unit on EL 6": (places.wrong_init_system, "epel-6", {"files": (file(UNIT),)}, "no systemd"),
    "init script on EL 9": (places.wrong_init_system, "epel-9", {"files": (file(INIT),)}, "has systemd"),
    "systemctl on EL 6": (
        places.wrong_init_system,
        "epel-6",
        {"scriptlets": script("%post", "systemctl daemon-reload")},
        "%post calls systemctl",
    ),
    "chkconfig on Fedora 17": (
        places.wrong_init_system,
        "fedora-17",
        {"scriptlets": script("%preun", "/sbin/chkconfig --del x")},
        "calls chkconfig",
    ),
    "unit in /etc": (
        places.unit_in_wrong_folder,
        "epel-9",
        {"files": (file("/etc/systemd/system/a.service"),)},
        "belong in /usr/lib/systemd/system/",
    ),
    "init script as well": (
        places.init_script_in_wrong_folder,
        "epel-6",
        {"files": (file("/etc/init.d/a"),)},
        "is a link to",
    ),
    "helper on EL 8": (
        places.helper_too_new,
        "epel-8",
        {"scriptlets": script("%post", "/usr/lib/systemd/systemd-update-helper x")},
        "systemd 249",
    ),
    "another Python's folder": (
        places.python_in_wrong_folder,
        "epel-9",
        {"files": (file("/usr/lib/python3.12/site-packages/a.py"),)},
        "python3.9",
    ),
    "another interpreter": (
        places.wrong_interpreter,
        "epel-6",
        {"files": (file("/usr/bin/a", 0o100755, data=b"#!/usr/bin/python3 -I\n"),)},
        "not /opt/rh/rh-python36",
    ),
    "/run without tmpfiles": (
        places.run_folder_is_lost_at_boot,
        "epel-9",
        {"files": (file("/var/run/thing", 0o40755),)},
        "/run is empty",
    ),
    "macro in a unit": (
        files.unexpanded_macro,
        "epel-9",
        {"files": (file(UNIT, data=b"ExecStart=%{_bindir}/x\n"),)},
        "thing.service: %{_bindir",
    ),
    "macro in a scriptlet": (
        files.unexpanded_macro,
        "epel-9",
        {"scriptlets": script("%post", "\n%systemd_post x.service\n")},
        "%systemd_post",
    ),
    "macro in a path": (files.unexpanded_macro, "epel-9", {"files": (file("%{_unitdir}/a"),)}, "a path"),
    "macro in a requirement": (
        files.unexpanded_macro,
        "epel-9",
        {"requires": needs("%{python3_package}")},
        "a dependency",
    ),
    "executable unit": (
        files.wrong_mode,
        "epel-9",
        {"files": (file(UNIT, 0o100755),)},
        "0755 instead of 0644",
    ),
    "world-writable": (
        files.wrong_mode,
        "epel-9",
        {"files": (file("/etc/a", 0o100666),)},
        "everybody may write",
    ),
    "setuid": (
        files.wrong_mode,
        "epel-9",
        {"files": (file("/usr/libexec/a", 0o104755),)},
        "runs as its owner",
    ),
    "sudoers": (files.wrong_mode, "epel-9", {"files": (file("/etc/sudoers.d/a"),)}, "instead of 0440"),
    "account of nobody": (
        files.unknown_owner,
        "epel-9",
        {"files": (file("/var/lib/a", 0o40755, user="thing"),)},
        "thing: owns files",
    ),
    "account of a neighbour": (
        files.unknown_owner,
        "epel-9",
        {
            "files": (file("/var/lib/a", 0o40755, user="thing"),),
            "scriptlets": script("%pre", "useradd -r thingy"),
        },
        "thing: owns files",
    ),
    "owner that nobody declares": (
        files.undeclared_account,
        "epel-10",
        {"files": (file("/var/lib/a", 0o40755, user="thing"),), "provides": needs("group(thing)")},
        "user(thing): neither provided nor required",
    ),
    "member of a group": (
        files.member_line_too_new,
        "epel-10",
        {"files": (file("/usr/lib/sysusers.d/a.conf", data=b"u nova - -\nm nova qemu\n"),)},
        "leaves lines of type m out",
    ),
    "mode of a configuration": (
        files.other_mode_than_the_catalogue,
        "epel-10",
        {"files": (file("/etc/keystone/keystone.conf", config=True),)},
        "0644 root:root, in the catalogue 0640 root:keystone",
    ),
    "no manual": (
        files.command_without_manual,
        "epel-9",
        {"files": (file("/usr/bin/a", 0o100755),)},
        "/usr/bin/a",
    ),
    "scriptlet": (
        scripts.scriptlet_with_wrong_syntax,
        "epel-9",
        {"scriptlets": script("%post", "if true; then\n")},
        "%post: ",
    ),
    "script": (
        scripts.script_with_wrong_syntax,
        "epel-9",
        {"files": (file("/usr/libexec/a", 0o100755, data=b"#!/bin/bash\ncase x in\n"),)},
        "/usr/libexec/a: ",
    ),
    "header": (
        scripts.incomplete_init_header,
        "epel-6",
        {"files": (file(INIT, data=INIT_TEXT.replace(b"Provides: thing", b"Provides:")),)},
        "Provides is missing or empty",
    ),
    "chkconfig line": (
        scripts.incomplete_init_header,
        "epel-6",
        {"files": (file(INIT, data=INIT_TEXT.replace(b"# chkconfig", b"# chkconf")),)},
        "no line # chkconfig",
    ),
    "directive": (
        services.unit_does_not_verify,
        "epel-9",
        {"files": (file(UNIT, data=b"[Service]\nExecStart=/usr/bin/x\nRestart=perhaps\n"),)},
        "perhaps",
    ),
    "dependency loop": (
        services.unit_does_not_verify,
        "epel-9",
        {"files": (file(UNIT, data=b"[Service]\nType=oneshot\n"),)},
        "ExecStart",
    ),
    "foreign daemon": (
        services.daemon_not_among_the_packages,
        "epel-9",
        {"files": (file(UNIT, data=b"[Service]\nExecStart=/usr/bin/x -a\n"),)},
        "/usr/bin/x is in none",
    ),
    "lacking requirement": (
        requirements.unsatisfied_requirement,
        "epel-6",
        {"requires": needs("systemd")},
        "systemd: the target lacks it",
    ),
    "other version": (
        requirements.unsatisfied_requirement,
        "epel-9",
        {"requires": needs("thing = 2-1.el9")},
        "have thing = 1-1.el9",
    ),
    "unknown requirement": (
        requirements.unknown_requirement,
        "epel-9",
        {"requires": needs("thing = 1-1.el9", "/bin/sh", "rare >= 2")},
        "rare >= 2",
    ),
}


@pytest.mark.parametrize(("rule", "target", "changed", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_rule_reports_what_is_broken(
    tmp_path: Path, rule: Rule, target: str, changed: dict[str, object], message: str
) -> None:
    package = replace(GOOD, **changed)  # type: ignore[arg-type]

    found = check(rule, target, tmp_path, package)

    assert len(found) >= 1
    assert any(message in text for text in found), found


WELL: dict[str, tuple[str, dict[str, object]]] = {
    "an environment of its own": (
        "epel-9",
        {
            "release": "1.el9",
            "files": (
                file("/usr/lib/thing/bin/python3", 0o100755, data=b"\x7fELF"),
                file("/usr/lib/thing/bin/a", 0o100755, data=b"#!/usr/lib/thing/bin/python3 -sP\n"),
                file("/usr/lib/thing/completion.template", data=b"#!/bin/bash\n_{{ name }}() {{\n"),
            ),
        },
    ),
    "EL 6": (
        "epel-6",
        {
            "release": "1.el6",
            "files": (
                file(INIT, 0o100755, data=INIT_TEXT),
                file("/var/run/thing", 0o40755, user="thing"),
                file("/usr/bin/a", 0o100755, data=b"#!/opt/rh/rh-python36/root/usr/bin/python3 -I\n"),
                file("/usr/share/man/man1/a.1.gz", data=b"\x1f\x8b\x00"),
            ),
            "scriptlets": (
                *script(
                    "%pre", "getent group thing || groupadd -r thing\nuseradd -r \\\n -g thing thing\nexit 0"
                ),
                *script("%post", "/sbin/chkconfig --add thing"),
                *script("%preun", "[ $1 -eq 0 ] || exit 0\nservice thing stop\n/sbin/chkconfig --del thing"),
                *script("%postun", "[ $1 -lt 1 ] || /sbin/service thing condrestart"),
            ),
            "requires": needs("/bin/sh", "chkconfig", "rpmlib(PayloadIsXz) <= 5.2-1"),
        },
    ),
    "EL 10": (
        "epel-10",
        {
            "release": "1.el10",
            "compressor": "zstd",
            "files": (
                file(
                    UNIT,
                    data=b"[Unit]\nDescription=A %i\n[Service]\nExecStart=/usr/bin/a\n"
                    b"[Install]\nWantedBy=multi-user.target\n",
                ),
                file("/usr/bin/a", 0o100755, data=b"#!/usr/bin/python3 -sP\n"),
                file("/usr/share/man/man8/a.8", data=b".TH"),
                file("/run/thing", 0o40755, user="thing", ghost=True),
                file("/usr/lib/tmpfiles.d/thing.conf", data=b"d /run/thing 0755 thing thing -\n"),
                file("/usr/lib/sysusers.d/thing.conf", data=b'u thing 163 "A thing" /var/lib/thing\n'),
                file(
                    "/etc/keystone/keystone.conf",
                    0o100640,
                    config=True,
                    group="keystone",
                    data=b"# %(user)s %s\n",
                ),
                file("/etc/httpd/conf.d/thing.conf", data=b'ErrorLogFormat "%{cu}t %M"\n'),
            ),
            "provides": needs("thing = 1-1.el10", "user(thing)", "group(thing)", "group(keystone)"),
            "scriptlets": (
                *script("%post", f"[ $1 -ne 1 ] || {HELPER} install-system-units thing.service"),
                *script("%preun", f"[ $1 -ne 0 ] || {HELPER} remove-system-units thing.service"),
                *script("%postun", f"[ $1 -lt 1 ] || {HELPER} mark-restart-system-units thing.service"),
            ),
            "requires": needs("systemd", "python(abi) = 3.12", "rpmlib(PayloadIsZstd) <= 5.4.18-1"),
        },
    ),
}


@pytest.mark.parametrize(("target", "changed"), WELL.values(), ids=WELL.keys())
def test_no_rule_complains_of_what_is_right(tmp_path: Path, target: str, changed: dict[str, object]) -> None:
    package = replace(GOOD, **changed)  # type: ignore[arg-type]
    # rpmlint reads files, which this package is none of.
    rules = [rule for rule in RULES if not rule_id(rule).startswith("rpmlint")]

    found = {rule_id(rule): check(rule, target, tmp_path, package) for rule in rules}

    assert {name: texts for name, texts in found.items() if texts} == {}


def test_every_rule_is_explained_and_nothing_else_is() -> None:
    assert [rule_id(rule) for rule in RULES] == list(load_checks()), (
        "specs/checks/rules.yaml: a row for each rule, in the order of RULES"
    )
    assert {rule_id(rule) for rule, _, _, _ in BROKEN.values()} == {
        rule_id(rule)
        for rule in RULES
        # Those have tests of their own: they run programs.
        if not rule_id(rule).startswith("rpmlint") and rule not in lifecycle.RULES
    }, "BROKEN: a row for each rule"
