# SPDX-License-Identifier: MIT
"""Run a function of ours apart from the host: user, mount, pid, ipc, uts, network and cgroup namespaces.

Three processes:

    the host side       waits at the door (`builder.image.isolation.door`)
    the keeper          makes the namespaces, writes the id maps, waits; touches nothing of a build
    the inside          pid 1 of its world: makes its root, gives its power over it away, runs the function

Root inside is a subordinate uid outside, also when a real root builds. The inside has no descriptor but the
door's, sees nothing of the host that it could write to but what is bound as writable by name, has no session
keyring, and dies with us.

Rules from: user_namespaces(7), mount_namespaces(7), pid_namespaces(7), prctl(2), keyctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import limits, seccomp
from builder.calls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    JOIN_SESSION_KEYRING,
    call,
)
from builder.errors import BuildError
from builder.idmap import IDS, IdRange, find_ids, is_root, write_maps
from builder.image.isolation import landlock, memory
from builder.image.isolation.door import Door, Request, attend
from builder.image.isolation.mounts import check
from builder.image.isolation.root import Bind, make_root
from builder.lifetime import die_with_parent
from builder.memory import available_memory
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB

__all__ = ("Bind", "Door", "run_inside")

_PR_SET_DUMPABLE = 4
# Of all that the inside starts together.
MOST_PROCESSES = 4096

LOG = Path("/work/build.log")
_MAP = b"m"

_libc = ctypes.CDLL(None, use_errno=True)


def run_inside(
    function: Callable[[Door], Any],
    *,
    log: Path,
    binds: tuple[Bind, ...] = (),
    network: bool = False,
    requests: Mapping[str, Request] | None = None,
    most: int | None = None,
    runner: Runner,
) -> Any:
    """Run `function` inside new namespaces and return what it returns: JSON's types, not yet checked.

    Args:
        function: runs in a forked child as uid 0 and pid 1 of its world, with folders of its own in memory:
            /work, /tmp, /run, /var/tmp, /tree. It reports, and asks, through its argument.
        log: gets what the function's programs wrote into LOG; in a folder that is ours alone.
        binds: more of the host.
        network: share the host's network.
        requests: what the function may ask for through the door.
        most: bytes of memory that it may take, where others run at the same time.

    Raises:
        BuildError: what `function` raised, or that it was killed.
    """
    ids = find_ids()
    inner = ids if is_root() else None
    stage = log.parent / "root"
    stage.mkdir(mode=0o711, exist_ok=True)
    ours, theirs = socket.socketpair()
    all_of_it = available_memory() * memory.MOST // 100
    most = all_of_it if most is None else min(most, all_of_it)
    with ours, memory.group(most, MOST_PROCESSES) as group:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        keeper = os.fork()
        if keeper == 0:
            world = _World(
                stage=stage,
                binds=binds,
                network=network,
                ids=inner,
                report=runner.report,
                parent=parent,
                group=group,
            )
            _keep(function, theirs.fileno(), world)
        theirs.close()
        try:
            with memory.watched(keeper) as ended:
                # A plain user's keeper waits in a user namespace of its own: only newuidmap(1) can give it
                # ids.
                if inner is None and ours.recv(1) == _MAP:
                    write_maps(keeper, ids, runner)
                    ours.send(_MAP)
                return attend(ours, runner.report, log, requests or {})
        except EOFError as error:
            raise _killed(group, out_of_memory=ended.is_set()) from error
        finally:
            # It has ended already, or is not wanted any more.
            with contextlib.suppress(ProcessLookupError):
                os.kill(keeper, signal.SIGKILL)
            os.waitpid(keeper, 0)


def _killed(group: memory.Group, *, out_of_memory: bool) -> BuildError:
    """Return the error of an inside that is gone without an answer."""
    if group.is_full():
        return BuildError(
            f"the build took more than {group.most // MIB} MiB of memory, and was ended",
            hint="free some memory, or see what its scripts do",
        )
    if out_of_memory:
        return BuildError(
            "the build was ended: it left too little of this machine's memory",
            hint="free some memory, lower --memory-share, or see what its scripts do",
        )
    return BuildError(
        "the build sandbox was killed",
        hint="the kernel may have been out of memory: see dmesg, and --memory-share",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _World:
    """What the keeper and the inside are made with.

    `ids`: None where the keeper's own are the inside's. `parent`: the host side's process.
    """

    stage: Path
    binds: tuple[Bind, ...]
    network: bool
    ids: IdRange | None
    report: Report
    parent: int
    group: memory.Group


def _keep(function: Callable[[Door], Any], peer: int, world: _World) -> None:
    """Be the keeper: let go of everything of the host's, make namespaces, wait. Never returns."""
    try:
        world.group.enter()
        peer = _let_go(peer)
        if world.ids is None:
            check(_libc.unshare(CLONE_NEWUSER), "unshare")
            os.write(peer, _MAP)
            if os.read(peer, 1) != _MAP:
                os._exit(1)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        spaces = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
        check(_libc.unshare(spaces | (0 if world.network else CLONE_NEWNET)), "unshare")
        if not world.network:
            _libc.sethostname(b"localhost", 9)
        # After all changes of ids, which would clear it (prctl(2)).
        die_with_parent(world.parent)
        mapped, mapped_in = os.pipe()
        ready, ready_in = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(mapped_in)
            os.close(ready)
            _be_inside(function, peer, world, mapped, ready_in)
        os.close(mapped)
        os.close(ready_in)
        if os.read(ready, 1):
            _map_ids(pid, world.ids)
            os.write(mapped_in, b"1")
        os.waitpid(pid, 0)
    except BaseException as error:
        _tell(peer, world.report, error)
    finally:
        os._exit(0)


