# SPDX-License-Identifier: MIT
"""`openstack-builder image`: a kickstart becomes a qcow2, or a disk in another format."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cli import Context
from builder.cli.sources import (
    add_element_arguments,
    add_source_arguments,
    choose,
    element_names,
    missing_folders,
)
from builder.errors import BuildError, InputError, joined
from builder.formats.diskimage import FORMATS
from builder.image.build import BuildOptions
from builder.kickstart.choices import Choices, parse_size
from builder.kickstart.disk.wanted import DEFAULT_MEMORY
from builder.kickstart.images import ImageSource, find_image
from builder.kickstart.plan import ImagePlan, ScriptSection
from builder.kickstart.planner import load_plan
from builder.kickstart.show import describe, plan_as_json
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB
from builder.targets import ARCHITECTURE, Target
from builder.timeline import write_trace

if TYPE_CHECKING:
    # At run time only where something is built: `--plan` and `--help` need none of the engine.
    from builder.image.finished import FinishedImage
    from builder.image.turns import Turn

SUMMARY = "Build a bootable image (qcow2 or others) with cloud-init from a kickstart, without Anaconda."
EXAMPLE = """\
  openstack-builder image jeos-fedora-45
  openstack-builder image my.ks --target epel-9 --repo baseos=https://mirror.example/BaseOS/x86_64/os
  openstack-builder image jeos-fedora-45 --format qcow2,raw
  openstack-builder image web.ks database.ks queue.ks --target fedora-45 --jobs 3
  openstack-builder image --plan my.ks --target fedora-45"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("image", nargs="+", help="name of `openstack-builder images`, or a kickstart file")
    what = parser.add_argument_group("what to build")
    what.add_argument(
        "-t", "--target", metavar="TARGET", help="distribution of the guest (default: the image's)"
    )
    what.add_argument("--name", help="name of the result (default: the kickstart's), of one image")
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
        help="a word of /proc/cmdline for scripts that read it; may be repeated",
    )  # fmt: skip
    how.add_argument(
        "--solver", choices=("dnf", "libdnf5"),
        help="what chooses the packages (default: dnf where its Python module is, else libdnf5)",
    )  # fmt: skip
    how.add_argument(
        "--bootstrap", action="store_true",
        help="let the target's own rpm install (default: where the host's cannot write its database)",
    )  # fmt: skip
    how.add_argument(
        "--timeline", type=Path, metavar="FILE",
        help="write what ran when, as a trace that a browser's viewer opens (chrome://tracing, Perfetto)",
    )  # fmt: skip
    how.add_argument("--keep", action="store_true", help="keep the work folder")
    how.add_argument(
        "-j", "--jobs", type=int, metavar="N", default=len(os.sched_getaffinity(0)),
        help="images built at the same time, as far as memory allows (default: one per processor)",
    )  # fmt: skip
    how.add_argument(
        "--memory-share", type=int, default=50, metavar="PERCENT",
        help="part of the free memory that the trees of the images may take (default: 50)",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRequest:
    """An image that is asked for: where its kickstart is, what the user chose, and the plan of both."""

    image: ImageSource
    target: Target
    choices: Choices
    plan: ImagePlan

    @property
    def has_pre(self) -> bool:
        """Say whether the plan is not known before %pre has run."""
        return any(script.section == ScriptSection.PRE for script in self.plan.scripts)


def run(args: argparse.Namespace, context: Context) -> int:
    """Build them; print the paths of their files."""
    _check(args)
    report = context.report
    wanted = _read_all(args)
    if args.plan:
        _show_plans([one.plan for one in wanted], args, report)
        return 0
    options = _options(args)
    results: list[FinishedImage]
    failures: list[BuildError] = []
    if len(wanted) == 1:
        results = [_build(wanted[0], args, options, report, context.runner)]
    else:
        results, failures = _build_several(wanted, args, options, report)
    _show(results, args, report)
    if failures:
        raise joined(failures)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that are wrong, or do not go together."""
    if args.arch != ARCHITECTURE:
        raise InputError(f"--arch {args.arch}: only {ARCHITECTURE} can be built for now")
    if not 1 <= args.memory_share <= 90:
        raise InputError(f"--memory-share {args.memory_share}: must be from 1 to 90")
    if args.jobs < 1:
        raise InputError(f"--jobs {args.jobs}: must be at least 1")
    if args.compat and "qcow2" not in args.format:
        raise InputError(f"--compat is for qcow2, and --format is {','.join(args.format)}")
    for path in args.keep_file:
        if not re.fullmatch(r"(/[^/\0]+)+", path):
            raise InputError(f"--keep-file {path}: not a path of the image", hint="such as /etc/machine-id")
    if args.engine == "dib":
        _check_dib(args)
    if args.name and len(args.image) > 1:
        raise InputError(f"--name {args.name}: {len(args.image)} images cannot share one name")


def _read_all(args: argparse.Namespace) -> list[ImageRequest]:
    """Return what is asked for.

    Raises:
        BuildError: what is wrong with any of the images, all of it.
    """
    wanted, failures = [], []
    for text in args.image:
        try:
            wanted.append(_read(text, args))
        except BuildError as error:
            failures.append(error)
    if failures:
        raise joined(failures)
    named: dict[str, ImageRequest] = {}
    for one in wanted:
        other = named.setdefault(one.plan.name, one)
        if other is not one:
            raise InputError(
                f"{other.image.path} and {one.image.path}: both images would be called {one.plan.name}",
                hint="build one of them alone, with --name or --out",
            )
    return wanted


def _read(text: str, args: argparse.Namespace) -> ImageRequest:
    image = find_image(text, target=args.target)
    target = image.require_target()
    choices = choose(
        args,
        image,
        disk_size=parse_size(args.size) if args.size else image.disk_size,
        memory=parse_size(args.memory, "--memory") if args.memory else DEFAULT_MEMORY,
    )
    plan = load_plan(image.path, target=target, choices=choices)
    if missing := missing_folders(plan):
        raise InputError(problems=missing)
    _check_size(plan, args.format)
    return ImageRequest(image=image, target=target, choices=choices, plan=plan)


def _check_size(plan: ImagePlan, formats: Sequence[str]) -> None:
    """Refuse a disk that is larger than a format can tell."""
    for name in formats:
        most = FORMATS[name].most
        if most is not None and plan.disk.size is not None and plan.disk.size * MIB > most:
            raise InputError(
                f"--format {name}: the disk of {plan.name} has {plan.disk.size} MiB, "
                f"and a {name} {most // MIB} at the most",
                hint="make the disk smaller (a guest grows it at the first boot), or choose another format",
            )


def _options(args: argparse.Namespace) -> BuildOptions:
    return BuildOptions(
        out=args.out.absolute(),
        network=args.network,
        keep=args.keep,
        compat=args.compat,
        memory_share=args.memory_share,
        keep_files=tuple(args.keep_file),
        ks_arguments=tuple(args.ks_arg),
        solver=args.solver,
        bootstrap=args.bootstrap,
        timeline=args.timeline.absolute() if args.timeline else None,
        formats=args.format,
        source_date_epoch=_epoch(),
    )


def _build(
    one: ImageRequest,
    args: argparse.Namespace,
    options: BuildOptions,
    report: Report,
    runner: Runner,
    turn: Turn | None = None,
) -> FinishedImage:
    # Here, not at the top: `--plan` and `--help` need none of the engine.
    from builder.image.engine import build_image
    from builder.image.turns import ALONE

    plan, target = one.plan, one.target
    if one.has_pre:
        from builder.image.prepare import run_pre

        made = run_pre(plan, target, options, report, runner)
        plan = load_plan(
            one.image.path,
            target=target,
            choices=one.choices,
            pre_files=made.files,
            pre_disk=made.table,
        )
    _tell(plan, report)
    if args.engine == "dib":
        from builder.dib.engine import build_image as build_by_dib

        result = build_by_dib(plan, target, options, element_names(args), report, runner)
    else:
        result = build_image(plan, target, options, report, runner, turn or ALONE)
    for why in result.failed_scripts:
        report.warn(f"the image is finished, though {why}")
    if result.unchanged:
        report.note(f"{plan.name}: unchanged")
    return result


def _build_several(
    wanted: Sequence[ImageRequest], args: argparse.Namespace, options: BuildOptions, report: Report
) -> tuple[list[FinishedImage], list[BuildError]]:
    from builder.cli.several import Order, build_several

    def order(one: ImageRequest) -> Order:
        def build(report: Report, turn: Turn) -> FinishedImage:
            return _build(one, args, options, report, Runner(report), turn)

        return Order(plan=one.plan, is_final=not one.has_pre, build=build)

    return build_several([order(one) for one in wanted], options, jobs=args.jobs, report=report)


def _show_plans(plans: Sequence[ImagePlan], args: argparse.Namespace, report: Report) -> None:
    """Print what would be built; as JSON a list where it is more than one."""
    for plan in plans:
        _tell(plan, report)
    if args.json:
        data = [plan_as_json(plan) for plan in plans]
        report.json(data if len(data) > 1 else data[0])
    else:
        for plan in plans:
            for line in describe(plan):
                report.result(line)


def _show(results: Sequence[FinishedImage], args: argparse.Namespace, report: Report) -> None:
    """Print the files, or the manifests: as a list where more than one image is asked for."""
    if args.timeline and any(result.spans for result in results):
        write_trace(args.timeline.absolute(), [span for result in results for span in result.spans])
    if args.json:
        texts = [result.manifest.read_text().rstrip("\n") for result in results]
        report.result(texts[0] if len(args.image) == 1 else f"[{','.join(texts)}]")
        return
    for result in results:
        for path in result.files:
            report.result(os.path.relpath(path) if not args.out.is_absolute() else str(path))


def _check_dib(args: argparse.Namespace) -> None:
    """Refuse options that only our own engine has."""
    if len(args.image) > 1:
        raise InputError(
            "--engine dib builds one image at a time", hint="name one, or build with --engine direct"
        )
    for option in ("network", "keep_file", "ks_arg", "solver", "bootstrap", "element_env", "timeline"):
        if getattr(args, option):
            name = option.replace("_", "-")
            raise InputError(
                f"--{name} cannot be used with --engine dib",
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
