# SPDX-License-Identifier: MIT
"""How each server wants root's password to be set."""

import pytest
from openstack_utils.db.server.local import password_statements

ROOT = "ALTER USER root@%s IDENTIFIED BY %s"
OLD = "SET PASSWORD FOR root@%s = PASSWORD(%s)"
SOCKET = "ALTER USER root@%s IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD(%s)"


@pytest.mark.parametrize(
    ("version", "local", "remote"),
    [
        pytest.param("10.11.19-MariaDB-0+deb12u1", SOCKET, ROOT, id="MariaDB 10.11"),
        pytest.param("10.4.0-MariaDB", SOCKET, ROOT, id="MariaDB 10.4"),
        pytest.param("11.8.3-MariaDB-log", SOCKET, ROOT, id="MariaDB 11.8"),
        pytest.param("10.3.39-MariaDB", OLD, OLD, id="MariaDB of EL 8"),
        pytest.param("5.5.68-MariaDB", OLD, OLD, id="MariaDB of EL 7"),
        pytest.param("8.4.6", ROOT, ROOT, id="MySQL 8.4"),
        pytest.param("5.7.6-m16", ROOT, ROOT, id="MySQL 5.7.6"),
        pytest.param("5.7.5-m15", OLD, OLD, id="MySQL 5.7.5"),
        pytest.param("5.1.73", OLD, OLD, id="MySQL of EL 6"),
    ],
)
def test_the_version_decides(version: str, local: str, remote: str) -> None:
    accounts = [("root", "localhost"), ("root", "127.0.0.1"), ("", "localhost")]

    assert password_statements(version, accounts, "p@ss") == [
        ("DROP USER ''@%s", ("localhost",)),
        (remote, ("127.0.0.1", "p@ss")),
        (local, ("localhost", "p@ss")),
    ]
