# SPDX-License-Identifier: MIT
"""The real Keystone and Glance, built from their sdists with dependencies bundled, under a real systemd.

The whole way of a user: packages by dnf, openstack-db, keystone-manage, systemctl; then clients.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.report import Report
from builder.rpm.bundle.parts import read_table
from builder.runner import Runner
from tests.rig.machine.machine import Machine, booted
from tests.rig.machine.trees import Tree
from tests.support.bundled import PYTHON, build_bundled
from tests.support.rpm_tool import builder

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed"),
]

SERVICES = {"openstack-keystone": "keystone", "openstack-glance-api": "glance"}
URL = "http://127.0.0.1:5000/v3"

# What openstack-db and the packages leave to the administrator.
CONFIGURE = (
    ("/etc/glance/glance-api.conf", "keystone_authtoken", "www_authenticate_uri", URL),
    ("/etc/glance/glance-api.conf", "keystone_authtoken", "auth_url", URL),
    ("/etc/glance/glance-api.conf", "keystone_authtoken", "auth_type", "password"),
    ("/etc/glance/glance-api.conf", "keystone_authtoken", "username", "glance"),
    ("/etc/glance/glance-api.conf", "keystone_authtoken", "password", "of-glance"),
    ("/etc/glance/glance-api.conf", "keystone_authtoken", "project_name", "service"),
    ("/etc/glance/glance-api.conf", "keystone_authtoken", "user_domain_id", "default"),
    ("/etc/glance/glance-api.conf", "keystone_authtoken", "project_domain_id", "default"),
)

# Runs in the environment, which has openstacksdk: makes Glance's account and endpoint.
PREPARE = """\
import openstack
cloud = openstack.connect(auth_url="http://127.0.0.1:5000/v3", username="admin", password="of-admin",
                          project_name="admin", user_domain_id="default", project_domain_id="default",
                          region_name="RegionOne")
project = cloud.identity.create_project(name="service", domain_id="default")
user = cloud.identity.create_user(name="glance", password="of-glance", domain_id="default")
role = cloud.identity.find_role("service")
cloud.identity.assign_project_role_to_user(project, user, role)
service = cloud.identity.create_service(name="glance", type="image")
for interface in ("public", "internal", "admin"):
    cloud.identity.create_endpoint(service_id=service.id, interface=interface, region_id="RegionOne",
                                   url="http://127.0.0.1:9292")
"""
# Sends an image in chunks and without a length, takes it back, and prints what came of it.
IMAGE = """\
import hashlib, json, openstack
cloud = openstack.connect(auth_url="http://127.0.0.1:5000/v3", username="admin", password="of-admin",
                          project_name="admin", user_domain_id="default", project_domain_id="default",
                          region_name="RegionOne")
piece = bytes(range(256)) * 4096
image = cloud.image.create_image(name="jeos", disk_format="raw", container_format="bare")
sent = cloud.session.put(f"http://127.0.0.1:9292/v2/images/{image.id}/file", data=(piece for _ in range(5)),
                         headers={"Content-Type": "application/octet-stream"})
image = cloud.image.get_image(image.id)
back = cloud.image.download_image(image.id, stream=False).content
digests = {image.hash_value, hashlib.sha512(back).hexdigest(), hashlib.sha512(piece * 5).hexdigest()}
print(json.dumps({"sent": sent.status_code, "status": image.status, "size": image.size,
                  "digests": len(digests)}))
"""
# What pip check does: is everything there that the metadata of all that is installed asks for?
CHECK = """\
from importlib.metadata import distributions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
found = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
for name, distribution in sorted(found.items()):
    for text in distribution.requires or ():
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            there = found.get(canonicalize_name(need.name))
            if there is None or not need.specifier.contains(there.version, prereleases=True):
                print(f"{name} needs {need}, has {there and there.version}" if there else need.name)
"""


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The packages, built as a packager would."""
    return build_bundled(tmp_path_factory.mktemp("bundled"))


