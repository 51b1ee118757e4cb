# SPDX-License-Identifier: MIT
"""`openstack-builder upload`: a file becomes an image of one or several clouds, its hash compared."""

from __future__ import annotations

import argparse
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from builder.cli import Context
from builder.errors import BuildError, InputError, Problem, joined
from builder.formats.diskimage import FORMATS
from builder.glance import description, entry, metadefs, rotation, source, upload
from builder.glance.cloud import Cloud
from builder.glance.converted import converted
from builder.glance.decision import Decision
from builder.glance.description import Wishes
from builder.glance.images import Images
from builder.glance.source import LocalImage
from builder.glance.transfer import FINISH, Way
from builder.glance.upload import Situation, UploadRequest, UploadResult
from builder.report import Report
from builder.sizes import MIB

SUMMARY = "Upload an image to Glance and compare its hash."
EXAMPLE = """\
  openstack-builder upload out/jeos-fixture/jeos-fixture.qcow2 --cloud plane
  openstack-builder upload disk.qcow2 --name web --property os_distro=fedora --dry-run
  openstack-builder upload disk.qcow2 --name web --rotate 3 --cloud north --cloud south --json
  openstack-builder upload disk.qcow2 --disk-format raw --cloud ceph
  openstack-builder upload out/web/web.raw --cloud ceph

A cloud comes from clouds.yaml (--cloud, OS_CLOUD) or from OS_* variables. Properties come from the
manifest next to the image. Where the same bytes are there under this name, nothing is sent. An
upload that fails, or whose hash differs, is deleted from the cloud again (exit code 5).

--rotate KEEP: the image takes the name. The one before is renamed with its date and hidden once the new one
is there. Of the hidden ones the newest KEEP stay; the others are deleted, but for those that are protected or
that a server uses."""

