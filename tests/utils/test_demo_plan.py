# SPDX-License-Identifier: MIT
"""openstack-demo-install: what is planned for which host, what is refused, what is shown, the passwords."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openstack_utils import ini
from openstack_utils.demo import act, before, host, network, plan, secrets, steps, undo, volumes
from openstack_utils.errors import UsageError, UtilityError

from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue
from tests.support.completion import offered

UTILS = Path(__file__).resolve().parents[2] / "utils"
DATA = json.loads(render_services(load_catalogue()))
FACTS = {
    name: project["releases"]["current"]
    for name, project in DATA["projects"].items()
    if "current" in project["releases"]
}
PASSWORDS = "/root/openstack-demo-passwords"


def installed(*projects: str, without: "tuple[str, ...]" = ()) -> plan.InstalledParts:
    """Return a host with all packages of the projects, but without some units."""
    units = {unit for name in projects for unit in FACTS[name]["services"]} | {"rabbitmq-server"}
    files = {path for name in projects for path in FACTS[name]["configuration"]}
    supports = {
        name: (f"{each['units'][0]}.service",)
        for name, each in DATA["supports"].items()
        if not set(each["units"]) & set(without)
    }
    return plan.InstalledParts(frozenset(units - set(without)), frozenset(files), {}, supports)


EVERYTHING = installed(*FACTS)
COMPUTE = plan.Wish(role="compute", controller="192.0.2.1", address="192.0.2.2", hypervisor="kvm")


def values(made: plan.DemoPlan) -> "dict[tuple[str, str, str], str]":
    """Return {(file name, section, option): value as it is shown}."""
    return {
        (os.path.basename(each.path), each.section, each.key): each.command().split(" ", 5)[5]
        for each in made.edits
    }


# id: (host, services asked for, projects in their order)
CHOSEN = {
    "all that is installed": (installed("keystone", "glance"), (), ("keystone", "glance")),
    "one and what it needs": (EVERYTHING, ("glance",), ("keystone", "glance")),
    "nova and all below it": (
        EVERYTHING,
        ("nova",),
        ("keystone", "glance", "neutron", "placement", "nova"),
    ),
    "the order of the words does not count": (EVERYTHING, ("glance", "keystone"), ("keystone", "glance")),
    "a former name": (EVERYTHING, ("quantum",), ("keystone", "neutron")),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_projects_are_chosen_with_what_they_need(case: str) -> None:
    where, services, projects = CHOSEN[case]

    assert plan.make_plan(DATA, where, plan.Wish(services)).projects == projects


# id: (host, wish, what the error says)
REFUSED = {
    "unknown": (EVERYTHING, plan.Wish(("glanse",)), 'unknown service "glanse"'),
    "not set up here": (EVERYTHING, plan.Wish(("barbican",)), "barbican is not among the services"),
    "nothing installed": (installed(), plan.Wish(), "no OpenStack service that belongs on a controller"),
    "not installed": (installed("keystone"), plan.Wish(("glance",)), "glance is not installed"),
    "without keystone": (
        installed("glance"),
        plan.Wish(),
        "keystone, which glance needs, is not installed: none of openstack-keystone",
    ),
    "no bus": (
        installed("keystone", "glance", "cinder", without=("rabbitmq-server",)),
        plan.Wish(),
        "cinder needs a message bus",
    ),
    "no switch": (
        installed("keystone", "neutron", without=("openvswitch",)),
        plan.Wish(),
        "neutron-openvswitch-agent needs Open vSwitch, and none of openvswitch",
    ),
    "no libvirt on a compute host": (
        installed("nova", without=("libvirtd",)),
        COMPUTE,
        "openstack-nova-compute needs libvirt",
    ),
    "nothing for a compute host": (EVERYTHING, COMPUTE._replace(services=("glance",)), "glance has nothing"),
    "of another release": (
        installed("keystone")._replace(others={"keystone": "essex"}),
        plan.Wish(),
        "keystone is of Essex",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused(case: str) -> None:
    where, wish, message = REFUSED[case]

    with pytest.raises(UsageError) as error:
        plan.make_plan(DATA, where, wish)

    assert message in error.value.message
    assert error.value.hint


def test_steps_come_in_the_order_of_the_talk() -> None:
    made = plan.make_plan(DATA, installed("keystone", "glance"), plan.Wish())

    assert [step.title for step in made.steps] == [
        "passwords",
        "keystone: database",
        "keystone: makes /etc/keystone/fernet-keys/0",
        "keystone: makes /etc/keystone/credential-keys/0",
        "keystone: services",
        "keystone: openstack-keystone answers",
        "keystone: users, projects, catalog",
        "glance: configuration",
        "glance: database",
        "glance: services",
        "glance: openstack-glance-api answers",
        "services still run",
    ]
    assert made.secrets == ("ADMIN_PASSWORD", "DEMO_PASSWORD", "GLANCE_PASSWORD")


def test_nova_is_configured_before_its_database_whose_cell_holds_the_bus() -> None:
    titles = [step.title for step in plan.make_plan(DATA, EVERYTHING, plan.Wish(("nova",))).steps]

    assert titles.index("message bus") < titles.index("nova: configuration") < titles.index("nova: database")


# id: (wish, file, section, option, value as a shell has it)
VALUES = {
    "password": (plan.Wish(), "nova.conf", "placement", "password", '"${NOVA_PASSWORD}"'),
    "bus": (
        plan.Wish(),
        "nova.conf",
        "DEFAULT",
        "transport_url",
        '"rabbit://openstack:${BUS_PASSWORD}@127.0.0.1:5672/"',
    ),
    "bus of the controller": (
        COMPUTE,
        "neutron.conf",
        "DEFAULT",
        "transport_url",
        '"rabbit://openstack:${BUS_PASSWORD}@192.0.2.1:5672/"',
    ),
    "bus by IPv6": (
        plan.Wish(controller="2001:db8::1"),
        "heat.conf",
        "DEFAULT",
        "transport_url",
        '"rabbit://openstack:${BUS_PASSWORD}@[2001:db8::1]:5672/"',
    ),
    "own address": (COMPUTE, "nova.conf", "vnc", "server_listen", "192.0.2.2"),
    "address of the controller": (
        COMPUTE,
        "nova.conf",
        "vnc",
        "novncproxy_base_url",
        "http://192.0.2.1:6080/vnc_lite.html",
    ),
    "kvm": (COMPUTE, "nova.conf", "libvirt", "cpu_mode", "host-model"),
    "lxc": (plan.Wish(hypervisor="lxc"), "nova.conf", "libvirt", "virt_type", "lxc"),
    "nothing": (plan.Wish(), "neutron.conf", "DEFAULT", "service_plugins", "''"),
    "shared secret": (
        plan.Wish(),
        "metadata_agent.ini",
        "DEFAULT",
        "metadata_proxy_shared_secret",
        '"${METADATA_SECRET}"',
    ),
    "switch in the kernel": (plan.Wish(), "openvswitch_agent.ini", "ovs", "datapath_type", "system"),
    "tunnels": (COMPUTE, "openvswitch_agent.ini", "ovs", "local_ip", "192.0.2.2"),
    "encryption key": (plan.Wish(), "heat.conf", "DEFAULT", "auth_encryption_key", '"${ENCRYPTION_KEY}"'),
    "trustee": (plan.Wish(), "heat.conf", "trustee", "password", '"${HEAT_PASSWORD}"'),
    "hash of names": (
        plan.Wish(),
        "swift.conf",
        "swift-hash",
        "swift_hash_path_suffix",
        '"${HASH_SUFFIX}"',
    ),
    "region": (plan.Wish(region="Two"), "neutron.conf", "nova", "region_name", "Two"),
}


@pytest.mark.parametrize("case", VALUES)
def test_services_get_to_know_each_other(case: str) -> None:
    wish, name, section, key, value = VALUES[case]

    assert values(plan.make_plan(DATA, EVERYTHING, wish))[name, section, key] == value


# id: (whether the device is there, /proc/cpuinfo, whether guests run on the processor)
PROCESSORS = {
    "with vmx": (True, "flags\t\t: fpu vmx sse\n", True),
    "with svm": (True, "flags\t\t: fpu svm\n", True),
    "nested without": (True, "flags\t\t: fpu hypervisor\n", False),
    "no device": (False, "flags\t\t: fpu vmx\n", False),
    "another architecture": (True, "Features\t: fp asimd\n", True),
}


@pytest.mark.parametrize("case", PROCESSORS)
def test_kvm_is_taken_where_guests_run_on_it(case: str, tmp_path: Path) -> None:
    is_there, text, expected = PROCESSORS[case]
    device, processor = tmp_path / "kvm", tmp_path / "cpuinfo"
    processor.write_text(text)
    if is_there:
        device.write_text("")

    assert host.has_kvm(str(device), str(processor)) is expected


def test_switch_is_in_user_space_where_the_kernel_has_none() -> None:
    reported = values(plan.make_plan(DATA, EVERYTHING._replace(datapath="netdev"), plan.Wish()))

    assert reported["openvswitch_agent.ini", "ovs", "datapath_type"] == "netdev"


def test_an_instance_waits_for_its_port_as_long_as_nova_says() -> None:
    written = values(plan.make_plan(DATA, EVERYTHING, plan.Wish()))

    assert [key for _, _, key in written if key.startswith("vif_plugging")] == []


def test_the_account_that_reports_ports_sees_instances_of_all_projects() -> None:
    account = DATA["projects"]["neutron"]["releases"]["current"]["account"]

    # Role service may report; nova/db/main/api.py shows instances of others to role admin only.
    assert set(account["roles"]) == {"admin", "service"}


def test_commands_that_make_one_file_are_one_step() -> None:
    made = plan.make_plan(DATA, installed("keystone", "swift"), plan.Wish())

    rings = [step for step in made.steps if isinstance(step, steps.Prepare) and "ring" in step.makes]
    assert [step.makes for step in rings] == [
        f"/etc/swift/{name}.ring.gz" for name in ("account", "container", "object")
    ]
    assert [command.split()[2] for command in rings[0].commands()] == ["create", "add", "rebalance"]


def test_what_others_package_is_started_before_the_service_that_stands_on_it() -> None:
    titles = [step.title for step in plan.make_plan(DATA, EVERYTHING, plan.Wish()).steps]

    assert titles.index("neutron: Open vSwitch") < titles.index("neutron: services")
    assert titles.index("nova: libvirt") < titles.index("nova: services")


class Nobody:
    """An init that is not asked."""


def test_commands_are_run_again_until_the_last_has_made_the_file(tmp_path: Path) -> None:
    made = tmp_path / "made"
    step = steps.Prepare("x", (("mkdir", "-p", f"{tmp_path}/a"), ("touch", str(made))), str(made))
    acting = act.Acting(Nobody(), {})

    assert [acting.do(step), acting.do(step)] == ["changed", "unchanged"]
    made.unlink()
    assert acting.do(step) == "changed"


# As a host has it with addresses in 192.0.2.0/24 and a bridge in 10.20.0.0/16, and a default route.
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
br0\t0000140A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_range_that_a_route_leads_into_is_not_free() -> None:
    network.check_free("10.30.0.0/24", network.read_routes(ROUTES))

    with pytest.raises(UsageError, match=r"this host reaches 10\.20\.0\.0/16 by br0"):
        network.check_free("10.20.7.0/24", network.read_routes(ROUTES))


def test_network_is_the_last_step_and_needs_neutron() -> None:
    wish = plan.Wish(("neutron",), network="10.20.0.0/24")
    last = plan.make_plan(DATA, EVERYTHING, wish).steps[-1]

    assert last.commands() == (
        "openstack network create --share demo",
        "openstack subnet create --network demo --subnet-range 10.20.0.0/24 --gateway none demo",
    )
    with pytest.raises(UsageError, match="--network needs neutron"):
        plan.make_plan(DATA, EVERYTHING, wish._replace(services=("glance",)))


def test_volumes_are_served_where_a_group_of_them_is_made() -> None:
    without = plan.make_plan(DATA, EVERYTHING, plan.Wish(("cinder",)))
    wish = plan.Wish(("cinder",), volumes="/srv/volumes", size=1 << 30)
    made = plan.make_plan(DATA, EVERYTHING, wish)

    titles = [step.title for step in made.steps]
    assert titles.index("cinder: group of volumes") < titles.index("cinder: services")
    assert values(made)["cinder.conf", "lvm", "volume_group"] == "cinder-volumes"
    assert ("cinder.conf", "lvm", "volume_group") not in values(without)
    started = [unit for step in made.steps if isinstance(step, steps.Start) for unit in step.units]
    assert "openstack-cinder-volume" in started
    with pytest.raises(UsageError, match="--nova-volumes needs cinder"):
        plan.make_plan(DATA, EVERYTHING, wish._replace(services=("glance",)))


def test_tokens_are_checked_without_a_region() -> None:
    reported = values(plan.make_plan(DATA, EVERYTHING, plan.Wish()))

    assert reported["nova.conf", "keystone_authtoken", "www_authenticate_uri"] == "http://127.0.0.1:5000/v3"
    assert ("nova.conf", "keystone_authtoken", "region_name") not in reported


def test_no_value_is_left_open() -> None:
    for wish in (plan.Wish(), COMPUTE):
        for edit in plan.make_plan(DATA, EVERYTHING, wish).edits:
            assert not re.search(r"\{(?!secret\})", edit.value), edit
            assert ("{secret}" in edit.value) == bool(edit.secret), edit


def test_compute_host_has_no_database_no_accounts_and_no_tokens_to_check() -> None:
    made = plan.make_plan(DATA, EVERYTHING, COMPUTE)

    assert made.projects == ("neutron", "nova")
    assert {type(step) for step in made.steps} == {
        steps.PasswordFile, steps.Configure, steps.StartSupport, steps.Start, steps.StayUp,
    }  # fmt: skip
    assert "keystone_authtoken" not in {edit.section for edit in made.edits}
    started = [step.units for step in made.steps if isinstance(step, steps.Start)]
    assert started == [("neutron-openvswitch-agent",), ("openstack-nova-compute",)]
    assert set(made.secrets) == {"BUS_PASSWORD", "NOVA_PASSWORD", "METADATA_SECRET"}


def test_only_what_is_installed_is_started_and_configured() -> None:
    where = installed("keystone", "glance", "neutron", without=("neutron-dhcp-agent",))
    where = where._replace(files=where.files - {"/etc/neutron/dhcp_agent.ini"})

    made = plan.make_plan(DATA, where, plan.Wish())

    assert "/etc/neutron/dhcp_agent.ini" not in {edit.path for edit in made.edits}
    assert not any("neutron-dhcp-agent" in step.units for step in made.steps if isinstance(step, steps.Start))


def test_shown_commands_are_what_a_shell_does(tmp_path: Path) -> None:
    config = tmp_path / "glance.conf"
    edits = (
        steps.Edit(str(config), "DEFAULT", "transport_url", "rabbit://x:{secret}@h:5672/", "BUS_PASSWORD"),
        steps.Edit(str(config), "a b", "name", "it's; $HOME"),
    )  # fmt: skip
    known, _ = secrets.complete(str(tmp_path / "passwords"), ["BUS_PASSWORD"], {})
    first = steps.PasswordFile(str(tmp_path / "passwords"), ("BUS_PASSWORD",)).commands()
    config.write_text("")
    script = "\n".join([*first, *(edit.command() for edit in edits)])

    subprocess.run(
        ["bash", "-ec", script], check=True, timeout=600,
        env={**os.environ, "PATH": f"{UTILS / 'bin'}:{os.environ['PATH']}"},
    )  # fmt: skip
    by_hand = ini.read(str(config))

    assert [by_hand.value(edit.section, edit.key) for edit in edits] == [edit.real(known) for edit in edits]


def test_configuration_is_written_in_one_run_and_not_again(tmp_path: Path) -> None:
    one, two = tmp_path / "one.conf", tmp_path / "two.conf"
    one.write_text("# kept\n[DEFAULT]\n")
    two.write_text("")
    step = steps.Configure(
        "x", (steps.Edit(str(one), "s", "a", "1"), steps.Edit(str(two), "s", "b", "{secret}", "P"))
    )
    acting = act.Acting(Nobody(), {"P": "hidden"})

    assert [acting.do(step), acting.do(step)] == ["changed", "unchanged"]
    assert one.read_text().startswith("# kept\n")
    assert ini.read(str(two)).value("s", "b") == "hidden"


def test_options_get_back_what_they_had_before_the_first_run(tmp_path: Path) -> None:
    config, record = tmp_path / "one.conf", tmp_path / "before.json"
    text = "# kept\n[s]\na = old\n"
    config.write_text(text)
    edits = tuple(steps.Edit(str(config), "s", name, "new") for name in ("a", "b"))
    acting = act.Acting(Nobody(), {})
    for _ in range(2):
        acting.do(steps.Configure("x", edits, str(record)))
    places = ((str(config), "database", "connection"),)
    before.remember(str(record), {str(config): ini.read(str(config))}, places)
    config.write_text(config.read_text() + "[database]\nconnection = mysql+pymysql://x:secret@h/x\n")
    there = before.read(str(record))
    restore = steps.Restore("y", str(record), tuple((*place, there[place]) for place in sorted(there)))

    assert acting.do(restore) == "changed"
    assert config.read_text() == text
    assert acting.do(restore) == "unchanged"
    assert record.stat().st_mode & 0o777 == 0o600
    assert "old" not in " ".join(restore.commands())


def test_undo_goes_back_in_the_reverse_order_and_keeps_the_passwords_to_the_end() -> None:
    made = plan.make_plan(DATA, EVERYTHING, plan.Wish(("cinder",)))

    back = undo.make_plan(made, plan.Wish(), {}, {"BUS_PASSWORD": "x"})
    titles = [step.title for step in back.steps]

    assert titles.index("cinder: services") < titles.index("cinder: database")
    assert titles.index("cinder: database") < titles.index("keystone: services")
    assert titles.index("keystone: database") < titles.index("account on the bus")
    assert back.steps[-1].paths[-1] == PASSWORDS
    assert "account on the bus" not in [
        step.title for step in undo.make_plan(made, plan.Wish(), {}, {}).steps
    ]


def test_record_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text("{")

    with pytest.raises(UtilityError, match="not a record"):
        before.read(str(tmp_path / "before.json"))


def test_passwords_are_made_once_private_and_completed(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    first, made = secrets.complete(str(path), ["A_PASSWORD"], secrets.read(str(path)))
    more, completed = secrets.complete(str(path), ["A_PASSWORD", "B_PASSWORD"], secrets.read(str(path)))
    again, changed = secrets.complete(str(path), ["A_PASSWORD", "B_PASSWORD"], secrets.read(str(path)))

    assert (made, completed, changed) == (True, True, False)
    assert more["A_PASSWORD"] == first["A_PASSWORD"] != more["B_PASSWORD"]
    assert again == more == secrets.read(str(path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_passwords_of_the_controller_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no BUS_PASSWORD") as error:
        secrets.need(str(tmp_path / "passwords"), ("BUS_PASSWORD",), {}, "192.0.2.1")

    assert "scp root@192.0.2.1:" in str(error.value.hint)


# id: (text of the file, whether passwords are there, what the error says; None: none)
FOREIGN: "dict[str, tuple[str, bool, Any]]" = {
    "set by somebody else": ("[s]\npassword = x\n", False, "[s] password is set"),
    "set by an earlier run": ("[s]\npassword = x\n", True, None),
    "as the package has it": ("[s]\npassword = changeme\n", False, None),
    "not set": ("[s]\n#password = x\n", False, None),
    "not readable": ("[s\n", True, "nova.conf:1: "),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_services_of_somebody_else_are_left_alone(case: str, tmp_path: Path) -> None:
    text, has_passwords, message = FOREIGN[case]
    path = tmp_path / "nova.conf"
    path.write_text(text)
    edit = steps.Edit(str(path), "s", "password", "{secret}", "NOVA_PASSWORD")
    made = plan.DemoPlan(
        (), (steps.PasswordFile(PASSWORDS, ("NOVA_PASSWORD",)), steps.Configure("x", (edit,)))
    )

    if message is None:
        host.check_files(made, {"NOVA_PASSWORD": "x"} if has_passwords else {})
        return
    with pytest.raises(UsageError) as error:
        host.check_files(made, {"NOVA_PASSWORD": "x"} if has_passwords else {})
    assert message in error.value.message


def test_url_of_a_database_on_a_compute_host_is_refused(tmp_path: Path) -> None:
    made = plan.make_plan(DATA, EVERYTHING, COMPUTE)
    path = tmp_path / "nova.conf"
    path.write_text("[api_database]\nconnection = mysql+pymysql://nova:secret@controller/nova_api\n")
    here = plan.DemoPlan((), (), ((str(path), "api_database", "connection"),))

    with pytest.raises(UsageError) as error:
        host.check_files(here, {"NOVA_PASSWORD": "x"})

    assert ("/etc/nova/nova.conf", "api_database", "connection") in made.forbidden
    assert plan.make_plan(DATA, EVERYTHING, plan.Wish()).forbidden == ()
    assert "[api_database] connection is set" in error.value.message
    assert "secret" not in error.value.message
    assert error.value.hint == f"openstack-config --del {path} api_database connection"


# id: (words of the command line, what the error says)
WRONG = {
    "join alone": (["--join", "192.0.2.1"], "--role compute and --join HOST go together"),
    "compute alone": (["--role", "compute"], "--role compute and --join HOST go together"),
    "joins itself": (["--role", "compute", "--join", "127.0.0.1"], "--join 127.0.0.1 is this host"),
    "address of another": (
        ["--address", "192.0.2.77"],
        "--address 192.0.2.77 is not an address of this host",
    ),
    "not a host": (["--address", "a b"], '--address: "a b" is not the name or address of a host'),
    "no range": (["--network", "10.20.0.1/24"], "--network: 10.20.0.1/24 has host bits set"),
    "range of others": (["--network", "8.8.8.0/24"], "--network 8.8.8.0/24: these addresses are not free"),
    "range too small": (["--network", "10.20.0.0/30"], "a range of /12 to /29 is wanted"),
    "range of loopback": (["--network", "127.0.0.0/24"], "these addresses are not free to use"),
    "network of a compute host": (
        ["--role", "compute", "--join", "192.0.2.1", "--network", "10.20.0.0/24"],
        "--network is the controller's to make",
    ),
    "size alone": (["--size", "10G"], "--size goes with --nova-volumes"),
    "size": (["--nova-volumes", "/x", "--size", "10"], "--size 10: a size of 1G or more is wanted"),
    "volumes in no folder": (
        ["--nova-volumes", "/nowhere/x"],
        "--nova-volumes /nowhere/x: not a full path in a folder that is there",
    ),
    "volumes in a device": (["--nova-volumes", "/dev/null"], "--nova-volumes /dev/null: not a regular file"),
    "bus": (["--bus", "qpid"], "argument --bus: invalid choice"),
    "no folder": (["--output", "/nowhere"], "--output /nowhere: no such folder"),
    "hypervisor": (["--hypervisor", "xen"], "argument --hypervisor: invalid choice"),
    "unknown option": (["--all"], "unrecognized arguments: --all"),
    "yes alone": (["--yes"], "--yes goes with --undo"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_one_line_and_exit_2(case: str) -> None:
    words, message = WRONG[case]
    done = subprocess.run(
        [sys.executable, "-I", UTILS / "bin" / "openstack-demo-install", *words],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr.splitlines()[0]
    assert done.stdout == ""


@pytest.mark.root
@pytest.mark.parametrize("planted", [PASSWORDS, before.NAME, "volumes"])
def test_what_another_user_has_planted_is_refused(tmp_path: Path, planted: str) -> None:
    shared, canary = tmp_path / "shared", tmp_path / "canary"
    shared.mkdir()
    shared.chmod(0o1777)
    canary.touch()
    path = shared / os.path.basename(planted)
    if planted == "volumes":
        path.symlink_to(canary)
        words = ["--nova-volumes", str(path)]
    else:
        path.write_text("ADMIN_PASSWORD=known\n")
        os.chown(path, 65533, 65533)
        words = ["--output", str(shared)]

    done = subprocess.run(
        [sys.executable, "-I", UTILS / "bin" / "openstack-demo-install", *words],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip

    assert done.returncode in (2, 4), done.stderr
    said = "not a regular file" if planted == "volumes" else f"{path}: somebody else has made it"
    assert said in done.stderr.splitlines()[0]
    assert canary.stat().st_size == 0


def test_completion_offers_every_project_that_can_be_set_up(tmp_path: Path) -> None:
    projects = DATA["projects"].items()
    known = {name for name, each in projects if each["releases"].get("current", {}).get("cloud")}

    assert known <= set(offered(tmp_path, ["openstack-demo-install", "--services", ""]))


def test_completion_and_man_page_have_every_option() -> None:
    help_text = subprocess.run(
        [sys.executable, "-I", UTILS / "bin" / "openstack-demo-install", "--help"],
        capture_output=True, text=True, check=True, timeout=600,
    ).stdout  # fmt: skip
    options = set(
        re.findall(r"--[a-z-]+", help_text.partition("what to set up:")[2].partition("examples")[0])
    )
    completion = (UTILS / "completion" / "openstack-demo-install").read_text()
    page = (UTILS / "man" / "openstack-demo-install.1").read_text().replace("\\-", "-")

    assert {option for option in options if option not in completion} == set()
    assert {option for option in options if option not in page} == set()


def test_node_of_a_kernel_without_device_mapper_proves_nothing(tmp_path: Path) -> None:
    assert volumes.why_no_device_mapper(str(tmp_path / "control")) == "no such file or directory"
    # A socket cannot be opened: ENXIO, as a device whose driver is not there.
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(tmp_path / "node"))
        assert volumes.why_no_device_mapper(str(tmp_path / "node")) == "no such device or address"
    assert volumes.why_no_device_mapper(os.devnull) is None


def test_a_switch_in_user_space_needs_the_address_on_a_bridge_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "br-out").mkdir()
    (tmp_path / "br-out/tun_flags").touch()
    name = {"192.0.2.1": "eth0", "192.0.2.2": "br-out", "127.0.0.1": "lo", "192.0.2.9": None}
    found = {}
    for address, device in name.items():
        with pytest.MonkeyPatch.context() as patching:
            patching.setattr(host, "device_of", lambda _, device=device: device)
            found[address] = host.find_tunnel_fault("netdev", address, str(tmp_path))
            assert host.find_tunnel_fault("system", address, str(tmp_path)) is None

    assert found.pop("192.0.2.1") == (
        "the kernel has no module openvswitch, and 192.0.2.1 is on eth0, no bridge of Open vSwitch: "
        "instances do not reach those of other hosts"
    )
    assert set(found.values()) == {None}


def test_device_of_an_address_is_asked_of_the_kernel() -> None:
    assert host.device_of("127.0.0.1") == "lo"
    assert host.device_of("192.0.2.77") is None
