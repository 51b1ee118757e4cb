# SPDX-License-Identifier: MIT
"""openstack-demo-install on a booted host with the real Keystone and Glance: killed, completed, run again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.report import Report
from builder.runner import Completed, Runner
from tests.rig.machine.machine import Machine, booted
from tests.rig.machine.trees import Tree
from tests.support.bundled import PYTHON, build_bundled
from tests.support.watching import watching

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed"),
]

COMMAND = ("openstack-demo-install", "--services", "keystone", "--services", "glance")
PASSWORDS = "/root/openstack-demo-passwords"
UNITS = ("openstack-keystone", "openstack-glance-api")
# Where a run is killed: when it has shown this step, which is then under way.
KILLED_AT = (
    "passwords",
    "keystone: database",
    "keystone: services",
    "keystone: users",
    "glance: database",
)
KILL = """\
setsid openstack-demo-install --services keystone --services glance >/root/run.log 2>&1 &
until grep -q "^# $1" /root/run.log; do kill -0 $! || exit 1; sleep 0.02; done
sleep "$2"
kill -9 $!
wait $!
"""
# Logs in by the variables of a keystonerc; Glance asks Keystone whether the token is good.
CLIENT = """\
import openstack
cloud = openstack.connect()
print(len(list(cloud.image.images())), *sorted(each.type for each in cloud.identity.services()))
"""


@pytest.fixture(scope="module")
def host(fixture_tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A host where the packages were installed, and nothing was set up."""
    rpms = build_bundled(tmp_path_factory.mktemp("bundled"))
    with booted(fixture_tree, Runner(Report(quiet=True))) as machine:
        # The machine has no network to wait for, which both units do.
        machine.run(["systemctl", "mask", "systemd-networkd-wait-online"])
        machine.install(*rpms)
        machine.dnf("install", "mariadb-server", "python3-pymysql")
        yield machine


