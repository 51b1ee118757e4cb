# SPDX-License-Identifier: MIT
"""`openstack-builder image` by a plain user, by two at once, and with no room on the disk."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.fixture.synthetic import SyntheticRepository
from tests.support.disks import difference
from tests.support.imaging import Bench, bench_for_everybody, kickstart, traces
from tests.support.other_user import NUMBER, run_as_plain_user

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")


@pytest.fixture
def own(tmp_path: Path, synthetic: SyntheticRepository) -> Bench:
    """A bench of its own, with a copy of the repository that everybody may read."""
    return bench_for_everybody(tmp_path, synthetic)


@pytest.mark.root
@needs_root
def test_a_plain_user_with_subordinate_ids_builds_the_same_image(own: Bench, bench: Bench) -> None:
    text = kickstart(packages="setuid\ncapable\ndeclared-user")

    done = run_as_plain_user(own.command(text), own.folder, environment=own.environment())

    assert done.returncode == 0, done.stderr
    assert traces(own.folder) == []
    assert own.image.stat().st_uid == NUMBER
    look = own.look()
    assert look.owner("/usr/bin/setuid") == (0o4755, 0, 0)
    assert look.owner("/var/lib/declared/state") == (0o640, 421, 421)
    assert "security.capability" in look.ask("ea_list /usr/bin/capable")
    bench.build(text)
    assert difference(own.image, bench.image) == ""


@pytest.mark.root
@needs_root
def test_a_plain_user_without_subordinate_ids_gets_the_command(own: Bench) -> None:
    command = own.command(kickstart())

    done = run_as_plain_user(command, own.folder, environment=own.environment(), subordinate=False)

    assert done.returncode == 4
    assert done.stderr.startswith("error: /etc/subuid: plainuser has no range")
    assert "usermod --add-subuids" in done.stderr
    assert own.leftovers() == []


def test_builds_at_once_share_the_caches(own: Bench) -> None:
    first = own.command(kickstart(tail="%post\nsleep 1\n%end\n"))
    second = [*first, "--name", "other"]
    elsewhere = [*first, "--out", str(own.folder / "elsewhere")]

    running = [
        subprocess.Popen(
            words, env=own.environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for words in (first, second, elsewhere)
    ]
    ends = [(process.communicate(timeout=1800)[1], process.returncode) for process in running]

    assert [code for _, code in ends] == [0, 0, 0], ends
    for image in (own.out / "test", own.out / "other", own.folder / "elsewhere/test"):
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=image, check=True)
    (cached,) = (own.folder / "cache/openstack-builder/initramfs").iterdir()
    assert stat.S_IMODE(cached.stat().st_mode) == 0o600


@pytest.mark.root
@needs_root
def test_a_full_disk_is_reported_and_nothing_is_left(own: Bench) -> None:
    own.out.mkdir()
    script = 'mount -t tmpfs -o size=10m none "$1"; shift; "$@"; code=$?; ls -A "$0" >&2; exit $code'
    words = ["unshare", "--mount", "sh", "-c", script, own.out, own.out, *own.command(kickstart())]

    done = subprocess.run(words, env=own.environment(), capture_output=True, text=True, check=False)

    assert done.returncode == 1
    error, *rest = done.stderr.partition("error: ")[2].splitlines()
    assert "space" in error or "are free, and the build needs" in error
    assert rest[-1] in ("test.log", rest[0]), done.stderr


def test_a_missing_tool_is_named_with_its_package(own: Bench) -> None:
    script = (
        "import sys; from builder import tools, __main__ as main\n"
        "found = tools.find\n"
        "def gone(name, found=found):\n"
        "    return found('no-such-' + name if name == 'bwrap' else name)\n"
        "tools.find = gone\n"
        "sys.exit(main.main(sys.argv[1:]))"
    )
    words = own.command(kickstart())

    done = subprocess.run(
        [sys.executable, "-c", script, *words[3:]],
        env=own.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 4
    assert "no-such-bwrap is not installed" in done.stderr
