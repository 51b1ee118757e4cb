# SPDX-License-Identifier: MIT
"""openstack-db with the real Nova, Placement, Neutron, Cinder and Heat, on MariaDB and PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import files
from builder.report import Report
from tests.rig.plane import environment, postgresql
from tests.rig.plane.mariadb import MariaDB, RootLogin
from tests.rig.plane.plane import Options, Until, private
from tests.support.databases import NOVA, PLACEMENT, RUNNER, Host, watched

pytestmark = pytest.mark.slow

DATABASE = "[database]\n# connection = <None>\n"
PASSWORD = "p$@x%41 #;'ü"
# What alembic itself says are the heads of a folder of revisions.
HEADS = """
import importlib.util, json, os, sys
from alembic.script import ScriptDirectory
package, _, below = sys.argv[1].partition("/")
folder = os.path.join(importlib.util.find_spec(package).submodule_search_locations[0], below)
folders = {"version_locations": [folder], "recursive_version_locations": True}
script = ScriptDirectory(os.path.dirname(folder), **folders)
print(json.dumps(sorted(script.get_heads())))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with private(Options(until=Until.MARIADB, root=RootLogin.PASSWORD)) as plane:
        yield plane.mariadb


@pytest.fixture(scope="module")
def services() -> environment.Environment:
    return environment.prepare(Report(quiet=True), RUNNER, environment.SERVICES)


@pytest.fixture
def host(tmp_path: Path, server: MariaDB, services: environment.Environment) -> Iterator[Host]:
    secret = tmp_path / "root.pw"
    secret.write_text(f"{server.root_password}\n")
    root = ("--host", "127.0.0.1", "--port", str(server.port), "--rootpw-file", str(secret))
    host = Host(folder=tmp_path / "host", server=server, programs=(services.folder / "bin",), root=root)
    host.write("nova", NOVA)
    host.write("placement", PLACEMENT)
    for name in ("neutron", "cinder", "heat"):
        host.write(name, DATABASE)
    yield host
    host.clean()


def tables(host: Host, database: str) -> int:
    """Return how many tables a database has."""
    return int(host.sql(f"SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}'"))


def mappings(host: Host) -> dict[str, str]:
    """Return the cells that Nova knows, with their URLs."""
    lines = host.sql("SELECT name, database_connection FROM nova_api.cell_mappings").splitlines()
    return dict(line.split("\t") for line in lines)


