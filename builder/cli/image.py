# SPDX-License-Identifier: MIT
"""`openstack-builder image`: a kickstart becomes a qcow2, or a disk in another format."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from builder.cli import Context
from builder.cli.sources import add_element_arguments, add_source_arguments, choose, element_names
from builder.errors import InputError
from builder.formats.diskimage import FORMATS
from builder.image.build import BuildOptions
from builder.kickstart.choices import Choices, parse_size
from builder.kickstart.disk.wanted import DEFAULT_MEMORY
from builder.kickstart.images import ImageSource, find_image
from builder.kickstart.plan import ImagePlan, ScriptSection
from builder.kickstart.planner import load_plan
from builder.kickstart.show import describe, plan_as_json
from builder.report import Report
from builder.targets import ARCHITECTURE

SUMMARY = "Build a bootable image (qcow2 or others) with cloud-init from a kickstart, without Anaconda."
EXAMPLE = """\
  openstack-builder image jeos-fedora-45
  openstack-builder image my.ks --target epel-9 --repo baseos=https://mirror.example/BaseOS/x86_64/os
  openstack-builder image jeos-fedora-45 --format qcow2,raw
  openstack-builder image --plan my.ks --target fedora-45"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("image", help="a name of `openstack-builder images`, or a kickstart file")
    what = parser.add_argument_group("what to build")
    what.add_argument("--target", metavar="TARGET", help="distribution of the guest (default: the image's)")
    what.add_argument("--name", help="name of the result (default: the kickstart's)")
    what.add_argument("--arch", default=ARCHITECTURE, help=argparse.SUPPRESS)
    what.add_argument("--ksversion", metavar="V", help="kickstart syntax, such as F45 or RHEL9")
    what.add_argument("--size", metavar="SIZE", help="size of the disk (4G, 4096M); default: what is planned")
    what.add_argument(
        "--memory", metavar="SIZE", help="memory of the guest, for swap --recommended; default: 2G"
    )
    what.add_argument(
        "--format", metavar="LIST", type=_formats, default=("qcow2",),
        help=f"of the files: {', '.join(FORMATS)}; raw is there as .raw.zst, too (default: qcow2)",
    )  # fmt: skip
    what.add_argument("--compat", action="store_true", help="a qcow2 for clouds with a qemu before 5.1")
    add_source_arguments(parser)
    add_element_arguments(parser)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--engine", choices=("direct", "dib"), default="direct",
        help="what makes the disk: ours, or diskimage-builder (make setup-dib; root)",
    )  # fmt: skip
    how.add_argument("--plan", "--dry-run", action="store_true", help="print what would be built, and stop")
    how.add_argument("--json", action="store_true", help="print the plan, or the manifest, as JSON")
    how.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="default: out")
    how.add_argument("--network", action="store_true", help="give %%pre and %%post the host's network")
    how.add_argument(
        "--keep-file", action="append", default=[], metavar="PATH",
        help="keep this file, which would be cleaned away; may be repeated",
    )  # fmt: skip
    how.add_argument(
        "--ks-arg", action="append", default=[], metavar="WORD",
        help="a word of /proc/cmdline for %%pre scripts that read it; may be repeated",
    )  # fmt: skip
    how.add_argument(
        "--solver", choices=("dnf", "libdnf5"),
        help="what chooses the packages (default: dnf where its Python module is, else libdnf5)",
    )  # fmt: skip
    how.add_argument(
        "--timeline", type=Path, metavar="FILE",
        help="write what ran when, as a trace that a browser's viewer opens (chrome://tracing, Perfetto)",
    )  # fmt: skip
    how.add_argument("--keep", action="store_true", help="keep the work folder")
    how.add_argument(
        "--memory-share", type=int, default=50, metavar="PERCENT",
        help="part of the free memory that the tree of the image may take (default: 50)",
    )  # fmt: skip