METHODS = ("glance-direct", "web-download")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("image", metavar="IMAGE", type=Path, help=f"the file: {', '.join(FORMATS)}")
    parser.add_argument("--name", help="name on the cloud (default: the manifest's, or the file's)")
    parser.add_argument("--rotate", metavar="KEEP", type=_number("--rotate", 0, 10_000),
                        help="take over the name; hide the previous image, keep KEEP old ones")  # fmt: skip
    parser.add_argument(
        "--retries", metavar="N", type=_number("--retries", 0, 100), default=3,
        help="retries after a failure (default: 3)",
    )  # fmt: skip
    parser.add_argument(
        "--wait", metavar="SECONDS", type=_number("--wait", 1, 604_800), default=int(FINISH),
        help=f"for the cloud to hash, store or import (default: {FINISH:.0f})",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and stop")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    where = parser.add_argument_group("where to")
    where.add_argument("--cloud", metavar="NAME", action="append", default=[],
                       help="cloud of clouds.yaml (default: OS_CLOUD, OS_*); may be repeated")  # fmt: skip
    where.add_argument("--region", metavar="NAME", action="append", default=[],
                       help="region of each cloud (default: as configured); may be repeated")  # fmt: skip
    where.add_argument("--project", metavar="NAME", action="append", default=[],
                       help="project of each cloud (default: as configured); may be repeated")  # fmt: skip
    where.add_argument("--store", metavar="ID", help="store of the cloud (default: the cloud's own)")
    where.add_argument("--import", dest="method", choices=METHODS, metavar="METHOD",
                       help=f"have the cloud import it: {', '.join(METHODS)}")  # fmt: skip
    where.add_argument("--uri", metavar="URL", help="address from which web-download gets the same bytes")
    what = parser.add_argument_group("fields of the image")
    what.add_argument("--disk-format", metavar="FORMAT", choices=tuple(FORMATS),
                      help=f"convert it on the way: {', '.join(FORMATS)} (default: the file's)")  # fmt: skip
    what.add_argument(
        "--property",
        dest="properties",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="add a property to the manifest's, or replace one; an empty VALUE removes it",
    )
    what.add_argument("--no-check-properties", action="store_true",
                      help="accept properties that the cloud's definitions (metadefs) refuse")  # fmt: skip
    what.add_argument("--min-disk", metavar="GIB", type=_number("--min-disk", 0, 1 << 20),
                      help="smallest disk of a server (default: the size of the image)")  # fmt: skip
    what.add_argument("--min-ram", metavar="MIB", type=_number("--min-ram", 0, 1 << 30),
                      help="least memory of a server (default: 512 with a manifest)")  # fmt: skip
    what.add_argument("--tag", metavar="TAG", action="append", default=[], help="may be repeated")
    what.add_argument("--hidden", action="store_true", help="not shown in lists")
    what.add_argument("--protected", action="store_true", help="cannot be deleted")
    what.add_argument(
        "--visibility", choices=description.VISIBILITIES, help="who may use it (default: as the cloud has it)"
    )
    what.add_argument(
        "--owner", metavar="PROJECT", help="id of the project that owns it (for administrators)"
    )
    what.add_argument("--member", metavar="PROJECT", action="append", default=[],
                      help="id of a project that it is shared with; may be repeated")  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """An upload to one cloud: `cloud` is entered already, or why it could not be."""

    label: str
    cloud: Cloud | BuildError


def run(args: argparse.Namespace, context: Context) -> int:
    """Upload the image; return 0 when it is everywhere."""
    report = context.report
    _check(args)
    properties = description.parse_properties(args.properties)
    local = source.read(args.image)
    disk_format = args.disk_format or local.format
    if args.uri and disk_format != local.format:
        raise InputError("--disk-format: what --uri names cannot be converted")
    # Before minutes of hashing: a password may be wrong.
    jobs = _enter([entry.find_entry(wanted, report) for wanted in _places(args)])
    if not local.has_manifest:
        # The digest has to be known before the first request: by it the next run recognises the image.
        with report.step("hash", f"{local.size / MIB:.1f} MiB, no manifest next to it"):
            local = replace(local, digests=source.compute_digests(local.path))
    with converted(local, disk_format, context.runner, report) as sent:
        wanted = _wanted(args, local, sent, properties)
        if len(jobs) == 1:
            value, result = _one(jobs[0], args, sent, wanted, properties, report, threading.Event())
            _show(args, value, result, report)
            return 0
        return _several(jobs, args, sent, wanted, properties, report)


def _enter(places: Sequence[entry.CloudSettings]) -> list[Job]:
    """Authenticate with every cloud, at the same time.

    Raises:
        BuildError: the only one cannot be entered.
    """
    if len(places) == 1:
        return [Job(label=places[0].label, cloud=places[0].open())]
    with ThreadPoolExecutor(len(places)) as pool:
        entered = list(pool.map(_try_entry, places))
    return [Job(label=place.label, cloud=cloud) for place, cloud in zip(places, entered, strict=True)]


def _try_entry(place: entry.CloudSettings) -> Cloud | BuildError:
    try:
        return place.open()
    except BuildError as error:
        return error


def _check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    problems = []
    if (args.method == "web-download") is not (args.uri is not None):
        problems.append(Problem(message="--import web-download and --uri URL go together"))
    elif args.uri and not re.match(r"https?://[^/]", args.uri):
        problems.append(Problem(message="must begin with https:// (or http://)", where="--uri"))
    if args.member and args.visibility not in (None, "shared"):
        problems.append(Problem(message=f"--member shares an image, --visibility is {args.visibility}"))
    if args.rotate is not None and args.hidden:
        problems.append(
            Problem(message="--rotate and --hidden: the image that takes the name is always shown")
        )
    if problems:
        raise InputError(problems=problems)


def _places(args: argparse.Namespace) -> list[entry.CloudChoice]:
    """Return every cloud, in every region, for every project that is named."""
    named = [dict.fromkeys(each) or {None: None} for each in (args.cloud, args.region, args.project)]
    return [
        entry.CloudChoice(cloud=cloud, region=region, project=project)
        for cloud, region, project in product(*named)
    ]


def _wanted(
    args: argparse.Namespace, local: LocalImage, sent: LocalImage, properties: dict[str, str]
) -> UploadRequest:
    wishes = Wishes(
        min_disk=args.min_disk,
        min_ram=args.min_ram,
        hidden=args.hidden,
        protected=args.protected,
        owner=args.owner,
        tags=tuple(dict.fromkeys(args.tag)),
        disk_format=args.disk_format,
    )
    visibility = args.visibility or ("shared" if args.member else None)
    described = description.describe(
        replace(sent, path=local.path), name=args.name, visibility=visibility, properties=properties,
        wishes=wishes,
    )  # fmt: skip
    return UploadRequest(
        description=described,
        way=Way(method=args.method, uri=args.uri, store=args.store, wait=float(args.wait)),
        keep=args.rotate,
        members=tuple(dict.fromkeys(args.member)),
    )


def _one(
    job: Job,
    args: argparse.Namespace,
    local: LocalImage,
    wanted: UploadRequest,
    given: dict[str, str],
    report: Report,
    cancelled: threading.Event,
) -> tuple[dict[str, Any], UploadResult | None]:
    """Upload to one cloud, or look what would be done; return that as JSON, and how it ended."""
    if isinstance(job.cloud, BuildError):
        raise job.cloud
    images = Images(job.cloud, report, retries=args.retries)
    _check_offers(wanted, images)
    if not args.no_check_properties:
        _check_properties(wanted, given, images, report)
    situation = upload.examine(local, wanted, images, report)
    if args.dry_run:
        return _plan(wanted, situation, local, job.label), None
    result = upload.upload(local, wanted, situation, images, report, cancelled=cancelled)
    name = wanted.description.name
    if result.result == "already there":
        report.note(f"{name} is already there with these bytes ({result.compared}): nothing sent")
    elif result.compared.endswith(" equal"):
        report.note(f"{name} is active on {job.label}, {result.compared}")
    return result.as_json(job.label), result


def _check_offers(wanted: UploadRequest, images: Images) -> None:
    """Refuse a store or a way of import that the cloud does not have."""
    for option, value, what in (
        ("--store", wanted.way.store, "stores"),
        ("--import", wanted.way.method, "import"),
    ):
        if value is not None:
            offered = images.offered(what)
            if value not in offered:
                raise InputError(
                    f"cloud {images.cloud.name}: {option} {value}: not there",
                    hint=f"it has: {', '.join(offered)}" if offered else f"it offers no {what}",
                )


def _check_properties(wanted: UploadRequest, given: dict[str, str], images: Images, report: Report) -> None:
    """Hold the properties against the cloud's definitions: an error for the user's own, else a warning."""
    mine = {
        key: value
        for key, value in wanted.description.properties.items()
        if not key.startswith(description.OURS)
    }
    if not mine:
        return
    faults = list(metadefs.find_faults(mine, metadefs.read_definitions(images, mine)))
    own = [fault for fault in faults if (fault.where or "").partition("=")[0] in given]
    if own:
        raise InputError(
            problems=[replace(fault, where=f"--property {fault.where}") for fault in own],
            hint="--no-check-properties accepts it",
        )
    for fault in faults:
        report.warn(f"property {fault}")


def _several(
    jobs: Sequence[Job],
    args: argparse.Namespace,
    local: LocalImage,
    wanted: UploadRequest,
    given: dict[str, str],
    report: Report,
) -> int:
    """Upload to all clouds at the same time; one that fails keeps none of the others from it."""
    cancelled = threading.Event()
    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(_one, job, args, local, wanted, given, report, cancelled) for job in jobs]
        try:
            outcomes = [_outcome(each) for each in running]
        except BaseException:
            # Those under way take back what they have begun.
            cancelled.set()
            raise
    failures = [each for each in outcomes if isinstance(each, BuildError)]
    if args.json:
        report.json(
            [
                {"result": "failed", "cloud": job.label, "error": each.message}
                if isinstance(each, BuildError)
                else each[0]
                for job, each in zip(jobs, outcomes, strict=True)
            ]
        )
    else:
        report.table(
            ("cloud", "result", "image"), [_row(job, each) for job, each in zip(jobs, outcomes, strict=True)]
        )
    if failures:
        raise joined(failures)
    return 0


