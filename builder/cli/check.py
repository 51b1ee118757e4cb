# SPDX-License-Identifier: MIT
"""`openstack-builder check`: what is wrong with kickstarts, and what of them would have no effect."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from builder.cli import Context
from builder.cli.sources import add_element_arguments, add_source_arguments, choose, missing_folders
from builder.errors import InputError
from builder.kickstart.choices import Choices, parse_size
from builder.kickstart.disk.wanted import DEFAULT_MEMORY
from builder.kickstart.findings import Findings
from builder.kickstart.images import ImageSource, find_image, guess_target, load_images
from builder.kickstart.plan import ImagePlan
from builder.kickstart.planner import plan_kickstart
from builder.kickstart.read import read_kickstart
from builder.kickstart.show import problem_as_json
from builder.kickstart.versions import choose_version

SUMMARY = "Check kickstarts: every error and warning, with file and line, and what would be ignored."
EXAMPLE = """\
  openstack-builder check kickstarts/jeos-fedora-45.ks
  openstack-builder check --ksversion RHEL9 guest.ks server.ks
  openstack-builder check vendor.ks --target epel-9 --repo baseos=https://mirror.example/BaseOS/x86_64/os

Without arguments every kickstart of images.yaml is checked. All errors of all files are reported, with
file, line and the includes on the way there. -v also says what has no effect on an image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One kickstart and what was found."""

    path: Path
    plan: ImagePlan
    findings: Findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("kickstarts", metavar="KS", nargs="*", help="kickstart, or name of an image")
    parser.add_argument("-t", "--target", help="distribution it is for (default: images.yaml, #version=)")
    parser.add_argument("--ksversion", metavar="V", help="syntax to read it with, such as F45 or RHEL9")
    parser.add_argument("--size", metavar="SIZE", help="size of the disk, as for `image`")
    parser.add_argument("--memory", metavar="SIZE", help="memory of the guest, as for `image`")
    parser.add_argument(
        "--ks-arg", action="append", default=[], metavar="WORD",
        help="as for `image`; %%pre scripts do not run in a check",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    # As an image is built without more options.
    parser.set_defaults(network=False)
    add_source_arguments(parser)
    add_element_arguments(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    """Check all; InputError at the end when any is wrong."""
    choose_version(args.ksversion, None, None)
    names = args.kickstarts or [image.name for image in load_images()]
    images = [find_image(name, target=args.target) for name in names]
    checked = [check(image, choose_for(args, image)) for image in images]
    report = context.report
    for one in checked:
        for problem in one.findings.notes:
            report.verbose(f"note: {problem}")
        for problem in one.findings.warnings:
            report.warn(str(problem) + (f" ({problem.hint})" if problem.hint else ""))
    if args.json:
        report.json([as_json(one) for one in checked])
    else:
        for one in checked:
            report.result(summarise(one))
    errors = [problem for one in checked for problem in one.findings.errors]
    if errors:
        raise InputError(problems=errors)
    return 0


def choose_for(args: argparse.Namespace, image: ImageSource) -> Choices:
    """Return what the command line decides, as of `image`."""
    return choose(
        args,
        image,
        disk_size=parse_size(args.size) if args.size else image.disk_size,
        memory=parse_size(args.memory, "--memory") if args.memory else DEFAULT_MEMORY,
    )


def check(image: ImageSource, choices: Choices) -> Checked:
    """Read a kickstart and plan it, for the sake of what that finds."""
    findings = Findings()
    kickstart = read_kickstart(
        image.path,
        findings,
        ksversion=choices.ksversion,
        default_version=image.target.ksversion if image.target else None,
    )
    target = image.target or guess_target(kickstart.version)
    plan = plan_kickstart(kickstart, target=target, choices=choices)
    # Another host may build it.
    findings.warnings += missing_folders(plan)
    return Checked(path=image.path, plan=plan, findings=findings)


def summarise(checked: Checked) -> str:
    """Return the line of results for one kickstart."""
    counts = [
        f"{len(found)} {word}{'' if len(found) == 1 else 's'}"
        for found, word in ((checked.findings.errors, "error"), (checked.findings.warnings, "warning"))
        if found
    ]
    return f"{checked.path}: {', '.join(counts) or 'ok'} (syntax {checked.plan.ksversion})"


def as_json(checked: Checked) -> dict[str, object]:
    """Return the findings of one kickstart for --json."""
    findings = checked.findings
    return {
        "kickstart": str(checked.path),
        "ok": not findings.errors,
        "syntax": checked.plan.ksversion,
        "target": checked.plan.target,
        "files": list(checked.plan.kickstarts),
        "errors": [problem_as_json(problem) for problem in findings.errors],
        "warnings": [problem_as_json(problem) for problem in findings.warnings],
        "notes": [problem_as_json(problem) for problem in findings.notes],
        "unresolved": [name for name, _ in checked.plan.unresolved_includes],
    }
