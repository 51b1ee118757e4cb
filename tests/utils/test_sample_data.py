# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data without a Keystone: profiles, plans, requests, input and output."""

import json
import sys
from pathlib import Path

import pytest

from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue
from tests.support.config_tool import UTILS

sys.path.insert(0, str(UTILS))

from openstack_utils.errors import UsageError
from openstack_utils.sample_data import passwords as sample_passwords
from openstack_utils.sample_data import plan as sample_plan
from openstack_utils.sample_data import profiles
from openstack_utils.sample_data import state as sample_state
from openstack_utils.sample_data.apply import request_for
from openstack_utils.sample_data.model import Assignment, CatalogService, DesiredObjects, Endpoint, Role, User

URL = "http://10.0.0.5:5000/v3"


@pytest.fixture(scope="module")
def catalogue() -> dict:
    return json.loads(render_services(load_catalogue()))


def build(
    catalogue: dict, profile: str, environment: "dict[str, str] | None" = None, **choices: object
) -> DesiredObjects:
    passwords = sample_passwords.Passwords({}, environment or {"ADMIN_PASSWORD": "pw"})
    return profiles.build(catalogue, profiles.Choices(profile, URL, **choices), passwords)


def urls(desired: DesiredObjects) -> "dict[tuple[str, str], str]":
    return {(each.type, each.interface): each.url for each in desired.endpoints}


def test_essex_names_what_keystone_2012_1_made(catalogue: dict) -> None:
    plain = build(catalogue, "essex")
    everything = build(catalogue, "essex", optional=("swift", "quantum"))

    assert [each.name for each in plain.projects] == ["admin", "service", "demo", "invisible_to_admin"]
    assert {each.name for each in plain.users} == {"admin", "demo", "nova", "glance"}
    assert {each.name for each in everything.users} == {"admin", "demo", "nova", "glance", "swift", "quantum"}
    assert [each.name for each in plain.roles] == [
        "admin", "Member", "KeystoneAdmin", "KeystoneServiceAdmin", "sysadmin", "netadmin",
    ]  # fmt: skip
    assert set(everything.assignments) == {
        Assignment(*words.split())
        for words in (
            "admin admin admin", "admin admin KeystoneAdmin", "admin admin KeystoneServiceAdmin",
            "admin demo admin", "demo demo Member", "demo demo sysadmin", "demo demo netadmin",
            "demo invisible_to_admin Member", "nova service admin", "glance service admin",
            "swift service admin", "quantum service admin",
        )
    }  # fmt: skip
    assert {each.type: each.title for each in everything.services} == {
        "compute": "nova", "ec2": "ec2", "image": "glance", "identity": "keystone", "volume": "nova-volume",
        "dashboard": "horizon", "object-store": "swift", "network": "quantum",
    }  # fmt: skip
    assert [tuple(each) for each in plain.ec2] == [("admin", "admin"), ("demo", "demo")]


def test_essex_points_to_the_running_keystone_unless_strict(catalogue: dict) -> None:
    today, strict = urls(build(catalogue, "essex")), urls(build(catalogue, "essex", strict=True))

    assert today["identity", "admin"] == URL
    assert today["image", "public"] == "http://10.0.0.5:9292"
    assert today["compute", "public"] == "http://10.0.0.5:8774/v1.1/$(project_id)s"
    assert strict["identity", "public"] == "http://10.0.0.5:5000/v2.0"
    assert strict["identity", "admin"] == strict["identity", "internal"] == "http://10.0.0.5:35357/v2.0"
    assert strict["image", "public"] == "http://10.0.0.5:9292/v1"
    assert strict["compute", "public"] == "http://10.0.0.5:8774/v1.1/$(tenant_id)s"
    assert strict["volume", "admin"] == "http://10.0.0.5:8776/v1/$(tenant_id)s"
    assert strict["ec2", "admin"] == "http://10.0.0.5:8773/services/Admin"


