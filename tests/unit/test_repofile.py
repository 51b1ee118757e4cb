# SPDX-License-Identifier: MIT
"""A .repo file is what dnf's own parser of such files reads."""

from __future__ import annotations

import configparser

import pytest

from builder.image.tree.repositories import text_of
from builder.kickstart.plan import Repository

ADDRESS = "https://mirror.example/os"


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        pytest.param(Repository(name="os", baseurl=(ADDRESS,)), {"baseurl": ADDRESS}, id="address"),
        pytest.param(
            Repository(name="os", baseurl=(ADDRESS, "file:///b")),
            {"baseurl": f"{ADDRESS} file:///b"},
            id="two addresses",
        ),
        pytest.param(
            Repository(name="os", metalink=ADDRESS, cost=0, verify_tls=False, excludes=("a*", "b")),
            {"metalink": ADDRESS, "cost": "0", "excludepkgs": "a* b", "sslverify": "0"},
            id="options",
        ),
        pytest.param(
            Repository(name="os", mirrorlist=ADDRESS, gpg_keys=("file:///key",)),
            {"mirrorlist": ADDRESS, "gpgcheck": "1", "gpgkey": "file:///key"},
            id="keys",
        ),
    ],
)
def test_file_in_the_image(repository: Repository, expected: dict[str, str]) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text_of(repository))

    assert dict(parser["os"]) == {"name": "os", "enabled": "1", **expected}