# Arguments and environments of all that the runs of `cloud` have started.
STARTED: set[bytes] = set()


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Note in STARTED what every new process is given; those of a machine are processes of this host, too."""
    known = set(os.listdir("/proc"))

    def look() -> None:
        for pid in set(os.listdir("/proc")) - known:
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    STARTED.add(Path("/proc", pid, name).read_bytes())

    with watching(look, 0.004):
        yield


@pytest.fixture(scope="module")
def cloud(host: Machine) -> Machine:
    """The host after runs that were killed, each at a later step, and one that was not."""
    with watched():
        for number, title in enumerate(KILLED_AT):
            done = host.run(["bash", "-c", KILL, "kill", title, f"0.{number * 2}"], ok=(), timeout=1800)
            assert done.returncode == 137, host.read("/root/run.log")
        run(host)
    return host


def run(host: Machine, *words: str, ok: tuple[int, ...] = (0,)) -> Completed:
    return host.run([*COMMAND, *words], ok=ok, timeout=1800)


def answer(host: Machine, url: str) -> int:
    argv = ["curl", "--silent", "--max-time", "30", "--output", "/dev/null", "--write-out", "%{http_code}"]
    return int(host.run([*argv, url], ok=()).stdout)


def settings(host: Machine) -> str:
    """Return what a run may change: files with their times and bytes, and since when services run."""
    files = host.run(
        ["find", "/etc/keystone", "/etc/glance", "/root", "-type", "f", "-not", "-name", "run.log",
         "-not", "-path", "*/.*", "-printf", "%p %T@ %m %u %s\\n"],
    ).stdout  # fmt: skip
    show = ["systemctl", "show", "--property=ActiveEnterTimestampMonotonic,MainPID,UnitFileState", *UNITS]
    return "\n".join(sorted(files.splitlines())) + host.run(show).stdout


def test_nothing_happens_before_all_is_checked(host: Machine) -> None:
    before = settings(host)

    missing = run(host, "--services", "nova", ok=(2,))
    shown = run(host, "--dry-run")
    elsewhere = run(host, "--output", "/nowhere", ok=(2,))

    assert "error: nova is not installed" in missing.stderr
    assert "placement, which nova needs, is not installed" in missing.stderr
    assert "openstack-db --init --service glance --yes\n" in shown.stdout
    assert elsewhere.stderr.startswith("error: --output /nowhere: no such folder\n")
    assert settings(host) == before
    assert answer(host, "http://127.0.0.1:5000/v3") == 0


def test_killed_runs_are_completed_by_the_next(cloud: Machine) -> None:
    assert answer(cloud, "http://127.0.0.1:5000/v3") == 200
    assert answer(cloud, "http://127.0.0.1:9292/versions") == 200
    assert cloud.run(["systemctl", "is-enabled", *UNITS]).stdout.split() == ["enabled", "enabled"]


def test_the_admin_of_the_keystonerc_reaches_glance(cloud: Machine) -> None:
    script = f'. /root/keystonerc_admin && exec {PYTHON} -c "$0"'

    assert cloud.run(["bash", "-c", script, CLIENT], timeout=900).stdout == "0 identity image\n"
    modes = cloud.run(["stat", "-c", "%a", PASSWORDS, "/root/keystonerc_admin", "/root/keystonerc_demo"])
    assert modes.stdout.split() == ["600"] * 3


def test_second_run_changes_nothing_and_shows_no_password(cloud: Machine) -> None:
    before = settings(cloud)

    done = run(cloud, "--json")

    steps = json.loads(done.stdout)["steps"]
    assert {step["title"]: step["result"] for step in steps} == {step["title"]: "unchanged" for step in steps}
    assert settings(cloud) == before
    lines = [line for line in cloud.read(PASSWORDS).splitlines() if not line.startswith("#")]
    passwords = [line.partition("=")[2] for line in lines]
    assert len(passwords) == 3
    reported = done.stdout + done.stderr + cloud.read("/root/run.log")
    assert [password for password in passwords if password in reported] == []


def test_no_password_was_given_to_a_program_by_arguments_or_environment(cloud: Machine) -> None:
    lines = [line for line in cloud.read(PASSWORDS).splitlines() if not line.startswith("#")]
    secrets = [line.partition("=")[2].strip("'") for line in lines]
    for path in ("/etc/keystone/keystone.conf", "/etc/glance/glance-api.conf"):
        secrets += re.findall(r"(?m)^connection *= *\S+://\w+:([^@]+)@", cloud.read(path))

    assert len(secrets) == 5
    assert any(b"openstack-db" in each and b"--init" in each for each in STARTED)
    # The first password of admin, which another replaces at once: keystone-manage takes it in no other way.
    assert any(b"OS_BOOTSTRAP_PASSWORD=" in each for each in STARTED)
    assert [each[:60] for each in STARTED for secret in secrets if secret.encode() in each] == []


def test_service_older_than_its_configuration_is_restarted(cloud: Machine) -> None:
    cloud.run(["openstack-config", "--set", "/etc/glance/glance-api.conf", "DEFAULT", "debug", "true"])

    steps = json.loads(run(cloud, "--json").stdout)["steps"]

    assert [step["title"] for step in steps if step["result"] == "changed"] == ["glance: services"]


def test_cloud_of_somebody_else_is_left_alone(cloud: Machine) -> None:
    cloud.run(["mv", PASSWORDS, "/root/other"])
    before = settings(cloud)

    refused = run(cloud, ok=(2,))

    assert "[keystone_authtoken] password is set" in refused.stderr
    assert settings(cloud) == before
    cloud.run(["mv", "/root/other", PASSWORDS])


def test_failure_says_what_stands_and_the_next_run_goes_on(cloud: Machine) -> None:
    cloud.run(["systemctl", "mask", "--now", "openstack-glance-api"], ok=())

    failed = run(cloud, ok=(1,))

    assert "error: glance: services: systemctl: " in failed.stderr
    left = "not done: glance: services; glance: openstack-glance-api answers; services still run\n"
    assert left in failed.stderr
    cloud.run(["systemctl", "unmask", "openstack-glance-api"])
    run(cloud)
    assert answer(cloud, "http://127.0.0.1:9292/versions") == 200
