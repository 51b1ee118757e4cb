# SPDX-License-Identifier: MIT
"""Run a kickstart's scripts in the sandbox, each with its own interpreter, log and way to fail."""

from __future__ import annotations

import os
import shlex
from pathlib import Path, PurePosixPath

from builder.errors import BuildError, CommandFailed
from builder.image.build import Build
from builder.image.isolation import sandbox
from builder.image.isolation.blank_disk import BlankDisk, ask_for_a_file
from builder.image.tree import tree
from builder.image.tree.files import open_tree
from builder.image.tree.resolver import resolver
from builder.image.tree.traces import Traces
from builder.kickstart.plan import Script, ScriptSection
from builder.runner import Completed, last_words

# Where the installer's room keeps /tmp, /var/tmp and /root, so that a later script and the reader find what
# %pre wrote there. As foreign as the tree of the image.
INSTALLER = Path("/var/tmp/installer")
LARGEST_INCLUDE = 1 << 20


def run_section(build: Build, section: ScriptSection, disk: BlankDisk | None = None) -> int:
    """Run the scripts of a section in the order written; return how many.

    `disk` is what %pre may partition.

    Raises:
        CommandFailed: a script with --erroronfail failed.
    """
    scripts = build.scripts(section)
    # Before %pre there is no tree.
    traces = Traces() if scripts and section != ScriptSection.PRE else None
    for number, script in enumerate(scripts, 1):
        if build.step is not None:
            build.step.progress(f"%{section} {number} of {len(scripts)}")
        if traces is None:
            _run(build, script, f"{section}-{number}", disk)
            continue
        who = f"%{section} of {script.place}"
        with resolver(build, who, chroot=script.chroot), traces.noting(build, who):
            _run(build, script, f"{section}-{number}")
    return len(scripts)


def _run(build: Build, script: Script, name: str, disk: BlankDisk | None = None) -> None:
    body = Path("/tmp", f"script-{name}")
    body.write_text(script.body if disk is None else ask_for_a_file(script.body, script.interpreter))
    body.chmod(0o755)
    output = Path("/tmp", f"output-{name}")
    output.unlink(missing_ok=True)
    build.written(f"--- %{script.section} of {script.place}")
    done = _start(build, script, body, output, disk)
    said = output.read_text(errors="replace") if output.exists() else ""
    output.unlink(missing_ok=True)
    # The runner's own line about bubblewrap is not the script's.
    said = said.partition("\n")[2] + sandbox.take_console()
    build.written(said)
    if script.log:
        _keep_log(script, said)
    if done.returncode == 0:
        return
    why = f"%{script.section} of {script.place} ended with status {done.returncode}"
    words = last_words(said)
    why += f": {words}" if words else ""
    if script.error_on_fail:
        raise CommandFailed(why, hint="see its output in the log", log=build.log)
    build.facts.failed_scripts += (why,)
    build.warn(why + " (no --erroronfail: the build goes on)")


def _start(build: Build, script: Script, body: Path, output: Path, disk: BlankDisk | None) -> Completed:
    argv = [*_interpreter(script), os.fspath(sandbox.SCRIPT)]
    binds = [(os.fspath(body), os.fspath(sandbox.SCRIPT))]
    network = build.options.network
    if script.section == ScriptSection.POST and script.chroot:
        if not tree.path(argv[0]).exists():
            raise BuildError(
                f"{script.place}: the image has no {argv[0]}",
                hint="put its package into %packages, or choose another --interpreter",
            )
        return sandbox.run_in_image(
            build, argv, ok=(), network=network, log=output, binds=binds, with_shims=True
        )
    with_tree = script.section != ScriptSection.PRE
    return sandbox.run_in_installer(
        build, argv, tree=with_tree, network=network, log=output, binds=binds, disk=disk
    )


def _interpreter(script: Script) -> list[str]:
    """Return the words that start a script's interpreter.

    The installer's /bin/sh is bash, whatever the host's is.
    """
    words = shlex.split(script.interpreter)
    of_image = script.section == ScriptSection.POST and script.chroot
    if not of_image and words[0] in ("/bin/sh", "/usr/bin/sh") and Path("/bin/bash").exists():
        return ["/bin/bash", "--posix", *words[1:]]
    return words


def _keep_log(script: Script, said: str) -> None:
    """Write --log: in the image, or where the installer would have it."""
    assert script.log is not None
    if script.section == ScriptSection.POST and script.chroot:
        tree.write(script.log, said, mode=0o600)
        return
    for prefix in ("/mnt/sysimage", "/mnt/sysroot"):
        if script.log.startswith(prefix + "/"):
            tree.write(script.log.removeprefix(prefix), said, mode=0o600)
            return
    INSTALLER.mkdir(exist_ok=True)
    folder = open_tree(INSTALLER) / "tmp"
    folder.mkdir(exist_ok=True)
    (folder / PurePosixPath(script.log).name).write_text(said)


def collect_files(names: tuple[str, ...]) -> dict[str, str]:
    """Return the text of the files that %pre wrote, by the absolute names that the kickstart includes."""
    found: dict[str, str] = {}
    if not INSTALLER.is_dir():
        return found
    installer = open_tree(INSTALLER)
    for name in names:
        path = installer / name
        if name.startswith(("/tmp/", "/var/tmp/", "/root/")) and path.is_file():
            found[name] = path.read_bytes(limit=LARGEST_INCLUDE).decode(errors="replace")
    return found
