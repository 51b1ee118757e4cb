# SPDX-License-Identifier: MIT
"""Images that are hostile: `verify` and `upload` look at them, and nothing else happens."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from builder import conversion, room
from builder.errors import CommandFailed, InputError
from builder.formats import lvm
from builder.formats.diskimage import read_header
from builder.glance import source
from builder.guest import patience
from builder.guest import verify as verifying
from builder.guest.outcome import CheckResult, CheckState
from builder.guest.patience import Patience
from builder.guest.ssh import Login
from builder.guest.verify import VerifyOptions, verify
from builder.manifest import find_manifest
from builder.report import Report
from tests.rig.bench.measure import disk_usage
from tests.support.small_image import ROOT_SIZE, ROOT_START, RUNNER, SmallImage, make_small_image
from tests.support.watching import watching

CANARY = "the host's own\n"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> SmallImage:
    """An image that passes."""
    return make_small_image(tmp_path_factory.mktemp("small"))


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the host's with one file, which no image may change or read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "canary").write_text(CANARY)
    return folder


def look(image: Path, *checks: str) -> dict[str, CheckResult]:
    """Return what `verify --no-boot` finds, by check."""
    verdict = verify(RUNNER, image, find_manifest(image), VerifyOptions(boot=False, checks=checks or None))
    return {result.check: result for result in verdict.results}


def unharmed(folder: Path) -> bool:
    """Say whether the canary's folder is as it was."""
    return [(path.name, path.read_text()) for path in folder.iterdir()] == [("canary", CANARY)]


LINKS = {
    "the mount point itself": ("/boot/efi", ""),
    "a folder above it": ("/boot", ""),
    "a chain that climbs": ("/boot", "../../../../../../../../../.."),
}


@pytest.mark.parametrize(("link", "climb"), LINKS.values(), ids=LINKS)
def test_a_link_in_the_place_of_a_mount_point_leads_nowhere(
    good: SmallImage, tmp_path: Path, canary: Path, link: str, climb: str
) -> None:
    image = good.copy(tmp_path / "image")
    image.debug("ln /boot /moved", f"unlink {link}")
    image.link(link, f"{climb}{canary}")

    results = look(image.finish())

    assert unharmed(canary)
    assert CANARY not in str(results)


def test_no_file_is_read_through_a_link_of_the_image(good: SmallImage, tmp_path: Path, canary: Path) -> None:
    image = good.copy(tmp_path / "image")
    for path in ("/etc/fstab", "/etc/os-release", "/etc/locale.conf", "/etc/cloud/cloud.cfg"):
        image.link(path, str(canary / "canary"))

    results = look(image.finish())

    assert CANARY.strip() not in str(results)


def test_a_name_that_climbs_is_written_nowhere_else(good: SmallImage, tmp_path: Path, canary: Path) -> None:
    image = good.copy(tmp_path / "image")
    name = b"xxxxxxxxxxxxxxxxxxxxxxxxx"
    image.put(f"/{name.decode()}", "overwritten\n")
    data = image.disk.read_bytes()
    climbing = b"../../../../../../xxxxxxx"
    assert len(climbing) == len(name)
    image.disk.write_bytes(data.replace(name, climbing))

    look(image.finish())

    assert unharmed(canary)
    assert not list(tmp_path.parent.rglob("xxxxxxx"))


