# SPDX-License-Identifier: MIT
"""`openstack-builder koji image`: the kickstarts of images, built on a hub."""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.cli import Context
from builder.cli.koji import connect, find_profile
from builder.cli.koji.results import finish
from builder.cli.koji.submission import submit_all
from builder.cli.verify import show
from builder.errors import InputError, Problem
from builder.guest.verify import VerifyOptions, verify
from builder.kickstart.choices import Choices
from builder.kickstart.flatten import flatten
from builder.kickstart.images import ImageSource, find_image
from builder.kickstart.planner import load_plan
from builder.koji.builds import submit_once
from builder.koji.hub import Call, Hub
from builder.koji.images import (
    ImageSubmission,
    check_distro,
    check_name,
    find_submitted,
    require_image_builds,
)
from builder.koji.outputs import fetch, list_outputs
from builder.koji.tasks import Task, TaskState
from builder.koji.watch import Watch, resume_command
from builder.masking import has_login
from builder.sizes import GIB, MIB
from builder.targets import ARCHITECTURE, Target, TargetFamily

MIB_OF_GIB = GIB // MIB
# MiB, where only %pre would say.
UNKNOWN_DISK = 5 * MIB_OF_GIB

SUMMARY = "Have a hub build images from kickstarts (Koji's image-build): flattened, submitted, watched."
EXAMPLE = """\
  openstack-builder koji image jeos-fedora-45 --tree https://mirror.example/45/Everything/x86_64/os
  openstack-builder koji image guest.ks db.ks -t epel-9 --tree https://mirror.example/9/BaseOS/x86_64/os -n"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a name of `openstack-builder images`, or a kickstart file"
    )
    parser.add_argument(
        "-t", "--target", metavar="TARGET", help="distribution of the guests (default: each image's own)"
    )
    parser.add_argument("--koji-target", metavar="NAME", help="the hub's build target")
    parser.add_argument("--name", help="name of the build (default: the image's; for one image)")
    parser.add_argument(
        "--version", dest="build_version", metavar="V", help="version of the build (default: the target's)"
    )
    parser.add_argument("--tree", metavar="URL", required=True, help="installation tree that the hub reads")
    parser.add_argument(
        "--repo", action="append", default=[], metavar="URL", help="repository; may be repeated"
    )
    parser.add_argument(
        "--distro", metavar="NAME-VERSION",
        help="the distribution as Koji's builders know it, such as RHEL-9.4 (default: by the target)",
    )  # fmt: skip
    parser.add_argument("--arch", action="append", default=[], metavar="ARCH", help="default: x86_64")
    parser.add_argument("--real", action="store_true", help="not a scratch build: it is tagged and kept")
    parser.add_argument("--background", action="store_true", help="at a lower priority")
    parser.add_argument("--nowait", action="store_true", help="submit, print the tasks' numbers, and stop")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR",
                        help="fetch what was built into DIR/koji/ID (default: out)")  # fmt: skip
    parser.add_argument(
        "--verify", action="store_true", help="run `openstack-builder verify` on each fetched qcow2"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="print each call, and submit nothing")
    parser.add_argument("--json", action="store_true", help="print the tasks as JSON when they are over")


@dataclass(frozen=True, slots=True)
class Job:
    """One image to build: the kickstart as one text, and how it is submitted."""

    kickstart: str
    submission: ImageSubmission

    @property
    def file(self) -> str:
        """The kickstart's name on the hub."""
        return f"{self.submission.name}.ks"

    def calls(self) -> list[Call]:
        """Return the calls that submit it."""
        upload = Call("uploadWrapper", (self.file, self.submission.folder))
        return [upload, self.submission.call(self.file)]


