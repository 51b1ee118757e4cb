# SPDX-License-Identifier: MIT
"""Builds the wheel of a source tree, and installs wheels for the Python of a target.

A program of its own inside rpmbuild. The spec of openstack-python-bundled and those of what goes into that
environment have it among their sources: it needs Python 3.11 and nothing else, so that mock and Koji run it
too. For other specs specs/macros/pyproject runs it, whose macros have the names and the effects of
pyproject-rpm-macros; there mock and Koji use those. Nothing of this host's Python gets into the package:
paths and interpreter are the target's. Byte code is another matter (`byte_code`).

    python -P -m builder.rpm.programs.pyproject build FOLDER [TOOL...]
    python -P -m builder.rpm.programs.pyproject install ROOT SITELIB PREFIX INTERPRETER WHEEL...
    python -P -m builder.rpm.programs.pyproject list ROOT SITELIB MODULE...

`build` is for the source tree in the current folder; a TOOL is the wheel of what it is built with, where the
Python that runs this has none. `list` writes to stdout what `%files -f` reads.

Why not the library installer: each of its three outputs would have to be written again. It gives a command
whose interpreter has options (-sP, as Fedora's have) a preamble of /bin/sh, leaves the shebang of scripts
without them, and always writes RECORD, by which pip would remove what is rpm's (installer 1.1).
"""

from __future__ import annotations

import configparser
import importlib
import os
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

# What wheels are built with.
BUILD_TOOLS = ("setuptools", "pbr")

# For a tree without pyproject.toml (PEP 517).
LEGACY_BACKEND = "setuptools.build_meta:__legacy__"

# As Fedora's %py3_shebang_flags: neither the user's own modules nor the folder of the script.
SHEBANG_FLAGS = "-sP"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheme:
    """Where a target's Python keeps things, and the folder that is its / for now."""

    root: Path
    sitelib: str
    prefix: str
    interpreter: str

    def place(self, name: PurePosixPath) -> Path:
        """Return where a file of a wheel goes (binary distribution format, "Spreading a wheel").

        Raises:
            ValueError: it is of a kind that we do not install.
        """
        if not name.parts[0].endswith(".data"):
            return self._below(self.sitelib, *name.parts)
        kind, rest = name.parts[1], name.parts[2:]
        if kind in ("purelib", "platlib"):
            return self._below(self.sitelib, *rest)
        if kind == "scripts":
            return self._below(self.prefix, "bin", *rest)
        if kind == "data":
            return self._below(self.prefix, *rest)
        if kind == "headers":
            return self._below(self.prefix, "include", name.parts[0].partition("-")[0], *rest)
        raise ValueError(f"{name}: files of the kind {kind} are not installed")

    def script(self, name: str) -> Path:
        """Return where a command goes."""
        return self._below(self.prefix, "bin", name)

    def _below(self, folder: str, *parts: str) -> Path:
        return self.root.joinpath(folder.lstrip("/"), *parts)


def build_tools() -> dict[str, str]:
    """Return what wheels are built with, and in which version: it decides bytes; WHEEL records it."""
    return {name: version(name) for name in BUILD_TOOLS}


def build_wheel(folder: Path, tools: Sequence[Path] = ()) -> str:
    """Build the wheel of the source tree in the current folder into `folder`; return its name.

    Args:
        tools: wheels, pure Python, of what it is built with.
    """
    with TemporaryDirectory() as unpacked:
        for tool in tools:
            with zipfile.ZipFile(tool) as archive:
                archive.extractall(unpacked)
        if tools:
            sys.path.insert(0, unpacked)
        return _build(folder)


def _build(folder: Path) -> str:
    backend = LEGACY_BACKEND
    if Path("pyproject.toml").exists():
        with open("pyproject.toml", "rb") as file:
            backend = tomllib.load(file).get("build-system", {}).get("build-backend", LEGACY_BACKEND)
    module, _, attribute = backend.partition(":")
    # pbr asks git for files and version; a repository that contains the tree is not part of the source.
    os.environ["GIT_DIR"] = os.devnull
    folder.mkdir(exist_ok=True)
    hooks = importlib.import_module(module)
    name: str = (getattr(hooks, attribute) if attribute else hooks).build_wheel(os.fspath(folder.resolve()))
    return name


