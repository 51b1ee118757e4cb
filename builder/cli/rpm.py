# SPDX-License-Identifier: MIT
"""`openstack-builder rpm`: binary RPMs, and a repository of them."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from builder.cli import Context
from builder.cli.repo import make, read_folder
from builder.cli.signing import add_signing_arguments, choose_key
from builder.errors import BuildError, InputError, joined
from builder.files import make_folder
from builder.places import SOURCE
from builder.report import format_table
from builder.rpm.build.manifest import as_data
from builder.rpm.build.mock import require_mock
from builder.rpm.build.plan import Backend, BuildPlan, RunSettings, plan_builds
from builder.rpm.build.rpmbuild import rpm_version
from builder.rpm.build.run import BuildResult, build_all, choose_work
from builder.rpm.repository.make import LocalRepository
from builder.rpm.repository.sign import SigningKey, check_key
from builder.rpm.spec.packages import Package, find_packages, pair
from builder.targets import Target, select

SUMMARY = "Build RPMs with rpmbuild and the macros of each target; unchanged input is not built again."
EXAMPLE = """\
  openstack-builder rpm openstack-utils -t 'epel-*' -t fedora-45
  openstack-builder rpm '*' -t '*'
  openstack-builder rpm openstack-keystone openstack-python-bundled -t fixture-12
  openstack-builder rpm openstack-utils -t fixture-12 --repo --local-key"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_build_arguments(parser)
    parser.add_argument("--backend", choices=[backend.value for backend in Backend], default="local",
                        help="this host's rpmbuild, or mock (default: local)")  # fmt: skip
    parser.add_argument(
        "--repo", action="store_true", help="make a repository too, in the folder repo/ next to the RPMs"
    )
    add_signing_arguments(parser)


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that srpm and rpm share."""
    parser.add_argument(
        "package", nargs="+", help="name or glob of packages: specs/PACKAGE.spec, specs/RELEASE/PACKAGE.spec"
    )
    parser.add_argument(
        "-t", "--target", action="append", required=True, metavar="TARGET",
        help="name or glob of targets, see `openstack-builder targets`; may be repeated",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR",
                        help="build into DIR/rpm/TARGET (default: out)")  # fmt: skip
    parser.add_argument("--source", type=Path, default=SOURCE, metavar="DIR",
                        help="source tree to build from (default: see FILES in the man page)")  # fmt: skip
    parser.add_argument("--with", dest="conditions", action="append", default=[], metavar="NAME",
                        help="switch a condition of the specs on; may be repeated")  # fmt: skip
    parser.add_argument("--without", action="append", default=[], metavar="NAME",
                        help="switch a condition of the specs off; may be repeated")  # fmt: skip
    parser.add_argument("-j", "--jobs", type=int, metavar="N", default=len(os.sched_getaffinity(0)),
                        help="builds at the same time (default: one per processor)")  # fmt: skip
    parser.add_argument(
        "--work", type=Path, metavar="DIR",
        help="build in DIR (default: in memory where there is space, else in the cache)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the manifests")


def run(args: argparse.Namespace, context: Context) -> int:
    """Build them; print their paths."""
    if (args.sign or args.local_key) and not args.repo:
        raise InputError("--sign and --local-key sign a repository", hint="add --repo")
    key = choose_key(args, context.runner)
    run_builds(args, context, binary=True, backend=Backend(args.backend), key=key)
    return 0


def run_builds(
    args: argparse.Namespace,
    context: Context,
    *,
    binary: bool,
    backend: Backend = Backend.LOCAL,
    key: SigningKey | None = None,
) -> None:
    """Build every pair of package and target, one line of progress each, and print what came out.

    One that fails keeps none of the others from being built.
    """
    plans = _plan(args, context, backend)
    if key is not None:
        check_key(key, [plan.target for plan in plans])
    outcomes = _build(plans, args, context, binary=binary)
    results = [outcome for outcome in outcomes if isinstance(outcome, BuildResult)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, BuildError)]
    with_repositories = getattr(args, "repo", False) and not failures
    repositories = _repositories(results, key, context) if with_repositories else []
    if args.json:
        context.report.json([_as_json(result, binary=binary) for result in results])
    else:
        for result in results:
            for path in result.paths(source=not binary, binary=binary):
                context.report.result(str(path))
    if results:
        _print_table(results, context, binary=binary)
    for repository in repositories:
        signed = f", signed by the key in {repository.key_file}" if repository.key_file else ", unsigned"
        context.report.note(f"repository: {repository.folder}{signed}")
    if failures:
        raise joined(failures)


def build_sources(args: argparse.Namespace, context: Context) -> list[BuildResult]:
    """Build the source RPM of every pair; nothing is printed but progress.

    Raises:
        BuildError: one could not be built.
    """
    outcomes = _build(_plan(args, context, Backend.LOCAL), args, context, binary=False)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BuildError)]
    if failures:
        raise joined(failures)
    return [outcome for outcome in outcomes if isinstance(outcome, BuildResult)]


def find_pairs(args: argparse.Namespace) -> tuple[tuple[Package, Target], ...]:
    """Return the pairs of package and target that the options name.

    Raises:
        InputError: a name that is not known, or a pair that cannot be.
    """
    return pair(
        find_packages(args.source, args.package),
        select(args.target),
        named=(*args.package, *args.target),
    )


def _plan(args: argparse.Namespace, context: Context, backend: Backend) -> tuple[BuildPlan, ...]:
    if args.jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {args.jobs}")
    pairs = find_pairs(args)
    if backend is Backend.MOCK:
        # What a glob matched and mock has no configuration for is left out, as other pairs that cannot be.
        pairs = tuple(one for one in pairs if one[1].mock or one[1].name in args.target) or pairs
        for _, target in pairs:
            require_mock(target)
    settings = RunSettings(
        root=args.source,
        out=args.out / "rpm",
        rpm=rpm_version(context.runner),
        conditions=tuple(args.conditions),
        without=tuple(args.without),
        backend=backend,
    )
    return plan_builds(pairs, settings, context.runner)


def _build(
    plans: Sequence[BuildPlan], args: argparse.Namespace, context: Context, *, binary: bool
) -> list[BuildResult | BuildError]:
    """Build all, report each as it ends; return the outcomes in the order of the plans."""
    report = context.report
    outcomes: dict[int, BuildResult | BuildError] = {}
    started = time.monotonic()
    work = make_folder(args.work) if args.work else choose_work(plans, jobs=args.jobs)
    report.verbose(f"building in {work}")
    report.transient(f"{len(plans)} to build, {args.jobs} at a time")
    for number, outcome in build_all(plans, binary=binary, jobs=args.jobs, work=work, runner=context.runner):
        outcomes[number] = outcome
        built = outcome if isinstance(outcome, BuildResult) else None
        report.ended(
            "rpm" if binary else "srpm",
            plans[number].label + (", unchanged" if built and not built.changed else ""),
            seconds=built.seconds if built else time.monotonic() - started,
            count=(len(outcomes), len(plans)),
            failed=built is None,
        )
    return [outcomes[number] for number in range(len(plans))]


def _repositories(
    results: Sequence[BuildResult], key: SigningKey | None, context: Context
) -> list[LocalRepository]:
    """Make a repository of each folder that something was built into: of what this run built."""
    repositories = []
    for folder in dict.fromkeys(result.folder for result in results):
        mine = [result for result in results if result.folder == folder]
        rpms = [path for result in mine for path in result.paths(source=False, binary=True)]
        repositories.append(make(read_folder(folder, rpms), key=key, url=None, context=context))
    return repositories


def _as_json(result: BuildResult, *, binary: bool) -> dict[str, object]:
    paths = [str(path) for path in result.paths(source=not binary, binary=binary)]
    return {
        **as_data(result.manifest),
        "folder": str(result.folder),
        "changed": result.changed,
        "paths": paths,
    }


def _print_table(results: Sequence[BuildResult], context: Context, *, binary: bool) -> None:
    rows = [
        (
            result.manifest.target,
            artifact.path,
            artifact.size,
            f"{result.seconds:.1f}",
            artifact.sha256,
        )
        for result in results
        for artifact in result.manifest.artifacts
        if binary or artifact.source
    ]
    for line in format_table(("target", "artifact", "bytes", "seconds", "sha256"), rows):
        context.report.note(line)