def test_a_name_that_climbs_in_an_encrypted_folder_is_written_nowhere_else(
    good: SmallImage, tmp_path: Path, canary: Path
) -> None:
    image = good.copy(tmp_path / "image")
    name = "xxxxxxxxxxxxxxxxxxxxxxxxx"
    image.put(f"/secret/{name}", "overwritten\n")
    climbing = b"../../../../../../xxxxxxx"
    # Names in such a folder are ciphertext to a checker: any byte may stand there. Its policy (version 1,
    # AES) is an attribute of a kind that debugfs cannot name: 9, where user.* has 1 (fs/ext4/xattr.h).
    policy = tmp_path / "policy"
    policy.write_bytes(bytes([1, 1, 4, 3]) + b"12345678" + b"nonce-of-16-byte")
    image.debug("feature encrypt -dir_index -metadata_csum")
    for path in ("/secret", f"/secret/{name}"):
        image.debug(f"ea_set -f {policy} {path} user.c", f"sif {path} flags 0x80800")
    data = image.disk.read_bytes().replace(name.encode(), climbing)
    entry = re.compile(rb"\x01\x01(.{2}\0{4}\x1c\0{3}.{4}c\0{3})", re.DOTALL)
    data, count = entry.subn(lambda found: b"\x01\x09" + found[1], data)
    assert count == 2
    # Without checksums of metadata the descriptors of groups are other ones.
    alone = tmp_path / "alone"
    alone.write_bytes(data[ROOT_START : ROOT_START + ROOT_SIZE])
    subprocess.run(["e2fsck", "-fy", alone], capture_output=True, check=False)
    image.write(ROOT_START, alone.read_bytes())
    assert climbing in image.disk.read_bytes()
    device = f"{image.disk}?offset={ROOT_START}"
    checked = subprocess.run(["e2fsck", "-fn", device], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout

    look(image.finish())

    assert unharmed(canary)
    assert not list(tmp_path.parent.rglob("xxxxxxx"))


@contextlib.contextmanager
def peak_of(folder: Path) -> Iterator[list[int]]:
    """Look again and again at what `folder` takes of the disk; yield the list of what was found, in bytes."""
    found = list[int]()

    def look() -> None:
        found.append(disk_usage(folder))

    look()
    with watching(look, 0.02):
        yield found
    look()


def test_a_file_with_a_large_hole_does_not_fill_the_disk(
    good: SmallImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SLACK", 64 << 20)
    image = good.copy(tmp_path / "image")
    image.put("/var/hole", "x")
    image.debug(f"sif /var/hole size {200 << 30}")
    finished = image.finish()

    with peak_of(tmp_path) as peak:
        results = look(finished, "rpm-database", "fstab")

    assert max(peak) < 2 << 30
    assert all(result.state != CheckState.PASS for result in results.values())


def test_an_initramfs_that_unpacks_to_much_more_is_not_unpacked(good: SmallImage, tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(64)) + packer.flush()
    image = good.copy(tmp_path / "image")
    packed = tmp_path / "bomb"
    packed.write_bytes(bomb)
    image.debug("cd /boot", "rm initramfs-6.1.0.img", f"write {packed} initramfs-6.1.0.img")

    (result,) = look(image.finish(), "initramfs-generic").values()

    assert result.state != CheckState.PASS
    assert "512 MiB" in result.reason


def test_a_size_below_zero_in_an_initramfs_does_not_lead_back(good: SmallImage, tmp_path: Path) -> None:
    header = b"070701" + b"0" * 48 + b"-0000070" + b"0" * 32 + b"00000002" + b"0" * 8
    image = good.copy(tmp_path / "image")
    archive = tmp_path / "archive"
    archive.write_bytes(header + b"x\0" + bytes(1000))
    image.debug("cd /boot", "rm initramfs-6.1.0.img", f"write {archive} initramfs-6.1.0.img")

    (result,) = look(image.finish(), "initramfs-generic").values()

    assert result.state == CheckState.NOT_DONE
    assert "not a number" in result.reason


def test_expressions_of_an_image_do_not_keep_us(
    good: SmallImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time for all that comes before them, on a machine as busy as this one is.
    begun = time.monotonic()
    look(good.copy(tmp_path / "good").finish(), "labels-as-policy", "fstab")
    seconds = 5 + round(4 * (time.monotonic() - begun))
    monkeypatch.setattr(verifying, "Patience", partial(Patience, float(seconds)))
    image = good.copy(tmp_path / "image")
    image.put("/etc/selinux/targeted/contexts/files/file_contexts", "/etc/(a+)+b system_u:object_r:x_t:s0\n")
    image.put("/etc/" + "a" * 60, "x")

    results = look(image.finish(), "labels-as-policy", "fstab")

    assert results["labels-as-policy"].state == CheckState.NOT_DONE
    assert f"took more than {seconds} s" in results["labels-as-policy"].reason


def test_memory_that_an_image_makes_us_take_has_a_bound(
    good: SmallImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MEMORY", 64 << 20)
    image = good.copy(tmp_path / "image")
    image.put("/etc/fstab", "x y z\n" * (2 << 20))

    results = look(image.finish(), "fstab", "root-locked")

    assert results["fstab"].state == CheckState.NOT_DONE


@pytest.mark.parametrize("size", [20 << 20, 200 << 30])
def test_a_text_of_any_size_is_not_read(good: SmallImage, tmp_path: Path, size: int) -> None:
    image = good.copy(tmp_path / "image")
    image.debug(f"sif /etc/fstab size {size}", f"sif /etc/locale.conf size {size}")

    results = look(image.finish(), "fstab", "locale")

    assert {name: result.state for name, result in results.items()} == {
        "fstab": CheckState.NOT_DONE, "locale": CheckState.NOT_DONE
    }  # fmt: skip


LVM = {
    "quotes without an end": 'a = "\\"' + '\\"' * 500_000,
    "a text for a number": 'g { extent_size = "xxxxxxxx"\nphysical_volumes {}\nlogical_volumes {} }',
    "a number of many digits": "g { extent_size = " + "9" * 100_000 + "\nphysical_volumes {} }",
    "a text that is multiplied": 'g { extent_size = 1\nphysical_volumes { pv0 { id = "a"\npe_start = "'
    + "x" * 100_000
    + '" } } }',
    "depth": "a {" * 100_000,
    "nothing": "",
}


@pytest.mark.parametrize("text", LVM.values(), ids=LVM)
def test_metadata_of_lvm_that_make_no_sense_are_an_error(text: str) -> None:
    raw = bytearray(1 << 20)
    raw[: 4096 + 512] = bytes(lvm.AREA) + lvm.metadata_area("x")[:512]
    label = lvm.label_sector("a" * 32, 1 << 20)
    raw[lvm.LABEL : lvm.LABEL + len(label)] = label
    body = text.encode() + b"\0"
    # A text as long as it likes, where metadata_area() has room for one of a volume's.
    head = bytearray(lvm.metadata_area("x")[:512])
    struct.pack_into("<QQI", head, 40, 512, len(body), lvm.checksum(body))
    struct.pack_into("<I", head, 0, lvm.checksum(bytes(head[4:])))
    raw[lvm.AREA :] = bytes(head) + body

    with pytest.raises(lvm.LvmError):
        lvm.read_physical_volume(lambda at, size: bytes(raw[at : at + size]))


@pytest.mark.parametrize("kind", ["a fifo", "deep folders"])
def test_odd_trees_end_in_results(good: SmallImage, tmp_path: Path, kind: str) -> None:
    image = good.copy(tmp_path / "image")
    if kind == "a fifo":
        image.debug("cd /etc", "rm fstab", "mknod fstab p", "rm os-release", "mknod os-release p")
    else:
        image.debug("cd /var", *(line for _ in range(1600) for line in ("mkdir d", "cd d")))

    results = look(image.finish())

    assert results


ESCAPES = "\x1b]0;title\x07\x1b[2J"
TEXTS = {
    "/etc/fstab": f"UUID={ESCAPES} / {ESCAPES}ext4 defaults 0 1\n",
    "/etc/shadow": f"root:{ESCAPES}:19000:0:99999:7:::\n{ESCAPES}:$6$x:19000:0:99999:7:::\n",
    "/etc/passwd": f"root:x:0:0:root:/root:{ESCAPES}\n{ESCAPES}:x:0:0::/:/bin/sh\n",
    "/etc/locale.conf": f"LANG={ESCAPES}\n",
    "/etc/ssh/sshd_config": f"PermitRootLogin {ESCAPES}\n",
    "/etc/machine-id": ESCAPES,
}


@pytest.mark.parametrize("path", TEXTS)
def test_text_of_an_image_reaches_no_terminal_with_its_escapes(
    good: SmallImage, tmp_path: Path, path: str
) -> None:
    image = good.copy(tmp_path / "image")
    image.put(path, TEXTS[path])
    said = io.StringIO()
    report = Report(out=said, err=said)

    for result in look(image.finish()).values():
        report.note(f"{result.check}: {result.reason}")
        report.result(result.reason)

    assert "\x1b" not in said.getvalue()
    assert "\x07" not in said.getvalue()


def test_a_vmdk_that_names_a_file_of_the_host_is_not_opened(tmp_path: Path, canary: Path) -> None:
    image = tmp_path / "image.vmdk"
    image.write_text(
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
        f'RW 1 FLAT "{canary / "canary"}" 0\n'
    )

    results = look(image)

    assert results["format-standalone"].state == CheckState.FAIL
    assert results["root-locked"].state == CheckState.NOT_DONE
    assert CANARY.strip() not in str(results)
    with pytest.raises(InputError, match="another file"):
        source.read(image)


@pytest.mark.parametrize("hint", [b'="', b"='", b" ="])
def test_a_vmdk_with_a_disguised_parent_reads_no_file_of_the_host(tmp_path: Path, hint: bytes) -> None:
    (tmp_path / "secret").write_bytes(b"the host's own".ljust(1 << 20))
    parent, image, made = tmp_path / "parent.vmdk", tmp_path / "image.vmdk", tmp_path / "made"
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", tmp_path / "secret", parent]
    subprocess.run(convert, check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-b", parent, "-F", "vmdk", image], check=True)
    image.write_bytes(image.read_bytes().replace(b'parentFileNameHint="', b"parentFileNameHint" + hint))
    made.mkdir()

    assert not read_header(image).is_standalone
    with pytest.raises(CommandFailed, match="backing file"):
        conversion.convert(image, "vmdk", made / "raw", "raw", seed="ab" * 32, epoch=0, runner=RUNNER)


def with_data_file(path: Path, data: Path) -> Path:
    """Make a qcow2 whose data is in another file."""
    made = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={data},data_file_raw=on", path, "1M"]
    subprocess.run(made, check=True)
    return path


def test_a_qcow2_with_a_data_file_is_neither_looked_into_nor_uploaded(tmp_path: Path) -> None:
    data = tmp_path / "data"
    image = with_data_file(tmp_path / "image.qcow2", data)
    data.unlink()

    assert read_header(image).has_data_file
    assert not any(result.state == CheckState.PASS for name, result in look(image).items() if name == "fstab")
    with pytest.raises(InputError, match="another file"):
        source.read(image)


def test_a_raw_disk_that_begins_as_a_qcow2_is_not_probed(tmp_path: Path, canary: Path) -> None:
    # What a guest writes into its own raw disk: a header with a backing file.
    name = str(canary / "canary").encode()
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 72, len(name), 16, 1 << 20, 0, 1, 0, 0, 1, 0, 0)
    image = tmp_path / "image.raw"
    image.write_bytes((header + name).ljust(1 << 20, b"\0"))

    found = read_header(image)

    assert (found.format, found.is_standalone) == ("qcow2", False)
    assert CANARY.strip() not in str(look(image))


@pytest.mark.parametrize("user", ["-oProxyCommand=touch {canary}/made", "-V", "--"])
def test_the_name_of_a_user_is_no_option_of_ssh(tmp_path: Path, canary: Path, user: str) -> None:
    login = Login(runner=RUNNER, folder=tmp_path, user=user.replace("{canary}", str(canary)))

    done = login.run("true", timeout=600)

    assert done.returncode == 255
    assert unharmed(canary)
    assert os.path.isdir(canary)
