# SPDX-License-Identifier: MIT
"""Sandboxes for programs that are not ours: the image's programs and the kickstart's scripts.

Six rooms, all by bubblewrap, inside the namespaces that the build already has, each new for each program:

- the solver: some of the host's programs and settings read-only, the packages' cache and the network, for dnf
  with the metadata and the packages of repositories;
- the image: / is the tree;
- the installer: the host's programs read-only, the tree at /mnt/sysimage, for %pre and --nochroot;
- the transaction: the host's programs read-only, the tree at /tree, for dnf with the packages' scriptlets;
- the bootstrap: the same with the target's own rpm, and what that requires, in place of the host's programs;
- the archiver: the host's programs read-only, one tree and one archive, for tar.

A room has pid, ipc, uts, cgroup, mount and network namespaces of its own, and in them neither CAP_SYS_ADMIN
nor a way to it: nothing is mounted, unmounted or entered (`seccomp.FOREIGN`). It has no descriptor but pipes,
no cache (the solver has that of packages), and no disk: its /dev holds 1 MiB, which a write to /dev/sda
fills. What a program leaves running dies with it. Its memory, processes and time have bounds.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builder import limits, seccomp
from builder.bubblewrap import host_programs, no_environment
from builder.calls import MS_NOSUID
from builder.errors import BuildError, CommandFailed
from builder.image.build import BOOTSTRAP, TREE, Build
from builder.image.disk.placement import DiskLayout
from builder.image.isolation import capabilities, mounts, shims
from builder.image.isolation.blank_disk import BlankDisk
from builder.image.isolation.scratch import Scratch, Word, furnished
from builder.image.tree.files import open_tree
from builder.kickstart.plan import MemoryFolder
from builder.memory import available_memory
from builder.runner import Child, Completed

SHIMS = Path("/run/openstack-builder/bin")
SCRIPT = Path("/run/openstack-builder/script")
ENVIRONMENT = {
    "PATH": f"{SHIMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "TERM": "dumb",
    # systemctl and friends: change files, talk to nobody (systemd's ENVIRONMENT.md).
    "SYSTEMD_OFFLINE": "1",
    "SYSTEMD_IGNORE_CHROOT": "",
}
# Where a shim says what the build is to do after the scripts, and where that is on our side.
SAID = Path("/run/openstack-builder/said")
SAID_HERE = Path("/tmp/said")
SHIMS_HERE = Path("/tmp/shims")
# What scripts write to terminals goes into one file, for the log.
CONSOLE = Path("/tmp/console")
# What a script finds where the link of the image leads to its resolver.
RESOLVER = Path("/tmp/resolver")
TERMINALS = ("ttyS0", *(f"tty{number}" for number in range(13)))

# Seconds that one program may take, a script or a whole transaction.
LONGEST = 2 * 3600.0
# Bytes kept of what one program says.
LARGEST_OUTPUT = 16 << 20
# Bytes of the host's disk that what repositories send leaves free.
LEAST_FREE = 512 << 20
_CONFIGURATION = ("--ro-bind", "/etc", "/etc")
_API_FOLDERS = ("proc", "sys", "dev", "run")
# What a room for programs that install has of its own, from above to below.
_MOUNTED = (
    *_API_FOLDERS, "tmp", "var", "var/tmp", "root", "tree", "cache", "repos", "work", "work/dnfworker",
    "work/keys",
)  # fmt: skip
# Of the host's /etc, what a program needs to find and to trust a server.
_TO_REACH_SERVERS = (
    *(
        "resolv.conf",
        "hosts",
        "host.conf",
        "nsswitch.conf",
        "gai.conf",
        "services",
        "protocols",
        "passwd",
        "group",
    ),
    *(
        "ssl",
        "pki",
        "crypto-policies",
        "ca-certificates",
        "ca-certificates.conf",
        "alternatives",
        "localtime",
    ),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "rpm", "gss", "krb5.conf"),
)


def run_in_image(
    build: Build,
    argv: Sequence[str],
    *,
    input: str | None = None,
    ok: Sequence[int] = (0,),
    network: bool = False,
    log: Path | None = None,
    binds: Sequence[tuple[str, str]] = (),
    with_shims: bool = False,
) -> Completed:
    """Run a program of the image.

    Args:
        argv: as the image knows it.
        input: text for its stdin.
        ok: exit statuses that are not a failure; empty: any.
        network: share the network that the build has.
        log: gets its output; the default captures it.
        binds: read-only (source, target) pairs more.
        with_shims: put the programs of `isolation.shims` before everything in PATH.

    Raises:
        CommandFailed: as Runner.run.
    """
    _check_tree()
    words: list[Word] = ["bwrap", *no_environment(), "--bind", TREE, "/", *_rooms(network)]
    words += _command_line(build.options.ks_arguments if with_shims else ())
    words += ["--ro-bind", "/sys", "/sys"]
    if RESOLVER.exists() and (target := _resolver_in_run()):
        words += ["--bind", RESOLVER, target]
    if with_shims and not network:
        words += _shims_by_path()
    words += _extras(build, binds, with_shims=with_shims)
    return _run(build, words, argv, input=input, ok=ok, log=log)


def run_in_installer(
    build: Build,
    argv: Sequence[str],
    *,
    tree: bool,
    ok: Sequence[int] = (),
    network: bool = False,
    log: Path | None = None,
    binds: Sequence[tuple[str, str]] = (),
    writable: Sequence[tuple[str, str]] = (),
    disk: BlankDisk | None = None,
) -> Completed:
    """Run a program of the host, read-only, with the tree at /mnt/sysimage where `tree` says so.

    Args:
        argv, ok, network, log, binds: as of `run_in_image`.
        writable: (source, target) pairs more that it may write to.
        disk: is there under its names in /dev, and may be written.
    """
    words = _host()
    for name in ("/tmp", "/var/tmp", "/root"):
        Path(f"/var/tmp/installer{name}").mkdir(parents=True, exist_ok=True)
        words += ["--bind", f"/var/tmp/installer{name}", name]
    words += [*_rooms(network), *_host_resolver(network), "--ro-bind", "/sys", "/sys"]
    if tree:
        for name in ("/mnt/sysimage", "/mnt/sysroot"):
            words += ["--bind", TREE, name]
            if RESOLVER.exists() and (target := _resolver_in_run(name)):
                words += ["--bind", RESOLVER, target]
        # What the installer says, and what kickstarts made for livecd-tools ask for.
        words += ["--setenv", "ANA_INSTALL_PATH", "/mnt/sysroot"]
        words += ["--setenv", "INSTALL_ROOT", "/mnt/sysimage", "--setenv", "LIVE_ROOT", "/mnt/sysimage"]
    words += _extras(build, binds, with_shims=True)
    for source, target in writable:
        words += ["--bind", source, target]
    if disk is not None:
        for file, device in disk.binds():
            words += ["--bind", file, device]
        for facts, place in disk.facts():
            words += ["--ro-bind", facts, place]
        for name, text in disk.programs().items():
            words += ["--ro-bind", _write_program(name, text), SHIMS / name]
        words += ["--setenv", "PYTHONPATH", str(SHIMS)]  # sitecustomize.py
    words += _command_line(build.options.ks_arguments)
    return _run(build, words, argv, ok=ok, log=log)


def stream_solver(build: Build, argv: Sequence[str], input: str) -> Iterator[str]:
    """Run a program of the host that reads repositories, with the network; yield the lines of its stdout.

    It gets our programs' environment: proxies may have passwords, which must not be in a command line.

    Raises:
        CommandFailed: as Runner.stream.
    """
    _make_devices()
    words: list[Word] = ["bwrap", Scratch("/"), *host_programs(), *_rooms(True)]
    for name in _TO_REACH_SERVERS:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += [*_host_resolver(True), Scratch("/tmp", 0o1777), Scratch(TREE)]
    words += ["--bind", "/cache", "/cache", *_folders(Path("/repos"), build.work / "dnfworker")]
    words += ["--setenv", "TMPDIR", "/tmp", "--setenv", "HOME", "/tmp", "--chdir", "/"]
    for name, value in build.reproducible_environment().items():
        words += ["--setenv", name, value]
    return _stream(build, words, argv, input, capabilities.OF_A_PARSER, watch=_look_at_cache)


def stream_transaction(build: Build, argv: Sequence[str], input: str) -> Iterator[str]:
    """Run a program of the host that installs into the tree, at /tree; yield the lines of its stdout.

    Raises:
        CommandFailed: as Runner.stream.
    """
    words = _on_tree(build, _host(), packages=len(build.facts.packages))
    return _stream(build, words, argv, input, capabilities.OF_AN_IMAGE)


def run_on_tree(
    build: Build,
    argv: Sequence[str],
    *,
    ok: Sequence[int] = (0,),
    log: Path | None = None,
    packages: int = 0,
) -> Completed:
    """Run rpm on the tree, at /tree, isolated like the transaction: the host's, or of the bootstrap.

    Args:
        argv, ok, log: as of `run_in_image`.
        packages: how many it enters into the database (`Build.reproducible_environment`).
    """
    words = _bootstrap() if build.bootstrap else _host()
    return _run(build, _on_tree(build, words, packages=packages), argv, ok=ok, log=log)


def run_by_host(build: Build, argv: Sequence[str], *, ok: Sequence[int] = (0,)) -> Completed:
    """Run a program of the host on the tree of the bootstrap, isolated like the transaction."""
    words = [*_host(), "--bind", BOOTSTRAP, BOOTSTRAP]
    return _run(build, _on_tree(build, words), argv, ok=ok, log=None)


def run_archiver(
    build: Build,
    argv: Sequence[str],
    archive: Path,
    folder: Path,
    *,
    packs: bool,
    ok: Sequence[int] = (0,),
    log: Path | None = None,
) -> Completed:
    """Run a program of the host that packs the tree in `folder` into `archive`, or fills it from there.

    Args:
        argv, ok, log: as of `run_in_image`.
        packs: the archive is written, and the tree read-only; else the other way round.
    """
    _make_devices()
    words: list[Word] = ["bwrap", *no_environment(), Scratch("/"), *host_programs(), *_rooms(False)]
    for path, is_written in ((folder, not packs), (archive, packs)):
        words += ["--bind" if is_written else "--ro-bind", path, path]
    words += ["--chdir", "/", "--setenv", "PATH", os.environ["PATH"], "--setenv", "LC_ALL", "C.UTF-8"]
    return _run(build, words, argv, ok=ok, log=log)


def _host() -> list[Word]:
    """Return how a room for a program of the host begins: its programs and settings, nothing to write."""
    return ["bwrap", *no_environment(), Scratch("/"), *host_programs(), "--ro-bind", "/etc", "/etc"]


def _bootstrap() -> list[Word]:
    """Return how a room for the target's own rpm begins. Only places of mounts are written to it."""
    _check_folders(BOOTSTRAP, _MOUNTED)
    return ["bwrap", *no_environment(), "--ro-bind", BOOTSTRAP, "/"]


