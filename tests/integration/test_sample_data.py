# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data against a live Keystone on MariaDB: what is there afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.rig.plane import proxy as proxies
from tests.rig.plane.proxy import Fault
from tests.support.filling import (
    ADMIN_TOKEN,
    FRESH_PASSWORD,
    Keystone,
    Person,
    wait_for,
)
from tests.utils.test_config_interpreters import EXTREMES

pytestmark = pytest.mark.skipif(shutil.which("mariadbd") is None, reason="needs mariadb-server")

SMALL = """\
projects: {team: A team}
roles: [lead]
users:
  alice: {email: alice@example.com, password: pass-of-alice}
assignments:
  - {user: alice, project: team, roles: [lead]}
services:
  - {type: metric, name: gnocchi, url: "http://{host}:8041"}
"""


@pytest.fixture
def person(keystone: Keystone, tmp_path: Path) -> Person:
    keystone.reset("fresh")
    return Person(keystone, tmp_path)


@pytest.fixture
def newcomer(keystone: Keystone, tmp_path: Path) -> Person:
    """Somebody on the host of a Keystone in which nothing is."""
    keystone.reset("empty")
    return Person(keystone, tmp_path)


def test_nothing_there_is_bootstrapped_and_filled_with_passwords_nobody_knows(
    newcomer: Person, keystone: Keystone
) -> None:
    conf = str(keystone.conf)
    addresses = {
        f"CONTROLLER_{name}_ADDRESS": f"{name}.example".lower() for name in ("PUBLIC", "INTERNAL", "ADMIN")
    }

    run = newcomer.run("--generate-passwords", "--json", "--service", "nova", KEYSTONE_CONF=conf, **addresses)

    assert run.code == 0, run.err
    assert sorted(path.name for path in newcomer.folder.iterdir()) == [
        "keystonerc_admin", "keystonerc_demo", "sample-data-passwords",
    ]  # fmt: skip
    passwords = newcomer.passwords()
    assert len(set(passwords.values())) == len(passwords) == 3
    for user, project in (("admin", "admin"), ("demo", "demo"), ("nova", "service")):
        assert keystone.log_in(user, passwords[f"{user.upper()}_PASSWORD"], project)
    admin = keystone.admin(passwords["ADMIN_PASSWORD"])
    for endpoint in admin.call("GET", "/endpoints")["endpoints"]:
        assert f"://{endpoint['interface']}.example:" in endpoint["url"]


@pytest.mark.slow
def test_a_killed_bootstrap_is_gone_on_with(newcomer: Person, keystone: Keystone) -> None:
    conf = str(keystone.conf)
    with proxies.in_front_of(keystone.port) as proxy:
        proxy.faults.append(Fault(method="GET", path="/v3/services", hang=60))
        with newcomer.filling(
            "--service",
            "nova",
            ADMIN_PASSWORD="pw-wanted",
            KEYSTONE_CONF=conf,
            SERVICE_ENDPOINT=f"{proxy.url}/v3",
        ) as process:
            wait_for(lambda: any(seen.path == "/v3/services" for seen in proxy.seen))
            process.kill()
        note = newcomer.folder / ".openstack-keystone-sample-data.bootstrap"
        assert note.stat().st_mode & 0o777 == 0o600
        assert keystone.log_in("admin", "pw-wanted") is None
        proxy.reset()

        run = newcomer.run(
            "--service",
            "nova",
            ADMIN_PASSWORD="pw-wanted",
            KEYSTONE_CONF=conf,
            SERVICE_ENDPOINT=f"{proxy.url}/v3",
        )

    assert run.code == 0, run.err
    assert keystone.log_in("admin", "pw-wanted", "admin")
    assert not note.exists()


