# SPDX-License-Identifier: MIT
"""Logins by certificate and by Kerberos: real TLS and a real KDC before the stand-in.

A real hub is tried with the profiles of tests/rig/koji (README.md), which stand behind Apache.
"""

from __future__ import annotations

import base64
import io
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import gssapi
import pytest

from builder.errors import RemoteError
from builder.koji.hub import Hub
from builder.koji.profile import read_profile
from builder.report import Report
from builder.runner import Runner
from tests.koji.conftest import no_pause, write_profile
from tests.koji.front import Acceptor, serve
from tests.koji.stand_in_hub import USER, StandInHub
from tests.rig.koji import certificates, kerberos
from tests.rig.koji.certificates import HOST, Certificates
from tests.rig.koji.kerberos import Realm, principal

RUNNER = Runner(Report(quiet=True, err=io.StringIO()))


def log_in(config: Path) -> str:
    return Hub(read_profile("here", config), pause=no_pause).login()


def refused(config: Path) -> str:
    """Return the two lines of the error of a login."""
    with pytest.raises(RemoteError) as caught:
        log_in(config)
    assert caught.value.exit_code == 5
    return "\n".join(caught.value.lines())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates") / "made", USER, RUNNER)


@pytest.fixture
def address(made: Certificates, tmp_path: Path) -> Iterator[str]:
    """A hub that asks for certificates of clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made.authority)
    context.load_cert_chain(made.server)
    context.verify_mode = ssl.CERT_OPTIONAL
    # Refused within the handshake: after it, as in 1.3, the alert races with the end of the connection.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    (tmp_path / "hub").mkdir()
    with serve(StandInHub(tmp_path / "hub"), context) as address:
        yield address


def certificate_profile(folder: Path, address: str, made: Certificates, **more: object) -> Path:
    options = {"authtype": "ssl", "serverca": made.authority, "cert": made.client} | more
    return write_profile(
        folder / "koji.conf", address, **{word: str(value) for word, value in options.items()}
    )


def test_a_certificate_logs_in(address: str, made: Certificates, tmp_path: Path) -> None:
    assert log_in(certificate_profile(tmp_path, address, made)) == USER


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param("expired", "the client certificate has expired", id="expired"),
        pytest.param("stranger", "the hub does not trust the client certificate", id="of another authority"),
        pytest.param("authority", "does not hold a certificate and its key", id="without its key"),
    ],
)
def test_a_certificate_that_the_hub_does_not_take_is_named(
    address: str, made: Certificates, tmp_path: Path, kind: str, message: str
) -> None:
    path = getattr(made, kind)

    said = refused(certificate_profile(tmp_path, address, made, cert=path))

    assert f"login failed: the file {path} {message}" in said or f"login failed: {message}" in said
    assert "the profile here" in said
    assert str(path) in said


@pytest.mark.parametrize("option", ["cert", "serverca"])
def test_a_file_of_a_profile_that_is_not_there_is_named(
    address: str, made: Certificates, tmp_path: Path, option: str
) -> None:
    said = refused(certificate_profile(tmp_path, address, made, **{option: "/nosuch.pem"}))

    assert "/nosuch.pem: no such file or directory" in said
    assert f"see {option} of the profile here" in said


def test_a_certificate_of_somebody_who_has_no_account_is_named(
    address: str, made: Certificates, tmp_path: Path
) -> None:
    other = certificates.sign(tmp_path / "other.pem", "other", made.authority, RUNNER)

    assert "the hub has no user other\n" in refused(certificate_profile(tmp_path, address, made, cert=other))


def test_a_hub_that_is_not_trusted_is_no_failure_of_the_login(
    address: str, made: Certificates, tmp_path: Path
) -> None:
    said = refused(certificate_profile(tmp_path, address, made, serverca=made.stranger))

    assert "the certificate is not trusted" in said
    assert "login" not in said
    assert "_ssl.c" not in said


def test_a_hub_that_is_down_is_no_failure_of_the_login(made: Certificates, tmp_path: Path) -> None:
    said = refused(certificate_profile(tmp_path, "https://127.0.0.1:1", made))

    assert "connection refused" in said
    assert "login" not in said


# -- Kerberos ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with kerberos.running(tmp_path_factory.mktemp("realm") / "kdc", USER, RUNNER) as realm:
        yield realm


@pytest.fixture
def kerberized(
    realm: Realm, made: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A hub that asks for tickets, and a user without any; yields the hub's address."""
    monkeypatch.setenv("KRB5_CONFIG", str(realm.config))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'tickets'}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.server)
    (tmp_path / "hub").mkdir()
    hub = StandInHub(tmp_path / "hub")
    hub.acceptor = accept_tickets(realm)
    with serve(hub, context) as address:
        yield address.replace("127.0.0.1", HOST)


