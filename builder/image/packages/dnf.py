# SPDX-License-Identifier: MIT
"""Talk to dnf or libdnf5: write the request, run the worker under the system's Python, read its answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import http, json_text, tools
from builder.errors import BuildError, InputError
from builder.idmap import is_root
from builder.image.build import Build, failure
from builder.image.isolation import sandbox
from builder.image.isolation.namespaces import Bind
from builder.image.isolation.wire import WireError, pack, unpack
from builder.image.packages.choice import ChosenPackage
from builder.kickstart.addresses import local_path
from builder.kickstart.plan import ImagePlan, Repository
from builder.targets import Target

# A package causes one or two; scriptlets may speak in the worker's place.
MOST_EVENTS = 100_000

# Starts a program with a text for its stdin, and yields the lines of its stdout.
Start = Callable[[Sequence[str], str], Iterator[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spec:
    name: str
    nearest: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Event:
    """What an event of the worker may have; which has what is at its top."""

    event: str
    packages: tuple[ChosenPackage, ...] = ()
    installed_size: int = 0
    what: str = ""
    done: int = 0
    total: int = 0
    kind: str = ""
    message: str = ""
    specs: tuple[_Spec, ...] = ()
    details: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


WORKER = Path(__file__).parent / "dnfworker"
# The modules of dnf, libdnf5 and rpm belong to the system's Python, not to ours.
SYSTEM_PYTHONS = (Path("/usr/bin/python3"), Path("/usr/libexec/platform-python"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Solver:
    """What chooses the packages: the Python that has its module, and our program for it."""

    name: str
    python: Path
    program: str


# The module, how a host has it, and the program; the first that is there is taken. They choose the same.
SOLVERS = {
    "dnf": ("dnf/__init__.py", "dnf4.py"),
    "libdnf5": ("libdnf5/__init__.py", "dnf5.py"),
}


def find_solver(wanted: str | None = None) -> Solver:
    """Return the solver `wanted`, or the first that this host has.

    Raises:
        ToolMissing: it is not there, or none is.
    """
    for name, (module, program) in SOLVERS.items():
        if wanted not in (None, name):
            continue
        # dist-packages on Debian; on Fedora and EL site-packages, in lib64 where a part is compiled.
        installed = any(
            found
            for lib in ("lib", "lib64")
            for found in Path("/usr", lib).glob(f"python3*/*-packages/{module}")
        )
        for python in SYSTEM_PYTHONS:
            if installed and python.exists():
                return Solver(name=name, python=python, program=program)
    raise tools.missing("python3-libdnf5" if wanted == "libdnf5" else "python3-dnf")


def make_request(plan: ImagePlan, target: Target) -> dict[str, Any]:
    """Return the request that every run of the worker for `plan` begins with."""
    packages = plan.packages
    languages = packages.languages
    macros = {
        "_dbpath": str(target.rpm.dbpath),
        # Not ours to own: rpm would fail to chown what is mounted there.
        "_netsharedpath": "/proc:/sys:/dev:/run",
        "_pkgverify_level": "all" if plan.gpgcheck else "digest",
        # Scriptlets find first what the build does itself: grub2-pc of Fedora 45 runs grub2-install.
        "_install_script_path": f"{sandbox.SHIMS}:/sbin:/bin:/usr/sbin:/usr/bin",
    }
    if languages is not None:
        macros["_install_langs"] = ":".join(languages) or "none"
    return {
        "root": "/tree",
        "cache": "/cache",
        "logs": "/tmp",
        "patience": int(http.TIMEOUT),
        "slowest": http.SLOWEST,
        "until": "fetch",
        "offline": False,
        "releasever": plan.releasever,
        "architecture": plan.architecture,
        "module_platform_id": f"platform:{target.dist.lstrip('.')}",
        "macros": macros,
        "docs": packages.docs,
        "weak": packages.weak,
        "ignore_missing": packages.ignore_missing,
        "core": packages.core,
        "names": list(packages.names),
        "added": list(packages.added),
        "added_groups": list(packages.added_groups),
        "groups": list(packages.groups),
        "optional_groups": list(packages.optional_groups),
        "mandatory_groups": list(packages.mandatory_groups),
        "environment": packages.environment,
        "excluded": list(packages.excluded),
        "excluded_groups": list(packages.excluded_groups),
        "repositories": [_repository(plan, repo, number) for number, repo in enumerate(plan.repositories)],
    }


def repository_binds(plan: ImagePlan) -> tuple[Bind, ...]:
    """Return where the folders of file: repositories, and lists of mirrors in files, are mounted inside."""
    binds = []
    for number, repo in enumerate(plan.repositories):
        for place, url in enumerate(repo.baseurl):
            folder = local_path(plan.filled_in(url))
            if folder is not None:
                if not (folder / "repodata/repomd.xml").is_file():
                    raise BuildError(
                        f"repository {repo.name}: {folder} has no repodata/repomd.xml",
                        hint="run createrepo_c on the folder",
                    )
                _check_readable(repo.name, folder)
                binds.append(Bind(source=folder, target=f"/repos/{number}.{place}"))
        for kind, listed in (("mirrorlist", repo.mirrorlist), ("metalink", repo.metalink)):
            path = local_path(plan.filled_in(listed)) if listed else None
            if path is not None:
                binds.append(Bind(source=path, target=f"/repos/{number}.{kind}"))
    return tuple(binds)


def _check_readable(name: str, folder: Path) -> None:
    """Refuse a folder that the ids inside cannot read: root's build runs with ids that own nothing."""
    mode = folder.stat().st_mode
    if is_root() and mode & 0o005 != 0o005:
        raise InputError(
            f"repository {name}: {folder} can be read by its owner only (mode {mode & 0o7777:04o})",
            hint=f"a build does not run with root's ids: chmod -R a+rX {folder}",
        )


