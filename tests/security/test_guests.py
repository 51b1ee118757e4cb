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
from builder.errors import BuildError, CommandFailed
from builder.guest import metadata, qemu, ssh
from builder.guest.checks import across, booted
from builder.guest.facts import COMMANDS, COSTLY, parse_facts
from builder.guest.instance import Datasource, new_instance
from builder.guest.outcome import LONGEST_REASON, run_checks
from builder.guest.qemu import Guest
from builder.guest.ssh import Login
from builder.report import Report
from builder.runner import Runner
from tests.guest.test_inside import good_boot
from tests.guest.test_machine import RUNNER, start

SECONDS = 3.0
# Longer than anything here takes, however busy the machine is.
HANGS = 600


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
    time.sleep(HANGS)


@contextlib.contextmanager
def stand_in(folder: Path, act: Callable[[socket.socket], None], name: str = qemu.SSH) -> Iterator[None]:
    """Answer a socket of the guest's as a hostile ssh server, or a qemu that was taken over, does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / name))
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
    assert lasted < HANGS / 2
    assert len(done.stdout) + len(done.stderr) < 1 << 20
    Report().note(done.stderr)
    assert "\x1b" not in capfd.readouterr().err


def not_json(peer: socket.socket) -> None:
    peer.sendall(b"not JSON\n" * 10)


def deep(peer: socket.socket) -> None:
    peer.sendall(b"{}\n" + b"[" * 500_000 + b"\n")


def a_list(peer: socket.socket) -> None:
    peer.sendall(b"[]\n5\n")


def an_odd_error(peer: socket.socket) -> None:
    peer.sendall(b'{}\n{"error": 1}\n')


def events(peer: socket.socket) -> None:
    while True:
        peer.sendall(b'{"event": "x"}\n' * 1000)


@pytest.mark.parametrize("act", [flood, not_json, deep, a_list, an_odd_error, events])
def test_a_qemu_that_was_taken_over_gives_no_answer_of_qmp(
    tmp_path: Path, act: Callable[[socket.socket], None]
) -> None:
    with stand_in(tmp_path, act, qemu.QMP), subprocess.Popen(["sleep", "100"]) as process:
        with contextlib.suppress(BuildError):
            assert Guest(tmp_path, process).power_down(0.1) is None
        process.kill()


@pytest.mark.parametrize("name", [qemu.SSH, qemu.QMP])
def test_a_link_in_the_place_of_a_guests_socket_leads_nowhere(tmp_path: Path, name: str) -> None:
    guest, asked = tmp_path / "guest", []
    guest.mkdir()
    (guest / name).symlink_to(tmp_path / name)

    with stand_in(tmp_path, asked.append, name):
        with pytest.raises(OSError, match="not a socket"), qemu.connected(guest, name, 5):
            pass
        assert not ssh.has_banner(guest)

    assert asked == []


def test_a_link_in_the_place_of_the_metadata_log_is_not_written_through(tmp_path: Path) -> None:
    guest, canary = tmp_path / "guest", tmp_path / "canary"
    guest.mkdir()
    canary.write_text("the host's own")
    (guest / metadata.LOG).symlink_to(canary)

    with metadata.serve(guest, new_instance("ssh-ed25519 AAAA"), Datasource.EC2):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(guest / metadata.SOCKET))
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"200 OK" in peer.recv(1 << 16)

    assert canary.read_text() == "the host's own"


@pytest.mark.parametrize("planted", ["link", "fifo", "folder"])
def test_what_stands_in_the_place_of_qemus_log_is_not_read(tmp_path: Path, planted: str) -> None:
    (tmp_path / "canary").write_text("the host's own")
    log = tmp_path / qemu.LOG
    {"link": lambda: log.symlink_to("canary"), "fifo": lambda: os.mkfifo(log), "folder": log.mkdir}[planted]()

    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert Guest(tmp_path, process).last_words() == "qemu ended (status 0)"


@pytest.mark.parametrize(
    ("bound", "value", "said"),
    [("LEAST_FREE", 1 << 60, "the host's disk"), ("LARGEST", {qemu.LOG: -1}, f"to its {qemu.LOG}")],
)
def test_a_guest_that_fills_the_disk_is_ended_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: object, said: str
) -> None:
    monkeypatch.setattr(qemu, bound, value)

    with qemu.running(RUNNER, tmp_path, start(tmp_path)) as guest:
        guest.process.wait(timeout=HANGS)

        assert said in guest.last_words()


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
                peer.settimeout(HANGS)
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
        # Who comes while others are still counted is sent away; the guest tries again.
        said, deadline = b"", time.monotonic() + HANGS
        while b"200 OK" not in said:
            assert time.monotonic() < deadline, said
            with socket.socket(socket.AF_UNIX) as peer, contextlib.suppress(OSError):
                peer.connect(str(tmp_path / metadata.SOCKET))
                peer.settimeout(HANGS)
                peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
                said = peer.recv(1 << 16)

    assert "\x1b" not in (tmp_path / metadata.LOG).read_text()
    assert capfd.readouterr().err == ""


SAID = {
    "nothing": "",
    "blanks": " \n \n",
    "a word": "word",
    "a number of many digits": "9" * 100_000,
    "numbers of many digits": "\n".join(["9" * 4000] * 3),
    "numbers below zero": "-1\n-1\n-1",
    "no number": "nan\ninf\n0x10",
    "a list": "[1]",
    "a list for the version": '{"v1": [1]}',
    "a number for the version": '{"v1": 1}',
    "a text for the errors": '{"v1": {"errors": 5, "datasource": []}}',
    "depth": "[" * 100_000,
    "escapes": "\x1b]0;title\x07\x1b[2J\u202e\x9b",
    "a bus again and again": "/virtio1/host1/" * 60_000,
    "brackets": ".......T. /a" + " (" * 500_000,
    "colons": ":" * 1_000_000,
    "quotes": '"' * 1_000_000,
    "half a character": "\udcff",
    "very much": "x y z\n" * 200_000,
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_what_a_guest_reports_ends_in_results(said: str, capfd: pytest.CaptureFixture[str]) -> None:
    for name in (*COMMANDS, *COSTLY):
        found = parse_facts("@1@", f"@1@ begin {name}\n{said}\n@1@ end 0\n")
        boot = good_boot(facts=found)
        results = [*run_checks(booted.CHECKS, boot), *run_checks(across.CHECKS, [boot, boot])]
        assert len(results) == len(booted.CHECKS) + len(across.CHECKS)
        assert max(len(result.reason) for result in results) <= LONGEST_REASON
    for result in results:
        Report().note(result.reason)

    assert "\x1b" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "said",
    [
        "@1@ begin user\n" * 300_000,
        "@1@ end 0\n" * 300_000,
        "@1@ begin user\n@1@ end " + "9" * 1_000_000,
        "@1@ begin unasked\nx\n@1@ end 0\n",
        "@1@ begin user\nx\n@1@ end -1\n",
        "@1@ begin user\nx\n@1@ end 256\n",
        "\n" * 3_000_000,
    ],
    ids=["begins", "ends", "a long status", "another fact", "below zero", "above 255", "lines"],
)
def test_a_report_out_of_form_holds_no_fact(said: str) -> None:
    assert parse_facts("@1@", said) == {}


def test_a_fact_without_an_end_is_cut() -> None:
    said = "@1@ begin user\n" + "x" * 30_000_000 + "\n" + "y\n" * 2_000_000 + "@1@ end 0\n"

    (fact,) = parse_facts("@1@", said).values()

    assert len(fact.output) < 2 << 20


def folder_of(process: Path) -> Path:
    """Return the folder that a process works in, as it knows it."""
    return Path(os.readlink(process / "cwd"))


def test_qemu_finds_no_network_and_nothing_of_the_host_in_its_room(tmp_path: Path) -> None:
    machine = start(tmp_path)
    (tmp_path.parent / "canary").write_text("the host's own")

    with qemu.running(RUNNER, tmp_path, machine) as guest:
        deadline = time.monotonic() + HANGS
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


def test_a_parser_has_files_without_a_name_where_it_is_given_a_place_for_them(tmp_path: Path) -> None:
    # As xfs_repair does where there is no memfd_create(2).
    program = 'import os; os.close(os.open("/tmp", os.O_TMPFILE | os.O_RDWR)); open("/tmp/made", "w").close()'
    runner, words = Runner(Report(quiet=True)), ["/usr/bin/python3", "-c", program]

    room.run_apart(runner, words, scratch=tmp_path)
    without = room.run_apart(runner, words, ok=())

    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert without.returncode == 1


OPEN = """
import os
for folder, below, files in os.walk("/proc"):
    below[:] = [name for name in below if not name.isdigit() or folder != "/proc"]
    for name in files:
        try:
            os.close(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            continue
        print(os.path.join(folder, name))
for name in ("oom_score_adj", "coredump_filter"):
    try:
        os.close(os.open("/proc/self/" + name, os.O_WRONLY))
        print(name)
    except OSError:
        pass
print("score", open("/proc/self/oom_score_adj").read())
"""


def test_a_parser_can_set_nothing_of_the_kernel_and_is_what_memory_is_taken_from(tmp_path: Path) -> None:
    runner, words = Runner(Report(quiet=True)), ["/usr/bin/python3", "-c", OPEN]

    done = room.run_apart(runner, words, writable=tmp_path)
    room.start_apart(runner, words, folder=tmp_path, log=tmp_path / "log").wait()

    assert done.stdout.split() == (tmp_path / "log").read_text().split() == ["score", "1000"]


SEARCH = """
import ctypes, sys
# keyctl(2): KEYCTL_SEARCH in the session's keyring.
found = ctypes.CDLL(None).syscall(250, 10, -3, b"user", sys.argv[1].encode(), 0)
print("found" if found > 0 else "no such key")
"""


def test_a_parser_does_not_have_the_keys_of_the_session(tmp_path: Path, session_key: str) -> None:
    runner = Runner(Report(quiet=True))
    words = ["/usr/bin/python3", "-c", SEARCH, session_key]
    outside = subprocess.run(words, capture_output=True, text=True, check=True).stdout

    done = room.run_apart(runner, words, writable=tmp_path)
    process = room.start_apart(runner, words, folder=tmp_path, log=tmp_path / "log")
    process.wait()

    assert outside == "found\n"
    assert done.stdout == (tmp_path / "log").read_text() == "no such key\n"


def test_a_program_that_talks_without_an_end_is_ended() -> None:
    with pytest.raises(CommandFailed) as caught:
        room.run_apart(Runner(Report(quiet=True)), ["yes"], most=1 << 20)

    assert caught.value.message == "yes was ended: it printed more than 1 MiB"
