# SPDX-License-Identifier: MIT
"""What builds made, fetched: compared with what the hub says, and resumed."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
import threading
from pathlib import Path

import koji
import pytest

from builder.errors import InputError, RemoteError
from builder.koji import outputs
from builder.koji.outputs import PART, Fetched, Output, fetch, list_outputs
from builder.koji.payload import payload_digest
from builder.koji.tasks import read_trees
from builder.report import Report
from builder.runner import Runner
from tests.koji.conftest import HubUnderTest
from tests.koji.stand_in_hub import CLOSED, OPEN
from tests.rig.fixture.synthetic import build_synthetic

QUIET = Report(quiet=True, err=io.StringIO())


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real RPM: one of the synthetic repository's."""
    made = build_synthetic(tmp_path_factory.mktemp("rpms"), runner=Runner(QUIET))
    return sorted(made.folder.rglob("*.rpm"))[0]


def scratch_build(hub: HubUnderTest, rpm: Path) -> int:
    """Make a finished scratch build whose tasks hold an RPM and logs."""
    root = hub.stand_in.add_task("build", ["spam.src.rpm", "epel9-candidate", {}], [CLOSED])
    for arch in ("x86_64", "aarch64"):
        hub.stand_in.add_task(
            "buildArch", ["spam.src.rpm"], [CLOSED], parent=root.id, arch=arch,
            outputs={rpm.name: rpm.read_bytes(), "build.log": f"built for {arch}\n".encode() * 5000},
        )  # fmt: skip
    return root.id


def sign(rpm: Path, copy: Path, text: str) -> str:
    """Copy an RPM with a signature of `text`; return the md5 of the signature header, as the hub keeps it."""
    # One entry of the tag that koji.splice_rpm_sighdr writes: a signature by GPG over header and payload.
    body = struct.pack(">IIII", 1005, 7, 0, len(text)) + text.encode()
    signature = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", 1, len(text)) + body
    signature += bytes(-len(signature) % 8)
    koji.splice_rpm_sighdr(signature, str(rpm), str(copy))
    return hashlib.md5(signature).hexdigest()


def real_build(hub: HubUnderTest, rpm: Path, *, keys: tuple[str, ...] = ()) -> int:
    """Make a finished real build: its RPM, copies of it signed by `keys`, and log are on the file server."""
    root = hub.stand_in.add_task("build", ["git+x#y", "epel9-candidate", {}], [CLOSED])
    name, version, release = rpm.name.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
    arch = rpm.name.rsplit(".", 2)[1]
    folder = hub.stand_in.folder / "kojifiles/packages" / name / version / release
    (folder / arch).mkdir(parents=True)
    shutil.copy(rpm, folder / arch / rpm.name)
    hashes = {}
    for key in keys:
        copy = folder / "data/signed" / key / arch / rpm.name
        copy.parent.mkdir(parents=True)
        hashes[key] = sign(rpm, copy, f"by {key}")
    log = folder / "data/logs/x86_64/build.log"
    log.parent.mkdir(parents=True)
    log.write_text("built\n")
    info = {"name": name, "version": version, "release": release, "volume_name": "DEFAULT", "draft": False}
    row = {
        "id": 1, "name": name, "version": version, "release": release, "arch": arch, "keys": hashes,
        "size": rpm.stat().st_size, "payloadhash": payload_digest(rpm), "draft": False,
    }  # fmt: skip
    logs = [{"name": "build.log", "dir": "x86_64",
             "path": str(log.relative_to(hub.stand_in.folder / "kojifiles"))}]  # fmt: skip
    hub.stand_in.builds[1] = info | {
        "build_id": 1, "task_id": root.id, "nvr": f"{name}-{version}-{release}", "rpms": [row], "logs": logs,
    }  # fmt: skip
    return root.id


def fetch_task(hub: HubUnderTest, task: int, folder: Path, *, key: str | None = None) -> Fetched:
    session = hub.connect()
    (tree,) = read_trees(session, [task])
    return fetch(session, list_outputs(session, tree, key=key), folder, QUIET)


