# SPDX-License-Identifier: MIT
"""The rpm database of the image, read by the rpm that wrote it: the host's, or the target's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from builder.formats import rpmquery
from builder.image.build import TREE, Build
from builder.image.isolation import sandbox
from builder.image.packages.choice import ChosenPackage
from builder.image.tree import tree

# A package has at most one of the two signatures of its header (rpm's docs/manual/tags.md).
_SIGNED = "%|RSAHEADER?{%{RSAHEADER:pgpsig}}:{%|DSAHEADER?{%{DSAHEADER:pgpsig}}:{}|}|"
FORM = rpmquery.row(
    *map(rpmquery.tag, ("NEVRA", "NAME", "ARCH")), *map(rpmquery.other, ("%{LONGSIZE}", "%{SIGMD5}", _SIGNED))
)


def options(build: Build) -> list[str]:
    """Return the options that lead rpm to the image's database."""
    return ["--root", os.fspath(TREE), "--define", f"_dbpath {build.target.rpm.dbpath}"]


def installed(build: Build) -> tuple[ChosenPackage, ...]:
    """Return the packages that are in the image by now: scripts may have removed some and added others."""
    if not tree.path(str(build.target.rpm.dbpath)).is_dir():
        return ()
    known = {package.nevra: package for package in build.facts.packages}
    said = sandbox.run_on_tree(build, ["rpm", *options(build), "-qa", "--qf", FORM]).stdout
    return tuple(parse(said, known))


def parse(said: str, known: Mapping[str, ChosenPackage]) -> Iterator[ChosenPackage]:
    """Yield the packages that rpm lists by FORM; what is `known` of one is kept."""
    for nevra, name, arch, size, sigmd5, signature in rpmquery.rows(said, 6):
        if name != "gpg-pubkey":
            of_script = ChosenPackage(
                name=name, nevra=nevra, arch=arch, repo="", sha256="", size=int(size), path=""
            )
            key = re.search(r"Key ID ([0-9a-f]+)", signature)
            yield replace(
                known.get(nevra, of_script),
                size=int(size),
                sigmd5=sigmd5 if re.fullmatch(r"[0-9a-f]{32}", sigmd5) else None,
                key=key[1] if key else None,
            )
