# SPDX-License-Identifier: MIT
"""The signing options of rpm and repo."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from builder.errors import InputError
from builder.rpm.repository.sign import SigningKey, check_key, find_key, local_key
from builder.runner import Runner
from builder.targets import Target


def add_signing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --sign, --local-key and --gnupghome."""
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--sign", metavar="KEY", help="sign the repository's copies with this key of gpg")
    key.add_argument(
        "--local-key", action="store_true", help="sign them with a key of this machine, made when missing"
    )
    parser.add_argument(
        "--gnupghome", type=Path, metavar="DIR", help="where gpg finds KEY (default: GNUPGHOME, or ~/.gnupg)"
    )


def choose_key(args: argparse.Namespace, runner: Runner, targets: Sequence[Target] = ()) -> SigningKey | None:
    """Return the key that the options name; None when nothing is to be signed.

    Args:
        targets: whose rpm has to verify the signatures, as far as they are known yet.

    Raises:
        InputError: gpg has no such key, it cannot sign, or a target cannot verify what it signs.
    """
    if args.gnupghome and not args.sign:
        raise InputError("--gnupghome goes with --sign KEY")
    if args.local_key:
        return local_key(runner)
    if not args.sign:
        return None
    key = find_key(args.sign, home=args.gnupghome, runner=runner)
    check_key(key, targets)
    return key
