# SPDX-License-Identifier: MIT
"""Signed copies of RPMs that are kept: what a key has signed, it does not sign again.

A copy is known by the digest of the unsigned RPM, the key, and the version of rpmsign, and compared with the
digest in its own name before it is used: one that is harmed is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from builder import entries
from builder.errors import BuildError
from builder.files import cache_folder, digest_of, explain, work_folder
from builder.rpm.repository.sign import SigningKey, sign_rpms
from builder.runner import Runner

# All RPMs of a release for all targets, twice; they have 1.1 GB.
MOST, LARGEST = 4000, 4 << 30


def copy_signed(rpms: Mapping[Path, str], folder: Path, key: SigningKey, runner: Runner) -> None:
    """Put signed copies of `rpms` into `folder`, under their names.

    Args:
        rpms: the sha256 of each.

    Raises:
        BuildError: `folder` cannot be written.
        CommandFailed: gpg would not sign.
    """
    cache = cache_folder("signed")
    signer = runner.run(["rpmsign", "--version"]).stdout.strip()
    keys = {path: digest_of([sha256, key.fingerprint, signer]) for path, sha256 in rpms.items()}
    fresh = []
    try:
        for path in rpms:
            kept = entries.find(cache, keys[path])
            shutil.copyfile(kept or path, folder / path.name)
            if kept is None:
                fresh.append(path)
    except OSError as error:
        raise explain(error, Path(error.filename or folder)) from error
    if not fresh:
        return
    sign_rpms([folder / path.name for path in fresh], key, runner)
    for path in fresh:
        _keep(folder / path.name, cache, keys[path], runner)


def _keep(signed: Path, cache: Path, name: str, runner: Runner) -> None:
    """Keep a copy, where the cache takes it: without, the next run signs again."""
    try:
        with work_folder(cache, "signed") as work:
            copy = Path(shutil.copyfile(signed, work / "entry"))
            entries.keep(copy, cache, name, files=MOST, size=LARGEST)
    except (BuildError, OSError) as error:
        runner.report.verbose(f"{signed.name} is not kept: {error}")
