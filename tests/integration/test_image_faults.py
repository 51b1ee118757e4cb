# SPDX-License-Identifier: MIT
"""`openstack-builder image` when something is wrong, or when it is stopped: clear errors, nothing left."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import tools
from builder.image import pipeline
from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture import spoil
from tests.rig.fixture.signing import new_signer
from tests.rig.fixture.synthetic import build_synthetic
from tests.support.imaging import HEAD, LONGEST, Bench, kickstart, traces, wait_until_gone

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

STAGES = [stage.name for stage in pipeline.STAGES]


@pytest.mark.parametrize(
    ("text", "options", "code", "words"),
    [
        pytest.param(
            kickstart(packages="capble"),
            (), 2, ("test.ks:15: package capble", "did you mean capable?"),
            id="package that no repository has",
        ),
        pytest.param(
            kickstart(packages="@nogroup"), (), 2, ("test.ks:15: group @nogroup",), id="group that none has"
        ),
        pytest.param(
            kickstart(packages="unsolvable"), (), 2, ("nobody-provides-this",), id="dependency of a package"
        ),
        pytest.param(
            kickstart(tail="%post --erroronfail\necho the reason >&2\nexit 7\n%end\n"),
            (), 1, ("%post of", "test.ks:17", "status 7: the reason"),
            id="post fails with erroronfail",
        ),
        pytest.param(
            kickstart(tail="%post --interpreter=/usr/bin/python9\npass\n%end\n"),
            (), 1, ("test.ks:17", "/usr/bin/python9"),
            id="interpreter that is not in the image",
        ),
        pytest.param(
            kickstart(packages="bulky"), (), 2, ("too small",),
            id="disk too small",
        ),
        pytest.param(
            kickstart(head="selinux --enforcing"), (), 2, ("test.ks:10", "no policy"),
            id="selinux without policy",
        ),
        pytest.param(
            kickstart(head="firewall --enabled"), (), 2, ("test.ks:10", "firewalld is not in the image"),
            id="firewall without firewalld",
        ),
        pytest.param(
            kickstart(head="services --enabled=sshd"), (), 2, ("sshd",), id="service that no package has"
        ),
        pytest.param(
            kickstart(packages="failing-pre"), (), 1, ("failing-pre",), id="pre scriptlet fails"
        ),
        pytest.param(
            kickstart(packages="failing-post\nfailing-pre"), (), 1, ("not installed: failing-pre",),
            id="pre scriptlet fails, and a post scriptlet",
        ),
        pytest.param(kickstart(), ("--arch", "aarch64"), 2, ("--arch aarch64",), id="other architecture"),
        pytest.param(kickstart(), ("--memory-share", "0"), 2, ("--memory-share 0",), id="bad option"),
    ],
)  # fmt: skip
def test_an_error_names_its_cause_and_leaves_nothing(
    bench: Bench,
    text: str,
    options: tuple[str, ...],
    code: int,
    words: tuple[str, ...],
) -> None:
    shutil.rmtree(bench.out, ignore_errors=True)

    done = bench.build(text, *options, ok=False)

    assert done.returncode == code, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert bench.leftovers() == []
    assert not bench.image.exists()
    assert traces(bench.folder) == []


def test_an_unreachable_repository_is_the_remote_side_failing(bench: Bench) -> None:
    done = bench.build(kickstart(), repo="http://127.0.0.1:9/none", ok=False)

    assert done.returncode == 5
    assert "repository synthetic: http://127.0.0.1:9/none" in done.stderr


def test_a_post_that_fails_without_erroronfail_is_a_warning(bench: Bench) -> None:
    done = bench.build(kickstart(tail="%post\nexit 3\n%end\n"))

    assert "ended with status 3" in done.stderr
    assert any("status 3" in warning for warning in bench.manifest()["warnings"])


def test_a_scriptlet_that_fails_after_its_package_is_installed_is_a_warning(bench: Bench) -> None:
    done = bench.build(kickstart(packages="failing-post"))

    assert "failing-post" in {package["name"] for package in bench.manifest()["packages"]}
    assert [
        line for line in done.stderr.splitlines() if line.startswith("warning: ") and "failing-post" in line
    ]
    assert any("failing-post" in warning for warning in bench.manifest()["warnings"])


def test_keep_leaves_the_tree_of_a_failed_build_for_a_look(bench: Bench) -> None:
    text = kickstart(tail="%post --erroronfail\necho seen >/etc/seen\nexit 1\n%end\n")

    done = bench.build(text, "--keep", ok=False)

    assert done.returncode == 1
    kept = Path(re.findall(r"^kept: (.*)$", done.stderr, re.M)[0])
    packed = subprocess.run(["tar", "-xOf", kept / "tree.tar", "./etc/seen"], capture_output=True, check=True)
    assert packed.stdout == b"seen\n"
    shutil.rmtree(kept)


def test_no_key_is_reported_before_anything_is_done(bench: Bench) -> None:
    command = bench.command(kickstart())
    command = command[: command.index("--gpgkey")]

    done = subprocess.run(command, env=bench.environment(), capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "--gpgkey" in done.stderr


@pytest.fixture(scope="module")
def spoilable(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench with a repository of its own, to be damaged."""
    folder = tmp_path_factory.mktemp("spoilt")
    folder.chmod(0o755)
    runner = Runner(Report(quiet=True))
    with new_signer(runner) as signer:
        repository = build_synthetic(folder / "repository", runner=runner, signer=signer)
    (folder / "repository").chmod(0o755)
    return Bench(folder, repository)


