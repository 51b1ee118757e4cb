# SPDX-License-Identifier: MIT
"""From the raw disk to qcow2, by qemu-img(1).

zstd in clusters of 2 MiB, compressed in parallel, was both the fastest and the smallest of what was tried.
Clusters lie in the order in which they were ready: equal disks give equal content, not equal qcow2 bytes.
`compat` is for a qemu older than 5.1, which knows zlib only.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from builder.errors import BuildError, CommandFailed
from builder.runner import Runner, last_words

# qemu-img's upper bound is 16.
MOST_COROUTINES = 16


def options(*, compat: bool) -> tuple[str, ...]:
    """Return the options of `qemu-img convert` that decide about the result."""
    coroutines = str(min(MOST_COROUTINES, 4 * (os.cpu_count() or 1)))
    kind = "compat=1.1,compression_type=zlib" if compat else "compression_type=zstd,cluster_size=2M"
    return ("-c", "-W", "-m", coroutines, "-O", "qcow2", "-o", kind)


def convert(
    raw: Path,
    qcow2: Path,
    *,
    compat: bool = False,
    runner: Runner,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write `qcow2` from the raw disk; zeroes and holes take no room.

    Args:
        compat: what every qemu since 1.1 reads.
        progress: called with the percentage, some times a second.

    Raises:
        CommandFailed: qemu-img failed; no `qcow2` is left then.
    """
    log = qcow2.with_name(f"{qcow2.name}.log")
    argv = ["qemu-img", "convert", "-p", "-f", "raw", *options(compat=compat), str(raw), str(qcow2)]
    process = runner.spawn(argv, log=log)
    try:
        while process.poll() is None:
            time.sleep(0.05)
            if progress and (done := _percentage(log)) is not None:
                progress(done)
        if process.returncode:
            said = last_words(log.read_text(errors="replace").replace("\r", "\n"))
            raise CommandFailed(f"qemu-img failed (exit status {process.returncode}): {said}")
    except BaseException:
        process.kill()
        process.wait()
        qcow2.unlink(missing_ok=True)
        raise
    finally:
        log.unlink(missing_ok=True)


def _percentage(log: Path) -> float | None:
    """Return the last `(12.34/100%)` of qemu-img's progress."""
    found = re.findall(r"\((\d+\.\d+)/100%\)", log.read_text(errors="replace")[-200:])
    return float(found[-1]) if found else None


def check(qcow2: Path, *, runner: Runner) -> None:
    """Have `qemu-img check` look at `qcow2`.

    Raises:
        BuildError: it is corrupt or leaks clusters.
    """
    done = runner.run(["qemu-img", "check", "-f", "qcow2", "--output=json", str(qcow2)], ok=())
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise BuildError(f"{qcow2}: qemu-img check failed: {last_words(done.stderr)}") from None
    bad = {name: found[name] for name in ("corruptions", "leaks", "check-errors") if found.get(name)}
    if bad or done.returncode:
        told = ", ".join(f"{count} {name}" for name, count in bad.items()) or f"status {done.returncode}"
        raise BuildError(f"{qcow2}: qemu-img check found {told}")