def _on_tree(build: Build, words: list[Word], *, packages: int = 0) -> list[Word]:
    """Return the room that begins with `words`, with the tree at /tree, for programs that install."""
    _check_tree()
    words += [Scratch("/tmp", 0o1777), Scratch("/var/tmp", 0o1777), Scratch("/root", 0o700)]
    words += [*_rooms(False), "--ro-bind", "/sys", "/sys", "--bind", TREE, TREE]
    words += _folders(Path("/cache"), Path("/repos"), build.work / "dnfworker", build.work / "keys")
    # The same once more, for scriptlets, which see the tree as their root.
    words += [
        "--proc",
        TREE / "proc",
        "--remount-ro",
        TREE / "proc",
        *_command_line(root=TREE),
        "--dev-bind",
        "/tmp/dev",
        TREE / "dev",
        "--ro-bind",
        "/sys",
        TREE / "sys",
    ]
    words.append(Scratch(TREE / "run"))
    make_shims()
    words += ["--ro-bind", "/tmp/shims", TREE / SHIMS.relative_to("/")]
    return [*words, *_environment(build, packages=packages)]


def make_shims() -> None:
    """Write the programs that stand in for those the build does itself, and the private /dev."""
    if not SHIMS_HERE.exists():
        shims.write_quiet(SHIMS_HERE)
    _make_devices()


