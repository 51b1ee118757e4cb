# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data when Keystone, or the way to it, fails: one clear line, exit 5, in time.

A fault proxy (tests/rig/plane/proxy.py) is in front of the real Keystone and does the harm.
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rig.plane import proxy as proxies
from tests.rig.plane.process import free_port
from tests.rig.plane.proxy import Fault, Proxy
from tests.support.filling import FRESH_PASSWORD, Keystone, Person, wait_for
from tests.support.own_certificate import make_certificate
from tests.utils.test_config_interpreters import EXTREMES

pytestmark = pytest.mark.skipif(shutil.which("mariadbd") is None, reason="needs mariadb-server")

SMALL = """\
projects: {team: A team}
roles: [lead]
users:
  alice: {password: pass-of-alice}
assignments:
  - {user: alice, project: team, roles: [lead]}
"""
# An answer that quotes what was sent.
BODY = b'{"error": {"code": %d, "message": "No \'%s\'.", "title": "No"}}'


@pytest.fixture(scope="module")
def front(keystone: Keystone) -> Iterator[Proxy]:
    with proxies.in_front_of(keystone.port) as running:
        yield running


@pytest.fixture
def proxy(front: Proxy) -> Proxy:
    front.reset()
    return front


@pytest.fixture
def person(keystone: Keystone, tmp_path: Path) -> Person:
    keystone.reset("fresh")
    (tmp_path / "own.yaml").write_text(SMALL)
    person = Person(keystone, tmp_path)
    person.secrets.add("pass-of-alice")
    return person


OURS, THEIRS = FRESH_PASSWORD.encode(), b"pass-of-alice"


def answer(status: int, quoted: bytes = b"") -> dict[str, object]:
    return {"status": status, "body": BODY % (status, quoted)}


