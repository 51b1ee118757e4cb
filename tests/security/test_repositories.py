# SPDX-License-Identifier: MIT
"""Repositories that are hostile: what they call their packages leads nowhere, what they send has an end."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import http.server
import itertools
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder.errors import BuildError, RemoteError
from builder.idmap import hand_over
from builder.image.isolation import sandbox
from builder.image.isolation.namespaces import Bind
from builder.image.packages import repomd
from builder.kickstart.plan import ImagePlan, Repository
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB
from tests.rig.fixture.rpmpackage import Kind, RpmFile, RpmPackage
from tests.rig.fixture.rpmwriter import write_rpm
from tests.security.conftest import Host
from tests.support.databases import watched
from tests.support.imaging import kickstart
from tests.support.inside import as_build, call_inside

RUNNER = Runner(Report(quiet=True))


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, text: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve(folder: Path, handler: type[_Handler] = _Handler) -> Iterator[str]:
    """Serve `folder` over HTTP; yield its address."""
    bound = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), bound) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def endless(part: str, most: int) -> type[_Handler]:
    """Return a handler that sends `most` bytes for what has `part` in its path, without saying how many."""

    class Endless(_Handler):
        def do_GET(self) -> None:
            if part not in self.path:
                super().do_GET()
                return
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for _ in range(most // MIB):
                    self.wfile.write(bytes(MIB))

    return Endless


@pytest.fixture
def copy(host: Host, tmp_path: Path) -> Path:
    """A copy of the repository, to be made hostile."""
    folder = tmp_path / "served"
    shutil.copytree(host.bench.repository.folder, folder)
    return folder


def forget(host: Host) -> None:
    """Have the next build fetch all it needs, and build."""
    for name in ("cache", "out"):
        shutil.rmtree(host.home / name, ignore_errors=True)


def harmless(host: Host, address: str, before: dict[str, object]) -> subprocess.CompletedProcess[str]:
    """Build from `address`: it may fail with an error of ours, and the host is as before."""
    done = host.run(host.bench.command(kickstart(), repo=address))
    assert host.state() == before
    assert done.returncode in (0, 1, 2, 5), done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert "the user's own" not in done.stderr
    assert "\x1b" not in done.stderr
    return done


@pytest.mark.root
def test_a_repository_over_http_is_as_good_as_a_folder(host: Host, copy: Path) -> None:
    forget(host)

    with serve(copy) as address:
        done = host.run(host.bench.command(kickstart(), repo=address))

    assert done.returncode == 0, done.stderr
    assert re.search(r"fetch +\d+ MB", done.stderr)


@pytest.mark.root
def test_a_login_of_a_repository_is_in_no_arguments_and_no_environment(host: Host, copy: Path) -> None:
    secret = "s3cret-of-the-mirror"
    login = "Basic " + base64.b64encode(f"user:{secret}".encode()).decode()

    class Guarded(_Handler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] == login:
                super().do_GET()
            else:
                self.send_error(401)

    forget(host)
    with serve(copy, Guarded) as address, watched({"it": secret, "its form": login}) as found:
        url = address.replace("://", f"://user:{secret}@")
        done = host.run(host.bench.command(kickstart(head=f"repo --name=more --baseurl={url}\n")))

    assert done.returncode == 0, done.stderr
    assert found == []
    assert secret not in done.stderr + host.bench.log.read_text()
    # Nor in what the image comes with, or what is kept for the next one.
    written = [path for path in host.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"test.manifest.json", "test.report.html"} <= {path.name for path in written}
    assert [path.name for path in written if secret.encode() in path.read_bytes()] == ["test.ks"]


PLACES = {
    "names that climb": ["--location-prefix", "../../../../../../../../.ssh/"],
    "names from the root": ["--location-prefix", "//etc/apt/"],
    "packages elsewhere": ["--baseurl", "file:///etc/"],
}


@pytest.mark.root
@pytest.mark.parametrize("options", PLACES.values(), ids=PLACES)
def test_names_of_packages_lead_nowhere(host: Host, copy: Path, options: list[str]) -> None:
    shutil.rmtree(copy / "repodata")
    subprocess.run(["createrepo_c", "--quiet", *options, copy], check=True)

    with serve(copy) as address:
        harmless(host, address, host.state())


@pytest.mark.root
def test_a_redirect_to_a_file_is_not_followed(host: Host, copy: Path) -> None:
    class Redirecting(_Handler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"file://{host.home}/Documents/diary")
            self.end_headers()

    with serve(copy, Redirecting) as address:
        done = harmless(host, address, host.state())

    assert done.returncode == 5


@pytest.mark.root
@pytest.mark.parametrize("part", ["primary", "filesystem-1-1"])
def test_a_redirect_of_a_part_to_a_file_is_not_followed(host: Host, copy: Path, part: str) -> None:
    class Redirecting(_Handler):
        def do_GET(self) -> None:
            if part not in self.path:
                super().do_GET()
                return
            self.send_response(302)
            self.send_header("Location", f"file://{copy}{self.path}")
            self.end_headers()

    forget(host)
    with serve(copy, Redirecting) as address:
        done = harmless(host, address, host.state())

    assert done.returncode == 5


@pytest.mark.root
@pytest.mark.parametrize("part", ["repomd.xml", "primary", "filesystem-1-1"])
def test_a_body_that_is_longer_than_it_should_be_is_an_error(host: Host, copy: Path, part: str) -> None:
    forget(host)

    with serve(copy, endless(part, 64 * MIB)) as address:
        done = harmless(host, address, host.state())

    assert done.returncode == 5
    # What came is not kept.
    assert sum(path.stat().st_size for path in (host.home / "cache").rglob("*") if path.is_file()) < 32 * MIB


@pytest.mark.root
def test_a_body_without_an_end_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "LEAST_FREE", 1 << 60)
    cache, work = tmp_path / "cache", tmp_path / "work"
    for folder in (cache, work):
        folder.mkdir()
        hand_over(folder)

    def inside() -> str:
        return "".join(sandbox.stream_solver(as_build(), ["/usr/bin/sleep", "600"], ""))

    binds = (Bind(source=cache, target="/cache", writable=True),)
    with pytest.raises(BuildError, match="leave less than"):
        call_inside(inside, work, RUNNER, binds=binds, network=True)


def replaced(folder: Path, kind: str, text: Iterator[bytes]) -> None:
    """Replace a part of the metadata, with digests and sizes that fit."""
    index = folder / "repodata/repomd.xml"
    packed, plain, size = folder / "repodata" / f"{kind}.xml.gz", hashlib.sha256(), 0
    with gzip.open(packed, "wb", compresslevel=1) as file:
        for piece in text:
            file.write(piece)
            plain.update(piece)
            size += len(piece)
    data = (
        f'<data type="{kind}"><checksum type="sha256">{hashlib.sha256(packed.read_bytes()).hexdigest()}'
        f'</checksum><open-checksum type="sha256">{plain.hexdigest()}</open-checksum>'
        f'<location href="repodata/{packed.name}"/><timestamp>1</timestamp>'
        f"<size>{packed.stat().st_size}</size><open-size>{size}</open-size></data>"
    )
    old = re.compile(rf'<data type="{kind}">.*?</data>', re.DOTALL)
    text_of_index = index.read_text()
    assert old.search(text_of_index)
    index.write_text(old.sub(lambda _: data, text_of_index))


def _blanks() -> Iterator[bytes]:
    yield b'<?xml version="1.0"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" packages="1">'
    for _ in range(512):
        yield b" " * MIB
    yield b"</metadata>"


def _entities() -> Iterator[bytes]:
    names = "abcdefghij"
    yield b'<?xml version="1.0"?>\n<!DOCTYPE comps [<!ENTITY a "aaaaaaaaaa">'
    for before, name in itertools.pairwise(names):
        yield f'<!ENTITY {name} "{f"&{before};" * 10}">'.encode()
    yield b"]><comps><group><id>&j;</id><name>&j;</name></group></comps>"


def _outside_entity() -> Iterator[bytes]:
    yield b'<?xml version="1.0"?>\n<!DOCTYPE comps [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    yield b"<comps><group><id>&x;</id><name>&x;</name></group></comps>"


def _depth() -> Iterator[bytes]:
    yield b'<?xml version="1.0"?>\n'
    yield b"<metadata>" * 1_000_000


PARTS = {
    "a bomb": ("primary", _blanks),
    "depth": ("primary", _depth),
    "entities": ("group", _entities),
    "an entity of the host": ("group", _outside_entity),
}


@pytest.mark.root
@pytest.mark.parametrize(("kind", "text"), PARTS.values(), ids=PARTS)
def test_hostile_metadata_ends_in_an_error_or_is_passed_over(
    host: Host, copy: Path, kind: str, text: Callable[[], Iterator[bytes]]
) -> None:
    replaced(copy, kind, text())

    with serve(copy) as address:
        done = harmless(host, address, host.state())

    assert "root:x:" not in done.stderr
    assert not host.bench.log.exists() or "root:x:0" not in host.bench.log.read_text()


@dataclass(frozen=True)
class _Index:
    """What a repository answers for repomd.xml, and what is made of its time."""

    text: str
    time: int


INDEXES = {
    "a time of many digits": _Index(f"<revision>{'9' * 100_000}</revision>", 0),
    "a time far off": _Index("<timestamp>9999999999</timestamp><revision>5</revision>", 5),
    "a time below zero": _Index("<timestamp>-1</timestamp>", 0),
    "no XML": _Index("\x1b]0;title\x07", 0),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_a_time_that_is_none_is_passed_over(tmp_path: Path, index: _Index) -> None:
    (tmp_path / "repodata").mkdir()
    (tmp_path / "repodata/repomd.xml").write_text(index.text)

    with serve(tmp_path) as address:
        (state,) = repomd.read_states(plan_of(baseurl=(address,)))

    assert state.time == index.time


def plan_of(**source: object) -> ImagePlan:
    """Return as much of a plan as the reader of repositories' states looks at."""
    plan = ImagePlan.__new__(ImagePlan)
    values = {"name": "hostile", "baseurl": (), "mirrorlist": None, "metalink": None, **source}
    repository = Repository.__new__(Repository)
    for target, fields in (
        (repository, values),
        (plan, {"repositories": (repository,), "releasever": "1", "architecture": "x86_64"}),
    ):
        for name, value in fields.items():
            object.__setattr__(target, name, value)
    return plan


