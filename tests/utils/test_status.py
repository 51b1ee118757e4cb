# SPDX-License-Identifier: MIT
"""openstack-status: HTTP answers, protocols, limits of time, what counts, what is printed."""

import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from openstack_utils.db.catalogue import Places
from openstack_utils.errors import UnreachableError
from openstack_utils.service.known import Kind
from openstack_utils.service.selection import Service
from openstack_utils.service.states import ServiceState
from openstack_utils.status import asking, buses, cloud, disks, endpoints, failures, judging, rendering, talks
from openstack_utils.status.judging import Finding
from openstack_utils.status.report import Report, ReportSection
from openstack_utils.status.settings import Settings

from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue

UTILS = Path(__file__).resolve().parents[2] / "utils"
DATA = json.loads(render_services(load_catalogue()))
VERSIONS = {
    "versions": [
        {"id": "v2.1", "status": "CURRENT", "version": "2.96"},
        {"id": "v2.0", "status": "SUPPORTED"},
    ]
}


# Seconds that a double hangs: longer than anything here takes, however busy the machine is.
HANGS = 600


class Double(BaseHTTPRequestHandler):
    """A double of an API: answers what `answers` has for a path, (status, headers, body); None hangs."""

    answers: ClassVar[dict[str, Any]] = {}
    ended = threading.Event()

    def do_GET(self) -> None:
        """Answer."""
        answer = self.answers.get(self.path, (404, {}, b"no"))
        if answer is None:
            self.ended.wait(HANGS)
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def double(answers: "dict[str, Any]") -> Iterator[int]:
    """Serve answers on a port of this host; yield the port."""
    handler = type("Handler", (Double,), {"answers": answers, "ended": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            handler.ended.set()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def speaking(reply: "bytes | None", first: bool = False) -> Iterator["tuple[str, int]"]:
    """A double of a server: sends `reply` to whoever comes (`first`: before he speaks); None hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    channel, _ = server.accept()
                    with channel:
                        if not first:
                            channel.recv(100)
                        if reply is None:
                            ended.wait(HANGS)
                        else:
                            channel.sendall(reply)
                            # Closed with something unread, it would take back what was sent.
                            channel.shutdown(socket.SHUT_WR)
                            while channel.recv(100):
                                pass

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()
        ended.set()


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the launcher as a person does, without OS_* of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return subprocess.run(
        [sys.executable, "-I", UTILS / "bin" / "openstack-status", *words],
        capture_output=True, text=True, check=False, env={**kept, **environment}, timeout=600,
    )  # fmt: skip


# Endpoints

HTTP = {
    "a version document": ((200, {}, json.dumps(VERSIONS).encode()), True, "v2.1 (2.96)"),
    "several versions": ((300, {}, json.dumps(VERSIONS).encode()), True, "v2.1 (2.96)"),
    "one version": ((200, {}, b'{"version": {"id": "v3.14", "status": "stable"}}'), True, "v3.14"),
    "Keystone's list": ((300, {}, b'{"versions": {"values": [{"id": "v3.14"}]}}'), True, "v3.14"),
    "a page": ((200, {}, b"<html>OK</html>"), True, ""),
    "it wants a token": ((401, {}, b""), True, ""),
    "to the login page": ((302, {"Location": "/login/"}, b""), True, ""),
    "to nothing": ((302, {"Location": "/nowhere"}, b""), False, ""),
    "not there": ((404, {}, b"no"), False, ""),
    "broken": ((500, {}, b"Traceback"), False, ""),
    "its backend is gone": ((503, {}, b""), False, ""),
    "JSON that is not a document": ((200, {}, b"[1, 2]"), True, ""),
    "not even text": ((200, {}, b"\xff\xfe\x00"), True, ""),
}


@pytest.mark.parametrize("case", HTTP)
def test_an_http_answer_is_judged(case: str) -> None:
    answer, well, version = HTTP[case]
    with double({"/": answer, "/login/": (200, {}, b"<html>log in</html>")}) as port:
        reply = endpoints.look(f"http://127.0.0.1:{port}/", asking.Limit(60))

    assert (reply.is_well, reply.version) == (well, version)


def test_a_redirect_to_another_host_is_not_followed() -> None:
    with double({"/": (302, {"Location": "http://192.0.2.1/"}, b"")}) as port:
        reply = endpoints.look(f"http://127.0.0.1:{port}/", asking.Limit(60))
    assert (reply.status, reply.is_well) == (302, False)


def test_a_circle_of_redirects_ends() -> None:
    with double({"/": (302, {"Location": "/"}, b"")}) as port:
        assert not endpoints.look(f"http://127.0.0.1:{port}/", asking.Limit(60)).is_well


@pytest.mark.parametrize(("reply", "said"), [(b"SSH-2.0-OpenSSH\r\n", "."), (None, "no answer within 0.3 s")])
def test_what_speaks_no_http_is_reported(reply: bytes, said: str) -> None:
    with speaking(reply) as (host, port), pytest.raises(UnreachableError, match=said):
        endpoints.look(f"http://{host}:{port}/", asking.Limit(0.3))


# What is in the file; the URL
LOCATED = {
    "no file": (None, "http://127.0.0.1:5000/v3"),
    "every address": ("http-socket = :5001", "http://127.0.0.1:5001/v3"),
    "one address": ("http-socket = 192.0.2.7:5002", "http://192.0.2.7:5002/v3"),
    "IPv6": ("http-socket = [::1]:5003", "http://[::1]:5003/v3"),
    "every IPv6": ("http-socket=[::]:5003", "http://127.0.0.1:5003/v3"),
    "TLS": ("https-socket = :5443,server.crt,server.key", "https://127.0.0.1:5443/v3"),
    "a Unix socket": ("http-socket = /run/keystone.sock", None),
}


@pytest.mark.parametrize("case", LOCATED)
def test_the_address_is_that_of_the_configuration(tmp_path: Path, case: str) -> None:
    line, url = LOCATED[case]
    if line:
        (tmp_path / "keystone").mkdir()
        (tmp_path / "keystone/openstack-keystone-uwsgi.ini").write_text("[uwsgi]\n" + line + "\n")
    facts = DATA["projects"]["keystone"]["releases"]["current"]["services"]["openstack-keystone"]["http"]
    assert endpoints.locate(facts, Settings(Places(config_dir=os.fspath(tmp_path)))) == url


def test_port_and_host_of_a_program_are_read_without_blanks_too(tmp_path: Path) -> None:
    (tmp_path / "cinder").mkdir()
    text = "[DEFAULT]\nosapi_volume_listen=192.0.2.9\nosapi_volume_listen_port=8777\n"
    (tmp_path / "cinder/cinder.conf").write_text(text)
    facts = DATA["projects"]["cinder"]["releases"]["current"]["services"]["openstack-cinder-api"]["http"]
    url = endpoints.locate(facts, Settings(Places(config_dir=os.fspath(tmp_path))))
    assert url == "http://192.0.2.9:8777/"


@pytest.mark.parametrize(
    ("words", "port"),
    [
        # The file of the command line is read last, else the folder.
        ("/usr/bin/cinder-api --config-file /etc/cinder/cinder.conf", 8777),
        ("/usr/bin/cinder-api", 8778),
    ],
)
def test_a_drop_in_wins_where_the_service_reads_it_last(tmp_path: Path, words: str, port: int) -> None:
    for name, text in {
        "cinder/cinder.conf": "[DEFAULT]\nosapi_volume_listen_port=8777\n",
        "cinder/cinder.conf.d/10.conf": "[DEFAULT]\nosapi_volume_listen_port = 8778\n",
        "systemd/system/openstack-cinder-api.service": f"[Service]\nExecStart={words}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    facts = DATA["projects"]["cinder"]["releases"]["current"]["services"]["openstack-cinder-api"]["http"]

    url = endpoints.locate(facts, Settings(Places(config_dir=os.fspath(tmp_path))))

    assert url == f"http://127.0.0.1:{port}/"


# What others speak

GREETING = b"\x4a\0\0\0\x0a5.5.5-10.11.6-MariaDB\0rest"
BLOCKED = b"\x4a\0\0\0\xff\x69\x04Host '192.0.2.1' is blocked"
START = b"\x01\0\0\0\0\0\x50\0\x0a\0\x0a\0\x09" + b"\x07versionS" + struct.pack("!I", 6) + b"3.13.7"
# talk, what the server sends (before we speak?), what is found, or the error
TALKS = {
    "MariaDB": ("mysql", GREETING, True, "10.11.6-MariaDB", None),
    "MariaDB that blocks us": ("mysql", BLOCKED, True, None, "Host '192.0.2.1' is blocked"),
    "no MariaDB": ("mysql", b"SSH-2.0-OpenSSH_9\r\n", True, None, "no MySQL or MariaDB there"),
    "PostgreSQL": ("postgresql", b"N", False, "", None),
    "no PostgreSQL": ("postgresql", b"HTTP/1.0 400", False, None, "no PostgreSQL there"),
    "RabbitMQ": ("amqp", START, False, "3.13.7", None),
    "Qpid": ("amqp", b"AMQP\x01\x01\x00\x0a", False, "AMQP 0-10", None),
    "no bus": ("amqp", b"HTTP/1.0 400", False, None, "no AMQP there"),
    "a bus that hangs up": ("amqp", b"", False, None, "closed the connection|reset"),
    "memcached": ("memcached", b"VERSION 1.6.18\r\n", False, "1.6.18", None),
    "Open vSwitch": ("ovsdb", b'{"id":"status","result":[],"error":null}', False, "", None),
    "a server that hangs": ("memcached", None, False, None, "no answer within 0.3 s"),
}


@pytest.mark.parametrize("case", TALKS)
def test_a_server_of_others_is_spoken_to(case: str) -> None:
    talk, reply, first, found, error = TALKS[case]
    with speaking(reply, first) as place:
        if error is None:
            assert talks.ask(talk, [place], asking.Limit(60)) == found
        else:
            with pytest.raises(UnreachableError, match=error):
                talks.ask(talk, [place], asking.Limit(0.3))


def test_every_talk_of_the_catalogue_is_known() -> None:
    assert {each["talk"] for each in DATA["supports"].values()} - {None} == set(talks.TALKS)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("rabbit://nova:s3cret@db.example.com:5673/", [("db.example.com", 5673)]),
        ("rabbit://a:b@one,c:d@two:5674/vhost?ssl=1", [("one", 5672), ("two", 5674)]),
        ("rabbit://u:p@[2001:db8::1]:5672/", [("2001:db8::1", 5672)]),
        ("rabbit+x://host", [("host", 5672)]),
        ("fake://", []),
        ("", []),
        ("rabbit://u:p@host:port/", []),
    ],
)
def test_buses_of_a_transport_url(url: str, found: "list[tuple[str, int]]") -> None:
    assert buses.hosts(url) == found


# Time


def test_all_are_asked_at_once_and_the_slow_ones_have_no_answer() -> None:
    over = threading.Event()

    def hang(limit: asking.Limit) -> str:
        over.wait()
        return "late"

    def fail(limit: asking.Limit) -> str:
        raise ZeroDivisionError("of the probe")

    probes: dict[object, Any] = dict.fromkeys(range(40), hang)
    probes.update(quick=lambda _: "here", broken=fail)
    started = time.monotonic()
    answers = asking.ask(probes, 3)
    # Not forty times; how much of a second more is for the bench.
    assert time.monotonic() - started < 40 * 3 / 2
    over.set()
    assert answers["quick"].value == "here"
    assert answers["broken"].error == "ZeroDivisionError: of the probe"
    assert {answers[number].error for number in range(40)} == {"no answer within 3 s"}


# What counts

NOVA = Service("openstack-nova-compute", Kind("openstack-nova-compute", "nova", (6, 1)))
CLEANUP = Service("neutron-ovs-cleanup", Kind("neutron-ovs-cleanup", "neutron", (4, 1), (), True))
JUDGED = {
    "enabled and active": (NOVA, ServiceState("", "active", "running", "enabled", 7), True),
    "enabled and stopped": (NOVA, ServiceState("", "inactive", "dead", "enabled"), False),
    "enabled and failed": (NOVA, ServiceState("", "failed", "failed", "enabled", None, None, "exit"), False),
    "enabled and starting again and again": (
        NOVA, ServiceState("", "activating", "auto-restart", "enabled"), False,
    ),
    "enabled and unknown": (NOVA, ServiceState("", "unknown", "", "enabled"), False),
    "disabled and stopped": (NOVA, ServiceState("", "inactive", "dead", "disabled"), None),
    "disabled and failed": (NOVA, ServiceState("", "failed", "failed", "disabled"), None),
    "no answer of systemd": (NOVA, None, None),
    "clean-up that has ended": (CLEANUP, ServiceState("", "inactive", "dead", "enabled"), True),
    "clean-up that failed": (CLEANUP, ServiceState("", "failed", "failed", "enabled"), False),
}  # fmt: skip


@pytest.mark.parametrize("case", JUDGED)
def test_an_enabled_service_is_meant_to_work(case: str) -> None:
    service, state, well = JUDGED[case]
    states = None if state is None else {service.unit: state}
    assert judging.service(service, states, {}).well is well


@pytest.mark.parametrize(
    ("free", "total", "inodes", "low"),
    [
        (50, 100, 0.9, False),
        (1, 100, 0.9, True),
        (40, 1000, 0.9, False),
        (50, 100, 0.01, True),
        (0, 0, 1, False),
    ],
)
def test_room_is_low_by_share_and_size(free: int, total: int, inodes: float, low: bool) -> None:
    assert disks.Room(1, "/", free << 30, total << 30, inodes).is_low is low


def test_agents_of_nova_neutron_and_cinder_are_read() -> None:
    nova = {
        "binary": "nova-compute",
        "host": "c1",
        "state": "down",
        "status": "enabled",
        "updated_at": "then",
    }
    neutron = {"agent_type": "L3 agent", "host": "n1", "alive": False, "admin_state_up": False}
    found = cloud.read_agents([nova, dict(nova, state="up"), neutron])
    assert [(each.name, each.is_enabled, each.is_up) for each in found] == [
        ("nova-compute", True, False), ("nova-compute", True, True), ("L3 agent", False, False),
    ]  # fmt: skip
    answer = asking.Answer(value=[nova, neutron])
    assert [each.well for each in judging.agents(cloud.AGENTS[0], answer)] == [None, False, None]


LINES = {
    "the last error": (["INFO start", "ERROR one", "ERROR two", "INFO end"], "ERROR two"),
    "else the last line": (["hello", "", "bye"], "bye"),
    "nothing": ([], ""),
    "a password in a URL": (
        ["DBError: (mysql+pymysql://nova:s3c:ret@db/nova) refused"],
        "DBError: (mysql+pymysql://nova:***@db/nova) refused",
    ),
    "a password by name": (["ERROR admin_password = s3cret of x"], "ERROR admin_password = *** of x"),
}


@pytest.mark.parametrize("case", LINES)
def test_the_line_that_says_why(case: str) -> None:
    lines, said = LINES[case]
    assert failures.choose(lines) == said


# The cloud

SERVERS = [{"status": "ACTIVE"}, {"status": "ERROR"}, {"status": "ACTIVE"}]
COMPUTE = {"binary": "nova-compute", "status": "enabled", "updated_at": "2026-11-26T10:00:00"}
AGENT = {"agent_type": "L3 agent", "host": "net1", "alive": False, "admin_state_up": True}


class CloudDouble(Double):
    """A double of a cloud: Keystone, Nova and Neutron at one address; users are not for us to see."""

    def do_POST(self) -> None:
        """Log in whoever has the password."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["auth"]["identity"]["password"]["user"]["password"] != "right":
            self.reply(401, {"error": {"message": "The request you have made requires authentication."}})
            return
        here = "http://{}:{}".format(*self.server.server_address[:2])
        urls = {"compute": here + "/compute", "network": here + "/net"}
        catalog = [
            {"type": kind, "endpoints": [{"interface": "public", "region": "RegionOne", "url": url}]}
            for kind, url in urls.items()
        ]
        self.reply(201, {"token": {"user": {"name": "admin"}, "catalog": catalog}})

    def do_GET(self) -> None:
        """Answer a listing; servers come in two pages."""
        path, _, query = self.path.partition("?")
        link = {"rel": "next", "href": f"http://elsewhere/compute/servers/detail?marker=2&{query}"}
        more = {} if "marker" in query else {"servers_links": [link]}
        found = {
            "/compute/servers/detail": {"servers": SERVERS[2:] if "marker" in query else SERVERS[:2], **more},
            "/compute/flavors": {"flavors": [{}]},
            "/compute/os-services": {
                "services": [
                    {**COMPUTE, "host": "c1", "state": "up"},
                    {**COMPUTE, "host": "c2", "state": "down"},
                ]
            },
            "/net/v2.0/networks": {"networks": [{}, {}]},
            "/net/v2.0/agents": {"agents": [AGENT]},
        }.get(path)
        self.reply(403 if found is None else 200, found or {"error": {"message": "no"}})

    def reply(self, status: int, value: object) -> None:
        """Send JSON, and a token to whom it is due."""
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("X-Subject-Token", "t0ken")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def ask_cloud(folder: Path, password: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with OS_* variables for a double of a cloud."""
    with ThreadingHTTPServer(("127.0.0.1", 0), CloudDouble) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        done = run(
            "--config-dir", os.fspath(folder), "--json",
            OS_AUTH_URL=f"http://127.0.0.1:{server.server_address[1]}/v3", OS_USERNAME="admin",
            OS_PASSWORD=password, OS_PROJECT_NAME="admin",
        )  # fmt: skip
        server.shutdown()
    return done


def test_the_cloud_is_counted_and_agents_that_are_down_are_named(tmp_path: Path) -> None:
    done = ask_cloud(tmp_path, "right")

    found = findings(done)
    assert (found["servers"]["state"], found["servers"]["states"]) == ("3", {"ACTIVE": 2, "ERROR": 1})
    assert (found["networks"]["state"], found["flavors"]["state"]) == ("2", "1")
    assert found["compute services"]["state"] == "1 of 2 up"
    assert json.loads(done.stdout)["not_well"] == ["nova-compute on c2", "L3 agent on net1"]
    assert done.returncode == 1
    # No image service in the catalog, and users are not for this one to see.
    assert not {"images", "volume services", "users"} & set(found)
    assert "users: users may not be listed by this user" in json.loads(done.stdout)["left_out"]


def test_a_refused_login_is_not_well_and_shows_no_password(tmp_path: Path) -> None:
    done = ask_cloud(tmp_path, "wr0ngW0rd")

    (login,) = findings(done).values()
    assert (login["kind"], login["well"]) == ("login", False)
    assert "HTTP 401" in login["error"]
    assert "wr0ngW0rd" not in done.stdout + done.stderr
    assert done.returncode == 1


def test_a_cloud_that_is_not_in_clouds_yaml_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text("clouds: {}\n")
    done = run("--os-cloud", "nosuch", OS_CLIENT_CONFIG_FILE=os.fspath(tmp_path / "clouds.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no cloud nosuch" in done.stderr


# The command


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A folder in place of /etc with a Keystone whose database server is not there."""
    (tmp_path / "keystone").mkdir()
    (tmp_path / "keystone/keystone.conf").write_text(
        "[database]\nconnection=mysql+pymysql://keystone:S3cretWord@127.0.0.1:9/keystone\n"
    )
    return tmp_path


def listen_at(etc: Path, port: int) -> None:
    """Set the port of Keystone in the configuration."""
    (etc / "keystone/openstack-keystone-uwsgi.ini").write_text(f"[uwsgi]\nhttp-socket = :{port}\n")


def findings(done: "subprocess.CompletedProcess[str]") -> "dict[str, Any]":
    """Return the findings of --json by name."""
    return {
        each["name"]: each for section in json.loads(done.stdout)["sections"] for each in section["findings"]
    }


def test_what_is_configured_is_looked_at(etc: Path) -> None:
    with double({"/v3": (200, {}, b'{"version": {"id": "v3.14", "status": "stable"}}')}) as port:
        listen_at(etc, port)
        done = run("--config-dir", os.fspath(etc), "--json", "--timeout", str(HANGS))
        text = run("keystone", "--config-dir", os.fspath(etc), "--timeout", str(HANGS))

    found = findings(done)
    endpoint = found[f"http://127.0.0.1:{port}/v3"]
    assert (endpoint["well"], endpoint["status"], endpoint["version"]) == (True, 200, "v3.14")
    assert found["database keystone"]["state"] == "unreachable"
    assert (done.returncode, text.returncode) == (1, 1)
    assert json.loads(done.stdout)["not_well"] == ["database keystone"]
    assert text.stdout.startswith(f"keystone: Identity service (current)\n  http://127.0.0.1:{port}/v3")
    assert "\n! database keystone" in text.stdout
    assert text.stdout.endswith("not well: database keystone\n")
    assert "left out: states of services: the files belong to another host" in text.stdout
    for each in (done, text):
        assert "S3cretWord" not in each.stdout + each.stderr


def test_a_service_that_hangs_is_not_well_and_is_not_waited_for(etc: Path) -> None:
    with double({"/v3": None}) as port:
        listen_at(etc, port)
        started = time.monotonic()
        done = run("--config-dir", os.fspath(etc), "--json", "--timeout", "1")
        assert time.monotonic() - started < HANGS / 2
    found = findings(done)[f"http://127.0.0.1:{port}/v3"]
    assert (found["well"], found["state"]) == (False, "no answer within 1 s")
    assert done.returncode == 1


def test_watch_prints_again_and_again(etc: Path) -> None:
    listen_at(etc, 9)
    words = ["--config-dir", os.fspath(etc), "--json", "--watch", "--interval", "0.1", "--no-api"]
    argv = [sys.executable, "-I", UTILS / "bin" / "openstack-status", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(3)]
        child.send_signal(2)
        assert child.wait(600) == 1
    assert [json.loads(line)["format"] for line in lines] == [1, 1, 1]


def test_a_host_without_openstack_is_exit_1(tmp_path: Path) -> None:
    done = run("horizon", "--config-dir", os.fspath(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "error: horizon: not installed on this host\n"
    shown = run("horizon", "--json", "--config-dir", os.fspath(tmp_path))
    assert (shown.returncode, json.loads(shown.stdout)["well"]) == (1, False)


USAGE = {
    "an unknown project": (["nvoa"], 'error: unknown project "nvoa"\nhint: projects are keystone, '),
    "an unknown option": (["--frobnicate"], "error: unknown option --frobnicate"),
    "no time": (["--timeout", "0"], 'error: argument -t/--timeout: "0" is not a number of seconds'),
    "words for time": (["--interval", "soon"], 'error: argument -i/--interval: "soon" is not a number'),
    "two roots": (["--root", "/", "--config-dir", "/"], "error: --root and --config-dir exclude"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_reported(case: str) -> None:
    words, said = USAGE[case]
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said), done.stderr


def test_the_manual_and_the_completion_have_every_option() -> None:
    manual = (UTILS / "man" / "openstack-status.1").read_text().replace("\\-", "-")
    completion = (UTILS / "completion" / "openstack-status").read_text()
    options = set(re.findall(r"(?<!\S)--[a-z-]+", run("--help").stdout)) - {"--help"}
    assert {"--watch", "--json", "--timeout", "--os-cloud"} <= options
    for option in options:
        assert option in manual, option
        assert option in completion, option


@pytest.mark.parametrize(
    ("well", "last"),
    [
        (True, "all well"),
        (None, "nothing is judged: no service is known to be enabled here"),
        (False, "not well: message bus"),
    ],
)
def test_last_line_promises_no_more_than_was_judged(well: "bool | None", last: str) -> None:
    finding = Finding("bus", "message bus", "connection refused", well)
    report = Report([ReportSection("supports", "", "What they need", [finding])], [], 0.1, None)

    assert rendering.text(report).splitlines()[-1] == last
