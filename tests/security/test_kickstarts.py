# SPDX-License-Identifier: MIT
"""Kickstarts and packages that are hostile: they harm their image, and nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.image.build import MOST_WARNINGS
from tests.security.conftest import Host
from tests.security.recipes import KICKSTARTS, LINKS, SCRIPTLETS
from tests.support.imaging import HEAD, kickstart
from tests.support.other_user import NUMBER

pytestmark = pytest.mark.root
PROBE = Path(__file__).with_name("probe.py").read_text()
FORBIDDEN = {"SYS_ADMIN": 21, "SYS_PTRACE": 19, "SYS_MODULE": 16, "NET_ADMIN": 12, "NET_RAW": 13, "BPF": 39}


@pytest.fixture
def bystander(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    """Another process of the user's."""
    user = NUMBER if host.user == "plain" else None
    with subprocess.Popen(["/usr/bin/sleep", "600"], user=user) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("name", KICKSTARTS)
def test_a_kickstart_harms_nothing_but_its_image(
    host: Host, bystander: subprocess.Popen[bytes], name: str
) -> None:
    before = host.state()

    done = host.build(kickstart(tail=KICKSTARTS[name]), ok=None)

    assert host.state() == before
    assert bystander.poll() is None
    assert "secret" not in done.stderr
    assert "\x1b" not in done.stderr
    assert not host.bench.log.exists() or host.bench.log.stat().st_size < 80 << 20


@pytest.mark.parametrize("package", SCRIPTLETS)
def test_a_package_harms_nothing_but_its_image(host: Host, package: str) -> None:
    before = host.state()

    done = host.build(kickstart(packages=package), ok=None)

    assert host.state() == before
    assert done.stderr.count("\n") < MOST_WARNINGS + 100
    assert host.bench.log.stat().st_size < 80 << 20


def test_a_scriptlet_sees_its_own_room_only(host: Host) -> None:
    host.build(kickstart(packages="hostile-look"))

    look = host.bench.look()
    assert int(look.text("/processes")) < 10
    assert "disk.raw" not in look.text("/seen")
    assert not int(look.text("/capabilities").split()[1], 16) >> FORBIDDEN["SYS_ADMIN"] & 1
    assert "no" in look.text("/mounting")


def test_an_include_through_a_linked_folder_reads_nothing_of_the_host(host: Host) -> None:
    text = kickstart(head="%include /tmp/a/Documents/diary\n%pre\nln -s {home} /tmp/a\n%end\n")

    done = host.build(text, ok=False)

    assert "the user's own" not in done.stderr


def test_scripts_have_neither_the_calls_nor_the_capabilities_to_go_further(host: Host) -> None:
    host.build(
        kickstart(tail=f"%post --nochroot --erroronfail --interpreter=/usr/bin/python3\n{PROBE}\n%end\n")
    )

    found = json.loads(host.bench.look().text("/probe.json"))
    assert {name for name, said in found["calls"].items() if said not in ("EPERM", "ENOSYS")} == set()
    assert {name for name, said in found["families"].items() if said == "allowed"} == {"unix", "inet"}
    for name, number in FORBIDDEN.items():
        assert not int(found["capabilities"], 16) >> number & 1, name
        assert not int(found["effective"], 16) >> number & 1, name
    assert found["no_new_privs"] == "1"
    strange = [
        at for at in found["descriptors"].values() if not at.startswith(("pipe:", "/dev/null", "/run/"))
    ]
    assert strange == []
    assert len(found["processes"]) < 6
    assert found["cgroups"] == "ENOENT"
    assert 0 < found["memory"] < 1 << 40
    assert 0 < found["most_processes"] <= 4096
    assert found["work"] == "ENOENT"
    assert not {"home", "tree", "cache", "repos", "disk.raw", "initramfs"} & set(found["root"])


def test_scripts_do_not_have_the_keys_of_the_session(host: Host, session_key: str) -> None:
    host.build(
        kickstart(tail="%post --nochroot --erroronfail\ncat /proc/keys >/mnt/sysimage/keys || true\n%end\n")
    )

    assert session_key not in host.bench.look().text("/keys")


