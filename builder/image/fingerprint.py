# SPDX-License-Identifier: MIT
"""The digest of all that decides the bytes of an image: an equal one means that there is nothing to build."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import builder
from builder import __version__
from builder.files import digest_of, sha256_file
from builder.image.build import BuildOptions
from builder.image.packages import repomd
from builder.kickstart.addresses import local_path
from builder.kickstart.place import is_place
from builder.kickstart.plan import Element, Elements, ImagePlan, Repository
from builder.targets import Target

# The code that decides what comes out: the modules of these folders, and those that stand above all folders.
BUILDER = Path(builder.__file__).parent
CODE = (BUILDER / "image", BUILDER / "kickstart", BUILDER / "formats")


def take_fingerprint(
    plan: ImagePlan, target: Target, options: BuildOptions, states: tuple[repomd.RepositoryState, ...]
) -> str:
    """Return the digest of all that decides the bytes of an image."""
    # Where a line or a file stands decides nothing; passwords decide by a digest that is slow to guess from.
    repositories = tuple(_by_content(plan, repository) for repository in plan.repositories)
    plan = replace(
        plan, kickstarts=(), kickstart_digests=(), warnings=(), notes=(), repositories=repositories
    )
    wanted = _without_places(asdict(replace(plan, elements=Elements())))
    elements = [(element.name, element_digests(element)) for element in plan.elements.elements]
    environment = [(one.name, slow_digest(one.value), one.content) for one in plan.elements.variables]
    sources = [(state.name, state.sha256) for state in states]
    return digest_of(
        [
            *(digest_code(), wanted, facts_of(target), sources, elements, environment),
            *(
                options.network,
                options.compat,
                options.bootstrap,
                options.keep_files,
                options.ks_arguments,
                options.source_date_epoch,
            ),
        ]
    )


def facts_of(target: Target) -> list[object]:
    """Return what of a target decides bytes: how its rpm writes, and what its kernel reads."""
    return [
        target.family,
        target.dist,
        target.releasever,
        target.packages,
        asdict(target.rpm),
        dict(target.xfs),
    ]


def take_seed(
    plan: ImagePlan, target: Target, options: BuildOptions, states: tuple[repomd.RepositoryState, ...]
) -> str:
    """Return what the identifiers of the disk are made from: all that decides the bytes but the scripts.

    An image with another %post stays that image: its UUIDs, and the checksums that begin with them, stay too.
    """
    return take_fingerprint(replace(plan, scripts=(), elements=Elements()), target, options, states)


@cache
def digest_code() -> str:
    """Return the digest of our own code, as far as it decides what comes out."""
    modules = [*BUILDER.glob("*.py")]
    # Programs of other languages, too: those that stand in for the image's own.
    modules += [path for folder in CODE for path in folder.rglob("*") if path.suffix in (".py", ".sh")]
    return digest_of([__version__, {str(path.relative_to(BUILDER)): sha256_file(path) for path in modules}])


def element_digests(element: Element) -> list[tuple[str, int, str | None, str]]:
    """Return what decides an element: path, mode, link and digest of each of its files."""
    return [
        (file.path, file.mode, file.link, hashlib.sha256(file.content).hexdigest()) for file in element.files
    ]


def _by_content(plan: ImagePlan, repository: Repository) -> Repository:
    """Return a repository with its local keys by their digests, and without its address.

    Its state stands for its content; its address only matters where the image records it.
    """
    local = [local_path(plan.filled_in(source)) for source in repository.gpg_keys]
    known = tuple(
        sha256_file(path) if path is not None and path.is_file() else source
        for path, source in zip(local, repository.gpg_keys, strict=True)
    )
    if repository.install:
        return replace(repository, gpg_keys=known)
    return replace(repository, gpg_keys=known, baseurl=(), mirrorlist=None, metalink=None)


def slow_digest(secret: str) -> str:
    """Return a digest from which a password is slow to guess."""
    return hashlib.pbkdf2_hmac("sha256", secret.encode(), b"plan", 200_000).hex()


def _without_places(value: object) -> object:
    """Return a plan's data without the places of its lines, its plain passwords as slow digests."""
    if isinstance(value, dict):
        kept = {
            name: _without_places(inner)
            for name, inner in value.items()
            if name != "unresolved_includes" and not is_place(name)
        }
        if kept.get("plain"):
            kept["plain"] = slow_digest(str(kept["plain"]))
        return kept
    if isinstance(value, list | tuple):
        return [_without_places(inner) for inner in value]
    return value
