# SPDX-License-Identifier: MIT
"""The other engine: diskimage-builder makes the disk of a plan, and the result is as that of ours.

What it mounts is in a mount namespace of its own, and ends with it; loop devices have no namespace, and are
taken away by name. Everything else of it (its home, its caches but for packages) is in the work folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from builder import tools
from builder.dib import reading
from builder.dib.disk import check_readable
from builder.dib.export import export_plan
from builder.dib.host import check_host
from builder.dib.serving import served
from builder.errors import CommandFailed
from builder.files import (
    cache_folder,
    digest_of,
    make_folder,
    work_folder,
    write_atomic,
)
from builder.image.build import Build, BuildOptions, Facts
from builder.image.engine import with_epoch
from builder.image.fingerprint import slow_digest, take_fingerprint
from builder.image.finished import FinishedImage, expect, is_current, log_of
from builder.image.packages import repomd
from builder.image.publish import log_kept, publish
from builder.image.stages import convert
from builder.kickstart.plan import ImagePlan
from builder.report import Report
from builder.runner import Child, Runner
from builder.targets import Target

LONGEST = 2 * 3600.0
# What it says of its end, whatever the reason.
_TEARDOWN = re.compile(r"Unmount |Traceback |\s|subprocess\.|INFO |rm: cannot remove|Mountpoint ")


def build_image(
    plan: ImagePlan,
    target: Target,
    options: BuildOptions,
    elements: tuple[str, ...],
    report: Report,
    runner: Runner,
) -> FinishedImage:
    """Build the image of `plan` by diskimage-builder, or find that it is built already.

    Args:
        elements: more of its elements, by name.

    Raises:
        InputError: the plan cannot be said in elements.
        PermissionMissing, ToolMissing: what this host lacks.
        CommandFailed: diskimage-builder failed.
    """
    check_readable(plan)
    export_plan(plan, target)
    program = check_host(report, runner)
    states = repomd.read_states(plan)
    ours = take_fingerprint(plan, target, options, states)
    variables = [(name, slow_digest(value)) for name, value in sorted(_given().items())]
    fingerprint = digest_of(["diskimage-builder", _version(program, runner), elements, variables, ours])
    result = expect(plan, options)
    # What its elements hold is not known here.
    if not elements and is_current(result, fingerprint):
        return result
    with work_folder(options.out, plan.name, keep=options.keep) as work:
        build = Build(
            plan=plan, target=target, options=with_epoch(options, states), report=report,
            runner=runner, work=work, disk=work / "disk.raw", fingerprint=fingerprint, seed=fingerprint,
            request={},
        )  # fmt: skip
        with log_kept(build, log_of(build.plan, build.options)):
            _run(build, program, elements)
            build.facts = _read(build)
            with report.step("convert") as step:
                build.step = step
                step.detail = convert.run(build)
            publish(build, result, states)
    return replace(result, unchanged=False)


def _version(program: Path, runner: Runner) -> str:
    """Return what diskimage-builder calls its version."""
    return runner.run([program, "--version"], ok=()).stdout.strip()


def _run(build: Build, program: Path, elements: tuple[str, ...]) -> None:
    """Run diskimage-builder; its raw disk becomes the build's."""
    began = time.monotonic()
    folder = build.work / "dib"
    with served(build.plan) as plan, build.report.step("diskimage-builder") as step:
        exported = export_plan(plan, build.target, types=("raw",), more=(*elements, reading.ELEMENT))
        make_folder(folder)
        for file in (*exported.files, reading.element(build.target)):
            write_atomic(folder / file.path, file.text, mode=0o755 if file.executable else 0o644)
        with _loops_removed(build):
            try:
                build.runner.run(
                    [
                        *(tools.find("unshare"), "--mount", "--propagation", "private"),
                        *("--pid", "--fork", "--kill-child", "--mount-proc"),
                        folder / "build",
                    ],
                    env=_environment(build, program),
                    log=build.log,
                    timeout=LONGEST,
                    child=Child(cwd=folder, group=True),
                )
            except CommandFailed as error:
                raise _explain(error, build) from error
        step.detail = f"{', '.join((build.target.dib.element, *elements)) if build.target.dib else ''}"
    (folder / f"{plan.name}.raw").rename(build.disk)
    build.facts.stages.append(("diskimage-builder", round(time.monotonic() - began, 3)))


def _given() -> dict[str, str]:
    """Return what elements get of the user's environment."""
    return {name: value for name, value in os.environ.items() if name.startswith("DIB_")}


def _environment(build: Build, program: Path) -> dict[str, str]:
    """Return its environment: nothing of the user's but DIB_* and ELEMENTS_PATH."""
    work = build.work
    for name in ("home", "tmp"):
        (work / name).mkdir()
    path = os.environ.get("PATH", os.defpath)
    return {
        **_given(),
        "PATH": f"{program.parent}:{path}:/usr/sbin:/sbin",
        "ELEMENTS_PATH": os.environ.get("ELEMENTS_PATH", ""),
        "HOME": str(work / "home"),
        "USER": "root",
        "TMPDIR": str(work / "tmp"),
        "TMP_DIR": str(work / "tmp"),
        "DIB_IMAGE_CACHE": str(cache_folder("dib")),
        "DIB_NO_TIMESTAMP": "1",
        reading.FOLDER: str(work / "facts"),
        "no_proxy": ",".join(filter(None, (os.environ.get("no_proxy"), "127.0.0.1"))),
        "XDG_CACHE_HOME": "",
        "VIRTUAL_ENV": "",
    }


def _explain(error: CommandFailed, build: Build) -> CommandFailed:
    """Return the error with the phase, and what was said before diskimage-builder took its mounts away."""
    text = build.log.read_text(errors="replace") if build.log.exists() else ""
    lines = [line for line in text.splitlines() if line.strip() and not _TEARDOWN.match(line)]
    ran = re.findall(r"(?m)^dib-run-parts Running \S*/(\w[\w-]*\.d/\S+)$", text)
    where = f" in {ran[-1]}" if ran else ""
    return CommandFailed(
        f"diskimage-builder failed{where}: {lines[-1].strip() if lines else error.message}",
        hint="the log has its whole output",
        log=build.log,
    )


@contextlib.contextmanager
def _loops_removed(build: Build) -> Iterator[None]:
    """Detach the loop devices on disks in the work folder in the end: a run that is stopped leaves them."""
    try:
        yield
    finally:
        for path in Path("/sys/block").glob("loop*/loop/backing_file"):
            with contextlib.suppress(OSError):
                # Unmounted with its namespace, the folder is gone from the path.
                lies = path.read_text().strip().removesuffix(" (deleted)")
                if lies.startswith(f"{build.work}/") or lies == "/image0.raw":
                    device = f"/dev/{path.parents[1].name}"
                    build.runner.run([tools.find("losetup"), "--detach", device], ok=())


def _read(build: Build) -> Facts:
    """Read back what was made."""
    with build.report.step("read back") as step:
        stages = build.facts.stages
        facts = reading.read_facts(build.plan, build.work / "facts", build.disk, build.runner)
        facts.stages = stages
        step.detail = f"{len(facts.packages)} packages, {len(build.plan.disk.partitions)} partitions"
    return facts
