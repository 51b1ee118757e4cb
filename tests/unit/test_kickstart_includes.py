# SPDX-License-Identifier: MIT
"""What a kickstart may include of the host: kickstarts, what is with it, what anybody may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import InputError
from builder.kickstart.findings import Findings
from builder.kickstart.flatten import flatten
from builder.kickstart.source import scan

SECRET = "the user's own"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is closed to others, with a kickstart in a folder of its own."""
    (tmp_path / "work").mkdir()
    for name, mode in {
        ".ssh/id_ed25519": 0o600, ".config/openstack/clouds.yaml": 0o644, "letter": 0o644,
        "common/base.ks": 0o600, "common/network.cfg": 0o644, "work/packages": 0o644,
        "work/key": 0o600, "work/.git/config": 0o644,
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"echo {SECRET}\n".replace("'", ""))
        (tmp_path / name).chmod(mode)
    (tmp_path / "work/link").symlink_to(tmp_path / ".ssh/id_ed25519")
    (tmp_path / "work/link.ks").symlink_to(tmp_path / ".ssh/id_ed25519")
    tmp_path.chmod(0o700)
    return tmp_path


def errors(home: Path, name: str) -> list[str]:
    """Return what reading a kickstart says that includes the file `name` in a script."""
    kickstart = home / "work/guest.ks"
    kickstart.write_text(f"%post\n%include {name.replace('~', str(home))}\n%end\n")
    findings = Findings()
    scan(kickstart, findings)
    return [problem.message for problem in findings.errors]


@pytest.mark.parametrize(
    "name",
    [
        "~/.ssh/id_ed25519", "../.ssh/id_ed25519", "~/.config/openstack/clouds.yaml", "~/letter", "key",
        "link", "link.ks", ".git/config",
    ],
)  # fmt: skip
def test_a_private_file_is_not_included(home: Path, name: str) -> None:
    assert "is private" in "".join(errors(home, name))
    with pytest.raises(InputError, match="is private"):
        flatten(home / "work/guest.ks")


@pytest.mark.parametrize("name", ["packages", "../common/base.ks", "~/common/network.cfg", "/etc/os-release"])
def test_what_is_meant_to_be_included_is(home: Path, name: str) -> None:
    assert errors(home, name) == []
