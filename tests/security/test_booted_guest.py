# SPDX-License-Identifier: MIT
"""A guest that boots, lets the builder in, and is hostile from then on: real qemu, sshd and cloud-init."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.guest.conftest import OUT, ROOT, command, repository_options, run
from tests.support.imaging import processes_of

# Checks of what the host itself sees, or that say nothing where the guest says nothing.
HARMLESS = frozenset({"boot-seconds", "root-ssh-refused"})
pytestmark = [pytest.mark.boot, pytest.mark.slow]
NAME = "hostile"
# Stands in for every command of the default user. Who only looks is let in; who asks gets nonsense that ends
# the first time, and none that ends after that.
SHELL = r"""#!/usr/bin/python3
import os, re, sys, time
script = sys.stdin.read()
mark = re.search("@[0-9a-f]{16}@", script)
if not mark:
    sys.exit(0)
mark, again = mark[0], os.path.exists("/var/tmp/asked")
open("/var/tmp/asked", "w").close()
if os.path.exists("STAY"):
    os.unlink("STAY")
os.sync()
out = sys.stdout
while again:
    out.write("\x1b[2J flood " * 10000)
for _ in range(300):
    if os.path.exists("/var/tmp/reached"):
        break
    time.sleep(1)
reached = open("/var/tmp/reached").read() if os.path.exists("/var/tmp/reached") else "not tried"
def fact(name, text, status="0"):
    out.write("\n%s begin %s\n%s\n%s end %s\n" % (mark, name, text, mark, status))
fact("hostname", "reached " + reached)
fact("user", "\x1b]0;owned\x07\x1b[2J\x1b[31mroot\u202e")
fact("root-partition", "9" * 100000)
fact("root-device", "/virtio1/host1/" * 100000)
fact("cloud-result", "[" * 100000)
fact("cloud-status", "status: done\n" + "- \x1b[2J\n" * 100000)
fact("links", "\n".join("a b" for _ in range(100000)))
fact("machine-id", "/etc/passwd\n", "9" * 10000)
fact("no such fact", "x")
out.write(("%s begin sudo\n" % mark) * 100000)
"""
STAY = "/etc/systemd/logind.conf.d/stay.conf"
# Reaches for whatever the network leads to, and floods the metadata service and the console.
SERVICE = r"""#!/usr/bin/python3
import os, socket, threading, time
found = []
def reach(family, address):
    try:
        with socket.socket(family) as peer:
            peer.settimeout(2)
            peer.connect(address)
        found.append(":".join(map(str, address)))
    except OSError:
        pass
def ask_once(address):
    # DNS, TFTP, time, and the host's own: an answer but TFTP's refusal, or what arrives there, counts.
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(2)
            peer.sendto(b"\0\1/etc/passwd\0octet\0", address)
            if peer.recvfrom(1000)[0][:2] != b"\0\5":
                found.append("udp:" + ":".join(map(str, address)))
    except OSError:
        pass
# Only when it has a key to be let in by.
while not os.path.exists("/run/cloud-init/result.json"):
    time.sleep(1)
# What stands for the host in qemu's network, on the ports that listen there; names outside; the hypervisor.
hosts = ["10.0.2.2", "10.0.2.3", "10.0.2.4", "169.254.169.253", "169.254.169.252", "1.1.1.1"]
places = [(socket.AF_INET, (host, port)) for host in hosts for port in (22, 53, 80, 2222, PORT)]
places += [(socket.AF_INET, ("169.254.169.254", port)) for port in (22, 53, 443, PORT)]
places += [(socket.AF_VSOCK, (number, port)) for number in (0, 1, 2) for port in (22, 1024, PORT)]
threads = [threading.Thread(target=reach, args=place) for place in places]
asked = [(host, port) for host in hosts for port in (53, 69, 123, PORT)]
threads += [threading.Thread(target=ask_once, args=(place,)) for place in asked]
[one.start() for one in threads]
[one.join() for one in threads]
with open("/var/tmp/reached.new", "w") as file:
    file.write(" ".join(sorted(found)) or "nothing")
os.rename("/var/tmp/reached.new", "/var/tmp/reached")
def ask(number):
    while True:
        try:
            with socket.create_connection(("169.254.169.254", 80), 5) as peer:
                kind = number % 4
                if kind == 0:
                    peer.sendall(b"GET /" + b"\x1b[2J" * 20000 + b" HTTP/1.0\r\n\r\n")
                elif kind == 1:
                    peer.sendall(b"x" * 1000000)
                elif kind == 2:
                    peer.sendall(b"GET /../../../../etc/passwd HTTP/1.0\r\nA: " + b"b" * 60000)
                else:
                    peer.sendall(b"PUT /latest/api/token HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n")
                time.sleep(1)
        except OSError:
            time.sleep(1)
