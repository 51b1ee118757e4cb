# SPDX-License-Identifier: MIT
"""Certificates by openssl: an authority, the server's, and clients' that a hub takes, or must not take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.runner import Runner

HOST = "localhost"
# What RFC 5280 wants of certificates, and Python from 3.13 on holds them to; of an authority, keyUsage too.
SIGNED = "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificates:
    """PEM files; those of the server and of clients hold key and certificate.

    `client` is valid; `expired` is not any more; `stranger` was signed by another authority.
    """

    authority: Path
    server: Path
    client: Path
    expired: Path
    stranger: Path


def make(folder: Path, user: str, runner: Runner) -> Certificates:
    """Make all of them in `folder`, which is made; the clients' are for `user`.

    Raises:
        CommandFailed: openssl failed.
    """
    folder.mkdir(parents=True)
    ours, other = folder / "authority.pem", folder / "other-authority.pem"
    for authority in (ours, other):
        run(
            runner, "req", "-x509", *new_key(authority), "-subj", f"/CN={authority.stem}",
            "-days", "30", "-out", authority, "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
    return Certificates(
        authority=ours,
        server=sign(folder / "server.pem", HOST, ours, runner, names=f"DNS:{HOST},IP:127.0.0.1"),
        client=sign(folder / "client.pem", user, ours, runner),
        expired=sign_of_long_ago(folder / "expired.pem", user, ours, runner),
        stranger=sign(folder / "stranger.pem", user, other, runner),
    )


def sign(path: Path, name: str, authority: Path, runner: Runner, *, names: str = "") -> Path:
    """Make a key and a certificate of it for `name`; return the file that holds both.

    Args:
        names: subjectAltName, as openssl-x509v3_config(5) has it.
    """
    extensions = path.with_suffix(".ext")
    extensions.write_text(SIGNED + (f"subjectAltName={names}\n" if names else ""))
    run(
        runner, "x509", "-req", "-in", ask(path, name, runner), "-CA", authority, "-CAkey", key_of(authority),
        "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", path,
    )  # fmt: skip
    return with_its_key(path)


def sign_of_long_ago(path: Path, name: str, authority: Path, runner: Runner) -> Path:
    """Make a certificate that was valid on one day of 2020; return the file that holds it and its key.

    Not by x509: up to OpenSSL 3.3 it takes no dates, and later no number of days below zero.
    """
    index = path.with_suffix(".index")
    index.touch()
    config = path.with_suffix(".cnf")
    config.write_text(
        f"[ca]\ndefault_ca = ours\n[ours]\ndatabase = {index}\nnew_certs_dir = {path.parent}\n"
        "rand_serial = yes\ndefault_md = sha256\npolicy = names\nx509_extensions = signed\n"
        f"[names]\ncommonName = supplied\n[signed]\n{SIGNED}"
    )
    run(
        runner, "ca", "-batch", "-notext", "-config", config, "-in", ask(path, name, runner), "-out", path,
        "-cert", authority, "-keyfile", key_of(authority),
        "-startdate", "20200101000000Z", "-enddate", "20200102000000Z",
    )  # fmt: skip
    return with_its_key(path)


def ask(path: Path, name: str, runner: Runner) -> Path:
    """Make a key and a request for a certificate of it; return the request."""
    request = path.with_suffix(".csr")
    run(runner, "req", *new_key(path), "-subj", f"/CN={name}", "-out", request)
    return request


def with_its_key(path: Path) -> Path:
    """Put the key before a certificate, in one file that is its owner's."""
    path.write_text(key_of(path).read_text() + path.read_text())
    path.chmod(0o600)
    return path


def new_key(path: Path) -> tuple[str | Path, ...]:
    """Return the options that have openssl make a key without a passphrase next to `path`."""
    return "-newkey", "rsa:2048", "-nodes", "-keyout", key_of(path)


def key_of(path: Path) -> Path:
    """Return where the key of a certificate lies."""
    return path.with_suffix(".key")


def run(runner: Runner, *words: str | Path) -> None:
    """Run openssl."""
    runner.run(["openssl", *words])