@pytest.mark.parametrize(
    ("here", "more", "expected"),
    [
        ([], {}, None),
        (["etc/glance/glance-api.conf"], {}, {"identity", "image"}),
        (["etc/init.d/openstack-glance-api"], {}, {"identity", "image"}),
        (["usr/lib/systemd/system/openstack-nova-os-compute-api.service"], {}, {"identity", "compute"}),
        (["etc/keystone/keystone.conf"], {}, {"identity"}),
        (["etc/keystone/keystone.conf"], {"services": ("glance",)}, {"identity", "image"}),
    ],
)
def test_services_that_are_installed_are_registered(
    catalogue: dict, tmp_path: Path, here: "list[str]", more: "dict[str, object]", expected: "set[str] | None"
) -> None:
    for name in here:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    found = profiles.installed(catalogue, "current", lambda path: str(tmp_path / path.lstrip("/")))

    desired = build(catalogue, "current", installed=found, **more)

    everything = {each.type for each in build(catalogue, "current").services}
    assert {each.type for each in desired.services} == (expected or everything)
    assert len(everything) > 5


@pytest.mark.parametrize(
    ("here", "more", "expected"),
    [
        ([], {}, {"orchestration", "cloudformation"}),
        (["openstack-heat-api"], {}, {"orchestration"}),
        (["openstack-heat-api"], {"services": ("heat",)}, {"orchestration"}),
        (["openstack-heat-api", "openstack-heat-api-cfn"], {}, {"orchestration", "cloudformation"}),
        (["openstack-heat-engine"], {}, {"orchestration", "cloudformation"}),
    ],
    ids=["on another host", "one API", "named", "both APIs", "the APIs on another host"],
)
def test_api_of_a_project_that_is_not_installed_is_not_registered(
    catalogue: dict, tmp_path: Path, here: "list[str]", more: "dict[str, object]", expected: "set[str]"
) -> None:
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name in here:
        (units / f"{name}.service").touch()
    absent = profiles.absent(catalogue, "current", lambda path: str(tmp_path / path.lstrip("/")))

    desired = build(catalogue, "current", absent=absent, **more)

    found = {each.type for each in desired.services} & {"orchestration", "cloudformation"}
    assert found == expected
    assert {each.type for each in desired.endpoints} & {"orchestration", "cloudformation"} == expected


def test_every_role_user_and_project_of_an_assignment_is_made(catalogue: dict) -> None:
    for profile in profiles.profiles(catalogue):
        # Those two are options of essex.
        desired = build(catalogue, profile, optional=("swift", "quantum") if profile == "essex" else ())
        users, projects = {each.name for each in desired.users}, {each.name for each in desired.projects}
        roles = {each.name for each in desired.roles}
        for each in desired.assignments:
            assert each.user in users
            assert each.project in projects
            assert each.role in roles
        assert {each.type for each in desired.endpoints} <= {each.type for each in desired.services}


ADDRESSES = {
    "nothing": ({}, 0, URL, "http://10.0.0.5:9292"),
    "host": ({"public": "a.example"}, 0, "http://a.example:5000/v3", "http://a.example:9292"),
    "port": ({}, 35357, "http://10.0.0.5:35357/v3", "http://10.0.0.5:9292"),
    "IPv6": ({"public": "fd00::1"}, 0, "http://[fd00::1]:5000/v3", "http://[fd00::1]:9292"),
    "other interface": ({"admin": "b.example"}, 0, URL, "http://10.0.0.5:9292"),
}


