# SPDX-License-Identifier: MIT
"""Files from elsewhere, from a real server on the loopback: kept when right, refused when wrong."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.download import Remote, fetch, fetch_all
from builder.errors import InputError, RemoteError
from builder.report import Report
from builder.runner import Runner

DATA = b"the bytes of a source archive\n" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves a folder, remembers what it was asked for, cuts answers short on request."""

    asked: list[tuple[str, str | None]]
    cut: bool = False


class Handler(SimpleHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.cut:
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA[:100])
        else:
            super().do_GET()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of tmp_path/served, and a cache of our own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "thing-1.0.tar.gz").write_bytes(DATA)
    with Server(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "served"))) as httpd:
        httpd.asked = []
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


@pytest.fixture
def runner() -> Runner:
    """A runner that says nothing."""
    return Runner(Report(err=io.StringIO()))


def remote(server: Server, *, sha256: str = SHA256, path: str = "/thing-1.0.tar.gz") -> Remote:
    """Return a file of the server."""
    url = f"http://127.0.0.1:{server.server_port}{path}"
    return Remote(url=url, sha256=sha256, name="thing-1.0.tar.gz")


def cached(folder: Path) -> list[Path]:
    """Return the files of the cache."""
    return [path for path in (folder / "cache").rglob("*") if path.is_file() and path.name != ".lock"]


def test_file_is_fetched_once_and_again_when_spoilt(server: Server, runner: Runner) -> None:
    first = fetch(remote(server), runner)
    second = fetch(remote(server), runner)

    assert first == second
    assert (first.name, first.read_bytes(), len(server.asked)) == ("thing-1.0.tar.gz", DATA, 1)
    first.write_bytes(b"spoilt")
    assert fetch(remote(server), runner).read_bytes() == DATA
    assert len(server.asked) == 2


def test_other_bytes_are_refused_and_not_kept(server: Server, runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"thing-1.0.tar.gz: sha256 is {SHA256}, not {'0' * 64}"):
        fetch(remote(server, sha256="0" * 64), runner)

    assert cached(tmp_path) == []


def test_several_are_returned_in_their_order_and_the_first_that_fails_is_named(
    server: Server, runner: Runner, tmp_path: Path
) -> None:
    names = [f"thing-{number}.tar.gz" for number in range(20)]
    for name in names:
        (tmp_path / "served" / name).write_bytes(DATA)
    base = f"http://127.0.0.1:{server.server_port}"
    sources = [Remote(url=f"{base}/{name}", sha256=SHA256, name=name) for name in names]
    # One place in the cache for each digest, one file there for each name.
    assert [path.name for path in fetch_all(sources, runner)] == names

    absent = [Remote(url=f"{base}/absent-{n}", sha256=f"{n:064x}", name="absent") for n in range(3)]
    with pytest.raises(RemoteError, match="/absent-0: HTTP 404"):
        fetch_all(absent, runner)


def test_what_is_not_there_is_reported_with_its_url(server: Server, runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match=r"http://127.*/absent: HTTP 404 "):
        fetch(remote(server, path="/absent"), runner)
    server.cut = True
    with pytest.raises(RemoteError, match="incompleteread"):
        fetch(remote(server), runner)

    assert cached(tmp_path) == []


@pytest.mark.parametrize("login", ["", "user:p%40ss@"], ids=["open index", "index with a password"])
def test_file_of_the_index_comes_from_the_one_that_pip_is_set_to(
    server: Server, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    page = tmp_path / "served" / "simple" / "my-thing"
    page.mkdir(parents=True)
    (tmp_path / "served" / "files").mkdir()
    (tmp_path / "served" / "files" / "My_Thing-1.0.tar.gz").write_bytes(DATA)
    (page / "index.html").write_text(
        '<a href="../../files/My_Thing-0.9.tar.gz#sha256=0">0.9</a>\n'
        f'<a href="../../files/My_Thing-1.0.tar.gz#sha256={SHA256}">1.0</a>\n'
    )
    port = server.server_port
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{login}127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    source = Remote(url="pypi:///My_Thing-1.0.tar.gz", sha256=SHA256, name="My_Thing-1.0.tar.gz")

    assert fetch(source, runner).read_bytes() == DATA

    expected = "Basic " + base64.b64encode(b"user:p@ss").decode() if login else None
    assert server.asked == [("/simple/my-thing/", expected), ("/files/My_Thing-1.0.tar.gz", expected)]


def test_file_of_npms_registry_comes_from_the_one_that_npm_is_set_to(
    server: Server, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "served" / "@scope" / "thing" / "-"
    folder.mkdir(parents=True)
    (folder / "thing-1.0.tgz").write_bytes(DATA)
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    source = Remote(url="npm:///@scope/thing/thing-1.0.tgz", sha256=SHA256, name="thing-1.0.tgz")

    assert fetch(source, runner).read_bytes() == DATA


def test_password_of_an_index_is_not_reported(
    server: Server, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://user:hidden@127.0.0.1:{server.server_port}")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    source = Remote(url="pypi:///thing-1.0.tar.bz2", sha256=SHA256, name="thing-1.0.tar.bz2")

    with pytest.raises(RemoteError, match=r"thing-1\.0\.tar\.bz2: http://\*\*\*@127.*HTTP 404") as caught:
        fetch(source, runner)

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"url": "ftp://example.com/a"}, "not https, http, file, pypi or npm"),
        ({"sha256": "abc"}, "not 64 hex digits"),
        ({"name": "../a"}, "not the name of a file"),
    ],
)
def test_description_that_cannot_be_right_is_refused(changed: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Remote(**{"url": "https://example.com/a", "sha256": SHA256, "name": "a", **changed})