@pytest.mark.parametrize(
    ("damage", "unsigned_is_fine"),
    [
        pytest.param(spoil.change_payload, False, id="one byte of the payload"),
        pytest.param(spoil.change_header, False, id="one letter of the header"),
        pytest.param(spoil.change_signature, True, id="one byte of the signature"),
    ],
)
def test_a_damaged_package_is_refused(
    spoilable: Bench, damage: Callable[[Path], None], unsigned_is_fine: bool
) -> None:
    rpm = spoilable.repository.rpms["capable"]
    whole = rpm.read_bytes()
    text = kickstart(packages="capable")
    damage(rpm)
    # The repository's metadata follows: its checksum alone would reveal the damage.
    _reindex(spoilable.repository.folder)
    try:
        done = spoilable.build(text, ok=False)
        unchecked = spoilable.build(text, "--no-gpgcheck", ok=False)
    finally:
        rpm.write_bytes(whole)

    assert done.returncode == 1, done.stderr
    assert "capable" in done.stderr
    assert spoilable.leftovers() == []
    assert (unchecked.returncode == 0) is unsigned_is_fine, unchecked.stderr
    if unsigned_is_fine:
        assert spoilable.manifest()["inputs"]["gpgcheck"] is False


def takes_md5() -> bool:
    """Say whether MD5 is a digest to this host's rpm: to rpm 6 it is none."""
    version = subprocess.run(["rpm", "--version"], capture_output=True, text=True, check=True).stdout.split()[
        -1
    ]
    return int(version.split(".")[0]) < 6


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_where_only_md5_covers_the_payload_it_is_checked(spoilable: Bench, damaged: bool) -> None:
    rpm = spoilable.repository.rpms["capable"]
    whole = rpm.read_bytes()
    spoil.forget_payload_digest(rpm)
    if damaged:
        spoil.change_payload(rpm)
    _reindex(spoilable.repository.folder)
    try:
        done = spoilable.build(kickstart(packages="capable"), "--no-gpgcheck", ok=False)
    finally:
        rpm.write_bytes(whole)

    refused = damaged or not takes_md5()
    assert ("does not verify" in done.stderr) is refused
    assert done.returncode == int(refused), done.stderr


def test_a_repository_is_looked_at_anew_each_time(spoilable: Bench) -> None:
    _reindex(spoilable.repository.folder)
    rpm = spoilable.repository.rpms["capable"]
    whole = rpm.read_bytes()
    spoilable.build(kickstart(packages="capable"))
    spoil.forget_payload_digest(rpm)
    _reindex(spoilable.repository.folder)
    # Metadata in the cache that seem to be of this very moment, or later.
    for path in (spoilable.folder / "cache/openstack-builder/dnf").rglob("*primary*"):
        os.utime(path, (time.time() + 60, time.time() + 60))
    try:
        done = spoilable.build(kickstart(packages="capable"), "--no-gpgcheck", ok=False)
    finally:
        rpm.write_bytes(whole)

    # With the old metadata its checksum would differ.
    assert done.returncode == 0 or (not takes_md5() and "no digest" in done.stderr), done.stderr


def test_a_file_that_differs_from_the_metadata_is_refused(spoilable: Bench) -> None:
    _reindex(spoilable.repository.folder)
    rpm = spoilable.repository.rpms["setuid"]
    whole = rpm.read_bytes()
    spoil.change_payload(rpm)
    try:
        done = spoilable.build(kickstart(packages="setuid"), ok=False)
    finally:
        rpm.write_bytes(whole)

    assert done.returncode == 5
    assert "setuid" in done.stderr
    assert "checksum" in done.stderr


