# SPDX-License-Identifier: MIT
"""`openstack-builder koji image`: the kickstart of an image, built on a hub."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from builder.cli import Context
from builder.cli.koji import connect, find_profile
from builder.cli.koji.results import finish
from builder.cli.verify import show
from builder.errors import InputError
from builder.guest.verify import VerifyOptions, verify
from builder.kickstart.choices import Choices
from builder.kickstart.flatten import flatten
from builder.kickstart.images import find_image
from builder.kickstart.planner import load_plan
from builder.koji.builds import submit_once
from builder.koji.hub import Call
from builder.koji.images import ImageSubmission, check_name, find_submitted, require_image_builds
from builder.koji.outputs import fetch, list_outputs
from builder.koji.watch import Watch, resume_command
from builder.sizes import GIB
from builder.targets import ARCHITECTURE, TargetFamily

SUMMARY = "Have a hub build an image from a kickstart (Koji's image-build): flattened, submitted, watched."
EXAMPLE = """\
  openstack-builder koji image jeos-fedora-45 --tree https://mirror.example/45/Everything/x86_64/os
  openstack-builder koji image guest.ks --target epel-9 --tree https://mirror.example/9/BaseOS/x86_64/os -n"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("image", help="a name of `openstack-builder images`, or a kickstart file")
    parser.add_argument("--target", metavar="TARGET", help="distribution of the guest (default: the image's)")
    parser.add_argument("--koji-target", metavar="NAME", help="the hub's build target")
    parser.add_argument("--name", help="name of the build (default: the image's)")
    parser.add_argument(
        "--version", dest="build_version", metavar="V", help="version of the build (default: the target's)"
    )
    parser.add_argument("--tree", metavar="URL", required=True, help="installation tree that the hub reads")
    parser.add_argument(
        "--repo", action="append", default=[], metavar="URL", help="repository; may be repeated"
    )
    parser.add_argument("--arch", action="append", default=[], metavar="ARCH", help="default: x86_64")
    parser.add_argument("--real", action="store_true", help="not a scratch build: it is tagged and kept")
    parser.add_argument("--background", action="store_true", help="at a lower priority")
    parser.add_argument("--nowait", action="store_true", help="submit, print the task's number, and stop")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR",
                        help="fetch what was built into DIR/koji/ID (default: out)")  # fmt: skip
    parser.add_argument(
        "--verify", action="store_true", help="hold each fetched qcow2 to `openstack-builder verify`"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="print each call, and submit nothing")
    parser.add_argument("--json", action="store_true", help="print the task as JSON when it is over")


def run(args: argparse.Namespace, context: Context) -> int:
    """Submit, watch, fetch, verify; the exit code is 0 when the image was built and no check failed."""
    image = find_image(args.image, target=args.target)
    target = image.require_target()
    if not args.koji_target and target.koji is None:
        raise InputError(
            f"{target.name}: no hub is known that builds for it",
            hint="name one: --profile NAME --koji-target NAME",
        )
    plan = load_plan(image.path, target=target, choices=Choices(name=image.name))
    distro = {TargetFamily.FEDORA: "Fedora", TargetFamily.EL: "RHEL"}.get(target.family, target.family.value)
    submission = ImageSubmission(
        name=args.name or image.name,
        version=args.build_version or target.releasever,
        hub_target=args.koji_target or (target.koji.target if target.koji else ""),
        arches=tuple(args.arch) or (ARCHITECTURE,),
        install_tree=args.tree,
        distro=f"{distro}-{target.releasever}",
        ksversion=plan.ksversion,
        disk_gib=-(-(plan.disk.size or 5 * GIB) // GIB),
        repositories=tuple(args.repo),
        scratch=not args.real,
        background=args.background,
    )
    check_name(submission.name, submission.version)
    text = flatten(image.path)
    name = f"{submission.name}.ks"
    call = submission.call(name)
    if args.dry_run:
        context.report.result(str(Call("uploadWrapper", (name, submission.folder))))
        context.report.result(str(call))
        return 0
    profile = find_profile(args, target.koji.profile if target.koji else None)
    hub = connect(profile, context)
    require_image_builds(hub)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(text, encoding="utf-8")
        hub.upload(path, submission.folder)
    task = submit_once(hub, call, lambda: find_submitted(hub, submission, time.time()))
    context.report.note(f"task {task}  {submission.name}  {profile.task_page(task)}")
    if args.nowait:
        context.report.result(str(task))
        context.report.note(f"to watch it: {resume_command(hub, [task])}")
        return 0
    trees = Watch(hub=hub, report=context.report).follow([task])
    finish(hub, trees, context, as_json=args.json)
    fetched = fetch(hub, list_outputs(hub, trees[0], key=None), args.out / "koji" / str(task), context.report)
    images = [path for path in fetched.others if path.suffix == ".qcow2"]
    for path in images:
        context.report.note(f"fetched {path}")
    verdicts = []
    for path in images if args.verify else ():
        verdicts.append(verify(context.runner, path.absolute(), None, VerifyOptions()))
        show(verdicts[-1], context)
    return 0 if all(verdict.is_good for verdict in verdicts) else 1
