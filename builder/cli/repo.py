# SPDX-License-Identifier: MIT
"""`openstack-builder repo`: dnf repositories of built RPMs, one a target."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.catalogue.load import load_catalogue
from builder.cli import Context
from builder.cli.signing import add_signing_arguments, choose_key
from builder.errors import InputError, Problem
from builder.rpm.check.package import BuiltPackage, read_package
from builder.rpm.check.run import target_of
from builder.rpm.repository.comps import render_comps
from builder.rpm.repository.make import LocalRepository, make_repository
from builder.rpm.repository.metadata import refuse_twins
from builder.rpm.repository.sign import SigningKey, check_key
from builder.targets import Target

SUMMARY = "Make a dnf repository of the RPMs in a folder, or in each folder below it; sign it with --sign."
EXAMPLE = """\
  openstack-builder repo out/rpm --sign packagers@example.org --url https://mirror.example/openstack
  openstack-builder repo out/rpm/epel-9 --local-key

A folder holds RPMs of one target; its repository is the folder repo/ in it, with copies of the RPMs. It is
replaced as a whole when the new one is complete."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A folder with RPMs of one target."""

    folder: Path
    target: Target
    packages: tuple[BuiltPackage, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the RPMs are, such as out/rpm")
    parser.add_argument(
        "--url", metavar="URL", help="where it will be served: URL/TARGET (default: file://…)"
    )
    add_signing_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the repositories as JSON")


def run(args: argparse.Namespace, context: Context) -> int:
    """Make them; print their folders."""
    found = find_folders(args.folder)
    key = choose_key(args, context.runner, [one.target for one in found])
    made = [make(one, key=key, url=args.url, context=context) for one in found]
    if args.json:
        context.report.json([show(one, repository) for one, repository in zip(found, made, strict=True)])
    else:
        for repository in made:
            context.report.result(str(repository.folder))
    return 0


def find_folders(folder: Path) -> tuple[Found, ...]:
    """Return the folders with binary RPMs: `folder` itself and those in it.

    Raises:
        InputError: there are none; one is damaged, or of another target than its neighbours.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: list[Found] = []
    problems: list[Problem] = []
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        rpms = sorted(path for path in place.glob("*.rpm") if not path.name.endswith(".src.rpm"))
        if not rpms or place.name == "repo":
            continue
        try:
            found.append(read_folder(place, rpms))
        except InputError as error:
            problems += error.problems or [Problem(message=error.message, hint=error.hint)]
    if problems:
        raise InputError(problems=problems)
    if not found:
        raise InputError(
            f"{folder}: no RPM in it", hint="build some first: openstack-builder rpm PACKAGE -t TARGET"
        )
    return tuple(found)


def read_folder(folder: Path, rpms: Sequence[Path]) -> Found:
    """Return what RPMs of a folder are.

    Raises:
        InputError: they are not of one target, or one is there twice.
    """
    packages = tuple(read_package(path) for path in rpms)
    refuse_twins(packages)
    targets = [target_of(package) for package in packages]
    for package, target in zip(packages, targets, strict=True):
        if target != targets[0]:
            first = f"{packages[0].path.name} is for {targets[0].name}"
            raise InputError(
                f"{folder}: {first}, {package.path.name} for {target.name}",
                hint="a repository is for one target",
            )
    return Found(folder=folder, target=targets[0], packages=packages)


def make(one: Found, *, key: SigningKey | None, url: str | None, context: Context) -> LocalRepository:
    """Make the repository of one folder."""
    if key is not None:
        check_key(key, [one.target])
    label = f"{one.target.name}, {len(one.packages)} packages"
    with context.report.step("repository", label) as step:
        repository = make_repository(
            one.folder / "repo",
            [package.path for package in one.packages],
            name=f"openstack-{one.target.name}",
            url=f"{url.rstrip('/')}/{one.target.name}" if url else None,
            epoch=max(package.built for package in one.packages),
            comps=render_comps(one.packages, load_catalogue()),
            compression=one.target.repodata,
            key=key,
            runner=context.runner,
        )
        step.detail = label + ("" if repository.changed else ", unchanged")
    return repository


def show(one: Found, repository: LocalRepository) -> dict[str, object]:
    """Return a repository as --json prints it."""
    return {
        "target": one.target.name,
        "folder": str(repository.folder),
        "packages": [package.path.name for package in one.packages],
        "key": str(repository.key_file) if repository.key_file else None,
        "changed": repository.changed,
    }
