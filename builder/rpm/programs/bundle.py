# SPDX-License-Identifier: MIT
"""Writes into openstack-python-bundled.spec what pip resolved: each wheel with its name, sha256 and version.

A step of builder/requirements/lock (`make lock`), not of a build: a build reads the spec only.

    python -P -m builder.rpm.programs.bundle           prints what is to be resolved: PROJECT==VERSION
    python -P -m builder.rpm.programs.bundle SPEC REPORT

REPORT is that of `pip install --dry-run --report`. The projects are those with `bundled` in the
catalogue: resolved for the sake of what they need, they have packages of their own.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.catalogue.load import load_catalogue
from builder.catalogue.model import Catalogue
from builder.files import write_atomic
from builder.report import Report

BEGIN = "# Made by `make lock`.\n"
END = "# End of what `make lock` makes.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedDistribution:
    """A Python distribution that is bundled: normalized name, version, and the file that holds it."""

    name: str
    version: str
    file: str
    sha256: str

    @property
    def rpm_version(self) -> str:
        """The version as rpm orders it: a post-release is later."""
        return re.sub(r"\.post(\d+)$", r"^post\1", self.version)


def read_report(text: str) -> list[PinnedDistribution]:
    """Return what a report of pip says would be installed, sorted by name.

    Raises:
        ValueError: a file was named by its address instead of found in an index, or has no sha256.
    """
    found = []
    for item in json.loads(text)["install"]:
        url = item["download_info"]["url"]
        sha256 = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        # An index may well be a folder: a mirror on the disk.
        if item.get("is_direct") or not sha256:
            raise ValueError(f"{url}: not a file of an index with a sha256")
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        version = item["metadata"]["version"]
        file = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
        found.append(PinnedDistribution(name=name, version=version, file=file, sha256=sha256))
    return sorted(found, key=lambda distribution: distribution.name)


def find_projects(catalogue: Catalogue) -> dict[str, str]:
    """Return the projects whose code goes into the environment: name in the Python index -> version there."""
    packaged = [
        release.rpm for project in catalogue.projects.values() for release in project.releases.values()
        if release.rpm and release.rpm.bundled and release.rpm.source
    ]  # fmt: skip
    return {rpm.source.project: rpm.upstream or rpm.version for rpm in packaged if rpm.source}


def render_block(projects: Mapping[str, str], distributions: Collection[PinnedDistribution]) -> str:
    """Return the tags of a spec that name the distributions, and for which projects they were resolved."""

    def lines() -> Iterator[str]:
        for name, version in projects.items():
            yield f"# For {name} {version}."
        for distribution in distributions:
            yield f"# sha256: {distribution.sha256}"
            yield f"Source:           {distribution.file}"
            yield f"Provides:         bundled(python3dist({distribution.name})) = {distribution.rpm_version}"

    return "".join(f"{line}\n" for line in lines())


def replace_block(spec: str, block: str) -> str:
    """Return the text of a spec with what stands between the marks replaced.

    Raises:
        ValueError: the marks are not there.
    """
    head, begin, rest = spec.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError("the spec lacks the two marks between which make lock writes")
    return head + BEGIN + block + END + tail


def main(*words: str) -> None:
    """Do what the command line says."""
    projects = find_projects(load_catalogue())
    if not words:
        Report().result("\n".join(f"{name}=={version}" for name, version in projects.items()))
        return
    spec, report = map(Path, words)
    found = read_report(report.read_text(encoding="utf-8"))
    bundled = [distribution for distribution in found if distribution.name not in projects]
    write_atomic(spec, replace_block(spec.read_text(encoding="utf-8"), render_block(projects, bundled)))


if __name__ == "__main__":
    main(*sys.argv[1:])
