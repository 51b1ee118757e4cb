# SPDX-License-Identifier: MIT
"""check-rpm runs scriptlets: what they do to a service at installation, upgrade and removal is judged."""

from __future__ import annotations

import io
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from builder.report import Report
from builder.rpm.check.context import CheckContext, rule_id
from builder.rpm.check.package import BuiltPackage, PackagedFile, Scriptlet
from builder.rpm.check.rules import lifecycle
from builder.runner import Runner
from builder.targets import find_target

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")


def packaged(path: str, text: str) -> PackagedFile:
    """Return a file of a package."""
    return PackagedFile(
        path=path, mode=stat.S_IFREG | 0o644, user="root", group="root", link="", ghost=False, config=False,
        data=text.encode(),
    )  # fmt: skip


UNIT = packaged("/usr/lib/systemd/system/thing.service", "[Service]\nExecStart=/bin/x\n[Install]\nAlias=y\n")
SCRIPT = packaged("/etc/rc.d/init.d/thing", "#!/bin/sh\n")
THING = BuiltPackage(
    path=Path("thing-1-1.el9.noarch.rpm"), name="thing", version="1", release="1.el9", is_source=False,
    source="thing-1-1.el9.src.rpm", built=1700000000, tags={}, compressor="xz", digest=8, files=(UNIT,),
    requires=(), provides=(), scriptlets=(),
)  # fmt: skip
SYSTEMD = {
    "%post": "[ $1 -ne 1 ] || systemctl --no-reload preset thing.service",
    "%preun": "if [ $1 -eq 0 ]; then systemctl --no-reload disable thing.service; systemctl stop thing; fi",
    "%postun": "[ $1 -lt 1 ] || /bin/systemctl try-restart thing.service >/dev/null 2>&1 || :",
}
HELPER = {
    "%post": "[ -x /usr/lib/systemd/systemd-update-helper ] && [ $1 -eq 1 ] && "
    "/usr/lib/systemd/systemd-update-helper install-system-units thing.service || :",
    "%preun": "[ $1 -eq 0 ] && /usr/lib/systemd/systemd-update-helper remove-system-units thing.service || :",
    "%postun": "[ $1 -lt 1 ] || /usr/lib/systemd/systemd-update-helper mark-restart-system-units thing",
}
SYSV = {
    "%post": "/sbin/chkconfig --add thing",
    "%preun": "if [ $1 = 0 ]; then /sbin/service thing stop; /sbin/chkconfig --del thing; fi",
    "%postun": "if [ $1 -ge 1 ]; then /sbin/service thing condrestart >/dev/null 2>&1 || :; fi",
}


def findings(tmp_path: Path, target: str, scriptlets: dict[str, str], file: PackagedFile) -> dict[str, str]:
    """Return what the rules say, by their ids."""
    listed = [Scriptlet(name=name, interpreter="/bin/sh", text=text) for name, text in scriptlets.items()]
    package = replace(THING, files=(file,), scriptlets=tuple(listed))
    context = CheckContext(
        target=find_target(target),
        packages=(package,),
        against=None,
        runner=Runner(Report(err=io.StringIO())),
        work=tmp_path,
    )
    said = {rule_id(rule): "; ".join(rule(package, context)) for rule in lifecycle.RULES}
    return {name: text for name, text in said.items() if text}


@pytest.mark.parametrize(
    ("target", "scriptlets", "file"),
    [("epel-8", SYSTEMD, UNIT), ("epel-9", HELPER, UNIT), ("epel-6", SYSV, SCRIPT)],
    ids=["systemctl", "systemd-update-helper", "chkconfig"],
)
def test_nothing_is_said_of_scriptlets_as_the_guidelines_have_them(
    tmp_path: Path, target: str, scriptlets: dict[str, str], file: PackagedFile
) -> None:
    assert findings(tmp_path, target, scriptlets, file) == {}


