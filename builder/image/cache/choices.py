# SPDX-License-Identifier: MIT
"""What was chosen before: the same wishes, repositories and solver give the same packages.

The state of each repository (`builder.image.packages.repomd`), read at each build, says what it holds. What
was chosen at one address is no answer for another: a server may show us somebody else's index, and the
solver its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from builder import entries, json_text
from builder.files import cache_folder, digest_of
from builder.image.build import Build
from builder.image.cache.host import solver_state
from builder.image.fingerprint import digest_code
from builder.image.isolation.wire import WireError, pack, unpack
from builder.image.packages import repomd
from builder.image.packages.choice import ChosenPackage

# So many are kept, of some 50 kB.
MOST = 50
# What decides where a repository is found, not what it holds: where it was read counts.
_ADDRESS = ("baseurl", "mirrorlist", "metalink", "proxy", "verify_tls")


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """The packages, the bytes that they take when installed, and what choosing them said."""

    packages: tuple[ChosenPackage, ...]
    installed_size: int
    warnings: tuple[str, ...]


def key_of(build: Build, states: tuple[repomd.RepositoryState, ...]) -> str:
    """Return the digest of all that decides which packages are chosen."""
    repositories = [
        {name: value for name, value in one.items() if name not in _ADDRESS}
        for one in build.request["repositories"]
    ]
    return digest_of(
        [
            digest_code(),
            solver_state(build.options.solver),
            build.request | {"repositories": repositories},
            [(state.name, state.url, state.sha256) for state in states],
        ]
    )


def find(key: str) -> Remembered | None:
    """Return what was chosen for `key`; None where nothing is known of it."""
    content = entries.load(cache_folder("choices"), key)
    if content is None:
        return None
    try:
        return unpack(json_text.parse(content), Remembered)
    except (ValueError, WireError):
        return None


def keep(build: Build, key: str) -> None:
    """Remember what was chosen."""
    facts = build.facts
    chosen = Remembered(
        packages=facts.packages, installed_size=facts.installed_size, warnings=tuple(facts.warnings)
    )
    entries.store(json.dumps(pack(chosen)).encode(), cache_folder("choices"), key, files=MOST)