def _repository(plan: ImagePlan, repo: Repository, number: int) -> dict[str, Any]:
    def inside(url: str | None, place: object) -> str | None:
        is_here = url and local_path(plan.filled_in(url)) is not None
        return f"file:///repos/{number}.{place}" if is_here else url

    return {
        "name": repo.name,
        "baseurl": [inside(url, place) for place, url in enumerate(repo.baseurl)],
        "mirrorlist": inside(repo.mirrorlist, "mirrorlist"),
        "metalink": inside(repo.metalink, "metalink"),
        "cost": repo.cost,
        "proxy": repo.proxy,
        "includes": list(repo.includes),
        "excludes": list(repo.excludes),
        "verify_tls": repo.verify_tls,
        "groups": repo.groups,
    }


def read_worker() -> dict[str, bytes]:
    """Return the worker's files by name: root inside may not be able to read where they lie."""
    return {source.name: source.read_bytes() for source in WORKER.glob("*.py")}


def ask(build: Build, *, start: Start, **changes: object) -> Iterator[dict[str, Any]]:
    """Run the worker with the build's request, `changes` applied; yield its events.

    Warnings go to the user, an `error` event is raised.

    Args:
        start: starts a program in its room and yields its lines.
    """
    solver = find_solver(build.options.solver)
    argv = [os.fspath(solver.python), "-B", "-s", os.fspath(build.work / "dnfworker" / solver.program)]
    ended = False
    for number, line in enumerate(start(argv, json.dumps({**build.request, **changes}))):
        if number > MOST_EVENTS:
            raise BuildError(
                "dnf's worker, or a scriptlet in its place, printed more than is allowed", log=build.log
            )
        event = _event(line, build)
        if event["event"] == "warning":
            build.warn(event["message"])
        elif event["event"] == "error":
            raise failure(event, build.plan, build.log)
        else:
            ended = event["event"] in ("fetched", "installed")
            yield event
    if not ended:
        raise BuildError("dnf ended before it had finished", log=build.log)


def _event(line: str, build: Build) -> dict[str, Any]:
    """Return an event; scriptlets run next to the worker, and may have said anything in its place."""
    try:
        event: dict[str, Any] = pack(unpack(json_text.parse(line), _Event))
    except (ValueError, WireError) as error:
        raise BuildError(f"unexpected output of dnf's worker: {line[:80]}", log=build.log) from error
    return event