def _make_devices() -> None:
    # bubblewrap's own /dev has a tmpfs without a bound.
    if not Path("/tmp/dev").exists():
        mounts.make_devices("/tmp/dev")
        CONSOLE.touch()
        mounts.bind(os.fspath(CONSOLE), "/tmp/dev/console", writable=True)
        # A mount each would be copied for every room, twice.
        for name in TERMINALS:
            os.symlink("console", f"/tmp/dev/{name}")


def answer_for(
    layout: DiskLayout,
    *,
    disk: str,
    in_memory: Sequence[MemoryFolder],
    menu: str,
    kernel: str | None,
    machine: str,
) -> None:
    """Let programs in rooms with shims know the planned disk; `menu` is its grub.cfg.

    `in_memory` is mounted in the guest as well. `kernel` is the release that the guest will boot, if it has
    one of its own, on a `machine`.
    """
    make_shims()
    shims.write_answering(SHIMS_HERE, layout, disk=disk, in_memory=in_memory, kernel=kernel, machine=machine)
    (SHIMS_HERE / ".menu").write_text(menu)
    if not SAID_HERE.exists():
        SAID_HERE.mkdir()
        mounts.mount("tmpfs", os.fspath(SAID_HERE), "tmpfs", MS_NOSUID, "mode=700,size=1m,nr_inodes=512")


