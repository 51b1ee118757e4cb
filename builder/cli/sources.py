# SPDX-License-Identifier: MIT
"""The options that say where the packages of a kickstart come from, and the choices that they make."""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

from builder.errors import InputError, Problem
from builder.files import read_regular
from builder.kickstart.addresses import local_path
from builder.kickstart.choices import Choices, parse_repository, parse_url
from builder.kickstart.elements.find import PATH_VARIABLE, search_path
from builder.kickstart.elements.planning import ElementChoice
from builder.kickstart.elements.variables import take_variables
from builder.kickstart.images import ImageSource
from builder.kickstart.plan import ImagePlan
from builder.kickstart.sources import LONGEST_KEY


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --repo, --add-repo, --tree, --gpgkey and --no-gpgcheck."""
    where = parser.add_argument_group("where packages come from")
    where.add_argument(
        "--repo", action="append", default=[], metavar="NAME=URL",
        help="use this repository, and none of the kickstart's; may be repeated",
    )  # fmt: skip
    where.add_argument(
        "--add-repo", action="append", default=[], metavar="NAME=URL",
        help="use this repository as well as the kickstart's; may be repeated",
    )  # fmt: skip
    where.add_argument("--tree", metavar="URL", help="installation tree, for the kickstart's url line")
    where.add_argument(
        "--gpgkey", action="append", default=[], metavar="FILE",
        help="public key that packages are signed by; may be repeated",
    )  # fmt: skip
    where.add_argument(
        "--no-gpgcheck", action="store_true", help="accept unsigned packages; the manifest records it"
    )


def add_element_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --element and --element-env."""
    elements = parser.add_argument_group("elements of diskimage-builder")
    elements.add_argument(
        "--element", action="append", default=[], metavar="NAME[,NAME...]",
        help="run this element, too: from ELEMENTS_PATH, or diskimage-builder's own; may be repeated",
    )  # fmt: skip
    elements.add_argument(
        "--element-env", action="append", default=[], metavar="VARIABLE",
        help="let elements have this variable of the environment, besides DIB_*; may be repeated",
    )  # fmt: skip


def element_names(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the names of --element, each once."""
    return tuple(dict.fromkeys(name for text in args.element for name in re.split(r"[,\s]+", text) if name))


def _choose_elements(args: argparse.Namespace) -> ElementChoice:
    names = element_names(args)
    if not names:
        if args.element_env:
            raise InputError("--element-env: there is no --element that could have it")
        return ElementChoice()
    return ElementChoice(
        names=names,
        path=search_path(os.environ.get(PATH_VARIABLE)),
        variables=take_variables(os.environ, args.element_env),
    )


def _check_name(name: str) -> str:
    """Refuse what is not the name of a folder, and of files in it."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", name):
        raise InputError(
            f"{name!r} cannot be the name of an image",
            hint="give one with --name: letters, digits, `.`, `_`, `+` and `-`, at most 100",
        )
    return name


def _check_keys(paths: list[str]) -> None:
    """Refuse, before anything is fetched, what is not a file with a public key (RFC 9580, 4.2 and 6.2)."""
    problems = []
    for text in paths:
        path = local_path(text)
        if path is None:
            continue
        try:
            data = read_regular(path, LONGEST_KEY)
        except OSError as error:
            problems.append(Problem(message=f"--gpgkey {text}: {(error.strerror or str(error)).lower()}"))
            continue
        # Text in armour, or packets: each begins with a byte whose highest bit is set.
        if b"-----BEGIN PGP PUBLIC KEY BLOCK-----" not in data and not (data and data[0] & 0x80):
            hint = "export it with gpg --armor --export"
            problems.append(Problem(message=f"--gpgkey {text}: holds no public key", hint=hint))
    if problems:
        raise InputError(problems=problems)


def missing_folders(plan: ImagePlan) -> list[Problem]:
    """Return what is wrong with repositories that should be on this host: those that are not."""
    return [
        Problem(
            message=f"repository {repository.name}: {url}: there is no such place on this host",
            where=str(repository.place) if repository.place else None,
            hint="mount or copy it there, or give --repo NAME=URL",
        )
        for repository in plan.repositories
        for url in filter(None, (*repository.baseurl, repository.mirrorlist, repository.metalink))
        # Variables of the user's own stand for a part of the path.
        if (path := local_path(plan.filled_in(url))) and "$" not in str(path) and not path.exists()
    ]


def choose(args: argparse.Namespace, image: ImageSource, **more: Any) -> Choices:
    """Return what the user chose for `image`: the options above, --name, --ksversion, and `more`."""
    repositories = tuple(parse_repository(text) for text in args.repo)
    _check_keys(args.gpgkey)
    return Choices(
        # `check` makes no files, so it takes a kickstart of any name.
        name=_check_name(args.name or image.name) if "name" in args else image.name,
        repositories=repositories or (() if args.tree else image.repositories),
        extra_repositories=tuple(parse_repository(text) for text in args.add_repo),
        tree=parse_url("--tree", args.tree) if args.tree else None,
        gpg_keys=tuple(args.gpgkey) or image.gpg_keys,
        gpgcheck=not args.no_gpgcheck,
        ksversion=args.ksversion,
        default_user=image.default_user,
        # diskimage-builder's chroot has the host's.
        network=getattr(args, "engine", None) == "dib" or getattr(args, "network", True),
        # diskimage-builder judges and runs its elements itself.
        elements=ElementChoice()
        if not hasattr(args, "element") or getattr(args, "engine", None) == "dib"
        else _choose_elements(args),
        **more,
    )
