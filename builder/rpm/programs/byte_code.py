# SPDX-License-Identifier: MIT
"""Compiles the modules of a package, so that no service compiles them at each start: it may not write there.

A program of its own inside rpmbuild, a source of the specs of openstack-python-bundled and of what goes into
that. It is run with the target's interpreter; where this host has not got that, nothing is compiled.

    PYTHONHASHSEED=0 pythonX.Y -s -S byte_code.py ROOT FOLDER

FOLDER lies below ROOT, which is the target's /. The same modules give the same bytes: which objects are
written as references depends on what a process compiled before, so each process of many compiles the same
modules in the same order, however many run at a time. What is not Python of this version is left out.
"""

from __future__ import annotations

import multiprocessing
import os
import py_compile
import sys
from collections.abc import Iterator

# Modules that one process compiles.
PIECE = 200


def find_modules(folder: str) -> Iterator[str]:
    """Yield the modules below a folder, sorted; those that a link leads to belong to others."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        paths = (os.path.join(place, name) for name in sorted(names) if name.endswith(".py"))
        yield from (path for path in paths if not os.path.islink(path))


def compile_all(root: str, paths: list[str]) -> None:
    """Compile modules; tracebacks will show them where they will lie.

    The byte code holds a digest of its module, and is not used once that is another: times are of no account.
    """
    for path in paths:
        shown = "/" + os.path.relpath(path, root)
        try:
            py_compile.compile(
                path, dfile=shown, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
            )
        except (py_compile.PyCompileError, ValueError):
            # Templates, and what is for another Python.
            continue


def main(root: str, folder: str) -> None:
    """Compile what is below a folder."""
    modules = list(find_modules(folder))
    pieces = [modules[start : start + PIECE] for start in range(0, len(modules), PIECE)]
    fresh = multiprocessing.get_context("fork")
    with fresh.Pool(len(os.sched_getaffinity(0)), maxtasksperchild=1) as pool:
        pool.starmap(compile_all, [(root, piece) for piece in pieces], chunksize=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
