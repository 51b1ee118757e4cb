# SPDX-License-Identifier: MIT
"""What the tests of the boundary share: a host with canaries, builds on it as root and as a plain user."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.signing import new_signer
from tests.rig.fixture.synthetic import SyntheticRepository, build_synthetic
from tests.security.recipes import SCRIPTLETS
from tests.support.imaging import Bench, traces
from tests.support.other_user import NUMBER, run_as_plain_user

# Seconds until a build counts as one that hangs, on a machine with much other work.
LONGEST = 1800.0
CANARIES = (".bashrc", ".bash_profile", "Documents/diary", "Documents/letter", ".ssh/id_ed25519")


@dataclass(frozen=True)
class Host:
    """A home with canaries, and the user who builds there."""

    bench: Bench
    user: str

    @property
    def home(self) -> Path:
        """The user's home."""
        return self.bench.folder

    def state(self) -> dict[str, object]:
        """Return all that a build must leave as it was."""
        found: dict[str, object] = {"traces": traces(self.home)}
        for name in CANARIES:
            path = self.home / name
            info = path.lstat()
            found[name] = (path.read_bytes(), info.st_mode, info.st_uid, info.st_nlink, info.st_mtime_ns)
        found["Documents"] = sorted(os.listdir(self.home / "Documents"))
        found["etc"] = sorted(os.listdir("/etc/apt")) if os.path.isdir("/etc/apt") else []
        return found

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command as the user."""
        environment = {**self.bench.environment(), "HOME": str(self.home)}
        if self.user == "plain":
            return run_as_plain_user(words, self.home, environment=environment, timeout=LONGEST)
        return subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )

    def build(self, text: str, *options: str, ok: bool | None = True) -> subprocess.CompletedProcess[str]:
        """Build the kickstart `text` with {home} filled in; None: whether it works does not matter."""
        done = self.run(self.bench.command(text.replace("{home}", str(self.home)), *options))
        assert ok is None or (done.returncode == 0) == ok, done.stderr
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        return done


@pytest.fixture(scope="session")
def hostile_repository(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRepository:
    """The synthetic repository with packages whose scriptlets are hostile."""
    runner = Runner(Report(quiet=True))
    folder = tmp_path_factory.mktemp("hostile")
    folder.chmod(0o755)
    with new_signer(runner) as signer:
        return build_synthetic(folder, runner=runner, signer=signer, scriptlets=SCRIPTLETS)


@pytest.fixture(scope="module", params=["root", "plain"])
def host(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    hostile_repository: SyntheticRepository,
) -> Host:
    """A host for the tests of a module; both kinds of user need root, to become one."""
    if os.geteuid() != 0 and request.param == "plain":
        pytest.skip("becomes another user, which needs root")
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o755)
    repository = home / "repository"
    shutil.copytree(hostile_repository.folder, repository)
    assert hostile_repository.key is not None
    for name in CANARIES:
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(f"the user's own {name}\n")
        (home / name).chmod(0o600)
    if request.param == "plain":
        for path in (home, *home.rglob("*")):
            os.chown(path, NUMBER, NUMBER)
    key = repository / hostile_repository.key.name
    return Host(Bench(home, replace(hostile_repository, folder=repository, key=key)), request.param)


@pytest.fixture
def session_key() -> Iterator[str]:
    """A key in a session keyring that our children inherit; its description (keyctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.uname().machine != "x86_64" or libc.syscall(250, 1, None) < 0:
        pytest.skip("no keyrings here")
    name = f"canary-{os.getpid()}"
    key = libc.syscall(248, b"user", name.encode(), b"secret of the session", 21, -3)
    if key < 0:
        pytest.skip("no keys here")
    # Everybody may do everything: nothing but the boundary stands between.
    libc.syscall(250, 5, key, 0x3F3F3F3F)
    yield name
    libc.syscall(250, 3, key)
