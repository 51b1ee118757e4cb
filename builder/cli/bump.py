# SPDX-License-Identifier: MIT
"""`openstack-builder bump`: a new version, release and changelog entry of a package."""

from __future__ import annotations

import argparse
import datetime
import re
from pathlib import Path

from builder.catalogue.load import load_catalogue
from builder.cli import Context
from builder.cli.specs import read_tools, stale_specs
from builder.errors import InputError
from builder.files import write_together
from builder.places import SOURCE, require_checkout
from builder.render.tree import render_tree
from builder.rpm.spec.bump import Bump, bump_catalogue, bump_spec, today
from builder.rpm.spec.mentions import find_mentions
from builder.rpm.spec.packages import UTILS, Package, find_packages
from builder.schema import show_path
from builder.targets import load_targets

SUMMARY = "Write a new version or release of a package, and its changelog entry, into spec or catalogue."
EXAMPLE = """\
  openstack-builder bump openstack-keystone --openstack current -m 'Restart after a changed policy'
  openstack-builder bump openstack-keystone --openstack current --version 30.0.1 --sha256 8f3f… -m 'New'
  openstack-builder bump openstack-utils -m 'Man pages of openstack-db'

For a generated spec they are written into the catalogue, specs/services, and the spec is rendered again.
Nothing else is touched."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("package", help="name of the package")
    parser.add_argument(
        "--openstack", metavar="RELEASE", help="release of OpenStack, if the package is in several"
    )
    parser.add_argument("--version", metavar="V", help="new version (default: as it is)")
    parser.add_argument(
        "--upstream", metavar="V", help="upstream's name of the version (default: 31.0.0.0rc1 for 31.0.0~rc1)"
    )
    parser.add_argument("--release", type=int, metavar="N", help="new release (default: the next, or 1)")
    parser.add_argument("--sha256", metavar="HASH", help="digest of the new version's source")
    parser.add_argument(
        "--allow-downgrade",
        action="store_true",
        help="allow a lower version",
    )
    parser.add_argument("-m", "--message", action="append", required=True, metavar="TEXT",
                        help="line of the changelog entry; may be repeated")  # fmt: skip
    parser.add_argument("--date", type=_date, metavar="YYYY-MM-DD", help="day of the entry (default: today)")
    parser.add_argument(
        "--packager", metavar="WHO", help='"Name <address>" (default: as in the newest entry)'
    )
    parser.add_argument("--source", type=Path, default=SOURCE, metavar="DIR",
                        help="checkout to write in (default: see FILES in the man page)")  # fmt: skip


def run(args: argparse.Namespace, context: Context) -> int:
    """Write; print the files that changed."""
    bump = Bump(
        version=args.version,
        release=args.release,
        messages=tuple(args.message),
        date=args.date or today(),
        packager=args.packager,
        sha256=args.sha256,
        upstream=args.upstream,
        downgrade=args.allow_downgrade,
    )
    require_checkout(args.source)
    package = _choose(args.source, args.package, args.openstack)
    path = _project_file(args.source, package) or package.spec
    before = path.read_text(encoding="utf-8")
    try:
        if package.release is None:
            bumped = bump_spec(before, bump)
        else:
            bumped = bump_catalogue(before, package.release, bump)
    except InputError as error:
        raise InputError(f"{show_path(path)}: {error.message}", hint=error.hint) from error
    following: dict[Path, str] = {}
    if package.name == UTILS:
        following = _own_version(args.source, bumped.version)
    if package.release is not None:
        specs = args.source / "specs"
        catalogue = load_catalogue(specs, {path: bumped.text})
        following = stale_specs(render_tree(catalogue, load_targets(), read_tools(specs)), catalogue, specs)
    # The version is read from `path`, the others follow from it.
    write_together({**following, path: bumped.text})
    for one in (path, *following):
        context.report.result(show_path(one))
    context.report.note(f"{package.name} is now {bumped.evr}")
    if bumped.version != bumped.before and package.release is not None:
        name = package.name.removeprefix("openstack-")
        for mention in find_mentions(args.source, name, bumped.before):
            context.report.warn(f"{mention}: still says {bumped.before}")
    return 0


def _choose(root: Path, name: str, openstack: str | None) -> Package:
    """Return the one package that is meant.

    Raises:
        InputError: there is none, or it is in several releases and --openstack does not say which.
    """
    packages = find_packages(root, [name])
    chosen = [package for package in packages if openstack in (None, package.release)]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(str(package.release or package.name) for package in packages)
    if chosen:
        raise InputError(
            f"{name} is in several releases of OpenStack", hint=f"choose with --openstack:  {names}"
        )
    raise InputError(f"there is no {name} of release {openstack}", hint=f"there are: {names}")


def _project_file(root: Path, package: Package) -> Path | None:
    """Return the catalogue's file of a generated package; None for a hand-written one."""
    if package.release is None:
        return None
    for project in load_catalogue(root / "specs").projects.values():
        release = project.releases.get(package.release)
        if release is not None and release.rpm is not None and release.rpm.name == package.name:
            return root / "specs" / "services" / f"{project.project}.yaml"
    raise InputError(f"the catalogue has no {package.name} of release {package.release}")


def _own_version(root: Path, version: str) -> dict[Path, str]:
    """Return the file with the version of this repository, which is openstack-utils' too, if it changes."""
    path = root / "builder" / "__init__.py"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = re.sub(r'^__version__ = ".*"$', f'__version__ = "{version}"', before, flags=re.MULTILINE)
    return {} if after == before else {path: after}


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" is not a date of the form 2026-11-25') from error
