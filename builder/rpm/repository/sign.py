# SPDX-License-Identifier: MIT
"""Signs RPMs and repository metadata with gpg.

The key is the packager's (named, in their folder of gpg) or one of this machine, made when first asked for:
good enough for gpgcheck between our own two stages, and for nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import tools
from builder.errors import CommandFailed, InputError, Problem
from builder.files import cache_folder, locked
from builder.rpm.repository.keyring import Keyring, home_of_user, terminal, words_of
from builder.rpm.repository.keys import NAMES, Key, choose, objections, read_keys
from builder.runner import Runner
from builder.schema import nearest
from builder.targets import Target

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
_HINT = (
    "gpg asks its agent for the passphrase: unlock the key there first (gpg --sign), "
    "or set GPG_TTY=$(tty) so that it can ask you"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A key that can sign, and the folder of gpg that it is in; `digests` are used in its own signatures."""

    key: Key
    ring: Keyring
    digests: tuple[int, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key, or subkey, that signs."""
        return self.key.fingerprint


def find_key(name: str, *, home: Path | None, runner: Runner) -> SigningKey:
    """Return the secret key that gpg knows as `name`, one that can sign now.

    Args:
        home: folder of gpg; None for GNUPGHOME, or gpg's default.

    Raises:
        InputError: gpg has no such secret key, or none that may sign, with the reason for each.
    """
    ring = Keyring(home=home_of_user(home), runner=runner)
    with ring.opened() as opened:
        done = opened.gpg("--with-colons", "--list-secret-keys", name, ok=())
        keys = read_keys(done.stdout)
        chosen = choose(keys)
        if chosen is None:
            raise _no_key(name, keys, ring.home, words_of(done.stderr), opened.gpg("--with-colons",
                          "--list-secret-keys", ok=()).stdout)  # fmt: skip
        exported = opened.gpg("--export-options", "export-minimal", "--armor", "--export", chosen.primary)
        # Packets, not keys: the digest of each signature (gpg(1), --list-packets).
        packets = opened.gpg("--list-packets", input=exported.stdout, ok=()).stdout
    digests = tuple(int(number) for number in re.findall(r"digest algo (\d+)", packets))
    return SigningKey(key=chosen, ring=ring, digests=digests)


def _no_key(name: str, keys: Sequence[Key], home: Path | None, said: str, listing: str) -> InputError:
    where = f" in {home}" if home else ""
    if not keys:
        users = [line.split(":")[9] for line in listing.splitlines() if line.startswith("uid:")]
        near = nearest(name, users)
        hint = "gpg --list-secret-keys shows those that it has; --local-key makes one for this machine"
        hint = f"did you mean {near}? ({hint})" if near else hint
        # What gpg says of a key that is not there is our own sentence.
        extra = f" ({said})" if said and "No secret key" not in said else ""
        return InputError(f'gpg has no secret key "{name}"{where}{extra}', hint=hint)
    problems = [
        Problem(message=f"{'subkey' if key.is_subkey else 'key'} {key.fingerprint} {key.why_not()}")
        for key in keys
        if key.why_not()
    ]
    return InputError(
        problems=[Problem(message=f'no key of "{name}"{where} can sign'), *problems],
        hint="extend a key with gpg --quick-set-expire, or use --local-key",
    )


def check_key(key: SigningKey, targets: Sequence[Target]) -> None:
    """Refuse a key whose signatures the rpm of a target cannot verify.

    Raises:
        InputError: with every target and reason.
    """
    name = NAMES.get(key.key.algorithm, str(key.key.algorithm))
    problems = [
        Problem(
            message=f"key {key.fingerprint} ({name}, {key.key.bits} bits): rpm of {target.name} cannot "
            f"verify its signatures: {reason}"
        )
        for target in {each.name: each for each in targets}.values()
        for reason in objections(key.key, target, digests=key.digests)
    ]
    if problems:
        raise InputError(
            problems=problems,
            hint="a primary key of RSA, 3072 bits, is verified everywhere: "
            "gpg --quick-generate-key NAME rsa3072 sign",
        )


def local_key(runner: Runner) -> SigningKey:
    """Return this machine's own key, made now when there is none yet."""
    home = cache_folder("signing")
    home.chmod(0o700)
    with locked(home / "lock"):
        try:
            return find_key(f"={LOCAL_NAME}", home=home, runner=runner)
        except InputError:
            with Keyring(home=home, runner=runner).opened() as opened:
                opened.gpg("--generate-key", input=_LOCAL_KEY)
            return find_key(f"={LOCAL_NAME}", home=home, runner=runner)


def export_key(key: SigningKey) -> str:
    """Return the public key, armoured."""
    with key.ring.opened() as opened:
        options = ("--armor", "--export-options", "export-minimal", "--export")
        return opened.gpg(*options, key.key.primary).stdout


def sign_rpms(files: Sequence[Path], key: SigningKey, runner: Runner) -> None:
    """Sign RPMs in place.

    Raises:
        CommandFailed: gpg would not sign (no passphrase in the agent, a card that is not there).
    """
    with key.ring.opened() as opened:
        # Debian's rpm looks for gpg under another name. The "!" has gpg sign with
        # just this key, not with the newest subkey.
        argv: list[str | os.PathLike[str]] = [
            "rpmsign", "--addsign", "--define", f"__gpg {tools.find('gpg')}",
            "--define", f"_gpg_name {key.fingerprint}!", "--define", "_gpg_digest_algo sha256",
        ]  # fmt: skip
        if opened.home:
            argv += ["--define", f"_gpg_path {opened.home}"]
        done = runner.run([*argv, *files], ok=(), env=terminal())
    if done.returncode != 0:
        raise CommandFailed(f"rpmsign: {words_of(done.stderr) or done.stderr.strip()[-300:]}", hint=_HINT)


def sign_detached(file: Path, key: SigningKey) -> Path:
    """Sign a file; the armoured signature is FILE.asc next to it. Return its path."""
    signature = file.with_name(file.name + ".asc")
    with key.ring.opened() as opened:
        opened.gpg(
            "--yes", "--local-user", f"{key.fingerprint}!", "--digest-algo", "SHA256", "--armor",
            "--output", str(signature), "--detach-sign", str(file), hint=_HINT,
        )  # fmt: skip
    return signature
