# SPDX-License-Identifier: MIT
"""openstack-service: what words mean, the order, what systemd and init scripts say, the command line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openstack_utils.errors import UsageError, UtilityError
from openstack_utils.service import rows, states, verbs
from openstack_utils.service.known import Known
from openstack_utils.service.selection import HostServices, choose
from openstack_utils.service.systemd import Systemd
from openstack_utils.service.sysv import Sysv

from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue
from tests.support.completion import offered

UTILS = Path(__file__).resolve().parents[2] / "utils"
DATA = json.loads(render_services(load_catalogue()))
KNOWN = Known(DATA)
UNITS = (
    "openstack-nova-api", "openstack-nova-scheduler", "openstack-keystone", "openstack-swift-object@",
    "openstack-swift-proxy", "neutron-l3-agent", "neutron-ovs-cleanup", "openstack-ironic-api", "sshd",
    "openstack-nova-api-cfn",
)  # fmt: skip


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the launcher as a person does."""
    return subprocess.run(
        [sys.executable, "-I", UTILS / "bin" / "openstack-service", *words],
        capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=600,
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with UNITS, an instance that is enabled, another name of a unit and one that is masked."""
    units, etc = tmp_path / "usr/lib/systemd/system", tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for name in UNITS:
        (units / f"{name}.service").write_text("[Service]\n")
    wants = etc / "multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "openstack-swift-object@1.service").symlink_to(units / "openstack-swift-object@.service")
    (etc / "openstack-nova-os-compute-api.service").symlink_to(units / "openstack-nova-api.service")
    (etc / "openstack-heat-engine.service").symlink_to("/dev/null")
    return tmp_path


class Silent(Systemd):
    """A systemd that is asked nothing; `loaded` are the instances that it has."""

    loaded: "tuple[str, ...]" = ()

    def running_instances(self, limit: "float | None" = None) -> "set[str]":
        return set(self.loaded)

    def states(self, units: "list[str]", limit: "float | None" = None) -> "dict[str, Any]":
        raise AssertionError("systemctl is called")


def names(root: Path, *words: str) -> "list[str]":
    """Return the units that words select."""
    host = HostServices(KNOWN, Silent(os.fspath(root)), os.fspath(root))
    return [each.unit for each in host.select(host.matchers(words))]


# words: what they select
SELECTED = {
    "everything, in the order of the start": (
        [],
        ["openstack-keystone", "neutron-ovs-cleanup", "neutron-l3-agent", "openstack-nova-api",
         "openstack-nova-scheduler", "openstack-nova-api-cfn", "openstack-heat-engine",
         "openstack-swift-object@1", "openstack-swift-proxy", "openstack-ironic-api"],
    ),
    "a project": (["nova"], ["openstack-nova-api", "openstack-nova-scheduler", "openstack-nova-api-cfn"]),
    "a former name": (["quantum"], ["neutron-ovs-cleanup", "neutron-l3-agent"]),
    "one service, not those that begin so": (["nova-api"], ["openstack-nova-api"]),
    "with its prefix and suffix": (["openstack-nova-api.service"], ["openstack-nova-api"]),
    "RDO's name": (["nova-os-compute-api"], ["openstack-nova-api"]),
    "a beginning": (["nova-s"], ["openstack-nova-scheduler"]),
    "a pattern": (["*-api"], ["openstack-nova-api", "openstack-ironic-api"]),
    "of no project of the catalogue": (["ironic"], ["openstack-ironic-api"]),
    "an instance that is enabled": (["swift-object"], ["openstack-swift-object@1"]),
    "an instance that nothing pulls in": (["swift-object@7"], ["openstack-swift-object@7"]),
    "two words": (["ironic", "keystone"], ["openstack-keystone", "openstack-ironic-api"]),
}  # fmt: skip


@pytest.mark.parametrize("case", SELECTED)
def test_words_select(root: Path, case: str) -> None:
    words, selected = SELECTED[case]
    assert names(root, *words) == selected


def test_unknown_words_are_reported_all_at_once_without_asking_systemd(root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        names(root, "nvoa", "nova", "xyz")

    assert caught.value.message == 'unknown prefix "nvoa"\nunknown prefix "xyz"'
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean nova? known are keystone, ")
    assert "quantum" in caught.value.hint
    assert "ironic" in caught.value.hint


def test_a_known_project_that_is_not_here_is_an_error(root: Path) -> None:
    with pytest.raises(UtilityError, match="cinder: none of its services is installed here"):
        names(root, "cinder")


def test_instances_that_run_are_found(root: Path) -> None:
    class Running(Silent):
        loaded = ("openstack-swift-object@3", "getty@tty1")

    host = HostServices(KNOWN, Running(os.fspath(root)), os.fspath(root))
    found = [each.unit for each in host.select(host.matchers(["swift-object"]))]
    assert found == ["openstack-swift-object@1", "openstack-swift-object@3"]


def with_states(root: Path, boot: str) -> "list[Any]":
    """Return all services of the root, active and with a state at boot."""
    host = HostServices(KNOWN, Silent(os.fspath(root)), os.fspath(root))
    return [
        each.with_state(states.ServiceState(each.unit, "active", "running", boot)) for each in host.select([])
    ]


@pytest.mark.parametrize("verb", ["restart", "start", "stop", "try-restart", "kill", "reset-failed"])
def test_clean_up_is_left_out_of_what_runs_something(root: Path, verb: str) -> None:
    chosen, left_out = choose(with_states(root, "enabled"), verb)

    assert [each.unit for each, _ in left_out] == ["neutron-ovs-cleanup"]
    order = [each.unit for each in chosen]
    assert (order[0] == "openstack-keystone") is (verb not in verbs.BACKWARDS)
    assert (order[-1] == "openstack-keystone") is (verb in verbs.BACKWARDS)


def test_clean_up_may_be_enabled_but_not_now(root: Path) -> None:
    assert choose(with_states(root, "disabled"), "enable")[1] == []
    assert [each.unit for each, _ in choose(with_states(root, "disabled"), "enable", now=True)[1]] == [
        "neutron-ovs-cleanup"
    ]


@pytest.mark.parametrize("boot", ["disabled", "static", "masked", "", "alias", "indirect"])
def test_what_is_not_enabled_needs_all(root: Path, boot: str) -> None:
    services = with_states(root, boot)
    assert choose(services, "restart") == ([], [])
    assert len(choose(services, "restart", everything=True)[0]) == len(services) - 1


SHOWN = """\
Id=openstack-nova-api.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
MainPID=812
Result=success
ExecStart={ path=/usr/sbin/uwsgi ; argv[]=uwsgi --ini /etc/nova/x.ini ; status=0/0 }
ActiveEnterTimestampMonotonic=5000000
InactiveEnterTimestampMonotonic=0

Id=openstack-nova-compute.service
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=enabled
MainPID=0
Result=exit-code
ExecMainStatus=3
ExecStart={ path=/usr/bin/nova-compute ; argv[]=/usr/bin/nova-compute }
ActiveEnterTimestampMonotonic=5000000
InactiveEnterTimestampMonotonic=7000000

Id=openstack-gone.service
LoadState=not-found
ActiveState=inactive

Id=openstack-heat-engine.service
LoadState=masked
ActiveState=inactive
UnitFileState=masked
"""


def test_what_systemctl_show_says_is_read() -> None:
    found = states.read_show(SHOWN, offset=1000)

    assert list(found) == ["openstack-nova-api", "openstack-nova-compute", "openstack-heat-engine"]
    api, compute, heat = found.values()
    assert api == states.ServiceState(
        "openstack-nova-api", "active", "running", "enabled", 812, 1005.0, "", "uwsgi"
    )
    assert (compute.pid, compute.since, compute.result) == (None, 1007.0, "exit status 3")
    assert (heat.boot, heat.since, heat.is_enabled) == ("masked", None, False)


@pytest.mark.parametrize(
    ("code", "said", "active", "pid"),
    [
        (0, b"openstack-nova-api (pid  1) is running...\n", "active", 1),
        (0, b"openstack-nova-api (pid  1 77) is running...\n", "active", 1),
        (1, b"openstack-nova-api dead but pid file exists\n", "failed", None),
        (2, b"openstack-nova-api dead but subsys locked\n", "failed", None),
        (3, b"openstack-nova-api is stopped\n", "inactive", None),
        (4, b"", "unknown", None),
        (None, b"", "unknown", None),
    ],
)
def test_what_service_status_says_is_read(code: int, said: bytes, active: str, pid: int) -> None:
    found = states.read_status("openstack-nova-api", code, said, "enabled")
    assert (found.active, found.pid) == (active, pid)
    assert (found.since is not None) == (pid is not None)


def test_links_of_the_runlevel_say_what_is_enabled(tmp_path: Path) -> None:
    folder = tmp_path / "etc/rc.d/rc3.d"
    folder.mkdir(parents=True)
    for name in ("S98openstack-nova-api", "K02openstack-glance-api", "S10sshd", "README"):
        (folder / name).write_text("")

    init = Sysv(os.fspath(tmp_path))
    init._level = "3"
    assert init.enabled() == {"openstack-nova-api", "sshd"}


def test_rows_are_aligned() -> None:
    assert rows.table([["a", "active", "-", ""], ["longer", "failed", "enabled", "pid 1"]]) == (
        "a       active  -\nlonger  failed  enabled  pid 1\n"
    )


USAGE = {
    "nothing": ([], "error: give an action"),
    "an unknown action": (["stat"], 'error: unknown action "stat"\nhint: did you mean start?'),
    "an action without units": (["poweroff"], 'error: unknown action "poweroff"'),
    "an unknown option": (["list", "--frobnicate"], "error: unknown option --frobnicate"),
    "an unknown option alone": (["--frobnicate"], "error: unknown option --frobnicate"),
    "options without an action": (["--json", "-n"], "error: give an action"),
    "now with start": (["start", "--now"], "error: --now goes with enable, disable, reenable, mask"),
    "enable of everything": (["enable"], "error: enable without PREFIX would be for every installed service"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_reported(case: str) -> None:
    words, said = USAGE[case]
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said), done.stderr


def test_the_manual_has_every_option_and_action() -> None:
    manual = (UTILS / "man" / "openstack-service.1").read_text().replace("\\-", "-")
    completion = (UTILS / "completion" / "openstack-service").read_text()
    options = set(re.findall(r"(?<!\S)--[a-z-]+", run("--help").stdout)) - {"--help"}
    assert {"--all", "--dry-run", "--json", "--now"} <= options
    for option in options:
        assert option in manual, option
        assert option in completion, option
    for verb in ("list", "status", "is-active", "restart", "enable", "mask", "reset-failed", "cat"):
        assert verb in manual
        assert re.search(rf"\b{verb}\b", completion)


# id: (words typed, the last being completed; what is offered)
OFFERED = {
    "actions": (["openstack-service", "is-"], "is-active is-enabled is-failed"),
    "projects and services": (
        ["openstack-service", "restart", "--all", "n"],
        "neutron nova nova-of-this-host",
    ),
    "options": (["openstack-service", "stop", "--d"], "--dry-run"),
    "projects of status": (["openstack-status", "ne"], "neutron"),
    "options of status": (["openstack-status", "--wa"], "--watch"),
    "a number": (["openstack-status", "--timeout", ""], ""),
}


@pytest.mark.parametrize("case", OFFERED)
def test_completion(tmp_path: Path, case: str) -> None:
    words, expected = OFFERED[case]

    assert offered(tmp_path, words, "openstack-service() { echo nova-of-this-host; }") == expected.split()


@pytest.mark.parametrize("words", [["openstack-service", "status", ""], ["openstack-status", ""]])
def test_completion_offers_every_project_of_the_catalogue(tmp_path: Path, words: "list[str]") -> None:
    projects = DATA["projects"]
    names = {*projects, *(alias for project in projects.values() for alias in project["aliases"])}

    assert names <= set(offered(tmp_path, words))
