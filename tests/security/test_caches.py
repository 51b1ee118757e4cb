# SPDX-License-Identifier: MIT
"""What the inside may put into a cache, and until when."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder import entries
from builder.errors import BuildError
from builder.image.cache import choices, trees
from builder.image.cache.clusters import Clusters
from builder.image.disk import qcow2
from builder.image.isolation.wire import WireError
from builder.image.packages import repomd
from builder.image.pipeline import requests_of
from builder.image.stages import initramfs
from builder.image.turns import ALONE

KEY = "0" * 64


def choice(url: str) -> str:
    """Return the key of what is chosen from a repository at `url`, whose index has always the same digest."""
    build = SimpleNamespace(
        request={"repositories": [{"name": "base", "baseurl": [url], "cost": None}]},
        options=SimpleNamespace(solver=None),
    )
    state = repomd.RepositoryState(name="base", url=url, sha256="2" * 64, time=0)
    return choices.key_of(cast("Any", build), (state,))


def test_a_server_that_shows_another_ones_index_answers_for_itself_alone() -> None:
    assert choice("https://mirror.example/") == choice("https://mirror.example/")
    assert choice("https://mirror.example/") != choice("https://hostile.example/")


def asked(folder: Path) -> dict[str, Any]:
    """Return what the inside of a build of one package may ask for."""
    package = SimpleNamespace(nevra="kernel-1-1.x86_64", sha256="1" * 64)
    chosen = SimpleNamespace(docs=True, languages=None)
    build = SimpleNamespace(facts=SimpleNamespace(packages=(package,)), plan=SimpleNamespace(packages=chosen))
    folders = {name: folder / name for name in ("initramfs", "grub")}
    for one in folders.values():
        one.mkdir(exist_ok=True)
    return dict(initramfs.requests(cast("Any", build), folders, ALONE))


@pytest.mark.parametrize(("name", "other"), [("initramfs", "grub"), ("grub", "initramfs")])
def test_what_boots_is_kept_before_scripts_and_not_after(tmp_path: Path, name: str, other: str) -> None:
    first = asked(tmp_path)
    first[f"keep {name}"](KEY, b"of packages")
    first["share"]("", b"")
    with pytest.raises(WireError, match="after scripts have begun"):
        first[f"keep {name}"](KEY, b"of a script")

    assert asked(tmp_path)[name](KEY, b"") == b"of packages"
    assert asked(tmp_path)[other](KEY, b"") == b""


def test_no_script_begins_before_the_kept_tree_has_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    waits, shared, digested = threading.Event(), threading.Event(), []
    digest_of_file = entries.digest_of_file

    def digest_late(path: Path) -> str:
        waits.wait()
        digested.append(shared.is_set())
        return digest_of_file(path)

    monkeypatch.setattr(entries, "digest_of_file", digest_late)
    build = cast(
        "Any",
        SimpleNamespace(
            tree_key=KEY,
            clusters=None,
            facts=SimpleNamespace(packages=(), installed_size=0),
            plan=SimpleNamespace(packages=SimpleNamespace(docs=True, languages=None)),
        ),
    )
    with trees.offer(build, None) as offer:
        asked = requests_of(build, offer, ALONE)
        assert asked["keep tree"]("", b"") == b""
        with pytest.raises(WireError, match="twice"):
            asked["keep tree"]("", b"")

        def share() -> None:
            asked["share"]("", b"")
            shared.set()

        script = threading.Thread(target=share)
        script.start()
        assert not shared.wait(0.2)
        waits.set()
        script.join()

    assert digested == [False]
    assert [path.name[:64] for path in (tmp_path / "openstack-builder/trees").iterdir()] == [KEY]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"x" * 39, id="half a row"),
        pytest.param(Clusters.pack([(0, b"2" * 32)]), id="what was never promised"),
    ],
)
def test_the_inside_names_only_clusters_that_were_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clusters = Clusters(tmp_path / "image.qcow2", qcow2.ZSTD)

    with pytest.raises(WireError):
        clusters.take("", said)


def test_the_inside_gets_no_cluster_of_another_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    disk, image = tmp_path / "disk.raw", tmp_path / "image.qcow2"
    disk.write_bytes(b"a secret " * 65536)
    before = Clusters(image, qcow2.ZSTD, "family")
    qcow2.convert(disk, image, compressor=before)
    before.keep()

    assert Clusters(image, qcow2.ZSTD, "family").promised
    assert not Clusters(tmp_path / "sibling.qcow2", qcow2.ZSTD, "family").promised


def test_a_cluster_behind_the_end_of_the_disk_gets_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    disk, image = tmp_path / "disk.raw", tmp_path / "image.qcow2"
    disk.write_bytes(b"content " * 65536)
    before = Clusters(image, qcow2.ZSTD)
    qcow2.convert(disk, image, compressor=before)
    before.keep()
    clusters = Clusters(image, qcow2.ZSTD)
    (name, *_) = clusters.promised
    clusters.take("", Clusters.pack([(1 << 40, name)]))

    with pytest.raises(BuildError, match="there is no cluster"):
        qcow2.convert(disk, tmp_path / "new.qcow2", compressor=clusters)
