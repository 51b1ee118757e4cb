# SPDX-License-Identifier: MIT
"""Talk to dnf: write the request, run the worker under the system's Python, turn its answers into ours."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder import tools
from builder.errors import BuildError, InputError
from builder.image.build import Build, failure
from builder.image.isolation.idmap import is_root
from builder.image.isolation.namespaces import Bind
from builder.kickstart.plan import ImagePlan, Repository
from builder.targets import Target

WORKER = Path(__file__).parent / "dnfworker"
# dnf's Python module belongs to the system's Python, not to ours.
SYSTEM_PYTHONS = (Path("/usr/bin/python3"), Path("/usr/libexec/platform-python"))


def system_python() -> Path:
    """Return the Python that has dnf's module.

    Raises:
        ToolMissing: there is none.
    """
    # dist-packages on Debian, site-packages of one version on Fedora and EL.
    installed = any(Path("/usr/lib").glob("python3*/*-packages/dnf/__init__.py"))
    for python in SYSTEM_PYTHONS:
        if installed and python.exists():
            return python
    raise tools.missing("python3-dnf")


def make_request(plan: ImagePlan, target: Target) -> dict[str, Any]:
    """Return the request that every run of the worker for `plan` begins with."""
    packages = plan.packages
    languages = packages.languages
    macros = {
        "_dbpath": str(target.rpm.dbpath),
        # Not ours to own: rpm would fail to chown what is mounted there.
        "_netsharedpath": "/proc:/sys:/dev:/run",
        "_pkgverify_level": "all" if plan.gpgcheck else "digest",
    }
    if languages is not None:
        macros["_install_langs"] = ":".join(languages) or "none"
    return {
        "root": "/tree",
        "cache": "/cache",
        "logs": "/work",
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
        "groups": list(packages.groups),
        "optional_groups": list(packages.optional_groups),
        "mandatory_groups": list(packages.mandatory_groups),
        "environment": packages.environment,
        "excluded": list(packages.excluded),
        "excluded_groups": list(packages.excluded_groups),
        "repositories": [_repository(repo, number) for number, repo in enumerate(plan.repositories)],
    }


def repository_binds(plan: ImagePlan) -> tuple[Bind, ...]:
    """Return how the folders behind file: repositories are seen inside."""
    binds = []
    for number, repo in enumerate(plan.repositories):
        for place, url in enumerate(repo.baseurl):
            folder = local_folder(url)
            if folder is not None:
                if not (folder / "repodata/repomd.xml").is_file():
                    raise BuildError(
                        f"repository {repo.name}: {folder} holds no repodata/repomd.xml",
                        hint="createrepo_c makes it",
                    )
                _check_readable(repo.name, folder)
                binds.append(Bind(source=folder, target=f"/repos/{number}.{place}"))
    return tuple(binds)


def _check_readable(name: str, folder: Path) -> None:
    """Refuse a folder that the ids inside cannot read: root's build runs with ids that own nothing."""
    mode = folder.stat().st_mode
    if is_root() and mode & 0o005 != 0o005:
        raise InputError(
            f"repository {name}: {folder} can be read by its owner only (mode {mode & 0o7777:04o})",
            hint=f"a build does not run with root's ids: chmod -R a+rX {folder}",
        )


def local_folder(url: str) -> Path | None:
    """Return the folder that a file: URL or an absolute path names, else None."""
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return Path(url) if url.startswith("/") else None


def _repository(repo: Repository, number: int) -> dict[str, Any]:
    inside = [
        f"file:///repos/{number}.{place}" if local_folder(url) is not None else url
        for place, url in enumerate(repo.baseurl)
    ]
    return {
        "name": repo.name,
        "baseurl": inside,
        "mirrorlist": repo.mirrorlist,
        "metalink": repo.metalink,
        "cost": repo.cost,
        "proxy": repo.proxy,
        "includes": list(repo.includes),
        "excludes": list(repo.excludes),
        "verify_tls": repo.verify_tls,
        "groups": repo.groups,
    }


def copy_worker(work: Path) -> None:
    """Copy the worker's files into the work folder, where root inside can read them."""
    folder = work / "dnfworker"
    folder.mkdir(exist_ok=True)
    for source in WORKER.glob("*.py"):
        shutil.copyfile(source, folder / source.name)
        (folder / source.name).chmod(0o644)
    folder.chmod(0o755)


def ask(build: Build, **changes: object) -> Iterator[dict[str, Any]]:
    """Run the worker with the build's request, `changes` applied; yield its events.

    Warnings go to the user, an `error` event is raised.
    """
    request = {**build.request, **changes}
    argv = [os.fspath(system_python()), "-B", "-s", os.fspath(build.work / "dnfworker")]
    ended = False
    env = build.reproducible_environment(packages=len(build.facts.packages))
    for line in build.runner.stream(argv, input=json.dumps(request), log=build.log, env=env):
        event = json.loads(line)
        if event["event"] == "warning":
            build.warn(event["message"])
        elif event["event"] == "error":
            raise failure(event, build.plan, build.log)
        else:
            ended = event["event"] in ("fetched", "installed")
            yield event
    if not ended:
        raise BuildError("dnf ended before its work was done", log=build.log)
