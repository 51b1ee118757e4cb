# SPDX-License-Identifier: MIT
"""Running openstack-config as a person does: a process, its output, its exit code."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

UTILS = Path(__file__).resolve().parents[2] / "utils"
LAUNCHER = UTILS / "bin" / "openstack-config"


class Result(NamedTuple):
    code: int
    out: str
    err: str


def config(
    *arguments: "str | bytes | Path",
    stdin: "bytes | str" = b"",
    cwd: "Path | None" = None,
    python: str = sys.executable,
    environment: "dict[str, str] | None" = None,
) -> Result:
    """Run the launcher with `python` and give back exit code, stdout and stderr."""
    done = subprocess.run(
        [python, "-I", os.fspath(LAUNCHER), *arguments],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        check=False,
        cwd=cwd,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )
    return Result(
        done.returncode,
        done.stdout.decode("utf-8", "surrogateescape"),
        done.stderr.decode("utf-8", "surrogateescape"),
    )