@pytest.mark.parametrize(
    ("content", "is_over", "code"),
    [
        pytest.param("empty", False, 0, id="killed before bootstrap did anything"),
        pytest.param("fresh", False, 0, id="killed within bootstrap"),
        pytest.param("fresh", True, 5, id="somebody has changed the password since"),
    ],
)
def test_a_bootstrap_that_was_cut_short_is_done_again(
    keystone: Keystone, tmp_path: Path, content: str, is_over: bool, code: int
) -> None:
    keystone.reset(content)
    person = Person(keystone, tmp_path)
    url = f"http://127.0.0.1:{keystone.port}/v3"
    note = person.folder / ".openstack-keystone-sample-data.bootstrap"
    note.write_text(json.dumps({"url": url, "password": "not-admins", "is_over": is_over}))
    conf = person.folder / "keystone.conf"
    conf.write_text(keystone.conf.read_text().replace(ADMIN_TOKEN, "another"))

    run = person.run(
        "--service", "nova", ADMIN_PASSWORD="pw-wanted", KEYSTONE_CONF=str(conf), SERVICE_ENDPOINT=url
    )

    assert run.code == code, run.err
    assert keystone.log_in("admin", FRESH_PASSWORD if code else "pw-wanted")
    assert note.exists() is bool(code)


