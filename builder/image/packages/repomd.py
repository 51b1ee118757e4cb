# SPDX-License-Identifier: MIT
"""The state of a repository, in one small file: repodata/repomd.xml, or its digest in a metalink.

Two builds from the same repomd.xml have the same packages to choose from. So this decides whether an
image is still what a new build would make.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from builder import http
from builder.errors import RemoteError, several
from builder.files import read_regular
from builder.kickstart.addresses import local_path
from builder.kickstart.plan import ImagePlan, Repository
from builder.masking import mask

LARGEST = 16 << 20
# Seconds since 1970, up to a time that is plausible: another would spoil every file's.
_TIME = rb"\d{1,10}"
_LATEST = 1 << 32


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryState:
    """What a repository holds: its digest, and the newest time in its metadata (seconds, UTC)."""

    name: str
    url: str
    sha256: str
    time: int


def read_states(plan: ImagePlan) -> tuple[RepositoryState, ...]:
    """Return the state of every repository of `plan`.

    Raises:
        RemoteError: one cannot be reached; all that cannot are named.
    """
    states, problems = [], []
    for repository in plan.repositories:
        try:
            states.append(_read(repository, plan))
        except RemoteError as error:
            problems.append(error.message)
    if problems:
        raise RemoteError(several(problems), hint="check the address, or name another with --repo NAME=URL")
    return tuple(states)


def _read(repository: Repository, plan: ImagePlan) -> RepositoryState:
    name = repository.name
    if repository.metalink:
        url = plan.filled_in(repository.metalink)
        data = _get(url, name)
        # The metalink of Fedora's mirrors carries the digest of the newest repomd.xml.
        digests = re.findall(rb'<hash type="sha256">([0-9a-f]{64})</hash>', data)
        if not digests:
            raise RemoteError(f"repository {name}: {mask(url)} is not a metalink")
        stamps = re.findall(rb"timestamp>(%s)<" % _TIME, data)
        return RepositoryState(name=name, url=url, sha256=digests[0].decode(), time=_newest(stamps))
    urls = repository.baseurl
    if repository.mirrorlist:
        listed = _get(plan.filled_in(repository.mirrorlist), name).decode(errors="replace").split()
        # Somebody else's list names no file of ours.
        urls = tuple(word for word in listed if word.startswith(("http://", "https://")))
        if not urls:
            raise RemoteError(f"repository {name}: {mask(repository.mirrorlist)} lists no mirror")
    failure: RemoteError | None = None
    for url in urls:
        try:
            data = _get(plan.filled_in(url).rstrip("/") + "/repodata/repomd.xml", name)
        except RemoteError as error:
            failure = failure or error
            continue
        # A revision may be any number.
        stamps = re.findall(rb"<(?:timestamp|revision)>(%s)\b" % _TIME, data)
        digest = hashlib.sha256(data).hexdigest()
        return RepositoryState(name=name, url=url, sha256=digest, time=_newest(stamps))
    raise failure or RemoteError(f"repository {name} has no address")


def _newest(stamps: list[bytes]) -> int:
    return max((time for time in map(int, stamps) if time < _LATEST), default=0)


def _get(url: str, name: str) -> bytes:
    folder = local_path(url)
    try:
        if folder is not None:
            return read_regular(folder, LARGEST)
        return http.get(url, limit=LARGEST)
    except http.HttpError as error:
        raise RemoteError(f"repository {name}: {error.message}") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RemoteError(f"repository {name}: {url}: {reason}") from error
