# SPDX-License-Identifier: MIT
"""Byte code of a package: builder.rpm.programs.byte_code, as specs/macros/pyproject runs it."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from pathlib import Path

from builder.rpm.programs import byte_code

SITE = "usr/lib/openstack/lib/python/site-packages"


def compile_in(root: Path) -> None:
    """Run the program on the modules below a root."""
    env = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
    argv = [sys.executable, "-s", "-S", byte_code.__file__, root, root / SITE]
    subprocess.run(argv, env=env, check=True)


def make(root: Path, names: int = 3) -> Path:
    """Make a package with a few modules; return its folder."""
    package = root / SITE / "package"
    package.mkdir(parents=True)
    for number in range(names):
        text = f"SHARED = ('a', 'b', frozenset({{'x', 'y', 'z'}}))\ndef work{number}(): return 'a'\n"
        (package / f"module{number}.py").write_text(text)
    return package


def caches(package: Path) -> dict[str, bytes]:
    """Return the byte code below a package."""
    return {path.name.partition(".")[0]: path.read_bytes() for path in package.rglob("*.pyc")}


def test_every_module_is_compiled_with_the_path_that_it_will_have(tmp_path: Path) -> None:
    package = make(tmp_path)

    compile_in(tmp_path)

    found = caches(package)
    assert sorted(found) == ["module0", "module1", "module2"]
    assert marshal.loads(found["module1"][16:]).co_filename == f"/{SITE}/package/module1.py"


def test_byte_code_of_a_module_that_was_edited_is_not_used(tmp_path: Path) -> None:
    package = make(tmp_path)
    compile_in(tmp_path)
    edited = package / "module0.py"
    times = edited.stat()
    edited.write_text(edited.read_text().replace("return 'a'", "return 'b'"))
    os.utime(edited, ns=(times.st_atime_ns, times.st_mtime_ns))

    argv = [sys.executable, "-B", "-c", "from package.module0 import work0; print(work0())"]
    done = subprocess.run(argv, cwd=tmp_path / SITE, capture_output=True, text=True, check=True)

    assert done.stdout == "b\n"


def test_the_same_modules_give_the_same_bytes_wherever_they_are_built(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", 450), make(tmp_path / "other", 450)

    compile_in(tmp_path / "one")
    compile_in(tmp_path / "other")

    assert len(caches(one)) == 450
    assert caches(one) == caches(two)


def test_templates_and_what_a_link_leads_to_are_left_out(tmp_path: Path) -> None:
    package = make(tmp_path, 1)
    (package / "template.py").write_text("def {{ name }}(): pass\n")
    (package / "distribution.py").symlink_to("/usr/lib64/python/libvirt.py")

    compile_in(tmp_path)

    assert sorted(caches(package)) == ["module0"]