def read_said() -> list[list[str]]:
    """Return the words of each call that a shim has remembered, in their order."""
    if not SAID_HERE.exists():
        return []
    folder = open_tree(SAID_HERE)
    names = [name for name in folder.names() if name.isdecimal() and (folder / name).is_file()]
    return [(folder / name).read_bytes(limit=1 << 16).decode(errors="replace").splitlines() for name in names]


def take_console() -> str:
    """Return what was written to terminals, and forget it."""
    said = ""
    if CONSOLE.exists():
        with CONSOLE.open("rb") as file:
            said = file.read(LARGEST_OUTPUT).decode(errors="replace")
    if said:
        os.truncate(CONSOLE, 0)
    return said


def _shims_by_path() -> Iterator[str | Path]:
    """Yield the binds of shims over programs of the image that scripts call by their whole path.

    Not with a network: there a script may update the package, which could not replace a mount point.
    """
    for folder in ("usr/sbin", "usr/bin"):
        above = TREE / folder
        if any(path.is_symlink() for path in (above, above.parent)):
            continue  # where a link leads, a mount is not put
        for name in shims.BY_PATH:
            path = above / name
            if (SHIMS_HERE / name).exists() and path.is_file() and not path.is_symlink():
                yield from ("--ro-bind", SHIMS_HERE / name, f"/{folder}/{name}")


def _write_program(name: str, text: str) -> Path:
    """Keep a program that stands in for another in the installer's room; return its file."""
    folder = Path("/tmp/programs")
    folder.mkdir(exist_ok=True)
    # The file that it hides is a place for the bind.
    (SHIMS_HERE / name).touch(mode=0o755)
    program = folder / name
    program.write_text(text)
    program.chmod(0o755)
    return program


def _check_tree() -> None:
    """Have the folders on which a room mounts its own: links there would lead the mounts elsewhere.

    Raises:
        BuildError: a script or a package put something else there.
    """
    _check_folders(TREE, _API_FOLDERS)


def _check_folders(root: Path, names: Sequence[str]) -> None:
    for name in names:
        folder = root / name
        if not os.path.lexists(folder):
            folder.mkdir()
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise BuildError(
                f"/{name} of the {'image' if root == TREE else 'bootstrap'} is not a folder",
                hint="a script or a package put something else there: no program can run in such an image",
            )


def _folders(*folders: Path) -> Iterator[str | Path]:
    """Yield read-only binds of our own folders, as far as they exist."""
    for folder in folders:
        if folder.exists():
            yield from ("--ro-bind", folder, folder)


def _host_resolver(network: bool) -> list[str | Path]:
    """Return the bind of the host's resolver where it is in /run, which each room has anew."""
    path = os.path.realpath("/etc/resolv.conf")
    return ["--ro-bind", path, path] if network and path.startswith("/run/") and os.path.exists(path) else []


def _resolver_in_run(root: str = "") -> str | None:
    """Return where in /run the link of the tree at `root` leads to its resolver; None: elsewhere."""
    link = TREE / "etc/resolv.conf"
    if link.is_symlink():
        target = os.path.normpath(os.path.join(f"{root}/etc", os.readlink(link)))
        target = re.sub("^/var/run/", "/run/", target)
        if target.startswith(("/run/", f"{root}/run/")):
            return target
    return None


def _rooms(network: bool) -> list[Word]:
    # Read-only: a program could make itself the last that the kernel kills when memory runs out (proc(5)).
    words: list[Word] = ["--proc", "/proc", "--remount-ro", "/proc"]
    words += ["--dev-bind", "/tmp/dev", "/dev", Scratch("/run")]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"]
    words += ["--die-with-parent", "--new-session"]
    if not network:
        words.append("--unshare-net")
    return words


def _command_line(arguments: Sequence[str] = (), root: Path = Path("/")) -> list[Word]:
    """Return the bind of what /proc/cmdline says.

    Scripts of the kickstart find `arguments`, others nothing: what this host was booted with must decide no
    byte of an image, and may name what is not meant for others.
    """
    path = Path("/tmp/cmdline.scripts" if arguments else "/tmp/cmdline")
    if not path.exists():
        path.write_text(" ".join(arguments) + "\n")
    return ["--ro-bind", path, root / "proc/cmdline"]


def _extras(build: Build, binds: Sequence[tuple[str, str]], *, with_shims: bool) -> list[str | Path]:
    make_shims()
    words: list[str | Path] = ["--ro-bind", SHIMS_HERE, SHIMS] if with_shims else []
    if with_shims and SAID_HERE.exists():
        words += ["--bind", SAID_HERE, SAID]
    for source, target in binds:
        words += ["--ro-bind", source, target]
    return [*words, *_environment(build)]


