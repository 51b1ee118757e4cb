# SPDX-License-Identifier: MIT
"""Run a function of ours apart from the host: user, mount, pid, ipc, uts and network namespaces.

Root inside is a subordinate uid outside, even when a real root builds: what runs inside cannot write to
the host, whatever it breaks out of. It sees the host's /usr and /etc read-only and nothing else of the
host but the folders bound by name. Its mounts live and die with it, and it dies with us.

Rules from: user_namespaces(7), mount_namespaces(7), pid_namespaces(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from builder.errors import BuildError
from builder.image.isolation import nosync
from builder.image.isolation.idmap import find_ids, hand_over, is_root, write_maps
from builder.image.isolation.mounts import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    SCRATCH,
    bind,
    check,
    make_devices,
    mount,
    pivot_root,
)
from builder.runner import Runner, die_with_parent

T = TypeVar("T")

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_PR_SET_DUMPABLE = 4

CODE = Path(__file__).resolve().parents[2]

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bind:
    """A folder or file of the host, seen inside at `target`; read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


def run_inside(
    function: Callable[[], T],
    *,
    work: Path,
    binds: tuple[Bind, ...] = (),
    network: bool = False,
    runner: Runner,
) -> T:
    """Run `function` inside new namespaces and return what it returns (it must pickle).

    Args:
        function: runs in a forked child as uid 0 and pid 1 of its world; /work is `work`.
        work: a folder of ours; gets a mount point `root`, seen by nobody but the child.
        binds: more of the host.
        network: share the host's network.

    Raises:
        BuildError: what `function` raised, or that it was killed.
    """
    ids = find_ids()
    hand_over(work)
    newroot = work / "root"
    newroot.mkdir(exist_ok=True)
    results, results_in = os.pipe()
    unshared, unshared_in = os.pipe()
    mapped, mapped_in = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    ours = os.getpid()
    child = os.fork()
    if child == 0:
        for descriptor in (results, unshared, mapped_in):
            os.close(descriptor)
        _outer_child(function, work, newroot, binds, network, ours, results_in, unshared_in, mapped)
    for descriptor in (results_in, unshared_in, mapped):
        os.close(descriptor)
    try:
        if os.read(unshared, 1):
            write_maps(child, ids, runner)
            os.write(mapped_in, b"1")
        with os.fdopen(results, "rb") as stream:
            raw = stream.read()
        _, status = os.waitpid(child, 0)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        raise
    finally:
        for descriptor in (unshared, mapped_in):
            os.close(descriptor)
    if not raw:
        raise BuildError(f"the build's inside ended without a word (wait status {status})")
    succeeded, value = pickle.loads(raw)
    if not succeeded:
        raise value
    result: T = value
    return result


def _outer_child(
    function: Callable[[], T],
    work: Path,
    newroot: Path,
    binds: tuple[Bind, ...],
    network: bool,
    parent: int,
    results: int,
    unshared: int,
    mapped: int,
) -> None:
    """Unshare, wait for the id maps, become root, fork pid 1 and wait for it. Never returns."""
    status = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        resolver = _read_resolver()
        if is_root():
            # A real root must bind before it gives its power away; a plain user gets the power first.
            check(_libc.unshare(CLONE_NEWNS), "unshare")
            _make_root(newroot, work, binds)
        spaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
        check(_libc.unshare(spaces | (0 if network else CLONE_NEWNET)), "unshare")
        os.write(unshared, b"1")
        if not os.read(mapped, 1):
            os._exit(1)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        # After the change of ids, which would clear it (prctl(2)).
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        if not Path("/.openstack-builder").exists():
            _make_root(newroot, work, binds)
        alive, alive_in = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(alive_in)
            _inner_child(function, network, resolver, alive, results)
        os.close(alive)
        os.close(results)
        _, status = os.waitpid(pid, 0)
    except BaseException as error:
        _answer(results, error)
    finally:
        os._exit(1 if status else 0)


def _read_resolver() -> tuple[str, str]:
    """Return the real path and the text of /etc/resolv.conf, which often is a link into /run."""
    path = os.path.realpath("/etc/resolv.conf")
    try:
        return path, Path(path).read_text()
    except OSError:
        return path, ""


def _inner_child(
    function: Callable[[], T], network: bool, resolver: tuple[str, str], alive: int, results: int
) -> None:
    """Be pid 1 of the new world: mount what needs the new namespaces, run, answer. Never returns."""
    try:
        die_with_parent()
        os.set_blocking(alive, False)
        with contextlib.suppress(BlockingIOError):
            if os.read(alive, 1) == b"":
                os._exit(1)
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        if not network:
            _libc.sethostname(b"localhost", 9)
        for folder in ("/tmp", "/run", "/var/tmp", "/tree"):
            mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,{SCRATCH}")
        os.umask(0o022)
        path, text = resolver
        if network and path.startswith("/run/"):
            os.makedirs(os.path.dirname(path))
            Path(path).write_text(text)
        os.chdir("/")
        nosync.install()
        value = function()
        payload = pickle.dumps((True, value))
        with os.fdopen(results, "wb") as stream:
            stream.write(payload)
        sys.stderr.flush()
        os._exit(0)
    except BaseException as error:
        _answer(results, error)
    finally:
        os._exit(1)


def _answer(results: int, error: BaseException) -> None:
    if not isinstance(error, BuildError):
        text = "".join(traceback.format_exception(error))
        if isinstance(error, OSError) and error.strerror:
            where = f"{error.filename}: " if error.filename else ""
            error = BuildError(f"{where}{error.strerror.lower()}")
        else:
            error = BuildError(f"internal error inside the build: {error!r}")
        error.add_note(text)
    with contextlib.suppress(OSError), os.fdopen(results, "wb") as stream:
        stream.write(pickle.dumps((False, error)))


def _make_root(newroot: Path, work: Path, binds: tuple[Bind, ...]) -> None:
    """Build the root that the inside sees, on a tmpfs, and pivot into it."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    base = os.fspath(newroot)
    mount("tmpfs", base, "tmpfs", MS_NODEV, "mode=755,size=16m,nr_inodes=4k")
    for name in ("usr", "etc"):
        bind(f"/{name}", f"{base}/{name}")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{base}/{name}")
        elif os.path.isdir(f"/{name}"):
            bind(f"/{name}", f"{base}/{name}")
    bind("/sys", f"{base}/sys")
    # The kernel lets a user namespace mount its own /proc only where a whole one is to be seen already.
    bind("/proc", f"{base}/proc", writable=True)
    for name in ("tree", "tmp", "run", "var/tmp", "root", "mnt", "var/lib", "var/cache"):
        os.makedirs(f"{base}/{name}", exist_ok=True)
    os.chmod(f"{base}/tmp", 0o1777)
    os.symlink("../run", f"{base}/var/run")
    make_devices(f"{base}/dev")
    bind(os.fspath(work), f"{base}/work", writable=True)
    # Our own Python and code, wherever they are: modules are imported when they are needed.
    for folder in sorted({sys.base_prefix, sys.prefix, os.fspath(CODE)}):
        if not folder.startswith("/usr/"):
            bind(folder, base + folder)
    for one in binds:
        bind(os.fspath(one.source), base + one.target, writable=one.writable)
    Path(base, ".openstack-builder").touch()
    os.chmod(base, 0o755)
    pivot_root(base)