def test_a_run_waits_while_another_makes_the_first_account(newcomer: Person, keystone: Keystone) -> None:
    folder = os.open(keystone.conf.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    words = {"ADMIN_PASSWORD": "pw-wanted", "KEYSTONE_CONF": str(keystone.conf)}

    with newcomer.filling("--service", "nova", **words) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert keystone.log_in("admin", "pw-wanted") is None
        os.close(folder)
        process.communicate(timeout=900)

    assert "another run is making the first account" in first
    assert process.returncode == 0
    assert keystone.log_in("admin", "pw-wanted", "admin")


def test_a_filled_keystone_is_never_bootstrapped_for_a_wrong_password(
    person: Person, keystone: Keystone
) -> None:
    conf = person.folder / "keystone.conf"
    conf.write_text(keystone.conf.read_text().replace(ADMIN_TOKEN, "another"))
    refused = person.run(ADMIN_PASSWORD="mistyped", KEYSTONE_CONF=str(conf))

    assert (refused.code, len(refused.errors())) == (5, 1)
    assert "refuses the login of admin" in refused.err
    assert "--bootstrap=always" in refused.err
    assert keystone.log_in("admin", FRESH_PASSWORD)


@pytest.mark.slow
def test_bootstrap_always_sets_a_lost_password_anew(person: Person, keystone: Keystone) -> None:
    run = person.run(
        "--bootstrap=always",
        "--service",
        "keystone",
        ADMIN_PASSWORD="pw-replaced",
        KEYSTONE_CONF=str(keystone.conf),
    )

    assert run.code == 0, run.err
    assert keystone.log_in("admin", "pw-replaced", "admin")


@pytest.mark.slow
def test_dry_run_where_nothing_is_foresees_everything(newcomer: Person, keystone: Keystone) -> None:
    run = newcomer.run("--dry-run", "--json", KEYSTONE_CONF=str(keystone.conf))

    assert run.code == 0, run.err
    assert set(run.results().values()) == {"created"}
    assert "keystone-manage bootstrap would be run" in run.err
    assert list(newcomer.folder.iterdir()) == []


ESSEX = {
    "projects": {"admin", "service", "demo", "invisible_to_admin"},
    "users": {"admin", "demo", "nova", "glance", "swift", "quantum"},
    "roles": {"admin", "member", "KeystoneAdmin", "KeystoneServiceAdmin", "sysadmin", "netadmin"},
    "services": {
        ("compute", "nova"), ("ec2", "ec2"), ("image", "glance"), ("identity", "keystone"),
        ("volume", "nova-volume"), ("dashboard", "horizon"), ("object-store", "swift"),
        ("network", "quantum"),
    },
}  # fmt: skip


def test_essex_is_the_table_of_2012_and_a_second_run_changes_nothing(
    person: Person, keystone: Keystone
) -> None:
    first = person.fill("--profile", "essex", ENABLE_SWIFT="1", ENABLE_QUANTUM="1", SERVICE_PASSWORD="svc-pw")
    counts = keystone.counts()
    second = person.fill(
        "--profile", "essex", "--json", ENABLE_SWIFT="1", ENABLE_QUANTUM="1", SERVICE_PASSWORD="svc-pw"
    )

    assert first.code == second.code == 0, first.err + second.err
    assert "role Member (there as member)" in first.err
    assert keystone.counts() == counts
    assert set(second.results().values()) == {"unchanged"}
    assert second.json["summary"] == {"created": 0, "updated": 0, "unchanged": 54, "conflicts": 0}
    admin = keystone.admin()
    for kind in ("projects", "users", "roles"):
        there = {each["name"] for each in admin.call("GET", f"/{kind}")[kind]}
        assert ESSEX[kind] <= there
    services = {(each["type"], each["name"]) for each in admin.call("GET", "/services")["services"]}
    assert services == ESSEX["services"]
    assert counts["endpoints"] == 15
    token = keystone.log_in("demo", FRESH_PASSWORD, "demo")
    assert {role["name"] for role in token["roles"]} >= {"member", "sysadmin", "netadmin"}
    assert keystone.log_in("demo", FRESH_PASSWORD, "invisible_to_admin")
    for user in ("nova", "glance", "swift", "quantum"):
        assert {role["name"] for role in keystone.log_in(user, "svc-pw", "service")["roles"]} >= {"admin"}
    for user in ("admin", "demo"):
        check_ec2(person, keystone, user)
    project = token["project"]["id"]
    assert catalog(token)["compute"] == dict.fromkeys(
        ("public", "internal", "admin"), f"http://127.0.0.1:8774/v1.1/{project}"
    )
    assert catalog(token)["ec2"]["admin"] == "http://127.0.0.1:8773/services/Admin"
    assert catalog(token)["identity"]["public"] == keystone.url
    assert catalog(token)["image"]["public"] == "http://127.0.0.1:9292"


def catalog(token: dict) -> dict[str, dict[str, str]]:
    """Return type -> interface -> URL of a token's catalog."""
    return {
        service["type"]: {each["interface"]: each["url"] for each in service["endpoints"]}
        for service in token["catalog"]
    }


def test_strict_2012_gives_the_paths_of_2012_and_an_update_todays(person: Person, keystone: Keystone) -> None:
    words = ("--profile", "essex", "--update", "--json")

    strict = person.fill(*words, "--strict-2012")
    again = person.fill(*words, "--strict-2012")
    token = keystone.log_in("demo", FRESH_PASSWORD, "demo")
    login = (person.folder / "keystonerc_demo").read_text()
    today = person.fill(*words)

    assert strict.code == again.code == today.code == 0, strict.err + again.err + today.err
    assert set(again.results().values()) == {"unchanged"}
    project = token["project"]["id"]
    assert catalog(token) == {
        "compute": dict.fromkeys(("public", "internal", "admin"), f"http://127.0.0.1:8774/v1.1/{project}"),
        "volume": dict.fromkeys(("public", "internal", "admin"), f"http://127.0.0.1:8776/v1/{project}"),
        "image": dict.fromkeys(("public", "internal", "admin"), "http://127.0.0.1:9292/v1"),
        "ec2": {
            "public": "http://127.0.0.1:8773/services/Cloud",
            "internal": "http://127.0.0.1:8773/services/Cloud",
            "admin": "http://127.0.0.1:8773/services/Admin",
        },
        "identity": {
            "public": "http://127.0.0.1:5000/v2.0",
            "internal": "http://127.0.0.1:35357/v2.0",
            "admin": "http://127.0.0.1:35357/v2.0",
        },
        "dashboard": {},
    }
    # A person logs in where Keystone is.
    assert f"OS_AUTH_URL={keystone.url}\n" in login
    updated = {name for name, result in today.results().items() if result == "updated"}
    assert {name.split()[1] for name in updated} == {"compute", "volume", "image", "identity"}
    urls = catalog(keystone.log_in("demo", FRESH_PASSWORD, "demo"))
    assert urls["identity"]["public"] == keystone.url
    assert urls["image"]["public"] == "http://127.0.0.1:9292"


def check_ec2(person: Person, keystone: Keystone, user: str) -> None:
    """The credentials of ec2rc are those that Keystone has for the user."""
    pairs = [
        line.removeprefix("export ").split("=") for line in (person.folder / "ec2rc").read_text().splitlines()
    ]
    values = dict(pairs)
    admin = keystone.admin()
    (found,) = admin.call("GET", f"/users?name={user}&domain_id=default")["users"]
    (there,) = admin.call("GET", f"/users/{found['id']}/credentials/OS-EC2")["credentials"]
    assert there["access"] == values[f"{user.upper()}_ACCESS"]
    assert there["secret"] == values[f"{user.upper()}_SECRET"]


def test_current_twice_every_user_logs_in_and_the_catalog_is_right(
    person: Person, keystone: Keystone
) -> None:
    users = ("nova", "glance", "cinder", "swift", "neutron", "placement", "heat")
    passwords = {f"{user.upper()}_PASSWORD": f"{user}-pw" for user in users} | {"DEMO_PASSWORD": "demo-pw"}

    first = person.fill("--json", **passwords)
    counts = keystone.counts()
    second = person.fill("--json", "--update", **passwords)

    assert first.code == second.code == 0, first.err + second.err
    assert keystone.counts() == counts
    assert second.json["passwords_tested"] is True
    # What bootstrap made is described as the profile wants it; all else is as it was.
    assert {name for name, result in second.results().items() if result != "unchanged"} == {
        "user admin", "service keystone (identity)",
    }  # fmt: skip
    third = person.fill("--json", **passwords)
    assert set(third.results().values()) == {"unchanged"}
    for user in users:
        token = keystone.log_in(user, f"{user}-pw", "service")
        # Nova shows instances of other projects to role admin only, which implies the others.
        expected = {"service", "admin", "manager", "member", "reader"} if user == "neutron" else {"service"}
        assert {role["name"] for role in token["roles"]} == expected
    token = keystone.log_in("demo", "demo-pw", "demo")
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    project = token["project"]["id"]
    urls = catalog(token)
    assert {"identity", "compute", "image", "network", "placement", "volumev3"} <= set(urls)
    assert urls["object-store"] == {
        "public": f"http://127.0.0.1:8080/v1/AUTH_{project}",
        "internal": f"http://127.0.0.1:8080/v1/AUTH_{project}",
        "admin": "http://127.0.0.1:8080",
    }
    assert urls["orchestration"]["public"] == f"http://127.0.0.1:8004/v1/{project}"
    assert set(urls["compute"].values()) == {"http://127.0.0.1:8774/v2.1"}


@pytest.mark.parametrize("profile", ["current", "essex"])
def test_keystonerc_works_with_todays_client_whatever_was_sourced_before(
    person: Person, keystone: Keystone, profile: str
) -> None:
    words = ("--profile", profile, "--service", "glance")
    assert person.fill(*words, DEMO_PASSWORD='it\'s $HOME "quoted"').code == 0
    rc = person.folder / "keystonerc_demo"
    script = (
        "import openstack; c = openstack.connect(); print(c.current_project.name, c.endpoint_for('image'))"
    )

    done = subprocess.run(
        ["bash", "-c", f'. "{rc}"; exec "{sys.executable}" -W ignore -c "{script}"'],
        env=person.environment(OS_CLOUD="gone", OS_TOKEN="old", OS_PROJECT_ID="other"),
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip

    assert done.stdout == "demo http://127.0.0.1:9292\n", done.stderr
    assert rc.stat().st_mode & 0o777 == 0o600


def test_another_address_is_reported_and_with_update_mended(person: Person, keystone: Keystone) -> None:
    assert person.fill("--service", "glance").code == 0
    moved = {"CONTROLLER_PUBLIC_ADDRESS": "cloud.example", "KEYSTONE_PORT": "5000"}

    reported = person.fill("--service", "glance", "--json", **moved)
    before = keystone.admin().call("GET", "/endpoints")["endpoints"]
    mended = person.fill("--service", "glance", "--update", "--json", **moved)

    assert reported.code == mended.code == 0
    assert set(reported.results().values()) == {"unchanged"}
    assert "--update" in reported.err
    assert not any("cloud.example" in each["url"] for each in before)
    after = {each["id"]: each["url"] for each in keystone.admin().call("GET", "/endpoints")["endpoints"]}
    assert after.keys() == {each["id"] for each in before}
    assert {url for url in after.values() if "cloud.example" in url} == {
        "http://cloud.example:9292", "http://cloud.example:5000/v3",
    }  # fmt: skip
    assert "OS_AUTH_URL=http://cloud.example:5000/v3\n" in (person.folder / "keystonerc_admin").read_text()


def test_update_tests_passwords_and_changes_ones_own_last(person: Person, keystone: Keystone) -> None:
    assert person.fill("--service", "nova", NOVA_PASSWORD="old-nova").code == 0
    login = {
        "OS_AUTH_URL": keystone.url, "OS_USERNAME": "admin", "OS_PASSWORD": FRESH_PASSWORD,
        "OS_PROJECT_NAME": "admin",
    }  # fmt: skip

    run = person.fill(
        "--service", "nova", "--update", "--json", NOVA_PASSWORD="new-nova", ADMIN_PASSWORD="new-admin",
        DEMO_PASSWORD=FRESH_PASSWORD, **login
    )  # fmt: skip

    assert run.code == 0, run.err
    changed = {each["name"] for each in run.json["objects"] if "password" in each.get("differs", {})}
    assert changed == {"admin", "nova"}
    assert keystone.log_in("nova", "new-nova")
    assert keystone.log_in("nova", "old-nova") is None
    assert keystone.log_in("admin", "new-admin")


def test_killed_in_the_middle_the_next_run_makes_the_rest_once(person: Person, keystone: Keystone) -> None:
    with proxies.in_front_of(keystone.port) as proxy:
        proxy.faults.append(Fault(method="POST", path="/v3/endpoints", times=3))
        proxy.faults.append(Fault(method="POST", path="/v3/endpoints", hang=60))
        with person.filling("--service", "glance", SERVICE_ENDPOINT=f"{proxy.url}/v3") as process:
            wait_for(lambda: sum(seen.path == "/v3/endpoints" for seen in proxy.seen) > 3)
            process.kill()
    stale = person.folder / ".keystonerc_admin.openstack-utils.0123abcd"
    stale.write_text("half")

    run = person.fill("--service", "glance")
    again = person.fill("--service", "glance", "--json")

    assert run.code == 0, run.err
    assert set(again.results().values()) == {"unchanged"}
    keys = [
        (each["service_id"], each["interface"], each["region_id"])
        for each in keystone.admin().call("GET", "/endpoints")["endpoints"]
    ]
    assert len(keys) == len(set(keys)) == 6
    assert not stale.exists()


def test_a_service_there_twice_is_reported_and_never_added_to_until_pruned(
    person: Person, keystone: Keystone
) -> None:
    admin = keystone.admin()
    for _ in range(2):
        admin.create("service", type="image", name="glance")

    reported = person.fill("--service", "glance", "--json")
    declined = person.fill("--service", "glance", "--prune")
    left = keystone.counts()
    seen = person.fill("--service", "glance", "--prune", "--dry-run")
    pruned = person.fill("--service", "glance", "--prune", "--yes", "--json")

    assert reported.code == 1
    assert reported.results()["service glance (image)"] == "conflict"
    assert reported.json["summary"]["conflicts"] == 4
    assert "there 2 times" in reported.err
    assert (declined.code, declined.errors()) == (3, ["error: --prune: nothing deleted"])
    assert (left["services"], left["endpoints"]) == (3, 3)
    assert "surplus    service glance (image)" in seen.err
    assert pruned.code == 0, pruned.err
    assert pruned.json["summary"]["deleted"] == 1
    counts = keystone.counts()
    assert (counts["services"], counts["endpoints"]) == (2, 6)


def test_prune_takes_other_endpoints_and_roles_and_leaves_strangers(
    person: Person, keystone: Keystone
) -> None:
    assert person.fill("--service", "glance").code == 0
    admin = keystone.admin()
    ids = {each["name"]: each["id"] for each in admin.call("GET", "/services")["services"]}
    admin.create(
        "endpoint", service_id=ids["glance"], interface="public", url="http://old", region_id="RegionOne"
    )
    admin.create_service("metric", "gnocchi", "http://strange")
    project = admin.call("GET", "/projects?name=service")["projects"][0]["id"]
    glance = admin.call("GET", "/users?name=glance")["users"][0]["id"]
    role = admin.call("GET", "/roles?name=admin")["roles"][0]["id"]
    admin.call("PUT", f"/projects/{project}/users/{glance}/roles/{role}")

    run = person.fill("--service", "glance", "--prune", "--yes", "--json")

    assert run.code == 0, run.err
    assert sorted(run.json["deleted"]) == [
        "assignment glance: admin in service", "endpoint image public http://old",
    ]  # fmt: skip
    urls = [each["url"] for each in admin.call("GET", "/endpoints")["endpoints"]]
    assert urls.count("http://strange") == 3
    assert "http://127.0.0.1:9292" in urls


def test_dry_run_writes_nothing_anywhere(person: Person, keystone: Keystone) -> None:
    counts = keystone.counts()

    run = person.fill("--dry-run", "--update", "--generate-passwords", "--clouds-file", "clouds.yaml")

    assert run.code == 0, run.err
    assert "would be: created" in run.out
    assert keystone.counts() == counts
    assert list(person.folder.iterdir()) == []


def test_service_token_opens_where_keystone_takes_it(person: Person, keystone: Keystone) -> None:
    by_token = person.fill("--service", "glance", "--json", SERVICE_TOKEN=ADMIN_TOKEN)
    # The password of admin is not known: admin_token of keystone.conf still opens.
    by_conf = person.run(
        "--service", "glance", "--json", ADMIN_PASSWORD="not-it", KEYSTONE_CONF=str(keystone.conf)
    )
    refused = person.fill(SERVICE_TOKEN="no-token-of-theirs")

    assert by_token.code == by_conf.code == 0, by_token.err + by_conf.err
    assert by_token.results()["user glance"] == "created"
    assert set(by_conf.results().values()) == {"unchanged"}
    assert "logged in with admin_token" in by_conf.err
    assert (refused.code, len(refused.errors())) == (5, 1)
    assert "hint: this Keystone does not take SERVICE_TOKEN" in refused.err


def test_ec2_credentials_are_made_by_their_owners_where_a_service_token_opens(
    person: Person, keystone: Keystone
) -> None:
    words = ("--profile", "essex", "--service", "keystone", "--json")

    first = person.fill(*words, SERVICE_TOKEN=ADMIN_TOKEN, ADMIN_PASSWORD=FRESH_PASSWORD)
    second = person.fill(*words, SERVICE_TOKEN=ADMIN_TOKEN, ADMIN_PASSWORD=FRESH_PASSWORD)
    refused = person.fill(*words, SERVICE_TOKEN=ADMIN_TOKEN, ADMIN_PASSWORD="mistyped")

    assert first.code == second.code == 0, first.err + second.err
    assert first.results()["ec2 credentials demo in demo"] == "created"
    assert set(second.results().values()) == {"unchanged"}
    for user in ("admin", "demo"):
        check_ec2(person, keystone, user)
    assert (refused.code, len(refused.errors())) == (5, 1)
    assert "with ADMIN_PASSWORD is refused" in refused.err


@pytest.mark.slow
def test_service_token_where_nothing_is_leads_to_bootstrap(newcomer: Person, keystone: Keystone) -> None:
    elsewhere = newcomer.run(ADMIN_PASSWORD="pw-of-admin", SERVICE_TOKEN=ADMIN_TOKEN)
    here = newcomer.run(
        "--service", "keystone", ADMIN_PASSWORD="pw-of-admin", SERVICE_TOKEN=ADMIN_TOKEN,
        KEYSTONE_CONF=str(keystone.conf),
    )  # fmt: skip

    assert elsewhere.code == 5
    assert "keystone-manage bootstrap" in elsewhere.err
    assert here.code == 0, here.err
    assert keystone.log_in("admin", "pw-of-admin", "admin")


def test_own_file_clouds_yaml_and_a_login_from_it(person: Person, keystone: Keystone) -> None:
    own, clouds = person.folder / "own.yaml", person.folder / "clouds.yaml"
    own.write_text(SMALL)
    clouds.write_text("# mine\nclouds:\n  other:\n    auth: {auth_url: http://x/v3}  # stays\n")
    person.secrets.add("pass-of-alice")

    first = person.fill("--file", own, "--clouds-file", clouds, "--cloud-name", "new")
    assert first.code == 0, first.err
    text = clouds.read_text()
    assert "# mine" in text
    assert "# stays" in text
    loaded = yaml.safe_load(text)["clouds"]
    assert set(loaded) == {"other", "new-alice"}
    assert keystone.log_in("alice", "pass-of-alice", "team")
    loaded["boss"] = loaded["new-alice"] | {
        "auth": loaded["new-alice"]["auth"] | {
            "username": "admin", "password": FRESH_PASSWORD, "project_name": "admin"
        }
    }  # fmt: skip
    clouds.write_text(yaml.safe_dump({"clouds": loaded}))

    second = person.fill("--file", own, "--json", OS_CLOUD="boss", OS_CLIENT_CONFIG_FILE=str(clouds))
    unknown = person.fill("--os-cloud", "bos", OS_CLIENT_CONFIG_FILE=str(clouds))

    assert set(second.results().values()) == {"unchanged"}
    assert (unknown.code, unknown.errors()) == (2, [f"error: {clouds}: no cloud bos"])


def test_names_match_as_keystone_matches_them(person: Person, keystone: Keystone) -> None:
    own = person.folder / "own.yaml"
    own.write_text("projects: {ADMIN: }\nroles: [READER]\nusers:\n  Ädmin: {password: pw-of-umlaut}\n")
    person.secrets.add("pw-of-umlaut")
    counts = keystone.counts()

    run = person.fill("--file", own, "--json")

    assert run.code == 0, run.err
    notes = {each["name"]: each.get("note") for each in run.json["objects"]}
    assert notes == {"ADMIN": "there as admin", "READER": "there as reader", "Ädmin": "there as admin"}
    assert keystone.counts() == counts


def test_a_region_that_no_endpoint_names_is_found(person: Person, keystone: Keystone) -> None:
    admin = keystone.admin()
    admin.create("region", id="Lonely")

    run = person.fill("--service", "keystone", "--region", "lonely", "--json")

    assert run.code == 0, run.err
    (region,) = [each for each in run.json["objects"] if each["kind"] == "region"]
    assert (region["result"], region["note"]) == ("unchanged", "there as Lonely")
    found = [each["region_id"] for each in admin.call("GET", "/endpoints")["endpoints"]]
    assert sorted(found) == ["Lonely"] * 3 + ["RegionOne"] * 3
    assert {each["id"] for each in admin.call("GET", "/regions")["regions"]} == {"Lonely", "RegionOne"}


def test_two_runs_at_once_end_well(person: Person, keystone: Keystone) -> None:
    own = person.folder / "own.yaml"
    own.write_text(SMALL.partition("services:")[0])
    with person.filling("--file", own, "--json") as first, person.filling("--file", own, "--json") as second:
        ends = [process.communicate(timeout=900) for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], ends
    results = [{each["result"] for each in json.loads(out)["objects"]} for out, _ in ends]
    assert all(result <= {"created", "unchanged"} for result in results)
    assert len(keystone.admin().call("GET", "/users?name=alice")["users"]) == 1


def test_endpoints_and_files_can_be_left_out(person: Person, keystone: Keystone) -> None:
    assert person.fill("--service", "placement", "--no-endpoints", "--no-files").code == 0

    admin = keystone.admin()
    assert {each["name"] for each in admin.call("GET", "/services")["services"]} == {"keystone", "placement"}
    assert len(admin.call("GET", "/endpoints")["endpoints"]) == 3
    assert list(person.folder.iterdir()) == []


def test_no_password_is_made_up_for_a_user_who_keeps_another(person: Person, keystone: Keystone) -> None:
    words = ("--service", "keystone", "--generate-passwords")
    assert person.fill("--service", "keystone", DEMO_PASSWORD="pw-of-demo").code == 0
    for path in person.folder.iterdir():
        path.unlink()

    kept = person.fill(*words)
    there = sorted(path.name for path in person.folder.iterdir())
    changed = person.fill(*words, "--update")

    assert kept.code == changed.code == 0, kept.err + changed.err
    assert "the password of demo is not known" in kept.err
    assert there == ["keystonerc_admin"]
    assert keystone.log_in("demo", "pw-of-demo") is None
    assert keystone.log_in("demo", person.passwords()["DEMO_PASSWORD"], "demo")
    assert (person.folder / "keystonerc_demo").exists()


@pytest.mark.parametrize("python", EXTREMES.values(), ids=EXTREMES.keys())
def test_the_oldest_and_the_newest_python_here_run_it(
    person: Person, keystone: Keystone, python: str
) -> None:
    person.python = python

    first = person.fill("--service", "glance", "--generate-passwords", "--json")
    second = person.fill("--service", "glance", "--json")

    assert first.code == second.code == 0, first.err + second.err
    assert first.results()["endpoint image public"] == "created"
    assert set(second.results().values()) == {"unchanged"}
    assert keystone.log_in("glance", person.passwords()["GLANCE_PASSWORD"], "service")
