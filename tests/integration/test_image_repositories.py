# SPDX-License-Identifier: MIT
"""Where the packages of an image may come from on this host, and what is said when they cannot be trusted."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.signing import new_signer
from tests.support.imaging import Bench, kickstart


@pytest.fixture(scope="module")
def folder(bench: Bench) -> Path:
    """The repository once more, in a folder whose name a URL cannot hold as it is."""
    top = bench.folder / "a 100% näme #1"
    shutil.copytree(bench.repository.folder, top / "12/x86_64")
    for path in (bench.folder, top, top / "12"):
        path.chmod(0o755)
    return top


@pytest.fixture
def address(bench: Bench) -> Iterator[str]:
    """The repository by HTTP."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=bench.repository.folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("form", ["{}/12/x86_64", "{}/$releasever/${{basearch}}"], ids=["path", "variables"])
def test_packages_come_from_a_folder_of_any_name(bench: Bench, folder: Path, form: str) -> None:
    top = str(folder) if "$" not in form else folder.as_uri()

    bench.build(kickstart(), repo=form.format(top))

    assert bench.manifest()["packages"]


def test_mirrors_are_listed_in_a_file_of_this_host(bench: Bench, address: str) -> None:
    listed = bench.folder / "the mirrors"
    listed.write_text(f"{address}\n")
    listed.chmod(0o644)

    bench.build(kickstart(packages="capable"), repo=f"mirrorlist:{listed.as_uri()}")

    assert "capable" in {one["name"] for one in bench.manifest()["packages"]}


def test_packages_that_another_key_has_signed_are_one_short_error(bench: Bench) -> None:
    other = bench.folder / "other-key"
    with new_signer(Runner(Report(quiet=True))) as signer:
        other.write_bytes(signer.public_key)
    words = bench.command(kickstart(packages="capable"))
    words[words.index(str(bench.repository.key))] = str(other)

    done = subprocess.run(words, env=bench.environment(), capture_output=True, text=True, check=False)

    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert said.count("does not verify") == 3
    assert re.search(r"; and \d+ more$", said)
    assert "hint:  name the right key with --gpgkey" in done.stderr
    # All of them stand there.
    assert bench.log.read_text().count("does not verify") > 3
