# SPDX-License-Identifier: MIT
"""Certificates by openssl: an authority, the server's, and clients' that a hub takes, or must not take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.runner import Runner

HOST = "localhost"


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
            "-days", "30", "-out", authority,
        )  # fmt: skip
    alternative = folder / "server.ext"
    alternative.write_text(f"subjectAltName=DNS:{HOST},IP:127.0.0.1\n")
    return Certificates(
        authority=ours,
        server=sign(folder / "server.pem", HOST, ours, runner, "-extfile", alternative),
        client=sign(folder / "client.pem", user, ours, runner),
        expired=sign(folder / "expired.pem", user, ours, runner, days=-1),
        stranger=sign(folder / "stranger.pem", user, other, runner),
    )


def sign(path: Path, name: str, authority: Path, runner: Runner, *more: str | Path, days: int = 30) -> Path:
    """Make a key and a certificate of it for `name`; return the file that holds both."""
    request = path.with_suffix(".csr")
    run(runner, "req", *new_key(path), "-subj", f"/CN={name}", "-out", request)
    run(
        runner, "x509", "-req", "-in", request, "-CA", authority, "-CAkey", key_of(authority),
        "-CAcreateserial", "-days", str(days), "-out", path, *more,
    )  # fmt: skip
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
