# SPDX-License-Identifier: MIT
"""Running openstack-config: `process` as a person does, `config` within the test's own process.

Both give back exit code, stdout and stderr, and take stdin; `config` takes them from the very file
descriptors the program writes to, and is some twenty times faster.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

UTILS = Path(__file__).resolve().parents[2] / "utils"
LAUNCHER = UTILS / "bin" / "openstack-config"
Argument = str | bytes | Path


class Result(NamedTuple):
    code: int
    out: str
    err: str


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def process(
    *arguments: Argument,
    stdin: "bytes | str" = b"",
    cwd: "Path | None" = None,
    python: str = sys.executable,
    environment: "dict[str, str] | None" = None,
) -> Result:
    """Run the launcher with `python`."""
    done = subprocess.run(
        [python, "-IS", os.fspath(LAUNCHER), *arguments],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        check=False,
        cwd=cwd,
        timeout=600,
        env={**os.environ, **(environment or {})},
    )
    return Result(done.returncode, text(done.stdout), text(done.stderr))


def config(*arguments: Argument, stdin: "bytes | str" = b"") -> Result:
    """Run openstack-config's main function with stdin, stdout and stderr in files."""
    from openstack_utils.config.command import main

    data = stdin if isinstance(stdin, bytes) else stdin.encode()
    kept = [os.dup(number) for number in range(3)]
    files = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115 - closed below
    try:
        files[0].write(data)
        files[0].seek(0)
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        code: int = main([os.fspath(argument) for argument in arguments])  # type: ignore[no-untyped-call]
        for file in files[1:]:
            file.seek(0)
        return Result(code, text(files[1].read()), text(files[2].read()))
    finally:
        for number, descriptor in enumerate(kept):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for file in files:
            file.close()