def _reindex(folder: Path) -> None:
    """Make the metadata of a damaged repository anew, the damaged packages as they are."""
    subprocess.run(
        ["createrepo_c", "--quiet", "--groupfile", folder / "comps.xml", folder]
        if (folder / "comps.xml").exists()
        else ["createrepo_c", "--quiet", folder],
        check=True,
    )


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_any_stage_it_leaves_an_image_that_is_whole_and_the_next_run_cleans_up(
    bench: Bench,
    stage: str,
) -> None:
    bench.build(kickstart())
    pause = LONGEST if stage == "scripts" else 0.2

    # A build that was done before the signal came proves nothing: once more.
    code = 0
    while code == 0:
        old = _digest(bench)
        text = kickstart(tail=f"%post\necho {stage} {time.time_ns()}\nsleep {pause}\n%end\n")
        code, _ = _stop_in(bench, text, stage, signal.SIGKILL)

    wait_until_gone(bench.out)
    assert _is_old_or_whole(bench, old)
    assert traces(bench.folder) == []
    assert all(name.startswith(".openstack-builder-") for name in bench.leftovers())
    bench.build(kickstart())
    assert bench.leftovers() == []


# Of the time that was measured for what is killed: no machine is as fast as another.
SHARES = (0.05, 0.3, 0.6, 0.9)
# Disks that our own writers fill, and what of a kickstart makes them.
ROOT_LINE = "part / --fstype=ext4 --size=96\n"
DISKS = {
    "btrfs": "part btrfs.1 --size=256\nbtrfs none --label=x btrfs.1\nbtrfs / --subvol --name=root LABEL=x\n",
    "xfs": "part / --fstype=xfs --size=320\n",
    "xfs on LVM": (
        "part /boot --fstype=ext4 --size=64\npart pv.1 --size=340\nvolgroup x pv.1\n"
        "logvol / --vgname=x --name=root --fstype=xfs --size=320\n"
    ),
}


@pytest.mark.skipif(not (tools.has("mkfs.xfs") and tools.has("btrfs")), reason="needs xfsprogs, btrfs-progs")
@pytest.mark.parametrize(
    "disk",
    [
        pytest.param(text, id=name, marks=[] if "LVM" in name else pytest.mark.slow)
        for name, text in DISKS.items()
    ],
)
def test_killed_while_our_own_writers_write_it_leaves_an_image_that_is_whole(bench: Bench, disk: str) -> None:
    fill = "mkdir -p /srv\nseq 1 5000000 >/srv/data\n"
    text = kickstart(base=HEAD.replace(ROOT_LINE, disk), packages="lvm2", tail=f"%post\n{fill}%end\n")
    bench.build(text)
    old = _digest(bench)
    seconds = next(stage["seconds"] for stage in bench.manifest()["stages"] if stage["name"] == "disk")

    # A machine that has become faster meanwhile ends before the last of them.
    for share in SHARES:
        changed = text.replace(fill, f"{fill}echo {share} >/srv/more\n")
        _stop_in(bench, changed, "disk", signal.SIGKILL, delay=share * seconds)

        wait_until_gone(bench.out)
        assert _is_old_or_whole(bench, old)
        assert traces(bench.folder) == []
    bench.build(text)
    assert _digest(bench) == old
    assert bench.leftovers() == []


@pytest.mark.skipif(not tools.has("parted"), reason="needs parted")
def test_killed_while_pre_has_a_disk_it_leaves_nothing(bench: Bench) -> None:
    disk = "parted -s /dev/vda mklabel gpt mkpart root 1MiB 40MiB\nmkfs.ext4 -q /dev/vda1\n"
    pre = f"%pre --erroronfail\n{disk * 8}%end\n"
    shutil.rmtree(bench.out, ignore_errors=True)
    # How long it takes when it ends with %pre.
    began = time.monotonic()
    failed = bench.build(kickstart(head=pre.replace("%end", "exit 7\n%end")), ok=False)
    assert "status 7" in failed.stderr
    seconds = time.monotonic() - began
    # It must not be over before the signal comes, on whatever machine.
    waiting = pre.replace("%end", "echo partitioned\nsleep 6000\n%end")

    for share in (*SHARES, 1.5):
        code, said = _stop_in(bench, kickstart(head=waiting), "start", signal.SIGKILL, delay=share * seconds)

        assert code == -signal.SIGKILL, said
        assert "[1/" not in said
        wait_until_gone(bench.out)
        assert traces(bench.folder) == []
        assert not bench.image.exists()
    bench.build(kickstart(head=pre))
    assert bench.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_interrupted_it_leaves_nothing(bench: Bench, number: signal.Signals) -> None:
    shutil.rmtree(bench.out, ignore_errors=True)

    code, said = _stop_in(bench, kickstart(tail=f"%post\nsleep {LONGEST}\n%end\n"), "scripts", number)

    assert code == 130
    assert "interrupted" in said
    assert bench.leftovers() == []
    wait_until_gone(bench.out)
    assert traces(bench.folder) == []


