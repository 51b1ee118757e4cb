# SPDX-License-Identifier: MIT
"""Builds one package for one target with this host's rpmbuild and the target's macros.

rpmbuild gets a topdir and a home of its own, so that nothing of the user's settings takes part. The
artifacts stand in the target's folder only when all of them are there; then the manifest is written.

rpm (4.17 and later) puts the spec with all macros expanded into the source RPM, %{buildroot} and so the
path of the topdir among them. So that the same input gives the same bytes wherever it is built, rpmbuild
knows the topdir by one name only: that of a file descriptor it inherits.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from builder.data import show_path
from builder.errors import BuildError, CommandFailed, InputError
from builder.files import cache_folder, digest_of, explain, locked, work_folder, write_atomic
from builder.rpm.macros import macro_files, render_macros
from builder.rpm.manifest import (
    Artifact,
    Manifest,
    are_intact,
    describe,
    read_manifest,
    write_manifest,
)
from builder.rpm.packages import Package
from builder.rpm.sources import Source, digest_of_sources, make_archive
from builder.runner import Runner
from builder.targets import Target

# Part of the digest of the inputs: raised when this module builds other bytes from the same input.
RECIPE = 1

# High enough to be nobody's: shells take 10 and up for themselves, and 255.
_DESCRIPTOR = 198
TOPDIR = Path(f"/proc/self/fd/{_DESCRIPTOR}")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildPlan:
    """Everything that decides the bytes of a build, and where they go."""

    package: Package
    target: Target
    sources: tuple[Source, ...]
    epoch: int
    rpm: str
    macros: tuple[Path, ...]
    own_macros: str
    check: bool
    folder: Path

    @property
    def inputs(self) -> str:
        """The digest of everything that decides the bytes."""
        return digest_of(
            {
                "recipe": RECIPE,
                "spec": self.package.text,
                "sources": digest_of_sources(self.sources),
                "epoch": self.epoch,
                "rpm": self.rpm,
                "macros": [path.read_text(encoding="utf-8") for path in self.macros],
                "own_macros": self.own_macros,
            }
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildResult:
    """What a build gave; `changed` is False when the earlier one was still good."""

    manifest: Manifest
    folder: Path
    changed: bool
    seconds: float

    def paths(self, *, source: bool, binary: bool) -> tuple[Path, ...]:
        """Return the paths of the artifacts asked for."""
        return tuple(
            self.folder / artifact.path
            for artifact in self.manifest.artifacts
            if (source if artifact.source else binary)
        )


def plan_build(
    package: Package,
    target: Target,
    *,
    sources: tuple[Source, ...],
    epoch: int,
    rpm: str,
    out: Path,
) -> BuildPlan:
    """Return what a build is going to do. %check is left out where its interpreter is not on this host."""
    interpreter = target.python.interpreter if target.python else None
    return BuildPlan(
        package=package,
        target=target,
        sources=sources,
        epoch=epoch,
        rpm=rpm,
        macros=macro_files(target),
        own_macros=render_macros(target),
        check=interpreter is not None and interpreter.exists(),
        folder=out / target.name,
    )


def build(plan: BuildPlan, *, binary: bool, runner: Runner) -> BuildResult:
    """Build the source RPM, and with `binary` the RPMs too, unless the last build had the same input.

    Raises:
        InputError: rpm cannot parse the spec.
        CommandFailed: a script of the spec failed, or what it installed is not what it lists.
        PermissionMissing: the output folder cannot be written.
    """
    started = time.monotonic()
    package = plan.package.name
    _prepare_folder(plan.folder)
    with locked(plan.folder / ".lock"):
        earlier = read_manifest(plan.folder, package)
        if earlier and earlier.inputs == plan.inputs:
            enough = bool(earlier.binaries()) or not binary
            if enough and are_intact(plan.folder, earlier.artifacts):
                return _result(plan, earlier, changed=False, started=started)
        log = plan.folder / f"{package}.log"
        with work_folder(cache_folder("rpmbuild"), package) as topdir:
            artifacts = _run_rpmbuild(plan, topdir, binary=binary, log=log, runner=runner)
        for artifact in earlier.artifacts if earlier else ():
            if artifact.path not in {new.path for new in artifacts}:
                (plan.folder / artifact.path).unlink(missing_ok=True)
        manifest = Manifest(
            package=package,
            target=plan.target.name,
            version=plan.package.version,
            source_date_epoch=plan.epoch,
            rpm=plan.rpm,
            inputs=plan.inputs,
            artifacts=artifacts,
        )
        write_manifest(plan.folder, manifest)
    return _result(plan, manifest, changed=True, started=started)


def rpmbuild_command(plan: BuildPlan, *, binary: bool) -> list[str | os.PathLike[str]]:
    """Return the command line of rpmbuild, to be run with the topdir as TOPDIR.

    BuildRequires are not looked at (--nodeps): this host's rpm database is not the target's, and a
    noarch build of ours needs no more than a shell, sed and, for %check, Python.
    """
    argv: list[str | os.PathLike[str]] = ["rpmbuild", "-ba" if binary else "-bs", "--nodeps"]
    for path in (*plan.macros, TOPDIR / "macros"):
        argv += ["--load", path]
    argv += ["--define", f"_topdir {TOPDIR}", "--define", f"_tmppath {TOPDIR / 'tmp'}"]
    if not plan.check:
        argv += ["--without", "check"]
    return [*argv, TOPDIR / "SPECS" / plan.package.spec.name]


def _run_rpmbuild(
    plan: BuildPlan, topdir: Path, *, binary: bool, log: Path, runner: Runner
) -> tuple[Artifact, ...]:
    name = f"{plan.package.name}-{plan.package.version}"
    archive = make_archive(plan.sources, prefix=name, epoch=plan.epoch)
    for folder in ("SOURCES", "SPECS", "tmp"):
        (topdir / folder).mkdir()
    # A source RPM keeps the times and modes of what it holds.
    for path, data in (
        (topdir / "SOURCES" / f"{name}.tar.gz", archive),
        (topdir / "SPECS" / plan.package.spec.name, plan.package.text.encode()),
    ):
        path.write_bytes(data)
        path.chmod(0o644)
        os.utime(path, (plan.epoch, plan.epoch))
    (topdir / "macros").write_text(plan.own_macros, encoding="utf-8")
    fresh = topdir / "rpmbuild.log"
    environment = {
        "HOME": str(TOPDIR),
        "SOURCE_DATE_EPOCH": str(plan.epoch),
        "TMPDIR": str(TOPDIR / "tmp"),
        # Not a macro: rpm puts what those expand to into the source RPM.
        "BUILDER_PYTHON": sys.executable,
    }
    descriptor = os.open(topdir, os.O_RDONLY | os.O_DIRECTORY)
    _hold_number()

    def take_number() -> None:
        os.dup2(descriptor, _DESCRIPTOR)

    try:
        runner.run(
            rpmbuild_command(plan, binary=binary),
            env=environment,
            log=fresh,
            pass_fds=(descriptor, _DESCRIPTOR),
            preexec=take_number,
        )
    except CommandFailed as error:
        raise explain_failure(plan, fresh.read_text(errors="replace"), log) from error
    finally:
        os.close(descriptor)
        if fresh.exists():
            write_atomic(log, fresh.read_bytes())
    built = sorted([*topdir.glob("SRPMS/*.rpm"), *topdir.glob("RPMS/*/*.rpm")])
    for path in built:
        write_atomic(plan.folder / path.name, path.read_bytes())
    return tuple(describe(path) for path in built)


def explain_failure(plan: BuildPlan, text: str, log: Path) -> BuildError:
    """Return the error that tells rpmbuild's own reason, out of its output.

    An error of parsing is told with the line of the spec; one of a script with the last line it printed.
    """
    spec = show_path(plan.package.spec)
    lines = text.replace(f"{TOPDIR}/BUILDROOT", "BUILDROOT").splitlines()
    at = next((index for index, line in enumerate(lines) if line.startswith("error: ")), None)
    if at is None:
        return CommandFailed(f"rpmbuild failed for {plan.package.name} on {plan.target.name}", log=log)
    reason = lines[at].removeprefix("error: ")
    if match := re.match(r"(?:\S+\.spec: )?line (\d+): (.*)", reason):
        return InputError(f"{spec}:{match[1]}: {match[2]} ({plan.target.name})", log=log)
    if match := re.match(r"Bad exit status from \S+ \((%\w+)\)", reason):
        said = [line for line in lines[:at] if line.strip() and not line.startswith("+ ")]
        reason = f"{match[1]} failed" + (f": {said[-1].strip()}" if said else "")
    elif reason.endswith(":"):
        # "Installed (but unpackaged) file(s) found:", and the files below it.
        for line in lines[at + 1 :]:
            if not line.startswith(" "):
                break
            reason += f" {line.strip()}"
    reason = re.sub(r"BUILDROOT/[^/\s]+", "", reason)
    return CommandFailed(
        f"rpmbuild failed for {plan.package.name} on {plan.target.name}: {reason}",
        hint=f"see {spec}, and the log",
        log=log,
    )


def rpm_version(runner: Runner) -> str:
    """Return the version of this host's rpm, which is part of what decides the bytes."""
    return runner.run(["rpmbuild", "--version"]).stdout.split()[-1]


def _prepare_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
    except OSError as error:
        raise explain(error, folder) from error


def _hold_number() -> None:
    """Keep the number of the descriptor taken here, so that a child may have it.

    A child closes what it was not told to keep, and what it keeps must be open before the fork; in the
    child the topdir takes the number's place.
    """
    try:
        fcntl.fcntl(_DESCRIPTOR, fcntl.F_GETFD)
    except OSError:
        null = os.open(os.devnull, os.O_RDONLY)
        fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, _DESCRIPTOR)
        os.close(null)


def _result(plan: BuildPlan, manifest: Manifest, *, changed: bool, started: float) -> BuildResult:
    return BuildResult(
        manifest=manifest, folder=plan.folder, changed=changed, seconds=time.monotonic() - started
    )
