# SPDX-License-Identifier: MIT
"""What replacing a file keeps, whom it refuses, and that writers at once lose nothing."""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.config_tool import LAUNCHER, Result, config, process

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
NOBODY = 65534


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "f"
    path.write_text("[s]\na = 1\n")
    return path


def as_nobody(*arguments: "str | Path") -> Result:
    """Run openstack-config as an ordinary user, in a child that has given root away."""
    if os.geteuid() != 0:
        return config(*arguments)
    from openstack_utils.config import change, get  # noqa: F401
    from openstack_utils.editor import edits, oslo  # noqa: F401
    from openstack_utils.storage import inplace  # noqa: F401

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        result = config(*arguments)
        os.write(writer, f"{result.code}\0{result.out}\0{result.err}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        code, out, err = stream.read().split("\0")
    os.waitpid(child, 0)
    return Result(int(code), out, err)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664, 0o400, 0o2750, 0o4755])
def test_the_mode_is_kept(sample: Path, mode: int) -> None:
    sample.chmod(mode)
    before = sample.stat().st_ino
    assert config("--set", sample, "s", "a", "2").code == 0
    assert sample.stat().st_mode & 0o7777 == mode
    assert sample.stat().st_ino != before


def open_folders(folder: Path) -> None:
    """Let any user reach `folder`: pytest's own are its user's only, and a worker has one more of them."""
    end = Path(tempfile.gettempdir())
    for each in itertools.takewhile(lambda path: path != end, (folder, *folder.parents)):
        each.chmod(0o755)


@as_root
def test_owner_and_group_are_kept(sample: Path) -> None:
    os.chown(sample, 1234, 4321)
    sample.chmod(0o640)
    config("--set", sample, "s", "a", "2")
    found = sample.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 4321, 0o640)


@as_root
def test_an_owner_that_cannot_be_kept_is_a_refusal(sample: Path) -> None:
    os.chown(sample.parent, NOBODY, NOBODY)
    sample.chmod(0o666)
    open_folders(sample.parent)

    refused = as_nobody("--set", sample, "s", "a", "2")
    assert refused.code == 1
    assert "cannot keep its owner and group" in refused.err
    assert "--inplace" in refused.err
    assert os.listdir(sample.parent) == ["f"]

    assert as_nobody("--inplace", "--set", sample, "s", "a", "2").code == 0
    assert (sample.stat().st_uid, sample.read_text()) == (0, "[s]\na = 2\n")


def test_extended_attributes_are_kept(sample: Path) -> None:
    names = ["user.note"] + (["security.label_of_ours"] if os.geteuid() == 0 else [])
    for name in names:
        with contextlib.suppress(OSError):
            os.setxattr(sample, name, b"value")
    if not os.listxattr(sample):
        pytest.skip("the file system of the tests knows no extended attributes")
    before = {name: os.getxattr(sample, name) for name in os.listxattr(sample)}
    config("--set", sample, "s", "a", "2")
    assert {name: os.getxattr(sample, name) for name in os.listxattr(sample)} == before


def test_the_acl_is_kept_and_none_is_inherited(sample: Path) -> None:
    if shutil.which("setfacl") is None:
        pytest.skip("setfacl is not installed (package acl)")
    sample.chmod(0o640)
    if subprocess.run(["setfacl", "-m", "u:1234:r", sample], check=False).returncode != 0:
        pytest.skip("the file system of the tests knows no ACLs")

    def acl(path: Path) -> str:
        return subprocess.run(["getfacl", "-cpn", path], capture_output=True, text=True, check=True).stdout

    before = acl(sample)
    config("--set", sample, "s", "a", "2")
    assert acl(sample) == before

    plain = sample.with_name("plain")
    plain.write_text("[s]\na = 1\n")
    plain.chmod(0o600)
    before = acl(plain)
    subprocess.run(["setfacl", "-d", "-m", "u:1234:rwx", sample.parent], check=True)
    config("--set", plain, "s", "a", "2")
    assert acl(plain) == before


def test_symbolic_links_are_followed(sample: Path) -> None:
    link, second = sample.with_name("link"), sample.with_name("second")
    link.symlink_to("f")
    second.symlink_to(link)
    assert config("--set", second, "s", "a", "2").code == 0
    assert (os.readlink(link), os.readlink(second)) == ("f", str(link))
    assert sample.read_text() == "[s]\na = 2\n"


def test_a_dangling_link_gets_its_file(sample: Path) -> None:
    link = sample.with_name("link")
    link.symlink_to("new")
    assert config("--set", link, "s", "a", "2").code == 0
    assert link.is_symlink()
    assert sample.with_name("new").read_text() == "[s]\na = 2\n"
    assert config("--get", sample.with_name("other"), "s").code == 1