@pytest.fixture(scope="module")
def host(fixture_tree: Tree, rpms: tuple[Path, ...]) -> Iterator[Machine]:
    """A host where both services were set up and started."""
    with booted(fixture_tree, Runner(Report(quiet=True))) as machine:
        # The machine has no network to wait for, which both units do.
        machine.run(["systemctl", "mask", "systemd-networkd-wait-online"])
        machine.install(*rpms)
        machine.dnf("install", "mariadb-server", "python3-pymysql")
        machine.run(["openstack-db", "--init", "--service", "keystone", "--service", "glance", "--yes"],
                    timeout=600)  # fmt: skip
        machine.run(
            ["keystone-manage", "fernet_setup", "--keystone-user=keystone", "--keystone-group=keystone"]
        )
        machine.run(["runuser", "-u", "keystone", "--", "keystone-manage", "bootstrap",
                     "--bootstrap-public-url", URL, "--bootstrap-internal-url", URL,
                     "--bootstrap-region-id", "RegionOne"],
                    env={"OS_BOOTSTRAP_PASSWORD": "of-admin"})  # fmt: skip
        for words in CONFIGURE:
            machine.run(["openstack-config", "--set", *words])
        machine.run(["systemctl", "enable", "--now", *SERVICES], timeout=600)
        machine.run([PYTHON, "-c", PREPARE], timeout=600)
        yield machine


def fetch(machine: Machine, url: str) -> tuple[int, str]:
    """Return status and body that a URL gives inside; status 0: nobody listens."""
    done = machine.run(["curl", "--silent", "--max-time", "30", "--write-out", "\n%{http_code}", url], ok=())
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_packages_are_as_the_target_wants_them(rpms: tuple[Path, ...], tmp_path: Path) -> None:
    done = builder("check-rpm", *rpms, "--strict", cwd=tmp_path, ok=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_both_services_answer_on_their_ports(host: Machine) -> None:
    status, body = fetch(host, "http://127.0.0.1:5000/v3")
    assert (status, json.loads(body)["version"]["status"]) == (200, "stable")

    status, body = fetch(host, "http://127.0.0.1:9292/versions")
    assert status == 200
    assert "v2.0" in {version["id"] for version in json.loads(body)["versions"]}


def test_image_goes_in_in_chunks_and_comes_back_the_same(host: Machine) -> None:
    done = host.run([PYTHON, "-c", IMAGE], timeout=600)

    assert json.loads(done.stdout) == {"sent": 204, "status": "active", "size": 5 << 20, "digests": 1}
    stored = host.run(["find", "/var/lib/glance/images", "-type", "f", "-printf", "%u %s\n"]).stdout
    assert stored == f"glance {5 << 20}\n"


@pytest.mark.parametrize(("unit", "user"), SERVICES.items())
def test_service_runs_from_the_environment_as_its_user(host: Machine, unit: str, user: str) -> None:
    pid = host.run(["systemctl", "show", "--value", "--property=MainPID", unit]).stdout.strip()

    assert host.run(["stat", "-c", "%U", f"/proc/{pid}"]).stdout.strip() == user
    command = host.read(f"/proc/{pid}/cmdline").split("\0")
    assert command[:3] == [PYTHON, "-sP", "/usr/lib/openstack/bin/uwsgi"]
    assert "/usr/lib/openstack/lib/python3.11/site-packages/pyuwsgi" in host.read(f"/proc/{pid}/maps")


def test_everything_that_the_metadata_asks_for_is_bundled_or_known_to_be_left_out(host: Machine) -> None:
    missing = host.run([PYTHON, "-c", CHECK]).stdout.split("\n")[:-1]

    assert set(missing) == {row.name for row in read_table().left_out.values() if row.concerns("3.11")}


def test_environment_and_system_do_not_see_each_other(host: Machine) -> None:
    for name in ("keystone", "oslo_config", "sqlalchemy"):
        assert host.run(["python3", "-c", f"import {name}"], ok=()).returncode == 1, name
    assert host.run([PYTHON, "-c", "import dnf"], ok=()).returncode == 1
    assert host.run(["rpm", "-q", "--whatprovides", "python3dist(keystone)"], ok=()).returncode == 1


def test_what_is_bundled_is_reported(host: Machine) -> None:
    reported = host.run(["rpm", "-q", "--provides", "openstack-python-bundled"]).stdout

    script = (
        "from importlib.metadata import version as v; print(v('oslo.config'), v('SQLAlchemy'), v('pyuwsgi'))"
    )
    oslo, alchemy, uwsgi = host.run([PYTHON, "-c", script]).stdout.split()
    assert f"bundled(python3dist(oslo-config)) = {oslo}\n" in reported
    assert f"bundled(python3dist(sqlalchemy)) = {alchemy}\n" in reported
    assert f"bundled(python3dist(pyuwsgi)) = {uwsgi}\n" in reported


def test_gunicorn_serves_by_the_settings_of_uwsgi(host: Machine) -> None:
    """As the packages for a Python have it for which uwsgi has no wheel."""
    folder = "/run/systemd/system/openstack-keystone.service.d"
    host.write(
        f"{folder}/gunicorn.conf",
        "[Service]\nEnvironment=SERVICE_SETTINGS=/etc/keystone/openstack-keystone-uwsgi.ini\nExecStart=\n"
        "ExecStart=/usr/lib/openstack/bin/gunicorn --config /usr/lib/openstack/gunicorn.conf.py\n",
    )
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "restart", "openstack-keystone"], timeout=600)

    status, body = fetch(host, URL)
    assert (status, json.loads(body)["version"]["status"]) == (200, "stable")
    pid = host.run(
        ["systemctl", "show", "--value", "--property=MainPID", "openstack-keystone"]
    ).stdout.strip()
    assert host.read(f"/proc/{pid}/cmdline").startswith("gunicorn: master")
    # Tokens are longer than what gunicorn takes of itself.
    long = f"X-Auth-Token: {'a' * 20000}"
    said = host.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", long, f"{URL}/users"])
    assert said.stdout == "401"

    host.run(["rm", "-r", folder])
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "restart", "openstack-keystone"], timeout=600)


