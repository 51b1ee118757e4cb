# SPDX-License-Identifier: MIT
"""Which scripts of elements are run, in which order: by the rules of dib-run-parts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from builder.kickstart.elements.read import place_of
from builder.kickstart.findings import Findings
from builder.kickstart.plan import Element, ElementFile, PhaseScript

# In the order in which they run: %post comes before the last three, where `export dib` puts it.
BEFORE_POST = ("extra-data.d", "pre-install.d", "install.d", "post-install.d", "post-root.d")
AFTER_POST = ("pre-finalise.d", "finalise.d", "cleanup.d")
PHASES = (*BEFORE_POST, *AFTER_POST)
# Where the programs are the host's, and the image a folder.
ON_HOST = ("extra-data.d", "post-root.d", "pre-finalise.d", "cleanup.d")
REFUSED = {
    "root.d": ("makes the root of the image, which dnf makes from the kickstart", "move it to pre-install.d"),
    "block-device.d": (
        "makes the disk, which the kickstart's part lines say",
        "define the disk in the kickstart, or let diskimage-builder make the image: --engine dib",
    ),
}
# Data of an element that diskimage-builder reads, or nobody; all else is where phases find it.
METADATA = re.compile(
    r"README(\..*)?|element-(deps|provides)|pkg-map|svc-map|package-installs\.(yaml|json)"
    r"|block-device-.*\.yaml|source-repository-.*|__init__\.py"
)
_RUN = re.compile(r"[0-9A-Za-z_-]+")


def judge(elements: tuple[Element, ...], findings: Findings) -> None:
    """Refuse what no build of ours has: other phases, repositories of sources, disks."""
    for element in elements:
        refused = set()
        for file in element.files:
            folder, slash, _ = file.path.partition("/")
            if slash and folder in REFUSED and folder not in refused and _is_run(element, file):
                refused.add(folder)
                why, hint = REFUSED[folder]
                findings.error(place_of(element, file.path), f"element {element.name}: {folder} {why}", hint)
            elif not slash and re.fullmatch(r"block-device-.*\.yaml", folder):
                findings.error(
                    place_of(element, file.path),
                    f"element {element.name}: the kickstart's part lines define the disk",
                    "leave it out, or let diskimage-builder make the image: --engine dib",
                )
            elif not slash and folder.startswith("source-repository-"):
                findings.error(
                    place_of(element, file.path),
                    f"element {element.name}: sources are not fetched while an image is built",
                    "put what it needs into a package, or into static/ of an element",
                )


def order(
    elements: tuple[Element, ...], variables: Mapping[str, str | None], findings: Findings
) -> tuple[PhaseScript, ...]:
    """Return the scripts that are run, by number, then name.

    They are executable, and their names are letters, digits, `_` and `-`.
    """
    scripts: list[PhaseScript] = []
    for phase in PHASES:
        found: dict[str, PhaseScript] = {}
        for element in elements:
            for file in element.files:
                folder, _, name = file.path.rpartition("/")
                if folder == phase and _is_script(element, file, findings):
                    _add(found, element, name, phase, file, findings)
            if phase == "install.d":
                for file in chosen_by_type(element, variables):
                    _add(found, element, file.path.rpartition("/")[2], phase, file, findings)
        scripts += [found[name] for name in sorted(found, key=_position)]
    return tuple(scripts)


def chosen_by_type(element: Element, variables: Mapping[str, str | None]) -> Iterator[ElementFile]:
    """Yield the scripts of install.d/NAME-source-install (or -package-) whose install type is chosen."""
    for file in element.files:
        match = re.fullmatch(r"install\.d/(?P<name>[^/]+)-(?P<type>source|package)-install/[^/]+", file.path)
        if match is None or not _is_run(element, file):
            continue
        wanted = variables.get(f"DIB_INSTALLTYPE_{match['name'].replace('-', '_')}")
        wanted = wanted or variables.get("DIB_DEFAULT_INSTALLTYPE") or "source"
        if wanted == match["type"]:
            yield file


def _add(
    found: dict[str, PhaseScript],
    element: Element,
    name: str,
    phase: str,
    file: ElementFile,
    findings: Findings,
) -> None:
    place = place_of(element, file.path)
    if name in found:
        findings.error(
            place,
            f"element {element.name}: {phase}/{name} is a script of {found[name].element}, too",
            "give one of them another name",
        )
        return
    found[name] = PhaseScript(element=element.name, path=f"{phase}/{name}", place=place)


def _position(name: str) -> tuple[int, bytes]:
    """Return what `sort -n` compares: the number at the beginning, then the bytes."""
    match = re.match(r"-?\d+", name)
    return (int(match[0]) if match else 0, name.encode())


def _is_script(element: Element, file: ElementFile, findings: Findings) -> bool:
    """Say whether a file of a phase is run; say aloud when only its name is against it."""
    if not _is_run(element, file):
        return False
    name = file.path.rpartition("/")[2]
    if _RUN.fullmatch(name):
        return True
    if re.match(r"\d+-", name):
        findings.warn(
            place_of(element, file.path),
            f"element {element.name}: {file.path} is not run: dib-run-parts takes names of letters, digits, "
            "`_` and `-`",
        )
    return False


def _is_run(element: Element, file: ElementFile) -> bool:
    """Say whether a file may be executed; of a link, whether what it leads to in the element may."""
    for _ in range(8):
        if file.link is None:
            return bool(file.mode & 0o100)
        target = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), file.link))
        below = next((one for one in element.files if one.path == target), None)
        if below is None:
            return False
        file = below
    return False


def merge(elements: tuple[Element, ...], findings: Findings) -> dict[str, ElementFile]:
    """Return the files of all elements as phases find them, side by side in one folder."""
    merged: dict[str, ElementFile] = {}
    owners: dict[str, Element] = {}
    for element in elements:
        for file in element.files:
            if METADATA.fullmatch(file.path) or re.match(r"[^/]+/package-installs-", file.path):
                continue
            other = merged.get(file.path)
            if other is not None and other != file and file.path.partition("/")[0] not in PHASES:
                findings.error(
                    place_of(element, file.path),
                    f"element {element.name}: {file.path} is in {owners[file.path].name}, too, and differs",
                    "give one of them another name",
                )
            merged.setdefault(file.path, file)
            owners.setdefault(file.path, element)
    return merged
