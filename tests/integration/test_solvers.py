# SPDX-License-Identifier: MIT
"""dnf and libdnf5 choose the same packages, and rpm installs them in the same order."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.errors import ToolMissing
from builder.image.packages.dnf import SOLVERS, find_solver
from tests.rig.bench import solve
from tests.support.imaging import Bench, kickstart


def is_missing(name: str) -> bool:
    try:
        find_solver(name)
    except ToolMissing:
        return True
    return False


needs_both = pytest.mark.skipif(
    any(map(is_missing, SOLVERS)), reason="needs both solvers (Fedora, Debian sid)"
)
KICKSTARTS = {
    "packages": kickstart(packages="scripted\ncapable\ndeclared-user\nhard-links"),
    "a group": kickstart(packages="@core"),
    "an exclusion": kickstart(packages="scripted\n-capable"),
    "a path": kickstart(packages="/usr/share/hard/a"),
    "a glob": kickstart(packages="hard-*"),
}


def installed(bench: Bench, work: Path) -> list[str]:
    """Return the packages of the image in the order of rpm's database, which is the order of installation."""
    folder = work / "rpm"
    folder.mkdir(parents=True)
    for name in ("rpmdb.sqlite", "rpmdb.sqlite-wal", "rpmdb.sqlite-shm"):
        bench.look().ask(f"dump /usr/lib/sysimage/rpm/{name} {folder / name}")
    form = "%{DBINSTANCE} %{NEVRA} %{SIGMD5}\\n"
    reported = subprocess.run(
        ["rpm", "--dbpath", folder, "-qa", "--qf", form], capture_output=True, text=True, check=True
    ).stdout
    return [
        line.split(" ", 1)[1] for line in sorted(reported.splitlines(), key=lambda line: int(line.split()[0]))
    ]


@needs_both
@pytest.mark.parametrize("text", KICKSTARTS.values(), ids=KICKSTARTS)
def test_packages_and_their_order_are_the_same(text: str, bench: Bench, tmp_path: Path) -> None:
    found = {}
    for solver in SOLVERS:
        bench.build(text, "--solver", solver)
        names = [package["nevra"] for package in bench.manifest()["packages"]]
        accounts = bench.look().text("/etc/passwd"), bench.look().text("/etc/group")
        found[solver] = (names, installed(bench, tmp_path / solver), accounts)

    assert found["dnf"][1]
    assert found["dnf"] == found["libdnf5"]


@needs_both
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("packages", "said"),
    [
        pytest.param("scriptd", "scripted", id="a name that is nearly one"),
        pytest.param("@cor", "@core", id="a group that is nearly one"),
        pytest.param("failing-pre", "failing-pre", id="a scriptlet that fails"),
    ],
)
def test_what_cannot_be_is_reported_alike(solver: str, packages: str, said: str, bench: Bench) -> None:
    before = bench.image.stat().st_mtime_ns if bench.image.exists() else None

    done = bench.build(kickstart(packages=packages), "--solver", solver, ok=False)

    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert (bench.image.stat().st_mtime_ns if bench.image.exists() else None) == before


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder by http; yield its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("lost", "said"),
    [
        pytest.param("repodata/repomd.xml", "404", id="no metadata"),
        pytest.param("repodata/*primary*", "primary.xml", id="half of the metadata"),
        pytest.param("scripted-*.rpm", "scripted-1-1", id="a package of the metadata"),
    ],
)
def test_what_cannot_be_fetched_is_named(
    solver: str, lost: str, said: str, bench: Bench, tmp_path: Path
) -> None:
    if is_missing(solver):
        pytest.skip(f"{solver} is not installed")
    folder = tmp_path / "repository"
    shutil.copytree(bench.repository.folder, folder)
    for path in folder.glob(lost):
        path.unlink()
    text = kickstart(packages="scripted")
    before = bench.image.stat().st_mtime_ns if bench.image.exists() else None

    with served(folder) as address:
        done = bench.build(text, "--solver", solver, repo=address, ok=False)

    assert done.returncode == 5, done.stderr
    error = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert said in error
    assert "Traceback" not in done.stderr + (bench.log.read_text() if bench.log.exists() else "")
    assert (bench.image.stat().st_mtime_ns if bench.image.exists() else None) == before


@pytest.mark.parametrize("name", SOLVERS)
def test_what_the_bench_measures_is_a_choice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_missing(name):
        pytest.skip(f"{name} is not installed")
    monkeypatch.setattr(solve, "PACKAGES", 40)
    solve.write_repository(tmp_path / "repository", 40)

    costs = [solve.solve(find_solver(name), tmp_path / "repository", tmp_path) for _ in range(2)]

    assert costs[0].packages == costs[1].packages > 1
    assert costs[0].seconds > 0
