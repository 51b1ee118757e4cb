#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In mock's place for a builder: the host's rpmbuild, with the macros of the buildroot's target.

It takes mock's command line as kojid writes it, keeps mock's folders (root and result below basedir), writes
mock's logs, and ends with mock's exit codes. There is no chroot: paths within the buildroot are looked for
below its root folder, and build requirements are not installed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

# mock's docs: 10 is a failed build, 30 a failed buildroot.
BUILD_FAILED, ROOT_FAILED = 10, 30


def main() -> int:
    """Do what mock would be asked to do; return mock's exit code."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-r", dest="config", required=True)
    for flag in ("--init", "--no-clean", "--unpriv", "--buildsrpm", "--chroot", "--clean", "--new-chroot"):
        parser.add_argument(flag, action="store_true")
    for option in ("--rebuild", "--target", "--spec", "--sources", "--cwd"):
        parser.add_argument(option)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    configuration = read_configuration(
        Path(os.environ["MOCK_CONFIGURATIONS"]) / f"{Path(args.config).name}.cfg"
    )
    base = Path(configuration["basedir"]) / configuration["root"]
    root, result = base / "root", base / "result"
    for folder in (root / "var/lib/rpm", result):
        folder.mkdir(parents=True, exist_ok=True)
    macros = macro_option(configuration, base / "macros")
    print(f"INFO: {Path(sys.argv[0]).name}: {' '.join(sys.argv[1:])}", flush=True)
    if args.init:
        return (
            run(["rpmdb", "--initdb", "--dbpath", root / "var/lib/rpm"], result / "root.log") and ROOT_FAILED
        )
    if args.chroot:
        words = [within(word, root) for word in args.words if word != "--"]
        if words[0] == "rpmbuild":
            words.insert(1, macros)
        return run(words if len(words) > 1 else ["sh", "-c", words[0]], result / "root.log")
    topdir = base / "topdir"
    # The first: rpmbuild reads its macros at the first definition, and none that are named after it.
    defines = [macros, "--define", f"_topdir {topdir}"]
    if args.buildsrpm:
        command = [
            "rpmbuild",
            "-bs",
            "--nodeps",
            *defines,
            "--define",
            f"_sourcedir {args.sources}",
            args.spec,
        ]
    else:
        target = ["--target", args.target] if args.target else []
        command = ["rpmbuild", "--rebuild", "--nodeps", *target, *defines, args.rebuild]
    if run(command, result / "build.log"):
        print("ERROR: Exception(<mock>)\nERROR: Command failed", flush=True)
        return BUILD_FAILED
    for path in (*topdir.rglob("*.rpm"),):
        shutil.copy(path, result)
    if args.rebuild:
        shutil.copy(args.rebuild, result)
    return 0


def read_configuration(path: Path) -> dict[str, Any]:
    """Read mock's configuration: Python that fills config_opts."""
    found: dict[str, Any] = {"macros": {}, "plugin_conf": {}, "files": {}, "environment": {}}
    exec(path.read_text(), {"config_opts": found})
    return found


def macro_option(configuration: dict[str, Any], file: Path) -> str:
    """Write a buildroot's macros: its target's and mock's own; return the option that has rpm read them."""
    name = re.sub(r"-build-\d+-\d+$", "", configuration["root"])
    own = [f"{macro} {value}\n" for macro, value in configuration["macros"].items()]
    file.write_text(Path(os.environ["MOCK_MACROS"], name).read_text() + "".join(own))
    shown = subprocess.run(["rpm", "--showrc"], capture_output=True, text=True, check=True).stdout
    paths = (line.partition(":") for line in shown.splitlines())
    path = next(path.strip() for word, _, path in paths if word.strip().lower() == "macro path")
    return f"--macros={path}:{file}"


def within(word: str, root: Path) -> str:
    """Return a word of a command in the buildroot with its path as the host sees it."""
    if word.startswith("_topdir /"):
        return f"_topdir {root}{word.removeprefix('_topdir ')}"
    return f"{root}{word}" if word.startswith("/") and Path(f"{root}{word}").exists() else word


def run(command: list[Any], log: Path) -> int:
    """Run a command with its output in a log; return its exit code."""
    with log.open("ab") as stream:
        return subprocess.run(
            [os.fspath(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
