# SPDX-License-Identifier: MIT
"""A guest that boots, lets the builder in, and is hostile from then on: real qemu, sshd and cloud-init."""

from __future__ import annotations

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

pytestmark = [pytest.mark.boot, pytest.mark.slow]
NAME = "hostile"
# Stands in for every command of the default user. The first login is let in; then come the facts.
SHELL = r"""#!/usr/bin/python3
import os, re, sys
counter = "/var/tmp/logins"
with open(counter, "a+") as file:
    file.write("x")
    file.flush()
    number = os.stat(counter).st_size
script = sys.stdin.read(200)
if number == 1:
    sys.exit(0)
script += sys.stdin.read()
mark = re.search("@[0-9a-f]{16}@", script)
mark = mark[0] if mark else "@"
reached = open("/var/tmp/reached").read() if os.path.exists("/var/tmp/reached") else "not tried"
out = sys.stdout
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
out.write(("%s begin sudo\n" % mark) * 300000)
while True:
    out.write("\x1b[2J flood " * 10000)
"""
# Reaches for whatever the network leads to, and floods the metadata service and the console.
SERVICE = r"""#!/usr/bin/python3
import os, socket, threading, time
found = []
def reach(host, port):
    try:
        socket.create_connection((host, port), 2).close()
        found.append("%s:%s" % (host, port))
    except OSError:
        pass
# Only when it has a key to be let in by.
while not os.path.exists("/run/cloud-init/result.json"):
    time.sleep(1)
# What stands for the host in qemu's network, on the ports that listen there; and names outside.
hosts = ["10.0.2.2", "10.0.2.3", "10.0.2.4", "169.254.169.253", "169.254.169.252", "1.1.1.1"]
ports = [22, 53, 80, PORT]
threads = [threading.Thread(target=reach, args=(host, port)) for host in hosts for port in ports]
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
            time.sleep(0.2)
for number in range(60):
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
sed -i '1i ForceCommand /usr/local/sbin/hostile-shell' /etc/ssh/sshd_config
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
# It does not go when the button is pressed.
printf '[Login]\\nHandlePowerKey=ignore\\n' >/etc/systemd/logind.conf.d/stay.conf
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
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    _, peer = server.accept()
                    asked.append(str(peer))
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield Listener(server.getsockname()[1], asked)
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def hostile_image(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Path:
    """The JeOS with a hostile shell, service and power button."""
    kickstart = tmp_path_factory.mktemp("kickstart") / f"{NAME}.ks"
    base = ROOT / "kickstarts" / "jeos-fixture.ks"
    post = POST.format(shell=SHELL, service=SERVICE.replace("PORT", str(listener.port)))
    kickstart.write_text(f"%include {base}\n{post}")
    run(repository_options("image", kickstart, "--target", "fixture-12", "--size", "2048"))
    return OUT / NAME / f"{NAME}.qcow2"


def test_a_hostile_guest_ends_in_a_verdict_and_leaves_nothing(
    hostile_image: Path, listener: Listener, tmp_path: Path
) -> None:
    before = hostile_image.read_bytes()
    words = ("--firmware", "bios", "--datasource", "openstack", "--timeout", "900", "--second-boot", "--json")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    done = subprocess.run(
        command("verify", hostile_image, *words), cwd=ROOT, env=environment, capture_output=True, check=False
    )

    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 1, err
    assert "Traceback" not in err
    assert "\x1b" not in out + err
    assert "\x07" not in out + err
    assert len(out) + len(err) < 1 << 20
    results = {one["check"]: one for one in json.loads(out)["checks"] if one["boot"]}
    first = [one for one in json.loads(out)["checks"] if one["boot"] and not one["boot"].endswith("again")]
    by_name = {one["check"]: one for one in first}
    assert by_name["login"]["state"] == "pass", err
    # Nothing but its own network: neither the host's loopback nor a name server.
    assert "reached nothing" in by_name["hostname"]["reason"]
    assert listener.asked == []
    assert by_name["root-grown"]["state"] == "not-done"
    assert by_name["machine-id-set"]["state"] == "not-done"
    assert by_name["clean-shutdown"]["state"] == "fail"
    assert results
    assert processes_of(tmp_path) == []
    assert {path.name for path in (tmp_path / "cache/openstack-builder/verify").iterdir()} <= {
        "logs", "acceleration.json"
    }  # fmt: skip
    assert hostile_image.read_bytes() == before
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 << 20
