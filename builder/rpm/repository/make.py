# SPDX-License-Identifier: MIT
"""Makes a dnf repository out of built RPMs: a folder of copies, signed where a key is given.

The folder appears complete or not at all, and is left alone when it holds the same packages, signed by
the same key, already.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import json_text
from builder.errors import InputError
from builder.files import digest_of, explain, locked, replace_folder, sha256_file, work_folder
from builder.repofile import repo_file
from builder.rpm.repository.metadata import Compression, choose_compression, make_metadata
from builder.rpm.repository.sign import SigningKey, export_key, sign_detached
from builder.rpm.repository.signed import copy_signed
from builder.runner import Runner

FORMAT = 4
KEY_FILE = "RPM-GPG-KEY-local"
STATE_FILE = "repository.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalRepository:
    """A repository folder; `key_file` is the public key of its signatures, None when unsigned."""

    folder: Path
    key_file: Path | None
    changed: bool


def make_repository(
    folder: Path,
    rpms: Sequence[Path],
    *,
    name: str,
    url: str | None,
    epoch: int,
    comps: str,
    compression: Compression,
    key: SigningKey | None,
    runner: Runner,
) -> LocalRepository:
    """Make `folder` a repository of `rpms`.

    Args:
        name: id in the .repo file that is put next to the packages.
        url: where it will be served; None for the folder itself.
        epoch: revision and time stamps of the metadata.
        comps: groups of packages.
        compression: of the metadata, the best that those who read it can.
        key: signs the packages and repomd.xml.

    Raises:
        InputError: something that is not a folder is there.
        CommandFailed: a tool failed; the old repository, if any, is as it was.
    """
    # A link is followed to its folder: that is what is replaced.
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: exists and is not a folder", hint="move it away")
    url = url or folder.as_uri()
    compression = choose_compression(compression, runner)
    digests = {path: sha256_file(path) for path in rpms}
    state = {
        "format": FORMAT,
        "name": name,
        "packages": digest_of({path.name: sha256 for path, sha256 in digests.items()}),
        "key": key.fingerprint if key else None,
        "comps": digest_of(comps),
        "compression": compression,
        "url": url,
    }
    key_file = folder / KEY_FILE if key else None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f".{folder.name}.lock")
        with locked(lock):
            if _read_state(folder) == state and (folder / "repodata" / "repomd.xml").is_file():
                return LocalRepository(folder=folder, key_file=key_file, changed=False)
            with work_folder(folder.parent, folder.name) as work:
                fresh = work / folder.name
                _fill(
                    *(fresh, digests),
                    epoch=epoch,
                    comps=comps,
                    compression=compression,
                    key=key,
                    runner=runner,
                )
                text = repo_file(
                    name,
                    baseurl=url,
                    gpgcheck=1 if key else 0,
                    repo_gpgcheck=1 if key else None,
                    gpgkey=f"{url}/{KEY_FILE}" if key else None,
                )
                (fresh / f"{name}.repo").write_text(text, encoding="utf-8")
                (fresh / STATE_FILE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
                replace_folder(fresh, folder, STATE_FILE)
    except OSError as error:
        raise explain(error, folder) from error
    return LocalRepository(folder=folder, key_file=key_file, changed=True)


def _fill(
    fresh: Path,
    rpms: Mapping[Path, str],
    *,
    epoch: int,
    comps: str,
    compression: Compression,
    key: SigningKey | None,
    runner: Runner,
) -> None:
    fresh.mkdir(mode=0o755)
    fresh.chmod(0o755)
    if key:
        copy_signed(rpms, fresh, key, runner)
    else:
        for path in rpms:
            shutil.copyfile(path, fresh / path.name)
    # The metadata records the times of the files.
    for path in rpms:
        os.utime(fresh / path.name, (epoch, epoch))
    groups = fresh / "comps.xml"
    groups.write_text(comps, encoding="utf-8")
    make_metadata(fresh, epoch=epoch, groups=groups, compression=compression, runner=runner)
    groups.unlink()
    if key:
        sign_detached(fresh / "repodata" / "repomd.xml", key)
        (fresh / KEY_FILE).write_text(export_key(key), encoding="utf-8")
    for path in fresh.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _read_state(folder: Path) -> object:
    try:
        return json_text.parse((folder / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