def install_wheel(wheel: Path, scheme: Scheme) -> None:
    """Install a wheel below the root of `scheme`.

    No RECORD: rpm's database knows the files, and pip shall not remove them.

    Raises:
        ValueError: the wheel wants what we do not know, or leaves its folder.
    """
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = PurePosixPath(info.filename)
            if info.is_dir() or _is_record(name):
                continue
            if name.is_absolute() or ".." in name.parts:
                raise ValueError(f"{wheel.name}: {name} leaves the folder")
            executable = ".data/scripts/" in info.filename
            data = archive.read(info)
            if executable:
                data = fix_shebang(data, scheme.interpreter)
            executable = executable or bool(info.external_attr >> 16 & 0o111)
            _write(scheme.place(name), data, executable=executable)
        for script, text in _commands(archive, scheme.interpreter):
            _write(scheme.script(script), text.encode(), executable=True)
        _write(scheme.place(_metadata_folder(archive) / "INSTALLER"), b"rpm\n", executable=False)


def list_files(scheme: Scheme, modules: Sequence[str]) -> Iterator[str]:
    """Return the lines for `%files -f` that name the modules and their metadata.

    Raises:
        ValueError: a module is not there, or the metadata names no licence.
    """
    folder = scheme.root / scheme.sitelib.lstrip("/")
    for module in modules:
        if not (folder / module).is_dir():
            raise ValueError(f"{scheme.sitelib}/{module} does not exist")
        yield f"{scheme.sitelib}/{module}/"
    for metadata in sorted(folder.glob("*.dist-info")):
        text = (metadata / "METADATA").read_text(encoding="utf-8")
        licenses = set(re.findall(r"^License-File: (.+)$", text, re.MULTILINE))
        if not licenses:
            raise ValueError(f"{metadata.name} names no License-File")
        for path in [metadata, *sorted(metadata.rglob("*"))]:
            inside = str(path.relative_to(metadata))
            mark = "%license " if inside.removeprefix("licenses/") in licenses else ""
            mark = "%dir " if path.is_dir() else mark
            yield f"{mark}/{path.relative_to(scheme.root)}"


def fix_shebang(data: bytes, interpreter: str) -> bytes:
    """Return a script that runs with `interpreter` if it is one for any Python."""
    line = f"#!{interpreter} {SHEBANG_FLAGS}\n".encode()
    return re.sub(rb"\A#!\S*(?:/env +)?python[0-9.w]*[^\n]*\n", line.replace(b"\\", rb"\\"), data)


def _commands(archive: zipfile.ZipFile, interpreter: str) -> Iterator[tuple[str, str]]:
    """Return name and text of each command that the wheel's entry points declare."""
    try:
        text = archive.read(str(_metadata_folder(archive) / "entry_points.txt")).decode()
    except KeyError:
        return
    points = configparser.RawConfigParser(delimiters=("=",), strict=False)
    points.optionxform = str  # type: ignore[assignment,method-assign]
    points.read_string(text)
    for section in ("console_scripts", "gui_scripts"):
        for name, point in points.items(section) if points.has_section(section) else ():
            module, _, function = point.partition("[")[0].strip().partition(":")
            yield (
                name,
                f"#!{interpreter} {SHEBANG_FLAGS}\n"
                "import sys\n\n"
                f"from {module} import {function.partition('.')[0]}\n\n"
                'if __name__ == "__main__":\n'
                f"    sys.exit({function}())\n",
            )


def _metadata_folder(archive: zipfile.ZipFile) -> PurePosixPath:
    names = {PurePosixPath(name).parts[0] for name in archive.namelist()}
    folders = [name for name in names if name.endswith(".dist-info")]
    if len(folders) != 1:
        raise ValueError(f"{archive.filename}: not one folder of metadata, but {len(folders)}")
    return PurePosixPath(folders[0])


def _is_record(name: PurePosixPath) -> bool:
    return name.parent.name.endswith(".dist-info") and name.name in ("RECORD", "RECORD.jws", "INSTALLER")


def _write(path: Path, data: bytes, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755 if executable else 0o644)


def main(command: str, *words: str) -> None:
    """Do what the command line says."""
    if command == "build":
        build_wheel(Path(words[0]), list(map(Path, words[1:])))
    elif command == "install":
        root, sitelib, prefix, interpreter, *wheels = words
        scheme = Scheme(root=Path(root), sitelib=sitelib, prefix=prefix, interpreter=interpreter)
        for wheel in wheels:
            install_wheel(Path(wheel), scheme)
    elif command == "list":
        root, sitelib, *modules = words
        scheme = Scheme(root=Path(root), sitelib=sitelib, prefix="", interpreter="")
        sys.stdout.writelines(f"{line}\n" for line in list_files(scheme, modules))
    else:
        raise ValueError(f"{command} is none of build, install, list")


if __name__ == "__main__":
    main(*sys.argv[1:])
