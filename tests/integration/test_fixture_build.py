# SPDX-License-Identifier: MIT
"""How `python -m tests.rig.fixture build` behaves: once, whole or not at all, and never with a wrong package.

On a mirror of two tiny packages in a folder, so that it takes seconds and no network.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.files import WORK_PREFIX
from tests.rig.fixture.rules import DATA
from tests.support.local_apt import LocalApt, make_local_apt

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "createrepo_c", "openssl"))),
    reason="apt-get, createrepo_c or openssl is not installed",
)


class Small:
    """The command line on the small mirror, with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.apt: LocalApt = make_local_apt(folder)
        self.data = folder / "data"
        shutil.copytree(DATA, self.data)
        lines = (self.data / "distribution.yaml").read_text().splitlines()
        start, end = lines.index("seeds:"), lines.index("dropped:")
        (self.data / "distribution.yaml").write_text(
            "\n".join([*lines[:start], "seeds: [tiny]", *lines[end:]])
        )
        (self.data / "releases/12.yaml").write_text(
            f"source: {self.apt.source}\nseeds: []\n"
            "variables: {POSTGRESQL: 15, CLOUD_INIT_NETWORK: cloud-init}\n"
        )
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.env = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TMPDIR": str(self.tmp),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "APT_CONFIG": str(self.apt.config),
        }

    @property
    def cache(self) -> Path:
        return self.folder / "cache" / "openstack-builder" / "fixture"

    def start(self, *words: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "tests.rig.fixture", "build", "--data", str(self.data), *words]
        return subprocess.Popen(
            argv, cwd=ROOT, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate()
        return process.returncode, out.strip(), err

    def repositories(self) -> list[Path]:
        return sorted(path.parent for path in self.cache.glob("*/repodata"))

    def leftovers(self) -> list[Path]:
        places = (self.cache, self.cache / "products", self.tmp)
        return [path for place in places for path in place.glob(f"{WORK_PREFIX}*")]

    def processes(self) -> list[str]:
        """Return the command lines of processes that work for this cache."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.folder).encode() in environment and command:
                found.append(command)
        return found


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path)


def wait_until(condition: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_second_run_only_asks_apt_for_its_state(small: Small) -> None:
    first = small.run()
    before = sorted((path, path.stat().st_mtime_ns) for path in Path(first[1]).rglob("*"))

    second = small.run("--debug")

    assert first[0] == 0, first[2]
    assert {"tiny-1.0-1.x86_64.rpm", "tiny-data-1.0-1.x86_64.rpm"} < {
        path.name for path in Path(first[1]).iterdir()
    }
    assert second[:2] == first[:2]
    started = {line.split()[1] for line in second[2].splitlines() if line.startswith("+ ")}
    assert started == {"apt-config"}, second[2]
    assert sorted((path, path.stat().st_mtime_ns) for path in Path(first[1]).rglob("*")) == before
    assert small.leftovers() == []


def test_changed_rule_makes_another_repository_from_the_same_downloads(small: Small) -> None:
    first = small.run()
    issue = small.data / "files/fixture-release/etc/issue"
    issue.write_text("Other Linux\n")

    second = small.run()

    assert (first[0], second[0]) == (0, 0)
    assert first[1] != second[1]
    assert "0 of 2 Debian packages" in second[2]


def test_two_runs_at_once_share_one_repository(small: Small) -> None:
    processes = [small.start(), small.start()]

    ends = [process.communicate() for process in processes]

    assert [process.returncode for process in processes] == [0, 0], ends
    assert ends[0][0] == ends[1][0]
    assert [str(path) for path in small.repositories()] == [ends[0][0].strip()]


def test_download_that_is_not_what_the_lists_promise_is_refused(small: Small) -> None:
    deb = small.apt.mirror / "tiny-data_1.0-1_amd64.deb"
    raw = bytearray(deb.read_bytes())
    raw[-20] ^= 1
    deb.write_bytes(raw)

    code, out, err = small.run()

    assert (code, out) == (5, ""), err
    assert "error:" in err
    assert small.repositories() == []
    assert not list(small.cache.glob("debs/tiny-data*"))
    assert small.leftovers() == []


def test_package_damaged_in_the_cache_is_fetched_again(small: Small) -> None:
    _, folder, _ = small.run()
    shutil.rmtree(folder)
    (cached,) = small.cache.glob("debs/tiny-data-*.deb")
    raw = bytearray(cached.read_bytes())
    raw[len(raw) // 2] ^= 1
    cached.write_bytes(raw)

    code, again, err = small.run()

    assert (code, again) == (0, folder), err
    assert "1 of 2 Debian packages" in err


def test_unknown_package_is_an_error_that_names_it(small: Small) -> None:
    path = small.data / "distribution.yaml"
    path.write_text(path.read_text().replace("seeds: [tiny]", "seeds: [tiny, tinny]"))

    code, out, err = small.run()

    assert (code, out) == (1, ""), err
    assert "tinny" in err


def test_killed_while_it_writes_metadata_leaves_no_repository_and_no_process(small: Small) -> None:
    slow = small.bin / "createrepo_c"
    slow.write_text('#!/bin/sh\ntouch "$HOME/reached"\nexec sleep 600\n')
    slow.chmod(0o755)
    process = small.start()
    wait_until((small.folder / "reached").exists)

    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert small.repositories() == []
    wait_until(lambda: small.processes() == [])
    slow.unlink()
    code, out, err = small.run()
    assert (code, [str(path) for path in small.repositories()]) == (0, [out]), err
    assert small.leftovers() == []


def test_killed_at_any_moment_the_next_run_is_whole(small: Small) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for _ in range(3):
        process = small.start()
        time.sleep(moments.uniform(0.1, 2.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        wait_until(lambda: small.processes() == [])
        for path in small.repositories():
            assert (path / "sources.json").exists()

    code, out, err = small.run()

    assert (code, [str(path) for path in small.repositories()]) == (0, [out]), err
    assert small.leftovers() == []


def test_interrupted_it_tidies_up(small: Small) -> None:
    slow = small.bin / "createrepo_c"
    slow.write_text('#!/bin/sh\ntouch "$HOME/reached"\nexec sleep 600\n')
    slow.chmod(0o755)
    process = small.start()
    wait_until((small.folder / "reached").exists)

    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()

    assert process.returncode == 130, err
    assert small.repositories() == []
    assert small.leftovers() == []
    assert small.processes() == []