def _environment(build: Build, *, packages: int = 0) -> list[str]:
    words = ["--chdir", "/"]
    for name, value in (ENVIRONMENT | build.reproducible_environment(packages=packages)).items():
        if value:
            words += ["--setenv", name, value]
    return [*words, "--setenv", "LC_ALL", "C.UTF-8"]


def _kept(names: Sequence[str]) -> list[str]:
    """Return bubblewrap's words for the capabilities that it leaves."""
    words = ["--cap-drop", "ALL"]
    for name in names:
        words += ["--cap-add", f"CAP_{name}"]
    return words


def _look_at_cache() -> None:
    """End what fills the disk under the packages' cache: metadata and packages may have no end."""
    if shutil.disk_usage("/cache").free < LEAST_FREE:
        raise BuildError(
            f"the repositories' files leave less than {LEAST_FREE >> 20} MiB of the disk with the cache",
            hint="free some space, or openstack-builder clean",
        )


@contextlib.contextmanager
def _opened(
    build: Build, words: Sequence[Word], kept: Sequence[str], watch: Callable[[], None] | None = None
) -> Iterator[tuple[list[str | Path], Child]]:
    """Yield bubblewrap's command line for a room, and how to start it; leave when the room is empty.

    Args:
        kept: the capabilities that programs have there.
        watch: as of Child.
    """
    with furnished(words) as line:
        try:
            with (
                seccomp.descriptor(seccomp.FOREIGN) as filter,
                _bounded(build) as (gate, begun),
                ThreadPoolExecutor(1, initializer=capabilities.bound, initargs=(kept,)) as starter,
            ):
                child = Child(pass_fds=(filter, gate), starter=starter, begun=begun, watch=watch)
                yield [*line, *_kept(kept), "--args", str(gate), "--seccomp", str(filter), "--"], child
        finally:
            _end_all()


@contextlib.contextmanager
def _bounded(build: Build) -> Iterator[tuple[int, Callable[[int], None]]]:
    """Yield a descriptor for bubblewrap's --args, and what bounds its memory and lets it go on.

    bubblewrap reads more words there until the end, which comes when its bounds are set: a program in the
    room has them from its first moment, and nothing of ours has to run between fork and exec.
    """
    most = build.share_of(available_memory())
    gate, held = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, gate)
        closing = stack.enter_context(open(held, "wb", buffering=0))

        def begun(pid: int) -> None:
            # It may have ended already: then there is nothing to bound.
            with contextlib.suppress(ProcessLookupError):
                limits.bound(resource.RLIMIT_DATA, most, pid)
            closing.close()

        yield gate, begun


def _stream(
    build: Build,
    words: Sequence[Word],
    argv: Sequence[str],
    input: str,
    kept: Sequence[str],
    watch: Callable[[], None] | None = None,
) -> Iterator[str]:
    with _named(argv), _opened(build, words, kept, watch) as (line, child):
        yield from build.runner.stream(
            [*line, *argv], input=input, log=build.log, timeout=LONGEST, largest=LARGEST_OUTPUT, child=child
        )


def _end_all() -> None:
    """Kill what is left of a room, and wait for it: we are pid 1, and inherit what bubblewrap leaves.

    bubblewrap ends when its program does, and the rest of the room a moment after that; one that was killed
    before its room was complete leaves the room alive. Either could change the tree under our hands. No two
    rooms are open at once, and nothing else runs inside.
    """
    if os.getpid() != 1:
        raise RuntimeError("anywhere but inside these would be everybody's processes")
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _run(
    build: Build,
    words: Sequence[Word],
    argv: Sequence[str],
    *,
    input: str | None = None,
    ok: Sequence[int],
    log: Path | None,
) -> Completed:
    with _named(argv), _opened(build, words, capabilities.OF_AN_IMAGE) as (line, child):
        return build.runner.run(
            [*line, *argv],
            input=input,
            ok=ok,
            log=log,
            timeout=LONGEST,
            largest=LARGEST_OUTPUT,
            child=child,
        )


@contextlib.contextmanager
def _named(argv: Sequence[str]) -> Iterator[None]:
    """Let errors name the program, not bubblewrap."""
    try:
        yield
    except CommandFailed as error:
        for what in ("failed", "did not end"):
            error.message = error.message.replace(f"bwrap {what}", f"{argv[0]} {what} inside the build", 1)
        raise
