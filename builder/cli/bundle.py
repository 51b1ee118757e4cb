# SPDX-License-Identifier: MIT
"""`openstack-builder bundle`: what is in the Python environment of the services, and what is outdated."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from builder.catalogue.load import load_catalogue
from builder.catalogue.model import Catalogue
from builder.cli import Context
from builder.errors import InputError
from builder.files import write_together
from builder.places import require_checkout
from builder.rpm.bundle.lock import Lock, read_lock, render_block, render_spdx, replace_block
from builder.rpm.bundle.parts import FOLDER, SPDX, SPEC, Part, read_table
from builder.rpm.bundle.resolve import Question, choose_files, choose_versions
from builder.rpm.spec.packages import ENVIRONMENT
from builder.schema import show_path
from builder.targets import load_targets

SUMMARY = f"List what is in {ENVIRONMENT}, the Python environment of the services."
EXAMPLE = """\
  openstack-builder bundle
  openstack-builder bundle --outdated
  openstack-builder bundle --lock --upgrade"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--outdated", action="store_true", help="list what the package index has in a newer version that fits"
    )
    what.add_argument(
        "--lock", action="store_true",
        help="resolve again what the services of the catalogue need, and write it into the spec: `make lock`",
    )  # fmt: skip
    parser.add_argument(
        "--upgrade", action="store_true", help="with --lock: take the newest versions that fit"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace, context: Context) -> int:
    """Print the table, or write the lock."""
    if args.upgrade and not args.lock:
        raise InputError("--upgrade is for --lock", hint="add --lock")
    lock = read_lock(SPEC.read_text(encoding="utf-8"), SPDX.read_text(encoding="utf-8"))
    if args.lock:
        return _lock({} if args.upgrade else _versions(lock), context)
    if args.outdated:
        return _outdated(lock, args, context)
    rows = [
        {
            "name": part.name,
            "version": part.version,
            "license": part.license,
            "file": part.file,
            "pythons": pythons,
        }
        for part, pythons in _by_part(lock).items()
    ]
    if args.json:
        context.report.json(rows)
    else:
        context.report.table(
            ("distribution", "version", "license", "pythons"),
            [(row["name"], row["version"], row["license"], ", ".join(row["pythons"])) for row in rows],
        )
    return 0


def _by_part(lock: Lock) -> dict[Part, list[str]]:
    """Return which Pythons each part is for, sorted by name."""
    found: dict[Part, list[str]] = {}
    for python, parts in lock.items():
        for part in parts:
            found.setdefault(part, []).append(python)
    return dict(sorted(found.items(), key=lambda row: (row[0].name, row[0].file)))


def find_projects(catalogue: Catalogue) -> dict[str, str]:
    """Return the projects whose code goes into the environment: name in the Python index -> version there."""
    packaged = [
        release.rpm for project in catalogue.projects.values() for release in project.releases.values()
        if release.rpm and release.rpm.bundled and release.rpm.source
    ]  # fmt: skip
    return {rpm.source.project: rpm.upstream or rpm.version for rpm in packaged if rpm.source}


def _question() -> Question:
    oldest: dict[str, str] = {}
    for target in load_targets():
        if target.environment is not None:
            python, glibc = target.environment.version, target.environment.glibc
            oldest[python] = min(oldest.get(python, glibc), glibc, key=_numbers)
    more = (FOLDER / "requirements.in").read_text(encoding="utf-8").splitlines()
    return Question(
        pythons=dict(sorted(oldest.items(), key=lambda row: _numbers(row[0]))),
        projects=find_projects(load_catalogue()),
        more=[line for line in more if line and not line.startswith("#")],
        table=read_table(),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _versions(lock: Lock) -> dict[str, dict[str, str]]:
    return {python: {part.name: part.version for part in parts} for python, parts in lock.items()}


def _lock(preferred: Mapping[str, Mapping[str, str]], context: Context) -> int:
    require_checkout(SPEC.parent.parent)
    question = _question()
    versions = choose_versions(question, preferred, context.runner)
    lock = choose_files(question, versions, context.runner)
    spec = replace_block(
        SPEC.read_text(encoding="utf-8"),
        render_block(question.projects, lock, question.table.system.values(), load_targets()),
    )
    write_together({SPEC: spec, SPDX: render_spdx(lock)})
    for python, parts in lock.items():
        native = sum(not part.file.endswith("-any.whl") for part in parts)
        context.report.note(f"Python {python}: {len(parts)} distributions, {native} of them not pure wheels")
    for path in (SPEC, SPDX):
        context.report.result(show_path(path))
    return 0


def _outdated(lock: Lock, args: argparse.Namespace, context: Context) -> int:
    """List what `--lock --upgrade` would change."""
    newest, locked = choose_versions(_question(), {}, context.runner), _versions(lock)
    changes: dict[tuple[str, str, str], list[str]] = {}
    for python, versions in newest.items():
        now = locked.get(python, {})
        for name in sorted({*now, *versions}):
            pair = now.get(name, "-"), versions.get(name, "-")
            if pair[0] != pair[1]:
                changes.setdefault((name, *pair), []).append(python)
    if args.json:
        context.report.json(
            [
                {"name": name, "locked": old, "newest": new, "pythons": pythons}
                for (name, old, new), pythons in sorted(changes.items())
            ]
        )
    elif changes:
        context.report.table(
            ("distribution", "locked", "newest", "pythons"),
            [(*row, ", ".join(pythons)) for row, pythons in sorted(changes.items())],
        )
    else:
        context.report.note("everything is at the newest version that fits")
    return 0