for number in range(4):
    threading.Thread(target=ask, args=(number,), daemon=True).start()
with open("/dev/ttyS0", "w") as console:
    for _ in range(20000):
        console.write("\x1b]0;owned\x07\x1b[2J login: \r\n")
while True:
    time.sleep(60)
"""
POST = """
%post
cat >/usr/local/sbin/hostile-shell <<'PYTHON'
{shell}PYTHON
cat >/usr/local/sbin/hostile-service <<'PYTHON'
{service}PYTHON
chmod 755 /usr/local/sbin/hostile-*
printf '\\033]0;owned\\007\\033[2J%65536s\\n' banner >/etc/ssh/banner
sed -i '1i ForceCommand /usr/local/sbin/hostile-shell\\nBanner /etc/ssh/banner' /etc/ssh/sshd_config
cat >/etc/systemd/system/hostile.service <<'UNIT'
[Unit]
After=network.target
[Service]
ExecStart=/usr/local/sbin/hostile-service
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p /etc/systemd/system/multi-user.target.wants /etc/systemd/logind.conf.d
ln -s ../hostile.service /etc/systemd/system/multi-user.target.wants/
# It does not go when the button is pressed for the first time.
printf '[Login]\\nHandlePowerKey=ignore\\n' >{stay}
# The shell, which is not root, takes it away.
chmod 777 /etc/systemd/logind.conf.d
%end
"""


@dataclass(frozen=True)
class Listener:
    """A service of the host on its loopback, which no guest may reach."""

    port: int
    asked: list[str]


@pytest.fixture(scope="module")
def listener() -> Any:
    """A listener on a port of the host's."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(server.getsockname())

        def receive() -> None:
            try:
                while True:
                    asked.append(f"datagram {datagrams.recvfrom(100)}")
            except OSError:
                return

        def serve() -> None:
            try:
                while True:
                    _, peer = server.accept()
                    asked.append(str(peer))
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        threading.Thread(target=receive, daemon=True).start()
        yield Listener(server.getsockname()[1], asked)
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def hostile_image(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Path:
    """The JeOS with a hostile shell, service and power button."""
    kickstart = tmp_path_factory.mktemp("kickstart") / f"{NAME}.ks"
    base = ROOT / "kickstarts" / "jeos-fixture.ks"
    service = SERVICE.replace("PORT", str(listener.port))
    post = POST.format(shell=SHELL.replace("STAY", STAY), service=service, stay=STAY)
    kickstart.write_text(f"%include {base}\n{post}")
    run(repository_options("image", kickstart, "--target", "fixture-12", "--size", "2048"))
    return OUT / NAME / f"{NAME}.qcow2"


def test_a_hostile_guest_ends_in_a_verdict_and_leaves_nothing(
    hostile_image: Path, listener: Listener, tmp_path: Path
) -> None:
    before = hashlib.sha256(hostile_image.read_bytes()).digest()
    words = (
        "--firmware",
        "bios",
        "--datasource",
        "openstack",
        "--timeout",
        "600",
        "--second-boot",
        "--json",
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    done = subprocess.run(
        command("verify", hostile_image, *words), cwd=ROOT, env=environment, capture_output=True, check=False
    )

    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 1, err
    assert "Traceback" not in err
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)
    assert len(out) + len(err) < 1 << 20
    booted = [one for one in json.loads(out)["checks"] if one["boot"]]
    first = {one["check"]: one for one in booted if not one["boot"].endswith("again")}
    again = {one["check"]: one for one in booted if one["boot"].endswith("again")}
    # It lets us in, and is asked; what it says are results.
    assert first["login"]["state"] == again["login"]["state"] == "pass", err
    # Nothing but its own network: neither the host's loopback nor a name server, nor the hypervisor.
    assert "reached nothing" in first["hostname"]["reason"]
    assert listener.asked == []
    judged = [one for one in first.values() if one["check"] not in ("login", "clean-shutdown")]
    assert not {one["check"] for one in judged if one["state"] == "pass"} - HARMLESS, judged
    assert first["clean-shutdown"]["state"] == "fail"
    # Who talks without an end is hung up on, at once, and has said nothing.
    assert "printed more than 8 MiB" in again["hostname"]["reason"]
    assert again["clean-shutdown"]["state"] == "pass"
    print("\n".join(f"{one['boot']}: {one['check']}: {one['state']}: {one['reason'][:90]}" for one in booted))
    assert processes_of(tmp_path) == []
    kept = tmp_path / "cache/openstack-builder/verify"
    assert {path.name for path in kept.iterdir()} <= {"logs", "acceleration.json"}
    assert sum(path.stat().st_size for path in kept.rglob("*") if path.is_file()) < 130 << 20
    assert hashlib.sha256(hostile_image.read_bytes()).digest() == before
    # qemu's own memory, and the largest process that we have ever had: in KiB.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 << 20
