# SPDX-License-Identifier: MIT
"""Run the phases of elements, each script in a room of its own, as dib-run-parts would.

Phases in the image have it as their root, as %post has; phases on the host have the host's programs,
read-only, and the image at /mnt/sysimage, as %post --nochroot has. Neither gets what diskimage-builder's sudo
gives: no mounts, no devices, no network without --network, nothing of the host's to write to.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.errors import BuildError, CommandFailed
from builder.image.build import Build
from builder.image.isolation import sandbox
from builder.image.tree import tree
from builder.image.tree.resolver import resolver
from builder.image.tree.traces import Traces
from builder.kickstart.elements.packages import ARCHITECTURES
from builder.kickstart.elements.phases import ON_HOST, chosen_by_type, merge
from builder.kickstart.findings import Findings
from builder.kickstart.plan import ElementFile, Elements, MappedName, PhaseScript
from builder.runner import last_words

PROGRAMS = Path(__file__).parent / "element_programs"
# Here, inside: the files of each element, of all of them side by side, and what phases get from us.
SEPARATE = Path("/work/elements")
MERGED = Path("/work/phases")
GIVEN = Path("/work/given")
# In a room.
HOOKS = "/tmp/in_target.d"
ROOM = "/run/openstack-builder/elements"
SYSIMAGE = "/mnt/sysimage"
# What a program says that may not do what it wants.
_FORBIDDEN = re.compile(
    r"operation not permitted|permission denied|read-only file system|must be superuser|"
    r"cannot mount|not permitted|no such device",
    re.IGNORECASE,
)
_OFFLINE = re.compile(
    r"could not resolve|name resolution|network is unreachable|couldn't connect|internal mirror",
    re.IGNORECASE,
)


def run_phases(build: Build, phases: Iterable[str]) -> int:
    """Run the scripts of `phases` in their order; return how many.

    Raises:
        CommandFailed: one failed; the error names element, file and phase.
    """
    elements = build.plan.elements
    scripts = [script for phase in phases for script in elements.scripts if script.phase == phase]
    if not scripts:
        return 0
    if not MERGED.exists():
        _prepare(build, elements)
    traces = Traces()
    for number, script in enumerate(scripts, 1):
        if build.step is not None:
            build.step.progress(f"{script.path}, {number} of {len(scripts)}")
        who = f"{script.path} of element {script.element}"
        with resolver(build, who, chroot=script.phase not in ON_HOST), traces.noting(build, who):
            _run(build, script)
    return len(scripts)


def _run(build: Build, script: PhaseScript) -> None:
    output = Path("/tmp/output-of-phase")
    output.unlink(missing_ok=True)
    build.written(f"--- {script.path} of element {script.element}, {script.place}")
    binds = [(os.fspath(SEPARATE), ROOM), (os.fspath(GIVEN), f"{ROOM}-given")]
    run = f"{ROOM}-given/bin/run-phase"
    if script.phase in ON_HOST:
        words = ["/bin/sh" if not Path("/bin/bash").exists() else "/bin/bash", run, "host", script.path]
        done = sandbox.run_in_installer(
            build, words, tree=True, network=build.options.network, log=output,
            binds=[*binds, *_files_of_variables(build)], writable=[(os.fspath(MERGED), HOOKS)],
        )  # fmt: skip
    else:
        shell = "/bin/bash" if tree.path("/bin/bash").exists() else "/bin/sh"
        _check_tmp(script)
        done = sandbox.run_in_image(
            build, [shell, run, "image", script.path], ok=(), network=build.options.network, log=output,
            binds=[*binds, (os.fspath(MERGED), HOOKS)], with_shims=True,
        )  # fmt: skip
    said = output.read_text(errors="replace") if output.exists() else ""
    output.unlink(missing_ok=True)
    # The runner's own line about bubblewrap is not the script's.
    said = said.partition("\n")[2] + sandbox.take_console()
    build.written(said)
    if done.returncode:
        raise _failure(build, script, done.returncode, said)


def _failure(build: Build, script: PhaseScript, status: int, said: str) -> CommandFailed:
    words = last_words(said)
    where = f"element {script.element}: {script.place.file} in the phase {script.phase.removesuffix('.d')}"
    hint = "the log has its whole output"
    if unset := re.search(r"(\w+): (unbound variable|parameter not set)", words or ""):
        more = "" if unset[1].startswith("DIB_") else f" --element-env {unset[1]}"
        hint = f"set it in the environment: {unset[1]}=… openstack-builder image …{more}"
    elif _OFFLINE.search(said) and not build.options.network:
        hint = "phases have no network: allow it with --network, or put what is fetched into the element"
    elif _FORBIDDEN.search(said):
        hint = (
            "phases run in a sandbox, without mounts, devices and the host's files: take out what needs "
            "them, or let diskimage-builder make the image: --engine dib"
        )
    return CommandFailed(
        f"{where} ended with status {status}" + (f": {words}" if words else ""), hint=hint, log=build.log
    )


def _check_tmp(script: PhaseScript) -> None:
    """Have the folder on which the files of elements are mounted."""
    folder = tree.path("/tmp")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BuildError(
            f"/tmp of the image is not a folder: {script.path} of {script.element} cannot run",
            hint="a script or a package put something else there",
        )
    if not folder.exists():
        folder.mkdir(mode=0o1777)


def _prepare(build: Build, elements: Elements) -> None:
    """Write the files of elements, and what phases get from us."""
    for element in elements.elements:
        for file in element.files:
            _write(SEPARATE / element.name / file.path, file)
    MERGED.mkdir()
    for path, file in merge(elements.elements, Findings()).items():
        _write(MERGED / path, file)
    chosen = {script.path for script in elements.scripts}
    known = {one.name: one.value for one in elements.variables}
    for element in elements.elements:
        for file in chosen_by_type(element, known):
            path = f"install.d/{file.path.rpartition('/')[2]}"
            if path in chosen and not (MERGED / path).exists():
                _write(MERGED / path, file)
    (GIVEN / "bin").mkdir(parents=True)
    for program in PROGRAMS.glob("*.sh"):
        target = GIVEN / "bin" / program.stem
        target.write_bytes(program.read_bytes())
        target.chmod(0o755)
    (GIVEN / "package-map").write_text("".join(_rows(elements.package_map)))
    (GIVEN / "service-map").write_text("".join(_rows(elements.service_map)))
    names = sorted({package.name for package in build.facts.packages})
    (GIVEN / "packages").write_text("".join(f"{name}\n" for name in names))
    # May hold passwords: in no argument, and for root of the room only.
    variables = GIVEN / "variables"
    variables.touch(mode=0o600)
    variables.write_text("".join(_variables(build, elements)))


def _write(path: Path, file: ElementFile) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.link is not None:
        path.symlink_to(file.link)
        return
    path.write_bytes(file.content)
    path.chmod(file.mode)


def _rows(names: Iterable[MappedName]) -> Iterator[str]:
    for one in names:
        yield f"{one.element}\t{one.name}\t{one.mapped}\n"


def _variables(build: Build, elements: Elements) -> Iterator[str]:
    """Yield the lines that set what diskimage-builder sets, and what the user gives."""
    plan = build.plan
    root = plan.disk.holding("/")
    folders = {element.name: f"{ROOM}/{element.name}" for element in elements.elements}
    defaults = {
        "DISTRO_NAME": elements.distribution,
        "DIB_RELEASE": elements.release,
        "DIB_INIT_SYSTEM": elements.init,
        "DIB_DEBUG_TRACE": "0",
        "DIB_DEFAULT_INSTALLTYPE": "source",
        "DIB_PYTHON_VERSION": "3",
        "DIB_PYTHON_EXEC": "/usr/bin/python3",
        "DIB_OFFLINE": "" if build.options.network else "1",
        "DIB_ROOT_FSTYPE": root.fstype if root else "",
        "DIB_ROOT_LABEL": (root.label or "") if root else "",
        "DIB_AVOID_PACKAGES_UPDATE": "1",
    }
    given = {one.name: one.value for one in elements.variables}
    ours = {
        "ARCH": ARCHITECTURES.get(plan.architecture, plan.architecture),
        "IMAGE_NAME": plan.name,
        "IMAGE_ELEMENT": " ".join(folders),
        "IMAGE_ELEMENT_YAML": "".join(f"{name}: {folder}\n" for name, folder in folders.items()),
        "ELEMENTS_PATH": ROOM,
        "FS_TYPE": root.fstype if root else "",
        "TMP_HOOKS_PATH": HOOKS,
    }
    for name, value in {**defaults, **given, **ours}.items():
        yield f"export {name}={shlex.quote(value)}\n"
    yield f"element_folders={shlex.quote(' '.join(f'[{name}]={path}' for name, path in folders.items()))}\n"


def _files_of_variables(build: Build) -> Iterator[tuple[str, str]]:
    """Yield the files that variables name, to be seen where they say."""
    for number, one in enumerate(build.plan.elements.variables):
        if one.content is not None:
            path = GIVEN / f"file-{number}"
            if not path.exists():
                path.write_bytes(one.content)
            yield os.fspath(path), one.value
