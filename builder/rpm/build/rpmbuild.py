# SPDX-License-Identifier: MIT
"""Runs this host's rpmbuild with the target's macros.

rpmbuild gets a topdir and a home of its own, so that nothing of the user's settings takes part.

rpm (4.17 and later) puts the spec with all macros expanded into the source RPM, %{buildroot} and so the
path of the topdir among them. So that the same input gives the same bytes wherever it is built, rpmbuild
knows the topdir by one name only: a file descriptor that it inherits.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from builder.download import fetch_all
from builder.errors import CommandFailed
from builder.rpm.build.archive import make_archive
from builder.rpm.build.failure import explain_failure
from builder.rpm.build.plan import BuildPlan
from builder.rpm.spec.macros import macro_options, target_macros
from builder.rpm.spec.parse import condition_options
from builder.runner import Child, Runner

# High enough to be nobody's: shells take 10 and up for themselves, and 255.
_DESCRIPTOR = 198
TOPDIR = Path(f"/proc/self/fd/{_DESCRIPTOR}")


def run_rpmbuild(
    plan: BuildPlan, topdir: Path, *, binary: bool, log: Path, runner: Runner
) -> tuple[Path, ...]:
    """Build below `topdir`, an empty folder; return the RPMs.

    Args:
        log: gets what rpmbuild says, appended.

    Raises:
        InputError: rpm cannot parse the spec; a source does not match its sha256.
        CommandFailed: a script of the spec failed, or what it installed is not what it lists.
        RemoteError: a source cannot be got.
    """
    for folder in ("SOURCES", "SPECS", "tmp"):
        (topdir / folder).mkdir()
    _put(topdir / "SPECS" / plan.package.spec.name, plan.package.text.encode(), plan.epoch)
    for name, data in _source_files(plan, runner).items():
        _put(topdir / "SOURCES" / name, data, plan.epoch)
    (topdir / "macros").write_text(target_macros(plan.target), encoding="utf-8")
    descriptor = os.open(topdir, os.O_RDONLY | os.O_DIRECTORY)
    _hold_number()

    def take_number() -> None:
        os.dup2(descriptor, _DESCRIPTOR)

    try:
        runner.run(
            rpmbuild_command(plan, runner, binary=binary),
            env={
                "HOME": str(TOPDIR),
                "SOURCE_DATE_EPOCH": str(plan.epoch),
                "TMPDIR": str(TOPDIR / "tmp"),
                # Not a macro: rpm puts what those expand to into the source RPM.
                "BUILDER_PYTHON": sys.executable,
            },
            log=log,
            child=Child(pass_fds=(descriptor, _DESCRIPTOR), preexec=take_number, group=True),
        )
    except CommandFailed as error:
        text = log.read_text(errors="replace")
        raise explain_failure(
            plan.package, plan.target, text, buildroot=f"{TOPDIR}/BUILDROOT", log=log
        ) from error
    finally:
        os.close(descriptor)
    return tuple(sorted([*topdir.glob("SRPMS/*.rpm"), *topdir.glob("RPMS/*/*.rpm")]))


def rpmbuild_command(plan: BuildPlan, runner: Runner, *, binary: bool) -> list[str | os.PathLike[str]]:
    """Return the command line of rpmbuild, to be run with the topdir as TOPDIR.

    BuildRequires are not looked at (--nodeps): this host's rpm database is not the target's.
    """
    return [
        *("rpmbuild", "-ba" if binary else "-bs", "--nodeps"),
        *macro_options(TOPDIR / "macros", runner),
        *("--define", f"_topdir {TOPDIR}", "--define", f"_tmppath {TOPDIR / 'tmp'}"),
        *condition_options(plan.settings.conditions, plan.without),
        TOPDIR / "SPECS" / plan.package.spec.name,
    ]


def rpm_version(runner: Runner) -> str:
    """Return the version of this host's rpm, which is part of what decides the bytes."""
    return runner.run(["rpmbuild", "--version"]).stdout.split()[-1]


def _source_files(plan: BuildPlan, runner: Runner) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in plan.sources.local}
    files |= {path.name: path.read_bytes() for path in fetch_all(plan.sources.remote, runner)}
    if plan.sources.made:
        prefix = f"{plan.package.name}-{plan.package.version}"
        files[plan.sources.made] = make_archive(plan.archive, prefix=prefix, epoch=plan.epoch)
    return files


def _put(path: Path, data: bytes, epoch: int) -> None:
    """Write a file with the mode and the time that a source RPM is to keep."""
    path.write_bytes(data)
    path.chmod(0o644)
    os.utime(path, (epoch, epoch))


def _hold_number() -> None:
    """Keep the number of the descriptor taken here, so that a child may have it.

    A child closes what it is not asked to keep, and what it keeps must be open before the fork; in the
    child the topdir takes the number's place.
    """
    try:
        fcntl.fcntl(_DESCRIPTOR, fcntl.F_GETFD)
    except OSError:
        null = os.open(os.devnull, os.O_RDONLY)
        fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, _DESCRIPTOR)
        os.close(null)