def test_nova_has_three_databases_and_its_cells_without_a_secret_in_any_argv(
    host: Host, services: environment.Environment
) -> None:
    secret = host.folder / "password"
    secret.write_text(PASSWORD)
    with watched({"the password": PASSWORD, "its text": "p%24%40x"}) as found:
        done = host.run("--init", "--service", "nova", "--password-file", str(secret), timeout=400)
    first = mappings(host)
    url = host.conf("nova").read_text()
    host.conf("nova").write_text(
        url.replace("[DEFAULT]", "[DEFAULT]\ntransport_url = rabbit://u:p@127.0.0.1/")
    )
    update = host.run("--update", "--service", "nova", timeout=400)
    again = host.run("--init", "--service", "nova", "--json", timeout=400)
    check = host.run("--check", "--service", "nova", "--json")
    listed = subprocess.run(
        [services.program("nova-manage"), "--config-file", host.conf("nova"), "cell_v2", "list_cells"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    cells = mappings(host)
    dropped = host.run("--drop", "--service", "nova", "--yes")

    assert done.code == 0, done.err
    assert found == []
    assert "transport_url is not set: leaves out nova-manage cell_v2 create_cell" in done.err
    assert first == {"cell0": "{scheme}://{username}:{password}@{hostname}:{port}/nova_cell0"}
    assert update.code == 0, update.err
    assert set(cells) == {"cell0", "cell1"}
    assert again.service["result"] == "unchanged", again.err
    assert check.code == 0, check.err
    assert check.service["databases"] == {"nova_api": "current", "nova": "current", "nova_cell0": "current"}
    assert listed.returncode == 0, listed.stderr
    assert f"@127.0.0.1:{host.server.port}/nova_cell0" in listed.stdout
    assert dropped.code == 0, dropped.err
    assert (host.databases(), host.accounts()) == (set(), set())


@pytest.mark.parametrize(
    ("name", "at_least"), [("placement", 13), ("neutron", 100), ("cinder", 30), ("heat", 15)]
)
def test_service_is_made_checked_updated_and_dropped(host: Host, name: str, at_least: int) -> None:
    done = host.run("--init", "--service", name, timeout=400)
    check = host.run("--check", "--service", name, "--json")
    again = host.run("--init", "--service", name)
    count = tables(host, name)
    update = host.run("--update", "--service", name, timeout=400)
    dropped = host.run("--drop", "--service", name, "--yes")

    assert done.code == 0, done.err
    assert count >= at_least
    assert check.code == 0, check.err
    assert check.service["databases"] == {name: "current"}
    assert again.out.split() == [name, "unchanged"], again.err
    assert update.code == 0, update.err
    assert dropped.code == 0, dropped.err
    assert host.databases() == set()


@pytest.mark.parametrize("name", ["nova", "placement", "cinder", "heat"])
def test_service_on_postgresql(host: Host, name: str) -> None:
    with files.work_folder(Path("/tmp"), "pg") as folder:
        folder.chmod(0o755)
        with postgresql.running(folder / "s", RUNNER) as server:
            secret = host.folder / "root.pw"
            secret.write_text(server.password)
            host.root = ("--host", "127.0.0.1", "--port", str(server.port), "--rootpw-file", str(secret))
            engine = ("--engine", "postgresql")

            done = host.run("--init", "--service", name, *engine, timeout=400)
            check = host.run("--check", "--service", name, "--json")
            again = host.run("--init", "--service", name)
            dropped = host.run("--drop", "--service", name, "--yes")
            left = server.execute("SELECT datname FROM pg_database WHERE NOT datistemplate", RUNNER)

    assert done.code == 0, done.err
    assert check.code == 0, check.err
    assert set(check.service["databases"].values()) == {"current"}
    assert again.out.split() == [name, "unchanged"], again.err
    assert dropped.code == 0, dropped.err
    assert left.split() == ["postgres"]


def test_heads_are_those_that_alembic_finds(services: environment.Environment) -> None:
    sys_path = Path(__file__).parents[2] / "utils"
    code = (
        f"import sys; sys.path.insert(0, {str(sys_path)!r})\n"
        "from openstack_utils.db import catalogue as catalogues, schema\n"
        "import json\n"
        "catalogue = catalogues.Catalogue(catalogues.Places())\n"
        "names = ['nova', 'placement', 'neutron', 'cinder', 'heat']\n"
        "for name in names:\n"
        "    graphs = schema.read_graphs(catalogue.service(name, 'current'))\n"
        "    for folder, graph in graphs.items():\n"
        "        print(folder, json.dumps(sorted(schema.heads(graph))))\n"
    )
    environment_ = {**os.environ, "PATH": f"{services.folder / 'bin'}:/usr/bin:/bin"}
    ours = subprocess.run(
        [services.python, "-c", code],
        capture_output=True,
        text=True,
        env=environment_,
        check=True,
        timeout=120,
    ).stdout
    found = dict(line.split(" ", 1) for line in ours.splitlines())
    theirs = {folder: heads_by_alembic(services, folder) for folder in found}

    assert len(found) == 6
    assert {folder: json.loads(text) for folder, text in found.items()} == theirs


def heads_by_alembic(services: environment.Environment, folder: str) -> list[str]:
    """Return the heads of a folder of revisions. One a process: the modules of two services do not mix."""
    argv = [services.python, "-W", "ignore", "-c", HEADS, folder]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    heads: list[str] = json.loads(done.stdout)
    return heads
