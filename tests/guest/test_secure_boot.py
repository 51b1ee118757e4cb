# SPDX-License-Identifier: MIT
"""Secure Boot: an image with the distribution's shim and GRUB starts where it is on, and no other does.

The firmware has the keys of Microsoft; shim, GRUB and the kernel are those that Debian publishes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.guest.conftest import OUT, ROOT, repository_options, run, verdict_of

pytestmark = [pytest.mark.slow, pytest.mark.boot]

SIGNED = """\
%include {include}/fixture.ks
%packages
shim-x64
%end
"""
# One byte of the kernel's code is another than Debian has signed.
ALTERED = """\
%post
printf X | dd of="$(ls /boot/vmlinuz-*)" bs=1 seek=1000000 conv=notrunc
%end
"""


def build(name: str, kickstart: str, folder: Path) -> Path:
    """Build an image and return its qcow2."""
    path = folder / f"{name}.ks"
    path.write_text(kickstart.format(include=ROOT / "kickstarts/include"))
    words = repository_options("image", path, "--target", "fixture-12", "--size", "2G")
    run(words)
    return OUT / name / f"{name}.qcow2"


def verify(image: Path, *options: str) -> dict[str, Any]:
    """Return the verdict of `verify --secure-boot`."""
    return verdict_of(image, "--secure-boot", "--datasource", "nocloud", *options)


def reasons(verdict: dict[str, Any], state: str) -> dict[str, str]:
    """Return check -> reason of those that came to `state`."""
    return {one["check"]: one["reason"] for one in verdict["checks"] if one["state"] == state}


def test_an_image_with_shim_boots_and_says_that_secure_boot_is_on(tmp_path: Path) -> None:
    verdict = verify(build("signed", SIGNED, tmp_path))

    assert reasons(verdict, "fail") == {}
    assert {"boot-signed", "secure-boot-on", "login"} <= set(reasons(verdict, "pass"))
    assert [boot["secure_boot"] for boot in verdict["boots"]] == [True]


def test_a_loader_of_our_own_is_refused_by_the_firmware_and_named_before(jeos_image: Path) -> None:
    found = reasons(verify(jeos_image), "fail")

    assert "BOOTX64.EFI is not signed" in found["boot-signed"]
    assert "Security Violation" in found["login"]


def test_an_altered_kernel_is_refused_by_grub(tmp_path: Path) -> None:
    found = reasons(verify(build("altered", SIGNED + ALTERED, tmp_path), "--checks", "login"), "fail")

    assert "bad shim signature" in found["login"]