@pytest.mark.parametrize(("addresses", "port", "identity", "image"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_addresses_go_into_their_interface(
    catalogue: dict, addresses: dict, port: int, identity: str, image: str
) -> None:
    found = urls(build(catalogue, "current", addresses=addresses, port=port))

    assert (found["identity", "public"], found["image", "public"]) == (identity, image)


def test_unknown_profile_and_service_are_reported_with_those_there_are(catalogue: dict) -> None:
    with pytest.raises(UsageError, match='unknown profile "folsom"') as profile:
        build(catalogue, "folsom")
    with pytest.raises(UsageError, match='unknown service "nvoa"') as service:
        build(catalogue, "current", services=("nvoa",))

    assert profile.value.hint == f"one of {', '.join(profiles.profiles(catalogue))}"
    assert "nova" in service.value.hint


PASSWORDS = {
    "default": ({}, False, {"admin": "secrete", "demo": "secrete", "nova": "secrete", "glance": "secrete"}),
    "admin": ({"ADMIN_PASSWORD": "a"}, False, {"admin": "a", "demo": "a", "nova": "a", "glance": "a"}),
    "service": (
        {"ADMIN_PASSWORD": "a", "SERVICE_PASSWORD": "s"}, False,
        {"admin": "a", "demo": "a", "nova": "s", "glance": "s"},
    ),
    "each": (
        {"ADMIN_PASSWORD": "a", "SERVICE_PASSWORD": "s", "NOVA_PASSWORD": "n", "DEMO_PASSWORD": "d"}, False,
        {"admin": "a", "demo": "d", "nova": "n", "glance": "s"},
    ),
    "empty is not set": ({"ADMIN_PASSWORD": ""}, False, {"admin": "secrete"}),
    "generated but for services": ({"SERVICE_PASSWORD": "s"}, True, {"nova": "s", "glance": "s"}),
}  # fmt: skip


@pytest.mark.parametrize(("environment", "generate", "expected"), PASSWORDS.values(), ids=PASSWORDS.keys())
def test_passwords_come_from_the_variables(
    catalogue: dict, environment: dict, generate: bool, expected: "dict[str, str]"
) -> None:
    passwords = sample_passwords.Passwords({}, environment, generate)
    choices = profiles.Choices("current", URL, services=("nova", "glance"))

    found = {user.name: user.password for user in profiles.build(catalogue, choices, passwords).users}

    assert {name: found[name] for name in expected} == expected
    made = set(found) - set(expected)
    assert not generate or len({found[name] for name in made} - set(environment.values())) == len(made) == 2


def test_neutron_takes_the_password_of_quantum_too(catalogue: dict) -> None:
    for profile, user in (("essex", "quantum"), ("current", "neutron")):
        for variable in ("QUANTUM_PASSWORD", "NEUTRON_PASSWORD"):
            desired = build(
                catalogue, profile, {variable: "q", "SERVICE_PASSWORD": "s"}, optional=("quantum",)
            )
            assert {each.name: each.password for each in desired.users}[user] == "q"


DESIRED = DesiredObjects(
    roles=(Role("Member"),),
    users=(User("nova", "pw", "NOVA_PASSWORD", "nova@x"),),
    services=(CatalogService("compute", "nova", "Compute"),),
    endpoints=(Endpoint("compute", "nova", "public", "R", "http://new"),),
)
SERVICE = {"id": "s1", "type": "compute", "name": "nova", "description": "Compute"}
POINT = {"id": "e1", "service_id": "s1", "interface": "public", "region_id": "R", "url": "http://new"}
NOVA = {"id": "u1", "name": "nova", "email": "nova@x", "enabled": True}
# State, --update, the actions for role, user, service, endpoint.
PLANS = {
    "nothing there": ({}, False, "create create create create"),
    "all there": (
        {"roles": {"Member": {"id": "r", "name": "member"}}, "users": {"nova": NOVA}, "services": [SERVICE],
         "endpoints": [POINT]}, True, "keep keep keep keep",
    ),
    "URL differs": (
        {"services": [SERVICE], "endpoints": [dict(POINT, url="http://old")]}, False,
        "create create keep keep",
    ),
    "URL differs, update": (
        {"services": [SERVICE], "endpoints": [dict(POINT, url="http://old")]}, True,
        "create create keep update",
    ),
    "other region": ({"services": [SERVICE], "endpoints": [dict(POINT, region_id="S")]}, True,
                     "create create keep create"),
    "disabled": ({"users": {"nova": dict(NOVA, enabled=False)}, "services": [dict(SERVICE, enabled=False)]},
                 True,
                 "create update update create"),
    "password differs": ({"users": {"nova": NOVA}, "passwords": {"nova": False}}, True,
                         "create update create create"),
    "service twice": ({"services": [SERVICE, dict(SERVICE, id="s2")], "endpoints": [POINT]}, True,
                      "create create conflict conflict"),
    "type of another name": ({"services": [dict(SERVICE, name="compute-api")]}, True,
                             "create create conflict conflict"),
    "name in capitals": ({"services": [dict(SERVICE, name="Nova")], "endpoints": [POINT]}, True,
                         "create create keep keep"),
    "endpoint twice": ({"services": [SERVICE], "endpoints": [POINT, dict(POINT, id="e2")]}, True,
                       "create create keep conflict"),
}  # fmt: skip


def state_of(**attributes: object) -> sample_state.KeystoneState:
    state = sample_state.KeystoneState()
    for name, value in attributes.items():
        assert hasattr(state, name)
        setattr(state, name, value)
    return state


@pytest.mark.parametrize(("there", "update", "actions"), PLANS.values(), ids=PLANS.keys())
def test_plan_makes_what_is_missing_and_adds_to_nothing_that_is_double(
    there: dict, update: bool, actions: str
) -> None:
    plan = sample_plan.make_plan(DESIRED, state_of(**there), update=update)

    assert [step.action for step in plan] == actions.split()
    assert not any("pw" in str(change) for step in plan for change in step.changes)


def test_an_update_sends_what_differs_and_the_password_itself() -> None:
    state = state_of(users={"nova": dict(NOVA, email="old")}, passwords={"nova": False})
    (step,) = [each for each in sample_plan.make_plan(DESIRED, state, update=True) if each.kind == "user"]

    assert request_for(step, {}, "default") == (
        "PATCH", "/users/u1", {"user": {"email": "nova@x", "password": "pw"}},
    )  # fmt: skip


def test_surplus_keeps_the_service_that_fits_and_the_endpoint_that_is_right() -> None:
    state = state_of(
        users={"nova": NOVA},
        services=[dict(SERVICE, id="s0"), SERVICE, dict(SERVICE, id="x", type="metric")],
        endpoints=[dict(POINT, id="e0", url="http://old"), POINT, dict(POINT, id="e9", service_id="x")],
    )

    surplus = sample_plan.find_surplus(DESIRED, state)

    assert [each.path for each in surplus] == ["/endpoints/e0", "/services/s0"]


SECOND, AGAIN = dict(SERVICE, id="s0"), dict(POINT, id="e2")
DOUBLES = {
    "service without endpoints": ([SERVICE, SECOND], [POINT], ["/services/s0"]),
    "service with the same endpoint": (
        [SERVICE, SECOND], [POINT, dict(AGAIN, service_id="s0")], ["/services/s1"],
    ),
    "endpoint": ([SERVICE], [POINT, AGAIN], ["/endpoints/e2"]),
    "service of another description": ([SERVICE, dict(SECOND, description="theirs")], [POINT], []),
    "service that is disabled": ([SERVICE, dict(SECOND, enabled=False)], [POINT], []),
    "service with an endpoint of its own": (
        [SERVICE, SECOND], [POINT, dict(AGAIN, service_id="s0", url="http://o")], [],
    ),
    "endpoint of another URL": ([SERVICE], [POINT, dict(AGAIN, url="http://o")], []),
    "endpoint of another region": ([SERVICE], [POINT, dict(AGAIN, region_id="S")], []),
    "endpoint that is disabled": ([SERVICE], [dict(POINT, enabled=False), dict(AGAIN, enabled=False)], []),
}  # fmt: skip


@pytest.mark.parametrize(("services", "endpoints", "gone"), DOUBLES.values(), ids=DOUBLES.keys())
def test_only_doubles_as_this_command_makes_them_are_its_own(
    services: list, endpoints: list, gone: list[str]
) -> None:
    state = state_of(services=services, endpoints=endpoints)

    doubles = sample_plan.find_own_doubles(DESIRED, state)

    assert [each.path for each in doubles] == gone
    state.forget(each.id for each in doubles)
    assert sample_plan.find_own_doubles(DESIRED, state) == []


SIMILAR = {
    "case": ("Member", "member", True), "accent": ("Ädmin", "admin", True), "blank": ("a ", "a", True),
    "sharp s": ("strasse", "straße", True), "other": ("member", "members", False),
}  # fmt: skip


@pytest.mark.parametrize(("first", "second", "expected"), SIMILAR.values(), ids=SIMILAR.keys())
def test_names_that_a_database_may_take_for_one_are_asked_about(
    first: str, second: str, expected: bool
) -> None:
    assert sample_state.is_similar(first, second) is expected