def test_killed_at_random_moments_it_never_leaves_half_an_image(bench: Bench) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    shutil.rmtree(bench.out, ignore_errors=True)
    began = time.monotonic()
    bench.build(kickstart(tail=f"%post\necho {chance.random()}\n%end\n"))
    seconds = time.monotonic() - began
    shutil.rmtree(bench.out)
    for _ in range(4):
        text = kickstart(tail=f"%post\necho {chance.random()}\n%end\n")
        process = subprocess.Popen(
            bench.command(text), env=bench.environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.1, 1.1) * seconds)
        process.kill()
        process.wait()
        wait_until_gone(bench.out)
        assert not bench.image.exists() or _is_whole(bench)

    assert traces(bench.folder) == []
    bench.build(kickstart())
    assert bench.leftovers() == []


def _stop_in(
    bench: Bench,
    text: str,
    stage: str,
    number: signal.Signals,
    *,
    delay: float = 0.0,
) -> tuple[int, str]:
    """Start a build, send it `number` when the stage before `stage` is done, and `delay` seconds more.

    The stage `start` is before all others. Return how it ended.
    """
    said = bench.folder / "said"
    process = _start(bench, text)
    number_before = STAGES.index(stage) if stage in STAGES else 0
    if number_before:
        _wait_for(lambda: f"[{number_before}/" in said.read_text(), process)
    if stage in ("scripts", "solve"):
        time.sleep(0.5)
    time.sleep(delay)
    os.kill(process.pid, number)
    process.wait(timeout=LONGEST)
    return process.returncode, said.read_text()


def _start(bench: Bench, text: str) -> subprocess.Popen[bytes]:
    """Start a build; what it says is in the file `said`."""
    with (bench.folder / "said").open("w") as stream:
        return subprocess.Popen(
            bench.command(text), env=bench.environment(), stderr=stream, stdout=subprocess.DEVNULL
        )


def _wait_for(is_so: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until `is_so()`; fail when the process has ended and it never was."""
    deadline = time.monotonic() + LONGEST
    while not is_so():
        assert process.poll() is None or is_so(), "the build ended before"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _digest(bench: Bench) -> str:
    return hashlib.sha256(bench.image.read_bytes()).hexdigest()


def _is_old_or_whole(bench: Bench, old: str) -> bool:
    """Say whether the image is the one with the digest `old`, or a whole new one.

    A signal that comes between the last rename and the end of the process finds the new one.
    """
    return _digest(bench) == old or _is_whole(bench)


def _is_whole(bench: Bench) -> bool:
    sums = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    return subprocess.run(sums, cwd=bench.image.parent, check=False).returncode == 0


def test_a_disk_too_small_for_the_packages_is_reported_before_anything_is_fetched(bench: Bench) -> None:
    done = bench.build(kickstart(packages="bulky"), ok=False)

    assert done.returncode == 2
    assert "the disk is too small: the packages take" in done.stderr
    assert "fetch" not in done.stderr


def test_options_that_mkfs_does_not_take_are_reported_with_their_line_before_anything_is_fetched(
    bench: Bench,
) -> None:
    text = kickstart().replace("part / --fstype=ext4", 'part / --fstype=ext4 --mkfsoptions="-O nonsense"')

    done = bench.build(text, ok=False)

    assert done.returncode == 2
    assert re.search(r"error: \S*test.ks:\d+: /: mke2fs failed .*nonsense", done.stderr), done.stderr
    assert "fetch" not in done.stderr


ACCOUNTS = {
    "uid of a package's user": (
        "user --name=a --uid=421",
        "uid 421 already belongs to declared",
        "declared-user",
    ),
    "gid of a package's group": (
        "group --name=a --gid=421",
        "gid 421 already belongs to declared",
        "declared-user",
    ),
    "no useradd": ("user --name=a", "useradd is not in the image", ""),
    "key of nobody": (
        f"sshkey --username=a '{KEY}'",
        "the image has no such user",
        "",
    ),
    "network": ("network --device=eth0", "has neither NetworkManager nor systemd-networkd", ""),
    "service": ("services --enabled=nosuch", "the image has no nosuch", ""),
    "authselect": ("authselect select minimal", "authselect is not in the image", ""),
}


@pytest.mark.parametrize(("line", "why", "package"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_what_the_image_cannot_do_is_reported_with_the_line_that_asks_for_it(
    bench: Bench, line: str, why: str, package: str
) -> None:
    # Programs that are there; none is asked, because the clash is seen before.
    tools = "cd /mnt/sysimage; mkdir -p usr/sbin; touch usr/sbin/useradd usr/sbin/groupadd"
    tail = f"%pre-install\n{tools}\n%end\n" if package else ""

    done = bench.build(kickstart(head=line, packages=package, tail=tail), ok=False)

    assert done.returncode == 2, done.stderr
    error = next(text for text in done.stderr.splitlines() if text.startswith("error: "))
    assert "test.ks:10: " in error
    assert why in error
    assert "hint:" in done.stderr