STOPPED, STARTED = "service-stopped-by-upgrade", "service-started-at-installation"
FORGOTTEN, LEFT = "service-not-restarted-by-upgrade", "service-left-by-removal"


@pytest.mark.parametrize(
    ("target", "changed", "rule", "said"),
    [
        ("epel-8", {"%preun": "systemctl stop thing; systemctl disable thing"}, STOPPED,
         "thing: stop when the package is upgraded (%preun)"),
        ("epel-8", {"%preun": "systemctl disable --now thing.service"}, STOPPED, "thing: disable when"),
        ("epel-8", {"%postun": "systemctl restart thing.service"}, STOPPED, "thing: restart when"),
        ("epel-8", {"%post": "systemctl preset thing.service"}, STOPPED,
         "thing: preset when the package is upgraded (%post)"),
        ("epel-6", {"%preun": "service thing stop; chkconfig --del thing"}, STOPPED, "thing: del when"),
        ("epel-6", {"%preun": "/etc/init.d/thing stop; chkconfig --del thing"}, STOPPED, "thing: stop when"),
        ("epel-8", {"%post": "systemctl enable --now thing.service"}, STARTED,
         "thing: start when the package is installed (%post)"),
        ("epel-8", {"%posttrans": "x=thing; systemctl start $x"}, STARTED, "thing: start when"),
        ("epel-6", {"%post": "chkconfig --add thing; chkconfig thing on"}, STARTED, "thing: enable when"),
        ("epel-8", {"%postun": "systemctl daemon-reload"}, FORGOTTEN, "thing: nothing restarts it"),
        ("epel-6", {"%postun": ":"}, FORGOTTEN, "thing: nothing restarts it"),
        ("epel-8", {"%post": "systemctl preset other-thing.service"}, "service-not-set-up",
         "thing: nothing registers it"),
        ("epel-8", {"%preun": "[ $1 -ne 0 ] || systemctl stop thing"}, LEFT, "thing: no disable when"),
        ("epel-6", {"%preun": ":"}, LEFT, "thing: no stop when"),
    ],
)  # fmt: skip
def test_what_a_scriptlet_does_wrong_is_reported(
    tmp_path: Path, target: str, changed: dict[str, str], rule: str, said: str
) -> None:
    good, file = (SYSV, SCRIPT) if target == "epel-6" else (SYSTEMD, UNIT)

    assert said in findings(tmp_path, target, good | changed, file).get(rule, "")


def test_unit_that_runs_once_need_not_be_restarted(tmp_path: Path) -> None:
    text = b"[Service]\nType=oneshot\nExecStart=/bin/x\n[Install]\nAlias=y\n"

    assert findings(tmp_path, "epel-8", SYSTEMD | {"%postun": ":"}, replace(UNIT, data=text)) == {}


def test_scriptlet_sees_and_changes_nothing_of_this_host(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = f"{SYSTEMD['%post']}\ntouch {mark} /usr/bin/new-of-a-scriptlet /tmp/new-of-a-scriptlet"

    said = findings(tmp_path / "work", "epel-8", SYSTEMD | {"%post": script}, UNIT)

    assert said == {}
    assert not mark.exists()
    assert not Path("/usr/bin/new-of-a-scriptlet").exists()
    assert not Path("/tmp/new-of-a-scriptlet").exists()


@pytest.mark.parametrize(
    "planted", ["ln -s {canary} calls", "mkfifo calls", "mkdir calls", "ln -s /dev/zero calls"]
)
def test_what_a_scriptlet_puts_in_the_place_of_the_calls_is_not_read(tmp_path: Path, planted: str) -> None:
    canary = tmp_path / "canary"
    canary.write_text("systemctl\x1fstop\x1fthing.service\n")
    scriptlets = {"%preun": f"cd /; rm -f calls; {planted.format(canary=canary)}"}

    said = findings(tmp_path / "work", "epel-8", scriptlets, UNIT)

    assert STOPPED not in said
