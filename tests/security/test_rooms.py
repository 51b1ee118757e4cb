# SPDX-License-Identifier: MIT
"""Rooms for programs of the image, looked at from inside the build."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from builder.calls import MS_BIND
from builder.errors import CommandFailed
from builder.idmap import hand_over
from builder.image.isolation import sandbox
from builder.image.isolation.namespaces import Bind
from builder.report import Report
from builder.runner import ORDINARY, Runner
from tests.rig.fixture.synthetic import busybox
from tests.security.test_lifetime import LATEST, MOMENTS
from tests.support.inside import as_build, call_inside, furnish

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def shell() -> bytes:
    """A shell that needs nothing else."""
    return busybox(Runner(Report(quiet=True)))


def test_nothing_of_a_room_runs_on_when_its_program_has_ended(tmp_path: Path, shell: bytes) -> None:
    def inside() -> list[list[str]]:
        furnish(shell)
        build = as_build()
        seen = []
        busy = "while :; do : ; done & while :; do echo x >/tmp/$$; rm /tmp/*; done & exit 0"
        for _ in range(20):
            sandbox.run_in_image(build, ["/bin/sh", "-c", busy])
            seen.append(sorted(name for name in os.listdir("/proc") if name.isdigit()))
        return seen

    seen = call_inside(inside, tmp_path, Runner(Report(quiet=True)))

    assert seen == [["1"]] * 20


def test_nothing_of_a_room_runs_on_when_it_is_ended_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)

    def inside() -> list[list[str]]:
        build = as_build()
        seen = []
        for _ in range(MOMENTS):
            monkeypatch.setattr(sandbox, "LONGEST", moments.uniform(0.0001, LATEST))
            with pytest.raises(CommandFailed, match="did not end"):
                sandbox.run_in_installer(build, ["sleep", "1000"], tree=False, ok=())
            seen.append([name for name in os.listdir("/proc") if name.isdigit()])
        return seen

    seen = call_inside(inside, tmp_path, Runner(Report(quiet=True)))

    assert seen == [["1"]] * MOMENTS


def test_no_room_of_an_image_shows_how_this_host_was_booted(tmp_path: Path, shell: bytes) -> None:
    """The words may hold what is not for others, and an image must not depend on them."""

    def inside() -> list[str]:
        furnish(shell)
        build = as_build()
        look = ["/bin/sh", "-c", "read -r words </proc/cmdline; echo got $words"]
        runs = [
            sandbox.run_in_image(build, look),
            sandbox.run_in_image(build, look, with_shims=True),
            sandbox.run_in_installer(build, look, tree=True),
            # As scriptlets see it.
            sandbox.run_on_tree(build, ["/bin/sh", "-c", look[2].replace("</proc", "</tree/proc")]),
        ]
        return [done.stdout for done in runs]

    assert call_inside(inside, tmp_path, Runner(Report(quiet=True))) == ["got\n"] * 4


def test_rooms_are_started_without_a_copy_of_us(tmp_path: Path) -> None:
    runner = Runner(Report(quiet=True))

    inside = call_inside(lambda: ORDINARY.preparation is None, tmp_path, runner)

    assert (inside, ORDINARY.preparation is None) == (True, False)


def test_nothing_but_pid_1_ends_all() -> None:
    with pytest.raises(RuntimeError, match="everybody's"):
        sandbox._end_all()


def test_a_link_where_a_room_mounts_is_refused(tmp_path: Path, shell: bytes) -> None:
    def inside() -> str:
        furnish(shell)
        build = as_build()
        os.rmdir("/tree/run")
        os.symlink("/work", "/tree/run")
        try:
            sandbox.run_in_image(build, ["/bin/sh", "-c", "true"])
        except Exception as error:
            return str(error)
        return "run"

    assert "/run of the image is not a folder" in call_inside(inside, tmp_path, Runner(Report(quiet=True)))


def test_the_inside_sees_no_process_of_the_host_and_no_way_back(tmp_path: Path) -> None:
    def inside() -> dict[str, object]:
        refused = []
        from builder.image.isolation import mounts

        for target, flags in (("/usr", 32 | MS_BIND), ("/etc", 32 | MS_BIND)):
            try:
                mounts.mount(None, target, None, flags)
                Path(target, "written").touch()
            except OSError:
                refused.append(target)
        for target in ("/usr", "/proc", "/sys/fs"):
            try:
                mounts.unmount(target)
            except OSError:
                refused.append(target)
        return {
            "refused": refused,
            "processes": [name for name in os.listdir("/proc") if name.isdigit()],
            "root": sorted(os.listdir("/")),
            "cgroups": os.path.exists("/sys/fs/cgroup"),
        }

    found = call_inside(inside, tmp_path, Runner(Report(quiet=True)))

    assert found["refused"] == ["/usr", "/etc", "/usr", "/proc", "/sys/fs"]
    assert found["processes"] == ["1"]
    assert not found["cgroups"]
    assert not Path("/usr/written").exists()


LOOK = """\
import json, os
def names(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        return error.strerror
def write(path):
    try:
        open(path, "w").write("x")
    except OSError as error:
        return error.strerror
    return "written"
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "root": names("/"), "etc": names("/etc"), "tree": names("/tree"), "processes": [
        name for name in names("/proc") if name.isdigit()
    ],
    "capabilities": int(status["CapBnd"], 16), "descriptors": [os.readlink("/proc/self/fd/%s" % one)
        for one in names("/proc/self/fd") if os.path.lexists("/proc/self/fd/" + one)],
    "cache": write("/cache/written"),
    "elsewhere": [write(path) for path in ("/usr/x", "/repos/x", "/etc/passwd")],
}))
"""


def test_the_solver_has_the_network_and_the_cache_and_nothing_of_the_host(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    hand_over(cache)
    work = tmp_path / "work"
    work.mkdir()

    def inside() -> str:
        Path("/tree/canary").touch()
        return "".join(sandbox.stream_solver(as_build(), ["/usr/bin/python3", "-c", LOOK], ""))

    binds = (Bind(source=cache, target="/cache", writable=True),)
    found = json.loads(call_inside(inside, work, Runner(Report(quiet=True)), binds=binds, network=True))

    assert {"resolv.conf", "passwd"} <= set(found["etc"])
    assert not {"shadow", "ssh", "fstab", "sudoers", "apt", "machine-id"} & set(found["etc"])
    assert not {"home", "root", "work", "sys", "var", "disk.raw"} & set(found["root"])
    assert found["tree"] == []
    assert found["capabilities"] == 0
    assert len(found["processes"]) < 4
    assert [at for at in found["descriptors"] if not at.startswith(("pipe:", "/proc/"))] == []
    assert found["cache"] == "written"
    assert "written" not in found["elsewhere"]


CALLS = Path(__file__).with_name("tried_calls.py").read_text()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of calls are x86-64's")
def test_a_transaction_has_no_call_that_leads_out_of_its_room(tmp_path: Path, shell: bytes) -> None:
    def inside() -> str:
        furnish(shell)
        return sandbox.run_on_tree(as_build(), ["/usr/bin/python3", "-c", CALLS]).stdout

    found = json.loads(call_inside(inside, tmp_path, Runner(Report(quiet=True))))

    allowed = {name for name, said in found["calls"].items() if said not in ("EPERM", "ENOSYS")}
    assert allowed == {"memfd_create", "shmget"}
    families = {name for name, said in found["families"].items() if said == "allowed"}
    assert families == {"unix", "inet", "inet6", "netlink"}


FILL = """\
import os, sys
made = 0
while made < 20000:
    try:
        os.close(os.open("%s/%s" % (sys.argv[1], made), os.O_CREAT | os.O_WRONLY))
    except OSError:
        break
    made += 1
print(made)
"""


@pytest.mark.parametrize("place", ["/", "/run", "/tmp", "/etc", "/dev"])
def test_files_of_a_room_have_a_bound(tmp_path: Path, place: str) -> None:
    def inside() -> str:
        argv = ["/usr/bin/python3", "-c", FILL, place]
        return sandbox.run_in_installer(as_build(), argv, tree=False, ok=(0,)).stdout

    assert int(call_inside(inside, tmp_path, Runner(Report(quiet=True)))) < 17000