HELD = """
import ctypes, json, os, socket, stat
libc = ctypes.CDLL(None)
did = []
def attempt(name, act):
    try:
        act()
        did.append(name)
    except OSError:
        pass
def written(path):
    with open(path, "w") as file:
        file.write("1")
for number, device in enumerate(((8, 0), (1, 1), (1, 2), (254, 0))):
    path = "/mnt/sysimage/device%d" % number
    attempt("mknod %s" % (device,), lambda: os.mknod(path, stat.S_IFBLK | 0o666, os.makedev(*device)))
    attempt("memory %s" % (device,), lambda: os.mknod(path + "c", stat.S_IFCHR | 0o666, os.makedev(*device)))
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches",
             "/proc/sysrq-trigger", "/sys/kernel/mm/ksm/run", "/sys/power/state", "/sys/kernel/uevent_helper",
             "/proc/self/oom_score_adj", "/proc/1/oom_score_adj"):
    attempt(path, lambda: written(path))
attempt("terminal", lambda: os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)))
attempt("loopback", lambda: socket.create_connection(("127.0.0.1", PORT), 5).close())
abstract = socket.socket(socket.AF_UNIX)
attempt("abstract", lambda: abstract.connect("\\0NAME"))
attempt("a process of the host", lambda: os.kill(BYSTANDER, 9))
with open("/mnt/sysimage/held.json", "w") as file:
    json.dump(did, file)
"""


def test_what_held_goes_on_holding(host: Host, bystander: subprocess.Popen[bytes]) -> None:
    name = f"canary-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{name}")
        for listener in (server, abstract):
            listener.listen()
            listener.settimeout(0.1)
        script = HELD.replace("PORT", str(server.getsockname()[1])).replace("NAME", name)
        script = script.replace("BYSTANDER", str(bystander.pid))

        host.build(
            kickstart(tail=f"%post --nochroot --erroronfail --interpreter=/usr/bin/python3\n{script}\n%end\n")
        )

        for listener in (server, abstract):
            with pytest.raises(TimeoutError):
                listener.accept()
    assert json.loads(host.bench.look().text("/held.json")) == []
    assert bystander.poll() is None


def test_memory_has_a_bound(host: Host) -> None:
    body = "try:\n    bytearray(1 << 34)\nexcept MemoryError:\n    raise SystemExit(0)\nraise SystemExit(1)"
    text = kickstart(tail=f"%post --nochroot --erroronfail --interpreter=/usr/bin/python3\n{body}\n%end\n")

    host.build(text, "--memory-share", "5")


def test_a_folder_of_the_host_in_the_place_of_a_file_system_is_not_in_the_image(host: Host) -> None:
    base = HEAD + "part /data --fstype=ext4 --size=16\n"

    host.build(kickstart(base=base, tail="%post\numount /data; rmdir /data; ln -s /etc/apt /data\n%end\n"))

    data = next(one for one in host.bench.manifest()["partitions"] if one["mountpoint"] == "/data")
    raw = host.bench.folder / "look.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", host.bench.image, raw], check=True)
    shown = subprocess.run(
        ["debugfs", "-R", "ls -p /", f"{raw}?offset={data['start']}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "sources.list" not in shown


POISONS = {
    "dracut": "echo 'echo poisoned >/boot/initramfs-6.0.0-synthetic.img' >/usr/bin/dracut",
    "dracut, and what makes it run": "mkdir -p /etc/dracut.conf.d; echo x >/etc/dracut.conf.d/x.conf\n"
    "printf '#!/bin/sh\\necho poisoned >/boot/initramfs-6.0.0-synthetic.img\\n' >/usr/bin/dracut",
    "the initramfs itself": "echo poisoned >/boot/initramfs-6.0.0-synthetic.img",
    "the place of the cache": "rm -rf /var/log; ln -s /initramfs /var/log",
    "an initramfs without content": "printf '#!/bin/sh\\n:>/boot/initramfs-6.0.0-synthetic.img\\n' "
    ">/usr/bin/dracut",
    "links": LINKS,
}


@pytest.mark.parametrize("body", POISONS.values(), ids=POISONS)
@pytest.mark.parametrize("section", ["%post", "%pre-install"])
def test_one_image_does_not_poison_another(host: Host, body: str, section: str) -> None:
    clean = kickstart(packages="capable")
    if section == "%pre-install":
        body = body.replace("/boot/initramfs", "/mnt/sysimage/boot/initramfs").replace(
            ">/usr", ">/mnt/sysimage/usr"
        )
        body = "mkdir -p /mnt/sysimage/usr/bin /mnt/sysimage/boot\n" + body
    host.build(kickstart(packages="capable", tail=f"{section}\n{body}\n%end\n"), ok=None)

    host.build(clean)

    text = host.bench.look().ask("cat /boot/initramfs-6.0.0-synthetic.img")
    assert "fake initramfs: --force" in text
    assert "poisoned" not in text
