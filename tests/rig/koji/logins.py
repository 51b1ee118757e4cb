# SPDX-License-Identifier: MIT
"""Profiles that log in by certificate and by Kerberos, and those that must not, at a hub behind Apache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.runner import Runner
from tests.koji.stand_in_hub import USER
from tests.rig.koji import apache, certificates, kerberos
from tests.rig.koji.hub import Hub


@contextmanager
def running(hub: Hub, config: Path, runner: Runner) -> Iterator[dict[str, str]]:
    """Run a KDC and Apache; add profiles to `config`; yield the environment that clients need.

    `certificate` and `kerberos` log in. The others do not: `certificate-…` and `kerberos-…` name why.
    """
    made = certificates.make(hub.folder / "certificates", USER, runner)
    with (
        kerberos.running(hub.folder / "kerberos", USER, runner) as realm,
        apache.running(hub.folder / "apache", hub, made, realm, runner) as (by_certificate, by_kerberos),
    ):
        trusted: dict[str, object] = {"authtype": "ssl", "serverca": made.authority}
        ticket: dict[str, object] = {"authtype": "kerberos", "serverca": made.authority}
        profiles: dict[str, tuple[str, dict[str, object]]] = {
            "certificate": (by_certificate, trusted | {"cert": made.client}),
            "certificate-expired": (by_certificate, trusted | {"cert": made.expired}),
            "certificate-stranger": (by_certificate, trusted | {"cert": made.stranger}),
            "certificate-missing": (by_certificate, trusted | {"cert": hub.folder / "nosuch.pem"}),
            "certificate-untrusted": (by_certificate, {"authtype": "ssl", "cert": made.client}),
            "kerberos": (by_kerberos, ticket),
            "kerberos-keytab": (
                by_kerberos, ticket | {"principal": kerberos.principal(USER), "keytab": realm.user},
            ),
            "kerberos-stranger": (
                by_kerberos,
                ticket | {"principal": kerberos.principal("stranger"), "keytab": realm.stranger},
            ),
        }  # fmt: skip
        with config.open("a") as file:
            for name, (address, options) in profiles.items():
                rows = {
                    "server": f"{address}/kojihub", "weburl": f"{address}/koji",
                    "topurl": f"{address}/kojifiles", "poll_interval": 1,
                } | options  # fmt: skip
                file.write(f"\n[{name}]\n" + "".join(f"{word} = {value}\n" for word, value in rows.items()))
        yield {"KRB5_CONFIG": str(realm.config), "KOJI_KEYTAB": str(realm.user)}