def test_a_scratch_build_comes_with_the_logs_of_each_architecture(
    hub: HubUnderTest, rpm: Path, tmp_path: Path
) -> None:
    fetched = fetch_task(hub, scratch_build(hub, rpm), tmp_path / "out")

    assert [path.read_bytes() for path in fetched.rpms] == [rpm.read_bytes()]
    texts = sorted(path.read_text().partition("\n")[0] for path in fetched.others)
    assert texts == ["built for aarch64", "built for x86_64"]


@pytest.mark.parametrize("ranges", [True, False], ids=["the server resumes", "the server begins again"])
def test_a_real_build_comes_from_the_file_server(
    hub: HubUnderTest, rpm: Path, tmp_path: Path, ranges: bool
) -> None:
    if not ranges:
        hub.front.harm["no ranges"] = [True]
    task = real_build(hub, rpm)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / (rpm.name + PART)).write_bytes(rpm.read_bytes()[:1000])

    fetched = fetch_task(hub, task, tmp_path / "out")

    assert [path.read_bytes() for path in fetched.rpms] == [rpm.read_bytes()]
    assert [path.read_text() for path in fetched.others] == ["built\n"]
    assert not list((tmp_path / "out").rglob(f"*{PART}"))


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_what_stands_in_the_place_of_a_file_stays(
    hub: HubUnderTest, rpm: Path, tmp_path: Path, kind: str
) -> None:
    place, real = tmp_path / "out" / rpm.name, tmp_path / "real"
    place.parent.mkdir()
    got: list[bytes] = []
    # First, since it may skip: what reads the fifo would wait for ever.
    task = real_build(hub, rpm)
    reader = threading.Thread(target=lambda: got.append(place.read_bytes()), daemon=True)
    if kind == "fifo":
        os.mkfifo(place)
        reader.start()
    else:
        real.write_text("old")
        place.symlink_to(real)
    before = place.lstat()

    fetch_task(hub, task, tmp_path / "out")

    assert (place.lstat().st_mode, place.lstat().st_ino) == (before.st_mode, before.st_ino)
    if kind == "fifo":
        reader.join(600)
    else:
        got.append(real.read_bytes())
    assert got == [rpm.read_bytes()]


def test_a_second_fetch_takes_nothing(hub: HubUnderTest, rpm: Path, tmp_path: Path) -> None:
    task = scratch_build(hub, rpm)
    fetch_task(hub, task, tmp_path / "out")
    before = hub.front.count()["downloadTaskOutput"]

    again = fetch_task(hub, task, tmp_path / "out")

    assert again.kept == 3
    assert hub.front.count()["downloadTaskOutput"] == before


def test_an_interrupted_fetch_goes_on_where_it_stopped(hub: HubUnderTest, rpm: Path, tmp_path: Path) -> None:
    task = scratch_build(hub, rpm)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / (rpm.name + PART)).write_bytes(rpm.read_bytes()[:777])

    fetched = fetch_task(hub, task, tmp_path / "out")

    assert fetched.rpms[0].read_bytes() == rpm.read_bytes()
    offsets = [named["offset"] for name, _, named in hub.front.calls if name == "downloadTaskOutput"]
    assert 777 in offsets


def test_bytes_that_are_not_those_of_the_hub_are_refused(
    hub: HubUnderTest, rpm: Path, tmp_path: Path
) -> None:
    task = real_build(hub, rpm)
    hub.stand_in.builds[1]["rpms"][0]["payloadhash"] = "0" * 32

    with pytest.raises(RemoteError, match=f"{rpm.name}: its payload digest is"):
        fetch_task(hub, task, tmp_path / "out")

    assert not (tmp_path / "out" / rpm.name).exists()