def run(args: argparse.Namespace, context: Context) -> int:
    """Submit, watch, fetch, verify; the exit code is 0 when every image was built and no check failed."""
    images = [find_image(name, target=args.target) for name in args.images]
    target = _common_target(args, images)
    jobs = [_plan(image, target, args) for image in images]
    _check_names(jobs)
    if args.dry_run:
        for job in jobs:
            for call in job.calls():
                context.report.result(str(call))
        return 0
    hub = connect(find_profile(args, target.koji.profile if target.koji else None), context)
    require_image_builds(hub)
    submissions = {job.submission.name: functools.partial(_submit, hub, job) for job in jobs}
    tasks = submit_all(hub, submissions, context)
    if args.nowait:
        for task in tasks:
            context.report.result(str(task))
        context.report.note(f"to watch them: {resume_command(hub, tasks)}")
        return 0
    trees = Watch(hub=hub, report=context.report).follow(tasks)
    good = [_fetch(hub, tree, args, context) for tree in trees if tree.state is TaskState.CLOSED]
    finish(hub, trees, context, as_json=args.json)
    return 0 if all(good) else 1


def _common_target(args: argparse.Namespace, images: Sequence[ImageSource]) -> Target:
    """Return the target of all images.

    Raises:
        InputError: they have several, since --tree is of one; or no hub is known for it.
    """
    targets = {image.require_target().name: image.require_target() for image in images}
    if len(targets) > 1:
        raise InputError(
            f"--tree has one distribution, and the images are for {', '.join(sorted(targets))}",
            hint="build the images of one target at a time",
        )
    (target,) = targets.values()
    if not args.koji_target and target.koji is None:
        raise InputError(
            f"{target.name}: no hub is known that builds for it",
            hint="name one: --profile NAME --koji-target NAME",
        )
    return target


def _plan(image: ImageSource, target: Target, args: argparse.Namespace) -> Job:
    """Read a kickstart and say how it is submitted."""
    plan = load_plan(image.path, target=target, choices=Choices(name=image.name, disk_size=image.disk_size))
    distro = args.distro or _distro(target)
    check_distro(distro)
    submission = ImageSubmission(
        name=args.name or image.name,
        version=args.build_version or target.releasever,
        hub_target=args.koji_target or (target.koji.target if target.koji else ""),
        arches=tuple(args.arch) or (ARCHITECTURE,),
        install_tree=args.tree,
        distro=distro,
        ksversion=plan.ksversion,
        disk_gib=-(-(plan.disk.size or UNKNOWN_DISK) // MIB_OF_GIB),
        repositories=tuple(args.repo),
        scratch=not args.real,
        background=args.background,
    )
    check_name(submission.name, submission.version)
    text = flatten(image.path)
    if any(map(has_login, (text, *args.repo, args.tree))):
        raise InputError(
            f"{image.name}: an address has a login, and everybody may read the tasks of a hub",
            hint="name a mirror that asks for none",
        )
    return Job(text, submission)


def _distro(target: Target) -> str:
    """Return what Koji's builders call a target: EL with a minor release, which the target's name lacks."""
    if target.family is TargetFamily.EL:
        return f"RHEL-{target.releasever}.0"
    return f"{target.family.value.capitalize()}-{target.releasever}"


def _check_names(jobs: Sequence[Job]) -> None:
    """Refuse two images that would be one build.

    Raises:
        InputError: names each that comes twice.
    """
    names = [job.submission.name for job in jobs]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise InputError(
            problems=[
                Problem(message=f"{name}: two images of this name", hint="--name is for one image")
                for name in doubles
            ]
        )


def _submit(hub: Hub, job: Job) -> int:
    """Upload the kickstart, and submit its task."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, job.file)
        path.write_text(job.kickstart, encoding="utf-8")
        hub.upload(path, job.submission.folder)
    call = job.submission.call(job.file)
    return submit_once(hub, call, lambda: find_submitted(hub, job.submission, time.time()))


def _fetch(hub: Hub, tree: Task, args: argparse.Namespace, context: Context) -> bool:
    """Fetch what a task built, and verify its images if that was asked for; say whether no check failed."""
    folder = args.out / "koji" / str(tree.id)
    fetched = fetch(hub, list_outputs(hub, tree, key=None), folder, context.report)
    images = [path for path in fetched.others if path.suffix == ".qcow2"]
    for path in images:
        context.report.note(f"fetched {path}")
    good = True
    for path in images if args.verify else ():
        verdict = verify(context.runner, path.absolute(), None, VerifyOptions())
        show(verdict, context)
        good = good and verdict.is_good
    return good
