# SPDX-License-Identifier: MIT
"""The catalogue: its files, its cross-checks, services.json and the utilities' reader of it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from builder import cli
from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue
from builder.errors import InputError
from builder.places import SPECS
from builder.report import Report
from tests.support.catalogue_copy import spoil


def test_the_committed_catalogue_has_no_mistakes() -> None:
    catalogue = load_catalogue()

    assert {"keystone", "glance"} <= set(catalogue.projects)
    assert list(catalogue.releases)[-1] == "current"
    for name in ("keystone", "glance"):
        assert {"essex", "current"} <= set(catalogue.projects[name].releases)


def test_what_a_file_with_a_mistake_holds_is_not_reported_as_missing(tmp_path: Path) -> None:
    lines = spoil(tmp_path, "keystone", "title: ", "titel: ")

    assert [line for line in lines if line.startswith("error: ") and "keystone.yaml" not in line] == []


@pytest.mark.parametrize(
    ("project", "release", "file", "section", "key"),
    [
        ("keystone", "essex", "/etc/keystone/keystone.conf", "sql", "connection"),
        ("keystone", "current", "/etc/keystone/keystone.conf", "database", "connection"),
        ("glance", "essex", "/etc/glance/glance-registry.conf", "DEFAULT", "sql_connection"),
        ("glance", "current", "/etc/glance/glance-api.conf", "database", "connection"),
        ("nova", "essex", "/etc/nova/nova.conf", "DEFAULT", "sql_connection"),
        ("placement", "current", "/etc/placement/placement.conf", "placement_database", "connection"),
    ],
)
def test_connections_stand_where_each_release_reads_them(
    project: str, release: str, file: str, section: str, key: str
) -> None:
    services = json.loads(render_services(load_catalogue()))

    options = services["projects"][project]["releases"][release]["databases"][project]["connection"]
    assert {"file": file, "section": section, "key": key, "optional": False} in options
    assert sum(not option["optional"] for option in options) == 1


# file, what is there, what is there instead, the line that is reported, the message, the hint
BAD = {
    "unknown key": ("keystone", "title:", "titel:", 'unknown key "titel"', "did you mean title?"),
    "unknown release": ("keystone", "  essex:", "  esex:", 'unknown release "esex"', "did you mean essex?"),
    "other file name": ("keystone", "project: keystone", "project: keyston", "but the file is", ""),
    "uid taken": ("keystone", "uid: 163", "uid: 161", "the uid 161 already belongs to glance", ""),
    "user taken": ("keystone", "name: keystone\n  uid", "name: glance\n  uid", "the user glance already", ""),
    "port taken": ("keystone", "admin: 35357}", "admin: 9292}", "in essex the port 9292 already belongs", ""),
    "database taken": (
        "keystone", "      keystone:\n        # `conn", "      glance:\n        # `conn",
        "in essex the database glance already belongs to glance", "",
    ),
    "no such file": (
        "glance", "- {file: /etc/glance/glance-registry.conf", "- {file: /etc/glance/glance-registr.conf",
        "/etc/glance/glance-registr.conf is not among the configuration files", "glance-registry.conf?",
    ),
    "command names no file": (
        "glance", "run: [glance-manage, --config-file, /etc/glance/glance-api.conf",
        "run: [glance-manage, --config-file, /etc/glance/glance.conf",
        "/etc/glance/glance.conf is not among the configuration files", "did you mean",
    ),
    "sync of no database": (
        "keystone", "{databases: [keystone]", "{databases: [keystne]",
        'unknown database "keystne"', "did you mean keystone?",
    ),
    "database alongside none": (
        "nova", "alongside: nova", "alongside: nowa", 'unknown database "nowa"', "mean nova",
    ),
    "cloud starts nothing known": (
        "glance", "start: [openstack-glance-api]", "start: [openstack-glance-apo]",
        'cloud: unknown service "openstack-glance-apo"', "did you mean openstack-glance-api?",
    ),
    "cloud writes no file": (
        "glance", "- {file: /etc/glance/glance-api.conf, section: keystone_authtoken",
        "- {file: /etc/glance/glance-apo.conf, section: keystone_authtoken",
        "/etc/glance/glance-apo.conf is not among the configuration files", "glance-api.conf?",
    ),
    "cloud leaves a value open": (
        "nova", 'my_ip: "{address}"', 'my_ip: "{adress}"', "my_ip: {adress} does not stand for anything", "",
    ),
    "cloud logs in as nobody": (
        "keystone", "start: [openstack-keystone]",
        "start: [openstack-keystone]\n      options:\n"
        "        - {file: /etc/keystone/keystone.conf, section: s, login: account}",
        "the project has no account to log in as", "",
    ),
    "template of none": ("nova", "{template:nova_cell0}", "{template:cell0}", 'database "cell0"', ""),
    "requires no file": (
        "nova", "requires: {file: /etc/nova/nova.conf", "requires: {file: /etc/nova/now.conf",
        "/etc/nova/now.conf is not among the configuration files", "nova.conf?",
    ),
    "no option holds the URL": (
        "heat", "section: database, key: connection}", "section: database, key: connection, optional: true}",
        "at least one option always holds the URL", "",
    ),
    "endpoint at no port": ("glance", 'public: "http://{host}:9292"', 'public: "http://{host}:9293"',
                            "image: port 9293 is not one of ports", ""),
    "not a system account": ("keystone", "uid: 163", "uid: 1630", "is not the id of a system account", ""),
    "exit 0 is behind": ("keystone", "behind: [2, 4]", "behind: [0, 4]", "exit codes other than 0", ""),
    "odd mode": ("glance", 'mode: "0644"', 'mode: "644"', 'mode "644" is not of the form 0640', ""),
    "file outside /etc": ("glance", "/etc/glance/policy.json", "/usr/glance/policy.json", "below /etc", ""),
    "unknown engine": (
        "glance", "    sync:", "        engines: [mysql, oracle]\n    sync:",
        'unknown value "oracle"', "one of mysql, postgresql",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "message", "hint"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_reported_with_file_and_line(
    tmp_path: Path, name: str, old: str, new: str, message: str, hint: str
) -> None:
    lines = spoil(tmp_path, name, old, new)

    assert message in "\n".join(lines)
    assert hint in "\n".join(lines)
    assert lines[0].startswith(f"error: {tmp_path}/specs/services/")
    assert lines[0].split(":")[2].isdigit()


def test_a_mistake_in_one_file_hides_none_in_another(tmp_path: Path) -> None:
    glance = SPECS / "services/glance.yaml"
    text = glance.read_text().replace('mode: "0644"', 'mode: "644"')

    with pytest.raises(InputError) as caught:
        load_catalogue(changed={glance: text, SPECS / "services/nova.yaml": nova_with_the_port_of_keystone()})

    said = "\n".join(caught.value.lines())
    assert 'mode "644" is not of the form 0640' in said
    assert "in current the port 5000" in said
    assert "unknown project" not in said


def nova_with_the_port_of_keystone() -> str:
    """Return the text of nova's file, which claims what is Keystone's."""
    return (SPECS / "services/nova.yaml").read_text().replace("compute: 8774", "compute: 5000")


def test_equal_catalogues_render_equal_bytes() -> None:
    assert render_services(load_catalogue()) == render_services(load_catalogue())


def test_the_utilities_read_what_the_builder_renders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SPECS.parent / "utils"))
    sys.modules.pop("openstack_utils", None)
    from openstack_utils.errors import UtilityError
    from openstack_utils.services import load_services

    path = tmp_path / "services.json"
    path.write_text(render_services(load_catalogue()))
    services = load_services(str(path))
    assert services["projects"]["glance"]["user"] == {
        "name": "glance", "uid": 161, "gid": 161, "group": "glance",
        "home": "/var/lib/glance", "shell": "/sbin/nologin", "comment": "OpenStack Glance Daemons",
    }  # fmt: skip
    assert services["releases"]["current"]["drivers"]["mysql"] == "mysql+pymysql"

    for text, message in (("{", "not json"), ('{"format": 99}', "format 99 is not 1"), ("[]", "format None")):
        path.write_text(text)
        with pytest.raises(UtilityError, match=message):
            load_services(str(path))
    with pytest.raises(UtilityError, match="no such file"):
        load_services(str(tmp_path / "absent.json"))


def test_command_prints_writes_and_checks(tmp_path: Path) -> None:
    printed, reported = io.StringIO(), io.StringIO()
    path = tmp_path / "services.json"

    assert cli.run(cli.parse(["services"]), Report(out=printed)) == 0
    assert cli.run(cli.parse(["services", "-o", str(path)]), Report(err=reported)) == 0
    first = path.stat().st_mtime_ns
    assert cli.run(cli.parse(["services", "-o", str(path)]), Report(err=reported)) == 0
    assert cli.run(cli.parse(["services", "--check"]), Report(err=reported)) == 0

    assert json.loads(printed.getvalue()) == json.loads(path.read_text())
    assert path.stat().st_mtime_ns == first
    assert reported.getvalue().splitlines()[-1].endswith("projects, no mistakes")
    assert reported.getvalue().count("wrote") == 1


def test_projects_are_started_after_those_that_they_need() -> None:
    services = json.loads(render_services(load_catalogue()))

    order = services["order"]
    assert sorted(order) == sorted(services["projects"])
    assert order[0] == "keystone"
    assert order.index("nova") > max(map(order.index, ("glance", "neutron", "placement")))


def test_services_are_started_in_the_order_of_their_units() -> None:
    services = json.loads(render_services(load_catalogue()))

    names = list(services["projects"]["neutron"]["releases"]["current"]["services"])
    for cleanup in ("neutron-ovs-cleanup", "neutron-netns-cleanup"):
        assert names.index(cleanup) < names.index("neutron-l3-agent")


def test_what_cleans_up_at_boot_is_marked() -> None:
    services = json.loads(render_services(load_catalogue()))

    marked = {
        name
        for project in services["projects"].values()
        for release in project["releases"].values()
        for name, service in release["services"].items()
        if service["cleans_up"]
    }
    assert marked == {"neutron-netns-cleanup", "neutron-ovs-cleanup"}


@pytest.mark.parametrize(
    ("project", "old", "new", "message"),
    [
        ("nova", "needs: [keystone,", "needs: [keystne,", 'needs: unknown project "keystne"'),
        ("keystone", "title: Identity", "needs: [nova]\ntitle: Identity", "wait for each other"),
        ("glance", "          port: api\n", "          port: apo\n", 'unknown port "apo"'),
        ("cinder", "option: {file: /etc/cinder/cinder.conf", "option: {file: /etc/cinder/c.conf",
         "/etc/cinder/c.conf is not among the configuration files"),
    ],
    ids=["unknown need", "circle", "unknown port", "unknown file"],
)  # fmt: skip
def test_mistakes_in_order_and_addresses_are_found(
    project: str, old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert message in "\n".join(spoil(tmp_path, project, old, new))
