# SPDX-License-Identifier: MIT
"""Keys that can sign, and which of them the rpm of a target can verify. Pure: gpg's listing in, keys out.

The listing is the output of `gpg --with-colons` (GnuPG, doc/DETAILS).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from builder.targets import Target, TargetFamily

RSA, DSA, ECDSA, EDDSA = 1, 17, 19, 22
NAMES = {RSA: "RSA", DSA: "DSA", ECDSA: "ECDSA", EDDSA: "EdDSA (Ed25519)"}
# OpenPGP's numbers of digest algorithms (RFC 9580, 9.5) that no policy takes any more.
WEAK_DIGESTS = {1: "MD5", 2: "SHA-1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A primary key or a subkey with its secret part; `validity` and `usage` are fields 2 and 12 of gpg's."""

    fingerprint: str
    primary: str
    algorithm: int
    bits: int
    validity: str
    usage: str
    expires: str
    has_secret: bool

    @property
    def is_subkey(self) -> bool:
        """Say whether it is a subkey."""
        return self.fingerprint != self.primary

    def why_not(self) -> str | None:
        """Return why it cannot sign now; None when it can."""
        reasons = {
            "e": f"has expired ({self._day})",
            "r": "is revoked",
            "d": "is disabled",
            "i": "is invalid",
        }
        if self.validity in reasons:
            return reasons[self.validity]
        if "D" in self.usage:
            return reasons["d"]
        if "s" not in self.usage:
            return "is not for signing"
        return None if self.has_secret else "has no secret part here"

    @property
    def _day(self) -> str:
        seconds = int(self.expires) if self.expires.isdecimal() else 0
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def read_keys(listing: str) -> tuple[Key, ...]:
    """Return the keys in the listing of --list-secret-keys, subkeys after their primary keys."""
    return tuple(_keys(listing))


def _keys(listing: str) -> Iterator[Key]:
    primary = ""
    row: list[str] = []
    for line in listing.splitlines():
        fields = line.split(":")
        if fields[0] in ("sec", "ssb"):
            row = fields
        elif fields[0] == "fpr" and row:
            primary = fields[9] if row[0] == "sec" else primary
            yield Key(
                fingerprint=fields[9],
                primary=primary,
                algorithm=int(row[3]),
                bits=int(row[2]),
                validity=row[1],
                usage=row[11],
                expires=row[6],
                # "#": only the public part is here; a card's serial number stands for the secret one.
                has_secret=len(row) < 15 or row[14] != "#",
            )
            row = []


def choose(keys: Sequence[Key]) -> Key | None:
    """Return the key to sign with: a primary key before a subkey, in the order of the listing."""
    usable = [key for key in keys if key.why_not() is None and _primary_of(key, keys).validity not in "erdi"]
    return min(usable, key=lambda key: key.is_subkey, default=None)


def _primary_of(key: Key, keys: Sequence[Key]) -> Key:
    return next(each for each in keys if each.fingerprint == key.primary)


def objections(key: Key, target: Target, *, digests: Sequence[int] = ()) -> Iterator[str]:
    """Return why the rpm of `target` would not verify signatures of `key`; nothing when it does.

    rpm: subkeys since 4.13 (rpm#1955), EdDSA since 4.16, ECDSA since 4.18, DSA not since 6.0
    (release notes of 6.0), v6 keys since 6.0. The policy of EL 9 and Fedora asks for RSA of 2048 bits and
    no SHA-1 (crypto-policies(7), DEFAULT).

    Args:
        digests: OpenPGP's numbers of the digests that the key's own signatures use.
    """
    rpm = target.rpm
    policy = rpm.is_at_least("4.16") and target.family is not TargetFamily.FIXTURE
    if len(key.fingerprint) != 40 and not rpm.is_at_least("6.0"):
        yield "a key of version 4 is needed"
    if key.is_subkey and not rpm.is_at_least("4.13"):
        yield "it does not support signing subkeys"
    if key.algorithm == EDDSA and not rpm.is_at_least("4.16"):
        yield "it does not support EdDSA (Ed25519)"
    elif key.algorithm == ECDSA and not rpm.is_at_least("4.18"):
        yield "it knows no ECDSA"
    elif key.algorithm == DSA and rpm.is_at_least("6.0"):
        yield "it takes no DSA"
    elif key.algorithm not in NAMES:
        yield f"it does not support keys of algorithm {key.algorithm}"
    if key.algorithm in (RSA, DSA) and key.bits < 2048 and policy:
        yield f"its policy requires 2048 bits, and the key has {key.bits}"
    weak = [WEAK_DIGESTS[digest] for digest in digests if digest in WEAK_DIGESTS]
    if weak and policy:
        yield f"its policy refuses {weak[0]}, and the key signs itself with that"