# Seconds that a request may take of a Keystone that works, and of one that hangs, on a busy machine.
PATIENCE, HANG = 5, 200
# Where the harm is done, what it is, and what the line says.
FAULTS = {
    "login 403": ("POST", "/auth/tokens", answer(403, OURS), "POST {url}/auth/tokens: HTTP 403"),
    "login 404": ("POST", "/auth/tokens", answer(404, OURS), "POST {url}/auth/tokens: HTTP 404"),
    "login 500": ("POST", "/auth/tokens", answer(500, OURS), "POST {url}/auth/tokens: HTTP 500"),
    "login answered by something else": (
        "POST", "/auth/tokens", {"status": 200, "body": b"<html>"}, "the answer is not JSON",
    ),
    "reading 401": ("GET", "/v3/users", answer(401), "GET {url}/users: HTTP 401"),
    "reading 403": ("GET", "/v3/users", answer(403), "GET {url}/users: HTTP 403"),
    "reading 500": ("GET", "/v3/projects", answer(500), "GET {url}/projects: HTTP 500"),
    "creating 401": ("POST", "/v3/users", answer(401, THEIRS), "user alice: POST {url}/users: HTTP 401"),
    "creating 403": ("POST", "/v3/users", answer(403, THEIRS), "user alice: POST {url}/users: HTTP 403"),
    "creating 409": ("POST", "/v3/users", answer(409, THEIRS), "user alice: POST {url}/users: HTTP 409"),
    "creating 500": ("POST", "/v3/users", answer(500, THEIRS), "user alice: POST {url}/users: HTTP 500"),
    "creating, cut": ("POST", "/v3/users", {"cut_after": 5}, "connection"),
    "assigning 500": ("PUT", "/roles/", answer(500), "assignment alice: lead in team: PUT"),
    "hanging at the login": ("POST", "/auth/tokens", {"hang": HANG}, f"no answer within {PATIENCE} s"),
    "hanging in the middle": ("POST", "/v3/users", {"hang": HANG}, f"no answer within {PATIENCE} s"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "harm", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_one_line_and_the_next_run_goes_on(
    person: Person, proxy: Proxy, method: str, path: str, harm: dict, message: str
) -> None:
    proxy.faults.append(Fault(method=method, path=path, **harm))
    words = ("--file", "own.yaml", "--no-files")
    limits = ("--wait", "1", "--timeout", str(PATIENCE)) if "hang" in harm else ()
    run = person.fill(*words, *limits, SERVICE_ENDPOINT=f"{proxy.url}/v3")

    assert run.code == 5, run.err
    assert len(run.errors()) == 1
    assert message.format(url=f"{proxy.url}/v3") in run.errors()[0]
    if limits:
        assert run.seconds < HANG
    if method == "GET" or path == "/auth/tokens":
        return
    assert "not done (" in run.err
    assert method == "POST" or "created (3): role lead, project team, user alice\n" in run.err
    proxy.reset()
    again = person.fill(*words, "--json", SERVICE_ENDPOINT=f"{proxy.url}/v3")
    assert again.code == 0, again.err
    assert len(again.results()) == 4


def test_nobody_listens(person: Person) -> None:
    run = person.fill("--wait", "1", SERVICE_ENDPOINT=f"http://127.0.0.1:{free_port()}/v3")

    assert run.code == 5
    assert len(run.errors()) == 1
    assert "connection refused (waited 1 s)" in run.errors()[0]
    assert run.seconds >= 1


@contextmanager
def greeting(line: bytes) -> Iterator[str]:
    """Yield the address of a server that says a line to whoever comes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.sendall(line)
                        client.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_https_at_a_port_of_http(person: Person, keystone: Keystone) -> None:
    run = person.fill(SERVICE_ENDPOINT=f"https://127.0.0.1:{keystone.port}/v3")

    assert (run.code, len(run.errors())) == (5, 1)
    assert "hint: the port does not use TLS: is the URL http://, not https://?" in run.err


def test_http_at_a_port_of_https(person: Person, keystone: Keystone, tls: ssl.SSLContext) -> None:
    with proxies.in_front_of(keystone.port, tls=tls) as front:
        run = person.fill("--wait", "0", SERVICE_ENDPOINT=front.url.replace("https", "http") + "/v3")

    assert (run.code, len(run.errors())) == (5, 1)
    assert "hint: does the port speak https, or is it not Keystone's?" in run.err


def test_port_that_speaks_no_http(person: Person) -> None:
    with greeting(b"SSH-2.0-OpenSSH_9.2\r\n") as address:
        run = person.fill(SERVICE_ENDPOINT=f"http://{address}/v3")

    assert (run.code, len(run.errors())) == (5, 1)
    assert "the answer is not HTTP" in run.errors()[0]
    assert "hint: is that Keystone's port?" in run.err


@pytest.mark.parametrize("status", [300, 404])
def test_address_of_another_service(person: Person, proxy: Proxy, status: int) -> None:
    versions = b'{"versions": [{"id": "v2.17", "status": "CURRENT", "links": []}]}'
    proxy.faults += [
        Fault(method=method, path=".", status=status, body=versions) for method in ("GET", "POST")
    ]

    run = person.fill(SERVICE_ENDPOINT=f"{proxy.url}/v3")

    assert (run.code, len(run.errors())) == (5, 1)
    assert "Keystone" in run.err.partition("hint: ")[2]


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["for real", "dry run"])
def test_domain_that_is_not_there_is_an_error_also_in_a_dry_run(
    person: Person, keystone: Keystone, more: tuple[str, ...]
) -> None:
    before = keystone.counts()

    run = person.fill("--domain", "nosuch", *more)

    assert (run.code, len(run.errors())) == (5, 1), run.err
    assert "nosuch" in run.errors()[0]
    assert keystone.counts() == before


def test_wrong_password_is_one_line_and_tries_once(person: Person, proxy: Proxy) -> None:
    run = person.fill(ADMIN_PASSWORD="mistyped", SERVICE_ENDPOINT=f"{proxy.url}/v3")

    assert (run.code, len(run.errors())) == (5, 1)
    assert "refuses the login of admin" in run.errors()[0]
    assert proxy.methods() == ["POST"]


def test_a_keystone_that_is_starting_is_waited_for(person: Person, proxy: Proxy) -> None:
    proxy.faults.append(Fault(method="POST", path="/auth/tokens", times=3, status=503))

    run = person.fill("--file", "own.yaml", SERVICE_ENDPOINT=f"{proxy.url}/v3")

    assert run.code == 0, run.err
    assert "HTTP 503" in run.err
    assert "waiting for up to 30 s" in run.err


@pytest.mark.parametrize("times", [1, 2], ids=["revoked", "revoked within its second"])
def test_a_token_that_is_revoked_under_way_is_renewed(person: Person, proxy: Proxy, times: int) -> None:
    proxy.faults.append(Fault(method="POST", path="/v3/users", times=times, status=401, body=b"{}"))

    run = person.fill("--file", "own.yaml", SERVICE_ENDPOINT=f"{proxy.url}/v3")

    assert run.code == 0, run.err
    assert sum(seen.path == "/v3/auth/tokens" for seen in proxy.seen) == 1 + times


def test_interrupted_it_reports_what_is_done(person: Person, proxy: Proxy) -> None:
    proxy.faults.append(Fault(method="PUT", path="/roles/", hang=HANG))
    with person.filling("--file", "own.yaml", SERVICE_ENDPOINT=f"{proxy.url}/v3") as process:
        wait_for(lambda: any(seen.method == "PUT" for seen in proxy.seen))
        process.terminate()
        _, err = process.communicate(timeout=600)

    assert process.returncode == 130
    assert "error: interrupted" in err
    assert "created (3): role lead, project team, user alice\n" in err
    assert "not done (1): assignment alice: lead in team\n" in err


def test_a_dripping_server_is_cut_off(person: Person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        drip = [
            "python3", "-c",
            "import socket, sys, time\n"
            "server = socket.socket(fileno=int(sys.argv[1]))\n"
            "client, _ = server.accept()\n"
            "client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 1000\\r\\n\\r\\n')\n"
            "while True:\n    client.sendall(b' ')\n    time.sleep(0.1)\n",
            str(server.fileno()),
        ]  # fmt: skip
        process = subprocess.Popen(drip, pass_fds=[server.fileno()], stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/v3"
            run = person.fill("--wait", "0", "--timeout", "1", SERVICE_ENDPOINT=url)
        finally:
            process.kill()
            process.wait()

    # Each byte comes in time.
    assert run.code == 5
    assert "no answer within 1 s" in run.errors()[0]
    assert run.seconds < 100


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and keystone.invalid, its key next to it (key.pem)."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder / "cert.pem", folder / "key.pem", "IP:127.0.0.1,DNS:keystone.invalid")
    return folder / "cert.pem"


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


def test_tls_is_checked_and_keystonerc_names_the_certificates(
    person: Person, keystone: Keystone, certificate: Path, tls: ssl.SSLContext
) -> None:
    words = ("--service", "keystone")
    with proxies.in_front_of(keystone.port, tls=tls) as front:
        url = f"{front.url}/v3"
        refused = person.fill(*words, SERVICE_ENDPOINT=url)
        trusted = person.fill(*words, "--cacert", certificate, SERVICE_ENDPOINT=url)
        anything = person.fill(*words, "--insecure", SERVICE_ENDPOINT=url)

    assert (refused.code, len(refused.errors())) == (5, 1)
    assert "TLS: " in refused.errors()[0]
    assert "hint: --cacert FILE" in refused.err
    assert trusted.code == anything.code == 0, trusted.err + anything.err
    assert f"export OS_CACERT={certificate}\n" in (person.folder / "keystonerc_demo").read_text()
    assert "warning: the certificate of Keystone is not checked" in anything.err


def test_a_server_that_wants_a_certificate_gets_it(
    person: Person, keystone: Keystone, certificate: Path, tls: ssl.SSLContext
) -> None:
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(certificate)
    words = ("--file", "own.yaml", "--no-files", "--wait", "0", "--cacert", certificate)
    with proxies.in_front_of(keystone.port, tls=tls) as front:
        url = f"{front.url}/v3"
        without = person.fill(*words, SERVICE_ENDPOINT=url)
        with_it = person.fill(
            *words, "--cert", certificate, "--key", certificate.with_name("key.pem"), SERVICE_ENDPOINT=url
        )

    assert (without.code, len(without.errors())) == (5, 1), without.err
    assert with_it.code == 0, with_it.err


def test_a_proxy_of_the_environment_leads_there(person: Person, keystone: Keystone, proxy: Proxy) -> None:
    # The name is known to nobody but, in a manner of speaking, the proxy: it leads everywhere to Keystone.
    proxy_url = proxy.url.replace("//", "//someone:pw-of-proxy@")
    person.secrets.add("pw-of-proxy")

    run = person.fill(
        "--file", "own.yaml", http_proxy=proxy_url, SERVICE_ENDPOINT="http://keystone.invalid:5000/v3"
    )
    past = person.fill("--file", "own.yaml", http_proxy="http://127.0.0.1:1", SERVICE_ENDPOINT=keystone.url)

    assert run.code == past.code == 0, run.err + past.err
    assert all(seen.path.startswith("http://keystone.invalid:5000/v3/") for seen in proxy.seen)
    assert {seen.login for seen in proxy.seen} == {PROXY_LOGIN}
    assert keystone.log_in("admin", FRESH_PASSWORD)


PROXY_LOGIN = "Basic " + base64.b64encode(b"someone:pw-of-proxy").decode()


@pytest.mark.parametrize("python", EXTREMES.values(), ids=EXTREMES.keys())
def test_https_goes_through_the_tunnel_of_a_proxy(
    person: Person, keystone: Keystone, certificate: Path, tls: ssl.SSLContext, python: str
) -> None:
    person.python = python
    person.secrets.add("pw-of-proxy")
    with proxies.in_front_of(keystone.port, tls=tls) as front, proxies.in_front_of(front.port) as tunnel:
        way = {"https_proxy": tunnel.url.replace("//", "//someone:pw-of-proxy@")}
        words = ("--service", "keystone", "--no-files", "--cacert", certificate)
        url = "https://keystone.invalid:5000/v3"
        run = person.fill(*words, "--threads", "2", SERVICE_ENDPOINT=url, **way)
        tunnels, requests = list(tunnel.seen), len(front.seen)
        # The certificate has to be that of the server that the proxy relays to.
        stranger = person.fill(*words, SERVICE_ENDPOINT="https://other.invalid:5000/v3", **way)
        tunnel.faults.append(Fault(method="CONNECT", path="", times=1, status=503))
        starting = person.fill(*words, SERVICE_ENDPOINT=url, **way)
        tunnel.faults.append(Fault(method="CONNECT", path="", status=407))
        refused = person.fill(*words, SERVICE_ENDPOINT=url, **way)

    assert run.code == starting.code == 0, run.err + starting.err
    assert {(seen.path, seen.login) for seen in tunnels} == {("keystone.invalid:5000", PROXY_LOGIN)}
    # Connections are kept: a tunnel for each thread and no more.
    assert len(tunnels) <= 2 < requests
    assert all(each.status < 300 for each in front.seen)
    assert (stranger.code, len(stranger.errors())) == (5, 1)
    assert "TLS: " in stranger.errors()[0]
    assert "other.invalid" in stranger.errors()[0]
    assert "CONNECT: HTTP 503" in starting.err
    assert refused.code == 5
    # Not tried again for the half minute in which a Keystone may start.
    assert "waiting for" not in refused.err
    assert refused.errors() == [
        f"error: POST {url}/auth/tokens: CONNECT: HTTP 407 Proxy Authentication Required"
        f" (through the proxy 127.0.0.1:{tunnel.port})"
    ]
