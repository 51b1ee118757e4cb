# SPDX-License-Identifier: MIT
"""Zstandard by whichever module this Python has."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from builder import zstd

TEXT = b"a line that comes again and again\n" * 5000


def test_what_is_compressed_comes_back() -> None:
    packed = zstd.compress(TEXT, 3)

    assert len(packed) < len(TEXT) // 50
    assert zstd.decompress(packed) == TEXT


@pytest.mark.skipif(not shutil.which("zstd"), reason="needs zstd")
def test_a_frame_that_does_not_say_its_length_is_read() -> None:
    packed = subprocess.run(["zstd", "-c"], input=TEXT, capture_output=True, check=True).stdout

    assert zstd.decompress(packed) == TEXT


def test_frames_follow_each_other() -> None:
    assert zstd.decompress(zstd.compress(b"one ", 1) + zstd.compress(b"two", 1)) == b"one two"


def test_damage_is_an_error() -> None:
    with pytest.raises(zstd.ZstdError):
        zstd.decompress(b"not a frame")
