# SPDX-License-Identifier: MIT
"""openstack-db on a node of a Galera cluster that refuses what it cannot replicate, with the real services.

MariaDB's wsrep_mode refuses what pxc_strict_mode=ENFORCING of Percona XtraDB Cluster does: changes of rows in
tables without a primary key, and of tables of other engines. What else that refuses is looked for among the
statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.report import Report
from tests.rig.plane import environment, mariadb, template
from tests.rig.plane.mariadb import MariaDB
from tests.support.databases import GLANCE, KEYSTONE, RUNNER, Host

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
pytestmark = pytest.mark.skipif(not PROVIDER.exists(), reason="needs Galera: apt-get install galera-4")
# Percona XtraDB Cluster's manual, "Percona XtraDB Cluster strict mode".
REFUSED = re.compile(
    r"\b(GET_LOCK|RELEASE_LOCK|LOCK TABLES|FLUSH TABLES|CREATE TABLE[^(\n]*SELECT|XA (START|BEGIN)|"
    r"(DISCARD|IMPORT) TABLESPACE|ENGINE *= *(MyISAM|MEMORY|CSV))\b",
    re.IGNORECASE,
)
BOTH = ("--service", "keystone", "--service", "glance")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[MariaDB]:
    """The only node of a cluster, which is strict, and logs every statement."""
    settings = {
        "wsrep_on": "ON",
        "wsrep_provider": PROVIDER,
        "wsrep_cluster_address": "gcomm://",
        "wsrep_node_address": "127.0.0.1",
        "wsrep_provider_options": "gmcast.listen_addr=tcp://127.0.0.1:0;gcache.size=16M",
        "wsrep_mode": "REQUIRED_PRIMARY_KEY,STRICT_REPLICATION",
        "binlog_format": "ROW",
        "innodb_autoinc_lock_mode": 2,
        "general_log": 1,
        "general_log_file": tmp_path / "statements.log",
    }
    empty = template.prepare_empty(Report(quiet=True), RUNNER)
    with mariadb.running(tmp_path / "db", RUNNER, template=empty, extra=settings) as server:
        yield server


@pytest.fixture
def host(tmp_path: Path, node: MariaDB) -> Host:
    """A host with empty files of Keystone and Glance."""
    secret = tmp_path / "root.pw"
    secret.write_text(f"{node.root_password}\n")
    root = ("--host", "127.0.0.1", "--port", str(node.port), "--rootpw-file", str(secret))
    services = environment.prepare(Report(quiet=True), RUNNER).folder / "bin"
    host = Host(folder=tmp_path / "host", server=node, programs=(services,), root=root)
    host.write("keystone", KEYSTONE)
    host.write("glance", GLANCE)
    return host


def test_all_actions_send_nothing_that_a_strict_cluster_refuses(host: Host, tmp_path: Path) -> None:
    host.sql("CREATE DATABASE glance CHARACTER SET latin1")
    made = host.run("--init", *BOTH)
    again = host.run("--init", *BOTH, "--generate-password")
    check = host.run("--check", *BOTH)
    update = host.run("--update", *BOTH)
    dropped = host.run("--drop", *BOTH, "--yes")

    assert [run.code for run in (made, again, check, update, dropped)] == [0] * 5, made.err + again.err
    assert (host.databases(), host.accounts()) == (set(), set())
    statements = (tmp_path / "statements.log").read_text(errors="replace")
    assert "CREATE USER" in statements
    assert REFUSED.findall(statements) == []


@pytest.mark.parametrize(
    "words", [("--init",), ("--check",), ("--drop", "--yes")], ids=lambda words: words[0]
)
def test_node_that_is_not_ready_is_no_server_for_now(host: Host, words: tuple[str, ...]) -> None:
    made = host.run("--init", "--service", "keystone")
    host.sql("SET GLOBAL wsrep_reject_queries = ALL")

    done = host.run(*words, "--service", "keystone")

    assert (made.code, done.code) == (0, 5), done.err
    assert "WSREP has not yet prepared node" in done.err
    assert "hint: SHOW STATUS LIKE 'wsrep_%' shows why; --host names another node" in done.err