def _outcome(future: Any) -> tuple[dict[str, Any], UploadResult | None] | BuildError:
    try:
        value: tuple[dict[str, Any], UploadResult | None] = future.result()
    except BuildError as error:
        return error
    return value


def _row(job: Job, outcome: tuple[dict[str, Any], UploadResult | None] | BuildError) -> tuple[str, str, str]:
    if isinstance(outcome, BuildError):
        return job.label, "failed", "-"
    value, _ = outcome
    return job.label, str(value["result"]), str((value.get("image") or {}).get("id") or "-")


def _show(
    args: argparse.Namespace, value: dict[str, Any], result: UploadResult | None, report: Report
) -> None:
    """Print how the upload to the only cloud ended."""
    if args.json:
        report.json(value)
    elif result is not None:
        report.result(result.image.id)
    else:
        image = (value["image"] or {}).get("id")
        report.note(f"{value['result']}{f' (image {image})' if image else ''}; nothing is changed")
        rows = [("cloud", value["cloud"]), ("size", value["size"]), *value["fields"].items()]
        rows += [
            (f"would be {what}", ", ".join(ids) or "-") for what, ids in value.get("rotation", {}).items()
        ]
        report.table(["field", "value"], rows)


def _plan(wanted: UploadRequest, situation: Situation, local: LocalImage, cloud: str) -> dict[str, Any]:
    action, image = _action(situation.decision)
    value: dict[str, Any] = {
        "result": action,
        "cloud": cloud,
        "image": {"id": image} if image else None,
        "fields": wanted.description.fields(),
        "size": local.size,
    }
    if situation.family is not None and wanted.keep is not None:
        old = [each for each in situation.family.current if each.id != image]
        candidates = rotation.beyond((*situation.family.rotated, *old), wanted.keep)
        value["rotation"] = {
            "renamed and hidden": [each.id for each in old],
            "deleted, if not used": [each.id for each in candidates],
        }
    return value


def _action(decision: Decision) -> tuple[str, str | None]:
    """Return what would be done, and the id of the image that it would be done about."""
    if decision.finished:
        return "already there", decision.finished.id
    if decision.busy:
        return "busy", decision.busy.id
    if decision.reuse:
        return "would send to the orphan of a killed upload", decision.reuse.id
    return "would create and send", None


def _number(option: str, low: int, high: int) -> Any:
    """Return a reader of whole numbers for an option."""

    def read(word: str) -> int:
        if not re.fullmatch(r"[0-9]+", word) or not low <= int(word) <= high:
            raise InputError(f"{option} {word}: not a number from {low} to {high}")
        return int(word)

    return read
