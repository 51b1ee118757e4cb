# SPDX-License-Identifier: MIT
"""`openstack-builder koji import`: an image that was built here, as a build of the hub."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from builder import __version__
from builder.cli import Context
from builder.cli.koji import connect, find_profile
from builder.errors import InputError
from builder.koji.components import list_components
from builder.koji.contentgenerator import GENERATOR, Import, as_json, check, describe, import_image
from builder.manifest import CHECKSUMS, find_manifest, manifest_path
from builder.rpm.build.rpmbuild import rpm_version
from builder.targets import find_target

SUMMARY = "Import an image with its manifest as a content generator build of a hub."
EXAMPLE = """\
  openstack-builder koji import out/jeos-fedora-45/jeos-fedora-45.qcow2 --release 1 --dry-run
  openstack-builder koji import out/jeos-epel-9/jeos-epel-9.{qcow2,vmdk} --release 20261127.1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE",
        help="the image, in one format or several files of one build; their manifest is next to them",
    )  # fmt: skip
    parser.add_argument("--name", help="name of the build (default: the image's)")
    parser.add_argument(
        "--version", dest="build_version", metavar="V", help="version of the build (default: the system's)"
    )
    parser.add_argument("--release", required=True, metavar="R", help="release of the build")
    parser.add_argument(
        "--source", dest="build_source", default="", metavar="URL#REF", help="where the kickstart comes from"
    )
    parser.add_argument("--owner", metavar="USER", help="owner of the build (default: who imports)")
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="print the metadata, and ask the hub nothing"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Import it; print the build's name."""
    wanted = _wanted(args, context)
    check(wanted)
    if args.dry_run:
        context.report.result(as_json(describe(wanted)))
        return 0
    target = find_target(wanted.manifest.target)
    hub = connect(find_profile(args, target.koji.profile if target.koji else None), context)
    with context.report.step("import", wanted.nvr) as step:
        build = import_image(
            hub, wanted, lambda name, sent, total: step.progress(f"{name}  {sent >> 20} of {total >> 20} MiB")
        )
        step.detail = f"{wanted.nvr}  build {build['build_id']}"
    context.report.result(wanted.nvr)
    return 0


def _wanted(args: argparse.Namespace, context: Context) -> Import:
    for image in args.images:
        if not image.is_file():
            reason = "not a regular file" if image.exists() else "no such file"
            raise InputError(
                f"{image}: {reason}", hint="give the files of an image, such as out/NAME/NAME.qcow2"
            )
    first = args.images[0]
    manifest = find_manifest(first)
    if manifest is None:
        raise InputError(
            f"{first}: no {manifest_path(first).name} next to it",
            hint="openstack-builder image writes one with each image",
        )
    ended = int(first.stat().st_mtime)
    companions = (manifest_path(first), first.with_name(CHECKSUMS))
    return Import(
        name=args.name or manifest.name,
        version=args.build_version or manifest.os.version_id or "1",
        release=args.release,
        source=args.build_source,
        images=tuple(args.images),
        companions=tuple(path for path in companions if path.is_file()),
        manifest=manifest,
        components=list_components(manifest),
        host_os=platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        started=ended - round(sum(stage.seconds for stage in manifest.stages)),
        ended=ended,
        tools=((GENERATOR, __version__), ("rpm", rpm_version(context.runner))),
        owner=args.owner,
    )
