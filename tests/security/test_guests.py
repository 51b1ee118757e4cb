# SPDX-License-Identifier: MIT
"""Guests that are hostile: what they say to ssh, and ask of the metadata service, has a bound."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder import room
from builder.guest import metadata, qemu, ssh
from builder.guest.instance import Datasource, new_instance
from builder.guest.ssh import Login
from builder.report import Report
from builder.runner import Runner
from tests.guest.test_machine import RUNNER, start

SECONDS = 3.0


def flood(peer: socket.socket) -> None:
    while True:
        peer.sendall(os.urandom(1 << 16))


def greet_and_flood(peer: socket.socket) -> None:
    peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    flood(peer)


def lines_without_an_end(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"\x1b]0;title\x07\x1b[2J not a greeting\r\n" * 1000)


def one_line_without_an_end(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"x" * (1 << 16))


def silence(peer: socket.socket) -> None:
    peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    time.sleep(60)


@contextlib.contextmanager
def stand_in(folder: Path, act: Callable[[socket.socket], None]) -> Iterator[None]:
    """Answer the guest's socket as a hostile ssh server does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / qemu.SSH))
    listener.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            act(peer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listener.close()


@pytest.mark.parametrize(
    "act", [flood, greet_and_flood, lines_without_an_end, one_line_without_an_end, silence]
)
def test_a_hostile_ssh_server_means_no_login(
    tmp_path: Path, act: Callable[[socket.socket], None], capfd: pytest.CaptureFixture[str]
) -> None:
    ssh.make_key(RUNNER, tmp_path)
    login = Login(runner=RUNNER, folder=tmp_path, user="cloud")

    with stand_in(tmp_path, act):
        begun = time.monotonic()
        ssh.has_banner(tmp_path)
        done = login.run("true", timeout=SECONDS)
        lasted = time.monotonic() - begun

    assert done.returncode == 255
    assert "exec" not in done.stderr
    assert lasted < 30
    assert len(done.stdout) + len(done.stderr) < 1 << 20
    Report().note(done.stderr)
    assert "\x1b" not in capfd.readouterr().err


ODD = {
    "a path that climbs": b"GET /../../../../etc/passwd HTTP/1.0\r\n\r\n",
    "a climb in escapes": b"GET /latest/%2e%2e/%2e%2e/etc/passwd HTTP/1.0\r\n\r\n",
    "another host": b"GET http://127.0.0.1:22/ HTTP/1.0\r\n\r\n",
    "a file": b"GET file:///etc/passwd HTTP/1.0\r\n\r\n",
    "no path": b"GET\r\n\r\n",
    "a long path": b"GET /" + b"a/" * 30_000 + b" HTTP/1.0\r\n\r\n",
    "a longer path": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.0\r\n\r\n",
    "many headers": b"GET / HTTP/1.0\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
    "escapes": b"GET /\x1b]0;title\x07\x1b[2J HTTP/1.0\r\n\r\n",
    "not HTTP": bytes(range(256)) * 10 + b"\r\n\r\n",
    "another method": b"DELETE / HTTP/1.0\r\n\r\n",
    "a body without an end": b"PUT /latest/api/token HTTP/1.0\r\nContent-Length: 99999999999\r\n\r\n",
}


def test_odd_requests_get_short_answers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with metadata.serve(tmp_path, new_instance("ssh-ed25519 AAAA"), Datasource.EC2):
        for name, request in ODD.items():
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(tmp_path / metadata.SOCKET))
                peer.settimeout(20)
                with contextlib.suppress(OSError):
                    peer.sendall(request)
                    said = peer.recv(1 << 16)
                    assert b"root:" not in said, name
        # Connections that are cut off, and more than are answered at once.
        peers = [socket.socket(socket.AF_UNIX) for _ in range(100)]
        for peer in peers:
            peer.connect(str(tmp_path / metadata.SOCKET))
            with contextlib.suppress(OSError):
                peer.sendall(b"GET / HTTP/1.0\r\n")
        for peer in peers:
            peer.close()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(tmp_path / metadata.SOCKET))
            peer.settimeout(20)
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"200 OK" in peer.recv(1 << 16)

    assert "\x1b" not in (tmp_path / metadata.LOG).read_text()
    assert capfd.readouterr().err == ""


def folder_of(process: Path) -> Path:
    """Return the folder that a process works in, as it knows it."""
    return Path(os.readlink(process / "cwd"))


def test_qemu_finds_no_network_and_nothing_of_the_host_in_its_room(tmp_path: Path) -> None:
    machine = start(tmp_path)
    (tmp_path.parent / "canary").write_text("the host's own")

    with qemu.running(RUNNER, tmp_path, machine) as guest:
        deadline = time.monotonic() + 30
        while not (tmp_path / qemu.QMP).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        words = ["pgrep", "-f", f"^{qemu.QEMU} .*{machine.mac}"]
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
        inner = next(at for pid in found if folder_of(at := Path("/proc", pid)) == tmp_path)
        status = inner.joinpath("status").read_text()
        spaces = {name: os.readlink(inner / "ns" / name) for name in ("net", "pid", "mnt", "ipc", "user")}

        assert guest.is_running
        assert [name for name, at in spaces.items() if os.readlink(f"/proc/self/ns/{name}") == at] == []
        assert "CapEff:\t0000000000000000" in status
        assert "Seccomp:\t2" in status
        assert not (inner / "root" / tmp_path.parent.relative_to("/") / "canary").exists()
        assert not (inner / "root/home").exists()


def test_what_a_parser_writes_besides_its_folder_is_nothing(tmp_path: Path) -> None:
    script = 'for at in / /tmp /dev /dev/shm /run /var/tmp "$HOME"; do echo x >$at/x && echo $at; done; true'

    done = room.run_apart(Runner(Report(quiet=True)), ["/bin/sh", "-c", script], writable=tmp_path)

    assert done.stdout == ""
