# SPDX-License-Identifier: MIT
"""What tasks made, fetched into a folder: resumed where an earlier fetch broke, compared with the hub.

The files of a scratch build stay with its tasks, and come by the hub's downloadTaskOutput. Files of a real
build are moved to the hub's file server (topurl) when it is complete; there the hub knows size and
payload digest of each RPM.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.digesting import new_digest
from builder.errors import InputError, RemoteError
from builder.files import make_folder, replace_file
from builder.koji.hub import Hub
from builder.koji.payload import payload_digest, signature_digest
from builder.koji.tasks import Task, TaskState
from builder.report import Report

CHUNK = 4 << 20
# Bytes of a file of which the hub tells no size, a log.
LARGEST = 4 << 30
PART = ".part"


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One file to fetch.

    `name` is its path below the folder; `size` in bytes, None where the hub does not say; `sigmd5` what the
    hub says of an RPM's header and payload, `sighash` of the signature of a copy by a key, `checksum` of
    another file (algorithm and hex digest). Its bytes come from `task`, or from `url`.
    """

    name: str
    size: int | None
    sigmd5: str | None = None
    sighash: str | None = None
    checksum: tuple[str, str] | None = None
    task: int | None = None
    remote_name: str = ""
    url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What is in the folder now: paths of RPMs, and of logs and the rest; `kept` were there already."""

    folder: Path
    rpms: tuple[Path, ...]
    others: tuple[Path, ...]
    kept: int


def list_outputs(hub: Hub, root: Task, *, key: str | None) -> list[Output]:
    """Return the files of a finished build, whether it was a scratch build or a real one.

    Args:
        key: the id of a signing key: the copies of RPMs that are signed by it.

    Raises:
        InputError: `root` is not over, or `key` is asked for where there are no signed copies.
        RemoteError: the hub does not answer, or the build has no RPM signed by `key`.
    """
    if not root.state.is_over:
        raise InputError(
            f"task {root.id} is not over: it is {root.state.name.lower()}",
            hint=f"openstack-builder koji watch {root.id}",
        )
    builds = hub.ask("listBuilds", taskID=root.id)
    if builds and root.state is TaskState.CLOSED:
        return [output for build in builds for output in build_outputs(hub, build["build_id"], key=key)]
    if key is not None:
        raise InputError(
            f"--key {key}: task {root.id} is a scratch build, and those are not signed",
            hint="leave out --key",
        )
    found = [output for task in root.walk() for output in _of_task(hub, task)]
    # Each architecture's task has the source RPM, and what is noarch: the first one will do.
    return list({output.name: output for output in reversed(found)}.values())[::-1]


def _of_task(hub: Hub, task: Task) -> list[Output]:
    rows = hub.ask("listTaskOutput", task.id, stat=True)
    found = []
    for name, stat in sorted(rows.items()):
        _check_name(name)
        # Logs of several architectures have the same names.
        local = name if name.endswith(".rpm") else f"{task.id}-{task.arch or 'noarch'}/{name}"
        size = int(stat["st_size"]) if "st_size" in stat else None
        found.append(Output(name=local, size=size, task=task.id, remote_name=name))
    return found


def build_outputs(hub: Hub, build: int, *, key: str | None) -> list[Output]:
    """Return the RPMs, images and logs of a real build, as the hub's file server has them.

    Args:
        build: the build's number.
        key: as for `list_outputs`.

    Raises:
        InputError: the profile names no file server.
        RemoteError: the hub does not answer, or the build has no RPM signed by `key`.
    """
    from koji import CHECKSUM_TYPES, PathInfo

    if not hub.profile.topurl:
        raise InputError(
            f"the profile {hub.profile.name} has no topurl: the address of the hub's files",
            hint="add topurl to the profile in ~/.koji/config",
        )
    paths = PathInfo(topdir=hub.profile.topurl.rstrip("/"))
    info = hub.ask("getBuild", build)
    base = paths.build(info)
    rpms = hub.ask("listBuildRPMs", build)
    signatures = {} if key is None else _find_signatures(hub, info, rpms, key)
    found = []
    for rpm in rpms:
        path = paths.signed(rpm, key.lower()) if key else paths.rpm(rpm)
        name = Path(path).name
        _check_name(name)
        # The signed copy is larger than what the hub counts; its payload is the same.
        size = None if key else int(rpm["size"])
        found.append(
            Output(
                name=name,
                size=size,
                sigmd5=rpm["payloadhash"],
                sighash=signatures.get(rpm["id"]),
                url=f"{base}/{path}",
            )
        )
    for archive in hub.ask("listArchives", buildID=build, type="image"):
        name = archive["filename"]
        _check_name(name)
        found.append(
            Output(
                name=name,
                size=int(archive["size"]),
                checksum=(CHECKSUM_TYPES[archive["checksum_type"]], archive["checksum"]),
                url=f"{paths.imagebuild(info)}/{name}",
            )
        )
    for log in hub.ask("getBuildLogs", build):
        _check_name(log["name"])
        # Logs of no architecture are in the folder of logs itself, an image's in image, or image/ARCH.
        of = "noarch" if log["dir"] == "." else log["dir"]
        for part in of.split("/"):
            _check_name(part)
        found.append(
            Output(
                name=f"{info['nvr']}-{of.replace('/', '-')}/{log['name']}",
                size=None,
                url=f"{hub.profile.topurl.rstrip('/')}/{log['path']}",
            )
        )
    return found


def _find_signatures(
    hub: Hub, build: dict[str, Any], rpms: Sequence[dict[str, Any]], key: str
) -> dict[int, str]:
    """Return what the hub says of the signature of each RPM by `key`, by the RPM's number.

    Raises:
        RemoteError: an RPM is not signed by it; with the RPM's name and the keys that there are.
    """
    found = {}
    for rpm in rpms:
        rows = hub.ask("queryRPMSigs", rpm_id=rpm["id"])
        hashes = {row["sigkey"]: row["sighash"] for row in rows if row["sigkey"]}
        if key.lower() not in hashes:
            raise RemoteError(
                f"{build['nvr']}: {rpm['name']}.{rpm['arch']} is not signed by {key}",
                hint=f"signed by: {', '.join(sorted(hashes)) or 'no key'}",
            )
        found[rpm["id"]] = hashes[key.lower()]
    return found


def _check_name(name: str) -> None:
    """Refuse a name that would leave the folder.

    Raises:
        RemoteError: the hub names a file outside.
    """
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise RemoteError(f"the hub names a file that is refused: {name!r}")


def fetch(hub: Hub, outputs: Sequence[Output], folder: Path, report: Report) -> Fetched:
    """Fetch the files into `folder`; what is there with the right size and digest stays.

    A file appears under its name only when it is whole and has been compared; what an interrupted fetch
    left is NAME.part, and the next one goes on from there.

    Raises:
        RemoteError: the hub does not answer, or a file's bytes are not those that the hub describes.
    """
    # Build, architecture and file are the hub's words, each of them.
    for output in outputs:
        for part in output.name.split("/"):
            _check_name(part)
    kept = 0
    for number, output in enumerate(outputs, 1):
        path = folder / output.name
        if path.is_file() and not path.is_symlink() and _differs(path, output) is None:
            kept += 1
            continue
        report.transient(f"fetch  {number} of {len(outputs)}  {output.name}")
        _fetch_one(hub, output, path)
    paths = [folder / output.name for output in outputs]
    return Fetched(
        folder=folder,
        rpms=tuple(path for path in paths if path.suffix == ".rpm"),
        others=tuple(path for path in paths if path.suffix != ".rpm"),
        kept=kept,
    )


def _fetch_one(hub: Hub, output: Output, path: Path) -> None:
    make_folder(path.parent)
    part = path.with_name(path.name + PART)
    if part.is_symlink() or (part.exists() and not part.is_file()):
        raise InputError(f"{part} is not a regular file", hint="remove it")
    if output.size is not None and part.exists() and part.stat().st_size > output.size:
        part.unlink()
    with part.open("ab") as file:
        if output.task is not None:
            _read_task(hub, output, file)
        else:
            assert output.url is not None
            with hub.open(output.url, file.tell()) as remote:
                if not remote.resumed:
                    file.seek(0)
                    file.truncate()
                while block := remote.read(CHUNK):
                    file.write(block)
                    _check_size(output, file.tell())
    if reason := _differs(part, output):
        part.unlink()
        raise RemoteError(
            f"{output.name}: {reason}", hint="fetch again; if the error persists, the hub's copy is damaged"
        )
    replace_file(part, path)


def _read_task(hub: Hub, output: Output, file: Any) -> None:
    """Append what is missing of a task's file, chunk by chunk."""
    while True:
        data = base64.b64decode(
            hub.ask("downloadTaskOutput", output.task, output.remote_name, offset=file.tell(), size=CHUNK)
        )
        if not data:
            return
        file.write(data)
        _check_size(output, file.tell())


def _check_size(output: Output, size: int) -> None:
    """Refuse a file that has no end.

    Raises:
        RemoteError: more comes than the hub says, or than any log has.
    """
    most = LARGEST if output.size is None else output.size
    if size > most:
        raise RemoteError(f"{output.name}: more than {most} bytes come", hint="look at it on the hub")


def _differs(path: Path, output: Output) -> str | None:
    """Say how a file differs from what the hub describes; None where it does not."""
    size = path.stat().st_size
    if output.size is not None and size != output.size:
        return f"{size} bytes came, and the hub has {output.size}"
    if output.checksum is not None:
        algorithm, wanted = output.checksum
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: new_digest(algorithm)).hexdigest()
        return None if found == wanted else f"its {algorithm} is {found}, and the hub's is {wanted}"
    if not output.name.endswith(".rpm"):
        return None
    try:
        found = payload_digest(path)
        signed = None if output.sighash is None else signature_digest(path)
    except InputError as error:
        return error.message
    if output.sigmd5 is not None and found != output.sigmd5:
        return f"its payload digest is {found}, and the hub's is {output.sigmd5}"
    if signed != output.sighash:
        return f"the md5 of its signature header is {signed}, and the hub's is {output.sighash}"
    return None
