# SPDX-License-Identifier: MIT
"""`openstack-builder check-rpm`: what is wrong with finished RPMs."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from builder.cli import Context
from builder.errors import InputError
from builder.rpm.check.finding import Finding, Level, load_checks
from builder.rpm.check.run import check_files
from builder.schema import did_you_mean

SUMMARY = "Check RPMs against the target that they are for: rpmlint, and rules of our own."
EXAMPLE = """\
  openstack-builder check-rpm out/rpm/epel-9/*.rpm
  openstack-builder check-rpm --against https://mirror.example/9/BaseOS/x86_64/os out/rpm/epel-9/*.rpm
  openstack-builder check-rpm --explain wrong-mode

RPMs of one target are checked together: what one needs may be in another. The exit code is 1 when there is an
error; with --strict also for a warning, or for what is not known."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", type=Path, nargs="*", help="RPM, or source RPM")
    parser.add_argument("-t", "--target", metavar="TARGET", help="target they are for (default: by dist tag)")
    parser.add_argument("--against", metavar="REPO", help="repository (URL or folder) of what the target has")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings and unknowns too")
    parser.add_argument("--explain", metavar="ID", help="explain a check, and stop")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace, context: Context) -> int:
    """Check; print the findings."""
    report = context.report
    if args.explain:
        report.result(explain(args.explain))
        return 0
    if not args.file:
        raise InputError("no RPM is named", hint="openstack-builder check-rpm FILE...")
    found = check_files(args.file, target=args.target, against=args.against, runner=context.runner)
    if args.json:
        report.json([dataclasses.asdict(finding) for finding in found])
    else:
        for line in show(found):
            report.result(line)
    counts = [sum(finding.level is level for finding in found) for level in Level]
    report.note(f"{len(args.file)} RPMs: {counts[0]} errors, {counts[1]} warnings, {counts[2]} unknown")
    return int(bool(counts[0] or (args.strict and found)))


def explain(name: str) -> str:
    """Return the text of a check.

    Raises:
        InputError: there is none of that name.
    """
    checks = load_checks()
    if name not in checks:
        raise InputError(f"unknown check: {name}", hint=did_you_mean(name, checks))
    return f"{name} ({checks[name].level})\n{checks[name].text.strip()}"


def show(findings: Sequence[Finding]) -> list[str]:
    """Return the findings as lines; what is unknown about one RPM is one line."""
    lines = []
    for (file, level, name), group in groupby(findings, lambda one: (one.file, one.level, one.id)):
        details = [finding.detail for finding in group]
        if level is Level.UNKNOWN:
            details = [", ".join(details)]
        lines += [f"{file}: {level}: {name}: {detail}" for detail in details]
    return lines
