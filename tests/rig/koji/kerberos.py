# SPDX-License-Identifier: MIT
"""A Kerberos realm of its own on loopback: MIT's KDC, with keytabs for the hub's server and for its user."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.runner import Runner
from tests.rig.koji.certificates import HOST
from tests.rig.plane import process, settings

REALM = "KOJI.EXAMPLE"
# kadmin's own programs are not in a plain user's PATH.
SBIN = Path("/usr/sbin")


@dataclass(frozen=True, kw_only=True, slots=True)
class Realm:
    """A realm: the file for KRB5_CONFIG, and keytabs of the server, of the user, and of one who is not known.

    `stranger` is a principal of the realm that the hub has no user for.
    """

    config: Path
    service: Path
    user: Path
    stranger: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of programs that use the realm, and no other."""
        return {"KRB5_CONFIG": str(self.config)}


def principal(name: str) -> str:
    """Return the principal of a name."""
    return f"{name}@{REALM}"


@contextmanager
def running(folder: Path, user: str, runner: Runner) -> Iterator[Realm]:
    """Make a realm in `folder`, which is made, and run its KDC until the end.

    Raises:
        CommandFailed: a program of MIT Kerberos failed.
    """
    folder.mkdir(parents=True)
    port = process.free_port()
    realm = Realm(
        config=folder / "krb5.conf", service=folder / "http.keytab", user=folder / "user.keytab",
        stranger=folder / "stranger.keytab",
    )  # fmt: skip
    realm.config.write_text(
        f"[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\nrdns = false\n"
        "dns_canonicalize_hostname = false\n"
        f"[realms]\n{REALM} = {{\nkdc = 127.0.0.1:{port}\n}}\n[domain_realm]\n{HOST} = {REALM}\n"
    )
    kdc = folder / "kdc.conf"
    kdc.write_text(
        f"[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n"
        f"[realms]\n{REALM} = {{\ndatabase_name = {folder / 'principal'}\n"
        f"key_stash_file = {folder / 'stash'}\nmax_life = 1h\n}}\n"
    )
    environment = realm.environment | {"KRB5_KDC_PROFILE": str(kdc)}
    password = settings.new_password()
    runner.run(
        [SBIN / "kdb5_util", "create", "-s", "-r", REALM], env=environment, input=f"{password}\n{password}\n"
    )
    for name, keytab in ((f"HTTP/{HOST}", realm.service), (user, realm.user), ("stranger", realm.stranger)):
        for query in (f"addprinc -randkey {principal(name)}", f"ktadd -k {keytab} {principal(name)}"):
            runner.run([SBIN / "kadmin.local", "-r", REALM, "-q", query], env=environment)
    log = folder / "kdc.log"
    server = process.Server(
        name="the KDC", process=runner.spawn([SBIN / "krb5kdc", "-n"], log=log, env=environment), log=log
    )
    try:
        server.wait_until(lambda: answers(port), seconds=300)
        yield realm
    finally:
        server.stop()


def answers(port: int) -> bool:
    """Say whether somebody takes connections at a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