def accept_tickets(realm: Realm) -> Acceptor:
    """Return what mod_auth_gssapi does for a hub: it takes tickets for the keytab of the service."""

    def accept(header: str | None) -> str | None:
        if not header:
            return None
        credentials = gssapi.Credentials(usage="accept", store={"keytab": str(realm.service)})
        context = gssapi.SecurityContext(usage="accept", creds=credentials)
        try:
            context.step(base64.b64decode(header.removeprefix("Negotiate ")))
        except gssapi.exceptions.GSSError:
            return None
        return str(context.initiator_name)

    return accept


def ticket_profile(folder: Path, address: str, made: Certificates, **more: object) -> Path:
    options = {"authtype": "kerberos", "serverca": made.authority} | more
    return write_profile(
        folder / "koji.conf", address, **{word: str(value) for word, value in options.items()}
    )


def kinit(realm: Realm, *options: str) -> None:
    subprocess.run(["kinit", *options, "-k", "-t", realm.user, USER], env=os.environ, check=True)


def test_a_ticket_logs_in(kerberized: str, realm: Realm, made: Certificates, tmp_path: Path) -> None:
    kinit(realm)

    assert log_in(ticket_profile(tmp_path, kerberized, made)) == USER


def test_a_keytab_logs_in(kerberized: str, realm: Realm, made: Certificates, tmp_path: Path) -> None:
    config = ticket_profile(tmp_path, kerberized, made, principal=principal(USER), keytab=realm.user)

    assert log_in(config) == USER


def test_no_ticket_is_told_with_kinit(kerberized: str, made: Certificates, tmp_path: Path) -> None:
    said = refused(ticket_profile(tmp_path, kerberized, made))

    assert "login failed: there is no Kerberos ticket" in said
    assert "kinit" in said


def test_an_expired_ticket_is_told_with_kinit(
    kerberized: str, realm: Realm, made: Certificates, tmp_path: Path
) -> None:
    kinit(realm, "-l", "1s")
    time.sleep(2.1)

    said = refused(ticket_profile(tmp_path, kerberized, made))

    assert "login failed: the Kerberos ticket has expired" in said
    assert "kinit" in said


def test_a_principal_without_an_account_is_named(
    kerberized: str, realm: Realm, made: Certificates, tmp_path: Path
) -> None:
    config = ticket_profile(
        tmp_path, kerberized, made, principal=principal("stranger"), keytab=realm.stranger
    )

    assert f"the hub has no user {principal('stranger')}\n" in refused(config)


def test_a_keytab_of_another_principal_says_how_to_see_why(
    kerberized: str, realm: Realm, made: Certificates, tmp_path: Path
) -> None:
    config = ticket_profile(tmp_path, kerberized, made, principal=principal("other"), keytab=realm.user)

    said = refused(config)

    assert "login failed" in said
    assert "keytab" in said
    assert "kinit" in said


def test_a_hub_that_the_realm_does_not_know_is_named(
    kerberized: str, realm: Realm, made: Certificates, tmp_path: Path
) -> None:
    kinit(realm)

    said = refused(ticket_profile(tmp_path, kerberized.replace(HOST, "127.0.0.1"), made))

    assert "Server HTTP/127.0.0.1@" in said
    assert "not found in Kerberos database" in said
    assert "the server line of the profile here" in said