def test_hard_links_are_refused_unless_in_place(sample: Path) -> None:
    other = sample.with_name("other")
    os.link(sample, other)
    refused = config("--set", sample, "s", "a", "2")
    assert (refused.code, sample.read_text()) == (1, "[s]\na = 1\n")
    assert "2 hard links" in refused.err
    assert "--inplace" in refused.err
    assert config("--inplace", "--set", sample, "s", "a", "longer than before").code == 0
    assert other.read_text() == sample.read_text() == "[s]\na = longer than before\n"
    assert config("--inplace", "--set", sample, "s", "a", "2").code == 0
    assert other.read_text() == "[s]\na = 2\n"
    assert sorted(os.listdir(sample.parent)) == ["f", "other"]


def test_an_unwritable_folder_is_refused_unless_in_place(sample: Path) -> None:
    sample.chmod(0o666)
    sample.parent.chmod(0o555)
    open_folders(sample.parent.parent)
    if os.geteuid() == 0:
        os.chown(sample, NOBODY, NOBODY)
    try:
        refused = as_nobody("--strict-exit", "--set", sample, "s", "a", "2")
        assert (refused.code, sample.read_text()) == (4, "[s]\na = 1\n")
        assert refused.err.startswith(f"error: {sample}: permission denied\nhint: ")
        assert "--inplace" in refused.err
        assert as_nobody("--inplace", "--set", sample, "s", "a", "2").code == 0
        assert sample.read_text() == "[s]\na = 2\n"
    finally:
        sample.parent.chmod(0o755)


def test_a_file_without_permission_is_refused(sample: Path) -> None:
    sample.chmod(0)
    open_folders(sample.parent)
    for operation in (("--get", sample, "s", "a"), ("--set", sample, "s", "a", "2")):
        refused = as_nobody("--strict-exit", *operation)
        assert (refused.code, refused.err) == (4, f"error: {sample}: permission denied\n")


def test_an_unchanged_file_is_not_touched(sample: Path) -> None:
    before = sample.stat()
    for arguments in (["--set", sample, "s", "a", "1"], ["--del", sample, "s", "b"], ["--set", sample, "s"]):
        assert config(*arguments).code == 0
        assert config("--inplace", "--backup", *arguments).code == 0
    after = sample.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino, before.st_mtime_ns, before.st_ctime_ns)  # fmt: skip
    assert os.listdir(sample.parent) == ["f"]


def test_a_created_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        config("--set", tmp_path / "open", "s", "a", "1")
        os.umask(0o077)
        config("--set", tmp_path / "closed", "s", "a", "1")
    finally:
        os.umask(before)
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o640


# Seconds until something counts as hanging, on a machine with much other work.
LONGEST = 600


