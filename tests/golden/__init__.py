# SPDX-License-Identifier: MIT
"""Generated specs as the rpm of each family of targets reads them: conditions decided, macros expanded.

Committed, so that a change of a template or of the catalogue is reviewed as its effect. The units, init
scripts and the rest are the same for all targets of a release and stand in specs/RELEASE/NAME/.

    make golden     # writes the files again, after `make specs`

%prep is left out, and the macros of Python's packaging stay as they are written.
"""

from __future__ import annotations

import re
from pathlib import Path

from builder.places import SPECS
from builder.rpm.spec.macros import macro_options, target_macros
from builder.runner import Runner
from builder.targets import find_target

FOLDER = Path(__file__).parent
# One target of each family, and packages that have everything between them: WSGI and daemons, groups,
# sudo, polkit, units that are never restarted, template units, volatile folders.
PACKAGES = {
    "fedora-17": ("openstack-keystone", "openstack-nova", "openstack-quantum", "openstack-swift"),
    "epel-6": ("openstack-keystone", "openstack-nova", "openstack-quantum", "openstack-swift"),
    "fedora-45": ("openstack-keystone", "openstack-nova", "openstack-neutron", "openstack-swift"),
    "epel-10": ("openstack-keystone", "openstack-nova", "openstack-neutron", "openstack-swift"),
    "epel-9": ("openstack-keystone", "openstack-nova"),
    "fixture-12": ("openstack-keystone", "openstack-nova", "openstack-neutron", "openstack-swift"),
}
PAIRS = [(target, package) for target, packages in PACKAGES.items() for package in packages]
PYTHON = ("pyproject_buildrequires", "pyproject_wheel", "pyproject_install", "pyproject_save_files",
          "pyproject_files")  # fmt: skip


def golden_path(target: str, package: str) -> Path:
    """Return where the text of a pair stands."""
    return FOLDER / target / f"{package}.spec"


def expand(target: str, package: str, work: Path, runner: Runner) -> str:
    """Return the spec of a package as the rpm of a target reads it."""
    row = find_target(target)
    own = work / "macros"
    own.write_text(target_macros(row), encoding="utf-8")
    spec = SPECS / row.release / f"{package}.spec"
    argv = ["rpmspec", "--parse", *macro_options(own, runner)]
    for name in PYTHON:
        argv += ["--define", f"{name} %%{name}"]
    argv += ["--define", "_topdir /topdir", "--define", "_sourcedir SOURCES", str(spec)]
    return _tidy(runner.run(argv).stdout)


def _tidy(text: str) -> str:
    # rpm 4.18 leaves out the line %build after this text, where rpm 4.20 and later have it.
    text = re.sub(
        r'^%prep\n.*?(?=^(?:%(?:build|generate_buildrequires|install)\n|"\$BUILDER_PYTHON" ))', "",
        text, flags=re.S | re.M,
    )  # fmt: skip
    text = re.sub(r"^%build\n", "", text, flags=re.M)
    # The second as from rpm 4.20 on.
    text = re.sub(r"/topdir/(?:BUILDROOT/[^/\s\"]+|BUILD/[^/\s\"]+/BUILDROOT)", "%{buildroot}", text)
    text = re.sub(r"^%changelog\n.*", "", text, flags=re.S | re.M)
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
