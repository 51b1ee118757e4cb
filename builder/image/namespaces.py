# SPDX-License-Identifier: MIT
"""Run a function of ours apart from the host: user, mount, pid, ipc, uts and network namespaces.

Root inside is a subordinate uid outside, even when a real root builds: what runs inside cannot write to
the host, whatever it breaks out of. It sees the host's /usr and /etc read-only and nothing else of the
host but the folders bound by name. Its mounts live and die with it, and it dies with us.

Rules from: user_namespaces(7), mount_namespaces(7), pid_namespaces(7), pivot_root(2), mount_setattr(2),
newuidmap(1), subuid(5).
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

from builder.errors import BuildError, PermissionMissing
from builder.runner import Runner, die_with_parent

T = TypeVar("T")

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
_SYS_PIVOT_ROOT, _SYS_MOUNT_SETATTR = 155, 442
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = -100, 0x8000, 1
_PR_SET_DUMPABLE = 4

# Ids that an image may use. nobody is 65534.
IDS = 65536
# Where root's images live when /etc/subuid gives root no range: behind the ranges that systemd uses for
# dynamic users and containers (systemd's UIDS-GIDS.md).
ROOT_FIRST_ID = 0x70000000

CODE = Path(__file__).resolve().parents[1]

# What programs may write beside the image: enough for their sockets and small files, no more.
SCRATCH = "size=64m,nr_inodes=4k"

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bind:
    """A folder or file of the host, seen inside at `target`; read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class IdRange:
    """Which ids of the host stand for those inside: `root` for 0, `first`... for 1 and up."""

    uid_root: int
    uid_first: int
    gid_root: int
    gid_first: int


class MountAttr(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def is_root() -> bool:
    """Say whether we are the host's root (or root of whatever the host is for us)."""
    return os.geteuid() == 0


def find_ids() -> IdRange:
    """Return the id range to build with.

    Raises:
        PermissionMissing: a plain user without 65536 subordinate ids, with the usermod line.
    """
    if is_root():
        root_uid = _subordinate("/etc/subuid") or ROOT_FIRST_ID
        root_gid = _subordinate("/etc/subgid") or ROOT_FIRST_ID
        return IdRange(uid_root=root_uid, uid_first=root_uid + 1, gid_root=root_gid, gid_first=root_gid + 1)
    uid, gid = _subordinate("/etc/subuid"), _subordinate("/etc/subgid")
    if uid is None or gid is None:
        missing = "/etc/subuid" if uid is None else "/etc/subgid"
        name = _user_name()
        raise PermissionMissing(
            f"{missing}: {name} has no range of {IDS} subordinate ids",
            hint=f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name} (as root)",
        )
    return IdRange(uid_root=os.geteuid(), uid_first=uid, gid_root=os.getegid(), gid_first=gid)


def hand_over(path: Path) -> None:
    """Make `path` writable for root inside. Nothing to do for a plain user: there it is the same id."""
    if is_root():
        ids = find_ids()
        os.chown(path, ids.uid_root, ids.gid_root)


def take_back(path: Path) -> None:
    """Make a file that was made inside ours again."""
    if is_root():
        os.chown(path, 0, 0)


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
            _write_maps(child, ids, runner)
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


# -- the parent's part -----------------------------------------------------------------------


def _user_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _subordinate(path: str) -> int | None:
    """Return the first id of our first large enough range in subuid(5) or subgid(5)."""
    try:
        text = Path(path).read_text()
    except OSError:
        return None
    for line in text.splitlines():
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        ours = owner in (_user_name(), str(os.geteuid()))
        if ours and count.strip().isdigit() and int(count) >= IDS - 1:
            return int(first)
    return None


def _write_maps(pid: int, ids: IdRange, runner: Runner) -> None:
    for kind, root, first in (("uid", ids.uid_root, ids.uid_first), ("gid", ids.gid_root, ids.gid_first)):
        if is_root():
            Path(f"/proc/{pid}/{kind}_map").write_text(f"0 {root} 1\n1 {first} {IDS - 1}\n")
        else:
            words = ["0", str(root), "1", "1", str(first), str(IDS - 1)]
            runner.run([f"new{kind}map", str(pid), *words], hint="newuidmap must be setuid root")


# -- the child's part ------------------------------------------------------------------------


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
            _check(_libc.unshare(CLONE_NEWNS), "unshare")
            _make_root(newroot, work, binds)
        spaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
        _check(_libc.unshare(spaces | (0 if network else CLONE_NEWNET)), "unshare")
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
    os.chdir(base)
    _check(_libc.syscall(_SYS_PIVOT_ROOT, b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def make_devices(folder: str) -> None:
    """Make a private /dev of 1 MiB: the harmless devices, nothing of a disk."""
    os.makedirs(folder, exist_ok=True)
    mount("tmpfs", folder, "tmpfs", MS_NOSUID, "mode=755,size=1m,nr_inodes=1k")
    for name in DEVICES:
        Path(folder, name).touch()
        bind(f"/dev/{name}", f"{folder}/{name}", writable=True)
    for name, link in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{link}", f"{folder}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{folder}/{name}")
    os.chmod(f"{folder}/shm", 0o1777)


def mount(
    source: str | None, target: str, fstype: str | None, flags: int = 0, options: str | None = None
) -> None:
    """Call mount(2).

    Raises:
        OSError: with `target` as the file name.
    """
    encoded = [None if word is None else os.fsencode(word) for word in (source, target, fstype, options)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _check(result, f"mount {target}", target)


def unmount(target: str) -> None:
    """Detach what is mounted at `target`."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), "umount2", target)


def bind(source: str, target: str, *, writable: bool = False) -> None:
    """Bind `source` with all below it to `target`, which is made when missing."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            Path(target).touch()
    mount(source, target, None, MS_BIND | MS_REC)
    if not writable:
        make_read_only(target)


def make_read_only(target: str) -> None:
    """Make the mount at `target`, and all below it, read-only."""
    attributes = MountAttr(attr_set=_MOUNT_ATTR_RDONLY)
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    _check(result, "mount_setattr (Linux 5.12 or later is needed)", target)


def _check(result: int, what: str, where: str | None = None) -> None:
    if result == 0:
        return
    number = ctypes.get_errno()
    if what == "unshare":
        raise PermissionMissing(
            f"the kernel allows no new namespaces: {os.strerror(number).lower()}",
            hint="see sysctl kernel.unprivileged_userns_clone and user.max_user_namespaces; "
            "in a container, build with more privileges",
        )
    raise OSError(number, f"{what}: {os.strerror(number)}", where)
