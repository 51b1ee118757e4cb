# SPDX-License-Identifier: MIT
"""Read the folder of an element: every file once, so that what is judged is what is run."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from builder.errors import InputError
from builder.kickstart.includes import leads_to_private
from builder.kickstart.place import Place
from builder.kickstart.plan import Element, ElementFile
from builder.schema import show_path
from builder.sizes import MIB

# An element is text and small files: what is larger belongs into a package. They are held in memory.
LARGEST = 64 * MIB
MOST_FILES = 10_000
# What diskimage-builder leaves out as well (lib/common-functions, generate_hooks), and what is nobody's.
LEFT_OUT = ("tests", "__pycache__", ".git")


def read_element(name: str, folder: Path) -> Element:
    """Return the element `name`, which is in `folder`.

    Raises:
        InputError: it cannot be read, holds something else than files, folders and links, or too much.
    """
    files = []
    size = 0
    for path, relative in _walk(folder, ""):
        if not (path.is_symlink() and "/" in relative):
            _check_link(name, path, folder.parent)
        file = _read(name, path, relative)
        size += len(file.content)
        files.append(file)
        if size > LARGEST or len(files) > MOST_FILES:
            raise InputError(
                f"element {name}: {show_path(folder)} holds more than {LARGEST // MIB} MiB, "
                f"or more than {MOST_FILES} files",
                hint="put large files into a package",
            )
    return Element(name=name, folder=show_path(folder), files=tuple(files))


def _check_link(name: str, path: Path, root: Path) -> None:
    """Refuse a file that is the user's alone: what an element has gets into the image.

    Raises:
        InputError: with where the link leads.
    """
    try:
        private = path.exists() and leads_to_private(path, root)
    except OSError:
        # Reading it says why it cannot be read.
        return
    if private:
        raise InputError(
            f"element {name}: {show_path(path)} leads to {os.path.realpath(path)}, which is private",
            hint="copy the file into the element",
        )


def _walk(folder: Path, above: str) -> Iterator[tuple[Path, str]]:
    """Yield the files and links below `folder`, sorted. At the top links are followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise InputError(f"{show_path(folder)}: {(error.strerror or str(error)).lower()}") from error
    for entry in entries:
        if entry.name in LEFT_OUT or entry.name.endswith((".pyc", "~")):
            continue
        relative = f"{above}{entry.name}"
        if entry.is_dir(follow_symlinks=not above):
            yield from _walk(Path(entry.path), f"{relative}/")
        else:
            yield Path(entry.path), relative


def _read(name: str, path: Path, relative: str) -> ElementFile:
    info = path.lstat()
    try:
        if stat.S_ISLNK(info.st_mode):
            if "/" in relative:
                return ElementFile(path=relative, link=os.readlink(path))
            info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise InputError(
                f"element {name}: {show_path(path)} is neither a file nor a folder nor a link",
                hint="remove it from the element",
            )
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"element {name}: {show_path(path)}: {reason}") from error
    return ElementFile(path=relative, content=content, mode=stat.S_IMODE(info.st_mode) & 0o755)


def place_of(element: Element, path: str, line: int = 1) -> Place:
    """Return where a line of an element's file stands, for messages."""
    return Place(file=f"{element.folder or f'(ours) {element.name}'}/{path}", line=line)


def text_of(element: Element, path: str) -> str | None:
    """Return the text of an element's file; None: it has none of that path."""
    for file in element.files:
        if file.path == path and file.link is None:
            return file.content.decode(errors="replace")
    return None


def lines_of(element: Element, path: str) -> list[str]:
    """Return the lines of element-deps or a file like it, without blanks."""
    return [line.strip() for line in (text_of(element, path) or "").splitlines() if line.strip()]
