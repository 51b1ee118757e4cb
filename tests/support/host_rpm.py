# SPDX-License-Identifier: MIT
"""This host's rpm as the package `rpm` of the synthetic repository: programs, libraries, macros."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.rig.fixture.rpmpackage import Dependency, FileFlag, Kind, RpmFile, RpmPackage, Sense

PROGRAMS = ("rpm", "rpmdb", "rpmkeys")
FOLDER = Path("/usr/lib/rpm")


def package(*, macros: str = "") -> RpmPackage:
    """Return the package.

    Args:
        macros: lines that its own macros end with.
    """
    programs = [Path(found) for name in PROGRAMS if (found := shutil.which(name))]
    files = {f"/usr/bin/{path.name}": _file(path, f"/usr/bin/{path.name}", 0o755) for path in programs}
    for library in sorted(set(_libraries(programs))):
        files[_merged(library)] = _file(Path(library), _merged(library), 0o755)
    for path in (FOLDER / "macros", FOLDER / "rpmrc", *FOLDER.glob("rpmpopt*")):
        files[str(path)] = _file(path, str(path), 0o644)
    own = f"{FOLDER}/macros.d/macros.target"
    files[own] = RpmFile(path=own, data=f"{macros}\n".encode(), flags=FileFlag.CONFIG)
    folders = {str(above) for path in files for above in Path(path).parents}
    taken = {"/", "/usr", "/usr/bin", "/usr/lib", "/usr/lib64"}
    listed = [RpmFile(path=path, kind=Kind.FOLDER, mode=0o755) for path in sorted(folders - taken)]
    return RpmPackage(
        name="rpm",
        version="1",
        release="1",
        arch="x86_64",
        summary="Synthetic package rpm",
        license="GPL",
        files=(*listed, *files.values()),
        requires=(Dependency("filesystem", Sense.PREREQ),),
    )


def _libraries(programs: Iterable[Path]) -> Iterable[str]:
    """Yield the libraries of programs, where ldd(1) finds them."""
    for program in programs:
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        yield from re.findall(r"(?:=> |^\s*)(/\S+) \(0x", said, re.MULTILINE)


def _merged(path: str) -> str:
    """Return a path of /lib or /lib64 as one of /usr: the synthetic system is a merged one."""
    return path if path.startswith("/usr/") else f"/usr{path}"


def _file(source: Path, path: str, mode: int) -> RpmFile:
    return RpmFile(path=path, data=source.read_bytes(), mode=mode)