def run(args: argparse.Namespace, context: Context) -> int:
    """Build it; print the paths of its files."""
    if args.arch != ARCHITECTURE:
        raise InputError(f"--arch {args.arch}: only {ARCHITECTURE} can be built for now")
    if not 1 <= args.memory_share <= 90:
        raise InputError(f"--memory-share {args.memory_share}: must be from 1 to 90")
    if args.compat and "qcow2" not in args.format:
        raise InputError(f"--compat is about qcow2, --format is {','.join(args.format)}")
    for path in args.keep_file:
        if not re.fullmatch(r"(/[^/\0]+)+", path):
            raise InputError(f"--keep-file {path}: not a path of the image", hint="such as /etc/machine-id")
    if args.engine == "dib":
        _check_dib(args)
    image = find_image(args.image, target=args.target)
    target = image.require_target()
    choices = choose(
        args,
        image,
        disk_size=parse_size(args.size) if args.size else image.disk_size,
        memory=parse_size(args.memory, "--memory") if args.memory else DEFAULT_MEMORY,
    )
    plan = load_plan(image.path, target=target, choices=choices)
    if args.plan:
        _tell(plan, context.report)
        if args.json:
            context.report.json(plan_as_json(plan))
        else:
            for line in describe(plan):
                context.report.result(line)
        return 0
    return _build(args, context, image, choices, plan)


def _build(
    args: argparse.Namespace,
    context: Context,
    image: ImageSource,
    choices: Choices,
    plan: ImagePlan,
) -> int:
    # Here, not at the top: `--plan` and `--help` need none of the engine.
    from builder.image.engine import build_image

    report, target = context.report, image.require_target()
    options = BuildOptions(
        out=args.out.absolute(),
        network=args.network,
        keep=args.keep,
        compat=args.compat,
        memory_share=args.memory_share,
        keep_files=tuple(args.keep_file),
        ks_arguments=tuple(args.ks_arg),
        solver=args.solver,
        timeline=args.timeline.absolute() if args.timeline else None,
        formats=args.format,
        source_date_epoch=_epoch(),
    )
    if any(script.section == ScriptSection.PRE for script in plan.scripts):
        from builder.image.prepare import run_pre

        made = run_pre(plan, target, options, report, context.runner)
        plan = load_plan(
            image.path, target=target, choices=choices, pre_files=made.files, pre_disk=made.table
        )
    _tell(plan, report)
    if args.engine == "dib":
        from builder.dib.engine import build_image as build_by_dib

        result = build_by_dib(plan, target, options, element_names(args), report, context.runner)
    else:
        result = build_image(plan, target, options, report, context.runner)
    for why in result.failed_scripts:
        report.warn(f"the image is finished, though {why}")
    if result.unchanged:
        report.note(f"{plan.name}: unchanged")
    if args.json:
        report.result(result.manifest.read_text().rstrip("\n"))
    else:
        for path in result.files:
            report.result(os.path.relpath(path) if not args.out.is_absolute() else str(path))
    return 0


def _check_dib(args: argparse.Namespace) -> None:
    """Refuse options that only our own engine has."""
    for option in ("network", "keep_file", "ks_arg", "solver", "element_env", "timeline"):
        if getattr(args, option):
            name = option.replace("_", "-")
            raise InputError(
                f"--{name} has no meaning for --engine dib",
                hint="leave it out, or build with --engine direct",
            )


def _formats(text: str) -> tuple[str, ...]:
    """Return the formats in a list with commas, each once."""
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for name in names:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(f"`{name}` is not one of {', '.join(FORMATS)}")
    return names


def _tell(plan: ImagePlan, report: Report) -> None:
    """Say what the reader of the kickstart found."""
    for problem in plan.warnings:
        report.warn(str(problem) + (f" ({problem.hint})" if problem.hint else ""))
    for problem in plan.notes:
        report.verbose(f"note: {problem}")


def _epoch() -> int:
    """Return SOURCE_DATE_EPOCH, or 0 where the environment does not say."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not text.isdigit():
        raise InputError(f"SOURCE_DATE_EPOCH={text}: not a number of seconds")
    return int(text)
