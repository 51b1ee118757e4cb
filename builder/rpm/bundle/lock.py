# SPDX-License-Identifier: MIT
"""The lock of openstack-python-bundled: in its spec, each file with sha256, name and version; an SPDX list.

What all Pythons share stands once, what only some have in an %if for each of those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from builder import json_text
from builder.render.conditions import environments
from builder.rpm.bundle.parts import OfTheSystem, Part
from builder.rpm.programs.pyproject import BUILD_TOOLS
from builder.targets import Target

BEGIN = "# Made by `make lock`.\n"
END = "# End of what `make lock` makes.\n"

# The numbers below it are those of sources that are written by hand.
FIRST_SOURCE = 100

# Python (`3.12`) -> its parts, sorted by name.
Lock = Mapping[str, tuple[Part, ...]]

_ROW = re.compile(
    r"^# sha256: ([0-9a-f]{64})\nSource\d*: +(\S+)\nProvides: +bundled\(python3dist\((\S+)\)\) = (\S+)$|"
    r'^%if "%\{environment_python\}" == "([\d.]+)"$|^(%endif)$',
    re.MULTILINE,
)


def render_block(
    projects: Mapping[str, str],
    lock: Lock,
    system: Iterable[OfTheSystem] = (),
    targets: Sequence[Target] = (),
) -> str:
    """Return the tags of a spec that name the parts, and for which projects they were resolved.

    Args:
        system: what the target brings: the macro system_modules becomes the names of its files.
        targets: the macro environment_python becomes the Python of each.
    """

    def lines() -> Iterator[str]:
        for python, condition in environments(targets).items():
            yield f"%if {condition}"
            yield f"%global environment_python {python}"
            yield "%endif"
        for name, version in projects.items():
            yield f"# For {name} {version}."
        yield f"# For Python {', '.join(lock)}."
        yield f"License:          {license_of(part for parts in lock.values() for part in parts)}"
        shared = set.intersection(*(set(parts) for parts in lock.values()))
        # Numbered, as rpm before 4.15 (EL 8) takes one source without a number.
        numbers = count(FIRST_SOURCE)
        yield from _tags(sorted(shared, key=lambda part: part.name), numbers)
        for python, parts in lock.items():
            yield f'%if "%{{environment_python}}" == "{python}"'
            yield from _tags((part for part in parts if part not in shared), numbers)
            rows = [row for row in system if row.concerns(python)]
            yield from (f"Requires:         {row.package}" for row in rows if row.required)
            yield f"%global system_modules {' '.join(file for row in rows for file in row.files_for(python))}"
            yield "%endif"

    return "".join(f"{line}\n" for line in lines())


def _tags(parts: Iterable[Part], numbers: Iterator[int]) -> Iterator[str]:
    for part in parts:
        yield f"# sha256: {part.sha256}"
        yield f"Source{next(numbers)}:".ljust(18) + part.file
        yield f"Provides:         bundled(python3dist({part.name})) = {part.version}"


def license_of(parts: Iterable[Part]) -> str:
    """Return the licence of all parts together, as an expression of SPDX."""
    terms: set[str] = set()
    for part in parts:
        has_choice = " OR " in part.license
        terms |= {f"({part.license})"} if has_choice else set(part.license.split(" AND "))
    return " AND ".join(sorted(terms, key=lambda term: (term.startswith("("), term)))


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


def tools_of(lock: Lock) -> tuple[Part, ...]:
    """Return the parts that code is built with: the same for each Python, sorted by name.

    Raises:
        ValueError: one is missing, or is another one for another Python.
    """
    found = {part for parts in lock.values() for part in parts if part.name in BUILD_TOOLS}
    if sorted(part.name for part in found) != sorted(BUILD_TOOLS):
        raise ValueError(f"{', '.join(BUILD_TOOLS)}: not one of each, the same for all Pythons")
    return tuple(sorted(found, key=lambda part: part.name))


def render_spdx(lock: Lock) -> str:
    """Return a list of all parts as a document of SPDX 2.3 in JSON, one part a line.

    A build keeps the lines of the files that it has taken.
    """
    parts = sorted(
        {part for parts in lock.values() for part in parts}, key=lambda part: (part.name, part.file)
    )
    rows = ",\n".join(json.dumps(_as_spdx(part)) for part in parts)
    head = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "openstack-python-bundled",
    }
    return json.dumps(head)[:-1] + ', "packages": [\n' + rows + "\n]}\n"


def _as_spdx(part: Part) -> dict[str, object]:
    identifier = re.sub(r"[^A-Za-z0-9.-]", "-", part.file)
    return {
        "SPDXID": f"SPDXRef-{identifier}",
        "name": part.name,
        "versionInfo": part.version,
        "packageFileName": part.file,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": part.license,
        "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": part.sha256}],
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:pypi/{part.name}@{part.version}",
            }
        ],
    }


def read_lock(spec: str, spdx: str) -> Lock:
    """Return what a spec locks; the licences stand in the SPDX list.

    Raises:
        ValueError: a file of the spec is not in the list.
    """
    licenses = {row["packageFileName"]: row["licenseDeclared"] for row in json_text.parse(spdx)["packages"]}
    pythons = re.findall(r"^# For Python (.*)\.$", spec, re.MULTILINE)
    lock: dict[str, list[Part]] = {python: [] for text in pythons for python in text.split(", ")}
    within: str | None = None
    for match in _ROW.finditer(spec.partition(BEGIN)[2].partition(END)[0]):
        sha256, file, name, version, begun, ended = match.groups()
        if begun or ended:
            within = begun
            continue
        if file not in licenses:
            raise ValueError(f"{file} is not in the SPDX list")
        part = Part(name=name, version=version, file=file, sha256=sha256, license=licenses[file])
        for python in [within] if within else lock:
            lock[python].append(part)
    return {python: tuple(sorted(parts, key=lambda part: part.name)) for python, parts in lock.items()}
