# SPDX-License-Identifier: MIT
"""What a hostile or careless %post can do: harm the image, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.imaging import Bench, kickstart, traces

SECRET = ".openstack-builder-test-secret-"


def post(body: str, *, fails: bool = False) -> str:
    """Return a kickstart with that %post."""
    option = "" if fails else " --erroronfail"
    return kickstart(tail=f"%post{option}\n{body}\n%end\n")


# A time that no other process of this machine sleeps, and files that the scripts make.
SECONDS = str(4_000_000 + os.getpid())
STRAY = ("/etc/alive", "/run/why", "/run/zeros", "/var/tmp/f0", "/var/tmp/sda", "/var/tmp/zeros")
SCRIPTS = {
    "writes to a disk: its /dev holds a megabyte": """
        dd if=/dev/zero of=/dev/sda bs=1M count=64
        test $(wc -c </dev/sda) -lt 2000000""",
    "fills the free space with zeroes: ends with ENOSPC as its author expects": """
        ! dd if=/dev/zero of=/var/tmp/zeros bs=1M 2>/run/why
        grep 'No space left' /run/why && rm /var/tmp/zeros""",
    "fills /run: bounded": "! dd if=/dev/zero of=/run/zeros bs=1M count=200 2>/dev/null",
    "makes files until there are no inodes": """
        i=0
        while touch /var/tmp/f$i 2>/dev/null; do i=$((i+1)); test $i -lt 100000 || exit 9; done
        rm -rf /var/tmp/f*""",
    "kills everything that it can see": "kill -9 -1; echo alive >/etc/alive",
    "leaves processes": "sleep {seconds} & sleep {seconds} & exit 0",
    "sees no network": "test $(grep -c : /proc/net/dev) -le 1 && grep -q lo: /proc/net/dev",
    "does not see the host's folders": "test ! -e {home}/{secret} && test ! -e {folder}",
    "cannot make a block device": "! mknod /var/tmp/sda b 8 0",
    "cannot set the kernel's parameters": "! echo 1 >/proc/sys/kernel/panic",
    "mounts at most in its own world": "mkdir /mnt; mount -t tmpfs {secret} /mnt; true",
    "installs a boot loader: not now": "grub2-install /dev/sda && grub-install /dev/vda",
    "sees its own processes only": "test $(ls -d /proc/[0-9]* | wc -l) -lt 8",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_harms_nothing_but_the_image(
    bench: Bench,
    name: str,
) -> None:
    secret = Path.home() / f"{SECRET}{os.getpid()}"
    secret.write_text("secret")
    try:
        before = _host_files()
        text = SCRIPTS[name].replace("{home}", str(Path.home())).replace("{secret}", secret.name)
        bench.build(post(text.replace("{folder}", str(bench.folder)).replace("{seconds}", SECONDS)))
        assert traces(bench.folder, secret.name) == []
        assert _host_files() == before, name
        assert secret.read_text() == "secret"
    finally:
        secret.unlink()

    running = subprocess.run(["ps", "ax"], capture_output=True, text=True, check=True).stdout
    assert f"sleep {SECONDS}" not in running


def test_removing_everything_removes_the_image_only(bench: Bench) -> None:
    before = _host_files()

    body = "rm -rf --no-preserve-root / 2>/dev/null; rm -rf /* 2>/dev/null; true"
    done = bench.build(post(body, fails=True), ok=False)

    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert traces(bench.folder) == []
    assert _host_files() == before
    assert bench.leftovers() == []


def test_a_nochroot_script_sees_the_host_read_only(bench: Bench) -> None:
    text = kickstart(
        tail="%post --nochroot --erroronfail\n"
        "! touch /usr/touched 2>/dev/null\n! touch /etc/touched 2>/dev/null\n"
        f"test ! -e {bench.folder}\nrm -rf /usr/bin /etc/* 2>/dev/null\n"
        "echo $INSTALL_ROOT >/mnt/sysimage/etc/root\n%end\n"
    )

    bench.build(text)

    assert not Path("/usr/touched").exists()
    assert bench.look().text("/etc/root") == "/mnt/sysimage\n"


def _host_files() -> tuple[object, ...]:
    """Return what the scripts here would change, had they the host: files that they remove or make."""
    kept = [Path(name) for name in ("/bin/sh", "/etc/passwd", "/etc/hosts", "/usr/bin/env", sys.executable)]
    made = [path for path in STRAY if Path(path).exists()]
    return (*((str(path), path.stat().st_ino, path.stat().st_size) for path in kept), made)


def test_with_network_a_script_has_the_hosts_resolver_and_leaves_none(bench: Bench) -> None:
    bench.build(post("cat /etc/resolv.conf >/etc/seen"), "--network")

    look = bench.look()
    assert look.text("/etc/seen") == Path("/etc/resolv.conf").read_text()
    assert look.text("/etc/resolv.conf") == ""
