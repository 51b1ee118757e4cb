# SPDX-License-Identifier: MIT
"""A disk whose boot sector is the whole guest: real qemu, a verdict, and no escape of it on a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from builder.guest import qemu
from tests.guest.conftest import ROOT, command
from tests.support.imaging import processes_of

SAID = b"\x1b]0;owned\x07\x1b[2J\x1b[31mlogin: \x9b2J\r\n"
# Loaded at 7C00h: writes what follows it, up to a zero, to the first serial port, over and over.
#          xor ax,ax; mov ds,ax; cld; mov dx,3F8h
#   again: mov si,7C13h
#   next:  lodsb; test al,al; jz again; out dx,al; jmp next
FLOOD = bytes.fromhex("31c0 8ed8 fc baf803 be137c ac 84c0 74f8 ee ebf8") + SAID + b"\0"
# jmp to itself.
SILENCE = bytes.fromhex("ebfe")


def verdict(
    folder: Path, sector: bytes, seconds: int
) -> tuple[dict[str, str], subprocess.CompletedProcess[bytes]]:
    """Boot a disk with this boot sector; return what `login` came to, and the command."""
    disk = folder / "disk.raw"
    folder.mkdir(exist_ok=True)
    with disk.open("wb") as file:
        file.write(sector.ljust(510, b"\0") + b"\x55\xaa")
        file.truncate(16 << 20)
    words = (
        "--firmware",
        "bios",
        "--datasource",
        "openstack",
        "--checks",
        "login",
        "--timeout",
        str(seconds),
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        command("verify", disk, *words, "--json"), cwd=ROOT, env=environment, capture_output=True, check=False
    )
    (login,) = json.loads(done.stdout)["checks"]
    return login, done


def test_a_guest_that_floods_its_console_is_a_failure_and_shows_no_escape(tmp_path: Path) -> None:
    # On a busy machine the firmware alone may take longer than that.
    for seconds in (20, 400):
        login, done = verdict(tmp_path / str(seconds), FLOOD, seconds)
        (log,) = (tmp_path / str(seconds) / "cache/openstack-builder/verify/logs").iterdir()
        if log.stat().st_size > 1 << 16:
            break

    assert done.returncode == 1
    assert login["state"] == "fail"
    assert not {0x1B, 0x07, 0x9B} & set(done.stdout + done.stderr)
    assert b"login:" in done.stderr
    assert len(done.stdout + done.stderr) < 1 << 20
    assert 1 << 16 < log.stat().st_size < 2 * qemu.LARGEST[qemu.SERIAL]
    assert processes_of(tmp_path) == []


def test_a_guest_that_says_nothing_is_a_failure_in_time(tmp_path: Path) -> None:
    begun = time.monotonic()
    login, done = verdict(tmp_path, SILENCE, 10)

    assert done.returncode == 1
    assert login["state"] == "fail"
    assert "no login within 10 s" in login["reason"]
    assert time.monotonic() - begun < 1200
    assert processes_of(tmp_path) == []