def test_a_metalink_with_a_time_of_many_digits_is_read(tmp_path: Path) -> None:
    (tmp_path / "metalink").write_text(
        f'<mm0:timestamp>{"9" * 100_000}</mm0:timestamp><hash type="sha256">{"a" * 64}</hash>'
    )

    with serve(tmp_path) as address:
        (state,) = repomd.read_states(plan_of(metalink=f"{address}/metalink"))

    assert (state.sha256, state.time) == ("a" * 64, 0)


@pytest.mark.parametrize("mirror", ["file://{here}/secret", "{here}/secret", "http://[", "gopher://x/"])
def test_a_mirror_that_is_no_server_is_not_read(tmp_path: Path, mirror: str) -> None:
    (tmp_path / "secret/repodata").mkdir(parents=True)
    (tmp_path / "secret/repodata/repomd.xml").write_text("<revision>7</revision>")
    (tmp_path / "mirrors").write_text(mirror.format(here=tmp_path) + "\n")

    with serve(tmp_path) as address, pytest.raises((RemoteError, BuildError)):
        repomd.read_states(plan_of(mirrorlist=f"{address}/mirrors"))


HUGE = bytes(200 * MIB)
PAYLOADS = {
    "names that climb": [
        [
            RpmFile(path="/../../../../../../../{home}/Documents/climbed", data=b"x"),
            RpmFile(path="/usr/share/../../../../../../../{home}/Documents/climbed", data=b"x"),
        ]
    ],
    "a link, then a file below it": [
        [
            RpmFile(path="/usr/share/evil", kind=Kind.LINK, mode=0o777, target="{home}/Documents"),
            RpmFile(path="/usr/share/evil/written", data=b"x"),
        ]
    ],
    "a link in one package, a file below it in another": [
        [RpmFile(path="/usr/share/evil", kind=Kind.LINK, mode=0o777, target="{home}/Documents")],
        [RpmFile(path="/usr/share/evil/diary", data=b"x")],
    ],
    "a link to another root": [
        [
            RpmFile(path="/usr/share/evil", kind=Kind.LINK, mode=0o777, target="/proc/1/root{home}"),
            RpmFile(path="/usr/share/evil/.bashrc", data=b"x"),
        ]
    ],
    "a bomb": [[RpmFile(path="/usr/share/bomb", data=HUGE)]],
}


@pytest.mark.root
@pytest.mark.parametrize("packages", PAYLOADS.values(), ids=PAYLOADS)
def test_files_of_packages_stay_in_the_image(host: Host, packages: list[list[RpmFile]]) -> None:
    folder = host.home / "evil"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, files in enumerate(packages):
        filled = tuple(
            replace(
                file,
                path=file.path.replace("{home}", str(host.home).lstrip("/")),
                target=file.target.replace("{home}", str(host.home)),
            )
            for file in files
        )
        package = RpmPackage(name=f"evil{number}", version="1", release="1", summary="x", files=filled)
        (folder / f"evil{number}-1-1.noarch.rpm").write_bytes(write_rpm(package))
    subprocess.run(["createrepo_c", "--quiet", folder], check=True)
    names = "\n".join(f"evil{number}" for number in range(len(packages)))
    before = host.state()

    done = host.build(kickstart(packages=names), "--repo", f"evil={folder}", "--no-gpgcheck", ok=None)

    assert host.state() == before
    assert done.returncode in (0, 1, 2), done.stderr
    assert not os.path.lexists(host.home / "Documents/climbed")
    assert not os.path.lexists(host.home / "Documents/written")
