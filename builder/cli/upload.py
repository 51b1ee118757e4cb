# SPDX-License-Identifier: MIT
"""`openstack-builder upload`: a qcow2 file becomes an image of a cloud, its hash compared."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from builder.cli import Context
from builder.errors import InputError
from builder.glance import description, entry, source, upload
from builder.glance.decision import Decision
from builder.glance.images import Images
from builder.sizes import MIB

SUMMARY = "upload an image to Glance and compare its hash"
EXAMPLE = """\
  openstack-builder upload out/jeos-fixture/jeos-fixture.qcow2 --cloud plane
  openstack-builder upload disk.qcow2 --name web --property os_distro=fedora --dry-run

The cloud comes from clouds.yaml (--cloud, OS_CLOUD) or from OS_* variables. Properties come from the
manifest beside the image. The same bytes already there under this name: nothing is sent. An
upload that fails, or whose hash differs, is deleted from the cloud again (exit code 5)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("image", metavar="IMAGE.qcow2", type=Path, help="the file")
    parser.add_argument("--cloud", metavar="NAME", help="cloud of clouds.yaml (default: OS_CLOUD, OS_*)")
    parser.add_argument("--name", help="name on the cloud (default: the manifest's, or the file's)")
    parser.add_argument(
        "--property",
        dest="properties",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a property added to those of the manifest, or replacing one; an empty VALUE removes it",
    )
    parser.add_argument(
        "--visibility", choices=description.VISIBILITIES, help="who may use it (default: as the cloud has it)"
    )
    parser.add_argument(
        "--retries", metavar="N", type=_count, default=3, help="tries after a failed one (default: 3)"
    )
    parser.add_argument("--dry-run", action="store_true", help="ask the cloud, say what would be done, stop")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: argparse.Namespace, context: Context) -> int:
    """Upload the image; return 0 when it is there."""
    report = context.report
    properties = description.parse_properties(args.properties)
    local = source.read(args.image)
    there = entry.connect(args.cloud, report)
    if not local.has_manifest:
        # The digest has to be known before the first request: by it the next run recognises the image.
        with report.step("hash", f"{local.size / MIB:.1f} MiB, no manifest next to it"):
            local = replace(local, digests=source.compute_digests(local.path))
    wanted = description.describe(local, name=args.name, visibility=args.visibility, properties=properties)
    images = Images(there, report, retries=args.retries)
    decision = upload.examine(local, wanted, images, report)
    if args.dry_run:
        _show_plan(args, context, local, wanted, decision, there.name)
        return 0
    outcome = upload.upload(local, wanted, decision, images, report)
    if outcome.result == "already there":
        report.note(f"{wanted.name} is already there with these bytes ({outcome.compared}): nothing sent")
    elif outcome.compared.endswith(" equal"):
        report.note(f"{wanted.name} is active, {outcome.compared}")
    if args.json:
        report.json(outcome.as_json(there.name))
    else:
        report.result(outcome.image.id)
    return 0


def _show_plan(
    args: argparse.Namespace,
    context: Context,
    local: source.LocalImage,
    wanted: description.Description,
    decision: Decision,
    cloud_name: str,
) -> None:
    action, image = _action(decision)
    if args.json:
        context.report.json(
            {
                "result": action,
                "cloud": cloud_name,
                "image": {"id": image} if image else None,
                "fields": wanted.fields(),
                "size": local.size,
            }
        )
        return
    rows = [("cloud", cloud_name), ("size", local.size), *wanted.fields().items()]
    context.report.note(f"{action}{f' (image {image})' if image else ''}; nothing is changed")
    context.report.table(["field", "value"], rows)


def _action(decision: Decision) -> tuple[str, str | None]:
    """Return what would be done, and the id of the image that it would be done about."""
    if decision.finished:
        return "already there", decision.finished.id
    if decision.busy:
        return "busy", decision.busy.id
    if decision.reuse:
        return "would send to the orphan of a killed upload", decision.reuse.id
    return "would create and send", None


def _count(word: str) -> int:
    try:
        number = int(word)
    except ValueError:
        number = -1
    if not 0 <= number <= 100:
        raise InputError(f"--retries {word}: not a number from 0 to 100")
    return number
