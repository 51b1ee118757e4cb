# SPDX-License-Identifier: MIT
"""kickstarts/images.yaml: the images of this tree by name, and what any kickstart is built for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from builder.errors import InputError, Problem
from builder.kickstart.plan import Repository
from builder.places import KICKSTARTS
from builder.schema import FROM_KEY, Reader, nearest, show_path
from builder.targets import Target, TargetFamily, find_target, load_targets

IMAGES_FILE = KICKSTARTS / "images.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryEntry:
    """A repository that takes precedence over the kickstart's; one of three kinds of URL."""

    name: str = field(metadata=FROM_KEY)
    baseurl: str | None = None
    mirrorlist: str | None = None
    metalink: str | None = None
    gpgkeys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if sum(url is not None for url in (self.baseurl, self.mirrorlist, self.metalink)) != 1:
            raise ValueError("needs exactly one of baseurl, mirrorlist, metalink")

    def as_repository(self) -> Repository:
        """Return it as the plan has it."""
        return Repository(
            name=self.name,
            baseurl=(self.baseurl,) if self.baseurl else (),
            mirrorlist=self.mirrorlist,
            metalink=self.metalink,
            gpg_keys=self.gpgkeys,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageEntry:
    """One image of images.yaml.

    `kickstart` is relative to the file. `repos` replace the kickstart's own sources (as --repo, which
    goes before them), `gpgkeys` (files or URLs) are for repositories without keys of their own, where
    the target's do not fit. `default_user` is whom cloud-init makes: Glance's os_admin_user. `disk_size`
    (MiB) is the disk's where --size is not given.
    """

    name: str = field(metadata=FROM_KEY)
    where: str = ""
    summary: str
    kickstart: str
    target: str
    default_user: str | None = None
    disk_size: int | None = None
    repos: Mapping[str, RepositoryEntry] = field(default_factory=dict)
    gpgkeys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSource:
    """What is to be built: a kickstart for a target, from images.yaml or given by its path.

    `target` is None where a path is given and nothing says what it is for.
    """

    name: str
    path: Path
    target: Target | None = None
    summary: str = ""
    default_user: str | None = None
    disk_size: int | None = None
    repositories: tuple[Repository, ...] = ()
    gpg_keys: tuple[str, ...] = ()

    def require_target(self) -> Target:
        """Return the target; InputError where it is not known."""
        if self.target is None:
            raise InputError(
                f"{self.path}: its target is not known",
                hint="give --target, or add it to kickstarts/images.yaml",
            )
        return self.target


@cache
def load_images(path: Path = IMAGES_FILE) -> tuple[ImageSource, ...]:
    """Return the images of images.yaml, in the order of the file.

    Raises:
        InputError: the file does not fit, or names a kickstart or a target that does not exist.
    """
    reader = Reader()
    entries = reader.read(path, dict[str, ImageEntry]) or {}
    targets = {target.name: target for target in load_targets()}
    images = []
    for entry in entries.values():
        kickstart = path.parent / entry.kickstart
        if not kickstart.is_file():
            reader.problems.append(
                Problem(where=entry.where, message=f"{entry.name}: no {entry.kickstart} in the same folder")
            )
        if entry.target not in targets:
            near = nearest(entry.target, targets)
            reader.problems.append(
                Problem(
                    where=entry.where,
                    message=f"{entry.name}: unknown target: {entry.target}",
                    hint=f"did you mean {near}?" if near else None,
                )
            )
        images.append(_image(entry, kickstart, targets.get(entry.target)))
    reader.check()
    return tuple(images)


def _image(entry: ImageEntry, kickstart: Path, target: Target | None) -> ImageSource:
    return ImageSource(
        name=entry.name,
        path=kickstart.resolve(),
        target=target,
        summary=entry.summary,
        default_user=entry.default_user,
        disk_size=entry.disk_size,
        repositories=tuple(source.as_repository() for source in entry.repos.values()),
        gpg_keys=entry.gpgkeys,
    )


def find_image(text: str, *, target: str | None = None) -> ImageSource:
    """Return the image that `text` names: a name of images.yaml, or the path of a kickstart.

    A path that images.yaml knows brings its entry along. `target` goes before the entry's own.

    Raises:
        InputError: no such image or file; no such target.
    """
    found = _find(text)
    if target is None:
        return found
    chosen = find_target(target)
    if chosen is found.target:
        return found
    return dataclasses.replace(found, target=chosen, repositories=(), gpg_keys=())


def _find(text: str) -> ImageSource:
    images = load_images()
    for image in images:
        if image.name == text:
            return dataclasses.replace(image, path=Path(show_path(image.path)))
    path = Path(text)
    if "/" not in text and not text.endswith((".ks", ".cfg")) and not path.exists():
        near = nearest(text, [image.name for image in images])
        listed = f"give the path of a kickstart, or one of {', '.join(image.name for image in images)}"
        raise InputError(
            f"unknown image: {text}", hint=f"did you mean {near}? ({listed})" if near else listed
        )
    if path.is_dir():
        raise InputError(f"{text}: is a folder", hint="give the path of a kickstart")
    for image in images:
        if image.path == path.resolve():
            return dataclasses.replace(image, path=path)
    return ImageSource(name=path.stem, path=path)


def guess_target(ksversion: str) -> Target:
    """Return the target whose syntax is `ksversion`, or the newest of its family: good enough for a check."""
    targets = load_targets()
    for target in targets:
        if target.ksversion == ksversion:
            return target
    family = TargetFamily.EL if ksversion.startswith("RHEL") else TargetFamily.FEDORA
    return [target for target in targets if target.family is family][-1]
