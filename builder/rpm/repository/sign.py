# SPDX-License-Identifier: MIT
"""Signs RPMs and repository metadata with gpg.

The key is the packager's (named, in their GNUPGHOME) or one of this machine, made when first asked for:
good enough for gpgcheck between our own two stages, and for nothing else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import tools
from builder.errors import CommandFailed, InputError
from builder.files import cache_folder, locked
from builder.runner import Runner

LOCAL_NAME = "openstack-builder on this machine"

_LOCAL_KEY = f"""\
%no-protection
Key-Type: RSA
Key-Length: 3072
Key-Usage: sign
Name-Real: {LOCAL_NAME}
Expire-Date: 0
%commit
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A key that can sign, and the gpg folder it is in (None: the user's)."""

    fingerprint: str
    home: Path | None = None


def find_key(name: str, *, home: Path | None, runner: Runner) -> SigningKey:
    """Return the secret key that gpg knows as `name`.

    Raises:
        InputError: gpg has no such secret key.
    """
    if home is not None and not home.is_dir():
        raise InputError(f"--gnupghome {home}: no such folder")
    done = runner.run([*_gpg(home), "--with-colons", "--list-secret-keys", name], ok=())
    _stop_agent(home, runner)
    fields = (line.split(":") for line in done.stdout.splitlines())
    fingerprint = next((field[9] for field in fields if field[0] == "fpr"), None)
    if done.returncode != 0 or fingerprint is None:
        where = f" in {home}" if home else ""
        raise InputError(
            f'gpg has no secret key "{name}"{where}',
            hint="gpg --list-secret-keys shows those that it has; --local-key makes one for this machine",
        )
    return SigningKey(fingerprint=fingerprint, home=home)


def local_key(runner: Runner) -> SigningKey:
    """Return this machine's own key, made now when there is none yet."""
    home = cache_folder("signing")
    home.chmod(0o700)
    with locked(home / "lock"):
        try:
            return find_key(f"={LOCAL_NAME}", home=home, runner=runner)
        except InputError:
            runner.run([*_gpg(home), "--generate-key"], input=_LOCAL_KEY)
            return find_key(f"={LOCAL_NAME}", home=home, runner=runner)


def export_key(key: SigningKey, runner: Runner) -> str:
    """Return the public key, armoured."""
    return runner.run([*_gpg(key.home), "--armor", "--export-options", "export-minimal", "--export",
                       key.fingerprint]).stdout  # fmt: skip


def sign_rpms(files: Sequence[Path], key: SigningKey, runner: Runner) -> None:
    """Sign RPMs in place.

    Raises:
        CommandFailed: gpg would not sign (a passphrase without an agent, an expired key).
    """
    # Debian's rpm looks for gpg under another name.
    argv: list[str | os.PathLike[str]] = ["rpmsign", "--addsign", "--define", f"__gpg {tools.find('gpg')}",
                                          "--define", f"_gpg_name {key.fingerprint}"]  # fmt: skip
    if key.home:
        argv += ["--define", f"_gpg_path {key.home}"]
    with _agent(key, runner):
        runner.run([*argv, *files], hint="can gpg sign with this key without asking?")


def sign_detached(file: Path, key: SigningKey, runner: Runner) -> Path:
    """Sign a file; the armoured signature stands beside it as FILE.asc. Return its path."""
    signature = file.with_name(file.name + ".asc")
    argv = [*_gpg(key.home), "--yes", "--local-user", key.fingerprint, "--armor", "--detach-sign",
            "--output", str(signature), str(file)]  # fmt: skip
    with _agent(key, runner):
        runner.run(argv, hint="can gpg sign with this key without asking?")
    return signature


def _gpg(home: Path | None) -> list[str]:
    argv = ["gpg", "--batch", "--no-tty", "--quiet"]
    return [*argv, "--homedir", str(home)] if home else argv


@contextlib.contextmanager
def _agent(key: SigningKey, runner: Runner) -> Iterator[None]:
    try:
        yield
    finally:
        _stop_agent(key.home, runner)


def _stop_agent(home: Path | None, runner: Runner) -> None:
    """End the agent that gpg started for a folder of ours; the user's own agent is left alone."""
    if home is not None:
        with contextlib.suppress(CommandFailed):
            runner.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], ok=())
