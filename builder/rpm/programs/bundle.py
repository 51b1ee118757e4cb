# SPDX-License-Identifier: MIT
"""Writes into openstack-python-bundled.spec what pip resolved: each wheel with its name, sha256 and version.

A step of builder/requirements/lock (`make lock`), not of a build: a build reads the spec only.

    python -P -m builder.rpm.programs.bundle SPEC REPORT PROJECT...

REPORT is from `pip install --dry-run --report`; the PROJECTs, resolved for the sake of what they need,
have packages of their own.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.parse
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.files import write_atomic

BEGIN = "# Made by `make lock`.\n"
END = "# End of what `make lock` makes.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """A Python distribution that is bundled: normalized name, version, and the file that holds it."""

    name: str
    version: str
    file: str
    sha256: str

    @property
    def rpm_version(self) -> str:
        """The version as rpm orders it: a post-release is later."""
        return re.sub(r"\.post(\d+)$", r"^post\1", self.version)


def read_report(text: str) -> list[Distribution]:
    """Return what a report of pip says would be installed, sorted by name.

    Raises:
        ValueError: a file does not come from an index, or has no sha256.
    """
    found = []
    for item in json.loads(text)["install"]:
        url = item["download_info"]["url"]
        sha256 = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if not re.match(r"https?://", url) or not sha256:
            raise ValueError(f"{url}: not a file of an index with a sha256")
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        version = item["metadata"]["version"]
        file = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
        found.append(Distribution(name=name, version=version, file=file, sha256=sha256))
    return sorted(found, key=lambda distribution: distribution.name)


def render_block(distributions: Collection[Distribution]) -> str:
    """Return the tags of a spec that name the distributions."""

    def lines() -> Iterator[str]:
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


def main(spec: str, report: str, *projects: str) -> None:
    """Do what the command line says."""
    found = read_report(Path(report).read_text(encoding="utf-8"))
    bundled = [distribution for distribution in found if distribution.name not in projects]
    path = Path(spec)
    write_atomic(path, replace_block(path.read_text(encoding="utf-8"), render_block(bundled)))


if __name__ == "__main__":
    main(*sys.argv[1:])
