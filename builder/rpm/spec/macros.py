# SPDX-License-Identifier: MIT
"""The macros that make rpmbuild on this host behave like the target's.

What targets of a family share stands in specs/macros; what is the target's own comes from its row in
specs/targets.yaml and is rendered here. Koji and mock use neither: their buildroots are the target.
"""

from __future__ import annotations

from pathlib import Path

from builder.targets import SPECS, Family, Target

MACROS = SPECS / "macros"


def macro_files(target: Target) -> tuple[Path, ...]:
    """Return the shared macro files of a target, in the order to load them."""
    return tuple(MACROS / name for name in target.rpm.macros)


def render_macros(target: Target) -> str:
    """Return the target's own macros, as a file for `rpmbuild --load`."""
    number = target.releasever
    lines = [f"# {target.title}, from specs/targets.yaml", f"%dist {target.dist}"]
    if target.family is Family.FEDORA:
        lines += [f"%fedora {number}", f"%fc{number} 1"]
    elif target.family is Family.EL:
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
