# SPDX-License-Identifier: MIT
"""The machines of tests/rig/machine: real inits, doubles that behave as they say, and nothing left."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from builder.errors import CommandFailed
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine import trees
from tests.rig.machine.cgroups import MOUNTS, PREFIX
from tests.rig.machine.machine import SHARED, Machine, booted
from tests.rig.machine.trees import Tree
from tests.support.rpm_tool import builder, the_rpm

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.root
T = TypeVar("T")

# A service as EL 6 has them; its daemon is `sleep`. %s: start and stop number, name.
SCRIPT = """\
#!/bin/bash
# chkconfig: - {start} {stop}
# description: a daemon for tests
. /etc/rc.d/init.d/functions
name={name}
case $1 in
    start)
        echo "start $name" >>/var/log/order
        daemon --user nobody --pidfile /var/run/$name/$name.pid \\
            "sleep 1000 &>/dev/null & echo \\$! >/var/run/$name/$name.pid"
        status=$?
        [ $status != 0 ] || touch /var/lock/subsys/$name
        ;;
    stop)
        echo "stop $name" >>/var/log/order
        killproc -p /var/run/$name/$name.pid sleep; status=$?
        [ $status != 0 ] || rm -f /var/lock/subsys/$name
        ;;
    reload) killproc -p /var/run/$name/$name.pid sleep -HUP; status=$? ;;
    status) status -p /var/run/$name/$name.pid $name; status=$? ;;
    *) status=2 ;;
esac
exit $status
"""


def add_service(machine: Machine, name: str, start: str, stop: str) -> None:
    """Put a service of EL 6's kind into the machine."""
    machine.write(f"/etc/rc.d/init.d/{name}", SCRIPT.format(name=name, start=start, stop=stop), mode=0o755)
    machine.run(["install", "-d", "-o", "nobody", f"/var/run/{name}"])
    machine.run(["chkconfig", "--add", name])


def service(machine: Machine, name: str, verb: str) -> int:
    """Run `service NAME VERB` and return its exit status."""
    return machine.run(["service", name, verb], ok=()).returncode


def links(machine: Machine, name: str) -> str:
    """Return the rc links of a service, as `0K02 1K02 ...`."""
    found = sorted(path for path in machine.path("/etc/rc.d").glob(f"rc?.d/[SK][0-9][0-9]{name}"))
    return " ".join(f"{path.parent.name[2]}{path.name[:3]}" for path in found)


def test_systemd_is_pid_1_and_content(fixture_machine: Machine) -> None:
    assert fixture_machine.read("/proc/1/comm") == "systemd\n"
    assert fixture_machine.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert fixture_machine.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""
    assert [path.name for path in fixture_machine.path("/sys/class/net").iterdir()] == ["lo"]


def test_a_package_of_the_distribution_is_installed_inside(fixture_machine: Machine) -> None:
    fixture_machine.dnf("install", "chrony")

    assert fixture_machine.run(["systemctl", "is-enabled", "chronyd"]).stdout == "enabled\n"


def test_what_fails_inside_is_reported(fixture_machine: Machine) -> None:
    assert fixture_machine.run(["sh", "-c", "exit 7"], ok=(7,)).returncode == 7
    with pytest.raises(CommandFailed, match="exit status 7"):
        fixture_machine.run(["sh", "-c", "exit 7"])
    with pytest.raises(CommandFailed, match="did not end within 1 s"):
        fixture_machine.run(["sleep", "100"], timeout=1)


@pytest.mark.parametrize("kind", ["fixture", "sysv"])
def test_a_machine_reboots_and_shuts_down(kind: str, request: pytest.FixtureRequest) -> None:
    machine: Machine = request.getfixturevalue(f"{kind}_machine")
    machine.write("/etc/kept", "yes")
    machine.write("/run/not-kept", "no")
    boot = machine.pid

    machine.reboot()

    assert machine.pid != boot
    assert machine.read("/etc/kept") == "yes"
    assert not machine.path("/run/not-kept").exists()
    machine.power_off()
    assert machine.process.returncode == 0


def test_sysvinit_is_pid_1(sysv_machine: Machine) -> None:
    assert sysv_machine.read("/proc/1/comm") == "init\n"
    assert sysv_machine.run(["runlevel"]).stdout == "N 3\n"
    assert sysv_machine.run(["cat", "/etc/default/rcS"]).stdout.startswith("CONCURRENCY=none\n")


def test_links_are_made_from_the_header(sysv_machine: Machine) -> None:
    add_service(sysv_machine, "alpha", "98", "02")
    assert links(sysv_machine, "alpha") == "0K02 1K02 2K02 3K02 4K02 5K02 6K02"
    assert service(sysv_machine, "alpha", "nonsense") == 2

    sysv_machine.run(["chkconfig", "alpha", "on"])
    assert links(sysv_machine, "alpha") == "0K02 1K02 2S98 3S98 4S98 5S98 6K02"
    sysv_machine.run(["chkconfig", "--add", "alpha"])
    assert "3:on" in sysv_machine.run(["chkconfig", "--list", "alpha"]).stdout

    sysv_machine.run(["chkconfig", "--level", "35", "alpha", "off"])
    assert links(sysv_machine, "alpha") == "0K02 1K02 2S98 3K02 4S98 5K02 6K02"
    sysv_machine.run(["chkconfig", "--del", "alpha"])
    assert links(sysv_machine, "alpha") == ""
    assert sysv_machine.run(["chkconfig", "--list", "alpha"], ok=()).returncode == 1


