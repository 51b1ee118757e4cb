# SPDX-License-Identifier: MIT
"""Logins at a real hub behind Apache: the profiles that `tests.rig.koji --logins` writes (README.md).

Collected only with such a hub (conftest.py).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.koji.stand_in_hub import USER
from tests.rig.koji.kerberos import principal
from tests.support.rpm_tool import builder

NO_TASK = "there is no task 999999"


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        pytest.param("certificate", NO_TASK, id="certificate"),
        pytest.param("certificate-expired", "the client certificate has expired", id="expired"),
        pytest.param("certificate-stranger", "does not trust the client certificate", id="stranger"),
        pytest.param("certificate-missing", "nosuch.pem: no such file or directory", id="missing"),
        pytest.param("certificate-untrusted", "the certificate is not trusted", id="untrusted hub"),
        pytest.param("kerberos", "there is no Kerberos ticket", id="no ticket"),
        pytest.param("kerberos-keytab", NO_TASK, id="keytab"),
        pytest.param("kerberos-stranger", f"the hub has no user {principal('stranger')}\n", id="no account"),
    ],
)
def test_a_login_by_command(
    tmp_path: Path, profile: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'tickets'}")

    said = watch(tmp_path, profile)

    assert message in said


def test_a_ticket_logs_in_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'tickets'}")
    subprocess.run(["kinit", "-k", "-t", os.environ["KOJI_KEYTAB"], USER], check=True)

    assert NO_TASK in watch(tmp_path, "kerberos")


def watch(folder: Path, profile: str) -> str:
    """Watch a task that is not there: what is said of it comes after the login."""
    words = ("koji", "watch", "999999", "--profile", profile, "--config", os.environ["KOJI_CONFIG"])
    tickets = {name: value for name, value in os.environ.items() if name.startswith("KRB5")}
    done = builder(*words, cwd=folder, ok=False, **tickets)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2
    return done.stderr
