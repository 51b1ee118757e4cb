# SPDX-License-Identifier: MIT
"""The macros that make rpmbuild on this host behave like the target's.

What targets of a family share is in specs/macros; what is the target's own comes from its row in
specs/targets.yaml and is rendered here. Koji and mock use neither: their buildroots are the target.
"""

from __future__ import annotations

import os
from functools import cache

from builder.errors import BuildError
from builder.places import SPECS
from builder.runner import Runner
from builder.targets import Target, TargetFamily

MACROS = SPECS / "macros"


def target_macros(target: Target) -> str:
    """Return the macros of a target, its family's first, as the text of a macro file."""
    shared = ((MACROS / name).read_text(encoding="utf-8") for name in target.rpm.macros)
    return "\n".join([*shared, _own_macros(target)])


def macro_options(file: str | os.PathLike[str], runner: Runner) -> list[str]:
    """Return the options that have rpm read `file` after this host's own macro files.

    By --macros, not by --load: rpm 4.20 and later reads its configuration again when BuildArch is not the
    architecture of the host, and forgets what --load has brought (rpm's rpmrc.c, rpmFreeMacros). It may read
    the file more than once: a pipe will not do.

    Args:
        file: its path has neither `:` nor a character of glob(7).
    """
    return [f"--macros={_macro_path(runner)}:{os.fspath(file)}"]


@cache
def _macro_path(runner: Runner) -> str:
    """Return where this host's rpm looks for macros, as `rpm --showrc` shows it."""
    shown = runner.run(["rpm", "--showrc"]).stdout
    for line in shown.splitlines():
        name, _, path = line.partition(":")
        if name.strip().lower() == "macro path":
            return path.strip()
    raise BuildError(
        "rpm --showrc shows no macro path", hint="rpm 4.18 to 6 show one: check the installation of rpm"
    )


def _own_macros(target: Target) -> str:
    """Return what only this target defines, from its row in specs/targets.yaml."""
    number = target.releasever
    lines = [f"# {target.title}, from specs/targets.yaml", f"%dist {target.dist}"]
    if target.family is TargetFamily.FEDORA:
        lines += [f"%fedora {number}", f"%fc{number} 1"]
    elif target.family is TargetFamily.EL:
        lines += [f"%rhel {number}", f"%el{number} 1"]
    else:
        lines += [f"%fixture {number}"]
    if target.python is not None:
        python = target.python
        lines += [
            f"%__python3 {python.interpreter}",
            f"%python3_version {python.version}",
            f"%python3_version_nodots {python.version.replace('.', '')}",
            f"%python3_sitelib {python.sitelib}",
        ]
    digest = {"md5": 1, "sha256": 8}[target.rpm.filedigest]
    lines += [
        f"%_binary_payload {target.rpm.payload}",
        f"%_source_payload {target.rpm.payload}",
        f"%_binary_filedigest_algorithm {digest}",
        f"%_source_filedigest_algorithm {digest}",
    ]
    return "\n".join(lines) + "\n"
