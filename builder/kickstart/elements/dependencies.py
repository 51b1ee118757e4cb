# SPDX-License-Identifier: MIT
"""Which elements an image has: those named, and what element-deps names from there on."""

from __future__ import annotations

from pathlib import Path

from builder.kickstart.elements.find import find_folder, load_own, names_in
from builder.kickstart.elements.read import lines_of, place_of, read_element
from builder.kickstart.findings import Findings
from builder.kickstart.place import Place
from builder.kickstart.plan import Element
from builder.schema import nearest, show_path

# What others may depend on, and the kickstart provides; with what says it there.
KICKSTARTS = {
    "operating-system": "the kickstart and --target name the distribution",
    "block-device": "the kickstart's part lines define the disk",
}
# Elements that work on what a kickstart decides, but do not say so in element-provides.
DECIDED = {
    **dict.fromkeys(
        ("vm", "bootloader", "grub2", "lvm", "replace-partition", "zipl", "uboot", "iso"),
        "the kickstart's part and bootloader lines define the disk and what boots it",
    ),
    **dict.fromkeys(
        ("yum", "dpkg", "zypper", "rpm-distro", "redhat-common", "rhel-common", "ubuntu-common"),
        "the kickstart and --target name the distribution",
    ),
    **dict.fromkeys(
        ("ramdisk", "ramdisk-base", "dracut-ramdisk", "deploy-baremetal", "no-final-image"),
        "the result of a build is a disk, not a ramdisk",
    ),
}
LEAVE_OUT = "leave it out"
OTHER_ENGINE = "let diskimage-builder make the image: --engine dib"


def collect(names: tuple[str, ...], path: tuple[Path, ...], findings: Findings) -> tuple[Element, ...]:
    """Return the elements `names` with all that they depend on, each after what it depends on."""
    for folder in path:
        if not folder.is_dir():
            findings.error(
                None, f"ELEMENTS_PATH: {show_path(folder)} is not a folder", "name folders of elements"
            )
    search = _Search(path, findings)
    for name in names:
        search.visit(name, None)
    search.check_provided(names)
    return tuple(element for element in search.found.values() if element.name not in search.provided_by)


class _Search:
    """A walk through element-deps."""

    def __init__(self, path: tuple[Path, ...], findings: Findings) -> None:
        self.path = path
        self.findings = findings
        self.found: dict[str, Element] = {}
        self.provided_by: dict[str, str] = {}
        self.seen: set[str] = set()
        self.wanted: dict[str, Place | None] = {}

    def visit(self, name: str, place: Place | None) -> None:
        """Read the element `name`, which `place` asks for (None: the command line), and those below."""
        self.wanted.setdefault(name, place)
        if name in self.seen or name in self.provided_by or name in KICKSTARTS:
            if name in KICKSTARTS and place is None:
                self.findings.error(None, f"element {name}: {KICKSTARTS[name]}", LEAVE_OUT)
            return
        self.seen.add(name)
        if name in DECIDED:
            hint = LEAVE_OUT if place is None else f"remove it from element-deps, or {OTHER_ENGINE}"
            self.findings.error(place, f"element {name}: {DECIDED[name]}", hint)
            return
        element = self._read(name, place)
        if element is None:
            return
        for provided in lines_of(element, "element-provides"):
            if provided in KICKSTARTS:
                where = place or place_of(element, "element-provides")
                self.findings.error(where, f"element {name}: {KICKSTARTS[provided]}", LEAVE_OUT)
                return
            self._provide(provided, element)
        for number, line in enumerate(_numbered(element, "element-deps"), 1):
            if line:
                self.visit(line, place_of(element, "element-deps", number))
        self.found[name] = element

    def _read(self, name: str, place: Place | None) -> Element | None:
        own = load_own().get(name)
        if own is not None:
            return own
        folder = find_folder(name, self.path)
        if folder is None or "/" in name or name in (".", ".."):
            near = nearest(name, names_in(self.path))
            where = ":".join(show_path(one) for one in self.path) or "nowhere: ELEMENTS_PATH is empty"
            hint = f"did you mean {near}? " if near else ""
            hint += f"(searched: {where}"
            hint += ")" if _has_shipped(self.path) else "; make setup-dib brings diskimage-builder's own)"
            self.findings.error(place, f"there is no element {name}", hint)
            return None
        return read_element(name, folder)

    def _provide(self, provided: str, element: Element) -> None:
        if provided in self.provided_by:
            self.findings.error(
                place_of(element, "element-provides"),
                f"element {element.name}: {provided} is provided by {self.provided_by[provided]}, too",
                "choose one of the two",
            )
        self.provided_by[provided] = element.name

    def check_provided(self, names: tuple[str, ...]) -> None:
        """Refuse an element that is named and provided by another one as well."""
        for name in names:
            if name in self.provided_by:
                self.findings.error(
                    None, f"element {name}: {self.provided_by[name]} provides it already", LEAVE_OUT
                )


def _numbered(element: Element, path: str) -> list[str]:
    """Return all lines, the empty ones too, so that their numbers are right."""
    text = next((file.content.decode(errors="replace") for file in element.files if file.path == path), "")
    return [line.strip() for line in text.splitlines()]


def _has_shipped(path: tuple[Path, ...]) -> bool:
    return any(folder.parts[-2:] == ("diskimage_builder", "elements") for folder in path)
