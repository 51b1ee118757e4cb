# SPDX-License-Identifier: MIT
"""The talk's page and what it reads: what was done, when, and what it looked like."""

from __future__ import annotations

from pathlib import Path

from tests.rig.talk.__main__ import read_login
from tests.rig.talk.page import Done, write_page

FIRST = Done(title="packages", command="dnf install <x>", output="a & b", begun=1.0, seconds=2.5)
BESIDE = Done(title="picture", command="chromium", output="", begun=0.5, seconds=9.0, picture="console.png")


def test_page_shows_steps_by_their_begin_with_times_and_pictures(tmp_path: Path) -> None:
    write_page(tmp_path / "talk" / "index.html", [FIRST, BESIDE], 9.5, ["no module"], "900 MiB")

    text = (tmp_path / "talk" / "index.html").read_text()
    assert text.index("picture") < text.index("packages")
    assert "2 steps, 10 s" in text
    assert "900 MiB" in text
    assert '<img src="console.png" alt="picture">' in text
    assert "dnf install &lt;x&gt;" in text
    assert "<li>no module</li>" in text


def test_login_is_read_as_clouds_yaml_has_it() -> None:
    text = (
        "export OS_AUTH_URL=http://a:5000/v3\nexport OS_USERNAME=admin\nexport OS_PASSWORD='a b'\n"
        "export OS_REGION_NAME=RegionOne\nexport OS_IDENTITY_API_VERSION=3\nunset OS_TOKEN\n"
    )

    assert read_login(text) == {
        "auth": {"auth_url": "http://a:5000/v3", "username": "admin", "password": "a b"},
        "region_name": "RegionOne",
    }
