# SPDX-License-Identifier: MIT
"""openstack-db with the files of Essex (2012.1), on a real MariaDB.

No Essex can be installed any more: its commands are stand-ins, which make migrate_version as theirs did.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.plane.mariadb import MariaDB, RootLogin
from tests.rig.plane.plane import Options, Until, private
from tests.support.databases import Host

# As the packages of Fedora 17 had them, in short.
FILES = {
    "keystone/keystone.conf": (
        "[DEFAULT]\nadmin_token = ADMIN\n\n[sql]\nconnection = mysql://keystone:keystone@localhost/keystone\n"
        "idle_timeout = 200\n\n[identity]\ndriver = keystone.identity.backends.sql.Identity\n"
    ),
    "glance/glance-registry.conf": (
        "[DEFAULT]\nbind_port = 9191\nsql_connection = mysql://glance:glance@localhost/glance\n"
        "sql_idle_timeout = 3600\n\n[paste_deploy]\nflavor = keystone\n"
    ),
    "glance/glance-api.conf": "[DEFAULT]\nbind_port = 9292\nregistry_host = 0.0.0.0\n",
    "nova/nova.conf": (
        "[DEFAULT]\nlogdir = /var/log/nova\nsql_connection = mysql://nova:nova@localhost/nova\n"
        "rpc_backend = nova.rpc.impl_qpid\n"
    ),
    "quantum/plugins/openvswitch/ovs_quantum_plugin.ini": (
        "[DATABASE]\n# This line MUST be changed to actually run the plugin.\n"
        "sql_connection = mysql://quantum:quantum@localhost:3306/ovs_quantum\nreconnect_interval = 2\n"
    ),
}
OPTIONS = {
    "keystone": ("keystone/keystone.conf", "connection"),
    "glance": ("glance/glance-registry.conf", "sql_connection"),
    "nova": ("nova/nova.conf", "sql_connection"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with private(Options(until=Until.MARIADB, root=RootLogin.PASSWORD)) as plane:
        yield plane.mariadb


@pytest.fixture
def host(tmp_path: Path, server: MariaDB) -> Iterator[Host]:
    secret = tmp_path / "root.pw"
    secret.write_text(f"{server.root_password}\n")
    root = ("--host", "127.0.0.1", "--port", str(server.port), "--rootpw-file", str(secret))
    host = Host(folder=tmp_path / "host", server=server, programs=(), root=root)
    for name, text in FILES.items():
        path = host.folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, (file, _) in OPTIONS.items():
        path = host.folder / "etc" / file
        host.stand_in(f"{name}-manage", ESSEX.replace("PATH", str(path)))
    yield host
    host.clean()


ESSEX = """
assert sys.argv[1:] in (["db_sync"], ["db", "sync"]), sys.argv
text = lambda: open("PATH").read()
cursor = connect().cursor()
cursor.execute("CREATE TABLE migrate_version (repository_id VARCHAR(250), version INT)")
cursor.execute("INSERT INTO migrate_version VALUES ('x', 1)")
"""


@pytest.mark.parametrize("name", OPTIONS)
def test_service_of_essex_is_known_by_its_key(host: Host, name: str) -> None:
    file, key = OPTIONS[name]
    path = host.folder / "etc" / file
    before = path.read_text()

    done = host.run("--init", "--service", name, "--generate-password", "--json")
    again = host.run("--init", "--service", name, "--json")
    check = host.run("--check", "--service", name, "--json")
    dropped = host.run("--drop", "--service", name, "-y")

    assert done.code == 0, done.err
    assert done.service["release"] == "essex"
    (line,) = [line for line in path.read_text().splitlines() if line.startswith(f"{key} = ")]
    assert line.startswith(f"{key} = mysql://{name}:")
    assert line.endswith(f"@127.0.0.1:{host.server.port}/{name}")
    assert len(path.read_text().splitlines()) == len(before.splitlines())
    assert again.service["result"] == "unchanged", again.err
    # Nothing of Essex says which version its code wants.
    assert (check.code, check.service["result"]) == (1, "unknown")
    assert dropped.code == 0, dropped.err
    assert host.databases() == set()


def test_character_set_of_essex_is_utf8(host: Host) -> None:
    host.run("--init", "--service", "keystone")

    sql = "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'keystone'"
    assert host.sql(sql).strip() in ("utf8", "utf8mb3")


def test_quantum_has_its_plugins_file_and_makes_its_tables_itself(host: Host) -> None:
    done = host.run("--init", "--service", "quantum", "--json")
    again = host.run("--init", "--service", "quantum", "--json")

    assert done.code == 0, done.err
    assert done.service["databases"] == ["ovs_quantum"]
    assert host.accounts() == {"quantum@localhost", "quantum@127.0.0.1"}
    text = (host.folder / "etc/quantum/plugins/openvswitch/ovs_quantum_plugin.ini").read_text()
    assert f"sql_connection = mysql://quantum:quantum@127.0.0.1:{host.server.port}/ovs_quantum\n" in text
    assert again.service["result"] == "unchanged", again.err


def test_api_of_folsom_gets_the_url_too(host: Host) -> None:
    path = host.folder / "etc/glance/glance-api.conf"
    path.write_text("[DEFAULT]\nsql_connection = mysql://glance:glance@localhost/glance\n")

    done = host.run("--init", "--service", "glance")

    assert done.code == 0, done.err
    registry = (host.folder / "etc/glance/glance-registry.conf").read_text()
    (url,) = [line for line in registry.splitlines() if line.startswith("sql_connection")]
    assert url in path.read_text()