def test_a_damaged_rpm_of_a_scratch_build_is_refused(hub: HubUnderTest, rpm: Path, tmp_path: Path) -> None:
    task = scratch_build(hub, rpm)
    for one in hub.stand_in.tasks.values():
        if rpm.name in one.outputs:
            data = bytearray(one.outputs[rpm.name])
            data[-5] ^= 1
            one.outputs[rpm.name] = bytes(data)

    with pytest.raises(RemoteError, match="its payload is not the one that its header names"):
        fetch_task(hub, task, tmp_path / "out")


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", ".hidden", "a/b"])
def test_a_name_that_leaves_the_folder_is_refused(hub: HubUnderTest, tmp_path: Path, name: str) -> None:
    root = hub.stand_in.add_task("build", ["x", "y", {}], [CLOSED], outputs={name: b"evil"})

    with pytest.raises(RemoteError, match="a file that is refused"):
        fetch_task(hub, root.id, tmp_path / "out")

    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("arch", ["../../evil", "x/../../evil", "x/.ssh"])
def test_an_architecture_that_leaves_the_folder_is_refused(
    hub: HubUnderTest, tmp_path: Path, arch: str
) -> None:
    listed = (Output(name=f"7-{arch}/build.log", size=None, task=7, remote_name="build.log"),)

    with pytest.raises(RemoteError, match="a file that is refused"):
        fetch(hub.connect(), listed, tmp_path / "out", QUIET)

    assert list(tmp_path.rglob("evil*")) == []


def test_a_file_of_the_hub_that_has_no_end_is_refused(
    hub: HubUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "LARGEST", 1000)
    root = hub.stand_in.add_task("build", ["x", "y", {}], [CLOSED], outputs={"build.log": b"x" * 5000})
    log = Output(name="build.log", size=None, task=root.id, remote_name="build.log")

    with pytest.raises(RemoteError, match="more than 1000 bytes come"):
        fetch(hub.connect(), [log], tmp_path / "out", QUIET)


def test_the_signed_copy_is_the_one_that_was_asked_for(hub: HubUnderTest, rpm: Path, tmp_path: Path) -> None:
    task = real_build(hub, rpm, keys=("8cd08a6e",))

    for key in (None, "8CD08A6E", None):
        (fetched,) = fetch_task(hub, task, tmp_path / "out", key=key).rpms
        assert (b"by 8cd08a6e" in fetched.read_bytes()) == (key is not None)


def test_a_copy_that_another_key_signed_takes_no_copys_place(
    hub: HubUnderTest, rpm: Path, tmp_path: Path
) -> None:
    task = real_build(hub, rpm, keys=("11111111", "22222222"))
    fetch_task(hub, task, tmp_path / "out", key="11111111")

    (fetched,) = fetch_task(hub, task, tmp_path / "out", key="22222222").rpms

    assert b"by 22222222" in fetched.read_bytes()


def test_a_copy_that_is_not_signed_after_all_is_refused(hub: HubUnderTest, rpm: Path, tmp_path: Path) -> None:
    task = real_build(hub, rpm, keys=("8cd08a6e",))
    (copy,) = hub.stand_in.folder.rglob("data/signed/**/*.rpm")
    shutil.copy(rpm, copy)

    with pytest.raises(RemoteError, match="the md5 of its signature header is"):
        fetch_task(hub, task, tmp_path / "out", key="8cd08a6e")

    assert not list((tmp_path / "out").glob("*.rpm"))


def test_an_rpm_that_lacks_the_signature_is_named_with_those_it_has(
    hub: HubUnderTest, rpm: Path, tmp_path: Path
) -> None:
    task = real_build(hub, rpm, keys=("11111111",))

    with pytest.raises(RemoteError, match="is not signed by 22222222") as caught:
        fetch_task(hub, task, tmp_path / "out", key="22222222")

    assert "11111111" in str(caught.value.hint)


def test_a_key_makes_no_sense_for_a_scratch_build(hub: HubUnderTest, rpm: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a scratch build, and those are not signed"):
        fetch_task(hub, scratch_build(hub, rpm), tmp_path / "out", key="8cd08a6e")


def test_a_build_that_is_not_over_is_refused(hub: HubUnderTest, tmp_path: Path) -> None:
    root = hub.stand_in.add_task("build", ["x", "y", {}], [OPEN])

    with pytest.raises(InputError, match="is not over: it is open"):
        fetch_task(hub, root.id, tmp_path / "out")