def _let_go(peer: int) -> int:
    """Keep no descriptor but the door's, no terminal, no keyring; return the door's new number."""
    os.setsid()
    # What is made from here on is not the user's: root inside owns none of it, and has to get through.
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.dup2(peer, 3, inheritable=False)
    check(call("close_range", 4, ctypes.c_uint(0xFFFFFFFF), 0), "close_range")
    # A kernel without keyrings has none to leave.
    call("keyctl", JOIN_SESSION_KEYRING, None)
    with contextlib.suppress(OSError):
        # When memory ends, it is this build's that is freed.
        Path("/proc/self/oom_score_adj").write_text("1000")
    return 3


def _read_resolver() -> tuple[str, str]:
    """Return the real path and the text of /etc/resolv.conf, which often is a link into /run."""
    path = os.path.realpath("/etc/resolv.conf")
    try:
        return path, Path(path).read_text()
    except OSError:
        return path, ""


def _map_ids(pid: int, ids: IdRange | None) -> None:
    """Give the inside its ids (user_namespaces(7)): a line may not span two of the map above."""
    uids = gids = f"0 0 1\n1 1 {IDS - 1}\n"
    if ids is not None:
        uids = f"0 {ids.uid_root} 1\n1 {ids.uid_first} {IDS - 1}\n"
        gids = f"0 {ids.gid_root} 1\n1 {ids.gid_first} {IDS - 1}\n"
    Path(f"/proc/{pid}/uid_map").write_text(uids)
    Path(f"/proc/{pid}/gid_map").write_text(gids)


def _be_inside(function: Callable[[Door], Any], peer: int, world: _World, mapped: int, ready: int) -> None:
    """Be pid 1 of the new world: make its root, become root of a namespace below, run. Never returns."""
    try:
        die_with_parent()
        resolver = _read_resolver() if world.network else None
        check(_libc.unshare(CLONE_NEWNS), "unshare")
        make_root(world.stage, world.binds)
        check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
        _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        os.write(ready, b"1")
        os.close(ready)
        if not os.read(mapped, 1):
            os._exit(1)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        die_with_parent()
        _exit_with_keeper(mapped)
        # Nobody inside may look into this process, whatever its ids (ptrace(2)).
        _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        _settle(resolver)
        _limit()
        landlock.keep_to_own_sockets()
        seccomp.install(seccomp.BASE)
        door = Door(peer, world.report, LOG)
    except BaseException as error:
        _tell(peer, world.report, error)
        os._exit(1)
    try:
        door.answer(function(door))
    except BaseException as error:
        with contextlib.suppress(OSError):
            door.fail(error)
    finally:
        os._exit(0)


def _exit_with_keeper(pipe: int) -> None:
    """Exit when the keeper, which holds the other end of `pipe`, died before its death was to be ours."""
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        if os.read(pipe, 1) == b"":
            os._exit(1)
    os.close(pipe)


def _settle(resolver: tuple[str, str] | None) -> None:
    os.chdir("/")
    if resolver is not None and resolver[0].startswith("/run/"):
        os.makedirs(os.path.dirname(resolver[0]))
        Path(resolver[0]).write_text(resolver[1])


def _limit() -> None:
    """Bound what the inside takes (setrlimit(2)); memory is bounded where programs of others are started."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    limits.bound(resource.RLIMIT_CORE, 0)
    limits.bound(resource.RLIMIT_NPROC, MOST_PROCESSES)


def _tell(peer: int, report: Report, error: BaseException) -> None:
    with contextlib.suppress(OSError, ValueError):
        Door(peer, report, LOG).fail(error)
