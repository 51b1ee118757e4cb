# SPDX-License-Identifier: MIT
"""The bootstrap: the target's own rpm installs the packages, for a database that the host's rpm cannot write.

The host's dnf chooses and installs a second tree, of that rpm and what it requires. That rpm, in a room of
its own, then makes the image's database and installs what dnf chose for the image: format, macros and what
scriptlets find around them are the target's. mock goes the same way (its docs/Feature-bootstrap.md).

The second tree is a kept one like the others (`builder.image.cache.trees`).
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from builder.calls import MS_NODEV, MS_NOSUID
from builder.errors import BuildError, several
from builder.image.build import BOOTSTRAP, Build, Facts, failure
from builder.image.cache import trees
from builder.image.isolation import mounts, sandbox
from builder.image.packages import dnf, rpmdb
from builder.kickstart.plan import Disk, Elements, Packages, Partition
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB

# Inside, the archive of the second tree.
ARCHIVE = Path("/bootstrap.tar")
# MiB that it may take: ten times what rpm with all that it requires takes.
_ROOM = 3072
# From 4.19 on rpm makes the accounts that packages declare, by sysusers.sh: what that runs.
_FOR_SYSUSERS = ("bash", "coreutils", "findutils", "grep", "shadow-utils")

# A scriptlet whose failure keeps no package from being installed; rpm 6.1 has an exit status for it.
_SCRIPTLET = re.compile(r"warning: %\w+\(.+\) scriptlet failed, ")


def plan(build: Build) -> Build:
    """Return the build of the tree with the target's rpm: the same repositories and keys, no scripts."""
    names = ("rpm", *(_FOR_SYSUSERS if build.target.rpm.is_at_least("4.19") else ()))
    only = replace(
        build.plan,
        packages=Packages(names=names, core=False, docs=False, weak=False, languages=()),
        disk=Disk(partitions=(Partition(mountpoint="/", fstype="ext4", size=_ROOM),), size=_ROOM + 2),
        scripts=(),
        elements=Elements(),
    )
    # Its stages are parts of one step of the image's build.
    report = Report(quiet=True, verbose=build.report.is_verbose, debug=build.report.is_debug)
    return replace(
        build,
        plan=only,
        request=dnf.make_request(only, build.target),
        facts=Facts(),
        report=report,
        runner=Runner(report),
    )


def unpack(build: Build) -> None:
    """Have the tree with the target's rpm, inside, in memory."""
    BOOTSTRAP.mkdir()
    room = f"mode=755,size={ARCHIVE.stat().st_size + 128 * MIB},nr_inodes=200k"
    mounts.mount("bootstrap", os.fspath(BOOTSTRAP), "tmpfs", MS_NOSUID | MS_NODEV, room)
    trees.unpack_archive(build, ARCHIVE, BOOTSTRAP)


def install(build: Build) -> None:
    """Install the packages that were chosen into the tree, whose database knows the keys by now.

    Raises:
        BuildError: a package is not signed by one of the keys, or is damaged; the target's rpm failed.
        InputError: the disk is too small.
    """
    packages = build.facts.packages
    paths = [package.path for package in packages]
    _verify(build, paths)
    argv = ["rpm", "--install", *_options(build), *paths]
    done = sandbox.run_on_tree(build, argv, ok=(), packages=len(packages))
    build.written(f"+ {' '.join(argv)}\n{done.stdout}{done.stderr}")
    said = done.stderr.splitlines()
    # What rpm finds wrong before it begins is in lines with a tab (lib/rpmps.c).
    wrong = [line.removeprefix("error:").strip() for line in said if line.startswith(("error:", "\t"))]
    if done.returncode and not any(map(_SCRIPTLET.match, said)):
        raise _failed(build, "transaction", several(wrong) or f"exit status {done.returncode}")
    missing = {one.nevra for one in packages} - {one.nevra for one in rpmdb.installed(build)}
    if missing:
        reasons = wrong if done.returncode and wrong else [f"not installed: {several(sorted(missing), ', ')}"]
        raise _failed(build, "transaction", several(reasons))
    for line in said:
        if line.startswith("warning: "):
            build.warn(line.removeprefix("warning: "))


def _verify(build: Build, paths: list[str]) -> None:
    """Have the host's rpm check signatures and digests as in any build: an old rpm takes unsigned packages.

    It knows the keys from the database that it wrote into the tree with the target's rpm.
    """
    database = BOOTSTRAP / str(build.target.rpm.dbpath).lstrip("/")
    level = build.request["macros"]["_pkgverify_level"]
    argv = ["rpmkeys", "--dbpath", str(database), "--define", f"_pkgverify_level {level}", "--checksig"]
    done = sandbox.run_by_host(build, [*argv, *paths], ok=())
    build.written(done.stdout + done.stderr)
    if done.returncode:
        wrong = [line for line in done.stdout.splitlines() if "NOT OK" in line]
        raise _failed(build, "verify", several(wrong) or done.stderr.strip())


def _options(build: Build) -> list[str]:
    """Return what the request to dnf's worker says, as rpm's options."""
    words = rpmdb.options(build)
    for name, value in build.request["macros"].items():
        words += ["--define", f"{name} {value}"]
    if not build.request["docs"]:
        words.append("--excludedocs")
    if build.target.rpm.is_at_least("4.14"):
        words.append("--noplugins")
    return words


def _failed(build: Build, kind: str, message: str) -> BuildError:
    program = f"rpm of {build.target.name}"
    return failure({"kind": kind, "message": message, "program": program}, build.plan, build.log)