def test_a_script_without_a_header_is_refused(sysv_machine: Machine) -> None:
    sysv_machine.write("/etc/rc.d/init.d/plain", "#!/bin/sh\n# chkconfig: 98 02\n", mode=0o755)

    done = sysv_machine.run(["chkconfig", "--add", "plain"], ok=())

    assert done.returncode == 1
    assert "does not support chkconfig" in done.stderr


def test_functions_distinguish_the_states(sysv_machine: Machine) -> None:
    add_service(sysv_machine, "alpha", "98", "02")
    pid_file = sysv_machine.path("/var/run/alpha/alpha.pid")
    assert service(sysv_machine, "alpha", "status") == 3
    assert service(sysv_machine, "alpha", "reload") == 7

    assert service(sysv_machine, "alpha", "start") == 0
    assert service(sysv_machine, "alpha", "status") == 0
    pid = pid_file.read_text()
    assert service(sysv_machine, "alpha", "start") == 0
    assert pid_file.read_text() == pid
    user = sysv_machine.run(["ps", "-o", "user=,comm=", "-p", pid.strip()]).stdout
    assert user.split() == ["nobody", "sleep"]

    sysv_machine.run(["sh", "-c", f"kill -9 {pid.strip()}; while kill -0 {pid.strip()}; do sleep 0.1; done"])
    assert service(sysv_machine, "alpha", "status") == 1
    pid_file.unlink()
    assert service(sysv_machine, "alpha", "status") == 2

    assert service(sysv_machine, "alpha", "start") == 0
    assert service(sysv_machine, "alpha", "stop") == 0
    assert service(sysv_machine, "alpha", "status") == 3
    assert not pid_file.exists()


def test_the_numbers_decide_the_order(sysv_machine: Machine) -> None:
    add_service(sysv_machine, "alpha", "98", "02")
    add_service(sysv_machine, "beta", "64", "36")
    for name in ("alpha", "beta"):
        sysv_machine.run(["chkconfig", name, "on"])
        assert service(sysv_machine, name, "start") == 0
    sysv_machine.path("/var/log/order").unlink()

    sysv_machine.reboot()

    order = sysv_machine.read("/var/log/order").splitlines()
    assert order == ["stop alpha", "stop beta", "start beta", "start alpha"]
    assert service(sysv_machine, "alpha", "status") == 0


def test_two_machines_never_meet(fixture_tree: Tree, fixture_machine: Machine) -> None:
    fixture_machine.run(["systemd-run", "--unit=lasting", "sleep", "1000"])

    with booted(fixture_tree, Runner(Report(quiet=True))) as other:
        assert other.run(["systemctl", "is-active", "lasting"], ok=()).stdout == "inactive\n"
        other.run(["systemctl", "isolate", "rescue.target", "--no-block"], ok=())

    assert fixture_machine.run(["systemctl", "is-active", "lasting"]).stdout == "active\n"


def test_a_killed_run_leaves_nothing(fixture_tree: Tree) -> None:
    # The arguments are this run's alone: other tests of this host have machines too.
    sleep = ["sleep", f"1000.{os.getpid()}"]
    argv = [sys.executable, "-m", "tests.rig.machine", "fixture", *sleep]
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL) as run:
        name = wait_for(lambda: machine_of(sleep), seconds=600)
        os.kill(run.pid, signal.SIGKILL)
    assert name

    wait_for(lambda: not processes_of(sleep), seconds=600)
    assert processes_of(sleep) == []
    assert name not in Path("/proc/self/mountinfo").read_text()
    with booted(fixture_tree, Runner(Report(quiet=True))):
        assert not (trees.folder() / name).exists()
        assert [mount for mount in MOUNTS if (mount / f"{PREFIX}{name}").exists()] == []


def machine_of(argv: Sequence[str]) -> str | None:
    """Return the work folder's name of the machine that runs a command; None while none does."""
    for pid in processes_of(argv):
        with contextlib.suppress(OSError):
            # The machine sees one folder of its work folder.
            found = re.search(rf"/([^/ ]+)/shared {SHARED} ", Path(f"/proc/{pid}/mountinfo").read_text())
            if found:
                return found[1]
    return None


def processes_of(argv: Sequence[str]) -> list[str]:
    """Return the processes that run a command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == "".join(f"{word}\0" for word in argv).encode():
                found.append(path.parent.name)
    return found


def wait_for(look: Callable[[], T], *, seconds: float) -> T:
    """Look until there is something to see, or the time is over; return what was seen last."""
    deadline = time.monotonic() + seconds
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return seen


@pytest.mark.parametrize(("kind", "target"), [("fixture", "fixture-12"), ("sysv", "epel-6")])
def test_openstack_utils_is_installed_and_runs(
    kind: str, target: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    machine: Machine = request.getfixturevalue(f"{kind}_machine")
    builder("rpm", "openstack-utils", "-t", target, cwd=tmp_path)

    machine.install(the_rpm(tmp_path, target))

    machine.write("/etc/keystone/keystone.conf", "[database]\n#connection = <None>\n")
    machine.run(["openstack-config", "--set", "/etc/keystone/keystone.conf", "database", "connection", "x"])
    assert machine.read("/etc/keystone/keystone.conf").endswith("\nconnection = x\n")
    for name in ("db", "keystone-sample-data", "service", "status"):
        assert machine.run([f"openstack-{name}", "--help"]).stdout.startswith("usage: ")
    machine.remove("openstack-utils")
    assert not machine.path("/usr/bin/openstack-config").exists()
