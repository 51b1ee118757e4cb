# SPDX-License-Identifier: MIT
"""Where the program finds what it reads: the one folder that holds specs/, kickstarts/ and utils/.

It is the first of these that holds specs/targets.yaml:

1. $OPENSTACK_BUILDER_SOURCE, if that is set;
2. the folder that the package `builder` is in: a checkout;
3. the current folder: an installed openstack-builder in somebody's checkout;
4. builder/source, in the package itself: what setup.py puts into a wheel.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder.errors import InputError

VARIABLE = "OPENSTACK_BUILDER_SOURCE"
_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "source"


def find_source() -> Path:
    """Return the folder, as an absolute path.

    Raises:
        InputError: there is none, or the variable names a folder that is not one.
    """
    given = os.environ.get(VARIABLE)
    if given:
        if not _is_source(Path(given)):
            raise InputError(
                f"{given}: no specs/targets.yaml there",
                hint=f"--source and {VARIABLE} name a checkout of openstack-utils",
            )
        return Path(given).resolve()
    for folder in (_PACKAGE.parent, Path.cwd(), _INSTALLED):
        if _is_source(folder):
            return folder
    raise InputError(
        f"specs/targets.yaml is neither in {_PACKAGE.parent} nor in the current folder",
        hint=f"run it in a checkout of openstack-utils, or set {VARIABLE} to one",
    )


def require_checkout(folder: Path) -> None:
    """Raise InputError where `folder` belongs to the installed package: that is not for changing."""
    if folder.resolve() == _INSTALLED:
        raise InputError(
            f"{folder} belongs to the installed openstack-builder, and is not changed",
            hint=f"run it in a checkout of openstack-utils, or set {VARIABLE} to one",
        )


def _is_source(folder: Path) -> bool:
    return (folder / "specs" / "targets.yaml").is_file()


SOURCE = find_source()
SPECS = SOURCE / "specs"
KICKSTARTS = SOURCE / "kickstarts"
