# SPDX-License-Identifier: MIT
"""Formats of disk images: what their headers say, that equal disks give equal bytes, what is refused."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from builder import conversion, zstd
from builder.errors import InputError
from builder.formats.diskimage import FORMATS, read_header
from builder.image.disk import compressed
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB

RUNNER = Runner(Report(quiet=True))
CONVERTED = [name for name in FORMATS if name not in ("raw", "qcow2")]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sparse disk with a boot sector, not a whole number of cylinders."""
    path = tmp_path_factory.mktemp("raw") / "disk.raw"
    with path.open("wb") as file:
        file.write(bytes(510) + b"\x55\xaa")
        file.seek(20 * MIB)
        file.write(os.urandom(MIB))
        file.truncate(33 * MIB)
    return path


def convert(raw: Path, folder: Path, name: str, *, seed: str = "seed") -> bytes:
    folder.mkdir(exist_ok=True)
    target = folder / f"disk.{name}"
    conversion.convert(raw, "raw", target, name, seed=seed, epoch=1_750_000_000, runner=RUNNER)
    return target.read_bytes()


@pytest.mark.parametrize("name", CONVERTED)
def test_equal_disks_give_equal_bytes_which_qemu_reads(raw: Path, tmp_path: Path, name: str) -> None:
    first, second = (convert(raw, tmp_path / each, name) for each in ("a", "b"))
    other = convert(raw, tmp_path / "c", name, seed="another")

    image = tmp_path / "a" / f"disk.{name}"
    compared = ["qemu-img", "compare", "-q", "-f", "raw", "-F", FORMATS[name].qemu, raw, image]
    subprocess.run(compared, check=True)
    if name != "vhd":
        subprocess.run(["qemu-img", "check", "-q", "-f", FORMATS[name].qemu, image], check=True)
    assert first == second
    assert first != other
    found = read_header(image)
    assert (found.format, found.size, found.is_standalone) == (name, 33 * MIB, True)


def test_a_vhd_has_its_checksums_and_the_time_of_the_build(raw: Path, tmp_path: Path) -> None:
    data = convert(raw, tmp_path, "vhd")

    footer = data[:512]
    assert data[-512:] == footer
    assert struct.unpack_from(">I", footer, 24)[0] == 1_750_000_000 - 946_684_800
    unsigned = footer[:64] + bytes(4) + footer[68:]
    assert struct.unpack_from(">I", footer, 64)[0] == ~sum(unsigned) & 0xFFFFFFFF


def test_a_compressed_disk_is_the_same_on_any_number_of_processors(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed.write(raw, tmp_path / "many.zst")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    compressed.write(raw, tmp_path / "one.zst")

    data = (tmp_path / "many.zst").read_bytes()
    assert data == (tmp_path / "one.zst").read_bytes()
    assert zstd.decompress(data) == raw.read_bytes()
    assert len(data) < 2 * MIB


def vmdk(path: Path, *, capacity: int = 8, descriptor: str = "") -> None:
    header = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, capacity, 128, 1, 1).ljust(512, b"\0")
    path.write_bytes(header + descriptor.encode().ljust(512, b"\0"))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: path.write_text("# Disk DescriptorFile\n"), id="vmdk of text"),
        pytest.param(lambda path: vmdk(path, capacity=0), id="vmdk without a capacity"),
        pytest.param(lambda path: vmdk(path, descriptor='parentFileNameHint="/etc/x"\n'), id="vmdk's parent"),
        pytest.param(
            lambda path: path.write_bytes(
                b"conectix".ljust(48, b"\0") + struct.pack(">QII", 1 << 20, 0, 4) + bytes(448)
            ),
            id="differencing vhd",
        ),
        pytest.param(
            lambda path: path.write_bytes(b"<<< QEMU".ljust(424, b"\0") + bytes(16) + b"p" * 72),
            id="vdi's parent",
        ),
    ],
)
def test_what_needs_another_file_does_not_stand_alone(tmp_path: Path, write: object) -> None:
    path = tmp_path / "image"
    write(path)  # type: ignore[operator]

    assert not read_header(path).is_standalone


@pytest.mark.parametrize("begin", [b"vhdxfile", b"KDMV", b"conectix", b"<<< ", b"QFI\xfb"])
def test_a_header_that_is_cut_off_is_refused(tmp_path: Path, begin: bytes) -> None:
    path = tmp_path / "image"
    path.write_bytes(begin)

    with pytest.raises(InputError, match="cut off or damaged"):
        read_header(path)
