# SPDX-License-Identifier: MIT
"""nmcli(1) of Debian's NetworkManager, unpacked into the cache: its own reader says what a keyfile means."""

from __future__ import annotations

from pathlib import Path

from builder.files import cache_folder, digest_of, locked, write_atomic
from builder.report import Report
from builder.runner import Completed, Runner
from tests.rig.fixture.apt import Apt
from tests.rig.fixture.rules import load_distribution

PACKAGE = "network-manager"
LIBRARIES = Path("usr/lib/x86_64-linux-gnu")


class NetworkManager:
    """The unpacked program, run by the loader of the libraries that it is built for.

    Raises:
        BuildError: this host has no Debian apt, or it reaches no mirror.
    """

    def __init__(self) -> None:
        self._runner = Runner(Report(quiet=True))
        self._root = self._unpacked()

    def _unpacked(self) -> Path:
        apt = Apt(runner=self._runner, folder=cache_folder("fixture"), source=load_distribution().source)
        wanted = [one for one in apt.resolve([PACKAGE]) if one.name == PACKAGE or one.name.startswith("lib")]
        folder = cache_folder("nmcli", digest_of(sorted(one.sha256 for one in wanted))[:16])
        with locked(folder / "lock"):
            if not (folder / "whole").exists():
                apt.fetch(wanted)
                for one in wanted:
                    self._runner.run(["dpkg-deb", "-x", apt.path_of(one), folder / "root"])
                write_atomic(folder / "whole", "")
        return folder / "root"

    def read(self, keyfile: str) -> Completed:
        """Have a connection read and written again (`nmcli --offline connection modify`)."""
        libraries = [self._root / LIBRARIES, self._root / "lib/x86_64-linux-gnu"]
        loader = next(path for one in libraries if (path := one / "ld-linux-x86-64.so.2").exists())
        argv: list[str | Path] = [
            loader,
            "--library-path", ":".join(map(str, libraries)), self._root / "usr/bin/nmcli",
            "--offline", "connection", "modify", "connection.auth-retries", "-1",
        ]  # fmt: skip
        return self._runner.run(argv, input=keyfile, ok=())
