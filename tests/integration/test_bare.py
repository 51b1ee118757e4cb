# SPDX-License-Identifier: MIT
"""What the gate makes of a bare system of Debian's development suite that fails, or that is not to be had.

`run`, which makes one, is a stand-in that ends with one code after another.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

BARE = Path(__file__).parents[1] / "rig" / "bare"
UNDELIVERED = 100
# Of timeout(1), which has stopped it.
LATE = 124
DAY = 24 * 3600


def gate(folder: Path, *codes: int, seconds: int | None = None) -> tuple[int, str, list[str]]:
    """Run the gate where `run` ends with `codes`; return code, last line, and what each `run` found.

    Args:
        seconds: what there is left for it.
    """
    shutil.copy(BARE / "gate", folder)
    system, calls = folder / "cache/openstack-builder/bare/sid", folder / "calls"
    (folder / "codes").write_text("".join(f"{code}\n" for code in codes))
    (folder / "run").write_text(
        "#!/bin/sh\n"
        # Fixture Linux is there, and not made once more.
        '[ "$TAKE" = fixture ] || exit 99\n'
        f"[ -d {system} ] && echo kept >>{calls} || echo none >>{calls}\n"
        f"mkdir -p {system}\n"
        f'code=$(head -n 1 {folder}/codes)\nsed -i 1d {folder}/codes\nexit "$code"\n'
    )
    (folder / "run").chmod(0o755)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [folder / "gate", *([] if seconds is None else [str(seconds)])],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    ran = calls.read_text().split() if calls.exists() else []
    return done.returncode, done.stdout.splitlines()[-1], ran


@pytest.mark.parametrize(
    ("codes", "code", "said", "calls"),
    [
        pytest.param([0], 0, "passed", ["none"], id="all is well"),
        pytest.param([1], 1, "FAILED: exit code 1", ["none"], id="a check fails"),
        pytest.param([5], 5, "FAILED: exit code 5", ["none"], id="a repository of ours is not to be had"),
        pytest.param([UNDELIVERED, 0], 0, "passed", ["none"] * 2, id="the second time there is a system"),
        pytest.param([UNDELIVERED, 1], 1, "FAILED", ["none"] * 2, id="the second time a check fails"),
        pytest.param([UNDELIVERED] * 2, 0, "NOT RUN", ["none"] * 2, id="there is none"),
    ],
)
def test_only_a_system_that_is_not_to_be_had_is_forgiven_and_said(
    codes: list[int], code: int, said: str, calls: list[str], tmp_path: Path
) -> None:
    found = gate(tmp_path, *codes)

    assert (found[0], found[2]) == (code, calls)
    assert said in found[1]


@pytest.mark.parametrize(
    ("codes", "seconds", "code", "said", "calls"),
    [
        pytest.param([0], 59, 0, "NOT RUN: 59 seconds are left for it", [], id="hardly any time"),
        pytest.param(
            [LATE], 900, 0, "NOT RUN to its end: it took longer than 900", ["none"], id="too little"
        ),
        pytest.param([LATE], None, LATE, "it took longer than 1500 seconds", ["none"], id="its own limit"),
        pytest.param([1], 900, 1, "FAILED: exit code 1", ["none"], id="a check fails in time"),
    ],
)
def test_time_that_the_gate_does_not_have_is_said(
    codes: list[int], seconds: int | None, code: int, said: str, calls: list[str], tmp_path: Path
) -> None:
    found = gate(tmp_path, *codes, seconds=seconds)

    assert (found[0], found[2]) == (code, calls)
    assert said in found[1]


@pytest.mark.parametrize(
    ("days", "found"),
    [pytest.param(1, "kept", id="of yesterday"), pytest.param(15, "none", id="of long ago")],
)
def test_a_system_is_kept_for_two_weeks(days: int, found: str, tmp_path: Path) -> None:
    status = tmp_path / "cache/openstack-builder/bare/sid/var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.touch()
    os.utime(status, (time.time() - days * DAY,) * 2)

    assert gate(tmp_path, 0)[2] == [found]
