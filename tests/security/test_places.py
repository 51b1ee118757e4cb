# SPDX-License-Identifier: MIT
"""Folders of the host never get into an image by standing where a file system or a subvolume belongs."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.security.conftest import Host
from tests.support.imaging import HEAD, kickstart

pytestmark = pytest.mark.root
ROOT = "part / --fstype=ext4 --size=96\n"
SUBVOLUMES = """\
part /boot --fstype=ext4 --size=64
part btrfs.1 --fstype=btrfs --size=300
btrfs none --label=system btrfs.1
btrfs / --subvol --name=root LABEL=system
btrfs /srv/ld.so.conf.d --subvol --name=own LABEL=system
"""


@pytest.mark.parametrize(
    ("base", "body"),
    [
        (HEAD + "part /srv/ld.so.conf.d --fstype=ext4 --size=16\n", "mv /srv /old; ln -s /etc /srv"),
        (HEAD.replace(ROOT, SUBVOLUMES), "rm -rf /srv; ln -s /etc /srv"),
        (
            HEAD.replace(ROOT, SUBVOLUMES),
            "mkdir -p /srv; rm -rf /srv/ld.so.conf.d; ln -s /etc/ld.so.conf.d /srv/ld.so.conf.d",
        ),
    ],
    ids=["file system", "subvolume, the folder above it", "subvolume"],
)
def test_a_folder_of_the_host_behind_a_link_is_not_in_the_image(host: Host, base: str, body: str) -> None:
    done = host.build(kickstart(base=base, tail=f"%post\n{body}\n%end\n"), ok=None)

    if done.returncode:
        assert "/srv/ld.so.conf.d of the image is not a folder" in done.stderr
        return
    raw = host.bench.folder / "look.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", host.bench.image, raw], check=True)
    names = os.listdir("/etc/ld.so.conf.d")
    assert names
    assert [name for name in names if name.encode() in raw.read_bytes()] == []