def start(*arguments: "str | Path", **more: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-IS", os.fspath(LAUNCHER), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **more)  # type: ignore[call-overload, no-any-return]


def finish(started: "list[subprocess.Popen[bytes]]") -> None:
    for one in started:
        _, err = one.communicate(timeout=LONGEST)
        assert one.returncode == 0, err


@pytest.mark.parametrize("existing", [True, False], ids=["one file", "a file that is not there yet"])
def test_fifty_writers_lose_no_key(folder: Path, existing: bool) -> None:
    path = folder / "f"
    if existing:
        path.write_text("[s]\n")

    finish([start("--set", path, "s", f"key{number}", str(number)) for number in range(50)])

    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(["[s]"] + [f"key{number} = {number}" for number in range(50)])
    assert os.listdir(folder) == ["f"]


def test_writers_of_several_files_do_not_wait_for_each_other_forever(folder: Path) -> None:
    one, two = folder / "1", folder / "2"
    one.write_text("[s]\n")
    two.write_text("[s]\n")
    pairs = [(one, two), (two, one)] * 6

    finish([
        start("--set", a, "s", f"k{number}", "1", "--set", b, "s", f"k{number}", "1")
        for number, (a, b) in enumerate(pairs)
    ])  # fmt: skip

    for path in (one, two):
        assert len(path.read_text().splitlines()) == 13


def test_writers_in_place_and_by_rename_lose_no_key(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\n")
    finish([
        start(*(["--inplace"] if number % 2 else []), "--set", path, "s", f"k{number}", "1")
        for number in range(20)
    ])  # fmt: skip
    assert len(path.read_text().splitlines()) == 21


def test_a_waiting_writer_says_so_and_can_be_interrupted(sample: Path) -> None:
    import fcntl

    with sample.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = start("--set", sample, "s", "a", "2")
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(timeout=LONGEST) == 130
        waiting.stderr.close()
    assert said == f"note: waiting for another writer of {sample}\n".encode()
    assert sample.read_text() == "[s]\na = 1\n"


def test_a_reader_sees_whole_files_while_others_write(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\n" + "".join(f"k{n} = {'x' * 50}\n" for n in range(2000)))
    writers = [start("--set", path, "s", f"k{n}", "y" * 50) for n in range(10)]
    sizes = set()
    while any(writer.poll() is None for writer in writers):
        sizes.add(len(path.read_bytes()))
        time.sleep(0.001)
    finish(writers)
    assert len(sizes) == 1


STDIO: dict[str, tuple[list[str], Callable[[], None], int]] = {
    "get to closed stdout": (["--get", "f", "s", "a"], lambda: os.close(1), 1),
    "set with everything closed": (["--set", "f", "s", "a", "2"], lambda: os.closerange(0, 3), 0),
    "stdin closed": (["--get", "-", "s", "a"], lambda: os.close(0), 1),
    "merge with stdin closed": (["--merge", "f"], lambda: os.close(0), 1),
    "output to closed stdout": (["--set", "--output=-", "f", "s", "a", "2"], lambda: os.close(1), 1),
}


@pytest.mark.parametrize("case", STDIO)
def test_closed_streams(sample: Path, case: str) -> None:
    arguments, close, code = STDIO[case]
    done = start(*arguments, cwd=sample.parent, stdout=subprocess.DEVNULL, preexec_fn=close)
    _, err = done.communicate(timeout=LONGEST)
    assert done.returncode == code
    if code:
        assert b"is closed" in err
    expected = "[s]\na = 2\n" if case == "set with everything closed" else "[s]\na = 1\n"
    assert sample.read_text() == expected


def test_messages_never_reach_a_file_when_stderr_is_closed(tmp_path: Path) -> None:
    arguments = ["--verbose", "--set", "new", "s", "a", "1"]
    started = start(*arguments, cwd=tmp_path, preexec_fn=lambda: os.closerange(0, 3))
    assert started.wait(timeout=LONGEST) == 0
    started.communicate()
    assert (tmp_path / "new").read_text() == "[s]\na = 1\n"


def test_a_full_device_is_an_error_and_a_gone_reader_is_none(sample: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = start("--get", sample, "s", "a", stdout=full)
        _, err = done.communicate(timeout=LONGEST)
    assert (done.returncode, err) == (1, b"error: stdout: no space left on device\n")

    reader, writer = os.pipe()
    os.close(reader)
    done = start("--get", sample, "s", "a", stdout=writer)
    os.close(writer)
    _, err = done.communicate(timeout=LONGEST)
    assert (done.returncode, err) == (0, b"")


def test_output_writes_to_a_pipe_and_never_replaces_it(sample: Path) -> None:
    pipe = sample.with_name("pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert config("--set", f"--output={pipe}", sample, "s", "a", "2").code == 0
    assert os.read(reader, 100) == b"[s]\na = 2\n"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_socket_or_pipe_is_not_edited(sample: Path) -> None:
    pipe = sample.with_name("pipe")
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(sample.with_name("sock")))
        for path in (pipe, sample.with_name("sock")):
            assert config("--set", path, "s", "a", "2").code == 1
    assert pipe.is_fifo()


def test_get_reads_a_pipe() -> None:
    script = f"{sys.executable} -IS {LAUNCHER} --get <(printf '[s]\\na=1\\n') s a"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=LONGEST)
    assert (done.returncode, done.stdout) == (0, b"1\n")


def test_secrets_stay_out_of_argv_and_messages(sample: Path) -> None:
    result = process(
        "--verbose", "--set", sample, "s", "a", "--value-file", "-", stdin="hunter2", python=sys.executable
    )
    assert result == (0, "", f"changed: --set {sample} s a\n")
    refused = config("--set", sample, "s", "a", "--value-file=-", stdin="hunter2\n\nx")
    assert refused.code == 1
    assert "hunter2" not in refused.err
    assert sample.read_text() == "[s]\na = hunter2\n"


# In a mount namespace of its own: the file is one that something is mounted at, as container hosts do.
BIND = """
set -eu
mount --bind "$2" "$1"
shift 2
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        pytest.param([], 1, "[s]\na = 1\n", id="replaced"),
        pytest.param(["--inplace"], 0, "[s]\na = 2\n", id="in place"),
    ],
)
def test_a_file_that_something_is_mounted_at(folder: Path, words: list[str], code: int, text: str) -> None:
    path, mounted = folder / "f", folder / "g"
    path.write_text("")
    mounted.write_text("[s]\na = 1\n")
    command = [sys.executable, "-IS", LAUNCHER, "--set", *words, path, "s", "a", "2"]

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", BIND, "sh", path, mounted, *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, mounted.read_text()) == (code, text), done.stderr
    assert code == 0 or "use --inplace" in done.stderr
    assert sorted(each.name for each in folder.iterdir()) == ["f", "g"]
