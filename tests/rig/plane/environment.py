# SPDX-License-Identifier: MIT
"""The Python environments of services, each made from a list of packages and kept in the cache.

Keystone and Glance, which the plane serves, come from requirements.txt; services.txt has the others, whose
databases are set up. It is not our `.venv`: the services bring a hundred packages that the builder shall not
see. A virtual environment cannot be moved, so it is made where it stays; a stamp, written last, says that it
is whole.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.folders import remove_tree
from builder.report import Report
from builder.runner import Runner

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
SERVICES = HERE / "services.txt"
BUILD_REQUIREMENTS = HERE / "build.txt"
STAMP = "complete"


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A virtual environment with services: its folder, and what it was made from."""

    folder: Path
    digest: str

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin/python"

    def program(self, name: str) -> Path:
        """Return the path of one of its programs, such as `keystone-manage`."""
        return self.folder / "bin" / name


def digest_of_requirements(packages: Path = REQUIREMENTS) -> str:
    """Return the digest of all that decides what is in the environment."""
    version = ".".join(map(str, sys.version_info[:3]))
    lists = packages.read_bytes() + BUILD_REQUIREMENTS.read_bytes()
    return hashlib.sha256(lists + version.encode()).hexdigest()[:16]


def prepare(report: Report, runner: Runner, packages: Path = REQUIREMENTS) -> Environment:
    """Return the environment, making it when the cache has none (about a minute, 36 MB downloaded).

    Args:
        packages: the list of what is in it, with hashes.

    Two processes that want it at once make one. What a killed run left is removed.

    Raises:
        CommandFailed: pip failed (no network, a wrong hash); its log is named.
    """
    digest = digest_of_requirements(packages)
    folder = files.cache_folder("plane") / f"venv-{digest}"
    environment = Environment(folder=folder, digest=digest)
    if (folder / STAMP).exists():
        return environment
    with files.locked(folder.with_suffix(".lock")):
        if (folder / STAMP).exists():
            return environment
        if folder.exists():
            remove_tree(folder)
        with report.step("environment", f"the services of {packages.name} from PyPI"):
            log = folder.with_suffix(".log")
            log.unlink(missing_ok=True)
            runner.run([sys.executable, "-m", "venv", folder], log=log)
            # The lists are complete and every file has its hash: pip has nothing to solve, and fetches
            # nothing else to build with. It compiles nothing; Python does that for what is imported.
            install = [str(environment.python), "-m", "pip", "install", "--quiet", "--no-deps"]
            install += ["--no-compile", "--no-build-isolation", "--disable-pip-version-check"]
            install += ["--require-hashes", "-r"]
            for requirements in (BUILD_REQUIREMENTS, packages):
                runner.run(
                    [*install, str(requirements)],
                    log=log,
                    hint="services are installed from PyPI: can it be reached?",
                )
        files.write_atomic(folder / STAMP, f"{digest}\n")
    return environment
