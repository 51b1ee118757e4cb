# SPDX-License-Identifier: MIT
"""Repositories that are hostile: what they call their packages leads nowhere but into the cache."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.security.conftest import Host
from tests.support.imaging import kickstart

pytestmark = pytest.mark.root


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, text: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve `folder` over HTTP; yield its address."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


PLACES = {
    "names that climb": ["--location-prefix", "../../../../../../../../.ssh/"],
    "names from the root": ["--location-prefix", "//etc/apt/"],
    "packages elsewhere": ["--baseurl", "file:///etc/"],
}


@pytest.mark.parametrize("options", PLACES.values(), ids=PLACES)
def test_names_of_packages_lead_nowhere(host: Host, tmp_path: Path, options: list[str]) -> None:
    folder = tmp_path / "served"
    shutil.copytree(host.bench.repository.folder, folder)
    shutil.rmtree(folder / "repodata")
    subprocess.run(["createrepo_c", "--quiet", *options, folder], check=True)
    before = host.state()

    with serve(folder) as address:
        words = host.bench.command(kickstart(), repo=address)
        done = host.run(words)

    assert host.state() == before
    assert done.returncode in (0, 1, 2, 5)
    assert "Traceback" not in done.stderr


def test_a_redirect_to_a_file_is_not_followed(host: Host, tmp_path: Path) -> None:
    class Redirecting(_Handler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"file://{host.home}/Documents/diary")
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = host.run(host.bench.command(kickstart(), repo=f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()

    assert done.returncode == 5
    assert "the user's own" not in done.stderr
