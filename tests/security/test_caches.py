# SPDX-License-Identifier: MIT
"""What the inside may put into a cache, and until when."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.image.cache import choices
from builder.image.isolation.wire import WireError
from builder.image.packages import repomd
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
    return dict(initramfs.requests(cast("Any", build), folder, ALONE))


def test_an_initramfs_is_kept_before_scripts_and_not_after(tmp_path: Path) -> None:
    first = asked(tmp_path)
    first["keep initramfs"](KEY, b"of packages")
    first["share"]("", b"")
    with pytest.raises(WireError, match="after scripts have begun"):
        first["keep initramfs"](KEY, b"of a script")

    assert asked(tmp_path)["initramfs"](KEY, b"") == b"of packages"
