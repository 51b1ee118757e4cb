# SPDX-License-Identifier: MIT
"""The public keys that packages must be signed by: found, compared with their fingerprints, collected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builder import http
from builder.errors import InputError, RemoteError
from builder.files import read_regular
from builder.kickstart.addresses import local_path
from builder.kickstart.plan import ImagePlan
from builder.kickstart.sources import LONGEST_KEY
from builder.masking import mask
from builder.room import run_apart
from builder.runner import Runner
from builder.targets import Target

# Bytes that gpg may write meanwhile, and seconds.
LARGEST_HOME = 16 << 20
LONGEST = 60.0


def collect(plan: ImagePlan, target: Target, folder: Path, runner: Runner) -> None:
    """Write the keys of all repositories of `plan` into `folder`, one file each.

    A repository that names none is signed by the target's keys.

    Raises:
        InputError: no key at all though signatures are to be checked, no such file, no key in it, or a
            fingerprint that is not among those expected.
        RemoteError: a key's URL cannot be read.
    """
    folder.mkdir(exist_ok=True)
    if not plan.gpgcheck:
        return
    seen: set[bytes] = set()
    for source, fingerprints, name in _sources(plan, target):
        data = _read(plan.filled_in(source), name)
        if data not in seen:
            seen.add(data)
            path = folder / f"{len(seen):02}.asc"
            path.write_bytes(data)
            path.chmod(0o644)
            _check(path, source, fingerprints, name, runner)
    if not seen:
        names = ", ".join(repository.name for repository in plan.repositories)
        raise InputError(
            f"no key to check the packages of {names} with",
            hint="name the file of the public key with --gpgkey (or build unsigned with --no-gpgcheck)",
        )


def _sources(plan: ImagePlan, target: Target) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield where each key is, the fingerprints that it may have (none: any), and whose it is."""
    for repository in plan.repositories:
        for source in repository.gpg_keys:
            yield source, repository.fingerprints, f"repository {repository.name}"
        # A repository that the kickstart names is the distribution's, whatever else --gpgkey adds.
        if not repository.gpg_keys or repository.place is not None:
            for key in target.gpgkeys:
                local = key.local_file()
                yield str(local) if local else key.url, key.fingerprints, f"target {target.name}"


def _read(source: str, name: str) -> bytes:
    path = local_path(source)
    if path is None:
        try:
            return http.get(source, limit=LONGEST_KEY)
        except http.HttpError as error:
            raise RemoteError(f"{name}: key {error.message}", hint=error.hint) from error
    try:
        return read_regular(path, LONGEST_KEY)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{name}: key {path}: {reason}") from error


def _check(path: Path, source: str, fingerprints: tuple[str, ...], name: str, runner: Runner) -> None:
    """Compare the file's keys with the fingerprints expected; gpg(1), --with-colons in doc/DETAILS."""
    home = path.parent / "gnupg"
    home.mkdir(mode=0o700, exist_ok=True)
    # In a room: what is at an address of the kickstart may be made to deceive gpg.
    options = ["--homedir", str(home.absolute()), "--batch", "--with-colons"]
    argv = ["gpg", *options, "--show-keys", str(path.absolute())]
    shown = run_apart(
        runner, argv, readable=[path], writable=home, room=LARGEST_HOME, longest=LONGEST, ok=()
    ).stdout
    pairs = _with_previous(shown)
    found = {line.split(":")[9] for kind, line in pairs if kind == "pub" and line.startswith("fpr:")}
    if not found:
        raise InputError(f"{name}: {mask(source)} holds no public key")
    unknown = found - set(fingerprints)
    if fingerprints and unknown:
        raise InputError(
            f"{name}: {mask(source)} holds the key {sorted(unknown)[0]}, instead of {', '.join(fingerprints)}"
        )


def _with_previous(text: str) -> list[tuple[str, str]]:
    """Return each line with the kind of the record before it."""
    lines = text.splitlines()
    kinds = ["", *(line.split(":")[0] for line in lines)]
    return list(zip(kinds, lines, strict=False))