def wait_for_processes(host: Machine, unit: str) -> None:
    """Wait until both processes of a unit have loaded: uwsgi that is stopped before ends with a failure."""
    id = host.run(["systemctl", "show", "--value", "--property=InvocationID", unit]).stdout.strip()
    deadline = time.monotonic() + 120
    loaded = 0
    while loaded < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        loaded = host.run(["journalctl", "--quiet", f"_SYSTEMD_INVOCATION_ID={id}"]).stdout.count(
            "WSGI app 0"
        )
    assert loaded == 2, f"{loaded} of 2 processes of {unit} have loaded"


def test_stopped_service_is_away_and_starts_again(host: Machine) -> None:
    wait_for_processes(host, "openstack-keystone")

    host.run(["systemctl", "stop", "openstack-keystone"])

    assert fetch(host, "http://127.0.0.1:5000/v3")[0] == 0
    state = host.run(["systemctl", "is-failed", "openstack-keystone"], ok=()).stdout.strip()
    assert state == "inactive", host.run(["systemctl", "status", "openstack-keystone"], ok=()).stdout
    host.run(["systemctl", "start", "openstack-keystone"])
    assert fetch(host, "http://127.0.0.1:5000/v3")[0] == 200


def test_removed_services_leave_no_environment(host: Machine) -> None:
    # Python writes byte code for root, who has run keystone-manage.
    assert host.run(["find", "/usr/lib/openstack", "-name", "__pycache__"]).stdout

    host.remove("openstack-keystone", "openstack-glance", "openstack-python-bundled")

    # uwsgi that is stopped while a process still loads ends as one that failed to load it.
    assert "active" not in host.run(["systemctl", "is-active", *SERVICES], ok=()).stdout.split()
    assert host.run(["ls", "-d", "/usr/lib/openstack"], ok=()).returncode == 2
